#-------------------------------------------------------------------------
#
# truth.py
#	  The exact neighbours of some queries, among all rows or some of them.
#
# NOTES
#	  Distances to all rows are computed once in float32, as a matrix.  What
#	  may be among the nearest by them is computed again in float64.
#
# IDENTIFICATION
#	  bench/truth.py
#
#-------------------------------------------------------------------------
import numpy as np

import datasets

SPARE = 100						# rows beyond those asked for that are computed again
PART = 50_000					# rows at a time


class Truth:
    def __init__(self, data, queries, rows=0):
        self.metric = data.metric
        self.base = datasets.read_fvecs(data.base)[:rows or None]
        self.queries = datasets.read_fvecs(data.queries)[:queries]
        self.rough = np.empty((len(self.queries), len(self.base)), np.float32)
        for start in range(0, len(self.base), PART):
            part = np.ascontiguousarray(self.base[start:start + PART])
            self.rough[:, start:start + PART] = self.rough_distances(part)

    def rough_distances(self, rows):
        """Ordered as the distances are, and no more than that."""
        products = self.queries @ rows.T
        squares = np.einsum("ij,ij->i", rows, rows)
        if self.metric == "cosine":
            return -products / np.sqrt(np.maximum(squares, 1e-30))
        return squares - 2 * products

    def distances(self, query, ids):
        rows, vector = self.base[ids].astype(float), self.queries[query].astype(float)
        if self.metric == "cosine":
            return 1 - rows @ vector / (np.linalg.norm(rows, axis=1) * np.linalg.norm(vector))
        return np.linalg.norm(rows - vector, axis=1)

    def nearest(self, query, k, among=None):
        """The ids of the nearest k rows in their order, and the distances."""
        rough = self.rough[query] if among is None else self.rough[query, among]
        found = np.arange(len(rough))
        if k + SPARE < len(rough):
            found = np.argpartition(rough, k + SPARE)[:k + SPARE]
        ids = found if among is None else among[found]
        distances = self.distances(query, ids)
        order = np.argsort(distances, kind="stable")[:k]
        return ids[order], distances[order]

    def range_of_about(self, query, k):
        """A radius that k rows or a few more lie within, and their ids.

        The radius is in the middle of the widest gap, so that no way to
        round a distance makes another answer right.
        """
        most = k + max(5, k // 10)
        ids, distances = self.nearest(query, most + 1)
        count = k + int(np.argmax(np.diff(distances[k - 1:])))
        return (distances[count - 1] + distances[count]) / 2, ids[:count]
