"""A GEMM with ragged edges on a Tenstorrent chip: its plan, and its result as the chip's cores compute it together."""

import numpy as np

from tilelang.tt.executor import run
from tilelang.tt.plan import make_plan

M, N, K, BLOCK = 500, 300, 100, 32


def gemm():
    from tvm.script import tirx as T

    @T.prim_func
    def gemm(
        A: T.Buffer((M, K), "float32"),
        B: T.Buffer((K, N), "float32"),
        bias: T.Buffer((N,), "float32"),
        C: T.Buffer((M, N), "float32"),
    ):
        bx = T.launch_thread("blockIdx.x", T.ceildiv(N, BLOCK))
        by = T.launch_thread("blockIdx.y", T.ceildiv(M, BLOCK))
        total = T.alloc_buffer((BLOCK, BLOCK), "float32", scope="local")
        for i, j in T.grid(BLOCK, BLOCK):
            if by * BLOCK + i < M and bx * BLOCK + j < N:
                total[i, j] = bias[bx * BLOCK + j]
                for k in range(K):
                    total[i, j] = total[i, j] + A[by * BLOCK + i, k] * B[k, bx * BLOCK + j]
                C[by * BLOCK + i, bx * BLOCK + j] = total[i, j]

    return gemm


def main():
    kernel = gemm()
    print(make_plan(kernel))

    rng = np.random.default_rng(0)
    a, b, bias = (rng.standard_normal(shape, np.float32) for shape in [(M, K), (K, N), (N,)])
    execution = run(kernel, a, b, bias)
    print(f"\n{execution}")

    c = execution.result
    expected = a.astype(np.float64) @ b + bias
    error = np.abs(c - expected).max()
    assert error < 1e-4, error
    print(f"\nC = A @ B + bias holds: {error:.1e} is the largest difference from numpy in float64")


if __name__ == "__main__":
    main()
