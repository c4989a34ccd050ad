#!/usr/bin/env python3
#-------------------------------------------------------------------------
#
# batch.py
#	  Many queries in one call, beside single queries, FAISS and rustcluster.
#
# Usage: bench/batch.py [--conninfo C] [--data-dir D] [--sift F] [--text F]
#                       [--pad DIM] [--rounds N] [--cases WORD,...]
#
# NOTES
#	  Needs a server with vkindex, whose superuser the connection is, and whose
#	  processes run on this machine; numpy, psycopg and, as peers, faiss and (for
#	  graphs, if it is there) rustcluster.  A database is made for each set where
#	  it is missing: batch_sift_100k.
#
#	  --pad gives the texts' vectors more dimensions, zeros: FAISS and the tiles do
#	  the work of vectors that long, as codes are of rotated vectors.
#
#	  Everything runs on one thread, and what counts is the time that the CPU
#	  worked for it: of the backend as the kernel accounts it, of FAISS as its
#	  process does.  That is the time of an idle machine, on a busy one too.  Of
#	  several rounds the best counts; contestants take turns.
#
#	  Single queries are those of a LATERAL join: one statement, no protocol.
#	  Every answer is compared: exact ones distance by distance with the single
#	  queries', or with FAISS within the rounding of floats.  Of graphs the
#	  neighbors of some rows are counted by the plain operator too.
#
# IDENTIFICATION
#	  bench/batch.py
#
#-------------------------------------------------------------------------
import argparse
import os
import sys
import time

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np  # noqa: E402  (after the number of threads is set)
import psycopg  # noqa: E402

try:
    import faiss
    faiss.omp_set_num_threads(1)
except ImportError:
    faiss = None

try:
    import rustcluster
except ImportError:
    rustcluster = None

K = 10
CHECKED = 50            # rows of a graph whose neighbors are counted one by one
FAISS_QUERIES = 2000    # a call of range_search: half of all pairs need memory
CPU = "SELECT split_part(pg_read_file('/proc/thread-self/schedstat'), ' ', 1)::float8 / 1e9"


def read_fvecs(path):
    raw = np.fromfile(path, dtype=np.int32)
    return raw.reshape(-1, raw[0] + 1)[:, 1:].view(np.float32)


def mixed_queries(base, count, normalize):
    """Queries where the set has too few: rows, each mixed with another one."""
    other = base[(np.arange(count) * 7919 + 13) % len(base)]
    queries = base[:count] + np.float32(0.7) * other
    return queries / np.linalg.norm(queries, axis=1, keepdims=True) if normalize else queries


def copy_rows(vectors):
    """Rows of (int, f32vec) as binary COPY reads them."""
    dim = vectors.shape[1]
    row = np.dtype([("fields", ">i2"), ("id_size", ">i4"), ("id", ">i4"), ("size", ">i4"), ("dim", ">i2"),
                    ("unused", ">i2"), ("elements", ">f4", (dim,))])
    yield b"PGCOPY\n\xff\r\n\0" + bytes(8)
    for first in range(0, len(vectors), 1000):
        part = vectors[first:first + 1000]
        rows = np.zeros(len(part), row)
        rows["fields"], rows["id_size"], rows["size"], rows["dim"] = 2, 4, 4 + 4 * dim, dim
        rows["id"] = np.arange(first, first + len(part))
        rows["elements"] = part
        yield rows.tobytes()
    yield b"\xff\xff"


