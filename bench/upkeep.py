#!/usr/bin/env python3
#-------------------------------------------------------------------------
#
# upkeep.py
#	  What vacuum and vk_tune keep: recall, speed and size of changing indexes.
#
# Usage: bench/upkeep.py DSN TABLE [--rows N] [--queries N] [--parts drift,vacuum,refill]
#
# NOTES
#	  TABLE has columns id and v (f32vec), as measure.py loads SIFT or text768;
#	  it is copied, never changed.
#
#	  drift: an index over the third of the rows that is nearest to one of them; then
#	  the others are inserted and the table is vacuumed.  The same rows with a fresh
#	  index stand beside it, queried in turns.
#	  vacuum: a fifth of the rows is deleted; vacuum with the index, less vacuum
#	  without it, is what the index takes.
#	  refill: all rows are deleted, vacuum, all rows inserted, ten times.
#
# IDENTIFICATION
#	  bench/upkeep.py
#
#-------------------------------------------------------------------------
import argparse
import statistics
import time

import psycopg

K = 10
ROUNDS = 3


def say(text):
    print(time.strftime("%H:%M:%S"), text, flush=True)


class Bench:
    def __init__(self, options):
        self.options = options
        self.connection = psycopg.connect(options.dsn, autocommit=True)
        kind, distance = self.one("""
            SELECT format_type(a.atttypid, a.atttypmod), (SELECT opcname FROM pg_opclass c JOIN pg_index i
                ON i.indclass[0] = c.oid WHERE i.indrelid = a.attrelid AND opcname LIKE 'f32vec%%' LIMIT 1)
            FROM pg_attribute a WHERE attrelid = %s::regclass AND attname = 'v'""", options.table)
        self.kind = kind
        self.opclass = distance or "f32vec_l2_ops"
        self.operator = {"l2": "<->", "ip": "<#>", "cosine": "<=>", "l1": "<+>"}[self.opclass.split("_")[1]]
        self.source = f"(SELECT id, v FROM {options.table} ORDER BY id LIMIT {options.rows}) s"
        self.run("SET maintenance_work_mem = '2GB'; SET jit = off; SET max_parallel_workers_per_gather = 0")

    def run(self, statement, *values):
        start = time.perf_counter()
        self.connection.execute(statement, values or None)
        return time.perf_counter() - start

    def one(self, query, *values):
        return self.connection.execute(query, values).fetchone()

    def make(self, table, where="true"):
        self.run(f"DROP TABLE IF EXISTS {table}")
        self.run(f"CREATE TABLE {table} (id int, v {self.kind}) WITH (autovacuum_enabled = off)")
        self.run(f"INSERT INTO {table} SELECT id, v FROM {self.source} WHERE {where}")

    def index(self, table, method="vkivf"):
        return self.run(f"CREATE INDEX {table}_v ON {table} USING {method} (v {self.opclass})")

    def size(self, table):
        return self.one("SELECT pg_relation_size(%s::regclass)", f"{table}_v")[0]

    def stats(self, table):
        return self.connection.cursor(row_factory=psycopg.rows.dict_row).execute(
            "SELECT * FROM vk_stats(%s::regclass)", (f"{table}_v",)).fetchone()

    # ---- queries

    def questions(self):
        return [row[0] for row in self.connection.execute(
            f"SELECT v::text FROM {self.options.table} ORDER BY id DESC LIMIT {self.options.queries}")]

    def nearest(self, table, question):
        return {row[0] for row in self.connection.execute(
            f"SELECT id FROM {table} ORDER BY v {self.operator} '{question}' LIMIT {K}", prepare=False)}

    def truth(self, table, questions):
        self.run("SET vkindex.target_recall = 1")
        right = [self.nearest(table, question) for question in questions]
        self.run("RESET vkindex.target_recall")
        return right

    def measure(self, tables, questions, right):
        """Mean recall of each table, and median of the mean times of rounds, in turns."""
        recall, times = {}, {table: [] for table in tables}
        for _ in range(ROUNDS):
            for table in tables:
                start = time.perf_counter()
                found = [self.nearest(table, question) for question in questions]
                times[table].append((time.perf_counter() - start) / len(questions))
                recall[table] = statistics.mean(
                    len(a & b) / K for a, b in zip(found, right))
        return {table: (recall[table], statistics.median(times[table]) * 1e3) for table in tables}

    def work(self, table, questions):
        """What the scans themselves say, means over the questions: pages, rows, and of each question
        the least microseconds of ranking and of all (other load of the machine only adds to them)."""
        sums = [0.0] * 4
        for question in questions:
            scans = []
            for _ in range(ROUNDS):
                self.nearest(table, question)
                scans.append(self.one("SELECT pages, scanned, rank_us, rank_us + scan_us + fetch_us FROM vk_last_scan()"))
            sums = [a + min(b) for a, b in zip(sums, zip(*scans))]
        return [value / len(questions) for value in sums]

    # ---- parts

    def drift(self):
        anchor = self.one(f"SELECT v::text FROM {self.source} WHERE id = 5")[0]
        radius = self.one(f"""SELECT max(d) FROM (SELECT v {self.operator} '{anchor}' d FROM {self.source}
            ORDER BY d LIMIT {self.options.rows} / 3) nearest""")[0]
        near = f"v {self.operator} '{anchor}' <= {radius}"
        self.make("drift", near)
        built = self.one("SELECT count(*) FROM drift")[0]
        say(f"drift: built on {built} rows in {self.index('drift'):.1f} s")
        self.run("VACUUM drift")
        taken = self.run(f"INSERT INTO drift SELECT id, v FROM {self.source} WHERE NOT ({near})")
        rows = self.one("SELECT count(*) FROM drift")[0]
        say(f"drift: {rows - built} rows inserted, {(rows - built) / taken:.0f} a second")
        self.make("fresh")
        build = self.index("fresh")
        questions = self.questions()
        right = self.truth("fresh", questions)
        self.report("before vacuum", questions, right)
        taken = self.run("VACUUM drift")
        say(f"drift: vacuum {taken:.1f} s (CREATE INDEX of all rows {build:.1f} s)")
        self.report("after vacuum", questions, right)
        self.run("SELECT vk_tune('drift_v')")
        self.report("after vk_tune", questions, right)
        self.run("SELECT vk_check('drift_v', true)")

    def report(self, when, questions, right):
        figures = self.measure(("drift", "fresh"), questions, right)
        for table, (recall, ms) in figures.items():
            stats = self.stats(table)
            say(f"drift: {when}: {table}: recall {recall:.4f}, {ms:.3f} ms, {stats['lists']} lists,"
                f" largest {stats['list_max']}, {self.size(table) >> 20} MB")
            pages, rows, rank, total = self.work(table, questions)
            say(f"drift: {when}: {table}: {pages:.1f} pages, {rows:.0f} rows, ranking {rank:.1f} us, all scanning {total:.1f} us")
        say(f"drift: {when}: {figures['drift'][1] / figures['fresh'][1]:.2f} times the fresh one's time")

    def vacuum(self):
        self.make("bare")
        self.run("DELETE FROM bare WHERE id % 5 = 0")
        without = self.run("VACUUM (PARALLEL 0) bare")
        for method in ("vkflat", "vkivf"):
            self.make("dirty")
            self.index("dirty", method)
            self.run("DELETE FROM dirty WHERE id % 5 = 0")
            taken = self.run("VACUUM (PARALLEL 0) dirty")
            say(f"vacuum: {method}: {taken:.1f} s, without the index {without:.1f} s, the index {taken - without:.1f} s")
            self.run("SELECT vk_check('dirty_v', true)")
            self.run("DROP TABLE dirty")

    def refill(self):
        for method in ("vkflat", "vkivf"):
            self.make("refill")
            self.index("refill", method)
            fresh = self.size("refill")
            sizes = []
            for _ in range(10):
                self.run("DELETE FROM refill")
                self.run("VACUUM refill")
                self.run(f"INSERT INTO refill SELECT id, v FROM {self.source}")
                sizes.append(self.size("refill") / fresh)
            say(f"refill: {method}: times the fresh size: " + " ".join(f"{size:.3f}" for size in sizes))
            self.run("SELECT vk_check('refill_v', true)")


def main():
    parser = argparse.ArgumentParser(description="What upkeep keeps, measured.")
    parser.add_argument("dsn")
    parser.add_argument("table")
    parser.add_argument("--rows", type=int, default=1000000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--parts", default="drift,vacuum,refill")
    options = parser.parse_args()
    bench = Bench(options)
    for part in options.parts.split(","):
        getattr(bench, part)()


if __name__ == "__main__":
    main()
