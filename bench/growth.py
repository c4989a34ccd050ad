#-------------------------------------------------------------------------
#
# growth.py
#	  What a query costs as the table grows: its first 10,000, 100,000, ... rows.
#
# IDENTIFICATION
#	  bench/growth.py
#
#-------------------------------------------------------------------------
import dataclasses

import checks
import datasets
import engines
from cases import Case, judge, make_questions, time_cases, trivial_case, usable_cases
from prepare import prepare_engines
from truth import Truth

SIZES = (10_000, 100_000, 1_000_000)
SUITE = "growth"


def sized_engines(data):
    """vkivf over the first rows, in tables of their own, and over all."""
    engine = engines.ENGINES["vkivf"]
    for rows in SIZES:
        if rows < data.rows:
            yield rows, dataclasses.replace(engine, table=f"growth_{rows}", rows=rows)
    yield data.rows, engine


def run_growth(server, data, options, log):
    """Default options; the trivial query is asked in the same rounds."""
    questions = make_questions(data, options.queries, options.out)
    cases = [trivial_case(SUITE, data, questions)]
    for rows, engine in sized_engines(data):
        if not prepare_engines(server, data, [engine], options.rebuild, log):
            continue
        case = Case(SUITE, data.name, str(rows), engine.name, "",
                    checks.statement(data, engine.table, options.k), engine.type, questions,
                    engine.index_name)
        for usable in usable_cases(server, [case], log):
            judge(server, usable, true_ids(data, rows, options), log)
            cases.append(usable)
    time_cases(server, cases, options.rounds, options.seconds, log)


def true_ids(data, rows, options):
    if rows == data.rows:
        return datasets.read_truth(data, options.k)[:options.queries]
    truth = Truth(data, options.queries, rows)
    return [truth.nearest(query, options.k)[0] for query in range(len(truth.queries))]
