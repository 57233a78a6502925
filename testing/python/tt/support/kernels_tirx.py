"""The kernels of `kernels_tilelang` in TIRx, and the truth about each (`CASES`).

One text for every host: a grid cell does its block in serial loops, with plain loads and stores,
and accumulates in local memory, so that it does to DRAM exactly what its TileLang twin does.
"""

from functools import partial

from .cases import cases
from .host import HAS_DEVICE_SCOPES, T


def gemm(M=256, N=384, K=128, block_M=64, block_N=64, dtype="bfloat16"):
    """C = A @ B."""

    @T.prim_func
    def main(
        A: T.Buffer((M, K), dtype),
        B: T.Buffer((K, N), dtype),
        C: T.Buffer((M, N), dtype),
    ):
        bx = T.launch_thread("blockIdx.x", T.ceildiv(N, block_N))
        by = T.launch_thread("blockIdx.y", T.ceildiv(M, block_M))
        total = T.alloc_buffer((1,), "float32", scope="local")
        for i, j in T.grid(block_M, block_N):
            total[0] = T.float32(0)
            for k in range(K):
                a = T.cast(A[by * block_M + i, k], "float32")
                b = T.cast(B[k, bx * block_N + j], "float32")
                total[0] = total[0] + a * b
            C[by * block_M + i, bx * block_N + j] = T.cast(total[0], dtype)

    return main


def gemm_thread_binding(M=256, N=384, K=128, block_M=64, block_N=64, dtype="bfloat16"):
    """`gemm`, launched by thread-bound loops."""

    @T.prim_func
    def main(
        A: T.Buffer((M, K), dtype),
        B: T.Buffer((K, N), dtype),
        C: T.Buffer((M, N), dtype),
    ):
        for bx in T.thread_binding(T.ceildiv(N, block_N), thread="blockIdx.x"):
            for by in T.thread_binding(T.ceildiv(M, block_M), thread="blockIdx.y"):
                total = T.alloc_buffer((1,), "float32", scope="local")
                for i, j in T.grid(block_M, block_N):
                    total[0] = T.float32(0)
                    for k in range(K):
                        a = T.cast(A[by * block_M + i, k], "float32")
                        b = T.cast(B[k, bx * block_N + j], "float32")
                        total[0] = total[0] + a * b
                    C[by * block_M + i, bx * block_N + j] = T.cast(total[0], dtype)

    return main


def gemm_cta_id(M=256, N=384, K=128, block_M=64, block_N=64, dtype="bfloat16"):
    """`gemm`, launched by TIRx's device scopes."""

    @T.prim_func
    def main(
        A: T.Buffer((M, K), dtype),
        B: T.Buffer((K, N), dtype),
        C: T.Buffer((M, N), dtype),
    ):
        T.device_entry()
        bx, by = T.cta_id([T.ceildiv(N, block_N), T.ceildiv(M, block_M)])
        total = T.alloc_buffer((1,), "float32", scope="local")
        for i, j in T.grid(block_M, block_N):
            total[0] = T.float32(0)
            for k in range(K):
                a = T.cast(A[by * block_M + i, k], "float32")
                b = T.cast(B[k, bx * block_N + j], "float32")
                total[0] = total[0] + a * b
            C[by * block_M + i, bx * block_N + j] = T.cast(total[0], dtype)

    return main


def renamed_gemm(M=256, N=384, K=128, block_M=64, block_N=64, dtype="bfloat16"):
    """`gemm` word for word, under names that lie: the result is A, the operands are B and C, bx runs along y."""

    @T.prim_func
    def main(
        B: T.Buffer((M, K), dtype),
        C: T.Buffer((K, N), dtype),
        A: T.Buffer((M, N), dtype),
    ):
        by = T.launch_thread("blockIdx.x", T.ceildiv(N, block_N))
        bx = T.launch_thread("blockIdx.y", T.ceildiv(M, block_M))
        a = T.alloc_buffer((1,), "float32", scope="local")
        for k, i in T.grid(block_M, block_N):
            a[0] = T.float32(0)
            for j in range(K):
                b = T.cast(B[bx * block_M + k, j], "float32")
                total = T.cast(C[j, by * block_N + i], "float32")
                a[0] = a[0] + b * total
            A[bx * block_M + k, by * block_N + i] = T.cast(a[0], dtype)

    return main


