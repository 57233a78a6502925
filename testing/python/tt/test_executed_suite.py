"""The kernels of the suite and of the gallery, executed, against what they compute as numpy says it.

On one core and on many, whatever the policy and the order: the result is the same to the last bit.
"""

from dataclasses import dataclass, field
from functools import partial

import ml_dtypes
import numpy as np
import pytest
from support import host
from support.kernels import KERNELS, POLICIES

from tilelang.tt import errors, execute

BF16 = np.dtype(ml_dtypes.bfloat16)
F16, F32, I8, I32, U8 = (np.dtype(name) for name in ("float16", "float32", "int8", "int32", "uint8"))
# How far a result may be off, relative to itself and to the largest one: some units of its last place.
TOLERANCE = {BF16: 1.6e-2, F16: 2e-3, F32: 2e-5}

pytestmark = [
    pytest.mark.stage("execute"),
    *(
        pytest.mark.filterwarnings(f"ignore::tilelang.tt.errors.{name}Warning")
        for name in ("Format", "Capacity", "Padding")
    ),
]


@dataclass
class Reference:
    """Inputs for a kernel, and what it computes of them.

    Attributes:
        inputs: A shape and a dtype for each tensor that it reads, or a value.
        compute: Its result from the inputs, floats in float64.
        dtype: Of the result.
        sizes: What the kernel is built with; small, so that it is executed in no time.
        exact: Whether every run gives the same bits. Sums of floats over cores depend on who is first.
    """

    inputs: dict
    compute: object
    dtype: np.dtype
    sizes: dict = field(default_factory=dict)
    exact: bool = True

    def draw(self):
        """The inputs, and the expected result."""
        random = np.random.default_rng(3)
        drawn = [value if np.isscalar(value) else draw(random, *value) for value in self.inputs.values()]
        exact = [
            value if np.isscalar(value) or value.dtype.kind in "iu" else value.astype(np.float64) for value in drawn
        ]
        return drawn, self.compute(*exact)

    def check(self, result, expected):
        assert result.dtype == self.dtype
        tolerance = TOLERANCE.get(self.dtype, 0)
        np.testing.assert_allclose(
            result.astype(expected.dtype), expected, rtol=tolerance, atol=tolerance * abs(expected).max()
        )


def draw(random, shape, dtype):
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return random.integers(max(limits.min, -1000), min(limits.max, 1000), shape, endpoint=True).astype(dtype)
    return random.standard_normal(shape, np.float32).astype(dtype)


def softmax(x):
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def attention(q, k, v, causal=False):
    scores = q @ k.swapaxes(-1, -2) * q.shape[-1] ** -0.5
    return softmax(np.where(np.tri(q.shape[-2], dtype=bool), scores, -np.inf) if causal else scores) @ v


