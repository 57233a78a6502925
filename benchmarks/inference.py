"""Inference on a module of many GEMM-like functions, against a pass of TVM's and against Python.

Prints ratios of medians taken in one run; absolute times of a shared machine say little.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import tvm
from tvm import tirx
from tvm.script import tirx as T
from visitors import infer_in_python

from tilelang.tt import apply_tt_defaults, infer_default_tt_schedule, infer_default_tt_shard


def gemm(rows: int, columns: int, depth: int, grid_x: int | None = None, grid_y: int | None = None):
    """A tiled GEMM in TIRx; a grid of other extents only changes how often its body runs."""
    grid_x, grid_y = grid_x or columns // 32, grid_y or rows // 32

    @T.prim_func
    def main(
        A: T.Buffer((rows, depth), "bfloat16"),
        B: T.Buffer((depth, columns), "bfloat16"),
        C: T.Buffer((rows, columns), "bfloat16"),
    ):
        bx = T.launch_thread("blockIdx.x", grid_x)
        by = T.launch_thread("blockIdx.y", grid_y)
        acc = T.alloc_buffer((32, 32), "float32", scope="local")
        for i, j in T.grid(32, 32):
            acc[i, j] = T.float32(0)
        for k, i, j in T.grid(depth, 32, 32):
            acc[i, j] = acc[i, j] + T.Cast("float32", A[by * 32 + i, k]) * T.Cast("float32", B[k, bx * 32 + j])
        for i, j in T.grid(32, 32):
            C[by * 32 + i, bx * 32 + j] = T.Cast("bfloat16", acc[i, j])

    return main


def module_of(count: int) -> tvm.IRModule:
    """``count`` distinct GEMMs."""
    return tvm.IRModule({f"gemm_{i}": gemm(32 * (1 + i % 40), 32 * (1 + i // 40), 64) for i in range(count)})


def deep(count: int) -> tvm.IRModule:
    """One kernel whose body has ``count`` statements."""
    func = gemm(256, 256, 64)
    launch = func.body
    body = tirx.SeqStmt([launch.body.body] * count)
    inner = tirx.AttrStmt(launch.body.node, launch.body.attr_key, launch.body.value, body)
    return tvm.IRModule({"main": func.with_body(tirx.AttrStmt(launch.node, launch.attr_key, launch.value, inner))})


def infer(mod):
    return infer_default_tt_shard(infer_default_tt_schedule(mod))


def medians(runs: int, *functions: Callable[[], object]) -> list[float]:
    """The median time of each, in seconds, taken in turn so that they share the machine's moods.

    Forth and back, as one function leaves another's data out of the caches.
    """
    times: list[list[float]] = [[] for _ in functions]
    for function in functions:
        function()
    pairs = list(zip(functions, times, strict=True))
    for run in range(runs):
        for function, samples in pairs if run % 2 else reversed(pairs):
            start = time.perf_counter()
            result = function()
            samples.append(time.perf_counter() - start)
            del result  # freeing the modules is not what is measured
    return [statistics.median(samples) for samples in times]


def report(what: str, ratio: float, bound: str) -> None:
    print(f"{what:66} {ratio:8.3f}   ({bound})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--functions", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=9)
    args = parser.parse_args()

    mod = apply_tt_defaults(module_of(args.functions))
    remove_no_op = tirx.transform.RemoveNoOp()
    ours, theirs, python = medians(
        args.runs, lambda: infer(mod), lambda: remove_no_op(mod), lambda: infer_in_python(mod)
    )
    print(f"{args.functions} functions, {ours / args.functions * 1e6:.1f} us each for schedule and shard\n")
    report("schedule and shard / RemoveNoOp", ours / theirs, "at most 0.5")
    report("Python visitors / schedule and shard", python / ours, "at least 3")

    tenth = apply_tt_defaults(module_of(args.functions // 10))
    ours, small = medians(args.runs, lambda: infer(mod), lambda: infer(tenth))
    report("ten times the functions / one time", ours / small, "about 10")

    long, short = apply_tt_defaults(deep(2000)), apply_tt_defaults(deep(200))
    slow, fast = medians(args.runs, lambda: infer(long), lambda: infer(short))
    report("ten times the statements / one time", slow / fast, "about 10")

    huge, tiny = apply_tt_defaults(gemm(256, 256, 64, 65536, 65536)), apply_tt_defaults(gemm(256, 256, 64))
    slow, fast = medians(args.runs * 20, lambda: infer(huge), lambda: infer(tiny))
    report("a grid of 65536 x 65536 / a grid of 8 x 8", slow / fast, "about 1")


if __name__ == "__main__":
    main()
