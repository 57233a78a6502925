"""Kernels as TileLang users write them, and the truth about each (`CASES`).

`kernels_tirx` has the same kernels under the same names, with the same signatures and grids.
"""

from functools import partial

import tilelang.language as T

from .cases import cases


def gemm(M=256, N=384, K=128, block_M=64, block_N=64, block_K=32, dtype="bfloat16"):
    """C = A @ B, accumulated in a fragment."""

    @T.prim_func
    def main(
        A: T.Tensor((M, K), dtype),
        B: T.Tensor((K, N), dtype),
        C: T.Tensor((M, N), dtype),
    ):
        with T.Kernel(T.ceildiv(N, block_N), T.ceildiv(M, block_M), threads=128) as (bx, by):
            A_shared = T.alloc_shared((block_M, block_K), dtype)
            B_shared = T.alloc_shared((block_K, block_N), dtype)
            C_local = T.alloc_fragment((block_M, block_N), "float32")
            T.clear(C_local)
            for k in T.Pipelined(T.ceildiv(K, block_K), num_stages=2):
                T.copy(A[by * block_M, k * block_K], A_shared)
                T.copy(B[k * block_K, bx * block_N], B_shared)
                T.gemm(A_shared, B_shared, C_local)
            T.copy(C_local, C[by * block_M, bx * block_N])

    return main


def renamed_gemm(M=256, N=384, K=128, block_M=64, block_N=64, block_K=32, dtype="bfloat16"):
    """`gemm` word for word, under names that lie: the result is A, the operands are B and C."""

    @T.prim_func
    def main(
        B: T.Tensor((M, K), dtype),
        C: T.Tensor((K, N), dtype),
        A: T.Tensor((M, N), dtype),
    ):
        with T.Kernel(T.ceildiv(N, block_N), T.ceildiv(M, block_M), threads=128) as (bx, by):
            C_local = T.alloc_shared((block_M, block_K), dtype)
            A_shared = T.alloc_shared((block_K, block_N), dtype)
            B_shared = T.alloc_fragment((block_M, block_N), "float32")
            T.clear(B_shared)
            for i in T.Pipelined(T.ceildiv(K, block_K), num_stages=2):
                T.copy(B[by * block_M, i * block_K], C_local)
                T.copy(C[i * block_K, bx * block_N], A_shared)
                T.gemm(C_local, A_shared, B_shared)
            T.copy(B_shared, A[by * block_M, bx * block_N])

    return main


def gemm_bias_relu(M=256, N=384, K=128, block_M=64, block_N=64, block_K=32, dtype="float16"):
    """C = max(A @ B + bias, 0), with a bias per column."""

    @T.prim_func
    def main(
        A: T.Tensor((M, K), dtype),
        B: T.Tensor((K, N), dtype),
        bias: T.Tensor((N,), dtype),
        C: T.Tensor((M, N), dtype),
    ):
        with T.Kernel(T.ceildiv(N, block_N), T.ceildiv(M, block_M), threads=128) as (bx, by):
            A_shared = T.alloc_shared((block_M, block_K), dtype)
            B_shared = T.alloc_shared((block_K, block_N), dtype)
            bias_shared = T.alloc_shared((block_N,), dtype)
            C_local = T.alloc_fragment((block_M, block_N), "float32")
            T.copy(bias[bx * block_N], bias_shared)
            T.clear(C_local)
            for k in T.Pipelined(T.ceildiv(K, block_K), num_stages=2):
                T.copy(A[by * block_M, k * block_K], A_shared)
                T.copy(B[k * block_K, bx * block_N], B_shared)
                T.gemm(A_shared, B_shared, C_local)
            for i, j in T.Parallel(block_M, block_N):
                C_local[i, j] = T.max(C_local[i, j] + bias_shared[j], 0.0)
            T.copy(C_local, C[by * block_M, bx * block_N])

    return main


