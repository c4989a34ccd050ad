#-------------------------------------------------------------------------
#
# server.py
#	  What is done on the server: databases, loads, builds, the client.
#
# NOTES
#	  Whatever is there already is left as it is.  What a build took is kept
#	  as the index's comment, so a later run over the same cluster knows it.
#
# IDENTIFICATION
#	  bench/server.py
#
#-------------------------------------------------------------------------
import json
import pathlib
import re
import subprocess
import threading
import time

import psycopg
from psycopg.conninfo import make_conninfo


# of a table with attributes, before its vector; those with a clause are not in attrs.csv:
# seq10 stands for an expression, rnd is 0 to 9999 in no order at all
COLUMNS = {"id": "int4", "chars": "int4", "words": "int4", "seq": "int4",
           "seq10": "int4 GENERATED ALWAYS AS (seq % 10) STORED",
           "rnd": "int4 GENERATED ALWAYS AS ((id::int8 * 7919 % 10000)::int4) STORED",
           "mtime": "int8", "source": "text", "section": "text"}
FILE_COLUMNS = {name: kind for name, kind in COLUMNS.items() if " " not in kind}


# of every index, so that build times compare
BUILD_PROCESSES = "SET max_parallel_maintenance_workers = 1"

WAL_POSITION = "SELECT (pg_current_wal_insert_lsn() - '0/0')::float8, current_setting('wal_level')"


def declare(columns):
    return ", ".join(f"{name} {kind}" for name, kind in columns.items())


def read_status(pid, field="RssAnon"):
    """One of the kB fields of /proc/PID/status, or None where there is none."""
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        pass
    return None


class MemoryWatch:
    """The private memory of a backend: its peak above what it was at first, kB."""

    def __init__(self, pid, interval=0.005):
        self.pid, self.interval = pid, interval
        self.first = self.peak = self.read()
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def read(self):
        return read_status(self.pid)

    def run(self):
        while not self.stop.wait(self.interval):
            now = self.read()
            if now is None:
                return
            self.peak = max(self.peak, now)

    def __enter__(self):
        if self.first is not None:
            self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        if self.first is not None:
            self.thread.join()

    @property
    def growth(self):
        return None if self.first is None else self.peak - self.first


class BuildWatch(MemoryWatch):
    """That of a build: its process, its parallel workers, and the memory that they share, kB.

    Shared memory that lasts only as long as the build is in files of /dev/shm.
    """

    def __init__(self, pid):
        self.title = f"parallel worker for PID {pid}".encode()
        super().__init__(pid, 0.05)

    def read(self):
        own = read_status(self.pid)
        if own is None:
            return None
        workers = sum(read_status(pid) or 0 for pid in self.workers())
        return own + workers + shared_segments()

    def workers(self):
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if self.title in path.read_bytes():
                    yield int(path.parent.name)
            except OSError:
                pass			# it has ended


def shared_segments():
    """Of PostgreSQL's segments in /dev/shm what is in use, kB."""
    total = 0
    for path in pathlib.Path("/dev/shm").glob("PostgreSQL.*"):
        try:
            total += path.stat().st_blocks // 2
        except OSError:
            pass				# it is gone
    return total


class ClientError(Exception):
    pass


