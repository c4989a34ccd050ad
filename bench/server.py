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
import subprocess
import threading
import time

import psycopg
from psycopg.conninfo import make_conninfo


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
        self.first = self.peak = read_status(pid)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.stop.wait(self.interval):
            now = read_status(self.pid)
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


class ClientError(Exception):
    pass


class Server:
    def __init__(self, conninfo, client, maintenance_work_mem):
        self.conninfo = conninfo
        self.program = client
        self.maintenance_work_mem = maintenance_work_mem

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
                    connection.execute(f"CREATE EXTENSION IF NOT EXISTS {extension}")
                except psycopg.errors.Error:
                    missing.add(extension)
        return missing

    def has_relation(self, database, name):
        with self.connect(database) as connection:
            return connection.execute("SELECT to_regclass(%s) IS NOT NULL", [name]).fetchone()[0]

    def drop(self, database, kind, name):
        with self.connect(database) as connection:
            connection.execute(f"DROP {kind} IF EXISTS {name}")

    def load(self, database, table, type_name, dimensions, file):
        """Makes and fills a table unless it is there; returns what it took."""
        if self.has_relation(database, table):
            return None
        with self.connect(database) as connection:
            connection.execute(f"CREATE TABLE {table} (id int4, v {type_name}({dimensions}))")
            try:
                took = self.client("load", database, table=table, file=file)
            except ClientError:
                connection.execute(f"DROP TABLE {table}")
                raise
            connection.execute(f"VACUUM (ANALYZE, FREEZE) {table}")
        return took

    def build(self, database, engine, metric):
        """Builds an engine's index unless it is there; returns what it took."""
        with self.connect(database) as connection:
            known = connection.execute(
                "SELECT obj_description(to_regclass(%s), 'pg_class')",
                [engine.index_name]).fetchone()[0]
            if self.has_relation(database, engine.index_name):
                return json.loads(known) if known else {}
            connection.execute(f"SET maintenance_work_mem = '{self.maintenance_work_mem}'")
            connection.execute(engine.build)
            with MemoryWatch(connection.info.backend_pid, 0.05) as memory:
                begin = time.monotonic()
                connection.execute(f"CREATE INDEX {engine.index_name} ON {engine.table} "
                                   + engine.index.format(metric=metric))
                took = {"seconds": round(time.monotonic() - begin, 1)}
            took["peak_mb"] = None if memory.growth is None else round(memory.growth / 1024, 1)
            connection.execute(f"COMMENT ON INDEX {engine.index_name} IS '{json.dumps(took)}'")
        return took

    def size_mb(self, database, name):
        with self.connect(database) as connection:
            return connection.execute("SELECT pg_relation_size(%s::regclass) / 1048576.0::float8",
                                      [name]).fetchone()[0]

    def uses_index(self, database, setup, sql, vector, index):
        """The plan of a query names the index."""
        with self.connect(database) as connection:
            connection.execute(setup)
            text = "[" + ",".join(map(repr, vector.tolist())) + "]"
            plan = connection.execute("EXPLAIN " + sql.replace("$1", f"'{text}'")).fetchall()
        return any(f"using {index}" in line[0] for line in plan)
