#-------------------------------------------------------------------------
#
# inserts.py
#	  What an index costs the rows that come after its build.
#
# NOTES
#	  Works in a copy of the set's database, which is dropped at the end, so
#	  that the indexes of the other suites stay as they were built.  The new
#	  rows lie near old ones and equal none, since HNSW enters a vector that
#	  it has already without a search.
#
#	  Writers commit every statement, and each commit waits for the disk,
#	  whatever the server's settings are.  What they wait for is sampled by
#	  another session.  A sample does not say whose buffer it is, and long
#	  vectors wait for pages of the table's TOAST as well: what a table without
#	  an index waits for is measured beside it.
#
# IDENTIFICATION
#	  bench/inserts.py
#
#-------------------------------------------------------------------------
import collections
import contextlib
import dataclasses
import os
import threading
import time

import numpy as np

import datasets
import engines
from prepare import prepare_engines

ENGINES = ("vkflat", "vkivf", "hnsw")
TABLE_ONLY = engines.Engine("no index", "vkindex", "f32vec", "items_alone")
WRITERS = (1, 8)
NEW_ROWS = 50_000				# of the writers, who begin again after the last
COPY_ROWS = 10_000				# a round
WAL_ROWS = 5_000				# after those of the writers
STATEMENT_ROWS = 20
SAMPLE_SECONDS = 0.01

INSERT = """INSERT INTO {table} SELECT id, v FROM {source}
WHERE id >= %(first)s::int4 AND id < %(first)s::int4 + %(rows)s::int4"""

WAITS = """SELECT wait_event_type || ':' || wait_event FROM pg_stat_activity
WHERE application_name = 'writer' AND state = 'active'"""

# the sum over the records, and over the whole pages in them
WAL = """SELECT sum(record_size)::float8, sum(fpi_size)::float8
FROM pg_get_wal_stats(%s, %s) WHERE "resource_manager/record_type" = 'Generic'"""

# bytes of code a row: its lanes in the scan code, and its refine code
CODES = """SELECT ceil(dimensions * bits / 32.0) * 4 +
CASE WHEN refine_bits > 0 THEN 12 + ceil(dimensions * refine_bits / 32.0) * 4 ELSE 0 END
FROM vk_stats(%s::regclass)"""


def make_new_rows(data, path, count, seed):
    """A file of rows, each a twentieth of the way from one row of the set to another."""
    base = datasets.read_fvecs(data.base)
    chosen = np.random.default_rng(seed).integers(len(base), size=(2, count))
    datasets.write_vecs(path, (0.95 * base[chosen[0]] + 0.05 * base[chosen[1]]).astype(np.float32))


@contextlib.contextmanager
def copy_database(server, data):
    """The set in a database of its own for as long as it is needed."""
    name = data.name + "inserts"
    with server.connect("postgres") as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}"')
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{data.name}"')
    try:
        yield dataclasses.replace(data, name=name)
    finally:
        with server.connect("postgres") as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def checkpoint(server):
    with server.connect("postgres") as connection:
        connection.execute("CHECKPOINT")


def measure_copy(server, data, engine, path):
    took = server.client("load", data.name, table=engine.table, file=path)
    return {"rate": took["rows"] / took["seconds"]}


class Writer(threading.Thread):
    """A session that inserts until it is told to stop; the place in the new rows is its own."""

    def __init__(self, server, data, engine, number, stop):
        super().__init__()
        self.connection = server.connect(data.name)
        self.connection.execute("SET application_name = 'writer'; SET synchronous_commit = on")
        self.sql = INSERT.format(table=engine.table, source=f"new_{engine.type}")
        self.place = number * NEW_ROWS // max(WRITERS)
        self.rows, self.stop, self.error = 0, stop, None

    def insert(self):
        first = self.place % (NEW_ROWS - STATEMENT_ROWS)
        self.place += STATEMENT_ROWS
        return self.connection.execute(self.sql, {"first": first, "rows": STATEMENT_ROWS},
                                       prepare=True).rowcount

    def run(self):
        try:
            while not self.stop.is_set():
                self.rows += self.insert()
        except Exception as error:
            self.error = error
        finally:
            self.connection.close()


