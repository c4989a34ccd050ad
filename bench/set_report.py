#-------------------------------------------------------------------------
#
# set_report.py
#	  Figures and tables of recall, bandwidth, growth and cold caches.
#
# IDENTIFICATION
#	  bench/set_report.py
#
#-------------------------------------------------------------------------
import statistics

import curves
from suite_report import format_table, summarize

RECALL_OF = (1, 10, 100)		# neighbours


# --------------------------------------------------------------------- figures

def bandwidth_figures(records, data):
    """Bytes a second of the scan inside the server, and of plain reading."""
    rates = {line["case"]: line["qps"] for line in summarize(records, "bandwidth")
             if line["data"] == data}
    scanned = [r["bytes"] for r in records if r["kind"] == "scanned" and r["data"] == data]
    read = [r["bytes_per_second"] for r in records if r["kind"] == "read" and r["data"] == data]
    if not scanned or not read or not {"scan", "trivial"} <= rates.keys():
        return None
    seconds = 1 / rates["scan"] - 1 / rates["trivial"]
    return (scanned[0] / seconds, statistics.median(read)) if seconds > 0 else None


def cold_lines(records, data):
    """The engines' settings: medians of queries a second, and the recall."""
    rounds = {}
    for record in records:
        if record["kind"] == "cold" and record["data"] == data:
            rounds.setdefault((record["engine"], record["value"]), []).append(record)
    return [{"engine": engine, "value": value, "recall": runs[0]["recall"],
             "shared_buffers_mb": runs[0]["shared_buffers_mb"],
             "qps": statistics.median(run["qps"] for run in runs),
             "p50_us": statistics.median(run["p50_us"] for run in runs)}
            for (engine, value), runs in rounds.items()]


def recall_lines(records, data, k):
    """Ours with default options, and HNSW's share of poor queries at the same mean."""
    found = [r for r in records if r["kind"] == "recall" and r["data"] == data and r["k"] == k]
    ours = [r for r in found if r["engine"] == "vkivf"]
    points = sorted((r["recall"], r["below_80"]) for r in found if r["engine"] == "hnsw")
    return (ours[0], share_at(points, ours[0]["recall"])) if ours else (None, None)


def share_at(points, recall):
    """The share of poor queries at a mean recall, linear between two settings.

    None where all settings find more, or less.
    """
    for (low, many), (high, few) in zip(points, points[1:]):
        if low <= recall <= high:
            return many + (few - many) * ((recall - low) / (high - low) if high > low else 1)
    return None


def growth_points(records, data):
    """Rows, and microseconds inside the server."""
    lines = [line for line in summarize(records, "growth") if line["data"] == data]
    trivial = [line["qps"] for line in lines if line["case"] == "trivial"]
    times = [(int(line["case"]), 1e6 / line["qps"] - 1e6 / trivial[0]) for line in lines
             if line["case"] != "trivial"] if trivial else []
    return sorted((rows, time) for rows, time in times if time > 0)


# ---------------------------------------------------------------------- tables

def recall_table(records, data):
    rows = []
    for k in RECALL_OF:
        ours, theirs = recall_lines(records, data, k)
        if ours:
            rows.append([k, f"{ours['recall']:.4f}", f"{ours['below_80']:.2%}",
                         "" if theirs is None else f"{theirs:.2%}"])
    if rows:
        yield "Recall of vkivf with default options:"
        yield format_table(["k", "recall", "queries below 0.8", "of HNSW at that recall"], rows)


def bandwidth_table(records, data):
    figures = bandwidth_figures(records, data)
    if figures:
        scan, read = figures
        yield (f"vkflat's scan reads {scan / 1e9:.1f} GB a second inside the server, a core that "
               f"does nothing else {read / 1e9:.1f}.")


def growth_table(records, data):
    points = growth_points(records, data)
    recalls = {line["case"]: line.get("recall") for line in summarize(records, "growth")
               if line["data"] == data}
    if len(points) > 1:
        yield f"A query's time in the server grows with rows to the {curves.exponent(points):.2f}:"
        yield format_table(["rows", "in the server, us", "recall"], [
            [f"{rows:,}", f"{time:.0f}", f"{recalls[str(rows)]:.4f}"] for rows, time in points])


def cold_table(records, data):
    lines = cold_lines(records, data)
    if lines:
        yield "Nothing cached, shared_buffers at a quarter of the index:"
        yield format_table(
            ["engine", "setting", "recall", "queries a second", "p50 us", "shared_buffers, MB"],
            [[r["engine"], r["value"], f"{r['recall']:.4f}", f"{r['qps']:.4g}",
              f"{r['p50_us']:.0f}", r["shared_buffers_mb"]] for r in lines])


def write_set_tables(records, data):
    for table in (recall_table, bandwidth_table, growth_table, cold_table):
        yield from table(records, data)
