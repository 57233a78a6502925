"""Y = X @ W.T with weights of four bits, two in a byte, and a scale for each 128 of them."""

import tilelang.language as T


def dequant_gemm(tokens=256, inputs=4096, outputs=4096, group=128, block_m=64, block_n=128):
    @T.prim_func
    def dequant_gemm(
        X: T.Tensor((tokens, inputs), "bfloat16"),
        W: T.Tensor((outputs, inputs // 2), "uint8"),
        scales: T.Tensor((outputs, inputs // group), "bfloat16"),
        Y: T.Tensor((tokens, outputs), "bfloat16"),
    ):
        with T.Kernel(T.ceildiv(outputs, block_n), T.ceildiv(tokens, block_m), threads=128) as (bx, by):
            x = T.alloc_shared((block_m, group), "bfloat16")
            packed = T.alloc_shared((block_n, group // 2), "uint8")
            w = T.alloc_shared((block_n, group), "bfloat16")
            y = T.alloc_fragment((block_m, block_n), "float32")
            T.clear(y)
            for k in T.Pipelined(inputs // group, num_stages=2):
                T.copy(X[by * block_m, k * group], x)
                T.copy(W[bx * block_n, k * (group // 2)], packed)
                for i, j in T.Parallel(block_n, group):
                    bits = T.cast(packed[i, j // 2], "int32") >> (j % 2 * 4) & 15
                    w[i, j] = T.cast(bits - 8, "bfloat16") * scales[bx * block_n + i, k]
                T.gemm(x, w, y, transpose_B=True)
            T.copy(y, Y[by * block_m, bx * block_n])

    return dequant_gemm