class Database:
    """One set of vectors in a database of its own, with its indexes."""

    def __init__(self, conninfo, name, base, queries, operator, indexes):
        self.operator = operator
        self.base = base
        self.queries = queries
        name = "batch_" + name.replace("-", "_")
        with psycopg.connect(conninfo, autocommit=True) as admin:
            fresh = admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() is None
            if fresh:
                admin.execute(f"CREATE DATABASE {name}")
        self.connection = psycopg.connect(conninfo, dbname=name, autocommit=True)
        if fresh:
            self.load(indexes)
        for setting in ("jit = off", "max_parallel_workers_per_gather = 0", "work_mem = '64MB'",
                        "enable_seqscan = off"):
            self.connection.execute("SET " + setting)

    def load(self, indexes):
        dim = self.base.shape[1]
        self.connection.execute("CREATE EXTENSION vkindex")
        for name, vectors in [("queries", self.queries)] + [("t_" + index, self.base) for index in indexes]:
            self.connection.execute(f"CREATE TABLE {name} (id int, v f32vec({dim}))")
            with self.connection.cursor().copy(f"COPY {name} FROM STDIN (FORMAT binary)") as copy:
                for part in copy_rows(vectors):
                    copy.write(part)
        for index, definition in indexes.items():
            self.connection.execute(f"CREATE INDEX {index} ON t_{index} {definition}")
        self.connection.execute("VACUUM ANALYZE")

    def timed(self, sql):
        """Seconds of the backend's CPU, and the answer."""
        before = self.connection.execute(CPU).fetchone()[0]
        rows = self.connection.execute(sql).fetchall()
        return self.connection.execute(CPU).fetchone()[0] - before, rows

    def batch(self, index, count):
        return self.timed(f"""
            SELECT query - 1, array_agg(distance ORDER BY rank)
            FROM (SELECT array_agg(v ORDER BY id) AS q FROM queries WHERE id < {count}) q,
                vk_knn_batch('{index}', q, {K}) GROUP BY 1 ORDER BY 1""")

    def single(self, index, count):
        return self.timed(f"""
            SELECT id, (SELECT array_agg(d ORDER BY d) FROM (
                SELECT t.v {self.operator} q.v AS d FROM t_{index} t ORDER BY t.v {self.operator} q.v LIMIT {K}) s)
            FROM queries q WHERE id < {count} ORDER BY id""")

    def join(self, index, count, radius, batched):
        self.connection.execute(f"SET vkindex.enable_batch = {batched}")
        return self.timed(f"""
            SELECT count(*), sum(hashint8(t.id::bigint * {count} + q.id)::bigint)
            FROM queries q JOIN t_{index} t ON t.v {self.operator} q.v < {radius!r} WHERE q.id < {count}""")

    def graph(self, index, radius):
        return self.timed(f"SELECT count(*), sum(distance) FROM vk_similarity_graph('{index}', {radius!r})")

    def degrees(self, index, radius):
        return self.timed(f"""SELECT (sum(neighbors) / 2)::bigint, (SELECT path FROM vk_last_scan())
            FROM vk_similarity_degree('{index}', {radius!r})""")

    def wrong_degrees(self, index, radius):
        """Of some rows, those whose neighbors the operator counts otherwise."""
        return self.connection.execute(f"""
            SELECT count(*) FROM (SELECT ctid, v FROM t_{index} WHERE id < {CHECKED}) a
            JOIN vk_similarity_degree('{index}', {radius!r}) d ON d."row" = a.ctid
            WHERE d.neighbors <> (SELECT count(*) FROM t_{index} b
                                  WHERE b.ctid <> a.ctid AND a.v {self.operator} b.v < {radius!r})""").fetchone()[0]

    def path(self):
        return self.connection.execute("SELECT path FROM vk_last_scan()").fetchone()[0]


def best_of(rounds, *contestants):
    """The shortest time of each, and its answer; they take turns."""
    best = [(float("inf"), None)] * len(contestants)
    for _ in range(rounds):
        for i, contestant in enumerate(contestants):
            seconds, answer = contestant()
            if seconds < best[i][0]:
                best[i] = (seconds, answer)
    return best


def process_timed(function):
    start = time.process_time()
    answer = function()
    return time.process_time() - start, answer


def distances_of(rows):
    return np.array([row[1] for row in rows])


def share_within(found, limits):
    """Recall by distance: of the found, those not beyond the true k-th."""
    return np.mean(found <= limits[:, None])


def report(case, ours, theirs, factor, what, answers):
    print(f"| {case} | {ours * 1e3:.3f} | {theirs * 1e3:.3f} | {theirs / ours:.1f} | {factor} | {what} | {answers} |",
          flush=True)


def compare_singles(database, case, index, count, rounds, bar):
    batch, single = best_of(rounds, lambda: database.batch(index, count),
                            lambda: database.single(index, count))
    a, b = distances_of(batch[1]), distances_of(single[1])
    if index == "vkivf":
        truth = distances_of(database.batch("vkflat8", count)[1])[:, -1]
        answers = f"recall {share_within(a, truth):.3f}, singly {share_within(b, truth):.3f}"
    else:
        answers = "all distances equal" if np.array_equal(a, b) else f"{np.sum(a != b)} DIFFERENT"
    database.batch(index, count)
    path = database.path()
    report(case, batch[0] / count, single[0] / count, bar, f"single calls; {path}", answers)


def compare_joins(database, case, index, count, share, rounds):
    """All rows within a radius of each query, in batches or not: where that share of queries have a tenth neighbour."""
    radius = database.connection.execute(f"""
        SELECT percentile_disc({share}) WITHIN GROUP (ORDER BY distance)
        FROM (SELECT array_agg(v ORDER BY id) AS q FROM queries WHERE id < 200) q,
            vk_knn_batch('{index}', q, 10) WHERE rank = 10""").fetchone()[0]
    batch, single = best_of(rounds, lambda: database.join(index, count, radius, "on"),
                            lambda: database.join(index, count, radius, "off"))
    report(f"{case}, {batch[1][0][0] / count:.0f} rows within a radius of each", batch[0] / count, single[0] / count, "-",
           "the join without batches", "the same rows" if batch[1] == single[1] else "DIFFERENT ROWS")


def compare_faiss(database, index, flat, count, rounds):
    queries = database.queries[:count]
    batch, peer = best_of(rounds, lambda: database.batch(index, count),
                          lambda: process_timed(lambda: flat.search(queries, K)))
    difference = np.abs(distances_of(batch[1]) - (1 - peer[1][0])).max()
    report(f"text 20k x {database.base.shape[1]}, q = {count}, top {K}", batch[0] / count, peer[0] / count, 4,
           "FAISS IndexFlat", f"greatest difference {difference:.1e}")


