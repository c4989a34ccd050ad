#-------------------------------------------------------------------------
#
# checks.py
#	  What must hold beside speed: exact answers, flat memory, close rows.
#
# NOTES
#	  The answers of the sequential plan take long, so they are kept beside
#	  the data.  Their name has a hash of the files, of the statement, and of
#	  a few distances as the server computes them: if the arithmetic of the
#	  type changes, they are made again.
#
# IDENTIFICATION
#	  bench/checks.py
#
#-------------------------------------------------------------------------
import hashlib
import os

import numpy as np

import datasets
import engines
from server import MemoryWatch, read_status

WIDEST = 100					# neighbours in the kept answers
PLAIN_LIMIT = 8000				# bytes of a row that fits on a page
TOAST_LIMIT = 2000				# bytes of a row above which it is stored apart


def text_of(vector):
    return "[" + ",".join(map(repr, vector.tolist())) + "]"


def statement(data, table, k, columns="id"):
    columns = columns.replace("distance", f"v {data.operator} $1")
    return f"SELECT {columns} FROM {table} ORDER BY v {data.operator} $1 LIMIT {k}"


def question(data, engine, k):
    """What an engine is asked in the measurement."""
    return engine.sql or statement(data, engine.table, k)


# ------------------------------------------------------------------ exactness

def arithmetic(server, data, table):
    """A few distances as the server computes them, as text."""
    query = text_of(datasets.read_fvecs(data.queries)[0])
    with server.connect(data.name) as connection:
        rows = connection.execute(
            f"SELECT encode(float8send(v {data.operator} '{query}'), 'hex') "
            f"FROM {table} WHERE id < 100 ORDER BY id LIMIT 100").fetchall()
    return repr(rows)


def answers_key(server, data, table, k):
    digest = hashlib.sha256(f"{data.operator} {k} {arithmetic(server, data, table)}".encode())
    for path in (data.base, data.queries):
        with open(path, "rb") as file:
            while part := file.read(1 << 24):
                digest.update(part)
    return digest.hexdigest()[:16]


def readable_table(server, data, table):
    """The table, or a copy of it that has its vectors in its own pages."""
    row = 4 * data.dimensions + 64
    if not TOAST_LIMIT < row < PLAIN_LIMIT:
        return table
    copy = table + "_plain"
    if not server.has_relation(data.name, copy):
        with server.connect(data.name) as connection:
            connection.execute(f"CREATE TABLE {copy} (LIKE {table})")
            connection.execute(f"ALTER TABLE {copy} ALTER v SET STORAGE PLAIN")
            connection.execute(f"INSERT INTO {copy} SELECT * FROM {table}")
            connection.execute(f"VACUUM (ANALYZE, FREEZE) {copy}")
    return copy


def sequential_answers(server, data, table, workers, say, k=WIDEST):
    """The file of the sequential plan's distances, made if it is not there."""
    path = data.folder / f"sequential-{answers_key(server, data, table, k)}.f8"
    if path.exists():
        return path
    source = readable_table(server, data, table)
    say(f"{data.name}: the sequential plan's answers, once; this takes minutes")
    unfinished = path.with_suffix(".part")
    setup = engines.SEQUENTIAL.replace("gather = 0", f"gather = {workers}")
    took = server.client("answers", data.name, setup=setup, type="f32vec",
                         sql=statement(data, source, k, "id, distance"),
                         queries=data.queries, k=k, out=unfinished)
    os.replace(unfinished, path)
    say(f"{data.name}: {took['queries']} queries in {took['seconds']:.0f} s")
    if source != table:
        server.drop(data.name, "TABLE", source)
    return path


def check_exactness(server, data, engine, workers, say):
    """The engine's distances against the sequential plan's, at k = 10 and 100."""
    path = sequential_answers(server, data, engine.table, workers, say)
    setup = engine.query.format(1.0)
    for k in (10, WIDEST):
        result = server.client("compare", data.name, setup=setup, type=engine.type,
                               sql=statement(data, engine.table, k, "id, distance"),
                               queries=data.queries, k=k, answers=path, stride=WIDEST)
        yield {"kind": "exact", "data": data.name, "engine": engine.name, **result}


