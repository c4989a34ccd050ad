#-------------------------------------------------------------------------
#
# modules.py
#	  Whether the modules for ann-benchmarks and VectorDBBench work with them.
#
# NOTES
#	  Started by bench/modules, which starts a server.  VectorDBBench comes
#	  from PyPI into a Python environment of its own.  ann-benchmarks is not a
#	  package: a checkout is named by --ann-benchmarks, or git fetches one.
#	  Each runs its own code over a small set, and what it stored is judged.
#
# IDENTIFICATION
#	  bench/modules.py
#
#-------------------------------------------------------------------------
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import traceback

import datasets

PACKAGES = ("vectordb-bench", "psycopg[binary]", "h5py", "ansicolors", "docker")
REPOSITORY = "https://github.com/erikbern/ann-benchmarks"
HERE = pathlib.Path(__file__).parent
DATABASE = "modules"
LEAST_RECALL = 0.9				# of a target of 0.95
K = 10

# in a checkout of ann-benchmarks: its own definitions of ours, run by its runner
ANN_DRIVER = """
import sys
from ann_benchmarks.definitions import get_definitions
from ann_benchmarks.runner import run

name, dimensions, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
found = [d for d in get_definitions(dimensions, "float", "euclidean", count) if d.algorithm == "vkindex"]
assert len(found) == 2, found
for definition in found:
    for batch in (False, True):
        run(definition, name, count, 1, batch)
"""


def parse_arguments():
    parser = argparse.ArgumentParser(prog="bench/modules", description="Check the modules.")
    add = parser.add_argument
    add("--data", default="small", help=argparse.SUPPRESS)
    add("--data-dir", type=pathlib.Path, required=True)
    add("--conninfo", required=True)
    add("--cluster", help=argparse.SUPPRESS)
    add("--pg-ctl", help=argparse.SUPPRESS)
    add("--client", help=argparse.SUPPRESS)
    add("--ann-benchmarks", type=pathlib.Path, help="a checkout of " + REPOSITORY)
    add("--environment", type=pathlib.Path, help="a Python environment with: " + " ".join(PACKAGES))
    return parser.parse_args()


def use_environment(folder):
    """Goes on in the Python environment, which is made if it is not there."""
    python = folder / "bin" / "python"
    if pathlib.Path(sys.prefix).resolve() == folder.resolve():
        return
    if not python.exists():
        print(f"making a Python environment in {folder}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([folder / "bin" / "pip", "-q", "install", *PACKAGES], check=True)
    os.execv(python, [str(python), *sys.argv])


def recall_of(found, right):
    return sum(len(set(a) & set(b)) for a, b in zip(found.tolist(), right.tolist())) / right.size


def true_ids(data, count):
    from truth import Truth		# it needs numpy, which only the environment may have

    truth = Truth(data, count)
    return [truth.nearest(query, datasets.WIDEST)[0] for query in range(count)]


# -------------------------------------------------------------- ann-benchmarks

def checkout(folder, work):
    """A copy of ann-benchmarks with the module in it; None where there is none."""
    copy = work / "ann-benchmarks"
    if folder is not None:
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(".git", "data", "results"))
    elif subprocess.run(["git", "clone", "-q", "--depth", "1", REPOSITORY, copy],
                        env=os.environ | {"GIT_TERMINAL_PROMPT": "0"}).returncode != 0:
        return None
    shutil.copytree(HERE / "ann_benchmarks", copy / "ann_benchmarks" / "algorithms" / "vkindex")
    return copy


