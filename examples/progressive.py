"""A large GEMM on 11x10 cores: its default plan at once, better ones in the background, and why each is better."""

import tilelang.tt
from tilelang.tt import Search


def gemm(M=2560, N=2816, K=1024, block_M=64, block_N=64):
    """C = A @ B, a block of C in the memory of a core at a time."""
    from tvm.script import tirx as T

    @T.prim_func
    def gemm(A: T.Buffer((M, K), "bfloat16"), B: T.Buffer((K, N), "bfloat16"), C: T.Buffer((M, N), "bfloat16")):
        bx = T.launch_thread("blockIdx.x", T.ceildiv(N, block_N))
        by = T.launch_thread("blockIdx.y", T.ceildiv(M, block_M))
        total = T.alloc_buffer((block_M, block_N), "float32", scope="shared")
        for i, j in T.grid(block_M, block_N):
            if by * block_M + i < M and bx * block_N + j < N:
                total[i, j] = T.float32(0)
                for k in range(K):
                    a = T.cast(A[by * block_M + i, k], "float32")
                    b = T.cast(B[k, bx * block_N + j], "float32")
                    total[i, j] = total[i, j] + a * b
                C[by * block_M + i, bx * block_N + j] = T.cast(total[i, j], "bfloat16")

    return gemm


def main():
    search = Search(
        parameters={"block_M": (64, 128, 256), "block_N": (64, 128, 256, 2048)},
        policies=("contiguous", "rectangular"),
        orders=(),
        tiles=(),
        small={"M": 128, "N": 192, "K": 32},  # what is executed as a proof
        time_limit=120,
    )
    kernel = tilelang.tt.compile(gemm, "blackhole_p100", mode="async", search=search)
    print(f"{kernel.plan.kernel().name} can be called: ready is {kernel.ready}, done is {kernel.done}\n")

    kernel.wait()
    print(kernel.explain())

    default, *_, last = (step for step in kernel.history if step.outcome in ("default", "upgraded"))
    assert last.cycles < default.cycles


if __name__ == "__main__":
    main()
