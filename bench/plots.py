#-------------------------------------------------------------------------
#
# plots.py
#	  Pictures of the results, for report.py: SVG and PNG, one style for all.
#
# NOTES
#	  An engine has one color and one name everywhere.  Of a set of data,
#	  <data>.svg is speed against recall of the 10 nearest by one connection
#	  (-k100 of the 100 nearest, -2 by two connections), <data>-latency.svg the
#	  percentiles, <data>-build.svg build time and size.  <data>-filters.svg
#	  comes from the suite of that name.
#
# IDENTIFICATION
#	  bench/plots.py
#
#-------------------------------------------------------------------------
import math

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, NullFormatter

import curves

# name and color of each engine, in the order of the pictures
ENGINES = {
    "vkivf": ("vkivf", "#0b6e4f"),
    "vkivf_attributes": ("vkivf, column in the index", "#0b6e4f"),
    "vkflat": ("vkflat (exact)", "#1f77b4"),
    "vkflat_attributes": ("vkflat, column in the index", "#1f77b4"),
    "hnsw": ("pgvector HNSW", "#d1495b"),
    "hnsw32": ("pgvector HNSW, 32/128", "#e28a95"),
    "ivfflat": ("pgvector IVFFlat", "#edae49"),
    "vchordrq": ("VectorChord vchordrq", "#00798c"),
    "diskann": ("pgvectorscale DiskANN", "#5f4bb6"),
    "sequential": ("pgvector, sequential scan", "#8d6a9f"),
    "faiss": ("FAISS IndexFlat, in process", "#6c757d"),
    "faiss_ivfpq": ("FAISS IVF-PQ, in process", "#343a40"),
    "faiss_rabitq": ("FAISS IVF-RaBitQ, in process", "#adb5bd"),
}
LIGHTER = {"vkivf": "#7fbfa4"}	# beside the same engine with its column in the index

SETS = {"sift": "SIFT, 1,000,000 × 128, L2", "text": "Text, 496,628 × 768, cosine",
        "textattr": "Text, 496,628 × 768, cosine"}

# settings whose latency is shown; None: the engine has one setting
LATENCY_OF = {"vkivf": (0.9, 0.95, 0.99), "hnsw": (40, 80, 160, 400), "hnsw32": (40, 160),
              "ivfflat": (10, 40), "vchordrq": (32, 64), "diskann": (80, 200),
              "faiss_ivfpq": ("32/4", "128/4"), "faiss_rabitq": ("32/10", "128/10")}
SETTING = {"vkivf": "target {}", "hnsw": "ef_search {}", "hnsw32": "ef_search {}",
           "ivfflat": "probes {}", "vchordrq": "probes {}", "diskann": "list size {}",
           "faiss_ivfpq": "probes {}", "faiss_rabitq": "probes {}"}

LEAST_RECALL = 0.8				# settings below are of no use
RECALL_TICKS = (0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)

STYLE = {
    "font.family": "DejaVu Sans", "font.size": 10, "axes.titlesize": 12,
    "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.spines.top": False,
    "axes.spines.right": False, "axes.edgecolor": "#888888", "axes.labelcolor": "#333333",
    "xtick.color": "#555555", "ytick.color": "#555555", "grid.color": "#e3e3e3",
    "axes.grid": True, "axes.axisbelow": True, "legend.frameon": False,
    "figure.facecolor": "white", "svg.fonttype": "path", "svg.hashsalt": "vkindex",
}


def name_of(engine):
    return ENGINES.get(engine, (engine, ""))[0]


def color_of(engine):
    return ENGINES.get(engine, ("", "#333333"))[1]


def plain(value):
    """1234.5 as 1,234; 0.25 as 0.25."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.3g}"


def milliseconds(microseconds):
    return plain(microseconds / 1000) + " ms"


def by_engine(lines):
    return sorted(lines, key=lambda line: list(ENGINES).index(line["engine"])
                  if line["engine"] in ENGINES else len(ENGINES))


def save(figure, folder, name):
    figure.tight_layout()
    for suffix, options in (("svg", {"metadata": {"Date": None}}), ("png", {"dpi": 150})):
        figure.savefig(folder / f"{name}.{suffix}", **options)
    plt.close(figure)


def log_axis(axis):
    """Plain numbers on the axis of a logarithmic scale."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: plain(value)))
    axis.set_minor_formatter(NullFormatter())


# ------------------------------------------------------------ speed and recall

def place(recall):
    """Where a recall stands: by the logarithm of what is missing, and 1 at the end."""
    return -math.log10(max(1 - recall, 5e-5))


def plot_recall(lines, title, k, connections, folder, name):
    figure, axes = plt.subplots(figsize=(7.5, 4.6))
    for engine in dict.fromkeys(line["engine"] for line in by_engine(lines)):
        own = [line for line in lines if line["engine"] == engine]
        points = curves.curve(own) or [(1.0, line["qps"]) for line in own]
        label = name_of(engine)
        # what is exact stands alone: nothing was measured between it and the rest
        for style, part in (("o-", [p for p in points if LEAST_RECALL <= p[0] < 1]),
                            ("D", [p for p in points if p[0] == 1])):
            if part:
                axes.plot([place(recall) for recall, _ in part], [rate for _, rate in part], style,
                          color=color_of(engine), label=label, linewidth=2,
                          markersize=5 if style == "o-" else 7)
                label = None
    axes.set_yscale("log")
    log_axis(axes.yaxis)
    axes.set_xticks([place(r) for r in RECALL_TICKS] + [place(1.0)],
                    [f"{r:g}" for r in RECALL_TICKS] + ["exact"])
    several = "one connection" if connections == 1 else f"{connections} connections"
    axes.set(xlabel=f"recall of the {k} nearest" if k > 1 else "recall of the nearest",
             ylabel=f"queries a second, {several}", title=title)
    axes.legend(loc="lower left", fontsize=8)
    save(figure, folder, name)


