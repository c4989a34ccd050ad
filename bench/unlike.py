#-------------------------------------------------------------------------
#
# unlike.py
#	  The recall of queries that look unlike the rows.
#
# NOTES
#	  The queries of a set are rows that were left out of it.  Here they are
#	  moved away from where rows lie, in several ways; the settings stay those
#	  that give the set's own queries about the same recall.
#
# IDENTIFICATION
#	  bench/unlike.py
#
#-------------------------------------------------------------------------
import dataclasses

import numpy as np

import datasets
import engines
from prepare import prepare_engines
from recall import ask
from truth import Truth

K = 10
QUERIES = 200
TARGETS = (0.8, 0.95)
EFS = (20, 40, 80, 160, 320)


def kinds(vectors, rng):
    """How queries are made of the set's own, by name."""
    own, shape = vectors[:QUERIES], (QUERIES, vectors.shape[1])
    mean, spread = vectors.mean(0), vectors.std(0)
    return {
        "own": own,
        "own with noise of their spread": own + rng.normal(size=shape) * spread,
        "means of four": vectors[:4 * QUERIES].reshape(4, *shape).mean(0),
        "normal, with their mean and spread": mean + rng.normal(size=shape) * spread,
        "own with their dimensions shuffled": np.stack([rng.permutation(v) for v in own]),
    }


def with_queries(data, kind, vectors, out):
    """The same rows with other queries, and their neighbours."""
    folder = out / f"{data.name}-{kind.replace(',', '').replace(' ', '-')}"
    folder.mkdir(parents=True, exist_ok=True)
    asked = dataclasses.replace(data, folder=folder)
    asked.base.unlink(missing_ok=True)
    asked.base.symlink_to(data.base.resolve())
    datasets.write_vecs(asked.queries, vectors.astype(np.float32))
    truth = Truth(asked, QUERIES)
    datasets.write_vecs(asked.truth, np.stack(
        [truth.nearest(query, K)[0] for query in range(QUERIES)]).astype(np.int32))
    return asked


def run_unlike(server, data, options, log):
    found = {engine.name: engine for engine in prepare_engines(
        server, data, [engines.ENGINES[name] for name in ("vkivf", "hnsw")], options.rebuild, log)}
    made = kinds(datasets.read_fvecs(data.queries), np.random.default_rng(7))
    for kind, vectors in made.items():
        asked = with_queries(data, kind, vectors, options.out)
        for name, engine in found.items():
            for value in EFS if engine.by_ef else TARGETS:
                result = ask(server, asked, engine, engine.query.format(value), K, QUERIES)
                log.add({"kind": "unlike", "suite": "unlike", "data": data.name, "engine": name,
                         "queries": kind, "value": value, "recall": result["recall"],
                         "qps": result["qps"]})
                log.say(f"{data.name}: {kind}: {name} {value}: {result['recall']:.3f}, "
                        f"{result['qps']:.0f} a second")