def gemm_bias_relu(M=256, N=384, K=128, block_M=64, block_N=64, dtype="float16"):
    """C = max(A @ B + bias, 0), with a bias per column."""

    @T.prim_func
    def main(
        A: T.Buffer((M, K), dtype),
        B: T.Buffer((K, N), dtype),
        bias: T.Buffer((N,), dtype),
        C: T.Buffer((M, N), dtype),
    ):
        bx = T.launch_thread("blockIdx.x", T.ceildiv(N, block_N))
        by = T.launch_thread("blockIdx.y", T.ceildiv(M, block_M))
        total = T.alloc_buffer((1,), "float32", scope="local")
        for i, j in T.grid(block_M, block_N):
            total[0] = T.cast(bias[bx * block_N + j], "float32")
            for k in range(K):
                a = T.cast(A[by * block_M + i, k], "float32")
                b = T.cast(B[k, bx * block_N + j], "float32")
                total[0] = total[0] + a * b
            relu = T.max(total[0], T.float32(0))
            C[by * block_M + i, bx * block_N + j] = T.cast(relu, dtype)

    return main


def batched_gemm(batch=3, M=128, N=256, K=64, block_M=64, block_N=64, dtype="bfloat16"):
    """C[b] = A[b] @ B[b], one batch per blockIdx.z."""

    @T.prim_func
    def main(
        A: T.Buffer((batch, M, K), dtype),
        B: T.Buffer((batch, K, N), dtype),
        C: T.Buffer((batch, M, N), dtype),
    ):
        bx = T.launch_thread("blockIdx.x", T.ceildiv(N, block_N))
        by = T.launch_thread("blockIdx.y", T.ceildiv(M, block_M))
        bz = T.launch_thread("blockIdx.z", batch)
        total = T.alloc_buffer((1,), "float32", scope="local")
        for i, j in T.grid(block_M, block_N):
            total[0] = T.float32(0)
            for k in range(K):
                a = T.cast(A[bz, by * block_M + i, k], "float32")
                b = T.cast(B[bz, k, bx * block_N + j], "float32")
                total[0] = total[0] + a * b
            C[bz, by * block_M + i, bx * block_N + j] = T.cast(total[0], dtype)

    return main