# ------------------------------------------------------------------ percentiles

def plot_latency(lines, data, title, folder):
    shown = [line for line in by_engine(lines)
             if line["value"] in LATENCY_OF.get(line["engine"], (line["value"],))]
    if not shown:
        return
    figure, axes = plt.subplots(figsize=(7.5, 0.9 + 0.36 * len(shown)))
    for row, line in enumerate(reversed(shown)):
        color, times = color_of(line["engine"]), [line[p] for p in ("p50_us", "p95_us", "p99_us")]
        axes.plot(times, [row] * 3, "-", color=color, linewidth=2, alpha=0.5)
        for time, marker in zip(times, "o|d"):
            axes.plot([time], [row], marker, color=color, markersize=8 if marker == "|" else 6,
                      markeredgewidth=2 if marker == "|" else 0)
        axes.annotate(milliseconds(times[0]), (times[0], row), xytext=(0, 6), fontsize=8,
                      textcoords="offset points", ha="center", color="#333333")
    labels = [name_of(line["engine"]) + (
        ", " + SETTING[line["engine"]].format(line["value"]) if line["engine"] in SETTING else "")
        for line in reversed(shown)]
    axes.set_yticks(range(len(shown)), labels)
    axes.set_ylim(-0.6, len(shown) - 0.2)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: milliseconds(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("p50 (dot, and its value), p95 (bar), p99 (diamond)", fontsize=9)
    axes.set_title(title)
    save(figure, folder, f"{data}-latency")


# -------------------------------------------------------------- build and size

def plot_build(records, data, title, folder):
    built = {record["engine"]: record for record in records
             if record["kind"] == "build" and record["data"] == data
             and not record.get("table", "").startswith("growth_")}
    shown = by_engine(built.values())
    if not shown:
        return
    figure, panels = plt.subplots(1, 2, figsize=(7.5, 0.9 + 0.45 * len(shown)), sharey=True)
    for axes, key, unit, label in ((panels[0], "seconds", "s", "build"),
                                     (panels[1], "size_mb", "MB", "size of the index")):
        for row, record in enumerate(reversed(shown)):
            value = record.get(key)
            if not value:
                continue
            axes.barh(row, value, color=color_of(record["engine"]), height=0.6)
            axes.annotate(f"{plain(value)} {unit}", (value, row), xytext=(4, 0), va="center",
                          textcoords="offset points", fontsize=9, color="#333333")
        axes.set_yticks(range(len(shown)), [name_of(r["engine"]) for r in reversed(shown)])
        axes.set_xlim(right=axes.get_xlim()[1] * 1.18)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel(f"{label}, {unit}")
    panels[0].set_title(title)
    save(figure, folder, f"{data}-build")


# --------------------------------------------------------------------- filters

def condition(case, share):
    """A condition on several lines, with the share of the rows that pass."""
    for word in (" AND ", " BETWEEN ", " = '"):
        case = case.replace(word, "\n" + word.lstrip())
    return case + ("" if share is None else f"\n{100 * share:.1f} %")


def plot_filters(summaries, shares, folder):
    """Queries a second by condition; summaries are the lines of the suite."""
    cases = sorted({line["case"] for line in summaries}, key=lambda case: -shares.get(case, 0))
    engines = [engine for engine in ENGINES if any(l["engine"] == engine for l in summaries)]
    if not cases:
        return
    figure, axes = plt.subplots(figsize=(7.5, 4.2))
    width = 0.8 / len(engines)
    for number, engine in enumerate(engines):
        rates = {line["case"]: line["qps"] for line in summaries if line["engine"] == engine}
        twice = engine + "_attributes" in engines
        axes.bar([i + (number - (len(engines) - 1) / 2) * width for i in range(len(cases))],
                 [rates.get(case, 0) for case in cases], width * 0.92,
                 color=LIGHTER.get(engine, color_of(engine)) if twice else color_of(engine),
                 label=name_of(engine) + (", column in the table only" if twice else ""))
    axes.set_yscale("log")
    log_axis(axes.yaxis)
    axes.set_xticks(range(len(cases)), [condition(case, shares.get(case)) for case in cases],
                    fontsize=8)
    axes.grid(axis="x", visible=False)
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top * 5)
    axes.set(ylabel="queries a second, one connection", title="10 nearest with a condition; text")
    axes.legend(loc="upper right", ncols=2, fontsize=9)
    data = summaries[0]["data"]
    save(figure, folder, f"{data}-filters")


def write(records, lines, filters, folder):
    """All pictures that the results allow."""
    with plt.rc_context(STYLE):
        titles = SETS | {r["data"]: r["title"] for r in records if r["kind"] == "set"
                         if r["data"] not in SETS}
        for data in dict.fromkeys(line["data"] for line in lines):
            measured = [line for line in lines if line["data"] == data
                        and line["engine"] != "trivial"]
            title = titles.get(data, data)
            for k, connections in sorted({(line["k"], line["connections"]) for line in measured}):
                name = data + (f"-k{k}" if k != 10 else "") + \
                    (f"-{connections}" if connections > 1 else "")
                plot_recall(curves.select(measured, k=k, connections=connections), title, k,
                            connections, folder, name)
            plot_latency(curves.select(measured, k=10, connections=1), data, title, folder)
            plot_build(records, data, title, folder)
        shares = {r["case"]: r["share"] for r in records
                  if r["kind"] == "condition" and r.get("suite") == "filters"}
        plot_filters([line for line in filters if "qps" in line], shares, folder)
