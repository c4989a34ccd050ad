#!/usr/bin/env python3
"""Load the passages, build both indexes, search, and measure; started by demo/run."""

import argparse
import concurrent.futures
import json
import lzma
import os
import struct
import sys
import textwrap
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format
from psycopg.types import TypeInfo

from embed import Projection, embedded_text, first_sentence

DATA = Path(__file__).parent / "data"
NEIGHBOURS = 10
ROUNDS = 3
TARGETS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
DEFAULT_TARGET = 0.95
LEAST_RECALL = 0.90         # of vkivf at the default target, before the demo calls it a failure

QUESTIONS = (
    "dump a database to a file and restore it",
    "prevent transaction ID wraparound",
    "make a column unique",
    "log slow statements",
    "promote a standby server",
)
# with a condition on another column, which is in the index, and within a distance
CONDITIONS = (
    ("WHERE title = 'ALTER TABLE'", "make a column unique"),
    ("WHERE embedding <=> %(query)s < 0.4", "prevent transaction ID wraparound"),
)

SCHEMA = """
CREATE EXTENSION vkindex;
CREATE TABLE passages (
    id        integer PRIMARY KEY,
    title     text,
    section   text,
    body      text,
    embedding f32vec(384)
);
"""
# In the row, not in a TOAST table: the fastest that a sequential scan can be.
STORAGE = "ALTER TABLE passages ALTER embedding SET STORAGE PLAIN"
# An index would compete with the other on one column, so each has its own table.
COPY_OF_TABLE = """
CREATE TABLE passages_exact (LIKE passages INCLUDING STORAGE);
INSERT INTO passages_exact SELECT * FROM passages ORDER BY id;
"""
CREATE_IVF = """
CREATE INDEX passages_ivf ON passages USING vkivf (embedding f32vec_cosine_ops, title)"""
CREATE_FLAT = """
CREATE INDEX passages_flat ON passages_exact USING vkflat (embedding f32vec_cosine_ops)"""

SEARCH = """SELECT title, section, body, embedding <=> %(query)s AS distance
FROM passages {where}
ORDER BY embedding <=> %(query)s LIMIT {limit}"""
MEASURED = f"""SELECT id, embedding <=> %(query)s AS distance
FROM {{table}} ORDER BY embedding <=> %(query)s LIMIT {NEIGHBOURS}"""
PROGRESS = """SELECT phase, blocks_done, blocks_total, tuples_done, tuples_total
FROM pg_stat_progress_create_index"""


# ------------------------------------------------------------------ output

def status(text):
    """Show text on the terminal's current line, until the next status or line."""
    if sys.stdout.isatty():
        print(f"\r\033[K  {text[:96]}", end="", flush=True)


def line(text=""):
    if sys.stdout.isatty():
        print("\r\033[K", end="")
    print(text, flush=True)


def timed_line(text, seconds):
    line(f"  {text:<62} {seconds:5.1f} s")


def statement(sql):
    for row in sql.strip().split("\n"):
        line("    " + row.strip())


# ---------------------------------------------------------------- database

class Vector:
    """A query or a row in f32vec's wire form: dimensions, zero, big-endian floats."""

    def __init__(self, values):
        self.wire = struct.pack(">HH", len(values), 0) + values.astype(">f4").tobytes()


class VectorDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj):
        return obj.wire


def connect(host):
    return psycopg.connect(host=host, user="postgres", dbname="postgres", autocommit=True)


def register_vector(db):
    """Teach a connection to send Vector, whose type has another OID in every database."""
    info = TypeInfo.fetch(db, "f32vec")
    info.register(db)
    db.adapters.register_dumper(Vector, type("F32VecDumper", (VectorDumper,), {"oid": info.oid}))


def read_lines(name):
    with lzma.open(DATA / name, "rt", encoding="utf-8") as rows:
        return [json.loads(row) for row in rows]