def batched_gemm(batch=3, M=128, N=256, K=64, block_M=64, block_N=64, block_K=32, dtype="bfloat16"):
    """C[b] = A[b] @ B[b], one batch per blockIdx.z."""

    @T.prim_func
    def main(
        A: T.Tensor((batch, M, K), dtype),
        B: T.Tensor((batch, K, N), dtype),
        C: T.Tensor((batch, M, N), dtype),
    ):
        with T.Kernel(T.ceildiv(N, block_N), T.ceildiv(M, block_M), batch, threads=128) as (bx, by, bz):
            A_shared = T.alloc_shared((block_M, block_K), dtype)
            B_shared = T.alloc_shared((block_K, block_N), dtype)
            C_local = T.alloc_fragment((block_M, block_N), "float32")
            T.clear(C_local)
            for k in T.Pipelined(T.ceildiv(K, block_K), num_stages=2):
                T.copy(A[bz, by * block_M, k * block_K], A_shared)
                T.copy(B[bz, k * block_K, bx * block_N], B_shared)
                T.gemm(A_shared, B_shared, C_local)
            T.copy(C_local, C[bz, by * block_M, bx * block_N])

    return main


def dequant_gemm(M=128, N=256, K=128, block_M=64, block_N=64, block_K=64):
    """C = A @ W.T, with W four-bit integers (zero point 8), two of them in a byte of B."""

    @T.prim_func
    def main(
        A: T.Tensor((M, K), "int8"),
        B: T.Tensor((N, K // 2), "uint8"),
        C: T.Tensor((M, N), "int32"),
    ):
        with T.Kernel(T.ceildiv(N, block_N), T.ceildiv(M, block_M), threads=128) as (bx, by):
            A_shared = T.alloc_shared((block_M, block_K), "int8")
            B_shared = T.alloc_shared((block_N, block_K // 2), "uint8")
            W_local = T.alloc_fragment((block_N, block_K), "int8")
            W_shared = T.alloc_shared((block_N, block_K), "int8")
            C_local = T.alloc_fragment((block_M, block_N), "int32")
            T.clear(C_local)
            for k in T.Pipelined(T.ceildiv(K, block_K), num_stages=2):
                T.copy(A[by * block_M, k * block_K], A_shared)
                T.copy(B[bx * block_N, k * block_K // 2], B_shared)
                for i, j in T.Parallel(block_N, block_K):
                    nibble = (T.cast(B_shared[i, j // 2], "int32") >> (j % 2 * 4)) & 15
                    W_local[i, j] = T.cast(nibble - 8, "int8")
                T.copy(W_local, W_shared)
                T.gemm(A_shared, W_shared, C_local, transpose_B=True)
            T.copy(C_local, C[by * block_M, bx * block_N])

    return main


def flash_attention(batch=2, heads=4, seq=256, dim=64, block_M=64, block_N=64, dtype="bfloat16", causal=False):
    """Output = softmax(Q @ K.T / sqrt(dim)) @ V, with the softmax kept online."""
    scale = dim**-0.5
    shape = (batch, heads, seq, dim)

    @T.prim_func
    def main(
        Q: T.Tensor(shape, dtype),
        K: T.Tensor(shape, dtype),
        V: T.Tensor(shape, dtype),
        Output: T.Tensor(shape, dtype),
    ):
        with T.Kernel(T.ceildiv(seq, block_M), heads, batch, threads=128) as (bx, by, bz):
            Q_shared = T.alloc_shared((block_M, dim), dtype)
            K_shared = T.alloc_shared((block_N, dim), dtype)
            V_shared = T.alloc_shared((block_N, dim), dtype)
            scores = T.alloc_fragment((block_M, block_N), "float32")
            weights = T.alloc_fragment((block_M, block_N), dtype)
            result = T.alloc_fragment((block_M, dim), "float32")
            highest = T.alloc_fragment((block_M,), "float32")
            previous = T.alloc_fragment((block_M,), "float32")
            correction = T.alloc_fragment((block_M,), "float32")
            block_sum = T.alloc_fragment((block_M,), "float32")
            total = T.alloc_fragment((block_M,), "float32")

            T.copy(Q[bz, by, bx * block_M, 0], Q_shared)
            T.clear(result)
            T.clear(total)
            T.fill(highest, -T.infinity("float32"))
            trips = T.ceildiv((bx + 1) * block_M, block_N) if causal else T.ceildiv(seq, block_N)
            for k in T.Pipelined(trips, num_stages=1):
                T.copy(K[bz, by, k * block_N, 0], K_shared)
                T.copy(V[bz, by, k * block_N, 0], V_shared)
                T.clear(scores)
                T.gemm(Q_shared, K_shared, scores, transpose_B=True, policy=T.GemmWarpPolicy.FullRow)
                if causal:
                    for i, j in T.Parallel(block_M, block_N):
                        scores[i, j] = T.if_then_else(
                            bx * block_M + i >= k * block_N + j,
                            scores[i, j],
                            -T.infinity("float32"),
                        )
                T.copy(highest, previous)
                T.reduce_max(scores, highest, dim=1, clear=False)
                for i in T.Parallel(block_M):
                    correction[i] = T.exp((previous[i] - highest[i]) * scale)
                for i, j in T.Parallel(block_M, block_N):
                    scores[i, j] = T.exp((scores[i, j] - highest[i]) * scale)
                T.reduce_sum(scores, block_sum, dim=1)
                for i in T.Parallel(block_M):
                    total[i] = total[i] * correction[i] + block_sum[i]
                for i, j in T.Parallel(block_M, dim):
                    result[i, j] = result[i, j] * correction[i]
                T.copy(scores, weights)
                T.gemm(weights, V_shared, result, policy=T.GemmWarpPolicy.FullRow)
            for i, j in T.Parallel(block_M, dim):
                result[i, j] = result[i, j] / total[i]
            T.copy(result, Output[bz, by, bx * block_M, 0])

    return main


def conv2d(
    batch=2, height=16, width=16, channels=32, filters=64, kernel=3, stride=1, pad=1, block_M=64, block_N=32, block_K=32
):
    """A convolution in NHWC as a matrix product over T.im2col; Weight and Output are seen flat."""
    out_height = (height + 2 * pad - kernel) // stride + 1
    out_width = (width + 2 * pad - kernel) // stride + 1
    pixels = batch * out_height * out_width
    taps = kernel * kernel * channels

    @T.prim_func
    def main(
        Data: T.Tensor((batch, height, width, channels), "float16"),
        Weight: T.Tensor((kernel, kernel, channels, filters), "float16"),
        Output: T.Tensor((batch, out_height, out_width, filters), "float16"),
    ):
        with T.Kernel(T.ceildiv(filters, block_N), T.ceildiv(pixels, block_M), threads=128) as (bx, by):
            data_shared = T.alloc_shared((block_M, block_K), "float16")
            weight_shared = T.alloc_shared((block_K, block_N), "float16")
            out_local = T.alloc_fragment((block_M, block_N), "float32")
            weight_flat = T.reshape(Weight, (taps, filters))
            out_flat = T.reshape(Output, (pixels, filters))
            T.clear(out_local)
            for k in T.Pipelined(T.ceildiv(taps, block_K), num_stages=2):
                T.im2col(Data, data_shared, by, k, kernel, stride, 1, pad)
                T.copy(weight_flat[k * block_K, bx * block_N], weight_shared)
                T.gemm(data_shared, weight_shared, out_local)
            T.copy(out_local, out_flat[by * block_M, bx * block_N])

    return main


def row_softmax(M=128, N=512, block_M=4):
    """Y = softmax(X) over each row."""

    @T.prim_func
    def main(X: T.Tensor((M, N), "float32"), Y: T.Tensor((M, N), "float32")):
        with T.Kernel(T.ceildiv(M, block_M), threads=128) as bx:
            rows = T.alloc_fragment((block_M, N), "float32")
            highest = T.alloc_fragment((block_M,), "float32")
            total = T.alloc_fragment((block_M,), "float32")
            T.copy(X[bx * block_M, 0], rows)
            T.reduce_max(rows, highest, dim=1)
            for i, j in T.Parallel(block_M, N):
                rows[i, j] = T.exp(rows[i, j] - highest[i])
            T.reduce_sum(rows, total, dim=1)
            for i, j in T.Parallel(block_M, N):
                rows[i, j] = rows[i, j] / total[i]
            T.copy(rows, Y[bx * block_M, 0])

    return main


def elementwise_ragged(M=1000, N=1000, block_M=128, block_N=128, dtype="bfloat16"):
    """C = A + B; the blocks of the last row and column reach past the edge."""

    @T.prim_func
    def main(
        A: T.Tensor((M, N), dtype),
        B: T.Tensor((M, N), dtype),
        C: T.Tensor((M, N), dtype),
    ):
        with T.Kernel(T.ceildiv(N, block_N), T.ceildiv(M, block_M), threads=128) as (bx, by):
            A_shared = T.alloc_shared((block_M, block_N), dtype)
            B_shared = T.alloc_shared((block_M, block_N), dtype)
            C_local = T.alloc_fragment((block_M, block_N), dtype)
            T.copy(A[by * block_M, bx * block_N], A_shared)
            T.copy(B[by * block_M, bx * block_N], B_shared)
            for i, j in T.Parallel(block_M, block_N):
                C_local[i, j] = A_shared[i, j] + B_shared[i, j]
            T.copy(C_local, C[by * block_M, bx * block_N])

    return main


def result_first(M=96, N=160, block_M=32, block_N=32):
    """Result = X - Y, by direct loads and stores; the output is the first parameter."""

    @T.prim_func
    def main(
        Result: T.Tensor((M, N), "float32"),
        X: T.Tensor((M, N), "float32"),
        Y: T.Tensor((M, N), "float32"),
    ):
        with T.Kernel(T.ceildiv(N, block_N), T.ceildiv(M, block_M), threads=128) as (bx, by):
            for i, j in T.Parallel(block_M, block_N):
                row = by * block_M + i
                column = bx * block_N + j
                Result[row, column] = X[row, column] - Y[row, column]

    return main


def vector_add(N=1000, block=128):
    """C = A + B over vectors; a guard stops the last block at the edge."""

    @T.prim_func
    def main(A: T.Tensor((N,), "int32"), B: T.Tensor((N,), "int32"), C: T.Tensor((N,), "int32")):
        with T.Kernel(T.ceildiv(N, block), threads=block) as bx:
            for i in T.Parallel(block):
                if bx * block + i < N:
                    C[bx * block + i] = A[bx * block + i] + B[bx * block + i]

    return main


def in_place(M=128, N=192, block_M=32, block_N=64, dtype="bfloat16"):
    """X = X * 2: one parameter, read and written."""

    @T.prim_func
    def main(X: T.Tensor((M, N), dtype)):
        with T.Kernel(T.ceildiv(N, block_N), T.ceildiv(M, block_M), threads=128) as (bx, by):
            X_local = T.alloc_fragment((block_M, block_N), dtype)
            T.copy(X[by * block_M, bx * block_N], X_local)
            for i, j in T.Parallel(block_M, block_N):
                X_local[i, j] = X_local[i, j] + X_local[i, j]
            T.copy(X_local, X[by * block_M, bx * block_N])

    return main


def atomic_add(M=256, N=128, block_M=64, block_N=32):
    """Total += the column sums of X; the blocks of one column share its totals."""

    @T.prim_func
    def main(X: T.Tensor((M, N), "float32"), Total: T.Tensor((N,), "float32")):
        with T.Kernel(T.ceildiv(N, block_N), T.ceildiv(M, block_M), threads=128) as (bx, by):
            X_local = T.alloc_fragment((block_M, block_N), "float32")
            sums = T.alloc_fragment((block_N,), "float32")
            T.copy(X[by * block_M, bx * block_N], X_local)
            T.reduce_sum(X_local, sums, dim=0)
            T.atomic_add(Total[bx * block_N], sums)

    return main


def atomic_add_elements(M=256, N=128, block_M=64, block_N=32):
    """`atomic_add` one element at a time, which TileLang spells with another operation."""

    @T.prim_func
    def main(X: T.Tensor((M, N), "float32"), Total: T.Tensor((N,), "float32")):
        with T.Kernel(T.ceildiv(N, block_N), T.ceildiv(M, block_M), threads=128) as (bx, by):
            for i, j in T.Parallel(block_M, block_N):
                T.atomic_add(Total[bx * block_N + j], X[by * block_M + i, bx * block_N + j])

    return main


def unused_param(M=64, N=128, block_M=32, block_N=32, dtype="bfloat16"):
    """Y = X; nothing touches Mask."""

    @T.prim_func
    def main(
        X: T.Tensor((M, N), dtype),
        Mask: T.Tensor((M, N), "uint8"),
        Y: T.Tensor((M, N), dtype),
    ):
        with T.Kernel(T.ceildiv(N, block_N), T.ceildiv(M, block_M), threads=128) as (bx, by):
            tile = T.alloc_shared((block_M, block_N), dtype)
            T.copy(X[by * block_M, bx * block_N], tile)
            T.copy(tile, Y[by * block_M, bx * block_N])

    return main


def aliased_abs(M=64, N=96, block=512):
    """Y = abs(X), through other buffers over the same memory: the bits of X, and Y seen flat."""

    @T.prim_func
    def main(X: T.Tensor((M, N), "float32"), Y: T.Tensor((M, N), "float32")):
        with T.Kernel(T.ceildiv(M * N, block), threads=128) as bx:
            bits = T.view(X, (M * N,), "uint32")
            flat = T.reshape(Y, (M * N,))
            for i in T.Parallel(block):
                magnitude = bits[bx * block + i] & T.uint32(0x7FFFFFFF)
                flat[bx * block + i] = T.reinterpret(magnitude, "float32")

    return main


def scalar_params(M=128, N=256, block_M=32, block_N=64):
    """Y = X * scale in the first n columns and zero in the others."""

    @T.prim_func
    def main(
        X: T.Tensor((M, N), "float32"),
        n: T.int32,
        scale: T.float32,
        Y: T.Tensor((M, N), "float32"),
    ):
        with T.Kernel(T.ceildiv(N, block_N), T.ceildiv(M, block_M), threads=128) as (bx, by):
            tile = T.alloc_fragment((block_M, block_N), "float32")
            T.copy(X[by * block_M, bx * block_N], tile)
            for i, j in T.Parallel(block_M, block_N):
                tile[i, j] = T.if_then_else(bx * block_N + j < n, tile[i, j] * scale, 0.0)
            T.copy(tile, Y[by * block_M, bx * block_N])

    return main


CASES = cases(
    {
        "gemm": gemm,
        "renamed_gemm": renamed_gemm,
        "gemm_bias_relu": gemm_bias_relu,
        "batched_gemm": batched_gemm,
        "dequant_gemm": dequant_gemm,
        "flash_attention": flash_attention,
        "flash_attention_causal": partial(flash_attention, causal=True),
        "conv2d": conv2d,
        "row_softmax": row_softmax,
        "elementwise_ragged": elementwise_ragged,
        "result_first": result_first,
        "vector_add": vector_add,
        "in_place": in_place,
        "atomic_add": atomic_add,
        "atomic_add_elements": atomic_add_elements,
        "unused_param": unused_param,
        "aliased_abs": aliased_abs,
        "scalar_params": scalar_params,
    }
)
