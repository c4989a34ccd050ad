#-------------------------------------------------------------------------
#
# engines.py
#	  The engines that are measured, as a table.
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


@dataclasses.dataclass(frozen=True)
class Engine:
    """How one engine stores, indexes and is asked; {} is a setting's value."""

    name: str
    extension: str
    type: str
    table: str
    index: str = ""
    query: str = ""
    values: tuple = ("",)
    rows: int = 0				# only the first of the set, if not 0
    sql: str = ""				# what is asked instead of the nearest k
    factory: str = ""			# FAISS's, of what runs in this process
    by_ef: bool = False			# the setting is hnsw.ef_search, of --efs

    @property
    def index_name(self):
        return f"{self.table}_{self.name}" if self.index else None

    @property
    def in_server(self):
        return bool(self.type)

    def define_index(self, data):
        """The index's method and options for a set: as their manuals say for so many rows."""
        options = VCHORDRQ_OPTIONS[data.metric] if "{options}" in self.index else ""
        return self.index.format(metric=data.metric, options=options.format(
            lists=max(data.rows // 500, 10)))


ONE_PROCESS = "SET max_parallel_workers_per_gather = 0"

# a scan of the table by one process, and no index
SEQUENTIAL = f"SET enable_indexscan = off; SET enable_bitmapscan = off; {ONE_PROCESS}"

TARGETS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 1.0)

EFS = (20, 40, 60, 80, 120, 160, 240, 400, 600, 1000)
HNSW_QUERY = "SET hnsw.ef_search = {}"

VCHORDRQ_OPTIONS = {
    "l2": "residual_quantization = true\n[build.internal]\nlists = [{lists}]",
    "cosine": "residual_quantization = false\n[build.internal]\nlists = [{lists}]\n"
              "spherical_centroids = true",
}

# FAISS's settings: lists probed, and how many times k rows are compared by their vectors
PROBES = (8, 16, 32, 64, 128, 256, 512)
BY_PQ = tuple(f"{probes}/{factor}" for factor in (4, 10, 40, 100) for probes in PROBES)
BY_BITS = tuple(f"{probes}/{factor}" for factor in (10, 20) for probes in PROBES)

ENGINES = {engine.name: engine for engine in (
    Engine("vkflat", "vkindex", "f32vec", "items_flat",
           "USING vkflat (v f32vec_{metric}_ops)"),
    Engine("vkivf", "vkindex", "f32vec", "items_ivf",
           "USING vkivf (v f32vec_{metric}_ops)", "SET vkindex.target_recall = {}", TARGETS),
    Engine("hnsw", "vector", "vector", "items_pgv",
           "USING hnsw (v vector_{metric}_ops) WITH (m = 16, ef_construction = 64)",
           HNSW_QUERY, EFS, by_ef=True),
    Engine("hnsw32", "vector", "vector", "items_pgv32",
           "USING hnsw (v vector_{metric}_ops) WITH (m = 32, ef_construction = 128)",
           HNSW_QUERY, EFS, by_ef=True),
    Engine("ivfflat", "vector", "vector", "items_pgvivf",
           "USING ivfflat (v vector_{metric}_ops) WITH (lists = 1000)",
           "SET ivfflat.probes = {}", (5, 10, 20, 40, 80, 160)),
    Engine("vchordrq", "vchord", "vector", "items_vchord",
           "USING vchordrq (v vector_{metric}_ops) WITH (options = $${options}$$)",
           "SET vchordrq.probes = '{}'", (8, 16, 32, 64, 128, 256)),
    Engine("diskann", "vectorscale", "vector", "items_diskann",
           "USING diskann (v vector_{metric}_ops)",
           "SET diskann.query_search_list_size = {0}; SET diskann.query_rescore = {0}",
           (20, 40, 80, 120, 200, 400, 800)),
    Engine("sequential", "vector", "vector", "items_pgv", query=SEQUENTIAL),
    Engine("trivial", "vkindex", "f32vec", "", sql="SELECT 1 WHERE $1 IS NOT NULL"),
    Engine("faiss", "", "", "", factory="Flat"),
    Engine("faiss_ivfpq", "", "", "", values=BY_PQ, factory="IVF{lists},PQ{parts}x4fs,RFlat"),
    Engine("faiss_rabitq", "", "", "", values=BY_BITS, factory="IVF{lists},RaBitQfs,RFlat"),
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
           f"USING vkivf {IN_INDEX}", DECLARED),
    Engine("vkivf", "vkindex", "f32vec", "items_ivf",
           "USING vkivf (v f32vec_{metric}_ops)", f"{DECLARED}; {BY_INDEX}"),
    Engine("vkflat_attributes", "vkindex", "f32vec", "items_flat",
           f"USING vkflat {IN_INDEX}", BY_INDEX),
    dataclasses.replace(ENGINES["hnsw"], values=(40,), query="SET hnsw.ef_search = 40; "
                        f"SET hnsw.iterative_scan = strict_order; {BY_INDEX}"),
)}

DEFAULT_ENGINES = ",".join(ENGINES)