def load(db):
    """Create the table and copy the passages with their embeddings into it."""
    start = time.perf_counter()
    passages = read_lines("passages.jsonl.xz")
    embeddings = np.load(DATA / "embeddings.npy").astype(np.float32)
    db.execute(SCHEMA)
    db.execute(STORAGE)
    register_vector(db)
    with db.cursor() as cursor, cursor.copy("COPY passages FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(["int4", "text", "text", "text", "f32vec"])
        for i, (passage, embedding) in enumerate(zip(passages, embeddings), 1):
            copy.write_row((i, passage["title"], passage["section"], passage["body"],
                            Vector(embedding)))
            if i % 1000 == 0:
                status(f"loading {i:,} of {len(passages):,} passages")
    db.execute(COPY_OF_TABLE)
    # two statements: VACUUM refuses to share one with others
    db.execute("VACUUM ANALYZE passages")
    db.execute("VACUUM ANALYZE passages_exact")
    timed_line(f"{len(passages):,} passages with embeddings of {embeddings.shape[1]} dimensions",
               time.perf_counter() - start)


def build(db, watcher, sql):
    """Create an index, with its progress on the terminal; return the seconds it took."""
    statement(sql)
    start = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        job = pool.submit(db.execute, sql)
        try:
            while not concurrent.futures.wait([job], timeout=0.1).done:
                for phase, blocks, all_blocks, rows, all_rows in watcher.execute(PROGRESS):
                    done, total = (rows, all_rows) if all_rows else (blocks, all_blocks)
                    status(f"{phase}: {done:,} of {total:,}" if total else phase)
        except KeyboardInterrupt:
            db.cancel()
            raise
        job.result()
    seconds = time.perf_counter() - start
    timed_line("built", seconds)
    return seconds


# ------------------------------------------------------------------ search

def show_search(where):
    """Print the statement that search runs."""
    line()
    statement(SEARCH.format(where=where, limit="k").replace("%(query)s", "$1"))


def search(db, projection, question, limit, where=""):
    """Answer a question and print the passages found."""
    line()
    line(f"  ? {question}")
    vector = projection.embed(question)
    if vector is None:
        line("    none of these words is in the documentation: no answer")
        return
    rows = db.execute(SEARCH.format(where=where, limit=limit), {"query": Vector(vector)}).fetchall()
    for title, section, body, distance in rows:
        heading = title if section == title else f"{title} > {section}"
        line(f"    {distance:.3f}  {textwrap.shorten(heading, 88, placeholder=' ...')}")
        for row in textwrap.wrap(textwrap.shorten(body, 164, placeholder=" ..."), 88):
            line("           " + row)


def show_last_scan(db):
    """Print what the extension says of the scan before, in lines of a terminal's width."""
    cursor = db.execute("SELECT * FROM vk_last_scan()")
    row = cursor.fetchone()
    pairs = [f"{column.name} {value:g}" if isinstance(value, float) else f"{column.name} {value}"
             for column, value in zip(cursor.description, row or ()) if value is not None]
    line()
    line("  the last of these scans, by vk_last_scan():")
    for text in textwrap.wrap(", ".join(pairs), 92):
        line("    " + text)


# ----------------------------------------------------------------- measure

@dataclass
class Method:
    """A way to answer the measured statement, on a connection of its own."""

    name: str
    db: psycopg.Connection
    table: str
    index: str | None
    build_seconds: float = 0.0
    milliseconds: list = field(default_factory=list)
    distances: list = field(default_factory=list)

    def run(self, vector):
        """Run the statement once; return its milliseconds and its distances."""
        start = time.perf_counter()
        rows = self.db.execute(MEASURED.format(table=self.table), {"query": vector},
                               prepare=True, binary=True).fetchall()
        return (time.perf_counter() - start) * 1000, [distance for _, distance in rows]

    def planned_index(self, vector):
        """Return the index in the statement's plan, or None."""
        plan = self.db.execute("EXPLAIN (FORMAT JSON) " + MEASURED.format(table=self.table),
                               {"query": vector}).fetchone()[0]
        node = plan[0]["Plan"]
        while "Plans" in node:
            node = node["Plans"][0]
        return node.get("Index Name")

    def index_size(self):
        return self.db.execute("SELECT pg_relation_size(%s::regclass)", (self.index,)).fetchone()[0]

    def median(self):
        return float(np.median(self.milliseconds))


def recall(found, truth):
    """The mean share of the true neighbours found; a row as near as the last one counts."""
    return float(np.mean([sum(d <= exact[-1] for d in got) / len(exact)
                          for got, exact in zip(found, truth)]))


def measure(methods, vectors):
    """Run every query by every method, in turn, ROUNDS times after one to warm up."""
    for turn in range(ROUNDS + 1):
        for i, vector in enumerate(vectors):
            for j in range(len(methods)):
                method = methods[(i + j + turn) % len(methods)]
                milliseconds, distances = method.run(vector)
                if turn == 0:
                    method.distances.append(distances)
                else:
                    method.milliseconds.append(milliseconds)
            if i % 20 == 0:
                done = (turn * len(vectors) + i) / ((ROUNDS + 1) * len(vectors))
                status(f"measuring: {done:.0%}")


def measure_curve(method, vectors, truth):
    """Return (target, recall, median milliseconds) of vkivf at each declared recall."""
    found = {target: [] for target in TARGETS}
    spent = {target: [] for target in TARGETS}
    for turn in range(2):
        for target in TARGETS if turn == 0 else reversed(TARGETS):
            status(f"measuring vkivf at target_recall {target}")
            method.db.execute(f"SET vkindex.target_recall = {target}")
            answers = [method.run(vector) for vector in vectors]
            found[target] = [distances for _, distances in answers]
            spent[target] += [milliseconds for milliseconds, _ in answers]
    method.db.execute("RESET vkindex.target_recall")
    return [(t, recall(found[t], truth), float(np.median(spent[t]))) for t in TARGETS]


def print_table(methods, truth):
    line(f"  {'method':<18}{'recall@10':>10}{'median':>12}{'p95':>12}{'vs scan':>10}"
         f"{'index size':>13}{'build':>9}")
    for method in methods:
        size = f"{method.index_size() / 1e6:.1f} MB" if method.index else "-"
        built = f"{method.build_seconds:.1f} s" if method.index else "-"
        line(f"  {method.name:<18}{recall(method.distances, truth):>10.3f}"
             f"{method.median():>9.2f} ms{np.percentile(method.milliseconds, 95):>9.2f} ms"
             f"{methods[0].median() / method.median():>9.1f}x{size:>13}{built:>9}")


def print_curve(curve):
    line()
    line("  vkivf, SET vkindex.target_recall = ...")
    line("  " + f"{'target':<18}" + "".join(f"{target:>9g}" for target, _, _ in curve))
    line("  " + f"{'recall@10':<18}" + "".join(f"{got:>9.3f}" for _, got, _ in curve))
    line("  " + f"{'median, ms':<18}" + "".join(f"{median:>9.2f}" for _, _, median in curve))


def plot(curve, methods, out):
    """Draw recall against latency as PNG and SVG."""
    os.environ.setdefault("MPLBACKEND", "Agg")
    import matplotlib.pyplot as pyplot

    out.mkdir(parents=True, exist_ok=True)
    figure, axes = pyplot.subplots(figsize=(7.5, 4.5), layout="constrained")
    axes.plot([r for _, r, _ in curve], [m for _, _, m in curve], "o-", color="tab:blue",
              label="vkivf, target_recall as labelled")
    for target, got, median in curve:
        axes.annotate(f"{target:g}", (got, median), textcoords="offset points", xytext=(0, 7),
                      ha="center", fontsize=8)
    for method, marker, color in ((methods[1], "D", "tab:green"), (methods[0], "s", "tab:gray")):
        axes.plot([1.0], [method.median()], marker, color=color, label=method.name)
    axes.set(xlabel="recall@10 (share of the true ten nearest)", ylabel="median latency, ms",
             yscale="log", title="PostgreSQL's documentation, 384 dimensions, cosine")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:.2g}")
    axes.tick_params(axis="y", which="minor", labelsize=7)
    axes.grid(True, which="both", alpha=0.3)
    axes.legend()
    for suffix in ("png", "svg"):
        figure.savefig(out / f"recall.{suffix}", dpi=150)
    return [out / "recall.png", out / "recall.svg"]


