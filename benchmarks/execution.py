"""Kernels executed: first and later calls, with LLVM against no cores, and by the interpreter against numpy.

Prints ratios of medians taken in one run; of the parts, those that the installed host has.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

try:  # TileLang's TVM is found only after TileLang, and an overlay without it is a namespace with no __file__
    import tilelang
except ImportError:
    tilelang = None
ON_TILELANG = getattr(tilelang, "__file__", None) is not None

from inference import medians, report  # noqa: E402

SIDE = 1024
RUNS = 7


def random(*shape: int):
    return np.random.default_rng(0).standard_normal(shape, np.float32)


# ---- every host: what is made for a call, of a kernel of which little is executed ------------------------------------


def small_add():
    from tvm.script import tirx as T

    @T.prim_func
    def add(A: T.Buffer((64, 64), "float32"), B: T.Buffer((64, 64), "float32"), C: T.Buffer((64, 64), "float32")):
        bx = T.launch_thread("blockIdx.x", 8)
        for i, j in T.grid(8, 64):
            C[bx * 8 + i, j] = A[bx * 8 + i, j] + B[bx * 8 + i, j]

    return add


def compare_calls() -> None:
    from tilelang.tt import compile as compile_kernel
    from tilelang.tt import executor

    kernel, arrays = small_add(), (random(64, 64),) * 2
    fresh = iter([compile_kernel(kernel, cache=False) for _ in range(RUNS + 1)])
    compiled = compile_kernel(kernel, cache=False)
    first, later, alone = medians(
        RUNS,
        lambda: next(fresh)(*arrays),
        partial(compiled, *arrays),
        partial(executor.execute, kernel, *arrays),
    )
    report("a compiled kernel: first call / later call", first / later, "about 5")
    report("execute, which compiles each time / later call", alone / later, "at least 3")


# ---- apache-tvm: LLVM ------------------------------------------------------------------------------------------------


def gemm_on_a_grid(block: int):
    from tvm.script import tirx as T

    @T.prim_func
    def main(
        A: T.Buffer((SIDE, SIDE), "float32"), B: T.Buffer((SIDE, SIDE), "float32"), C: T.Buffer((SIDE, SIDE), "float32")
    ):
        bx = T.launch_thread("blockIdx.x", SIDE // block)
        by = T.launch_thread("blockIdx.y", SIDE // block)
        acc = T.alloc_buffer((block, block), "float32", scope="local")
        for i, j in T.grid(block, block):
            acc[i, j] = T.float32(0)
        for k, i, j in T.grid(SIDE, block, block):
            acc[i, j] = acc[i, j] + A[by * block + i, k] * B[k, bx * block + j]
        for i, j in T.grid(block, block):
            C[by * block + i, bx * block + j] = acc[i, j]

    return main


def gemm_in_loops(block: int):
    """The same kernel as whoever has a CPU writes it: its grid is two loops."""
    from tvm.script import tirx as T

    @T.prim_func
    def main(
        A: T.Buffer((SIDE, SIDE), "float32"), B: T.Buffer((SIDE, SIDE), "float32"), C: T.Buffer((SIDE, SIDE), "float32")
    ):
        for by, bx in T.grid(SIDE // block, SIDE // block):
            acc = T.alloc_buffer((block, block), "float32", scope="local")
            for i, j in T.grid(block, block):
                acc[i, j] = T.float32(0)
            for k, i, j in T.grid(SIDE, block, block):
                acc[i, j] = acc[i, j] + A[by * block + i, k] * B[k, bx * block + j]
            for i, j in T.grid(block, block):
                C[by * block + i, bx * block + j] = acc[i, j]

    return main


def compare_with_llvm(block: int = 128) -> None:
    from tilelang.tt import (
        apply_tt_defaults,
        core_program_attrs,
        grid_to_persistent,
        infer_default_tt_schedule,
        runtime_args,
        threads_to_loops,
    )
    from tilelang.tt.executor.llvm import Compiled, aligned, tensor

    scheduled = infer_default_tt_schedule(apply_tt_defaults(gemm_on_a_grid(block), device="wormhole_n150"))
    program = threads_to_loops(grid_to_persistent(scheduled))
    known = runtime_args(scheduled)
    (places,) = core_program_attrs(program)
    columns = [(known.per_core | known.common)[name] for name in sorted(places, key=places.get)]
    cores = [[int(value) for value in row] for row in zip(*np.broadcast_arrays(*columns), strict=True)]

    compiled, original = Compiled(program), Compiled(gemm_in_loops(block))
    arrays = [aligned(array) for array in (random(SIDE, SIDE), random(SIDE, SIDE), np.zeros((SIDE, SIDE), np.float32))]
    tensors = [tensor(array) for array in arrays]

    def on_threads(number: int) -> None:
        with ThreadPoolExecutor(number) as pool:
            list(pool.map(lambda own: compiled.run([*tensors, *own]), cores))

    def in_sequence() -> None:
        for own in cores:
            compiled.run([*tensors, *own])

    in_sequence()
    np.testing.assert_allclose(arrays[2], arrays[0] @ arrays[1], rtol=1e-3, atol=1e-3)
    persistent, plain, one, two = medians(
        RUNS, in_sequence, partial(original.run, tensors), partial(on_threads, 1), partial(on_threads, 2)
    )
    report(f"64 cores one after the other / no cores, GEMM of {SIDE}", persistent / plain, "at most 1.15")
    report("two threads / one", two / one, "at most 0.6")


# ---- TileLang: the interpreter, and the target -------------------------------------------------------------------


def tile_gemm(block: int = 128, depth: int = 32):
    import tilelang.language as T

    @T.prim_func
    def main(
        A: T.Tensor((SIDE, SIDE), "float32"), B: T.Tensor((SIDE, SIDE), "float32"), C: T.Tensor((SIDE, SIDE), "float32")
    ):
        with T.Kernel(SIDE // block, SIDE // block, threads=128) as (bx, by):
            left = T.alloc_shared((block, depth), "float32")
            right = T.alloc_shared((depth, block), "float32")
            total = T.alloc_fragment((block, block), "float32")
            T.clear(total)
            for k in T.Pipelined(SIDE // depth, num_stages=2):
                T.copy(A[by * block, k * depth], left)
                T.copy(B[k * depth, bx * block], right)
                T.gemm(left, right, total)
            T.copy(total, C[by * block, bx * block])

    return main


def tile_attention(heads: int = 4, dim: int = 64, block: int = 64):
    """Flash attention, its softmax kept online."""
    import tilelang.language as T

    shape = (1, SIDE, heads, dim)
    scale = dim**-0.5 * 1.4426950408889634  # of powers of 2

    @T.prim_func
    def main(
        Q: T.Tensor(shape, "float32"),
        K: T.Tensor(shape, "float32"),
        V: T.Tensor(shape, "float32"),
        Output: T.Tensor(shape, "float32"),
    ):
        with T.Kernel(SIDE // block, heads, threads=128) as (bx, by):
            query = T.alloc_shared((block, dim), "float32")
            key = T.alloc_shared((block, dim), "float32")
            value = T.alloc_shared((block, dim), "float32")
            score = T.alloc_fragment((block, block), "float32")
            result = T.alloc_fragment((block, dim), "float32")
            highest = T.alloc_fragment((block,), "float32")
            before = T.alloc_fragment((block,), "float32")
            correction = T.alloc_fragment((block,), "float32")
            weights = T.alloc_fragment((block,), "float32")
            total = T.alloc_fragment((block,), "float32")
            T.copy(Q[0, bx * block : (bx + 1) * block, by, :], query)
            T.clear(result)
            T.clear(total)
            T.fill(highest, -T.infinity("float32"))
            for k in T.Pipelined(SIDE // block, num_stages=1):
                T.copy(K[0, k * block : (k + 1) * block, by, :], key)
                T.clear(score)
                T.gemm(query, key, score, transpose_B=True)
                T.copy(highest, before)
                T.reduce_max(score, highest, dim=1, clear=False)
                for i in T.Parallel(block):
                    correction[i] = T.exp2((before[i] - highest[i]) * scale)
                for i, j in T.Parallel(block, block):
                    score[i, j] = T.exp2((score[i, j] - highest[i]) * scale)
                T.reduce_sum(score, weights, dim=1)
                for i in T.Parallel(block):
                    total[i] = total[i] * correction[i] + weights[i]
                for i, j in T.Parallel(block, dim):
                    result[i, j] *= correction[i]
                T.copy(V[0, k * block : (k + 1) * block, by, :], value)
                T.gemm(score, value, result)
            for i, j in T.Parallel(block, dim):
                result[i, j] /= total[i]
            T.copy(result, Output[0, bx * block : (bx + 1) * block, by, :])

    return main


def attention_in_numpy(query, key, value):
    query, key, value = (array.transpose(0, 2, 1, 3) for array in (query, key, value))
    score = query @ key.transpose(0, 1, 3, 2) * np.float32(query.shape[-1] ** -0.5)
    weights = np.exp(score - score.max(-1, keepdims=True))
    return (weights @ value / weights.sum(-1, keepdims=True)).transpose(0, 2, 1, 3)


def compare_with_numpy() -> None:
    from tilelang.tt import executor

    for name, kernel, arrays, in_numpy, bound in (
        ("GEMM", tile_gemm(), (random(SIDE, SIDE),) * 2, np.matmul, 40),
        ("flash attention", tile_attention(), (random(1, SIDE, 4, 64),) * 3, attention_in_numpy, 60),
    ):
        np.testing.assert_allclose(executor.execute(kernel, *arrays), in_numpy(*arrays), rtol=1e-3, atol=1e-3)
        ours, theirs = medians(3, partial(executor.execute, kernel, *arrays), partial(in_numpy, *arrays))
        report(f"interpreter / numpy, {name} of {SIDE}", ours / theirs, f"at most {bound}")


def time_target() -> None:
    import tilelang.tt  # which registers it

    kernel = tile_gemm()
    (seconds,) = medians(RUNS, lambda: tilelang.lower(kernel, target="tenstorrent"))
    report('milliseconds of lowering for target "tenstorrent", the host\'s too', seconds * 1e3, "at most 20")


def main() -> None:
    compare_calls()
    if ON_TILELANG:
        compare_with_numpy()
        time_target()
    else:
        compare_with_llvm()


if __name__ == "__main__":
    main()
