#-------------------------------------------------------------------------
#
# suites.py
#	  The suites by name; what plain SQL around a k-NN query costs.
#
# NOTES
#	  Each suite loads and builds what it needs, lists its cases, has their
#	  answers judged against exact ones, and has them timed in rounds.  A
#	  case whose plan does not use the index that it is about is reported
#	  and left out.
#
# IDENTIFICATION
#	  bench/suites.py
#
#-------------------------------------------------------------------------
import dataclasses

import bandwidth
import checks
import cold
import engines
import growth
import inserts
import plans
import prefilter
import recall
import unlike
from cases import (Case, answers_of, filtered, judge, judge_filters, make_questions,
                   report_failure, time_cases, usable_cases)
from prepare import prepare_engines
from truth import Truth

FILTERS = ("chars < 179", "chars < 112", "chars >= 552", "chars >= 552 AND seq10 = 0",
           "source = 'wordnet'", "seq BETWEEN 500000 AND 510000")

RANGE_ROWS = (10, 100, 1000)

# engine, setup, with ORDER BY, queries a round (0: all)
RANGE_CASES = (
    ("sequential", engines.SEQUENTIAL, False, 1),
    ("vkflat", "", False, 0),
    ("vkflat", "", True, 0),
    ("vkivf", f"{engines.DECLARED}; SET vkindex.range_pushdown = approximate", False, 0),
    ("vkivf", engines.DECLARED, True, 0),
)

# rows of approximate single queries that a join over the same index must find
ALIKE = 0.999

JOIN_SETUPS = {"vkflat": "", "vkivf": engines.DECLARED, "hnsw": "SET hnsw.ef_search = 40"}


def run_filters(server, data, options, log):
    """Filters of attributes, on columns that are in the index and on the same that are not."""
    found = prepare_engines(server, data, engines.ATTRIBUTE_ENGINES.values(), options.rebuild, log)
    questions = make_questions(data, options.queries, options.out)
    cases = list(usable_cases(server, [
        Case("filters", data.name, condition, engine.name, engine.query,
             filtered(data, engine.table, condition, options.k), engine.type, questions,
             engine.index_name)
        for engine in found for condition in FILTERS], log))
    judge_filters(server, cases, Truth(data, options.queries), options.k, log)
    time_cases(server, cases, options.rounds, options.seconds, log)


def within(data, table, in_order):
    order = f" ORDER BY v {data.operator} $1" if in_order else ""
    return f"SELECT id FROM {table} WHERE v {data.operator} $1 < $2{order}"


def run_ranges(server, data, options, log):
    """Radii that a given number of rows lie within, another for each query."""
    names = dict.fromkeys(name for name, *_ in RANGE_CASES)
    found = {engine.name: engine for engine in prepare_engines(
        server, data, [engines.ENGINES[name] for name in names], options.rebuild, log)}
    truth = Truth(data, options.queries)
    questions = make_questions(data, options.queries, options.out)
    cases = []
    for rows in RANGE_ROWS:
        radii, right = zip(*(truth.range_of_about(query, rows) for query in range(options.queries)))
        asked = questions.with_radii(radii, options.out / f"{data.name}-{rows}.f8")
        usable = list(usable_cases(server, [
            Case("ranges", data.name, f"about {rows} rows{', in order' if in_order else ''}", name,
                 setup, within(data, found[name].table, in_order), found[name].type, asked,
                 found[name].index_name, least)
            for name, setup, in_order, least in RANGE_CASES if name in found], log))
        for case in usable:
            if case.index:
                judge(server, case, right, log)
        cases += usable
    time_cases(server, cases, options.rounds, options.seconds, log)


def run_joins(server, data, options, log):
    """A LATERAL join, and as many single queries with what the protocol takes of them."""
    chosen = [engines.ENGINES[name] for name in JOIN_SETUPS]
    questions = make_questions(data, None, options.out)
    cases = []
    for engine in prepare_engines(server, data, chosen, options.rebuild, log):
        outer = f"queries_{engine.type}"
        server.load_vectors(data, outer, engine.type, data.queries)
        inner = checks.statement(data, engine.table, options.k)
        single = Case("joins", data.name, "single", engine.name, JOIN_SETUPS[engine.name],
                      inner, engine.type, questions, engine.index_name)
        trivial = dataclasses.replace(single, name="trivial", index="",
                                      sql=engines.ENGINES["trivial"].sql)
        join = dataclasses.replace(single, name="join", least=1,
                                   sql=f"SELECT sum(near.id) FROM {outer} AS far, "
                                   f"LATERAL ({inner.replace('$1', 'far.v')}) AS near")
        usable = list(usable_cases(server, [single, trivial, join], log))
        if join in usable:
            check_join(server, single, join, log)
        cases += usable
    time_cases(server, cases, options.rounds, options.seconds, log)


def check_join(server, single, join, log):
    """The join finds the rows of the single queries: all of them, or nearly where both miss some."""
    sql = join.sql.replace("sum(near.id)", "array_agg(near.id)") + " GROUP BY far.id ORDER BY far.id"
    with server.connect(join.data) as connection:
        connection.execute(join.session)
        found = [set(ids) for (ids,) in connection.execute(sql)]
    same = wanted = 0
    for ids, expected in zip(found, answers_of(server, single), strict=True):
        same += len(ids.intersection(expected))
        wanted += len(expected)
    log.add({"kind": "answers", **join.head, "queries": len(found), "same": same / wanted})
    if same / wanted < (1 if join.engine == "vkflat" else ALIKE):
        report_failure(log, join, f"{same} of the {wanted} rows of the single queries")


# name: what to run, and whether it needs the attributes of the set
SUITES = {
    "filters": (run_filters, True),
    "ranges": (run_ranges, False),
    "joins": (run_joins, False),
    "plans": (plans.run_plans, True),
    "prefilter": (prefilter.run_prefilter, True),
    "inserts": (inserts.run_inserts, False),
    "recall": (recall.run_recall, False),
    "unlike": (unlike.run_unlike, False),
    "bandwidth": (bandwidth.run_bandwidth, False),
    "growth": (growth.run_growth, False),
    "cold": (cold.run_cold, False),
}

DEFAULT_SUITES = "engines,recall,bandwidth,growth,cold"


def run(server, chosen, options, log):
    """All suites asked for, over all the sets that they can be run on."""
    for name in options.suite:
        if name not in SUITES:
            continue			# the engines, which measure.py does
        run_suite, needs_attributes = SUITES[name]
        for data in chosen:
            if needs_attributes and not data.attributes.exists():
                continue
            log.say(f"{data.name}: {name}")
            run_suite(server, data.beside_attributes() if needs_attributes else data, options, log)
