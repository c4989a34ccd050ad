"""What the Python programs share: the rows, the right answers, the count.

VK_TYPE says which type the database has: "vector", pgvector's, with the extension
vkindex_pgvector, or "f32vec", with vkindex alone.  Where to connect to is said by libpq's
variables, PGHOST and so on.
"""

import math
import os
import sys
import time

TYPE = os.environ["VK_TYPE"]
EXTENSION = "vkindex_pgvector" if TYPE == "vector" else "vkindex"
ROWS, DIM, KINDS, NEAREST = 1000, 16, 5, 10
KIND = 3                        # that filters ask for
RADIUS = 120.0                  # that ranges ask for

DISTANCES = {
    "l2": math.dist,
    "ip": lambda a, b: -sum(x * y for x, y in zip(a, b)),
    "cosine": lambda a, b: 1 - sum(x * y for x, y in zip(a, b)) / math.hypot(*a) / math.hypot(*b),
    "hamming": lambda a, b: sum(x != y for x, y in zip(a, b)),
}


def embedding(row):
    """Small integers, whose distances are the same wherever they are computed."""
    return [float((row * row * (j + 3) + row * (2 * j + 1) * 37) % 1009 % 100 - 50) for j in range(DIM)]


def bits(vector):
    return [x > 0 for x in vector]


QUERY = [float(j * 37 % 100 - 50) for j in range(DIM)]
EMBEDDINGS = {row: embedding(row) for row in range(1, ROWS + 1)}


def kind(row):
    return row % KINDS


def by_distance(metric="l2", query=QUERY, of_kind=None, convert=lambda vector: vector):
    """(row, distance) of all rows, or those of a kind, nearest first."""
    distance = DISTANCES[metric]
    found = [(row, distance(convert(vector), convert(query))) for row, vector in EMBEDDINGS.items()
             if of_kind is None or kind(row) == of_kind]
    return sorted(found, key=lambda pair: pair[1])


def within(radius=RADIUS):
    return {row for row, distance in by_distance() if distance < radius}


def scans(conn, index):
    """How often an index was scanned; waits for sessions that are just ending, which report it then."""
    others = ("SELECT FROM pg_stat_activity WHERE datname = current_database() "
              "AND backend_type = 'client backend' AND pid <> pg_backend_pid()")
    while conn.execute(others).fetchone():
        time.sleep(0.1)
    return conn.execute("SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = %s", (index,)).fetchone()[0]


class Checks:
    """Counts what was right; the last line is for the script that runs this program."""

    def __init__(self):
        self.passed = self.failed = 0

    def true(self, name, right, otherwise=""):
        print("ok" if right else "NOT OK", name, "" if right else otherwise)
        self.passed += bool(right)
        self.failed += not right

    def equal(self, name, found, expected):
        self.true(name, found == expected, f"\n  found    {found}\n  expected {expected}")

    def nearest(self, name, found, expected):
        """Pairs (row, distance): the distances of the best rows, each at its own row."""
        found, expected = list(found), list(expected)
        best, own = expected[:NEAREST], dict(expected)
        self.true(name, len(found) == len(best) and
                  all(math.isclose(f[1], e[1], rel_tol=1e-6, abs_tol=1e-6) and
                      math.isclose(f[1], own.get(f[0], math.nan), rel_tol=1e-6, abs_tol=1e-6)
                      for f, e in zip(found, best)),
                  f"\n  found    {found}\n  expected {best}")

    def uses(self, name, plan, index):
        """A plan, as text, has a scan of the index."""
        self.true(name, f"using {index} on" in plan or f"Scan on {index}" in plan, "\n" + plan)

    def finish(self):
        print(f"{self.passed} passed, {self.failed} failed")
        sys.exit(self.failed > 0)
