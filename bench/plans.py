#-------------------------------------------------------------------------
#
# plans.py
#	  Whether the planner chooses well: the chosen plan against the others.
#
# NOTES
#	  Each statement is planned as it comes and with methods of plans turned
#	  off; every plan that this brings to light is timed.  Three sizes of
#	  table, the columns rnd and words with B-trees on them.
#
# IDENTIFICATION
#	  bench/plans.py
#
#-------------------------------------------------------------------------
import dataclasses
import itertools
import re

import numpy as np

import engines
from cases import Case, make_questions, plan_of, report_failure, time_cases
from prepare import prepare_engines
from truth import Truth

TABLES = {"plans_2k": 2000, "plans_50k": 50_000, "items_in_index": 0}
BTREES = ("rnd", "words")
QUERIES = 20

# {t} is the table and {d} the distance; where there is a radius, $2, about so many rows lie within
NEAREST = "SELECT id FROM {t} ORDER BY {d} LIMIT 10"
STATEMENTS = (
    ("nearest 10", NEAREST, 0),
    ("nearest 5,000", "SELECT id FROM {t} ORDER BY {d} LIMIT 5000", 0),
    ("all in order", "SELECT id FROM {t} ORDER BY {d}", 0),
    ("limit unknown", "SELECT id FROM {t} ORDER BY {d} LIMIT (SELECT 10)", 0),
    ("B-tree column, 50 %", "SELECT id FROM {t} WHERE rnd < 5000 ORDER BY {d} LIMIT 10", 0),
    ("B-tree column, 5 %", "SELECT id FROM {t} WHERE rnd < 500 ORDER BY {d} LIMIT 10", 0),
    ("B-tree column, 1 %", "SELECT id FROM {t} WHERE rnd < 100 ORDER BY {d} LIMIT 10", 0),
    ("B-tree column, 0.1 %", "SELECT id FROM {t} WHERE rnd < 10 ORDER BY {d} LIMIT 10", 0),
    ("B-tree column, limit unknown",
     "SELECT id FROM {t} WHERE rnd < 100 ORDER BY {d} LIMIT (SELECT 10)", 0),
    ("in the index, 50 %", "SELECT id FROM {t} WHERE chars < 179 ORDER BY {d} LIMIT 10", 0),
    ("in the index, 0.1 %",
     "SELECT id FROM {t} WHERE chars >= 552 AND seq10 = 0 ORDER BY {d} LIMIT 10", 0),
    ("in the index, IN",
     "SELECT id FROM {t} WHERE source IN ('wordnet', 'foldoc') ORDER BY {d} LIMIT 10", 0),
    ("in no index", "SELECT id FROM {t} WHERE section = 'noun.14' ORDER BY {d} LIMIT 10", 0),
    ("in both", "SELECT id FROM {t} WHERE words < 20 AND chars < 112 ORDER BY {d} LIMIT 10", 0),
    ("range of 10", "SELECT id FROM {t} WHERE {d} < $2", 10),
    ("range of 1,000, in order", "SELECT id FROM {t} WHERE {d} < $2 ORDER BY {d}", 1000),
    ("range of 1,000, nearest 10",
     "SELECT id FROM {t} WHERE {d} < $2 ORDER BY {d} LIMIT 10", 1000),
    ("range of 100 and B-tree column", "SELECT id FROM {t} WHERE {d} < $2 AND rnd < 100", 100),
    ("count by B-tree column", "SELECT count(*)::int4 FROM {t} WHERE words = 30", 0),
    ("count by column in the index", "SELECT count(*)::int4 FROM {t} WHERE chars = 552", 0),
)

METHODS = ("seqscan", "indexscan", "bitmapscan", "sort")


def turned_off():
    """The settings that plans are looked for under, none first."""
    for count in range(len(METHODS)):
        for methods in itertools.combinations(METHODS, count):
            yield "; ".join(f"SET enable_{method} = off" for method in methods)


def shape(plan):
    """The nodes of a plan in a line, without what they do."""
    nodes = (re.sub(r"^[ ]*(->)?[ ]*", "", line) for line in plan)
    return " > ".join(node for node in nodes if ":" not in node and not node.startswith("InitPlan"))


def find_plans(server, case):
    """The distinct plans of a statement as cases, the planner's choice first."""
    seen = set()
    for off in turned_off():
        one = dataclasses.replace(case, setup=f"{case.setup}; {off}")
        plan = plan_of(server, one)
        if tuple(plan) not in seen:
            seen.add(tuple(plan))
            yield dataclasses.replace(one, engine=f"{len(seen)}: {shape(plan)}"), plan


def list_cases(server, data, table, type_name, asked, log):
    """Of one table: every plan of every statement."""
    for name, sql, rows in STATEMENTS:
        sql = sql.format(t=table, d=f"v {data.operator} $1")
        # a plan for any vector, and where there is a radius for that one
        mode = "custom" if rows else "generic"
        case = Case("plans", data.name, f"{table}: {name}", "", f"{engines.DECLARED}; "
                    f"SET plan_cache_mode = force_{mode}_plan", sql, type_name, asked[rows], least=1)
        try:
            for found, plan in find_plans(server, case):
                log.add({"kind": "plan", **found.head, "plan": plan})
                yield found
        except Exception as error:
            report_failure(log, case, str(error).strip())


def ask_with_radii(data, questions, table, size, folder):
    """The questions by the rows that are to lie within their radius, 0 for none."""
    truth = Truth(data, QUERIES, size)
    asked = {0: questions}
    for rows in {rows for *_, rows in STATEMENTS if rows}:
        radii = [truth.range_of_about(query, rows)[0] for query in range(QUERIES)]
        asked[rows] = questions.with_radii(np.array(radii), folder / f"{table}-{rows}.f8")
    return asked


def run_plans(server, data, options, log):
    in_index = engines.ATTRIBUTE_ENGINES["vkivf_attributes"]
    questions = make_questions(data, QUERIES, options.out)
    cases = []
    for table, size in TABLES.items():
        engine = dataclasses.replace(in_index, table=table, rows=size)
        if not prepare_engines(server, data, [engine], options.rebuild, log):
            continue
        server.make_btrees(data.name, table, BTREES)
        asked = ask_with_radii(data, questions, table, size, options.out)
        cases += list_cases(server, data, table, engine.type, asked, log)
    time_cases(server, cases, options.rounds, min(options.seconds, 0.5), log)