def dequant_gemm(M=128, N=256, K=128, block_M=64, block_N=64):
    """C = A @ W.T, with W four-bit integers (zero point 8), two of them in a byte of B."""

    @T.prim_func
    def main(
        A: T.Buffer((M, K), "int8"),
        B: T.Buffer((N, K // 2), "uint8"),
        C: T.Buffer((M, N), "int32"),
    ):
        bx = T.launch_thread("blockIdx.x", T.ceildiv(N, block_N))
        by = T.launch_thread("blockIdx.y", T.ceildiv(M, block_M))
        total = T.alloc_buffer((1,), "int32", scope="local")
        for i, j in T.grid(block_M, block_N):
            total[0] = 0
            for k in range(K):
                a = T.cast(A[by * block_M + i, k], "int32")
                byte = T.cast(B[bx * block_N + j, k // 2], "int32")
                total[0] = total[0] + a * (((byte >> (k % 2 * 4)) & 15) - 8)
            C[by * block_M + i, bx * block_N + j] = total[0]

    return main


def flash_attention(batch=2, heads=4, seq=256, dim=64, block_M=64, dtype="bfloat16", causal=False):
    """Output = softmax(Q @ K.T / sqrt(dim)) @ V, with the softmax kept online."""
    scale = dim**-0.5
    shape = (batch, heads, seq, dim)

    @T.prim_func
    def main(
        Q: T.Buffer(shape, dtype),
        K: T.Buffer(shape, dtype),
        V: T.Buffer(shape, dtype),
        Output: T.Buffer(shape, dtype),
    ):
        bx = T.launch_thread("blockIdx.x", T.ceildiv(seq, block_M))
        by = T.launch_thread("blockIdx.y", heads)
        bz = T.launch_thread("blockIdx.z", batch)
        score = T.alloc_buffer((1,), "float32", scope="local")
        highest = T.alloc_buffer((1,), "float32", scope="local")
        total = T.alloc_buffer((1,), "float32", scope="local")
        result = T.alloc_buffer((dim,), "float32", scope="local")
        for i in range(block_M):
            highest[0] = T.min_value("float32")
            total[0] = T.float32(0)
            for d in range(dim):
                result[d] = T.float32(0)
            for j in range(bx * block_M + i + 1 if causal else seq):
                score[0] = T.float32(0)
                for d in range(dim):
                    q = T.cast(Q[bz, by, bx * block_M + i, d], "float32")
                    k = T.cast(K[bz, by, j, d], "float32")
                    score[0] = score[0] + q * k * T.float32(scale)
                peak = T.max(highest[0], score[0])
                correction = T.exp(highest[0] - peak)
                weight = T.exp(score[0] - peak)
                total[0] = total[0] * correction + weight
                for d in range(dim):
                    v = T.cast(V[bz, by, j, d], "float32")
                    result[d] = result[d] * correction + weight * v
                highest[0] = peak
            for d in range(dim):
                Output[bz, by, bx * block_M + i, d] = T.cast(result[d] / total[0], dtype)

    return main


def conv2d(batch=2, height=16, width=16, channels=32, filters=64, kernel=3, stride=1, pad=1, block_M=64, block_N=32):
    """A convolution in NHWC; a guard keeps the taps inside the image."""
    out_height = (height + 2 * pad - kernel) // stride + 1
    out_width = (width + 2 * pad - kernel) // stride + 1
    image = out_height * out_width

    @T.prim_func
    def main(
        Data: T.Buffer((batch, height, width, channels), "float16"),
        Weight: T.Buffer((kernel, kernel, channels, filters), "float16"),
        Output: T.Buffer((batch, out_height, out_width, filters), "float16"),
    ):
        bx = T.launch_thread("blockIdx.x", T.ceildiv(filters, block_N))
        by = T.launch_thread("blockIdx.y", T.ceildiv(batch * image, block_M))
        total = T.alloc_buffer((1,), "float32", scope="local")
        for i, f in T.grid(block_M, block_N):
            n = (by * block_M + i) // image
            oh = (by * block_M + i) % image // out_width
            ow = (by * block_M + i) % out_width
            total[0] = T.float32(0)
            for kh, kw, c in T.grid(kernel, kernel, channels):
                h = oh * stride + kh - pad
                w = ow * stride + kw - pad
                if h >= 0 and h < height and w >= 0 and w < width:
                    data = T.cast(Data[n, h, w, c], "float32")
                    weight = T.cast(Weight[kh, kw, c, bx * block_N + f], "float32")
                    total[0] = total[0] + data * weight
            Output[n, oh, ow, bx * block_N + f] = T.cast(total[0], "float16")

    return main


def row_softmax(M=128, N=512, block_M=4):
    """Y = softmax(X) over each row."""

    @T.prim_func
    def main(X: T.Buffer((M, N), "float32"), Y: T.Buffer((M, N), "float32")):
        bx = T.launch_thread("blockIdx.x", T.ceildiv(M, block_M))
        highest = T.alloc_buffer((1,), "float32", scope="local")
        total = T.alloc_buffer((1,), "float32", scope="local")
        for i in range(block_M):
            highest[0] = T.min_value("float32")
            for j in range(N):
                highest[0] = T.max(highest[0], X[bx * block_M + i, j])
            total[0] = T.float32(0)
            for j in range(N):
                total[0] = total[0] + T.exp(X[bx * block_M + i, j] - highest[0])
            for j in range(N):
                weight = T.exp(X[bx * block_M + i, j] - highest[0])
                Y[bx * block_M + i, j] = weight / total[0]

    return main


def elementwise_ragged(M=1000, N=1000, block_M=128, block_N=128, dtype="bfloat16"):
    """C = A + B; a guard stops the blocks of the last row and column at the edge."""

    @T.prim_func
    def main(
        A: T.Buffer((M, N), dtype),
        B: T.Buffer((M, N), dtype),
        C: T.Buffer((M, N), dtype),
    ):
        bx = T.launch_thread("blockIdx.x", T.ceildiv(N, block_N))
        by = T.launch_thread("blockIdx.y", T.ceildiv(M, block_M))
        for i, j in T.grid(block_M, block_N):
            row = by * block_M + i
            column = bx * block_N + j
            if row < M and column < N:
                C[row, column] = A[row, column] + B[row, column]

    return main


def result_first(M=96, N=160, block_M=32, block_N=32):
    """Result = X - Y; the output is the first parameter."""

    @T.prim_func
    def main(
        Result: T.Buffer((M, N), "float32"),
        X: T.Buffer((M, N), "float32"),
        Y: T.Buffer((M, N), "float32"),
    ):
        bx = T.launch_thread("blockIdx.x", T.ceildiv(N, block_N))
        by = T.launch_thread("blockIdx.y", T.ceildiv(M, block_M))
        for i, j in T.grid(block_M, block_N):
            row = by * block_M + i
            column = bx * block_N + j
            Result[row, column] = X[row, column] - Y[row, column]

    return main


def vector_add(N=1000, block=128):
    """C = A + B over vectors; a guard stops the last block at the edge."""

    @T.prim_func
    def main(A: T.Buffer((N,), "int32"), B: T.Buffer((N,), "int32"), C: T.Buffer((N,), "int32")):
        bx = T.launch_thread("blockIdx.x", T.ceildiv(N, block))
        for i in range(block):
            if bx * block + i < N:
                C[bx * block + i] = A[bx * block + i] + B[bx * block + i]

    return main


def in_place(M=128, N=192, block_M=32, block_N=64, dtype="bfloat16"):
    """X = X * 2: one parameter, read and written."""

    @T.prim_func
    def main(X: T.Buffer((M, N), dtype)):
        bx = T.launch_thread("blockIdx.x", T.ceildiv(N, block_N))
        by = T.launch_thread("blockIdx.y", T.ceildiv(M, block_M))
        for i, j in T.grid(block_M, block_N):
            row = by * block_M + i
            column = bx * block_N + j
            X[row, column] = X[row, column] + X[row, column]

    return main


def atomic_add(M=256, N=128, block_M=64, block_N=32):
    """Total += the column sums of X, by a load and a store: grid cells run one after another."""

    @T.prim_func
    def main(X: T.Buffer((M, N), "float32"), Total: T.Buffer((N,), "float32")):
        bx = T.launch_thread("blockIdx.x", T.ceildiv(N, block_N))
        by = T.launch_thread("blockIdx.y", T.ceildiv(M, block_M))
        total = T.alloc_buffer((1,), "float32", scope="local")
        for j in range(block_N):
            total[0] = T.float32(0)
            for i in range(block_M):
                total[0] = total[0] + X[by * block_M + i, bx * block_N + j]
            Total[bx * block_N + j] = Total[bx * block_N + j] + total[0]

    return main


def atomic_add_elements(M=256, N=128, block_M=64, block_N=32):
    """`atomic_add` one element at a time, by an extern call through an access pointer."""

    @T.prim_func
    def main(X: T.Buffer((M, N), "float32"), Total: T.Buffer((N,), "float32")):
        bx = T.launch_thread("blockIdx.x", T.ceildiv(N, block_N))
        by = T.launch_thread("blockIdx.y", T.ceildiv(M, block_M))
        for i, j in T.grid(block_M, block_N):
            T.evaluate(
                T.call_extern(
                    "float32",
                    "atomicAdd",
                    Total.access_ptr("rw", offset=bx * block_N + j, extent=1),
                    X[by * block_M + i, bx * block_N + j],
                )
            )

    return main


def unused_param(M=64, N=128, block_M=32, block_N=32, dtype="bfloat16"):
    """Y = X; nothing touches Mask."""

    @T.prim_func
    def main(
        X: T.Buffer((M, N), dtype),
        Mask: T.Buffer((M, N), "uint8"),
        Y: T.Buffer((M, N), dtype),
    ):
        bx = T.launch_thread("blockIdx.x", T.ceildiv(N, block_N))
        by = T.launch_thread("blockIdx.y", T.ceildiv(M, block_M))
        for i, j in T.grid(block_M, block_N):
            Y[by * block_M + i, bx * block_N + j] = X[by * block_M + i, bx * block_N + j]

    return main


def aliased_abs(M=64, N=96, block=512):
    """Y = abs(X), through other buffers over the same memory: the bits of X, and Y seen flat."""

    @T.prim_func
    def main(X: T.Buffer((M, N), "float32"), Y: T.Buffer((M, N), "float32")):
        bx = T.launch_thread("blockIdx.x", T.ceildiv(M * N, block))
        bits = T.decl_buffer((M * N,), "uint32", data=X.data)
        flat = T.decl_buffer((M * N,), "float32", data=Y.data)
        for i in range(block):
            magnitude = bits[bx * block + i] & T.uint32(0x7FFFFFFF)
            flat[bx * block + i] = T.reinterpret("float32", magnitude)

    return main


def scalar_params(M=128, N=256, block_M=32, block_N=64):
    """Y = X * scale in the first n columns and zero in the others."""

    @T.prim_func
    def main(
        X: T.Buffer((M, N), "float32"),
        n: T.int32,
        scale: T.float32,
        Y: T.Buffer((M, N), "float32"),
    ):
        bx = T.launch_thread("blockIdx.x", T.ceildiv(N, block_N))
        by = T.launch_thread("blockIdx.y", T.ceildiv(M, block_M))
        for i, j in T.grid(block_M, block_N):
            row = by * block_M + i
            column = bx * block_N + j
            Y[row, column] = T.if_then_else(column < n, X[row, column] * scale, T.float32(0))

    return main


CASES = cases(
    {
        "gemm": gemm,
        "gemm_thread_binding": gemm_thread_binding,
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
        # TileLang's own TVM has no device scopes.
        **({"gemm_cta_id": gemm_cta_id} if HAS_DEVICE_SCOPES else {}),
    }
)
