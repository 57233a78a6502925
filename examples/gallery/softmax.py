"""The softmax of each row of a matrix whose rows are no whole number of tiles."""

import tilelang.language as T


def softmax(rows=4096, columns=1500, block=16):
    @T.prim_func
    def softmax(X: T.Tensor((rows, columns), "bfloat16"), Y: T.Tensor((rows, columns), "bfloat16")):
        with T.Kernel(T.ceildiv(rows, block), threads=128) as bx:
            x = T.alloc_shared((block, columns), "bfloat16")
            y = T.alloc_fragment((block, columns), "float32")
            largest = T.alloc_fragment((block,), "float32")
            total = T.alloc_fragment((block,), "float32")
            T.copy(X[bx * block, 0], x)
            T.copy(x, y)
            T.reduce_max(y, largest, dim=1)
            for i, j in T.Parallel(block, columns):
                y[i, j] = T.exp(y[i, j] - largest[i])
            T.reduce_sum(y, total, dim=1)
            for i, j in T.Parallel(block, columns):
                y[i, j] = y[i, j] / total[i]
            T.copy(y, Y[bx * block, 0])

    return softmax
