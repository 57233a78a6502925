"""The kernels in TileLang: operations on tiles, which cut off what is outside."""

# mypy: ignore-errors

import tilelang.language as T


def copy(N, block, dtype):
    @T.prim_func
    def copy(A: T.Tensor((N,), dtype), C: T.Tensor((N,), dtype)):
        with T.Kernel(T.ceildiv(N, block), threads=32) as bx:
            tile = T.alloc_shared((block,), dtype)
            T.copy(A[bx * block], tile)
            T.copy(tile, C[bx * block])

    return copy


def add(batch, M, N, block_M, block_N, dtype):
    @T.prim_func
    def add(
        A: T.Tensor((batch, M, N), dtype),
        B: T.Tensor((batch, M, N), dtype),
        C: T.Tensor((batch, M, N), dtype),
    ):
        with T.Kernel(T.ceildiv(N, block_N), T.ceildiv(M, block_M), batch, threads=32) as (bx, by, bz):
            one = T.alloc_shared((block_M, block_N), dtype)
            other = T.alloc_shared((block_M, block_N), dtype)
            T.copy(A[bz, by * block_M, bx * block_N], one)
            T.copy(B[bz, by * block_M, bx * block_N], other)
            for i, j in T.Parallel(block_M, block_N):
                one[i, j] = one[i, j] + other[i, j]
            T.copy(one, C[bz, by * block_M, bx * block_N])

    return add


def gemm(M, N, K, block_M, block_N, block_K, dtype):
    @T.prim_func
    def gemm(A: T.Tensor((M, K), dtype), B: T.Tensor((K, N), dtype), C: T.Tensor((M, N), dtype)):
        with T.Kernel(T.ceildiv(N, block_N), T.ceildiv(M, block_M), threads=128) as (bx, by):
            left = T.alloc_shared((block_M, block_K), dtype)
            right = T.alloc_shared((block_K, block_N), dtype)
            total = T.alloc_fragment((block_M, block_N), "float32")
            T.clear(total)
            for step in T.Pipelined(T.ceildiv(K, block_K), num_stages=2):
                T.copy(A[by * block_M, step * block_K], left)
                T.copy(B[step * block_K, bx * block_N], right)
                T.gemm(left, right, total)
            T.copy(total, C[by * block_M, bx * block_N])

    return gemm


def row_sum(M, N, block_M, dtype):
    @T.prim_func
    def row_sum(A: T.Tensor((M, N), dtype), C: T.Tensor((M,), dtype)):
        with T.Kernel(T.ceildiv(M, block_M), threads=32) as bx:
            tile = T.alloc_shared((block_M, N), dtype)
            wide = T.alloc_fragment((block_M, N), "float32")
            total = T.alloc_fragment((block_M,), "float32")
            T.copy(A[bx * block_M, 0], tile)
            T.copy(tile, wide)
            T.reduce_sum(wide, total, dim=1)
            T.copy(total, C[bx * block_M])

    return row_sum
