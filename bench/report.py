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
import pathlib
import sys

import bars
import curves
import plots
import set_report
import suite_report
from suite_report import bar, format_table

MEMORY_KB = 1024				# growth of a backend
WORK_MEM_KB = 4096

OWN = ("vkflat", "vkivf")
PRICE, RECALLS = 0.05, "0.95,0.99"	# of a run that does not say


# ------------------------------------------------------------------------ bars

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
    yield from bars.find_bars(records, lines)
    yield from check_bars(records)
    yield from suite_report.find_bars(records)


# ---------------------------------------------------------------------- output

def describe(run):
    machine, versions = run["machine"], run["versions"]
    return (f"{run['date']}, commit {run['commit']}{' with changes' if run['modified'] else ''}; "
            f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, Linux "
            f"{machine['kernel']}; " + ", ".join(f"{name} {value}" for name, value in versions.items())
            + "; " + ", ".join(f"{name} {value}" for name, value in run["settings"].items()))


def figure(value, form):
    return "" if value is None else format(value, form)


def build_table(records, data):
    built = {(r["engine"], r.get("table", "")): r for r in records
             if r["kind"] == "build" and r["data"] == data}
    if built:
        yield format_table(
            ["index", "table", "build, s", "peak memory, MB", "WAL, MB", "size, MB"],
            [[r["engine"], r.get("table", ""), r.get("seconds", ""), figure(r.get("peak_mb"), ".1f"),
              figure(r.get("wal_mb"), ".1f"), r["size_mb"]] for r in built.values()])


def speed_tables(lines, data, options):
    """Every setting, a table for each k and number of connections."""
    for k, connections in combinations(lines, data):
        rates = curves.Rates(lines, data, k, connections)
        yield f"### {data}: the nearest {k}, {connections} connection{'s' * (connections > 1)}"
        yield from equal_recall_table(rates, options)
        yield format_table(
            ["engine", "setting", "recall", "below 0.8", "queries a second", "p50 us", "p95 us",
             "p99 us", "in the server, us", "a million cost", ""],
            [[r["engine"], r["value"], figure(r["recall"], ".4f"), figure(r.get("below_80"), ".3f"),
              f"{r['qps']:.4g}", f"{r['p50_us']:.0f}", f"{r['p95_us']:.0f}", f"{r['p99_us']:.0f}",
              in_server(rates, r["engine"], r["qps"]), f"{rates.cost(r['qps'], options['price']):.4f}",
              "" if r["index_used"] else "not by the index"] for r in rates.lines])


def in_server(rates, engine, rate):
    """Microseconds; of what runs without a server there are none."""
    if engine == "trivial" or engine.startswith("faiss"):
        return ""
    return figure(rates.inside_us(rate), ".0f")


def equal_recall_table(rates, options):
    """Queries a second at each recall, between the settings that were measured."""
    rows = []
    for engine in rates.engines:
        if engine in ("trivial", "sequential", "faiss", "vkflat"):
            continue
        for recall in options["recalls"]:
            rate, ours = rates.at(engine, recall), rates.at("vkivf", recall)
            rows.append([engine, recall] + (["beyond it"] + [""] * 3 if rate is None else
                        [f"{rate:.4g}", "" if engine in OWN or not ours else f"{ours / rate:.2f}",
                         in_server(rates, engine, rate), f"{rates.cost(rate, options['price']):.4f}"]))
    if rows:
        yield "At equal recall:"
        yield format_table(["engine", "recall", "queries a second", "vkivf is faster, times",
                            "in the server, us", "a million cost"], rows)


def combinations(lines, data):
    return sorted({(line["k"], line["connections"]) for line in lines if line["data"] == data})


def options_of(records):
    """What the tables need of the run's options."""
    options = next((r["options"] for r in records if r["kind"] == "run"), {})
    recalls = options.get("recalls", RECALLS).strip("[]").split(",")
    return {"price": float(options.get("price", PRICE)), "recalls": [float(r) for r in recalls]}


def write_markdown(records, lines, found, path):
    options = options_of(records)
    parts = ["# Measured", *(describe(record) for record in records if record["kind"] == "run")]
    if lines:
        parts.append(f"Costs are at {options['price']} for a core and hour. Time in the server is "
                     "that of a query less that of a trivial one by the same client.")
    for data in dict.fromkeys(r["data"] for r in lines + records if "data" in r):
        tables = [*build_table(records, data), *speed_tables(lines, data, options),
                  *set_report.write_set_tables(records, data)]
        parts += [f"## {data}", *tables] if tables else []
    parts += suite_report.write_tables(records)
    if found:
        verdict = {True: "yes", False: "NO", None: ""}
        parts += ["## Bars", f"{sum(b['met'] is True for b in found)} met, "
                  f"{sum(b['met'] is False for b in found)} not met, "
                  f"{sum(b['met'] is None for b in found)} not measured.",
                  format_table(["what", "measured", "wanted", "met"],
                               [[b["text"], b["value"], b["wanted"], verdict[b["met"]]]
                                for b in found])]
    failed = [record for record in records if record["kind"] == "failed"]
    if failed:
        parts += ["## Failed", format_table(
            ["data", "engine", "error"],
            [[r["data"], ": ".join(filter(None, (r.get("suite"), r["engine"], r.get("case")))),
              " ".join(r["error"].split())] for r in failed])]
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def write(records, folder):
    lines = curves.summarize(records)
    found = list(find_bars(records, lines))
    plots.write(records, lines, suite_report.summarize(records, "filters"), folder)
    write_markdown(records, lines, found, folder / "report.md")


if __name__ == "__main__":
    results = pathlib.Path(sys.argv[1])
    write([json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()],
          results.parent)
