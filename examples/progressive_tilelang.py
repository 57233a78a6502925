"""The GEMM of progressive.py in TileLang, with block sizes and the depth of its pipeline to choose from."""

import tilelang.language as T

import tilelang.tt
from tilelang.tt import Search


def gemm(M=2560, N=2816, K=1024, block_M=64, block_N=64, num_stages=1):
    """C = A @ B."""

    @T.prim_func
    def gemm(A: T.Tensor((M, K), "bfloat16"), B: T.Tensor((K, N), "bfloat16"), C: T.Tensor((M, N), "bfloat16")):
        with T.Kernel(T.ceildiv(N, block_N), T.ceildiv(M, block_M), threads=128) as (bx, by):
            a = T.alloc_shared((block_M, 64), "bfloat16")
            b = T.alloc_shared((64, block_N), "bfloat16")
            c = T.alloc_fragment((block_M, block_N), "float32")
            T.clear(c)
            for k in T.Pipelined(T.ceildiv(K, 64), num_stages=num_stages):
                T.copy(A[by * block_M, k * 64], a)
                T.copy(B[k * 64, bx * block_N], b)
                T.gemm(a, b, c)
            T.copy(c, C[by * block_M, bx * block_N])

    return gemm


def main():
    search = Search(
        parameters={"block_M": (64, 128, 256), "block_N": (64, 128, 256), "num_stages": (1, 2)},
        policies=("contiguous", "rectangular"),
        orders=(),
        tiles=(),
        small={"M": 256, "N": 192, "K": 128},  # what is executed as a proof
        max_candidates=24,
    )
    kernel = tilelang.tt.compile(gemm, "blackhole_p100", mode="async", search=search, on_step=print)
    kernel.wait()
    print(f"\n{kernel.explain()}")

    default, *_, last = (step for step in kernel.history if step.outcome in ("default", "upgraded"))
    assert last.cycles < default.cycles


if __name__ == "__main__":
    main()
