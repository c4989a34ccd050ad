#-------------------------------------------------------------------------
#
# report.py
#	  From the results' JSON lines to tables, bars met or not, and plots.
#
# Usage: report.py results.jsonl     writes report.md and the plots beside it
#
# IDENTIFICATION
#	  bench/report.py
#
#-------------------------------------------------------------------------
import json
import math
import pathlib
import statistics
import sys

import plots
import suite_report
from suite_report import bar, format_table

# bars, by set of data: how many times faster vkflat is to be
FLAT_BARS = {"sift": {"faiss": 4, "sequential": 40}, "text": {"faiss": 4, "sequential": 200}}
RECALL_BARS = {0.95: (0.94, 0.985), 0.99: (0.982, 1.0)}
HNSW_TIMES = 5					# queries a second at equal recall
HNSW_BUILD = 6					# times faster to build
HNSW_SIZE = 5					# times smaller
MEMORY_KB = 1024				# growth of a backend
WORK_MEM_KB = 4096


def summarize(records):
    """One line a setting: the median of the rounds, the recall of the first."""
    groups = {}
    for record in records:
        if record["kind"] == "measure":
            groups.setdefault((record["data"], record["engine"], record["value"]), []).append(record)
    lines = []
    for (data, engine, value), rounds in groups.items():
        line = {"data": data, "engine": engine, "value": value, "recall": None,
                "index_used": True, "short": 0}
        for record in rounds:
            line.update({key: record[key] for key in ("recall", "recall_p05", "index_used", "short")
                         if key in record})
        for key in ("qps", "p50_us", "p95_us", "p99_us"):
            line[key] = statistics.median(record[key] for record in rounds)
        line["best_qps"] = max(record["qps"] for record in rounds)
        lines.append(line)
    return lines


def of(lines, data, engine):
    return [line for line in lines if line["data"] == data and line["engine"] == engine]


def peer_rate(curve, recall):
    """A peer's queries a second at a recall: log-linear between two settings.

    None where the recall is above all that was measured; below all, the rate
    of its fastest setting, which has a higher recall and is no worse.
    """
    points = sorted((line["recall"], line["qps"]) for line in curve if line["recall"] is not None)
    if not points or recall > points[-1][0]:
        return None
    if recall <= points[0][0]:
        return points[0][1]
    for (low, slow), (high, fast) in zip(points, points[1:]):
        if low <= recall <= high:
            share = (recall - low) / (high - low) if high > low else 1.0
            return math.exp(math.log(slow) + share * (math.log(fast) - math.log(slow)))
    return None


# ------------------------------------------------------------------------ bars

def flat_bars(lines, data):
    flat = of(lines, data, "vkflat")
    for peer, times in FLAT_BARS.get(data, {}).items():
        other = of(lines, data, peer)
        if flat and other:
            ratio = flat[0]["qps"] / other[0]["qps"]
            yield bar(f"{data}: vkflat against {peer}", f"{ratio:.1f} times",
                      f"{times} times", ratio >= times)


def list_bars(lines, data):
    hnsw = of(lines, data, "hnsw")
    for line in of(lines, data, "vkivf"):
        if line["value"] not in RECALL_BARS or line["recall"] is None:
            continue
        low, high = RECALL_BARS[line["value"]]
        yield bar(f"{data}: vkivf recall at target {line['value']}", f"{line['recall']:.4f}",
                  f"{low} to {high}", low <= line["recall"] <= high)
        rate = peer_rate(hnsw, line["recall"])
        if rate:
            ratio = line["qps"] / rate
            yield bar(f"{data}: vkivf at target {line['value']} against hnsw at recall "
                      f"{line['recall']:.4f} ({rate:.0f} a second)", f"{ratio:.1f} times",
                      f"{HNSW_TIMES} times", ratio >= HNSW_TIMES)


def build_bars(records, data):
    built = {record["engine"]: record for record in records
             if record["kind"] == "build" and record["data"] == data}
    if "vkivf" not in built or "hnsw" not in built:
        return
    ours, theirs = built["vkivf"], built["hnsw"]
    if ours.get("seconds") and theirs.get("seconds"):
        most = theirs["seconds"] / HNSW_BUILD
        yield bar(f"{data}: vkivf build, serial", f"{ours['seconds']:.1f} s", f"{most:.1f} s",
                  ours["seconds"] <= most)
    most = theirs["size_mb"] / HNSW_SIZE
    yield bar(f"{data}: vkivf size", f"{ours['size_mb']:.0f} MB", f"{most:.0f} MB",
              ours["size_mb"] <= most)


