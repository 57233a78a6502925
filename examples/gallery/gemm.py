"""Y = X @ W: one projection of a transformer, 4096 to 11008 features, for 1000 tokens."""

import tilelang.language as T


def gemm(tokens=1000, inputs=4096, outputs=11008, block_m=128, block_n=128, block_k=64):
    @T.prim_func
    def gemm(
        X: T.Tensor((tokens, inputs), "bfloat16"),
        W: T.Tensor((inputs, outputs), "bfloat16"),
        Y: T.Tensor((tokens, outputs), "bfloat16"),
    ):
        with T.Kernel(T.ceildiv(outputs, block_n), T.ceildiv(tokens, block_m), threads=128) as (bx, by):
            x = T.alloc_shared((block_m, block_k), "bfloat16")
            w = T.alloc_shared((block_k, block_n), "bfloat16")
            y = T.alloc_fragment((block_m, block_n), "float32")
            T.clear(y)
            for k in T.Pipelined(T.ceildiv(inputs, block_k), num_stages=2):
                T.copy(X[by * block_m, k * block_k], x)
                T.copy(W[k * block_k, bx * block_n], w)
                T.gemm(x, w, y)
            T.copy(y, Y[by * block_m, bx * block_n])

    return gemm
