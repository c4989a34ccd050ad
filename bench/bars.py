#-------------------------------------------------------------------------
#
# bars.py
#	  What has to be reached against other engines, and whether it is.
#
# NOTES
#	  Every bar is listed for every set of data of a run, and those that the
#	  run cannot tell of as not measured.
#
# IDENTIFICATION
#	  bench/bars.py
#
#-------------------------------------------------------------------------
import curves
import set_report
from suite_report import bar

# times the peer's queries a second at equal recall, by that recall
PEER_TIMES = {
    "hnsw": {0.95: 8, 0.99: 8}, "hnsw32": {0.95: 8, 0.99: 8}, "ivfflat": {0.95: 25, 0.99: 25},
    "vchordrq": {0.95: 5, 0.99: 4}, "diskann": {0.95: 5, 0.99: 4},
}
# of recall, by k
RECALLS = {10: (0.95, 0.99), 100: (0.95,)}

# of FAISS's 4-bit codes at 0.95, by set: inside the server, and by wall clock
LIBRARY_TIMES = {"sift": (("inside the server", 1.0), ("by wall clock", 0.7)),
                 "text": (("by wall clock", 1.5),)}
FLAT_TIMES = {"sift": {"faiss": 6, "sequential": 60}, "text": {"faiss": 6, "sequential": 350}}
OTHER_FLAT_TIMES = {"faiss": 6}
BANDWIDTH = 0.75
BUILD_TIMES, SIZE_TIMES = 15, 6
COLD_TIMES = 4
SCALING = 1.7
LOW, HIGH = 0.935, 0.985
EXPONENT = 0.6
ROUNDING = 0.0005				# of a share of queries


def missing(text, wanted):
    return bar(text, "not measured", wanted, False) | {"met": None}


def at_least(text, ratio, wanted):
    """A bar of so many times; without a ratio it is one that was not measured."""
    if ratio is None:
        return missing(text, f"{wanted} times")
    return bar(text, f"{ratio:.2f} times", f"{wanted} times", ratio >= wanted)


def divide(ours, theirs):
    return ours / theirs if ours and theirs else None


# ------------------------------------------------------------- at equal recall

def peer_bars(lines, data, all_connections):
    for k, recalls in RECALLS.items():
        for connections in all_connections if k == 10 else all_connections[:1]:
            rates = curves.Rates(lines, data, k, connections)
            for peer, times in PEER_TIMES.items():
                for recall in recalls:
                    ours, theirs = rates.at("vkivf", recall), rates.at(peer, recall)
                    name = f"{data}: vkivf against {peer}, k = {k}, recall {recall}, " \
                           f"{connections} connection{'s' * (connections > 1)}"
                    # a peer that cannot reach the recall is beaten at it
                    if ours and theirs is None and peer in rates.engines:
                        yield bar(name, "beyond its recall", f"{times[recall]} times", True)
                    else:
                        yield at_least(name, divide(ours, theirs), times[recall])


def library_bars(lines, data):
    rates = curves.Rates(lines, data, 10, 1)
    ours, theirs = rates.at("vkivf", 0.95), rates.at("faiss_ivfpq", 0.95)
    for way, wanted in LIBRARY_TIMES.get(data, ()):
        rate = ours
        if ours and way == "inside the server":
            inside = rates.inside_us(ours)
            rate = 1e6 / inside if inside and inside > 0 else None
        yield at_least(f"{data}: vkivf against faiss_ivfpq, k = 10, recall 0.95, {way}",
                       divide(rate, theirs), wanted)


def flat_bars(lines, data):
    rates = curves.Rates(lines, data, 10, 1)
    for peer, wanted in FLAT_TIMES.get(data, OTHER_FLAT_TIMES).items():
        yield at_least(f"{data}: vkflat against {peer}, by wall clock",
                       divide(rates.at("vkflat", 1.0), rates.at(peer, 1.0)), wanted)


