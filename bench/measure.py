#-------------------------------------------------------------------------
#
# measure.py
#	  Measure the engines against each other on one server, and check ours.
#
# NOTES
#	  Started by bench/run.  All settings of all engines, for each k and number
#	  of connections, are measured in rounds, one after the other and a little
#	  at a time, so that whatever else the machine does falls on all of them
#	  alike.  The first round asks every query and gives the recall; the speed
#	  of a setting is the median of its rounds.
#
# IDENTIFICATION
#	  bench/measure.py
#
#-------------------------------------------------------------------------
import argparse
import dataclasses
import datetime
import json
import os
import pathlib
import platform
import subprocess
import time

import faiss

import cases
import checks
import datasets
import engines
import library
import report
import suites
from prepare import prepare_engines
from server import ClientError, Server

PEERS = ("vector", "vchord", "vectorscale")


def split(kind):
    """Of an option with several values."""
    return lambda text: [kind(word) for word in text.split(",") if word]


def parse_arguments():
    parser = argparse.ArgumentParser(prog="bench/run", description="Measure vkindex and others.")
    add = parser.add_argument
    cores = os.cpu_count()
    add("--data", default="both", help="sift, text, both, small, or a folder or an HDF5 file")
    add("--metric", default="l2", choices=["l2", "cosine"], help="of a folder that is named by its path")
    add("--data-dir", default=os.environ.get("VK_DATA"), help="the folder of the sets ($VK_DATA)")
    add("--engines", type=split(str), default=engines.DEFAULT_ENGINES,
        help="of: " + ", ".join(engines.ENGINES))
    add("--suite", type=split(str), default=suites.DEFAULT_SUITES,
        help="of: engines, " + ", ".join(suites.SUITES))
    add("--queries", type=int, default=200, help="of a suite's case")
    add("--k", type=split(int), default="10,100", dest="all_k", help="suites take the first")
    add("--recalls", type=split(float), default="0.95,0.99", help="at which engines are compared")
    add("--targets", type=split(float), help="of vkivf, as 0.9,0.95")
    add("--efs", type=split(int), help="of HNSW, as 40,80")
    add("--seconds", type=float, default=2.0, help="of a setting in a round")
    add("--rounds", type=int, default=5)
    add("--connections", type=split(int), default=f"1,{cores}" if cores > 1 else "1")
    add("--price", type=float, default=0.05, help="of a core for an hour, in any currency")
    add("--conninfo", required=True, help="of the server; bench/run starts one otherwise")
    add("--cluster", help="the server's own folder, if it may be started again with other settings")
    add("--pg-ctl", default="pg_ctl", help=argparse.SUPPRESS)
    add("--client", required=True, help=argparse.SUPPRESS)
    add("--maintenance-work-mem", default="4GB")
    add("--rebuild", type=split(str), default="", help="engines whose index is built anew")
    add("--checks", type=split(str), default="exact,memory,close",
        help="of: exact, memory, close; or none")
    add("--workers", type=int, default=0, help="parallel workers for the sequential plan's answers")
    add("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "out")
    options = parser.parse_args()
    if not options.data_dir:
        parser.error("no folder of data: set VK_DATA or give --data-dir (see bench/README.md)")
    options.data = ["sift", "text"] if options.data == "both" else options.data.split(",")
    options.k = options.all_k[0]
    known = {"engine": engines.ENGINES | engines.ATTRIBUTE_ENGINES,
             "suite": {"engines"} | suites.SUITES.keys()}
    for kind, name in [("engine", name) for name in options.engines + options.rebuild] + \
            [("suite", name) for name in options.suite]:
        if name not in known[kind]:
            parser.error(f"unknown {kind}: {name}")
    return options


class Log:
    """The results, as JSON lines and in memory."""

    def __init__(self, folder, name="results.jsonl"):
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / name
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
                         **{name: versions[name] for name in ("vkindex", *PEERS) if name in versions}},
            "settings": {name: ask(f"SHOW {name}")[0][0]
                         for name in ("shared_buffers", "work_mem", "huge_pages", "wal_level")}
            | {"huge pages in use": huge_pages_in_use()},
            "options": {name: str(value) for name, value in vars(options).items()},
        }
    return record


def prepare(server, data, options, log):
    """Loads and builds what is not there; the engines that can be measured."""
    return prepare_engines(server, data, [engines.ENGINES[name] for name in options.engines],
                           options.rebuild, log)


