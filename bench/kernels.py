#!/usr/bin/env python3
#-------------------------------------------------------------------------
#
# kernels.py
#	  Kernels beside OpenBLAS, NumKong and SimSIMD, paired in one process.
#
# Usage: bench/kernels.py [--rows N] [--dims D,...] [--queries Q,...]
#                         [--isa NAME] [--rounds N] [--library FILE] [--maxsim]
#
# NOTES
#	  Needs numpy; numkong and simsimd take part where they can be imported.
#	  All compute dot products of one shape, on one thread, taking turns; the
#	  best of several rounds counts.  Everybody's rows lie in arrays of
#	  numpy; "pages" are blocks on 8-kB page images in random order.  --maxsim
#	  compares MaxSim with its dot products one by one, and nothing else.  The
#	  library is made by "make build/kernels/libvkkernels.so", here if need be.
#
# IDENTIFICATION
#	  bench/kernels.py
#
#-------------------------------------------------------------------------
import argparse
import ctypes
import os
import platform
import subprocess
import sys
import time

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np  # noqa: E402  (after the number of threads is set)

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LIBRARY = "build/kernels/libvkkernels.so"

# (slot, on pages, bytes a dimension), by whether there is one query or several
SCANS = [("scan_b8", False, 1), ("scan_b8", True, 1), ("scan_b4", False, 1 / 2),
         ("scan_b4", True, 1 / 2), ("scan_b2", False, 1 / 4), ("scan_b1", False, 1 / 8),
         ("scan_b1", True, 1 / 8), ("scan_f16", False, 2), ("scan_bf16", False, 2),
         ("scan_f32", False, 4), ("pair_dot_f32", False, 4), ("row_b8", False, 1)]
TILES = [("tile_b8", False, 1), ("tile_b8", True, 1), ("tile_screen_b8", True, 1),
         ("tile_b4", False, 1 / 2), ("tile_b4", True, 1 / 2), ("tile_b2", False, 1 / 4),
         ("tile_b1", False, 1 / 8), ("tile_b1", True, 1 / 8), ("tile_screen_b1", True, 1 / 8),
         ("tile_f32", False, 4), ("tile_dense_f32", False, 4), ("tile_dense_bf16", False, 2),
         ("maxsim_i8", False, 1), ("maxsim_f32", False, 4)]

# of peers' element types: numpy's name, bytes; bfloat16 has no type in numpy
PEER_TYPES = {"f32": ("float32", 4), "f16": ("float16", 2), "bf16": (None, 2), "i8": ("int8", 1)}


class Contestant:
    """One kernel over rows of its own; run() is one pass."""

    def __init__(self, name, run, size, close=None):
        self.name = name
        self.run = run
        self.size = size        # bytes of rows
        self.close = close
        self.best = float("inf")

    def turn(self):
        start = time.clock_gettime_ns(time.CLOCK_THREAD_CPUTIME_ID)
        self.run()
        end = time.clock_gettime_ns(time.CLOCK_THREAD_CPUTIME_ID)
        self.best = min(self.best, (end - start) * 1e-9)


# ------------------------------------------------------------------- our kernels

def load_library(path):
    if path is None:
        path = os.path.join(TOP, LIBRARY)
        subprocess.run(["make", "-s", "-C", TOP, LIBRARY], check=True, stdout=sys.stderr)
    library = ctypes.CDLL(path)
    library.vk_bench_memory.restype = ctypes.c_size_t
    library.vk_bench_open.restype = ctypes.c_void_p
    library.vk_bench_open.argtypes = [ctypes.c_char_p] + [ctypes.c_int] * 5 + [ctypes.c_void_p]
    library.vk_bench_fill.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
    library.vk_bench_run.argtypes = [ctypes.c_void_p]
    library.vk_bench_close.argtypes = [ctypes.c_void_p]
    library.vk_bench_read.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int]
    return library


def aligned(size):
    """An array of numpy that begins at a page, and its address."""
    array = np.empty(size + 8192, np.uint8)
    address = (array.ctypes.data + 8191) // 8192 * 8192
    return array, address


def ours(library, isa, rows, dim, queries, slots):
    for slot, pages, width in slots:
        number = library.vk_bench_slot(slot.encode())
        size = library.vk_bench_memory(number, dim, rows, pages)
        array, address = aligned(size)
        library.vk_bench_fill(number, address, size)
        case = library.vk_bench_open(isa.encode(), number, dim, rows, queries, pages, address)
        if case is None:
            sys.exit(f"kernels.py: {isa} is not on this CPU or not in this build")
        yield Contestant(f"vkindex {slot}{' pages' if pages else ''}",
                         lambda case=case, keep=array: library.vk_bench_run(case),
                         rows * dim * width, lambda case=case: library.vk_bench_close(case))


def reading(library, rows, dim):
    """Plain reading of as many bytes as the rows have as floats."""
    array, address = aligned(rows * dim * 4)
    array.fill(1)
    for ahead, streams in ((0, 1), (512, 1), (2048, 1), (0, 4), (0, 8), (2048, 8)):
        yield Contestant("read", lambda ahead=ahead, streams=streams, keep=array:
                         library.vk_bench_read(address, rows * dim * 4, ahead, streams),
                         rows * dim * 4)


# ------------------------------------------------------------------------- peers

def openblas(rows, dim, queries):
    random = np.random.default_rng(1)
    x = random.random((rows, dim), np.float32) - np.float32(0.5)
    q = random.random((dim, queries), np.float32) - np.float32(0.5)
    out = np.empty((rows, queries), np.float32)
    if queries == 1:
        vector, result = q[:, 0].copy(), np.empty(rows, np.float32)
        yield Contestant("OpenBLAS sgemv", lambda: np.dot(x, vector, out=result), x.nbytes)
    else:
        yield Contestant("OpenBLAS sgemm", lambda: np.dot(x, q, out=out), x.nbytes)