def sample_waits(server, database, seconds):
    """How often a writer was seen waiting for what; 'running' where for nothing."""
    seen, end = collections.Counter(), time.monotonic() + seconds
    with server.connect(database) as connection:
        while time.monotonic() < end:
            seen.update(wait or "running" for wait, in connection.execute(WAITS).fetchall())
            time.sleep(SAMPLE_SECONDS)
    return seen


def measure_writers(server, data, engine, count, seconds):
    stop = threading.Event()
    writers = [Writer(server, data, engine, number, stop) for number in range(count)]
    begin = time.monotonic()
    for writer in writers:
        writer.start()
    try:
        waits = sample_waits(server, data.name, seconds)
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    took = time.monotonic() - begin
    for writer in writers:
        if writer.error:
            raise writer.error
    samples = max(waits.total(), 1)
    return {"rate": sum(writer.rows for writer in writers) / took, "samples": samples,
            "buffer_content": waits["LWLock:BufferContent"] / samples,
            "waits": dict(waits.most_common(4))}


@contextlib.contextmanager
def without_page_images(connection):
    """Pages are logged by what changes on them even if for the first time since a checkpoint."""
    def change(statement):
        connection.execute(statement)
        connection.execute("SELECT pg_reload_conf()")
        time.sleep(0.5)

    change("ALTER SYSTEM SET full_page_writes = off")
    try:
        yield
    finally:
        change("ALTER SYSTEM RESET full_page_writes")


def measure_wal(server, data, engine):
    """Bytes a row in generic records, which all of these engines write."""
    with server.connect(data.name) as connection, without_page_images(connection):
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_walinspect")
        position = "SELECT pg_current_wal_flush_lsn()"
        first = connection.execute(position).fetchone()[0]
        connection.execute("SET synchronous_commit = on")
        rows = connection.execute(
            INSERT.format(table=engine.table, source=f"new_{engine.type}"),
            {"first": NEW_ROWS, "rows": WAL_ROWS}).rowcount
        last = connection.execute(position).fetchone()[0]
        size, images = connection.execute(WAL, [first, last]).fetchone()
        code = connection.execute(CODES, [engine.index_name]).fetchone()[0] \
            if engine.extension == "vkindex" else None
    return {"bytes": size / rows, "images": images / rows,
            "code": None if code is None else float(code)}


def measure(server, data, copy, found, options, log):
    path = options.out / f"{data.name}-copied.fvecs"
    ways = [("COPY", measure_copy, (path,))] + \
        [(f"{count} writer{'s' * (count > 1)}", measure_writers, (count, options.seconds))
         for count in WRITERS]
    timed = [*found, TABLE_ONLY]
    for round_number in range(options.rounds):
        log.say(f"{data.name}: round {round_number + 1} of {options.rounds}")
        make_new_rows(data, path, COPY_ROWS, round_number + 1)
        turn = round_number % len(timed)
        for engine in timed[turn:] + timed[:turn]:
            for way, function, arguments in ways:
                checkpoint(server)
                log.add({"kind": "insert", "suite": "inserts", "data": data.name, "way": way,
                         "engine": engine.name, "round": round_number, "load": os.getloadavg()[0],
                         **function(server, copy, engine, *arguments)})
    for engine in found:
        log.add({"kind": "insert wal", "suite": "inserts", "data": data.name,
                 "engine": engine.name, **measure_wal(server, copy, engine)})
    path.unlink()


def run_inserts(server, data, options, log):
    """Rows a second by COPY and by one and eight writers, what these wait for, and the WAL."""
    found = prepare_engines(server, data, [engines.ENGINES[name] for name in ENGINES],
                            options.rebuild, log)
    path = options.out / f"{data.name}-new.fvecs"
    make_new_rows(data, path, NEW_ROWS + WAL_ROWS, 0)
    with copy_database(server, data) as copy:
        for engine in found:
            table = f"new_{engine.type}"
            server.load_vectors(copy, table, engine.type, path)
            server.make_btrees(copy.name, table, ["id"])
        server.load_vectors(copy, TABLE_ONLY.table, TABLE_ONLY.type, data.base)
        measure(server, data, copy, found, options, log)
    path.unlink()