# --------------------------------------------------------------------- memory

def check_memory(server, data, names, queries=10_000, first=1_000):
    """The private memory of one backend over many queries of all kinds."""
    vectors = [text_of(vector) for vector in datasets.read_fvecs(data.queries)]
    with server.connect(data.name) as connection:
        pid = connection.info.backend_pid
        early = peak = None
        for i in range(queries):
            engine = engines.ENGINES[names[i % len(names)]]
            k = (1, 10, 100, 25)[i // len(names) % 4]
            if engine.query:
                connection.execute(engine.query.format((0.8, 0.95, 0.99)[i % 3]))
            sql = statement(data, engine.table, k, "id, distance").replace("$1", "%s")
            vector = vectors[i % len(vectors)]
            connection.execute(sql, [vector, vector], prepare=i % 2 == 0).fetchall()
            if i + 1 == first:
                early = peak = read_status(pid)
            elif peak is not None and i % 50 == 0:
                peak = max(peak, read_status(pid))
        late = read_status(pid)
    if early is None or late is None:
        return None
    return {"kind": "memory", "data": data.name, "engine": "+".join(names), "queries": queries,
            "after_first_kb": early, "at_end_kb": late, "growth_kb": late - early,
            "peak_growth_kb": peak - early}


# ----------------------------------------------------------------- close rows

def make_close_rows(folder, rows, dimensions):
    """Rows within 1e-3 of each other: one vector and noise of norm 5e-4 at most."""
    path = folder / f"close-{rows}x{dimensions}"
    data = datasets.Data("close", path, "l2")
    if data.queries.exists():
        return data
    path.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(1)
    base = random.standard_normal(dimensions).astype(np.float32)
    noise = random.standard_normal((rows + 100, dimensions)).astype(np.float32)
    norm = np.linalg.norm(noise, axis=1, keepdims=True)
    noise *= 4.9e-4 * random.random((rows + 100, 1), np.float32) ** (1 / dimensions) / norm
    noise += base
    datasets.write_vecs(data.base, noise[:rows])
    datasets.write_vecs(data.queries, np.vstack([base, noise[rows:rows + 50], noise[:49]]))
    return data


def check_close_rows(server, folder, names, workers, say, rows=1_000_000, dimensions=128):
    """Both methods over rows that hardly differ: right, and within work_mem."""
    data = make_close_rows(folder, rows, dimensions)
    server.prepare_database(data.name, ["vkindex"])
    for name in names:
        engine = engines.ENGINES[name]
        say(f"close: {name}")
        server.load(data, engine)
        took = server.build(data, engine)
        path = sequential_answers(server, data, engine.table, workers, say)
        expected = np.fromfile(path).reshape(-1, WIDEST)
        vectors = [text_of(vector) for vector in datasets.read_fvecs(data.queries)]
        for k in (10, WIDEST):
            result = ask_close(server, data, engine, vectors, expected[:, :k])
            yield {"kind": "close", "data": data.name, "engine": name, "k": k,
                   "build_s": took.get("seconds"), **result}


def ask_close(server, data, engine, vectors, expected):
    """Recall by distance, wrong positions, and the backend's peak above idle."""
    k = expected.shape[1]
    hits = wrong = 0
    with server.connect(data.name) as connection:
        work_mem = connection.execute("SHOW work_mem").fetchone()[0]
        sql = statement(data, engine.table, k, "distance").replace("$1", "%s")
        # the library, the catalogue caches and the plan are not the scan's
        connection.execute(statement(data, engine.table, 1, "distance").replace("$1", "%s"),
                           [vectors[0], vectors[0]])
        with MemoryWatch(connection.info.backend_pid, 0.001) as memory:
            for vector, right in zip(vectors, expected):
                found = connection.execute(sql, [vector, vector]).fetchall()
                found = np.array([row[0] for row in found] + [np.inf] * (k - len(found)))
                hits += int((found <= right[-1]).sum())
                wrong += int((found != right).sum())
    return {"queries": len(vectors), "recall": hits / expected.size, "wrong_rows": wrong,
            "peak_growth_kb": memory.growth, "work_mem": work_mem}
