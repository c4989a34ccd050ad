#-------------------------------------------------------------------------
#
# measure.py
#	  Measure the engines against each other on one server, and check ours.
#
# NOTES
#	  Started by bench/run.  All settings of all engines are measured in
#	  rounds, one after the other and a little at a time, so that whatever
#	  else the machine does falls on all of them alike.  The first round asks
#	  every query and gives the recall; the speed of a setting is the median
#	  of its rounds.
#
# IDENTIFICATION
#	  bench/measure.py
#
#-------------------------------------------------------------------------
import argparse
import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys
import time

import faiss
import numpy as np

import cases
import checks
import engines
import report
import suites
from prepare import prepare_engines
from server import ClientError, Server


def parse_arguments():
    parser = argparse.ArgumentParser(prog="bench/run", description="Measure vkindex and others.")
    add = parser.add_argument
    add("--data", default="both", choices=["sift", "text", "both"])
    add("--data-dir", default=os.environ.get("VK_DATA"), help="the folder of the sets ($VK_DATA)")
    add("--engines", default=engines.DEFAULT_ENGINES, help="of: " + ", ".join(engines.ENGINES))
    add("--suite", default="", help="instead of the engines alone: " + ", ".join(suites.SUITES))
    add("--queries", type=int, default=200, help="of a suite's case")
    add("--k", type=int, default=10)
    add("--targets", help="of vkivf, as 0.9,0.95")
    add("--efs", help="of hnsw, as 40,80")
    add("--seconds", type=float, default=2.0, help="of a setting in a round")
    add("--rounds", type=int, default=5)
    add("--connections", type=int, default=1)
    add("--conninfo", required=True, help="of the server; bench/run starts one otherwise")
    add("--client", required=True, help=argparse.SUPPRESS)
    add("--maintenance-work-mem", default="4GB")
    add("--rebuild", default="", help="engines whose index is built anew")
    add("--checks", default="exact,memory,close", help="of: exact, memory, close; or none")
    add("--workers", type=int, default=0, help="parallel workers for the sequential plan's answers")
    add("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "out")
    options = parser.parse_args()
    if not options.data_dir:
        parser.error("no folder of data: set VK_DATA or give --data-dir (see bench/README.md)")
    options.data = ["sift", "text"] if options.data == "both" else [options.data]
    for name in ("engines", "rebuild", "checks", "suite"):
        setattr(options, name, [word for word in getattr(options, name).split(",") if word])
    known = {"engine": engines.ENGINES | engines.ATTRIBUTE_ENGINES, "suite": suites.SUITES}
    for kind, name in [("engine", name) for name in options.engines + options.rebuild] + \
            [("suite", name) for name in options.suite]:
        if name not in known[kind]:
            parser.error(f"unknown {kind}: {name}")
    return options


class Log:
    """The results, as JSON lines and in memory."""

    def __init__(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "results.jsonl"
        self.file = open(self.path, "w", encoding="utf-8")
        self.records = []
        self.begin = time.monotonic()

    def add(self, record):
        self.records.append(record)
        self.file.write(json.dumps(record) + "\n")
        self.file.flush()

    def say(self, text):
        print(f"{time.monotonic() - self.begin:7.0f} s  {text}", flush=True)


# ------------------------------------------------------------------ the set-up

def shell(*command):
    done = subprocess.run(command, capture_output=True, text=True,
                          cwd=pathlib.Path(__file__).parent)
    return done.stdout.strip() if done.returncode == 0 else ""


def huge_pages_in_use():
    """Of the machine; a server whose huge_pages is try falls back silently."""
    pages = {line.split(":")[0]: int(line.split()[1]) for line in open("/proc/meminfo", encoding="utf-8")
             if line.startswith("HugePages_")}
    return pages["HugePages_Total"] - pages["HugePages_Free"] + pages["HugePages_Rsvd"]


def describe_run(server, database, options):
    """What a figure means nothing without."""
    cpu = [line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8")
           if line.startswith("model name")]
    memory = [int(line.split()[1]) for line in open("/proc/meminfo", encoding="utf-8")
              if line.startswith("MemTotal")]
    with server.connect(database) as connection:
        ask = lambda sql: connection.execute(sql).fetchall()
        versions = dict(ask("SELECT extname, extversion FROM pg_extension"))
        record = {
            "kind": "run", "date": datetime.datetime.now(datetime.timezone.utc).isoformat("T", "seconds"),
            "machine": {"cpu": cpu[0] if cpu else platform.processor(), "cores": os.cpu_count(),
                        "memory_gb": round(memory[0] / 2**20, 1), "kernel": platform.release()},
            "commit": shell("git", "rev-parse", "--short", "HEAD"),
            "modified": bool(shell("git", "status", "--porcelain")),
            "versions": {"postgresql": ask("SHOW server_version")[0][0], "faiss": faiss.__version__,
                         **{name: versions[name] for name in ("vkindex", "vector") if name in versions}},
            "settings": {name: ask(f"SHOW {name}")[0][0]
                         for name in ("shared_buffers", "work_mem", "huge_pages")}
            | {"huge pages in use": huge_pages_in_use()},
            "options": {name: str(value) for name, value in vars(options).items()},
        }
    return record


def make_truth(data):
    """The ids of the nearest 100 rows, where the set has none."""
    base, queries = engines.read_fvecs(data.base), engines.read_fvecs(data.queries)
    index = make_faiss(data, np.ascontiguousarray(base))
    if data.metric == "cosine":
        queries = normalize(queries)
    ids = index.search(np.ascontiguousarray(queries), 100)[1]
    engines.write_vecs(data.truth, ids.astype(np.int32))


def prepare(server, data, options, log):
    """Loads and builds what is not there; the engines that can be measured."""
    if data.base.exists() and not data.truth.exists():
        log.say(f"{data.name}: finding the true neighbours")
        make_truth(data)
    return prepare_engines(server, data, [engines.ENGINES[name] for name in options.engines],
                           options.rebuild, log)


# -------------------------------------------------------------------- measuring

def normalize(rows):
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30)


def make_faiss(data, base):
    if data.metric == "cosine":
        index = faiss.IndexFlatIP(base.shape[1])
        for start in range(0, len(base), 50_000):
            index.add(np.ascontiguousarray(normalize(base[start:start + 50_000])))
    else:
        index = faiss.IndexFlatL2(base.shape[1])
        index.add(np.ascontiguousarray(base))
    return index


class Faiss:
    """FAISS's exhaustive index in this process: one thread, one query at a time."""

    def __init__(self, data):
        faiss.omp_set_num_threads(1)
        self.index = make_faiss(data, engines.read_fvecs(data.base))
        self.queries = np.ascontiguousarray(engines.read_fvecs(data.queries))
        if data.metric == "cosine":
            self.queries = normalize(self.queries)

    def measure(self, k, seconds, start):
        latencies = []
        for i in range(3):
            self.index.search(self.queries[i:i + 1], k)
        begin = time.monotonic()
        while time.monotonic() - begin < seconds:
            i = (start + len(latencies)) % len(self.queries)
            asked = time.monotonic()
            self.index.search(self.queries[i:i + 1], k)
            latencies.append(time.monotonic() - asked)
        p50, p95, p99 = np.percentile(latencies, [50, 95, 99]) * 1e6
        return {"queries": len(latencies), "qps": len(latencies) / sum(latencies),
                "p50_us": p50, "p95_us": p95, "p99_us": p99}


def values_of(engine, options):
    chosen = {"vkivf": options.targets, "hnsw": options.efs}.get(engine.name)
    return [float(word) if "." in word else int(word) for word in chosen.split(",")] \
        if chosen else engine.values


def measure_setting(server, data, engine, value, round_number, options):
    """One setting in one round, through the C client."""
    whole = round_number == 0 and engine.index
    return server.client(
        "query", data.name, setup=engine.query.format(value), type=engine.type,
        sql=checks.statement(data, engine.table, options.k),
        queries=data.queries, k=options.k, seconds=options.seconds,
        truth=data.truth if whole else "", at_least=1000 if whole else 1,
        connections=options.connections, start=0 if whole else 100 * round_number,
        warm_up=cases.WARM_UP if engine.index else 0)


def measure(server, data, found, options, log):
    """All settings in rounds, those of each round in another order."""
    settings = [(engine, value) for engine in found for value in values_of(engine, options)]
    vector = engines.read_fvecs(data.queries)[0]
    in_process = Faiss(data) if any(not engine.table for engine in found) else None
    for round_number in range(options.rounds):
        log.say(f"{data.name}: round {round_number + 1} of {options.rounds}, "
                f"{len(settings)} settings")
        turn = round_number * len(settings) // options.rounds
        for engine, value in settings[turn:] + settings[:turn]:
            head = {"kind": "measure", "data": data.name, "engine": engine.name, "value": value,
                    "k": options.k, "round": round_number, "load": os.getloadavg()[0]}
            try:
                if engine.table:
                    result = measure_setting(server, data, engine, value, round_number, options)
                else:
                    result = in_process.measure(options.k, options.seconds, 100 * round_number)
                if engine.index and round_number == 0:
                    result["index_used"] = server.uses_index(
                        data.name, engine.query.format(value),
                        checks.statement(data, engine.table, options.k), engine.type, vector,
                        engine.index_name)
                log.add(head | result)
            except ClientError as error:
                log.say(f"{data.name}: {engine.name} {value}: {error}")
                log.add(head | {"kind": "failed", "error": str(error)})


# --------------------------------------------------------------------- checking

def run_checks(server, data, found, options, log):
    """The checks of one set of data."""
    ours = [engine for engine in found if engine.extension == "vkindex" and engine.index]
    try:
        for engine in ours:
            if "exact" in options.checks and engine.name == "vkflat":
                for record in checks.check_exactness(server, data, engine, options.workers, log.say):
                    log.add(record)
        if "memory" in options.checks and ours:
            log.say(f"{data.name}: memory over 10,000 queries")
            record = checks.check_memory(server, data, [engine.name for engine in ours])
            if record:
                log.add(record)
    except Exception as error:
        log.say(f"{data.name}: {error}")
        log.add({"kind": "failed", "data": data.name, "engine": "checks", "error": str(error)})


def run_close_check(server, options, log):
    names = [name for name in ("vkflat", "vkivf") if name in options.engines]
    try:
        for record in checks.check_close_rows(server, pathlib.Path(options.data_dir), names,
                                              options.workers, log.say):
            log.add(record)
    except Exception as error:
        log.say(f"close: {error}")
        log.add({"kind": "failed", "data": "close", "engine": "checks", "error": str(error)})


def measure_engines(server, chosen, options, log):
    for i, data in enumerate(chosen):
        found = prepare(server, data, options, log)
        if i == 0:
            log.add(describe_run(server, data.name, options))
        measure(server, data, found, options, log)
        run_checks(server, data, found, options, log)
    if "close" in options.checks:
        run_close_check(server, options, log)


def main():
    options = parse_arguments()
    server = Server(options.conninfo, options.client, options.maintenance_work_mem)
    log = Log(options.out)
    chosen = [engines.find_data(name, options.data_dir) for name in options.data]
    if options.suite:
        server.prepare_database(chosen[0].name, ["vkindex", "vector"])
        log.add(describe_run(server, chosen[0].name, options))
        suites.run(server, chosen, options, log)
    else:
        measure_engines(server, chosen, options, log)
    report.write(log.records, options.out)
    print()
    print((options.out / "report.md").read_text(encoding="utf-8"))
    log.say(f"results, report and plots are in {options.out}")


if __name__ == "__main__":
    main()
