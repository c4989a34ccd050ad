#-------------------------------------------------------------------------
#
# engines.py
#	  The data sets and the engines that are measured, as tables.
#
# NOTES
#	  Each index has a table of its own: two indexes on one column compete,
#	  and the planner would choose.
#
# IDENTIFICATION
#	  bench/engines.py
#
#-------------------------------------------------------------------------
import dataclasses
import pathlib

import numpy as np


@dataclasses.dataclass(frozen=True)
class Data:
    """A set of vectors: base.fvecs, query.fvecs and gt.ivecs in a folder."""

    name: str					# of the database too
    folder: pathlib.Path
    metric: str
    with_attributes: bool = False

    @property
    def operator(self):
        return {"l2": "<->", "cosine": "<=>"}[self.metric]

    @property
    def base(self):
        return self.folder / "base.fvecs"

    @property
    def queries(self):
        return self.folder / "query.fvecs"

    @property
    def truth(self):
        return self.folder / "gt.ivecs"

    @property
    def attributes(self):
        return self.folder / "attrs.csv"

    def beside_attributes(self):
        """The same vectors, in a database whose tables have the attributes too."""
        return dataclasses.replace(self, name=self.name + "attr", with_attributes=True)

    @property
    def dimensions(self):
        return int(np.fromfile(self.base, np.int32, 1)[0])


@dataclasses.dataclass(frozen=True)
class Engine:
    """How one engine stores, indexes and is asked; {} is a setting's value."""

    name: str
    extension: str
    type: str
    table: str
    index: str = ""
    build: str = ""
    query: str = ""
    values: tuple = ("",)
    rows: int = 0				# only the first of the set, if not 0

    @property
    def index_name(self):
        return f"{self.table}_{self.name}" if self.index else None


DATA = {"sift": ("sift", "l2"), "text": ("text768", "cosine")}

ONE_PROCESS = "SET max_parallel_workers_per_gather = 0"

# a scan of the table by one process, and no index
SEQUENTIAL = f"SET enable_indexscan = off; SET enable_bitmapscan = off; {ONE_PROCESS}"

TARGETS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 1.0)
SERIAL = "SET max_parallel_maintenance_workers = 0"

ENGINES = {engine.name: engine for engine in (
    Engine("vkflat", "vkindex", "f32vec", "items_flat",
           "USING vkflat (v f32vec_{metric}_ops)", SERIAL),
    Engine("vkivf", "vkindex", "f32vec", "items_ivf",
           "USING vkivf (v f32vec_{metric}_ops)", SERIAL,
           "SET vkindex.target_recall = {}", TARGETS),
    Engine("hnsw", "vector", "vector", "items_pgv",
           "USING hnsw (v vector_{metric}_ops) WITH (m = 16, ef_construction = 64)",
           "SET max_parallel_maintenance_workers = 1",
           "SET hnsw.ef_search = {}", (20, 40, 60, 80, 120, 160, 240, 400, 600, 1000)),
    Engine("ivfflat", "vector", "vector", "items_pgvivf",
           "USING ivfflat (v vector_{metric}_ops) WITH (lists = 1000)",
           "SET max_parallel_maintenance_workers = 1",
           "SET ivfflat.probes = {}", (5, 10, 20, 40, 80)),
    Engine("sequential", "vector", "vector", "items_pgv", query=SEQUENTIAL),
    Engine("faiss", "", "", ""),
)}

DECLARED = "SET vkindex.target_recall = 0.95"

# the columns that filters are asked on, in the index as well
IN_INDEX = "(v f32vec_{metric}_ops, chars, seq, seq10, source)"

# of the set with attributes; all tables have the same columns.  Where the columns are not in
# the index, a filter that leaves few rows is about as fast by a scan of the table, and the
# planner may choose that: not what is to be measured.
BY_INDEX = "SET enable_seqscan = off"
ATTRIBUTE_ENGINES = {engine.name: engine for engine in (
    Engine("vkivf_attributes", "vkindex", "f32vec", "items_in_index",
           f"USING vkivf {IN_INDEX}", SERIAL, DECLARED),
    Engine("vkivf", "vkindex", "f32vec", "items_ivf",
           "USING vkivf (v f32vec_{metric}_ops)", SERIAL, f"{DECLARED}; {BY_INDEX}"),
    Engine("vkflat_attributes", "vkindex", "f32vec", "items_flat",
           f"USING vkflat {IN_INDEX}", SERIAL, BY_INDEX),
    dataclasses.replace(ENGINES["hnsw"], values=(40,), query="SET hnsw.ef_search = 40; "
                        f"SET hnsw.iterative_scan = strict_order; {BY_INDEX}"),
)}

DEFAULT_ENGINES = "vkflat,vkivf,hnsw,sequential,faiss"


def find_data(name, data_dir):
    folder, metric = DATA[name]
    return Data(name, pathlib.Path(data_dir) / folder, metric)


def read_fvecs(path):
    """The rows of an fvecs file as an array, without their lengths."""
    width = int(np.fromfile(path, np.int32, 1)[0])
    return np.fromfile(path, np.float32).reshape(-1, width + 1)[:, 1:]


def write_vecs(path, rows):
    """An array as fvecs (float32) or ivecs (int32)."""
    rows = np.ascontiguousarray(rows)
    with open(path, "wb") as file:
        for start in range(0, len(rows), 100_000):
            part = rows[start:start + 100_000]
            width = np.full((len(part), 1), rows.shape[1], np.int32)
            np.hstack([width, part.view(np.int32)]).tofile(file)