# -------------------------------------------------------------------- main

def judge(methods, truth, vector):
    """Return what is wrong with the outcome, a sentence each."""
    scan, flat, ivf = methods
    wrong = []
    for method in methods:
        planned = method.planned_index(vector)
        if planned != method.index:
            wrong.append(f"{method.name}: the plan uses {planned or 'no index'}")
    differing = sum(got != exact for got, exact in zip(flat.distances, truth))
    if differing:
        wrong.append("vkflat differs from the sequential scan in "
                     f"{differing} of {len(truth)} queries")
    if recall(ivf.distances, truth) < LEAST_RECALL:
        wrong.append(f"vkivf's recall is below {LEAST_RECALL}")
    for method in (flat, ivf):
        if method.median() >= scan.median():
            wrong.append(f"{method.name} is no faster than the sequential scan")
    return wrong


def compare(methods, passages, sentences, out):
    """Measure all, print and draw it; return what is wrong, a sentence each."""
    line()
    line(f"Comparing on {len(passages)} passages that were held out of the table")
    measure(methods, passages)
    truth = methods[0].distances
    print_table(methods, truth)
    curve = measure_curve(methods[2], passages, truth)
    print_curve(curve)
    line()
    status("measuring on first sentences")
    answers = [[method.run(vector)[1] for vector in sentences] for method in methods]
    line("  Their first sentences alone are less like the rows that the declared recall is for;")
    line(f"  on those recall@10 is {recall(answers[1], answers[0]):.3f} for vkflat and "
         f"{recall(answers[2], answers[0]):.3f} for vkivf.")
    line()
    status("drawing")
    for path in plot(curve, methods, out):
        line(f"  {path}")
    return judge(methods, truth, passages[0])