def write_hdf5(path, data, truth, count):
    import h5py

    path.parent.mkdir(exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs.update({"distance": "euclidean", "type": "dense", "dimension": data.dimensions,
                           "point_type": "float"})
        file["train"] = datasets.read_fvecs(data.base)
        file["test"] = datasets.read_fvecs(data.queries)[:count]
        file["neighbors"] = truth
        file["distances"] = [[0.0] * datasets.WIDEST] * count


def check_ann_benchmarks(options, data, truth, server, work):
    import h5py
    import numpy as np

    folder = checkout(options.ann_benchmarks, work)
    if folder is None:
        return "no checkout of ann-benchmarks, and none could be fetched", None
    name = "random-xs-20-euclidean"	# one that it knows, since it looks the name up
    write_hdf5(folder / "data" / f"{name}.hdf5", data, np.array(truth), len(truth))
    settings = {f"ANN_BENCHMARKS_PG_{key.upper()}": value for key, value in server.items()}
    subprocess.run([sys.executable, "-c", ANN_DRIVER, name, str(data.dimensions), str(K)], check=True,
                   cwd=folder, capture_output=True, text=True, env=os.environ | settings |
                   {"ANN_BENCHMARKS_PG_START_SERVICE": "false", "PYTHONPATH": str(folder)})
    recalls = {}
    for path in (folder / "results").rglob("*.hdf5"):
        with h5py.File(path) as file:
            key = ("batch: " if file.attrs["batch_mode"] else "") + str(file.attrs["name"])
            recalls[key] = recall_of(file["neighbors"][:], np.array(truth)[:, :K])
    lines = "\n".join(f"    {key}: recall {recall:.4f}" for key, recall in sorted(recalls.items()))
    wanted = [recalls[f"{batch}vkindex({index})"] >= least for batch in ("", "batch: ")
              for index, least in (("vkivf, target_recall=0.95", LEAST_RECALL), ("vkflat", 1.0))]
    return lines, all(wanted) and len(recalls) == 20


# --------------------------------------------------------------- VectorDBBench

def write_parquet(folder, data, truth, count):
    import pyarrow
    import pyarrow.parquet

    def write(name, **columns):
        pyarrow.parquet.write_table(pyarrow.table(columns), folder / f"{name}.parquet")

    folder.mkdir()
    base, queries = datasets.read_fvecs(data.base), datasets.read_fvecs(data.queries)[:count]
    write("train", id=list(range(len(base))), emb=base.tolist())
    write("test", id=list(range(count)), emb=queries.tolist())
    write("neighbors", id=list(range(count)), neighbors_id=[ids.tolist() for ids in truth])


def check_vectordbbench(options, data, truth, server, work):
    install = subprocess.run([sys.executable, HERE / "vectordbbench" / "install.py"], check=True,
                             capture_output=True, text=True)
    write_parquet(work / "parquet", data, truth, len(truth))
    command = [sys.executable, "-m", "vectordb_bench.cli.vectordbbench", "vkindex",
               "--host", server["host"], "--port", server["port"], "--user-name", server["user"],
               "--password", server["password"], "--db-name", server["dbname"], "--k", str(K),
               "--case-type", "PerformanceCustomDataset", "--custom-case-name", "small",
               "--custom-dataset-name", "small", "--custom-dataset-dir", work / "parquet",
               "--custom-dataset-size", str(data.rows), "--custom-dataset-dim", str(data.dimensions),
               "--custom-dataset-metric-type", "L2", "--custom-dataset-file-count", "1",
               "--num-concurrency", "1,2", "--concurrency-duration", "2", "--task-label", "check"]
    done = subprocess.run(list(map(str, command)), cwd=work, capture_output=True, text=True,
                          env=os.environ | {"RESULTS_LOCAL_DIR": str(work / "results"),
                                            "DATASET_LOCAL_DIR": str(work)})
    stored = list((work / "results").rglob("*.json"))
    if not stored:
        return install.stdout + (done.stdout + done.stderr)[-4000:], False
    metrics = json.loads(stored[0].read_text())["results"][0]["metrics"]
    kept = {key: metrics.get(key) for key in ("qps", "recall", "load_duration", "conc_num_list")}
    return f"    {kept}", kept["recall"] >= LEAST_RECALL and kept["qps"] > 0


CHECKS = {"ann-benchmarks": check_ann_benchmarks, "VectorDBBench": check_vectordbbench}


def make_database(conninfo):
    """A fresh database, and where it is."""
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    with psycopg.connect(conninfo, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
        connection.execute(f"CREATE DATABASE {DATABASE}")
    where = {"host": "localhost", "port": "5432", "user": "postgres", "password": "none"}
    return where | conninfo_to_dict(conninfo, dbname=DATABASE)


def main():
    options = parse_arguments()
    use_environment(options.environment or options.data_dir / "modules-venv")
    data = datasets.find_data("small", options.data_dir)
    truth = true_ids(data, 500)
    failed = False
    for name, check in CHECKS.items():
        server = make_database(options.conninfo)
        with tempfile.TemporaryDirectory() as work:
            try:
                text, passed = check(options, data, truth, server, pathlib.Path(work))
            except subprocess.CalledProcessError as error:
                text, passed = (error.stdout or "")[-2000:] + (error.stderr or "")[-4000:], False
            except Exception:
                text, passed = traceback.format_exc(), False
        print(f"{name}: {'left out' if passed is None else 'ok' if passed else 'FAILED'}\n{text}",
              flush=True)
        failed = failed or passed is False
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
