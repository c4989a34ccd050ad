#-------------------------------------------------------------------------
#
# cases.py
#	  One statement asked of one engine in one way: its plan, answers, speed.
#
# NOTES
#	  The suites list their cases; what is measured of them is the same.  As
#	  in measure.py, all cases are timed in rounds, each a little at a time.
#
# IDENTIFICATION
#	  bench/cases.py
#
#-------------------------------------------------------------------------
import dataclasses
import os
import pathlib
import re

import numpy as np

import checks
import datasets
import engines
from server import ClientError

WARM_UP = 50					# queries before the clock starts


@dataclasses.dataclass(frozen=True)
class Questions:
    """The query vectors, and a radius for each where the statement has one."""

    path: pathlib.Path
    vectors: np.ndarray
    radii_path: pathlib.Path | None = None
    radii: np.ndarray | None = None

    def radius(self, query):
        return None if self.radii is None else float(self.radii[query])

    def with_radii(self, radii, path):
        np.asarray(radii, float).tofile(path)
        return dataclasses.replace(self, radii_path=path, radii=np.asarray(radii, float))


@dataclasses.dataclass(frozen=True)
class Case:
    suite: str
    data: str					# the database too
    name: str
    engine: str
    setup: str
    sql: str
    type: str
    questions: Questions
    index: str = ""				# that the plan has to use
    least: int = 0				# queries a round, of all unless given

    @property
    def session(self):
        return f"{engines.ONE_PROCESS}; {self.setup}"

    @property
    def head(self):
        return {"suite": self.suite, "data": self.data, "case": self.name, "engine": self.engine}


def make_questions(data, count, folder):
    """The first queries of a set, in a file of their own for the client."""
    vectors = datasets.read_fvecs(data.queries)[:count]
    path = folder / f"{data.folder.name}-{len(vectors)}.fvecs"
    datasets.write_vecs(path, vectors)
    return Questions(path, vectors)


def trivial_case(suite, data, questions):
    """What the way to the server and back takes."""
    engine = engines.ENGINES["trivial"]
    return Case(suite, data.name, "trivial", engine.name, engine.query, engine.sql, engine.type,
                questions)


def plan_of(server, case):
    return server.plan(case.data, case.session, case.sql, case.type, case.questions.vectors[0],
                       case.questions.radius(0))


def usable_cases(server, cases, log):
    """The cases whose plan is what they are to show; the others are logged."""
    for case in cases:
        questions = case.questions
        try:
            if not case.index or server.uses_index(
                    case.data, case.session, case.sql, case.type, questions.vectors[0],
                    case.index, questions.radius(0)):
                yield case
                continue
            error = f"the plan does not use {case.index}"
        except Exception as failure:
            error = str(failure).strip()
        report_failure(log, case, error)


def report_failure(log, case, error):
    log.say(f"{case.suite}: {case.data}: {case.engine}: {case.name}: {error}")
    log.add({"kind": "failed", **case.head, "error": error})


def answers_of(server, case):
    """The ids that each question gets, in the order they come."""
    sql = case.sql.replace("$1", "%(vector)s").replace("$2", "%(radius)s")
    with server.connect(case.data) as connection:
        connection.execute(case.session)
        for i, vector in enumerate(case.questions.vectors):
            values = {"vector": checks.text_of(vector), "radius": case.questions.radius(i)}
            rows = connection.execute(sql, values, prepare=True).fetchall()
            yield [row[0] for row in rows]


def judge(server, case, truth, log, allowed=None):
    """Logs the recall of a case's answers against the true ids of each question.

    Wrong rows are those that must not be in an answer whatever the recall is:
    beyond the radius, or not among the rows that the filter allows.
    """
    hits = wanted = wrong = short = rows = 0
    for found, right in zip(answers_of(server, case), truth):
        right, unique = set(right.tolist()), set(found)
        hits += len(unique & right)
        wanted += len(right)
        rows += len(found)
        short += len(found) < len(right)
        wrong += len(found) - len(unique) + len(unique - (right if allowed is None else allowed))
    log.add({"kind": "answers", **case.head, "queries": len(truth), "recall": hits / wanted,
             "rows": rows / len(truth), "short": short, "wrong_rows": wrong})
    log.say(f"{case.data}: {case.engine}: {case.name}: recall {hits / wanted:.4f}")


def filtered(data, table, condition, k):
    return f"SELECT id FROM {table} WHERE {condition} ORDER BY v {data.operator} $1 LIMIT {k}"


def rows_where(server, case):
    """The ids that the case's condition, its name, is true for."""
    table = re.search(r" FROM (\w+) ", case.sql)[1]
    with server.connect(case.data) as connection:
        found = connection.execute(f"SELECT id FROM {table} WHERE {case.name}").fetchall()
    return np.sort(np.fromiter((row[0] for row in found), np.int64, len(found)))


def judge_filters(server, cases, truth, k, log):
    """Judges cases that are named by their conditions."""
    for condition in dict.fromkeys(case.name for case in cases):
        same = [case for case in cases if case.name == condition]
        allowed = rows_where(server, same[0])
        right = [truth.nearest(query, k, allowed)[0] for query in range(len(truth.queries))]
        log.add({"kind": "condition", "suite": same[0].suite, "data": same[0].data,
                 "case": condition, "rows": len(allowed), "share": len(allowed) / len(truth.base)})
        for case in same:
            judge(server, case, right, log, set(allowed.tolist()))


def time_cases(server, cases, rounds, seconds, log):
    """All cases in rounds, those of each round in another order."""
    for round_number in range(rounds):
        log.say(f"{cases[0].suite if cases else ''}: round {round_number + 1} of {rounds}, "
                f"{len(cases)} cases")
        turn = round_number * len(cases) // rounds
        for case in cases[turn:] + cases[:turn]:
            questions = case.questions
            try:
                result = server.client(
                    "query", case.data, setup=case.session, sql=case.sql, type=case.type,
                    queries=questions.path, radii=questions.radii_path or "", k=1,
                    seconds=seconds, at_least=case.least or len(questions.vectors),
                    warm_up=0 if case.least else WARM_UP,
                    start=round_number if case.least else 0)
                log.add({"kind": "timing", **case.head, "round": round_number,
                         "load": os.getloadavg()[0], **result})
            except ClientError as error:
                report_failure(log, case, str(error))
