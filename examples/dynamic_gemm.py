"""One GEMM compiled once for any number of rows: which core computes what follows at each call from the tensors."""

import tilelang.language as T
import torch

import tilelang
import tilelang.tt  # brings the target "tenstorrent"

N, K, BLOCK = 192, 128, 64


@tilelang.jit(target="tenstorrent", out_idx=[2])
def gemm():
    m = T.dynamic("m")

    @T.prim_func
    def gemm(A: T.Tensor((m, K), "float16"), B: T.Tensor((K, N), "float16"), C: T.Tensor((m, N), "float32")):
        with T.Kernel(T.ceildiv(N, BLOCK), T.ceildiv(m, BLOCK), threads=128) as (bx, by):
            a = T.alloc_shared((BLOCK, BLOCK), "float16")
            b = T.alloc_shared((BLOCK, BLOCK), "float16")
            c = T.alloc_fragment((BLOCK, BLOCK), "float32")
            T.clear(c)
            for k in T.Pipelined(T.ceildiv(K, BLOCK), num_stages=2):
                T.copy(A[by * BLOCK, k * BLOCK], a)
                T.copy(B[k * BLOCK, bx * BLOCK], b)
                T.gemm(a, b, c)
            T.copy(c, C[by * BLOCK, bx * BLOCK])

    return gemm


def main():
    kernel = gemm()
    print(kernel.plan)

    b = torch.randn(K, N, dtype=torch.float16)
    for rows in (1, 64, 1000):
        a = torch.randn(rows, K, dtype=torch.float16)
        torch.testing.assert_close(kernel(a, b), a.float() @ b.float(), rtol=1e-4, atol=1e-4)
        print(f"{rows:4} rows: torch's result")


if __name__ == "__main__":
    main()
