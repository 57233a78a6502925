"""A convolution of 3 x 3 on images of 56 x 56 with 64 channels, as a product of matrices whose rows are pixels."""

import tilelang.language as T


def conv2d(images=4, size=56, channels=64, filters=64, block_m=64, block_n=64, block_k=32):
    pixels, taps = images * size * size, 3 * 3 * channels

    @T.prim_func
    def conv2d(
        X: T.Tensor((images, size, size, channels), "bfloat16"),
        W: T.Tensor((3, 3, channels, filters), "bfloat16"),
        Y: T.Tensor((images, size, size, filters), "bfloat16"),
    ):
        with T.Kernel(T.ceildiv(filters, block_n), T.ceildiv(pixels, block_m), threads=128) as (bx, by):
            x = T.alloc_shared((block_m, block_k), "bfloat16")
            w = T.alloc_shared((block_k, block_n), "bfloat16")
            y = T.alloc_fragment((block_m, block_n), "float32")
            W_flat = T.reshape(W, (taps, filters))
            Y_flat = T.reshape(Y, (pixels, filters))
            T.clear(y)
            for k in T.Pipelined(T.ceildiv(taps, block_k), num_stages=2):
                T.im2col(X, x, by, k, 3, 1, 1, 1)  # kernel, stride, dilation, padding
                T.copy(W_flat[k * block_k, bx * block_n], w)
                T.gemm(x, w, y)
            T.copy(y, Y_flat[by * block_m, bx * block_n])

    return conv2d
