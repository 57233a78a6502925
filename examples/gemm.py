"""A GEMM with ragged edges on a Tenstorrent chip: which core runs which part of it, and what padding costs."""

import tilelang
from tilelang.tt.plan import make_plan

M, N, K, BLOCK = 1000, 700, 500, 64


def gemm_in_tilelang():
    import tilelang.language as T

    @T.prim_func
    def gemm(
        A: T.Tensor((M, K), "bfloat16"),
        B: T.Tensor((K, N), "bfloat16"),
        bias: T.Tensor((N,), "bfloat16"),
        C: T.Tensor((M, N), "bfloat16"),
    ):
        with T.Kernel(T.ceildiv(N, BLOCK), T.ceildiv(M, BLOCK), threads=128) as (bx, by):
            A_shared = T.alloc_shared((BLOCK, BLOCK), "bfloat16")
            B_shared = T.alloc_shared((BLOCK, BLOCK), "bfloat16")
            bias_shared = T.alloc_shared((BLOCK,), "bfloat16")
            C_local = T.alloc_fragment((BLOCK, BLOCK), "float32")
            T.copy(bias[bx * BLOCK], bias_shared)
            T.clear(C_local)
            for k in T.Pipelined(T.ceildiv(K, BLOCK), num_stages=2):
                T.copy(A[by * BLOCK, k * BLOCK], A_shared)
                T.copy(B[k * BLOCK, bx * BLOCK], B_shared)
                T.gemm(A_shared, B_shared, C_local)
            for i, j in T.Parallel(BLOCK, BLOCK):
                C_local[i, j] = C_local[i, j] + bias_shared[j]
            T.copy(C_local, C[by * BLOCK, bx * BLOCK])

    return gemm


def gemm_in_tirx():
    from tvm.script import tirx as T

    @T.prim_func
    def gemm(
        A: T.Buffer((M, K), "bfloat16"),
        B: T.Buffer((K, N), "bfloat16"),
        bias: T.Buffer((N,), "bfloat16"),
        C: T.Buffer((M, N), "bfloat16"),
    ):
        bx = T.launch_thread("blockIdx.x", T.ceildiv(N, BLOCK))
        by = T.launch_thread("blockIdx.y", T.ceildiv(M, BLOCK))
        total = T.alloc_buffer((1,), "float32", scope="local")
        for i, j in T.grid(BLOCK, BLOCK):
            if by * BLOCK + i < M and bx * BLOCK + j < N:
                total[0] = T.cast(bias[bx * BLOCK + j], "float32")
                for k in range(K):
                    a = T.cast(A[by * BLOCK + i, k], "float32")
                    b = T.cast(B[k, bx * BLOCK + j], "float32")
                    total[0] = total[0] + a * b
                C[by * BLOCK + i, bx * BLOCK + j] = T.cast(total[0], "bfloat16")

    return gemm


HOST_IS_TILELANG = getattr(tilelang, "__file__", None) is not None


def gemm():
    return gemm_in_tilelang() if HOST_IS_TILELANG else gemm_in_tirx()


def main():
    language = "TileLang" if HOST_IS_TILELANG else "TIRx"
    print(f"C = A @ B + bias in {language}: M = {M}, N = {N}, K = {K}, blocks of {BLOCK} x {BLOCK}\n")
    print(make_plan(gemm()))


if __name__ == "__main__":
    main()
