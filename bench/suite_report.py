#-------------------------------------------------------------------------
#
# suite_report.py
#	  Tables and bars of the suites, for report.py.
#
# IDENTIFICATION
#	  bench/suite_report.py
#
#-------------------------------------------------------------------------
import statistics

# filter: times HNSW's queries a second, with the columns in the index and without
FILTER_BARS = {
    "chars < 179": (5, 3),
    "chars < 112": (15, 3),
    "chars >= 552": (15, 1),
    "chars >= 552 AND seq10 = 0": (15, 1),
    "source = 'wordnet'": (30, 1),
    "seq BETWEEN 500000 AND 510000": (30, 1),
}
FILTER_RECALL = 0.94
RANGE_TIMES = {"vkflat": 40, "vkivf": 500}
RANGE_RECALL = 0.95
PLAN_TIMES = 2
INSERT_TIMES = 3
INSERT_ENGINES = ("vkflat", "vkivf")
COPY_RATE = 10_000				# rows a second, at 128 dimensions
BUFFER_WAITS = 0.05				# of the samples of eight writers


def insert_wal_bar(code):
    """Bytes a row."""
    return 2 * code + 110


def format_table(head, rows):
    return "\n".join(["| " + " | ".join(cells) + " |" for cells in
                      [head, ["---"] * len(head)] + [[str(cell) for cell in row] for row in rows]])


def bar(text, value, wanted, met):
    return {"kind": "bar", "text": text, "value": value, "wanted": wanted, "met": bool(met)}


def times_bar(text, rate, other, wanted):
    return bar(text, f"{rate / other:.1f} times", f"{wanted} times", rate >= wanted * other)


def summarize(records, suite):
    """A line a case and engine: its answers, and the medians of its rounds."""
    lines, rounds = {}, {}
    for record in records:
        if record.get("suite") != suite or record["kind"] not in ("answers", "timing", "bitmap"):
            continue
        key = record["data"], record["case"], record["engine"]
        line = lines.setdefault(key, {"data": key[0], "case": key[1], "engine": key[2]})
        if record["kind"] == "timing":
            rounds.setdefault(key, []).append(record)
        elif record["kind"] == "bitmap":
            line["bitmap_us"] = record["seconds"] * 1e6
        else:
            line.update({field: record[field] for field in
                         ("recall", "short", "wrong_rows", "same") if field in record})
    for key, timed in rounds.items():
        lines[key].update({field: statistics.median(record[field] for record in timed)
                           for field in ("qps", "p50_us", "p95_us", "rows")})
    return [line for line in lines.values() if "qps" in line]


def by_engine(lines):
    """The lines of each set and case, by engine."""
    cases = {}
    for line in lines:
        cases.setdefault((line["data"], line["case"]), {})[line["engine"]] = line
    return cases.items()


# ------------------------------------------------------------------------ bars

def filter_bars(records):
    for (data, case), found in by_engine(summarize(records, "filters")):
        for engine, line in found.items():
            name = f"{data}: {case}: {engine}"
            if engine == "vkflat_attributes":
                yield bar(f"{name}, recall", f"{line['recall']:.4f}", "1", line["recall"] == 1)
            elif engine.startswith("vkivf"):
                yield bar(f"{name}, recall", f"{line['recall']:.4f}", FILTER_RECALL,
                          line["recall"] >= FILTER_RECALL)
                wanted = FILTER_BARS[case][engine == "vkivf"]
                if "hnsw" in found:
                    yield times_bar(f"{name} against hnsw", line["qps"], found["hnsw"]["qps"], wanted)
            if engine != "hnsw":
                yield bar(f"{name}, answers too short", line["short"], 0, line["short"] == 0)
                yield bar(f"{name}, wrong rows", line["wrong_rows"], 0, line["wrong_rows"] == 0)


def range_bars(records):
    lines = summarize(records, "ranges")
    sequential = {(line["data"], line["case"]): line["qps"] for line in lines
                  if line["engine"] == "sequential"}
    for line in lines:
        if line["engine"] == "sequential":
            continue
        name = f"{line['data']}: {line['case']}: {line['engine']}"
        peer = sequential.get((line["data"], line["case"].removesuffix(", in order")))
        exact = line["engine"] == "vkflat"
        yield bar(f"{name}, recall", f"{line['recall']:.4f}", 1 if exact else RANGE_RECALL,
                  line["recall"] >= (1 if exact else RANGE_RECALL))
        yield bar(f"{name}, wrong rows", line["wrong_rows"], 0, line["wrong_rows"] == 0)
        if peer:
            yield times_bar(f"{name} against sequential", line["qps"], peer,
                            RANGE_TIMES[line["engine"]])


