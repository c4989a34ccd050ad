#-------------------------------------------------------------------------
#
# stages.py
#	  Where the time of a query goes, by stage: make profile.
#
# NOTES
#	  Two views.  Samples of the backend's processor time, taken by perf while
#	  the C client asks; a sample belongs to the first stage of STAGES that one
#	  of its functions is of.  And what the scans themselves count
#	  (vk_last_scan), beside a trivial query; this one needs no perf.
#
#	  Functions are told apart as the compiler left them: one that it put into
#	  its caller counts as the caller.
#
# IDENTIFICATION
#	  bench/stages.py
#
#-------------------------------------------------------------------------
import argparse
import collections
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import threading
import time

import checks
import datasets
import engines
import flame
from measure import Log, describe_run, split
from prepare import prepare_engines
from server import Server
from suite_report import format_table

NAME = "vkindex profile"		# of the session that is sampled
FREQUENCY = 1499				# samples a second; not in step with anything
AHEAD, AFTER = 0.5, 4			# seconds that the client starts before perf, and ends after it

# the first that matches; what none does is the protocol's
STAGES = {
    "centres": r"vk_rank_|scan_entries|scan_groups|rank_groups",
    "heap": r"vk_heap_reader|vk_toast_reader|score_candidate|index_fetch_heap|heapam_index_fetch"
            r"|heap_hot_search|detoast|toast_",
    "refine": r"vk_list_settle|settle_candidate|refine_candidate|vk_refine",
    "scan": r"vk_list_|scan_page|scan_carried|score_lines|take_b|take_lane|vk_candidates",
    "search, the rest": r"vk_search|vk_round|vk_gettuple|vk_rescan|vk_beginscan|vk_endscan|vk_scan"
                        r"|vk_work|vk_query|vk_coder|vk_index|vk_getbitmap|next_of_round",
    "planner": r"GetCachedPlan|BuildCachedPlan|CachedQuery|pg_plan_quer|standard_planner|vk_paths"
               r"|AcquireExecutorLocks|choose_custom_plan",
    "protocol": r"printtup|pq_|secure_|ReadCommand|SocketBackend|internal_flush|_recv$|_send$"
                r"|ReceiveFunctionCall|SendFunctionCall|BeginCommand|EndCommand",
    "executor": r"Executor|^Exec|Portal|PlanState|xact_command|Transaction|Snapshot|ResourceOwner"
                r"|MemoryContext|AllocSet|index_beginscan|index_endscan|index_rescan|LockRelation",
}
LAST = "protocol"
COLORS = {"centres": "#edae49", "scan": "#0b6e4f", "refine": "#7fbfa4", "heap": "#d1495b",
          "search, the rest": "#b5cf6b", "executor": "#1f77b4", "planner": "#8d6a9f",
          "protocol": "#adb5bd"}