class Server:
    def __init__(self, options):
        self.conninfo = options.conninfo
        self.program = options.client
        self.maintenance_work_mem = options.maintenance_work_mem

    def connect(self, database):
        return psycopg.connect(self.conninfo, dbname=database, autocommit=True)

    def client(self, command, database, **arguments):
        """Runs the C client; returns its answer and its remarks."""
        arguments = {"conninfo": make_conninfo(self.conninfo, dbname=database)} | arguments
        done = subprocess.run(
            [self.program, command, *(f"{key}={value}" for key, value in arguments.items())],
            capture_output=True, text=True)
        if done.returncode != 0:
            raise ClientError(done.stderr.strip())
        return json.loads(done.stdout) | ({"remark": done.stderr.strip()} if done.stderr else {})

    def prepare_database(self, name, extensions):
        with self.connect("postgres") as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s",
                                  [name]).fetchone() is None:
                connection.execute(f'CREATE DATABASE "{name}"')
        missing = set()
        with self.connect(name) as connection:
            for extension in extensions:
                try:
                    connection.execute(f"CREATE EXTENSION IF NOT EXISTS {extension} CASCADE")
                except psycopg.errors.Error:
                    missing.add(extension)
        return missing

    def has_relation(self, database, name):
        with self.connect(database) as connection:
            return connection.execute("SELECT to_regclass(%s) IS NOT NULL", [name]).fetchone()[0]

    def drop(self, database, kind, name):
        with self.connect(database) as connection:
            connection.execute(f"DROP {kind} IF EXISTS {name}")

    def load(self, data, engine):
        """Makes and fills an engine's table unless it is there; what it took, or None."""
        load = self.load_with_attributes if data.with_attributes else self.load_vectors
        return load(data, engine.table, engine.type, data.base, engine.rows)

    def load_vectors(self, data, table, type_name, file, rows=0):
        if self.has_relation(data.name, table):
            return None
        with self.connect(data.name) as connection:
            connection.execute(f"CREATE TABLE {table} (id int4, v {type_name}({data.dimensions}))")
            try:
                took = self.client("load", data.name, table=table, file=file,
                                   **({"rows": rows} if rows else {}))
            except ClientError:
                connection.execute(f"DROP TABLE {table}")
                raise
            connection.execute(f"VACUUM (ANALYZE, FREEZE) {table}")
        return took

    def load_attributes(self, data, table):
        if self.has_relation(data.name, table):
            return
        with self.connect(data.name) as connection, connection.transaction(), \
                open(data.attributes, "rb") as rows:
            connection.execute(f"CREATE TABLE {table} ({declare(FILE_COLUMNS)})")
            header = rows.readline().decode().strip()
            with connection.cursor().copy(f"COPY {table} ({header}) FROM STDIN (FORMAT csv)") as copy:
                while part := rows.read(1 << 20):
                    copy.write(part)

    def load_with_attributes(self, data, table, type_name, file, rows):
        if self.has_relation(data.name, table):
            return None
        self.load_attributes(data, "attributes")
        bare, names = table + "_bare", ", ".join(FILE_COLUMNS)
        self.drop(data.name, "TABLE", bare)
        took = self.load_vectors(data, bare, type_name, file, rows)
        with self.connect(data.name) as connection:
            with connection.transaction():
                connection.execute(f"CREATE TABLE {table} ({declare(COLUMNS)}, "
                                   f"v {type_name}({data.dimensions}))")
                connection.execute(f"INSERT INTO {table} ({names}, v) SELECT {names}, v "
                                   f"FROM {bare} JOIN attributes USING (id) ORDER BY id")
            connection.execute(f"DROP TABLE {bare}")
            connection.execute(f"VACUUM (ANALYZE, FREEZE) {table}")
        return took

    def warm(self, connection, table):
        """Reads a table into the caches: what of it is there already is chance."""
        if connection.execute("SELECT 1 FROM pg_available_extensions "
                              "WHERE name = 'pg_prewarm'").fetchone() is None:
            return
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_prewarm")
        connection.execute("SELECT pg_prewarm(relation) FROM pg_class, "
                           "unnest(ARRAY[oid, nullif(reltoastrelid, 0)]) relation "
                           "WHERE oid = %s::regclass AND relation IS NOT NULL", [table])

    def build(self, data, engine):
        """Builds an engine's index unless it is there; returns what it took."""
        with self.connect(data.name) as connection:
            known = connection.execute(
                "SELECT obj_description(to_regclass(%s), 'pg_class')",
                [engine.index_name]).fetchone()[0]
            if self.has_relation(data.name, engine.index_name):
                return json.loads(known) if known else {}
            connection.execute(f"SET maintenance_work_mem = '{self.maintenance_work_mem}'")
            connection.execute(BUILD_PROCESSES)
            self.warm(connection, engine.table)
            first = connection.execute(WAL_POSITION).fetchone()
            with BuildWatch(connection.info.backend_pid) as memory:
                begin = time.monotonic()
                connection.execute(f"CREATE INDEX {engine.index_name} ON {engine.table} "
                                   + engine.define_index(data))
                took = {"seconds": round(time.monotonic() - begin, 1)}
            took["peak_mb"] = None if memory.growth is None else round(memory.growth / 1024, 1)
            last, level = connection.execute(WAL_POSITION).fetchone()
            # with wal_level = minimal nothing is logged of a table that is new
            took["wal_mb"] = None if level == "minimal" else round((last - first[0]) / 2**20, 1)
            connection.execute(f"COMMENT ON INDEX {engine.index_name} IS '{json.dumps(took)}'")
        return took

    def make_btrees(self, database, table, columns):
        with self.connect(database) as connection:
            for column in columns:
                connection.execute(f"CREATE INDEX IF NOT EXISTS {table}_{column} ON {table} ({column})")

    def size_mb(self, database, name):
        with self.connect(database) as connection:
            return connection.execute("SELECT pg_relation_size(%s::regclass) / 1048576.0::float8",
                                      [name]).fetchone()[0]

    def plan(self, database, setup, sql, type_name, vector, radius=None):
        """The plan of a prepared statement over the vector and maybe a radius, as lines."""
        text = "[" + ",".join(map(repr, vector.tolist())) + "]"
        types, values = ((type_name, f"'{text}'") if radius is None else
                         (f"{type_name}, float8", f"'{text}', {radius!r}"))
        with self.connect(database) as connection:
            connection.execute(setup)
            connection.execute(f"PREPARE asked ({types}) AS {sql}")
            lines = connection.execute(f"EXPLAIN (COSTS OFF) EXECUTE asked ({values})").fetchall()
        return [re.sub(r"'[^']{100,}'", "'...'", line[0]) for line in lines]

    def uses_index(self, database, setup, sql, type_name, vector, index, radius=None):
        """The plan of a statement names the index."""
        plan = self.plan(database, setup, sql, type_name, vector, radius)
        return any(re.search(rf"(using|Index Scan on) {index}\b", line) for line in plan)