def join_seconds(lines):
    """Of each set and engine: the join, and the single queries less the protocol."""
    found = {(line["data"], line["engine"], line["case"]): line["qps"] for line in lines}
    for data, engine, case in found:
        parts = [found.get((data, engine, name)) for name in ("join", "single", "trivial")]
        if case == "join" and all(parts):
            join, single, trivial = parts
            yield data, engine, 1 / join, 1000 / single, 1000 / trivial


def join_bars(records):
    for data, engine, join, single, trivial in join_seconds(summarize(records, "joins")):
        if engine != "hnsw":
            yield bar(f"{data}: {engine}: LATERAL join of 1,000 rows", f"{join:.3f} s",
                      f"{single - trivial:.3f} s", join <= single - trivial)


def plan_choices(records):
    """Of each statement: the chosen plan's line, the fastest's, the ratio."""
    for (_, case), found in by_engine(summarize(records, "plans")):
        chosen = next((line for name, line in found.items() if name.startswith("1: ")), None)
        if chosen:
            fastest = min(found.values(), key=lambda line: line["p50_us"])
            yield case, chosen, fastest, chosen["p50_us"] / fastest["p50_us"]


def plan_bars(records):
    choices = list(plan_choices(records))
    if choices:
        case, *_, ratio = max(choices, key=lambda choice: choice[-1])
        yield bar(f"the chosen plan against the fastest, worst of {len(choices)} ({case})",
                  f"{ratio:.2f} times its time", f"{PLAN_TIMES} times", ratio <= PLAN_TIMES)


def summarize_inserts(records):
    """A line a set, way and engine: the medians of its rounds; then the WAL of each engine."""
    rounds, lines = {}, []
    for record in records:
        if record["kind"] == "insert":
            rounds.setdefault((record["data"], record["way"], record["engine"]), []).append(record)
    for (data, way, engine), timed in rounds.items():
        lines.append({"data": data, "way": way, "engine": engine, "rate": statistics.median(
            record["rate"] for record in timed)})
        samples = sum(record.get("samples", 0) for record in timed)
        if samples:
            lines[-1]["buffer_content"] = sum(
                record["buffer_content"] * record["samples"] for record in timed) / samples
    return lines, [record for record in records if record["kind"] == "insert wal"]


def insert_bars(records):
    lines, wal = summarize_inserts(records)
    by_engine = {(line["data"], line["way"], line["engine"]): line for line in lines}
    for line in lines:
        name = f"{line['data']}: {line['way']}: {line['engine']}"
        peer = by_engine.get((line["data"], line["way"], "hnsw"))
        table = by_engine.get((line["data"], line["way"], "no index"))
        if line["engine"] not in INSERT_ENGINES:
            continue
        if peer:
            yield times_bar(f"{name} against hnsw", line["rate"], peer["rate"], INSERT_TIMES)
        if line["way"] == "COPY" and line["data"].startswith("sift"):
            yield bar(f"{name}, rows a second", f"{line['rate']:.0f}", COPY_RATE,
                      line["rate"] >= COPY_RATE)
        if line["way"] == "8 writers":
            without = f" ({table['buffer_content']:.1%} without an index)" if table else ""
            yield bar(f"{name}, waits for buffer contents", f"{line['buffer_content']:.1%}{without}",
                      f"{BUFFER_WAITS:.0%}", line["buffer_content"] <= BUFFER_WAITS)
    for line in wal:
        if line["code"] is not None:
            yield bar(f"{line['data']}: {line['engine']}, bytes of WAL a row inserted",
                      f"{line['bytes']:.0f}", f"{insert_wal_bar(line['code']):.0f}",
                      line["bytes"] <= insert_wal_bar(line["code"]))


def find_bars(records):
    for bars in (filter_bars, range_bars, join_bars, plan_bars, insert_bars):
        yield from bars(records)


# ---------------------------------------------------------------------- tables

