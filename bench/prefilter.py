#-------------------------------------------------------------------------
#
# prefilter.py
#	  What a set of rows from a B-tree index saves a filtered scan.
#
# NOTES
#	  The same filters are answered by the B-tree's bitmap and a sort (exact),
#	  by the stream of an index that lacks the column, by the same with the
#	  bitmap (vkindex.prefilter), and by an index that has the column.
#
# IDENTIFICATION
#	  bench/prefilter.py
#
#-------------------------------------------------------------------------
import engines
from cases import Case, filtered, judge_filters, make_questions, time_cases, usable_cases
from prepare import prepare_engines
from truth import Truth

CONDITIONS = {
    # 10,000 values in no order: 0.1 to 10 %
    "rnd": [f"rnd < {value}" for value in (10, 20, 50, 100, 200, 500, 1000)],
    # rows that are about the same things
    "seq": [f"seq BETWEEN 500000 AND {500000 + width}"
            for width in (500, 1000, 2500, 5000, 10000, 25000, 50000)],
}

BITMAP = "bitmap and sort"
WAYS = {
    BITMAP: "SET enable_indexscan = off; SET enable_seqscan = off",
    "stream": f"{engines.DECLARED}; {engines.BY_INDEX}",
    "prefilter": f"{engines.DECLARED}; {engines.BY_INDEX}; SET enable_sort = off; SET vkindex.prefilter = on",
    "in the index": f"{engines.DECLARED}; {engines.BY_INDEX}",
}


def list_cases(data, engine, name, columns, questions, k):
    for column in columns:
        for condition in CONDITIONS[column]:
            index = f"{engine.table}_{column}" if name == BITMAP else engine.index_name
            yield Case("prefilter", data.name, condition, name, WAYS[name],
                       filtered(data, engine.table, condition, k), engine.type, questions, index)


def bitmap_seconds(server, case):
    """What the bitmap alone takes, the median of five."""
    values = {"vector": case.questions.vectors[0].tolist()}
    sql = "EXPLAIN (ANALYZE, FORMAT json) " + case.sql.replace("$1", "%(vector)s::float4[]::f32vec")
    times = []
    with server.connect(case.data) as connection:
        connection.execute(case.session)
        for _ in range(5):
            node = connection.execute(sql, values).fetchone()[0][0]["Plan"]
            while node["Node Type"] != "Bitmap Index Scan":
                node = node["Plans"][0]
            times.append(node["Actual Total Time"] / 1000)
    return sorted(times)[2]


def measure(server, cases, truth, options, log):
    usable = list(usable_cases(server, cases, log))
    judge_filters(server, usable, truth, options.k, log)
    time_cases(server, usable, options.rounds, options.seconds, log)
    return usable


def run_prefilter(server, data, options, log):
    chosen = [engines.ATTRIBUTE_ENGINES[name] for name in ("vkivf", "vkivf_attributes")]
    without, within = prepare_engines(server, data, chosen, options.rebuild, log)
    truth = Truth(data, options.queries)
    questions = make_questions(data, options.queries, options.out)
    measure(server, [*list_cases(data, without, "stream", ("rnd", "seq"), questions, options.k),
                     *list_cases(data, within, "in the index", ("seq",), questions, options.k)],
            truth, options, log)
    # not there before, or the planner would not stream, and not kept for the other suites
    server.make_btrees(data.name, without.table, CONDITIONS)
    try:
        measure(server, list_cases(data, without, "prefilter", CONDITIONS, questions, options.k),
                truth, options, log)
        for case in measure(server, list_cases(data, without, BITMAP, CONDITIONS, questions,
                                               options.k), truth, options, log):
            log.add({"kind": "bitmap", **case.head, "seconds": bitmap_seconds(server, case)})
    finally:
        for column in CONDITIONS:
            server.drop(data.name, "INDEX", f"{without.table}_{column}")
