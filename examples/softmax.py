"""The softmax of ragged rows in TileLang: the padding has to hold -inf, and the chip's cores read it."""

import tilelang.language as T
import torch

import tilelang
import tilelang.tt  # brings the target "tenstorrent"

ROWS, COLUMNS, BLOCK = 500, 1000, 32


@tilelang.jit(target="tenstorrent", out_idx=[1])
def softmax(rows, columns, block):
    padded = T.ceildiv(columns, 32) * 32

    @T.prim_func
    def softmax(X: T.Tensor((rows, columns), "float32"), Y: T.Tensor((rows, columns), "float32")):
        with T.Kernel(T.ceildiv(rows, block), threads=128) as bx:
            x = T.alloc_fragment((block, padded), "float32")
            largest = T.alloc_fragment((block,), "float32")
            total = T.alloc_fragment((block,), "float32")
            T.annotate_safe_value({X: -T.infinity("float32")})
            T.copy(X[bx * block, 0], x)
            T.reduce_max(x, largest, dim=1)
            for i, j in T.Parallel(block, padded):
                x[i, j] = T.exp(x[i, j] - largest[i])
            T.reduce_sum(x, total, dim=1)
            for i, j in T.Parallel(block, padded):
                x[i, j] = x[i, j] / total[i]
            T.copy(x, Y[bx * block, 0])

    return softmax


def main():
    kernel = softmax(ROWS, COLUMNS, BLOCK)
    print(kernel.plan)

    x = torch.randn(ROWS, COLUMNS)
    y = kernel(x)
    torch.testing.assert_close(y, torch.softmax(x, dim=1))
    print(f"\nThe {kernel.backend} back end computes what torch does, for {ROWS} rows of {COLUMNS}.")


if __name__ == "__main__":
    main()
