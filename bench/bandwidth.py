#-------------------------------------------------------------------------
#
# bandwidth.py
#	  How near vkflat's scan comes to what a core can read from memory.
#
# NOTES
#	  bandwidth.c and the scan take turns.  The scan's rate is the pages that
#	  it says it read, by the time inside the server: that of a query less that
#	  of a trivial one.
#
# IDENTIFICATION
#	  bench/bandwidth.py
#
#-------------------------------------------------------------------------
import json
import pathlib
import subprocess

import checks
import engines
from cases import Case, make_questions, time_cases, trivial_case, usable_cases
from prepare import prepare_engines

SUITE = "bandwidth"
PAGE = 8192


def make_probe(folder):
    program = folder / "bandwidth"
    source = pathlib.Path(__file__).with_name("bandwidth.c")
    subprocess.run(["cc", "-O3", "-Wall", "-Wextra", "-o", program, source],
                   check=True)
    return program


def pages_read(server, case):
    """Of one query, by the scan's own count."""
    with server.connect(case.data) as connection:
        connection.execute(case.session)
        sql = case.sql.replace("$1", "%s")
        connection.execute(sql, [checks.text_of(case.questions.vectors[0])]).fetchall()
        return connection.execute("SELECT pages FROM vk_last_scan()").fetchone()[0]


def run_bandwidth(server, data, options, log):
    engine = engines.ENGINES["vkflat"]
    if not prepare_engines(server, data, [engine], options.rebuild, log):
        return
    questions = make_questions(data, options.queries, options.out)
    case = Case(SUITE, data.name, "scan", engine.name, engine.query,
                checks.statement(data, engine.table, options.k), engine.type, questions,
                engine.index_name)
    cases = [*usable_cases(server, [case], log), trivial_case(SUITE, data, questions)]
    if len(cases) < 2:
        return
    log.add({"kind": "scanned", **case.head, "bytes": PAGE * pages_read(server, case)})
    program = make_probe(options.out)
    for _ in range(options.rounds):
        done = subprocess.run([program], capture_output=True, text=True, check=True)
        log.add({"kind": "read", "suite": SUITE, "data": data.name, **json.loads(done.stdout)})
        time_cases(server, cases, 1, options.seconds, log)