def random_rows(kind, rows, dim):
    random = np.random.default_rng(2)
    if kind == "i8":
        return random.integers(-127, 128, (rows, dim), np.int8)
    return (random.random((rows, dim), np.float32) - np.float32(0.5)).astype(
        PEER_TYPES[kind][0] or np.float32)


def numkong(rows, dim, queries):
    try:
        import numkong as nk
    except ImportError:
        return
    for kind, (_, width) in PEER_TYPES.items():
        try:
            x, q = random_rows(kind, rows, dim), random_rows(kind, queries, dim)
            if kind == "bf16":
                x, q = nk.Tensor(x).astype("bfloat16"), nk.Tensor(q).astype("bfloat16")
            packed = nk.dots_pack(q)
            out = nk.dots_packed(x, packed)
        except (TypeError, ValueError, AttributeError, RuntimeError) as error:
            print(f"numkong {kind} is left out: {error}", file=sys.stderr)
            continue
        yield Contestant(f"numkong dots_packed {kind}",
                         lambda x=x, p=packed, o=out: nk.dots_packed(x, p, out=o),
                         rows * dim * width)


def simsimd(rows, dim, queries):
    try:
        import simsimd as ss
    except ImportError:
        return
    for kind, (_, width) in PEER_TYPES.items():
        if kind == "bf16":
            continue
        x, q = random_rows(kind, rows, dim), random_rows(kind, queries, dim)
        yield Contestant(f"simsimd cdist {kind}",
                         lambda x=x, q=q: ss.cdist(q, x, metric="dot"), rows * dim * width)


# ------------------------------------------------------------------------ report

def compare(library, options, dim, queries):
    rows = options.rows
    contestants = [*openblas(rows, dim, queries), *numkong(rows, dim, queries),
                   *simsimd(rows, dim, queries), *ours(library, options.isa, rows, dim, queries, SCANS if queries == 1 else TILES),
                   *reading(library, rows, dim)]
    for _ in range(options.rounds):
        for contestant in contestants:
            contestant.turn()
    report(contestants, rows, dim, queries)
    for contestant in contestants:
        if contestant.close is not None:
            contestant.close()


def compare_maxsim(library, options):
    """A query of 32 vectors against documents of 128 of 128 dimensions."""
    documents, dim, queries = 8, 128, 32
    print("\n| element | MaxSim, us a document | pair kernel | times |\n|---|---|---|---|")
    for kind, (_, width) in PEER_TYPES.items():
        fused, pairs = contestants = [*ours(library, options.isa, documents * 128, dim, queries, [
            (f"{slot}_{kind}", False, width) for slot in ("maxsim", "pair_dot")])]
        for _ in range(20 * options.rounds):
            for contestant in contestants:
                contestant.turn()
        print(f"| {kind} | {fused.best / documents * 1e6:.1f} | {pairs.best / documents * 1e6:.1f} "
              f"| {pairs.best / fused.best:.1f} |", flush=True)
        for contestant in contestants:
            contestant.close()


def report(contestants, rows, dim, queries):
    blas = contestants[0]
    read = max(c.size / c.best for c in contestants if c.name == "read")
    kong = [c for c in contestants if c.name == "numkong dots_packed i8"]
    print(f"\nn = {rows}, d = {dim}, q = {queries}; read {read * 1e-9:.1f} GB/s\n")
    print(f"| kernel | ms | GMAC/s | Mcodes/s | GB/s | of read | x {blas.name} | x numkong i8 |")
    print("|---|---|---|---|---|---|---|---|")
    for c in contestants:
        if c.name == "read":
            continue
        against = f"{kong[0].best / c.best:.2f}" if kong else ""
        print(f"| {c.name} | {c.best * 1e3:.2f} | {rows * dim * queries / c.best * 1e-9:.1f} "
              f"| {rows * queries / c.best * 1e-6:.1f} | {c.size / c.best * 1e-9:.1f} "
              f"| {100 * c.size / c.best / read:.0f}% | {blas.best / c.best:.2f} | {against} |",
              flush=True)


def cpu_name():
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            facts = dict(line.split(":", 1) for line in file.read().split("\n\n")[0].splitlines()
                         if ":" in line)
        facts = {key.strip(): value.strip() for key, value in facts.items()}
        return (f"{facts['model name']} (family {facts['cpu family']}, model {facts['model']})")
    except (OSError, KeyError, ValueError):
        return platform.processor() or platform.machine()


def main():
    parser = argparse.ArgumentParser(
        description="Kernels beside OpenBLAS, NumKong and SimSIMD, paired in one process.")
    parser.add_argument("--rows", type=int, default=20000)
    parser.add_argument("--dims", default="1536,768,128")
    parser.add_argument("--queries", default="1,32")
    parser.add_argument("--isa", default="auto")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--library", help="instead of building one")
    parser.add_argument("--maxsim", action="store_true")
    options = parser.parse_args()

    options.rows = options.rows // 16 * 16
    library = load_library(options.library)
    print(f"{cpu_name()}; numpy {np.__version__}, level {options.isa}, "
          f"best of {options.rounds} rounds")
    if options.maxsim:
        compare_maxsim(library, options)
        return
    for dim in map(int, options.dims.split(",")):
        for queries in map(int, options.queries.split(",")):
            compare(library, options, dim, queries)


if __name__ == "__main__":
    main()