def case_table(lines, sizes):
    return format_table(
        ["data", "case", "engine", "recall", "short", "wrong", "rows", "queries a second",
         "p50 us", "p95 us"],
        [[line["data"], line["case"] + sizes.get((line["data"], line["case"]), ""), line["engine"],
          f"{line['recall']:.4f}" if "recall" in line else "", line.get("short", ""),
          line.get("wrong_rows", ""), f"{line['rows']:.4g}", f"{line['qps']:.4g}",
          f"{line['p50_us']:.0f}", f"{line['p95_us']:.0f}"] for line in lines])


def write_case_tables(records):
    for suite in ("filters", "ranges"):
        lines = summarize(records, suite)
        sizes = {(record["data"], record["case"]): f" ({record['share']:.2%})" for record in records
                 if record["kind"] == "condition" and record["suite"] == suite}
        lines.sort(key=lambda line: (line["data"], line["case"]))
        if lines:
            yield from (f"## {suite.capitalize()}", case_table(lines, sizes))


def write_join_table(records):
    rows = [[data, engine, f"{join:.3f}", f"{single:.3f}", f"{trivial:.3f}",
             f"{join / (single - trivial):.2f}"]
            for data, engine, join, single, trivial in join_seconds(summarize(records, "joins"))]
    if rows:
        yield "## Joins"
        yield format_table(["data", "engine", "join, s", "1,000 single queries, s",
                            "1,000 trivial, s", "join / (single - trivial)"], rows)


def write_plan_table(records):
    rows = [[case, chosen["engine"], f"{chosen['p50_us']:.0f}",
             "" if fastest is chosen else fastest["engine"],
             f"{fastest['p50_us']:.0f}", f"{ratio:.2f}"]
            for case, chosen, fastest, ratio in plan_choices(records)]
    if rows:
        yield "## Plans"
        yield format_table(["table: statement", "chosen", "p50 us", "fastest, if another",
                            "p50 us", "ratio"], rows)


def write_prefilter_table(records):
    shares = {record["case"]: record["share"] for record in records
              if record["kind"] == "condition" and record["suite"] == "prefilter"}
    rows = []
    for (_, case), found in by_engine(summarize(records, "prefilter")):
        cells = [case, f"{shares[case]:.2%}"]
        for engine in ("bitmap and sort", "stream", "prefilter", "in the index"):
            line = found.get(engine)
            cells += [f"{line['p50_us']:.0f}", f"{line['recall']:.3f}"] if line else ["", ""]
        bitmap = found.get("bitmap and sort", {}).get("bitmap_us")
        rows.append(cells + [f"{bitmap:.0f}" if bitmap else ""])
    if rows:
        yield "## Prefilter"
        yield format_table(["condition", "rows", "bitmap and sort, p50 us", "recall",
                            "stream, p50 us", "recall", "prefilter, p50 us", "recall",
                            "in the index, p50 us", "recall", "the bitmap alone, us"], rows)


def write_unlike_table(records):
    rows = [[record["data"], record["queries"], record["engine"], record["value"],
             f"{record['recall']:.3f}", f"{record['qps']:.0f}"]
            for record in records if record["kind"] == "unlike"]
    if rows:
        yield "## Queries unlike the rows"
        yield format_table(["data", "queries", "engine", "target or ef_search", "recall",
                            "queries a second"], rows)


def write_insert_tables(records):
    lines, wal = summarize_inserts(records)
    if lines:
        yield "## Inserts"
        yield format_table(
            ["data", "way", "engine", "rows a second", "waits for buffer contents"],
            [[line["data"], line["way"], line["engine"], f"{line['rate']:.0f}",
              f"{line['buffer_content']:.1%}" if "buffer_content" in line else ""]
             for line in sorted(lines, key=lambda line: (line["data"], line["way"]))])
        yield format_table(
            ["data", "engine", "bytes of WAL a row", "images of new pages", "bytes of code"],
            [[line["data"], line["engine"], f"{line['bytes']:.0f}", f"{line['images']:.0f}",
              "" if line["code"] is None else f"{line['code']:.0f}"] for line in wal])


def write_tables(records):
    return [*write_case_tables(records), *write_join_table(records), *write_plan_table(records),
            *write_prefilter_table(records), *write_unlike_table(records),
            *write_insert_tables(records)]