def radius_of(base, share):
    """The cosine distance that so many pairs do not exceed."""
    sample = np.random.default_rng(1).integers(0, len(base), (2, 200000))
    similarities = np.einsum("ij,ij->i", base[sample[0]], base[sample[1]])[sample[0] != sample[1]]
    return float(1 - np.quantile(similarities, 1 - share))


def compare_graph(database, index, flat, share, counted, rounds, bars):
    """All pairs within a radius: returned as rows, or counted inside."""
    base = database.base
    radius = radius_of(base, share)

    def range_search():
        return sum(int(flat.range_search(base[i:i + FAISS_QUERIES], np.float32(1 - radius))[0][-1])
                   for i in range(0, len(base), FAISS_QUERIES))

    def similarity_graph():
        return len(rust.similarity_graph(float(1 - radius), unique_pairs=True)[0])

    contestants = [lambda: (database.degrees if counted else database.graph)(index, radius),
                   lambda: process_timed(range_search)]
    names = ["FAISS range_search"]
    if rustcluster is not None and not counted:
        rust = rustcluster.IndexFlatIP(base.shape[1])
        rust.add(base)
        contestants.append(lambda: process_timed(similarity_graph))
        names.append("rustcluster similarity_graph")
    graph, *peers = best_of(rounds, *contestants)
    path = database.path()
    wrong = database.wrong_degrees(index, radius)
    for name, peer, bar in zip(names, peers, bars):
        theirs = (peer[1] - len(base)) // 2 if name.startswith("FAISS") else peer[1]
        report(f"similarity graph, {share:.2%} of pairs{', counted' if counted else ''}", graph[0], peer[0], bar,
               f"{name}; {path}", f"{graph[1][0][0]} pairs, peer {theirs}, {wrong} of {CHECKED} rows WRONG"
               if wrong else f"{graph[1][0][0]} pairs, peer {theirs}, {CHECKED} rows checked")


def joins(database, name, indexes, rounds):
    count = min(len(database.queries), 1000)
    for index in indexes:
        for share in (0.1, 0.5):
            compare_joins(database, f"{name}, {index}", index, count, share, rounds)


def main():
    parser = argparse.ArgumentParser(description="Batches beside single queries and FAISS.")
    parser.add_argument("--conninfo", default="")
    parser.add_argument("--data-dir", default=os.environ.get("VK_DATA", "."))
    parser.add_argument("--sift", default="sift-100k")
    parser.add_argument("--text", default="text768-20k")
    parser.add_argument("--pad", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cases", default="sift,text,join,faiss,graph")
    options = parser.parse_args()
    cases = options.cases.split(",")
    if faiss is None and {"faiss", "graph"} & set(cases):
        sys.exit("batch.py: no module named faiss")

    print("| case | ms | peer ms | times | bar | peer | answers |\n|---|---|---|---|---|---|---|")
    if {"sift", "join"} & set(cases):
        folder = os.path.join(options.data_dir, options.sift)
        sift = Database(options.conninfo, options.sift, read_fvecs(f"{folder}/base.fvecs"),
                        read_fvecs(f"{folder}/query.fvecs"), "<->",
                        {"vkflat": "USING vkflat (v)", "vkflat8": "USING vkflat (v) WITH (bits = 8)"})
    if "sift" in cases:
        count = min(len(sift.queries), 1000)
        for index in ("vkflat", "vkflat8"):
            compare_singles(sift, f"{options.sift}, {index}, {count} queries", index, count, options.rounds, 6)
    if {"text", "join", "faiss", "graph"} & set(cases):
        folder = os.path.join(options.data_dir, options.text)
        base = read_fvecs(f"{folder}/base.fvecs")
        base = base / np.linalg.norm(base, axis=1, keepdims=True)
        name = options.text
        if options.pad > base.shape[1]:
            base = np.pad(base, ((0, 0), (0, options.pad - base.shape[1])))
            name += f"-{options.pad}"
        text = Database(options.conninfo, name, base, mixed_queries(base, 2048, True), "<=>",
                        {"vkivf": "USING vkivf (v f32vec_cosine_ops)",
                         "vkflat8": "USING vkflat (v f32vec_cosine_ops) WITH (bits = 8)"})
    if "text" in cases:
        for index, bar in (("vkivf", 2), ("vkflat8", 6)):
            compare_singles(text, f"{options.text}, {index}, 1000 queries", index, 1000, options.rounds, bar)
    if "join" in cases:
        joins(sift, options.sift, ("vkflat", "vkflat8"), options.rounds)
        joins(text, options.text, ("vkivf", "vkflat8"), options.rounds)
    if {"faiss", "graph"} & set(cases):
        flat = faiss.IndexFlatIP(base.shape[1])
        flat.add(base)
    if "faiss" in cases:
        for count in (32, 2048):
            compare_faiss(text, "vkflat8", flat, count, options.rounds)
    if "graph" in cases:
        for share, counted, bars in ((0.0001, False, (5, 2.5)), (0.01, False, (5, 2.5)), (0.01, True, (5,)), (0.5, True, (1,))):
            compare_graph(text, "vkflat8", flat, share, counted, options.rounds, bars)


if __name__ == "__main__":
    main()
