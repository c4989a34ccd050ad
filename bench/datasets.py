#-------------------------------------------------------------------------
#
# datasets.py
#	  Sets of vectors: what --data names, and their files.
#
# NOTES
#	  The client reads fvecs and ivecs.  Other formats are turned into them
#	  once: an HDF5 file of ann-benchmarks into a folder beside the other sets,
#	  bvecs in the folder where they are.
#
# IDENTIFICATION
#	  bench/datasets.py
#
#-------------------------------------------------------------------------
import dataclasses
import pathlib
import re
import sys

import numpy as np

PART = 100_000					# rows at a time
WIDEST = 100					# true neighbours a query

# --data: folder, metric
SETS = {"sift": ("sift", "l2"), "text": ("text768", "cosine"), "small": ("small", "l2")}

# what ann-benchmarks calls the metrics
DISTANCES = {"euclidean": "l2", "angular": "cosine"}


@dataclasses.dataclass(frozen=True)
class Data:
    """A set of vectors: base.fvecs, query.fvecs and gt.ivecs in a folder."""

    name: str					# of the database too
    folder: pathlib.Path
    metric: str
    with_attributes: bool = False

    @property
    def operator(self):
        return {"l2": "<->", "cosine": "<=>"}[self.metric]

    @property
    def base(self):
        return self.folder / "base.fvecs"

    @property
    def queries(self):
        return self.folder / "query.fvecs"

    @property
    def truth(self):
        return self.folder / "gt.ivecs"

    @property
    def attributes(self):
        return self.folder / "attrs.csv"

    def beside_attributes(self):
        """The same vectors, in a database whose tables have the attributes too."""
        return dataclasses.replace(self, name=self.name + "attr", with_attributes=True)

    @property
    def dimensions(self):
        return int(np.fromfile(self.base, np.int32, 1)[0])

    @property
    def rows(self):
        return self.base.stat().st_size // (4 * self.dimensions + 4)

    @property
    def title(self):
        kind = {"l2": "L2", "cosine": "cosine"}[self.metric]
        return f"{self.name}, {self.rows:,} × {self.dimensions}, {kind}"


# --------------------------------------------------------------------- formats

def read_fvecs(path):
    """The rows of an fvecs file as an array, without their lengths."""
    width = int(np.fromfile(path, np.int32, 1)[0])
    return np.fromfile(path, np.float32).reshape(-1, width + 1)[:, 1:]


def write_vecs(path, rows):
    """An array as fvecs (float32) or ivecs (int32)."""
    with open(path, "wb") as file:
        for start in range(0, len(rows), PART):
            write_part(file, np.ascontiguousarray(rows[start:start + PART]))


def write_part(file, part):
    width = np.full((len(part), 1), part.shape[1], np.int32)
    np.hstack([width, part.view(np.int32)]).tofile(file)


def convert_bvecs(path):
    """PATH.bvecs, whose elements are bytes, as fvecs beside it."""
    width = int(np.fromfile(path, np.int32, 1)[0])
    raw = np.memmap(path, np.uint8, "r").reshape(-1, width + 4)
    unfinished = path.with_suffix(".part")
    with open(unfinished, "wb") as file:
        for start in range(0, len(raw), PART):
            write_part(file, raw[start:start + PART, 4:].astype(np.float32))
    unfinished.rename(path.with_suffix(".fvecs"))


def convert_hdf5(path, folder):
    """A file of ann-benchmarks as a folder of a set; its metric."""
    import h5py					# nothing else needs it

    with h5py.File(path, "r") as file:
        distance = file.attrs.get("distance", "")
        if distance not in DISTANCES:
            raise ValueError(f"{path}: no metric for the distance \"{distance}\"")
        if not (folder / "query.fvecs").exists():
            folder.mkdir(parents=True, exist_ok=True)
            with open(folder / "base.fvecs", "wb") as out:
                for start in range(0, len(file["train"]), PART):
                    write_part(out, file["train"][start:start + PART].astype(np.float32))
            write_vecs(folder / "gt.ivecs", file["neighbors"][:].astype(np.int32))
            write_vecs(folder / "query.fvecs", file["test"][:].astype(np.float32))
    return DISTANCES[distance]


def make_small(folder, rows=20_000, dimensions=64, queries=1000):
    """Clustered vectors for a try, the same every time."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(7)
    centers = random.standard_normal((200, dimensions), np.float32)
    noise = random.standard_normal((rows + queries, dimensions), np.float32)
    made = centers[random.integers(len(centers), size=rows + queries)] + np.float32(0.7) * noise
    write_vecs(folder / "base.fvecs", made[:rows])
    write_vecs(folder / "query.fvecs", made[rows:])


# ------------------------------------------------------------------ what is asked

def find_data(name, data_dir, metric="l2"):
    """A set by its name, an HDF5 file, or a folder, whose metric has to be told."""
    data = locate(name, data_dir, metric)
    if not data.base.exists() or not data.queries.exists():
        sys.exit(f"bench: {data.folder} has no base.fvecs and query.fvecs (see bench/README.md)")
    return data


def locate(name, data_dir, metric):
    data_dir = pathlib.Path(data_dir)
    if name in SETS:
        folder, metric = SETS[name]
        data = Data(name, data_dir / folder, metric)
        if name == "small" and not data.queries.exists():
            make_small(data.folder)
        return data
    path = pathlib.Path(name)
    database = re.sub(r"\W+", "_", path.stem.lower())
    if path.suffix in (".hdf5", ".h5"):
        folder = data_dir / path.stem
        return Data(database, folder, convert_hdf5(path, folder))
    for part in ("base", "query"):
        if (path / f"{part}.bvecs").exists() and not (path / f"{part}.fvecs").exists():
            convert_bvecs(path / f"{part}.bvecs")
    return Data(database, path, metric)


def read_truth(data, k):
    """The ids of the true neighbours of each query."""
    return read_fvecs(data.truth).view(np.int32)[:, :k]
