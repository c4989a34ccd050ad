#-------------------------------------------------------------------------
#
# recall.py
#	  The recall that default options give, and how evenly it falls on queries.
#
# NOTES
#	  Beside the mean stands the share of queries that find less than 80 % of
#	  their neighbours, and what that share is for HNSW at the same mean.
#
# IDENTIFICATION
#	  bench/recall.py
#
#-------------------------------------------------------------------------
import checks
import engines
from prepare import prepare_engines

ALL_K = (1, 10, 100)
QUERIES = 1000
# of HNSW, from settings that find less than ours
EFS = (1, 2, 3, 5, 7, 10, 14, 20, 28, 40, 60, 80, 85, 90, 95, 100, 120, 140, 160, 200, 240, 320, 400, 600,
       1000)
LEAST_ROWS = 0.8				# of the k asked for; it gives ef_search rows at most


def ask(server, data, engine, setup, k, count=QUERIES):
    return server.client(
        "query", data.name, setup=setup, type=engine.type, truth=data.truth,
        sql=checks.statement(data, engine.table, k), queries=data.queries, k=k, seconds=0,
        at_least=count)


def run_recall(server, data, options, log):
    """vkivf with default options; HNSW up to the setting that finds more."""
    found = {engine.name: engine for engine in prepare_engines(
        server, data, [engines.ENGINES[name] for name in ("vkivf", "hnsw")], options.rebuild, log)}
    for k in ALL_K:
        reached = 1.0
        for name, engine in found.items():
            values = [ef for ef in EFS if ef >= LEAST_ROWS * k] if engine.by_ef else ["default"]
            for value in values:
                setup = engine.query.format(value) if engine.by_ef else ""
                result = ask(server, data, engine, setup, k)
                log.add({"kind": "recall", "suite": "recall", "data": data.name, "engine": name,
                         "value": value, "k": k, "recall": result["recall"],
                         "below_80": result["below_80"], "queries": result["recall_queries"]})
                if engine.by_ef and result["recall"] >= reached:
                    break
            if name == "vkivf":
                reached = result["recall"]
                log.say(f"{data.name}: recall of the nearest {k}: {reached:.4f}")