# -------------------------------------------------------------------- measuring

@dataclasses.dataclass(frozen=True)
class Setting:
    engine: engines.Engine
    value: object
    k: int
    connections: int

    @property
    def head(self):
        return {"engine": self.engine.name, "value": self.value, "k": self.k,
                "connections": self.connections}


def values_of(engine, options):
    chosen = options.targets if engine.name == "vkivf" else options.efs if engine.by_ef else None
    return chosen or engine.values


def is_measured(setting, options):
    """More connections with the first k only; what is exact and slow with that and one."""
    engine, first = setting.engine, setting.k == options.k
    if setting.connections > 1:
        return first and engine.in_server and engine.name != "sequential"
    if engine.by_ef and setting.value < setting.k:
        return False			# HNSW gives no more rows than that
    return first or engine.index or engine.factory


def settings_of(found, options):
    every = (Setting(engine, value, k, connections) for k in options.all_k
             for connections in options.connections for engine in found
             for value in values_of(engine, options))
    return [setting for setting in every if is_measured(setting, options)]


def measure_setting(server, data, setting, whole, round_number, options):
    """One setting in one round, through the C client."""
    engine = setting.engine
    return server.client(
        "query", data.name, setup=engine.query.format(setting.value), type=engine.type,
        sql=checks.question(data, engine, setting.k),
        queries=data.queries, k=setting.k, seconds=options.seconds,
        truth=data.truth if whole else "", at_least=1000 if whole else 1,
        connections=setting.connections, start=0 if whole else 100 * round_number,
        warm_up=cases.WARM_UP if engine.index or engine.sql else 0)


def measure_once(server, data, in_process, setting, round_number, options):
    """One setting in one round, with its recall in the first."""
    engine = setting.engine
    whole = round_number == 0 and setting.connections == min(options.connections)
    if engine.factory:
        return in_process.measure(engine, setting.value, setting.k, options.seconds,
                                  100 * round_number, whole)
    whole = whole and bool(engine.index)
    result = measure_setting(server, data, setting, whole, round_number, options)
    if whole:
        result["index_used"] = server.uses_index(
            data.name, engine.query.format(setting.value), checks.question(data, engine, setting.k),
            engine.type, datasets.read_fvecs(data.queries)[0], engine.index_name)
    return result


def measure(server, data, found, options, log):
    """All settings in rounds, those of each round in another order."""
    settings = settings_of(found, options)
    factories = [engine for engine in found if engine.factory]
    in_process = library.Library(data, factories, log) if factories else None
    for round_number in range(options.rounds):
        log.say(f"{data.name}: round {round_number + 1} of {options.rounds}, "
                f"{len(settings)} settings")
        turn = round_number * len(settings) // options.rounds
        for setting in settings[turn:] + settings[:turn]:
            head = {"kind": "measure", "data": data.name, **setting.head, "round": round_number,
                    "load": os.getloadavg()[0]}
            try:
                log.add(head | measure_once(server, data, in_process, setting, round_number, options))
            except ClientError as error:
                log.say(f"{data.name}: {setting.engine.name} {setting.value}: {error}")
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
    for data in chosen:
        found = prepare(server, data, options, log)
        measure(server, data, found, options, log)
        run_checks(server, data, found, options, log)
    if "close" in options.checks:
        run_close_check(server, options, log)


def main():
    options = parse_arguments()
    server = Server(options)
    log = Log(options.out)
    chosen = [datasets.find_data(name, options.data_dir, options.metric) for name in options.data]
    server.prepare_database(chosen[0].name, ["vkindex", *PEERS])
    log.add(describe_run(server, chosen[0].name, options))
    for data in chosen:
        if not data.truth.exists():
            log.say(f"{data.name}: finding the true neighbours")
            library.make_truth(data)
        log.add({"kind": "set", "data": data.name, "title": data.title, "rows": data.rows,
                 "dimensions": data.dimensions})
    if "engines" in options.suite:
        measure_engines(server, chosen, options, log)
    suites.run(server, chosen, options, log)
    report.write(log.records, options.out)
    print()
    print((options.out / "report.md").read_text(encoding="utf-8"))
    log.say(f"results, report and plots are in {options.out}")


if __name__ == "__main__":
    main()
