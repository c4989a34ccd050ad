#-------------------------------------------------------------------------
#
# library.py
#	  FAISS in this process, the yardstick that has no server around it.
#
# NOTES
#	  One thread, one query at a time, through FAISS's own entry point with
#	  arrays that are made once: what Python adds is below two microseconds.
#	  Lists and codes are what FAISS's guidelines give for so many rows: 4
#	  sqrt(N) lists, 4-bit codes of d / 2 (above 256 dimensions d / 4) parts that
#	  are compared in registers, and the best of them again by their vectors.
#	  What has to be trained is kept beside the data, since that takes minutes.
#
# IDENTIFICATION
#	  bench/library.py
#
#-------------------------------------------------------------------------
import math
import os
import time

import faiss
import numpy as np

import datasets

PART = 50_000					# rows at a time
RATES = ("queries", "qps", "p50_us", "p95_us", "p99_us")


def normalize(rows):
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30)


def read_queries(data):
    queries = datasets.read_fvecs(data.queries)
    return np.ascontiguousarray(normalize(queries) if data.metric == "cosine" else queries)


def metric_of(data):
    return faiss.METRIC_INNER_PRODUCT if data.metric == "cosine" else faiss.METRIC_L2


def make_flat(data):
    """All vectors, and the exhaustive index."""
    index = faiss.IndexFlat(data.dimensions, metric_of(data))
    base = datasets.read_fvecs(data.base)
    for start in range(0, len(base), PART):
        part = base[start:start + PART]
        index.add(np.ascontiguousarray(normalize(part) if data.metric == "cosine" else part))
    return index


def make_truth(data):
    """The ids of the nearest rows, where the set has none."""
    ids = make_flat(data).search(read_queries(data), datasets.WIDEST)[1]
    datasets.write_vecs(data.truth, ids.astype(np.int32))


class Library:
    """Indexes of one set; their vectors are in memory once."""

    def __init__(self, data, found, log):
        self.data, self.log = data, log
        self.queries = read_queries(data)
        self.flat = make_flat(data)
        self.indexes = {engine.name: self.make(engine) for engine in found}
        faiss.omp_set_num_threads(1)

    def make(self, engine):
        if engine.factory == "Flat":
            return self.flat
        lists = 2 ** round(math.log2(4 * math.sqrt(self.data.rows)))
        parts = self.data.dimensions // (2 if self.data.dimensions <= 256 else 4)
        factory = engine.factory.format(lists=lists, parts=parts)
        path = self.data.folder / f"{factory.replace(',', '-')}.faiss"
        if not path.exists():
            self.train(engine, factory.removesuffix(",RFlat"), path)
        refined = faiss.IndexRefine(faiss.read_index(str(path)), self.flat)
        self.log.add({"kind": "build", "data": self.data.name, "engine": engine.name,
                      "table": factory, "size_mb": round(path.stat().st_size / 2**20, 1),
                      "seconds": float(path.with_suffix(".seconds").read_text())})
        return refined

    def train(self, engine, factory, path):
        """Trains with all cores, and keeps the index without its vectors."""
        self.log.say(f"{self.data.name}: {engine.name}: training {factory}")
        faiss.omp_set_num_threads(os.cpu_count())
        begin = time.monotonic()
        index = faiss.index_factory(self.data.dimensions, factory, metric_of(self.data))
        rows = faiss.rev_swig_ptr(self.flat.get_xb(), self.flat.ntotal * self.flat.d)
        rows = rows.reshape(-1, self.flat.d)
        index.train(rows)
        for start in range(0, len(rows), PART):
            index.add(rows[start:start + PART])
        took = time.monotonic() - begin
        faiss.write_index(index, str(path.with_suffix(".part")))
        path.with_suffix(".seconds").write_text(f"{took:.1f}\n")
        path.with_suffix(".part").rename(path)

    def prepare(self, engine, value):
        index = self.indexes[engine.name]
        if value:
            probes, factor = map(int, value.split("/"))
            index.k_factor = factor
            faiss.extract_index_ivf(index).nprobe = probes
        return index

    def measure(self, engine, value, k, seconds, start, whole):
        """One setting for so many seconds; with whole, every query once and the recall."""
        index = self.prepare(engine, value)
        distances = np.empty(k, np.float32)
        found = np.full((len(self.queries), k), -1, np.int64)
        size = self.queries.strides[0]
        first, d, i = (faiss.swig_ptr(array) for array in (self.queries, distances, found[0]))
        order = (np.arange(len(self.queries)) + start) % len(self.queries)
        vectors = [faiss.swig_ptr(self.queries[n:n + 1]) for n in order]
        answers = [faiss.swig_ptr(found[n]) for n in order]
        latencies, asked = [], 0
        for n in range(3):
            index.search_c(1, first, k, d, i)
        begin = time.perf_counter()
        while True:
            n = asked % len(order)
            asking = time.perf_counter()
            if asking - begin >= seconds and (not whole or asked >= len(order)):
                break
            index.search_c(1, vectors[n], k, d, answers[n])
            latencies.append(time.perf_counter() - asking)
            asked += 1
        p50, p95, p99 = np.percentile(latencies, [50, 95, 99]) * 1e6
        result = dict(zip(RATES, (asked, asked / sum(latencies), p50, p95, p99)))
        return result | (self.judge(found, k) if whole else {})

    def judge(self, found, k):
        right = datasets.read_truth(self.data, k)
        hits = np.array([len(np.intersect1d(a, b)) / k for a, b in zip(found, right)])
        return {"recall": float(hits.mean()), "below_80": float((hits < 0.8).mean()),
                "recall_queries": len(hits), "short": int((found[:, -1] < 0).sum())}
