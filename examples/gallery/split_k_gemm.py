"""The same projection for one batch of 32 tokens: few results, a long sum, so the sum is split over the z axis."""

import tilelang.language as T


def split_k_gemm(tokens=32, inputs=11008, outputs=4096, splits=4, block_n=128, block_k=64):
    share = inputs // splits

    @T.prim_func
    def split_k_gemm(
        X: T.Tensor((tokens, inputs), "bfloat16"),
        W: T.Tensor((inputs, outputs), "bfloat16"),
        Y: T.Tensor((tokens, outputs), "float32"),
    ):
        with T.Kernel(T.ceildiv(outputs, block_n), 1, splits, threads=128) as (bx, by, bz):
            x = T.alloc_shared((tokens, block_k), "bfloat16")
            w = T.alloc_shared((block_k, block_n), "bfloat16")
            y = T.alloc_fragment((tokens, block_n), "float32")
            T.clear(y)
            for k in T.Pipelined(share // block_k, num_stages=3):
                T.copy(X[by * tokens, bz * share + k * block_k], x)
                T.copy(W[bz * share + k * block_k, bx * block_n], w)
                T.gemm(x, w, y)
            for i, j in T.Parallel(tokens, block_n):
                T.atomic_add(Y[by * tokens + i, bx * block_n + j], y[i, j])

    return split_k_gemm
