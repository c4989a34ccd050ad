"""vkindex for ann-benchmarks: PostgreSQL with vkivf or vkflat.

As with the other modules for PostgreSQL, ANN_BENCHMARKS_PG_USER, _PASSWORD,
_DBNAME, _HOST and _PORT name a server that is managed elsewhere ("ann" for the
first three where they are not set), and ANN_BENCHMARKS_PG_START_SERVICE=false
keeps this module from starting one.
"""

import os
import struct
import subprocess
import sys

import numpy
import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format
from psycopg.types import TypeInfo

from ..base.module import BaseANN

METRICS = {"angular": ("<=>", "f32vec_cosine_ops"), "euclidean": ("<->", "f32vec_l2_ops")}


class VectorDumper(Dumper):
    """Arrays as f32vec in its binary form: dimensions, a zero, the elements."""

    format = Format.BINARY

    def dump(self, obj):
        return struct.pack(">HH", len(obj), 0) + obj.astype(">f4").tobytes()


def parameter(name, default=None):
    return os.environ.get(f"ANN_BENCHMARKS_PG_{name}", "").strip() or default


def connect():
    where = {"host": parameter("HOST"), "port": parameter("PORT")}
    connection = psycopg.connect(
        user=parameter("USER", "ann"), password=parameter("PASSWORD", "ann"),
        dbname=parameter("DBNAME", "ann"), autocommit=True,
        **{key: value for key, value in where.items() if value})
    connection.execute("CREATE EXTENSION IF NOT EXISTS vkindex")
    vector = TypeInfo.fetch(connection, "f32vec")
    vector.register(connection)
    connection.adapters.register_dumper(
        numpy.ndarray, type("F32vecDumper", (VectorDumper,), {"oid": vector.oid}))
    return connection


class VkIndex(BaseANN):
    """method_param: "method" is vkivf or vkflat, all others are options of the index."""

    def __init__(self, metric, method_param):
        if metric not in METRICS:
            raise RuntimeError(f"unknown metric {metric}")
        self._operator, self._class = METRICS[metric]
        options = dict(method_param)
        self._method = options.pop("method", "vkivf")
        self._options = options
        self._target = None
        self._cursor = None
        self._results = []
        self.name = f"vkindex({self._method})"

    def fit(self, X):
        if parameter("START_SERVICE", "true").lower() not in ("false", "0", "no"):
            subprocess.run("service postgresql start", shell=True, check=True,
                           stdout=sys.stdout, stderr=sys.stderr)
        cursor = connect().cursor()
        cursor.execute("DROP TABLE IF EXISTS items")
        cursor.execute(f"CREATE TABLE items (id int4, embedding f32vec({X.shape[1]}))")
        with cursor.copy("COPY items (id, embedding) FROM STDIN WITH (FORMAT BINARY)") as copy:
            copy.set_types(["int4", "f32vec"])
            for i, embedding in enumerate(X):
                copy.write_row((i, embedding))
        options = ", ".join(f"{name} = {value}" for name, value in self._options.items())
        cursor.execute(f"CREATE INDEX items_embedding ON items USING {self._method} "
                       f"(embedding {self._class})" + (f" WITH ({options})" if options else ""))
        cursor.execute("VACUUM ANALYZE items")
        cursor.execute("SET max_parallel_workers_per_gather = 0")
        self._cursor = cursor

    def set_query_arguments(self, target_recall):
        self._target = target_recall
        self._cursor.execute(f"SET vkindex.target_recall = {float(target_recall)}")

    def query(self, v, n):
        self._cursor.execute(
            f"SELECT id FROM items ORDER BY embedding {self._operator} %s LIMIT %s",
            (v, n), binary=True, prepare=True)
        return [row[0] for row in self._cursor.fetchall()]

    def batch_query(self, X, n):
        """All in one call, which the index answers together."""
        self._cursor.execute(
            "SELECT b.query, i.id FROM vk_knn_batch('items_embedding', %b, %s) b "
            "JOIN items i ON i.ctid = b.\"row\" ORDER BY b.query, b.rank", (list(X), n), binary=True)
        self._results = [[] for _ in X]
        for query, row in self._cursor.fetchall():
            self._results[query - 1].append(row)

    def get_batch_results(self):
        return self._results

    def get_memory_usage(self):
        """The size of the index in kB."""
        if self._cursor is None:
            return 0
        self._cursor.execute("SELECT pg_relation_size('items_embedding')")
        return self._cursor.fetchone()[0] / 1024

    def done(self):
        if self._cursor is not None:
            self._cursor.connection.close()

    def __str__(self):
        settings = dict(self._options, **({} if self._target is None else
                                          {"target_recall": self._target}))
        text = ", ".join(f"{name}={value}" for name, value in settings.items())
        return f"vkindex({', '.join(filter(None, (self._method, text)))})"
