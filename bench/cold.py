#-------------------------------------------------------------------------
#
# cold.py
#	  Queries whose table and index are in no cache.
#
# NOTES
#	  Before each run the server is started anew, with shared_buffers at a
#	  quarter of the engine's own index, and the files of the table and the
#	  index are dropped from the operating system's cache.  Every run asks the
#	  same queries once, so all engines have as long to warm up.
#
#	  Only with a server that measure.py may start again (--cluster).
#
# IDENTIFICATION
#	  bench/cold.py
#
#-------------------------------------------------------------------------
import contextlib
import glob
import os
import re
import shlex
import subprocess

import checks
import engines
from cases import make_questions
from prepare import prepare_engines

SHARE = 4						# an index is so many times shared_buffers
LEAST_MB = 2
SETTINGS = {"vkivf": ("default",), "hnsw": (40, 60, 80, 120, 160)}

# the table, its TOAST table, and the indexes of both
FILES = """WITH here AS (SELECT indrelid, indexrelid FROM pg_index WHERE indexrelid = %s::regclass),
heap AS (SELECT indrelid, reltoastrelid FROM here JOIN pg_class ON oid = indrelid)
SELECT pg_relation_filepath(relation) FROM (
    SELECT indexrelid AS relation FROM here UNION ALL
    SELECT indrelid FROM heap UNION ALL
    SELECT reltoastrelid FROM heap WHERE reltoastrelid <> 0 UNION ALL
    SELECT i.indexrelid FROM heap JOIN pg_index i ON i.indrelid = reltoastrelid) files"""


class Cluster:
    """A server that may be started again."""

    def __init__(self, server, options):
        self.server, self.folder = server, options.cluster
        self.pg_ctl = shlex.split(options.pg_ctl)

    def restart(self):
        subprocess.run([*self.pg_ctl, "-D", self.folder, "-l", "/dev/null", "-m", "fast", "-w",
                        "restart"], check=True, capture_output=True, cwd="/")

    @contextlib.contextmanager
    def shared_buffers(self):
        """A function that starts it with so many MB; in the end it is what it was."""
        def change(megabytes):
            with self.server.connect("postgres") as connection:
                connection.execute(f"ALTER SYSTEM SET shared_buffers = '{megabytes}MB'")
            self.restart()

        try:
            yield change
        finally:
            with self.server.connect("postgres") as connection:
                connection.execute("ALTER SYSTEM RESET shared_buffers")
            self.restart()

    def drop_caches(self, database, index):
        with self.server.connect(database) as connection:
            connection.execute("CHECKPOINT")
            files = [row[0] for row in connection.execute(FILES, [index]).fetchall()]
        for name in files:
            path = os.path.join(self.folder, name)
            for part in [path] + [p for p in glob.glob(path + ".*") if re.search(r"\.\d+$", p)]:
                drop_file(part)


def drop_file(path):
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(handle)


def run_cold(server, data, options, log):
    if not options.cluster:
        log.say("cold: left out, since this server may not be started again (--cluster)")
        return
    found = prepare_engines(server, data, [engines.ENGINES[name] for name in SETTINGS],
                            options.rebuild, log)
    questions = make_questions(data, options.queries, options.out)
    runs = [(engine, value) for engine in found for value in SETTINGS[engine.name]]
    cluster = Cluster(server, options)
    sizes = {engine.name: max(int(server.size_mb(data.name, engine.index_name) / SHARE), LEAST_MB)
             for engine in found}
    with cluster.shared_buffers() as set_shared_buffers:
        for round_number in range(options.rounds):
            log.say(f"cold: {data.name}: round {round_number + 1} of {options.rounds}")
            turn = round_number * len(runs) // options.rounds
            for engine, value in runs[turn:] + runs[:turn]:
                set_shared_buffers(sizes[engine.name])
                cluster.drop_caches(data.name, engine.index_name)
                result = server.client(
                    "query", data.name, setup=engine.query.format(value) if engine.by_ef else "",
                    type=engine.type, sql=checks.statement(data, engine.table, options.k),
                    queries=questions.path, truth=data.truth, k=options.k, seconds=0,
                    at_least=len(questions.vectors))
                log.add({"kind": "cold", "suite": "cold", "data": data.name, "engine": engine.name,
                         "value": value, "k": options.k, "round": round_number,
                         "shared_buffers_mb": sizes[engine.name], **result})
