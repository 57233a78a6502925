"""The compile service: what a warm cache, and a warm worker, cost beside compiling in this process.

Prints differences and ratios of medians taken in one run; of the kernels, those that the installed host has.
"""

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

from execution import ON_TILELANG, tile_gemm
from gemm import gemm
from inference import medians, report

import tilelang.tt
from tilelang.tt.service.transport import decode, encode

RUNS = 41


def compare_modes(name: str, kernel) -> None:
    """Without the cache: in this process, and in a worker that has done it before."""
    with tilelang.tt.WorkerPool() as pool:

        def inline() -> None:
            tilelang.tt.compile(kernel, cache=False)

        def subprocess() -> None:
            tilelang.tt.compile(kernel, mode="subprocess", pool=pool, cache=False)

        subprocess()
        here, there = medians(RUNS, inline, subprocess)
    report(f"a warm worker - this process, {name}, in ms", (there - here) * 1e3, "at most 5")


def find_what_has_been_compiled(name: str, kernel) -> None:
    """In memory, asked for again; and on disk, for an object that was never seen, so that its key has to be found."""
    text = encode(kernel)
    fresh = iter([decode(text) for _ in range(RUNS + 1)])

    def compiled() -> None:
        tilelang.tt.compile(kernel, cache=False)

    def on_disk() -> None:
        tilelang.tt.cache._memory.clear()
        assert tilelang.tt.compile(next(fresh)).found_in == "disk"

    def in_memory() -> None:
        assert tilelang.tt.compile(kernel).found_in == "memory"

    with tempfile.TemporaryDirectory() as folder:
        os.environ["TILELANG_TT_CACHE_DIR"] = folder
        tilelang.tt.compile(kernel)
        (memory,) = medians(RUNS, in_memory)
        disk, whole = medians(RUNS, on_disk, compiled)
    report(f"found in memory, {name}, in us", memory * 1e6, "at most 50")
    report(f"found on disk, {name}, in ms", disk * 1e3, "at most 2")
    report(f"found on disk / compiled, {name}", disk / whole, "below 1")


def return_at_once(name: str, kernel) -> None:
    """What a caller waits for, while a worker compiles."""
    with tilelang.tt.WorkerPool() as pool:
        handles = [tilelang.tt.compile(kernel, mode="async", pool=pool, cache=False).wait()]

        def call() -> None:
            handles.append(tilelang.tt.compile(kernel, mode="async", pool=pool, cache=False))

        (seconds,) = medians(RUNS, call)
        for handle in handles:
            handle.wait()
    report(f'mode="async" returns, {name}, in ms', seconds * 1e3, "at most 1")


def main() -> None:
    find_what_has_been_compiled("GEMM of examples/gemm.py", gemm())
    compare_modes("GEMM of examples/gemm.py", gemm())
    return_at_once("GEMM of examples/gemm.py", gemm())
    if ON_TILELANG:
        find_what_has_been_compiled("GEMM of TileLang", tile_gemm())
        compare_modes("GEMM of TileLang", tile_gemm())
        return_at_once("GEMM of TileLang", tile_gemm())


if __name__ == "__main__":
    main()
