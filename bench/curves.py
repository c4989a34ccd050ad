#-------------------------------------------------------------------------
#
# curves.py
#	  From rounds to lines, and from lines to speed at a given recall.
#
# NOTES
#	  A line is one setting of one engine for one k and number of connections:
#	  the medians of its rounds, the recall of the first.  An engine's curve has
#	  only the settings that no other one beats in both recall and speed.
#
# IDENTIFICATION
#	  bench/curves.py
#
#-------------------------------------------------------------------------
import math
import statistics

RATES = ("qps", "p50_us", "p95_us", "p99_us")
ONCE = ("recall", "recall_p05", "below_80", "index_used", "short")
DEFAULTS = {"k": 10, "connections": 1}


def summarize(records):
    """One line a setting: the medians of the rounds, the recall of the first."""
    groups = {}
    for record in records:
        if record["kind"] == "measure":
            record = DEFAULTS | record
            key = tuple(record[field] for field in ("data", "engine", "value", "k", "connections"))
            groups.setdefault(key, []).append(record)
    lines = []
    for (data, engine, value, k, connections), rounds in groups.items():
        line = {"data": data, "engine": engine, "value": value, "k": k, "connections": connections,
                "recall": None, "index_used": True, "short": 0}
        for record in rounds:
            line.update({key: record[key] for key in ONCE if key in record})
        for key in RATES:
            line[key] = statistics.median(record[key] for record in rounds)
        lines.append(line)
    share_recall(lines)
    return lines


def share_recall(lines):
    """What several connections find is what one finds."""
    known = {(line["data"], line["engine"], line["value"], line["k"]): line for line in lines
             if line["recall"] is not None}
    for line in lines:
        alone = known.get((line["data"], line["engine"], line["value"], line["k"]))
        if line["recall"] is None and alone:
            line.update({key: alone[key] for key in ONCE if key in alone})


def select(lines, **wanted):
    return [line for line in lines if all(line[key] == value for key, value in wanted.items())]


def curve(lines):
    """(recall, queries a second) of the settings that no other one beats, by recall."""
    best = []
    for line in sorted((line for line in lines if line["recall"] is not None),
                       key=lambda line: (-line["recall"], -line["qps"])):
        if not best or line["qps"] > best[-1][1]:
            best.append((line["recall"], line["qps"]))
    return best[::-1]


def rate_at(points, recall):
    """Queries a second at a recall: log-linear between two settings of a curve.

    None where the recall is above all that was measured; below all, the rate
    of the fastest setting, which finds more and is no worse.
    """
    if not points or recall > points[-1][0]:
        return None
    if recall <= points[0][0]:
        return points[0][1]
    for (low, slow), (high, fast) in zip(points, points[1:]):
        if low <= recall <= high:
            share = (recall - low) / (high - low) if high > low else 1.0
            return math.exp(math.log(slow) + share * (math.log(fast) - math.log(slow)))
    return None


def exponent(points):
    """Of the power of the first that the second grows with, by least squares."""
    logs = [(math.log(x), math.log(y)) for x, y in points]
    mean_x, mean_y = (statistics.mean(column) for column in zip(*logs))
    return sum((x - mean_x) * (y - mean_y) for x, y in logs) / \
        sum((x - mean_x) ** 2 for x, _ in logs)


def microseconds(rate, connections=1):
    """That a query takes, where each of so many connections has one under way."""
    return 1e6 * connections / rate


class Rates:
    """The engines of one set of data, for one k and number of connections."""

    def __init__(self, lines, data, k, connections):
        self.lines = select(lines, data=data, k=k, connections=connections)
        self.connections = connections
        trivial = [line for line in lines if line["engine"] == "trivial" and line["data"] == data
                   and line["connections"] == connections]
        self.trivial_us = microseconds(trivial[0]["qps"], connections) if trivial else None

    @property
    def engines(self):
        return list(dict.fromkeys(line["engine"] for line in self.lines))

    def at(self, engine, recall):
        """Queries a second; of an engine with no recall, which is exact, its only rate."""
        lines = [line for line in self.lines if line["engine"] == engine and line["index_used"]]
        exact = [line["qps"] for line in lines if line["recall"] is None]
        return exact[0] if exact else rate_at(curve(lines), recall)

    def inside_us(self, rate):
        """Microseconds inside the server: of a query less those of a trivial one."""
        return None if self.trivial_us is None else \
            microseconds(rate, self.connections) - self.trivial_us

    def cost(self, rate, price):
        """Of a million queries, when a core costs so much for an hour."""
        return price * self.connections * 1e6 / rate / 3600