def scaling_bars(lines, data, all_connections):
    most = max(all_connections)
    if most == 1:
        yield missing(f"{data}: vkivf, from 1 to as many connections as cores", f"{SCALING} times")
        return
    one, many = (curves.Rates(lines, data, 10, n).at("vkivf", 0.95) for n in (1, most))
    # 1.7 on two cores, 0.85 of each
    yield at_least(f"{data}: vkivf at recall 0.95, from 1 to {most} connections",
                   divide(many, one), round(SCALING / 2 * most, 2))


# ---------------------------------------------------------------------- suites

def bandwidth_bar(records, data):
    figures = set_report.bandwidth_figures(records, data)
    name = f"{data}: vkflat's scan, of what a core reads"
    if figures is None:
        return missing(name, f"{BANDWIDTH:.0%}")
    scan, read = figures
    return bar(name, f"{scan / read:.0%} ({scan / 1e9:.1f} of {read / 1e9:.1f} GB/s)",
               f"{BANDWIDTH:.0%}", scan >= BANDWIDTH * read)


def build_bars(records, data):
    built = {record["engine"]: record for record in records
             if record["kind"] == "build" and record["data"] == data
             and not record.get("table", "").startswith("growth_")}
    ours, theirs = built.get("vkivf", {}), built.get("hnsw", {})
    for field, what, wanted, unit in (("seconds", "build time", BUILD_TIMES, "s"),
                                      ("size_mb", "size", SIZE_TIMES, "MB")):
        name = f"{data}: vkivf, {what} against hnsw"
        if not ours.get(field) or not theirs.get(field):
            yield missing(name, f"1 / {wanted}")
        else:
            yield bar(name, f"1 / {theirs[field] / ours[field]:.1f} ({ours[field]:.1f} of "
                      f"{theirs[field]:.1f} {unit})", f"1 / {wanted}",
                      theirs[field] >= wanted * ours[field])


def cold_bar(records, data):
    lines = set_report.cold_lines(records, data)
    ours = curves.select(lines, engine="vkivf")
    theirs = ours and curves.rate_at(curves.curve(curves.select(lines, engine="hnsw")),
                                     ours[0]["recall"])
    name = f"{data}: vkivf against hnsw at equal recall, nothing cached"
    return at_least(name, divide(ours[0]["qps"] if ours else None, theirs), COLD_TIMES)


def recall_bars(records, data):
    for k in set_report.RECALL_OF:
        ours, theirs = set_report.recall_lines(records, data, k)
        name = f"{data}: vkivf, default options, k = {k}"
        if ours is None:
            yield missing(f"{name}: recall", f"{LOW} to {HIGH}")
            yield missing(f"{name}: queries below 0.8", "at most HNSW's")
            continue
        yield bar(f"{name}: recall", f"{ours['recall']:.4f}", f"{LOW} to {HIGH}",
                  LOW <= ours["recall"] <= HIGH)
        if theirs is None:
            yield missing(f"{name}: queries below 0.8", "at most HNSW's")
        else:
            yield bar(f"{name}: queries below 0.8", f"{ours['below_80']:.2%}",
                      f"HNSW's {theirs:.2%}", ours["below_80"] <= theirs + ROUNDING)


def growth_bar(records, data):
    points = set_report.growth_points(records, data)
    name = f"{data}: vkivf, exponent of a query's time by rows"
    if len(points) < 2:
        return missing(name, f"below {EXPONENT}")
    found = curves.exponent(points)
    return bar(name, f"{found:.2f}", f"below {EXPONENT}", found < EXPONENT)


def find_bars(records, lines):
    sets = dict.fromkeys(r["data"] for r in records if r["kind"] == "set") or \
        dict.fromkeys(line["data"] for line in lines)
    all_connections = sorted({line["connections"] for line in lines}) or [1]
    for data in sets:
        yield from peer_bars(lines, data, all_connections)
        yield from library_bars(lines, data)
        yield from flat_bars(lines, data)
        yield bandwidth_bar(records, data)
        yield from build_bars(records, data)
        yield cold_bar(records, data)
        yield from scaling_bars(lines, data, all_connections)
        yield from recall_bars(records, data)
        yield growth_bar(records, data)