def check_bars(records):
    for record in records:
        data, engine = record.get("data"), record.get("engine")
        if record["kind"] == "exact":
            yield bar(f"{data}: {engine} against the sequential plan, k = {record['k']}",
                      f"{record['wrong_rows']} wrong distances", "0", record["wrong_rows"] == 0)
        elif record["kind"] == "memory":
            yield bar(f"{data}: backend memory after {record['queries']} queries",
                      f"{record['growth_kb']} kB", f"below {MEMORY_KB} kB",
                      record["growth_kb"] < MEMORY_KB)
        elif record["kind"] == "close":
            name = f"close rows: {engine}, k = {record['k']}"
            if engine == "vkflat":
                yield bar(name, f"{record['wrong_rows']} wrong distances", "0",
                          record["wrong_rows"] == 0)
            else:
                yield bar(name, f"recall {record['recall']:.4f}", "0.94", record["recall"] >= 0.94)
            if record["peak_growth_kb"] is not None:
                yield bar(name + ", memory of the backend", f"{record['peak_growth_kb']} kB",
                          f"{WORK_MEM_KB} kB", record["peak_growth_kb"] <= WORK_MEM_KB)


def find_bars(records, lines):
    for data in dict.fromkeys(line["data"] for line in lines):
        yield from flat_bars(lines, data)
        yield from list_bars(lines, data)
        yield from build_bars(records, data)
    yield from check_bars(records)
    yield from suite_report.find_bars(records)


# ---------------------------------------------------------------------- output

def describe(run):
    machine, versions = run["machine"], run["versions"]
    return (f"{run['date']}, commit {run['commit']}{' with changes' if run['modified'] else ''}; "
            f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, Linux "
            f"{machine['kernel']}; " + ", ".join(f"{name} {value}" for name, value in versions.items())
            + "; " + ", ".join(f"{name} {value}" for name, value in run["settings"].items()))


def write_markdown(records, lines, bars, path):
    parts = ["# Measured", *(describe(record) for record in records if record["kind"] == "run")]
    for data in dict.fromkeys(r["data"] for r in lines + records if "data" in r):
        measured = [line for line in lines if line["data"] == data]
        built = {(r["engine"], r.get("table", "")): r for r in records
                 if r["kind"] == "build" and r["data"] == data}
        if built:
            parts += [f"## {data}", format_table(
                ["index", "table", "build, s", "private memory, MB", "size, MB"],
                [[r["engine"], r.get("table", ""), r.get("seconds", ""), r.get("peak_mb", ""), r["size_mb"]]
                 for r in built.values()])]
        if measured:
            parts.append(format_table(
                ["engine", "setting", "recall", "queries a second", "p50 us", "p95 us", "p99 us", ""],
                [[r["engine"], r["value"], "" if r["recall"] is None else f"{r['recall']:.4f}",
                  f"{r['qps']:.4g}", f"{r['p50_us']:.0f}", f"{r['p95_us']:.0f}",
                  f"{r['p99_us']:.0f}", "" if r["index_used"] else "not by the index"]
                 for r in measured]))
    parts += suite_report.write_tables(records)
    if bars:
        parts += ["## Bars", format_table(
            ["what", "measured", "wanted", "met"],
            [[b["text"], b["value"], b["wanted"], "yes" if b["met"] else "NO"] for b in bars])]
    failed = [record for record in records if record["kind"] == "failed"]
    if failed:
        parts += ["## Failed", format_table(
            ["data", "engine", "error"],
            [[r["data"], ": ".join(filter(None, (r.get("suite"), r["engine"], r.get("case")))),
              " ".join(r["error"].split())] for r in failed])]
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def write(records, folder):
    lines = summarize(records)
    bars = list(find_bars(records, lines))
    plots.write(records, lines, suite_report.summarize(records, "filters"), folder)
    write_markdown(records, lines, bars, folder / "report.md")


if __name__ == "__main__":
    results = pathlib.Path(sys.argv[1])
    write([json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()],
          results.parent)
