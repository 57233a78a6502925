"""The compile service: what a warm worker costs beside compiling in this process.

Prints differences and ratios of medians taken in one run; of the kernels, those that the installed host has.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

from execution import ON_TILELANG, tile_gemm
from gemm import gemm
from inference import medians, report

import tilelang.tt

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


def main() -> None:
    compare_modes("GEMM of examples/gemm.py", gemm())
    if ON_TILELANG:
        compare_modes("GEMM of TileLang", tile_gemm())


if __name__ == "__main__":
    main()