def convolution(data, kernel):
    """Of stride 1, padded by one, channels last."""
    height, width = data.shape[1:3]
    padded = np.pad(data, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return sum(padded[:, i : i + height, j : j + width] @ kernel[i, j] for i in range(3) for j in range(3))


def four_bits(packed):
    """The integers of bytes, the low half of each first, which stand for themselves less eight."""
    halves = np.stack([packed & 15, packed >> 4], -1).reshape(len(packed), -1)
    return halves.astype(np.int32) - 8


def matrices(m, n, k, dtype):
    return {"A": ((m, k), dtype), "B": ((k, n), dtype)}


SMALL = {"M": 64, "N": 96, "K": 64, "block_M": 32, "block_N": 32}
GEMM = Reference(matrices(64, 96, 64, BF16), np.matmul, BF16, SMALL)
RAGGED = {"M": 50, "N": 35, "block_M": 16, "block_N": 16}
ATTENTION = {"batch": 1, "heads": 2, "seq": 16, "dim": 8, "block_M": 8, "block_N": 8}
SUMS = Reference(
    {"X": ((64, 64), F32), "Total": ((64,), F32)},
    lambda x, total: total + x.sum(0),
    F32,
    {"M": 64, "N": 64, "block_M": 32},
    exact=False,
)

REFERENCES = {
    "gemm": GEMM,
    "gemm_thread_binding": GEMM,
    "gemm_cta_id": GEMM,
    "renamed_gemm": GEMM,
    "gemm_bias_relu": Reference(
        {**matrices(64, 96, 64, F16), "bias": ((96,), F16)},
        lambda a, b, bias: np.maximum(a @ b + bias, 0),
        F16,
        SMALL,
    ),
    "batched_gemm": Reference(
        {"A": ((3, 64, 64), BF16), "B": ((3, 64, 96), BF16)}, np.matmul, BF16, {**SMALL, "batch": 3}
    ),
    "dequant_gemm": Reference(
        {"A": ((64, 64), I8), "B": ((96, 32), U8)},
        lambda a, b: a.astype(np.int32) @ four_bits(b).T,
        I32,
        SMALL,
    ),
    "flash_attention": Reference(dict.fromkeys("QKV", ((1, 2, 16, 8), BF16)), attention, BF16, ATTENTION),
    "flash_attention_causal": Reference(
        dict.fromkeys("QKV", ((1, 2, 16, 8), BF16)), partial(attention, causal=True), BF16, ATTENTION
    ),
    "conv2d": Reference(
        {"Data": ((2, 3, 4, 2), F16), "Weight": ((3, 3, 2, 4), F16)},
        convolution,
        F16,
        {"height": 3, "width": 4, "channels": 2, "filters": 4, "block_M": 8, "block_N": 2, "block_K": 6},
    ),
    "row_softmax": Reference({"X": ((16, 100), F32)}, softmax, F32, {"M": 16, "N": 100}),
    "elementwise_ragged": Reference({"A": ((50, 35), BF16), "B": ((50, 35), BF16)}, np.add, BF16, RAGGED),
    "result_first": Reference({"X": ((32, 64), F32), "Y": ((32, 64), F32)}, np.subtract, F32, {"M": 32, "N": 64}),
    "vector_add": Reference({"A": ((1000,), I32), "B": ((1000,), I32)}, np.add, I32),
    "in_place": Reference({"X": ((32, 64), BF16)}, lambda x: 2 * x, BF16, {"M": 32, "N": 64, "block_N": 32}),
    "atomic_add": SUMS,
    "atomic_add_elements": SUMS,
    "unused_param": Reference({"X": ((64, 128), BF16), "Mask": ((64, 128), U8)}, lambda x, mask: x, BF16),
    "aliased_abs": Reference({"X": ((64, 96), F32)}, np.abs, F32),
    "scalar_params": Reference(
        {"X": ((32, 64), F32), "n": 50, "scale": 2.5},
        lambda x, n, scale: np.where(np.arange(64) < n, x * scale, 0),
        F32,
        {"M": 32, "N": 64, "block_M": 16, "block_N": 32},
    ),
}
# More cores than work tiles and fewer, one core, all of a large chip, and every policy and order.
PLACES = [
    {"cores": [[0, 0, 0, 0]]},
    {"cores": [[2, 1, 4, 1]], "order": "random"},
    {"device": "blackhole_p150", "threads": 2},
    *POLICIES[1:],
]


def kernel(case, reference):
    """The kernel of a case in sizes that its language has."""
    build = case.build
    while isinstance(build, partial):
        build = build.func
    known = build.__code__.co_varnames[: build.__code__.co_argcount]
    return case.build(**{name: size for name, size in reference.sizes.items() if name in known})


def check(func, reference):
    """A kernel executed everywhere."""
    inputs, expected = reference.draw()
    result = execute(func, *inputs)
    reference.check(result, expected)
    for place in PLACES:
        again = execute(func, *inputs, **place)
        reference.check(again, expected)
        assert not reference.exact or again.tobytes() == result.tobytes(), place


# Of the twins in TIRx, one adds to what other cores write, and one calls a function of a GPU.
REFUSED = {
    ("tirx", "atomic_add"): (errors.ExecutionError, "TT916"),
    ("tirx", "atomic_add_elements"): (
        errors.NotCoveredError,
        "TT920: kernel `main`: found the operation .*call_extern",
    ),
}
CASES = [
    pytest.param(case, REFERENCES[case.name], id=f"{language}-{case.name}")
    for language, cases in KERNELS.items()
    for case in cases
    if (language, case.name) not in REFUSED
]


@pytest.mark.parametrize(("case", "reference"), CASES)
def test_suite(case, reference):
    check(kernel(case, reference), reference)


@pytest.mark.parametrize(("language", "name"), REFUSED)
def test_refused(language, name):
    (case,) = (case for case in KERNELS[language] if case.name == name)
    inputs, _ = REFERENCES[name].draw()
    error, message = REFUSED[language, name]
    with pytest.raises(error, match=message):
        execute(kernel(case, REFERENCES[name]), *inputs)


if host.ON_TILELANG:
    import tilelang.language as T
    from test_gallery import FOLDER, NAMES, load

    GALLERY = {
        "gemm": Reference(
            {"X": ((70, 64), BF16), "W": ((64, 96), BF16)},
            np.matmul,
            BF16,
            {"tokens": 70, "inputs": 64, "outputs": 96, "block_m": 32, "block_n": 32, "block_k": 32},
        ),
        "split_k_gemm": Reference(
            {"X": ((32, 64), BF16), "W": ((64, 96), BF16), "Y": ((32, 96), F32)},
            lambda x, w, y: y + x @ w,
            F32,
            {"inputs": 64, "outputs": 96, "splits": 2, "block_n": 32, "block_k": 32},
            exact=False,
        ),
        "softmax": Reference({"X": ((40, 100), BF16)}, softmax, BF16, {"rows": 40, "columns": 100}),
        "conv2d": Reference(
            {"X": ((2, 9, 9, 8), BF16), "W": ((3, 3, 8, 16), BF16)},
            convolution,
            BF16,
            {"images": 2, "size": 9, "channels": 8, "filters": 16, "block_m": 32, "block_n": 16, "block_k": 24},
        ),
        "dequant_gemm": Reference(
            {"X": ((64, 128), BF16), "W": ((64, 64), U8), "scales": ((64, 4), BF16)},
            lambda x, w, scales: x @ (four_bits(w) * np.repeat(scales, 32, 1)).T,
            BF16,
            {"tokens": 64, "inputs": 128, "outputs": 64, "group": 32, "block_m": 32, "block_n": 32},
        ),
        "flash_attention": Reference(
            dict.fromkeys("QKV", ((2, 64, 16), BF16)),
            partial(attention, causal=True),
            BF16,
            {"heads": 2, "tokens": 64, "features": 16, "block_q": 32, "block_k": 32},
        ),
    }

    @pytest.mark.parametrize("name", NAMES)
    def test_gallery(name):
        reference = GALLERY[name]
        check(getattr(load(FOLDER / f"{name}.py"), name)(**reference.sizes), reference)

    def product(M, dtype, out_dtype, total_dtype="float32", N=48, K=80, transpose_A=False, transpose_B=False):
        """C = A @ B in ragged sizes, with either operand transposed, in blocks of 32."""
        A_shape, B_shape = ((K, M) if transpose_A else (M, K)), ((N, K) if transpose_B else (K, N))
        A_block, B_block = ((16, 32) if transpose_A else (32, 16)), ((32, 16) if transpose_B else (16, 32))

        @T.prim_func
        def main(A: T.Tensor(A_shape, dtype), B: T.Tensor(B_shape, dtype), C: T.Tensor((M, N), out_dtype)):
            with T.Kernel(T.ceildiv(N, 32), T.ceildiv(M, 32), threads=128) as (bx, by):
                a = T.alloc_shared(A_block, dtype)
                b = T.alloc_shared(B_block, dtype)
                c = T.alloc_fragment((32, 32), total_dtype)
                for k in T.Pipelined(T.ceildiv(K, 16), num_stages=2):
                    if transpose_A:
                        T.copy(A[k * 16, by * 32], a)
                    else:
                        T.copy(A[by * 32, k * 16], a)
                    if transpose_B:
                        T.copy(B[bx * 32, k * 16], b)
                    else:
                        T.copy(B[k * 16, bx * 32], b)
                    T.gemm(a, b, c, transpose_A, transpose_B, clear_accum=k == 0)
                T.copy(c, C[by * 32, bx * 32])

        return main

    DTYPES = [
        ("float16", "float16", "float32"),
        ("bfloat16", "float32", "float32"),
        ("float32", "float32", "float32"),
        ("float16", "float16", "float16"),
        ("int8", "int32", "int32"),
        ("uint8", "int32", "int32"),
    ]

    @pytest.mark.parametrize("symbolic", [False, True], ids=["static", "symbolic"])
    @pytest.mark.parametrize("transposed", [(False, False), (True, True)], ids=["plain", "transposed"])
    @pytest.mark.parametrize("dtypes", DTYPES, ids="-".join)
    def test_gemm(dtypes, transposed, symbolic):
        dtype, out_dtype, _ = (np.dtype(getattr(ml_dtypes, name, name)) for name in dtypes)
        shapes = [shape[::-1] if swap else shape for shape, swap in zip(((70, 80), (80, 48)), transposed, strict=True)]

        def compute(a, b):
            a, b = (x.T if swap else x for x, swap in zip((a, b), transposed, strict=True))
            return np.matmul(a, b, dtype=np.int64 if dtype.kind in "iu" else np.float64)

        reference = Reference({"A": (shapes[0], dtype), "B": (shapes[1], dtype)}, compute, out_dtype)
        check(product(T.dynamic("m") if symbolic else 70, *dtypes, 48, 80, *transposed), reference)

    def test_layer_norm():
        rows, columns = 50, 96

        @T.prim_func
        def main(
            X: T.Tensor((rows, columns), "float16"),
            gamma: T.Tensor((columns,), "float32"),
            beta: T.Tensor((columns,), "float32"),
            Y: T.Tensor((rows, columns), "float16"),
        ):
            with T.Kernel(T.ceildiv(rows, 16), threads=128) as bx:
                x = T.alloc_fragment((16, columns), "float32")
                square = T.alloc_fragment((16, columns), "float32")
                mean = T.alloc_fragment((16,), "float32")
                variance = T.alloc_fragment((16,), "float32")
                T.copy(X[bx * 16, 0], x)
                T.reduce_sum(x, mean, dim=1)
                for i, j in T.Parallel(16, columns):
                    x[i, j] = x[i, j] - mean[i] / columns
                for i, j in T.Parallel(16, columns):
                    square[i, j] = x[i, j] * x[i, j]
                T.reduce_sum(square, variance, dim=1)
                for i, j in T.Parallel(16, columns):
                    x[i, j] = x[i, j] * T.rsqrt(variance[i] / columns + 1e-5) * gamma[j] + beta[j]
                T.copy(x, Y[bx * 16, 0])

        def compute(x, gamma, beta):
            centred = x - x.mean(1, keepdims=True)
            return centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5) * gamma + beta

        inputs = {"X": ((rows, columns), F16), "gamma": ((columns,), F32), "beta": ((columns,), F32)}
        check(main, Reference(inputs, compute, F16))