def parse_arguments():
    parser = argparse.ArgumentParser(prog="bench/profile", description="Where a query's time goes.")
    add = parser.add_argument
    add("--data", default="both", help="sift, text, both, small, or a folder or an HDF5 file")
    add("--metric", default="l2", choices=["l2", "cosine"])
    add("--data-dir", default=os.environ.get("VK_DATA"))
    add("--engine", default="vkivf", choices=[e.name for e in engines.ENGINES.values() if e.index])
    add("--value", default="0.95", help="of the engine's setting")
    add("--k", type=int, default=10)
    add("--seconds", type=float, default=8.0)
    add("--conninfo", required=True)
    add("--cluster", help=argparse.SUPPRESS)
    add("--pg-ctl", help=argparse.SUPPRESS)
    add("--client", required=True, help=argparse.SUPPRESS)
    add("--maintenance-work-mem", default="4GB")
    add("--rebuild", type=split(str), default="")
    add("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "out")
    options = parser.parse_args()
    if not options.data_dir:
        parser.error("no folder of data: set VK_DATA or give --data-dir (see bench/README.md)")
    options.data = ["sift", "text"] if options.data == "both" else options.data.split(",")
    return options


# -------------------------------------------------------------------- sampling

class Client(threading.Thread):
    """The C client in the background, its session under a name of its own."""

    def __init__(self, server, data, engine, options, seconds):
        super().__init__(daemon=True)
        setup = f"SET application_name = '{NAME}'; {engines.ONE_PROCESS}; " \
                + engine.query.format(options.value)
        self.ask = lambda: server.client(
            "query", data.name, setup=setup, type=engine.type, queries=data.queries, k=options.k,
            sql=checks.question(data, engine, options.k), seconds=seconds, warm_up=200)
        self.result = self.error = None
        self.start()

    def run(self):
        try:
            self.result = self.ask()
        except Exception as error:
            self.error = error

    def finish(self):
        self.join()
        if self.error:
            raise self.error
        return self.result


def find_backend(server, database):
    """The process of the session, once it asks."""
    with server.connect(database) as connection:
        for _ in range(100):
            found = connection.execute("SELECT pid FROM pg_stat_activity WHERE application_name = %s",
                                       [NAME]).fetchone()
            if found:
                return found[0]
            time.sleep(0.05)
    raise RuntimeError("the client's session is not there")


def processor_seconds(pid):
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def record(pid, seconds, path):
    """perf's samples of a process for so long; its processor time as a share of that."""
    path.unlink(missing_ok=True)
    before, begin = processor_seconds(pid), time.monotonic()
    # it may end by a signal, once it has written all
    done = subprocess.run(["perf", "record", "-q", "-e", "cpu-clock", "-F", str(FREQUENCY),
                           "--call-graph", "dwarf,16384", "-p", str(pid), "-o", path, "--",
                           "sleep", str(seconds)], capture_output=True, text=True)
    if not path.exists() or path.stat().st_size == 0:
        raise RuntimeError(done.stderr.strip())
    return (processor_seconds(pid) - before) / (time.monotonic() - begin)


def read_stacks(path):
    """Each sample's functions, the outermost first."""
    done = subprocess.run(["perf", "script", "-i", path, "-F", "ip,sym", "--no-inline"],
                          check=True, capture_output=True, text=True)
    for sample in done.stdout.split("\n\n"):
        names = [line.strip().partition(" ")[2] or "?" for line in sample.splitlines() if line.strip()]
        if names:
            yield [re.sub(r"\+0x[0-9a-f]+$|\.(cold|part|constprop|isra)\S*", "", name)
                   for name in reversed(names)]


def stage_of(stack):
    for stage, pattern in STAGES.items():
        if any(re.search(pattern, name) for name in stack):
            return stage
    return LAST


def profile(server, data, engine, options):
    """Microseconds of a query by stage, and a flame graph beside them."""
    path = options.out / f"{data.name}.perf"
    client = Client(server, data, engine, options, AHEAD + options.seconds + AFTER)
    pid = find_backend(server, data.name)
    time.sleep(AHEAD)
    busy = record(pid, options.seconds, path)
    rate = client.finish()["qps"]
    stacks = collections.Counter(map(tuple, read_stacks(path)))
    path.unlink()
    judged = [(stack, stage_of(stack), count) for stack, count in stacks.items()]
    total = sum(stacks.values())
    shares = {stage: sum(count for _, found, count in judged if found == stage) / total
              for stage in COLORS}
    flame.write(options.out / f"{data.name}-{engine.name}-flame.svg",
                f"{data.title}: {engine.name} {options.value}, the nearest {options.k}", judged, COLORS)
    query = 1e6 / rate
    rows = [[stage, f"{share:.1%}", f"{share * busy * query:.1f}"] for stage, share in shares.items()]
    rows += [["the backend", "", f"{busy * query:.1f}"],
             ["its wait, the client and the way between", "", f"{(1 - busy) * query:.1f}"],
             ["a query", "", f"{query:.1f}"]]
    return total, rows


# -------------------------------------------------------------------- counters

COUNTERS = ("rank_us", "scan_us", "fetch_us", "lists", "pages", "scanned", "refined", "fetched")


def last_scans(server, data, engine, options):
    """Medians of what the scans count, each question's second run."""
    sql, scans = checks.question(data, engine, options.k), []
    with server.connect(data.name) as connection:
        connection.execute(f"{engines.ONE_PROCESS}; {engine.query.format(options.value)}")
        connection.execute(f"PREPARE asked ({engine.type}) AS {sql}")
        for vector in datasets.read_fvecs(data.queries)[:1000]:
            for _ in range(2):
                connection.execute(f"EXECUTE asked ('{checks.text_of(vector)}')").fetchall()
            scans.append(connection.execute(
                f"SELECT {', '.join(COUNTERS)} FROM vk_last_scan()").fetchone())
    return {name: statistics.median(column) for name, column in zip(COUNTERS, zip(*scans))}


def count_stages(server, data, engine, options):
    """Microseconds by what can be told without a profiler."""
    rates = {}
    for _ in range(3):
        for name, sql in (("all", checks.question(data, engine, options.k)),
                          ("trivial", engines.ENGINES["trivial"].sql)):
            result = server.client(
                "query", data.name, setup=f"{engines.ONE_PROCESS}; {engine.query.format(options.value)}",
                type=engine.type, sql=sql, queries=data.queries, k=options.k,
                seconds=options.seconds / 8, warm_up=200)
            rates.setdefault(name, []).append(result["p50_us"])
    whole, trivial = (statistics.median(rates[name]) for name in ("all", "trivial"))
    counts = last_scans(server, data, engine, options)
    parts = {"protocol, with what a trivial query needs": trivial, "centres": counts["rank_us"],
             "scan and refine": counts["scan_us"], "heap": counts["fetch_us"]}
    parts["planner, executor, the rest"] = whole - sum(parts.values())
    rows = [[name, f"{value / whole:.1%}", f"{value:.1f}"] for name, value in parts.items()]
    return rows + [["a query, p50", "", f"{whole:.1f}"]], counts


# ---------------------------------------------------------------------- output

def has_perf(log):
    if shutil.which("perf"):
        return True
    log.say("no perf (Debian's linux-perf): only what scans count themselves")
    return False


def profile_set(server, data, engine, options, log):
    parts = [f"## {data.title}: {engine.name} {options.value}, the nearest {options.k}"]
    if has_perf(log):
        try:
            log.say(f"{data.name}: sampling")
            total, rows = profile(server, data, engine, options)
            parts += [f"{total} samples by perf; {data.name}-{engine.name}-flame.svg has them.",
                      format_table(["stage", "of the backend", "us a query"], rows)]
        except (OSError, RuntimeError, subprocess.CalledProcessError, ZeroDivisionError) as error:
            log.say(f"{data.name}: perf failed: {error} {getattr(error, 'stderr', None) or ''}")
    if engine.extension == "vkindex":
        log.say(f"{data.name}: counting")
        rows, counts = count_stages(server, data, engine, options)
        parts += ["What scans count, medians:",
                  format_table(["stage", "of a query", "us a query"], rows),
                  format_table(["a query", "median"], [[name, f"{counts[name]:.0f}"]
                                                      for name in COUNTERS[3:]])]
    return parts


def main():
    options = parse_arguments()
    server, log = Server(options), Log(options.out, "profile.jsonl")
    engine = engines.ENGINES[options.engine]
    parts = ["# Where the time of a query goes"]
    for name in options.data:
        data = datasets.find_data(name, options.data_dir, options.metric)
        if not prepare_engines(server, data, [engine], options.rebuild, log):
            continue
        if len(parts) == 1:
            run = describe_run(server, data.name, options)
            log.add(run)
            parts.append(f"{run['date']}, commit {run['commit']}, {run['machine']['cpu']}")
        parts += profile_set(server, data, engine, options, log)
    text = "\n\n".join(parts) + "\n"
    (options.out / "profile.md").write_text(text, encoding="utf-8")
    print("\n" + text)
    log.say(f"profile.md and the flame graphs are in {options.out}")


if __name__ == "__main__":
    main()