def vectors_of(projection, texts):
    return [Vector(values) for values in map(projection.embed, texts) if values is not None]


def show(options):
    """The whole demo on a server that runs; return what is wrong, a sentence each."""
    projection = Projection.load(DATA / "projection.npz")
    db = connect(options.host)
    with connect(options.host) as watcher:
        line()
        line("Loading passages of PostgreSQL's documentation")
        load(db)
        line()
        line("Building the indexes")
        ivf_seconds = build(db, watcher, CREATE_IVF)
        flat_seconds = build(db, watcher, CREATE_FLAT)

    line()
    line("Searching")
    show_search("")
    if options.query:
        search(db, projection, options.query, 5)
    for question in QUESTIONS:
        search(db, projection, question, 3)
    for where, question in CONDITIONS:
        show_search(where)
        search(db, projection, question, 4, where)
    show_last_scan(db)

    methods = [Method("sequential scan", connect(options.host), "passages", None),
               Method("vkflat, exact", connect(options.host), "passages_exact", "passages_flat",
                      flat_seconds),
               Method(f"vkivf, {DEFAULT_TARGET}", connect(options.host), "passages",
                      "passages_ivf", ivf_seconds)]
    for method in methods:
        register_vector(method.db)
    methods[0].db.execute("SET enable_indexscan = off")
    held_out = read_lines("held_out.jsonl.xz")
    return compare(methods, vectors_of(projection, map(embedded_text, held_out)),
                   vectors_of(projection, map(first_sentence, held_out)), options.out)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", required=True, help="folder of the server's Unix socket")
    parser.add_argument("--out", type=Path, required=True, help="folder for the plots")
    parser.add_argument("--query", default="", help="a question to answer first")
    options = parser.parse_args()
    start = time.perf_counter()
    try:
        wrong = show(options)
    except psycopg.Error as error:
        wrong = [str(error).strip().split("\n")[0]]
    except Exception as error:
        traceback.print_exc()
        wrong = [f"{type(error).__name__}: {error}"]
    except KeyboardInterrupt:
        line("demo: interrupted")
        return 130
    line()
    if wrong:
        line("demo: FAILED " + "; ".join(wrong))
        return 1
    line(f"demo: OK both indexes answer, vkflat as the sequential scan does "
         f"({time.perf_counter() - start:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
