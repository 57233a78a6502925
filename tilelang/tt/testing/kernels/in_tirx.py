"""The kernels in TIRx: loops over elements, with a guard at the edges."""

# mypy: ignore-errors

from tvm.script import tirx as T


def copy(N, block, dtype):
    @T.prim_func
    def copy(A: T.Buffer((N,), dtype), C: T.Buffer((N,), dtype)):
        bx = T.launch_thread("blockIdx.x", T.ceildiv(N, block))
        for i in range(block):
            if bx * block + i < N:
                C[bx * block + i] = A[bx * block + i]

    return copy


def add(batch, M, N, block_M, block_N, dtype):
    @T.prim_func
    def add(
        A: T.Buffer((batch, M, N), dtype),
        B: T.Buffer((batch, M, N), dtype),
        C: T.Buffer((batch, M, N), dtype),
    ):
        bx = T.launch_thread("blockIdx.x", T.ceildiv(N, block_N))
        by = T.launch_thread("blockIdx.y", T.ceildiv(M, block_M))
        bz = T.launch_thread("blockIdx.z", batch)
        for i, j in T.grid(block_M, block_N):
            if by * block_M + i < M and bx * block_N + j < N:
                C[bz, by * block_M + i, bx * block_N + j] = (
                    A[bz, by * block_M + i, bx * block_N + j] + B[bz, by * block_M + i, bx * block_N + j]
                )

    return add


def gemm(M, N, K, block_M, block_N, block_K, dtype):
    @T.prim_func
    def gemm(A: T.Buffer((M, K), dtype), B: T.Buffer((K, N), dtype), C: T.Buffer((M, N), dtype)):
        bx = T.launch_thread("blockIdx.x", T.ceildiv(N, block_N))
        by = T.launch_thread("blockIdx.y", T.ceildiv(M, block_M))
        total = T.alloc_buffer((block_M, block_N), "float32", scope="local")
        for i, j in T.grid(block_M, block_N):
            total[i, j] = T.float32(0)
        for step in range(T.ceildiv(K, block_K)):
            for i, j, k in T.grid(block_M, block_N, block_K):
                if by * block_M + i < M and bx * block_N + j < N and step * block_K + k < K:
                    total[i, j] = total[i, j] + T.cast(A[by * block_M + i, step * block_K + k], "float32") * T.cast(
                        B[step * block_K + k, bx * block_N + j], "float32"
                    )
        for i, j in T.grid(block_M, block_N):
            if by * block_M + i < M and bx * block_N + j < N:
                C[by * block_M + i, bx * block_N + j] = T.cast(total[i, j], dtype)

    return gemm


def row_sum(M, N, block_M, dtype):
    @T.prim_func
    def row_sum(A: T.Buffer((M, N), dtype), C: T.Buffer((M,), dtype)):
        bx = T.launch_thread("blockIdx.x", T.ceildiv(M, block_M))
        total = T.alloc_buffer((1,), "float32", scope="local")
        for i in range(block_M):
            if bx * block_M + i < M:
                total[0] = T.float32(0)
                for j in range(N):
                    total[0] = total[0] + T.cast(A[bx * block_M + i, j], "float32")
                C[bx * block_M + i] = T.cast(total[0], dtype)

    return row_sum
