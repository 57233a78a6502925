"""TileLang's own kernels, executed, against what they compute as numpy says it.

The folder of `--kernels` holds them. They need TileLang's own IR, so elsewhere, and without the folder, there is
nothing to collect.
"""

from pathlib import Path
from typing import NamedTuple

import ml_dtypes
import numpy as np
import pytest
import tvm

from tilelang.tt import (
    Layout,
    annotate_tt_layout,
    apply_tt_defaults,
    core_program_attrs,
    errors,
    grid_to_persistent,
    infer_default_tt_schedule,
    specialize,
    threads_to_loops,
)
from tilelang.tt.executor import run
from tilelang.tt.executor.memory import Core, OnChip
from tilelang.tt.executor.program import Program

pytestmark = [
    pytest.mark.stage("execute"),
    *(
        pytest.mark.filterwarnings(f"ignore::tilelang.tt.errors.{name}Warning")
        for name in ("Format", "Capacity", "Padding")
    ),
]

BF16 = np.dtype(ml_dtypes.bfloat16)
FP8 = np.dtype(ml_dtypes.float8_e4m3fn)
F16, F32, I32, U8 = (np.dtype(name) for name in ("float16", "float32", "int32", "uint8"))

DRAW = np.random.default_rng(7)


def normal(*shape, dtype=F32):
    return DRAW.standard_normal(shape, np.float32).astype(dtype)


def integers(low, high, *shape, dtype=I32):
    return DRAW.integers(low, high, shape).astype(dtype)


def wide(array):
    return np.asarray(array).astype(np.float64)


class Kernel(NamedTuple):
    """A kernel, inputs for it, and what it computes of them.

    Attributes:
        name: Of its file, as far as that is needed.
        inputs: Draws the parameters that it reads, by name.
        outputs: What the parameters that it writes hold afterwards, computed in float64, by name.
        tolerance: How far the result may be off, relative to the largest expected value.
        sizes: Shape variables that no array says.
    """

    name: str
    inputs: object
    outputs: object
    tolerance: float = 0.0
    sizes: object = None


def attention_delta(first, second, axes):
    """Row sums of a product of halves, which the kernel rounds before it adds them up."""
    return {"Delta": (first * second).astype(np.float64).sum(-1).transpose(axes)}


def convolution(data, kernel, pad=1):
    """A two-dimensional convolution of stride 1, channels last."""
    height, width = data.shape[1:3]
    padded = np.pad(wide(data), ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    return sum(
        padded[:, i : i + height, j : j + width] @ wide(kernel[i, j])
        for i in range(kernel.shape[0])
        for j in range(kernel.shape[1])
    )


def signed_nibbles(packed):
    """The 4-bit integers of bytes, the low half of each first."""
    halves = np.stack([packed & 15, packed >> 4], -1).reshape(len(packed), -1).astype(np.int32)
    return np.where(halves > 7, halves - 16, halves)


def odd_bfloat16(codes):
    """4-bit floats of one sign, two exponent and one mantissa bit, all of them normal."""
    sign, exponent, mantissa = codes >> 3, codes >> 1 & 3, codes & 1
    return (1 - 2.0 * sign) * (1 + mantissa / 2) * 2.0 ** (exponent - 1.0)


def halves_of(packed):
    return np.stack([packed & 15, packed >> 4], -1).reshape(len(packed), -1).astype(np.int32)


def topk(logits):
    """The six largest of each row in turn; of equal ones the last, and all of them go at once."""
    left, gates, places = logits.copy(), [], []
    for _ in range(6):
        largest = left.max(1)
        found = left == largest[:, None]
        gates.append(largest)
        places.append(np.where(found, np.arange(left.shape[1]), -1).max(1))
        left[found] = -10000
    return {"topk_gates": np.stack(gates, 1), "topk_indices": np.stack(places, 1)}


def limits_of_rows(logits, first, last):
    """Infinity at both ends of a range of each row, and its negative outside of it."""
    places = np.arange(logits.shape[1])
    ends = (places == first[:, None]) | (places == last[:, None] - 1)
    outside = (places < first[:, None]) | (places >= last[:, None])
    return np.where(outside, -np.inf, np.where(ends, np.inf, logits))


def cast_by_groups(x, sizes):
    """Rows of two batches, each group of 128 columns scaled by its largest magnitude to the range of float8."""
    scales, scaled = np.zeros((2, 896, 8), np.float32), np.zeros((2, 896, 1024), np.float32)
    for batch, first in enumerate((0, sizes[0])):
        rows = x[first : first + sizes[batch]].astype(np.float32).reshape(sizes[batch], 8, 128)
        scale = np.maximum(np.abs(rows).max(-1), np.float32(1e-4)) / np.float32(448)
        scales[batch, : sizes[batch]] = scale
        scaled[batch, : sizes[batch]] = (rows / scale[..., None]).reshape(sizes[batch], 1024)
    return {"X_amax": scales, "X_fp8": scaled.astype(FP8)}


def index_scores(query, key, key_scale, weights, heads):
    """Weighted sums over heads of the positive scores of each key."""
    scores = np.maximum(wide(query) @ wide(key).T, 0).reshape(-1, heads, len(key))
    return (scores * wide(weights)[..., None]).sum(1) * wide(key_scale)


def block_sparse_scores(query, key, key_scale, blocks, weights, first, last):
    """The scores of the keys of the chosen blocks, in their order; minus infinity outside of the row's range."""
    scores = index_scores(query, key, key_scale, weights, 64)
    places = (blocks[..., None] * 128 + np.arange(128)).reshape(len(blocks), -1)
    outside = (places < first[:, None]) | (places >= last[:, None])
    return np.where(outside, -np.inf, np.take_along_axis(scores, places, 1))


KERNELS = [
    Kernel(
        "test_tilelang_language_atomic__build_atomic_load",
        lambda: {"source": integers(-9, 9, 1)},
        lambda source: {"output": source},
    ),
    Kernel(
        "test_tilelang_cpu_atomic",
        lambda: {"A": normal(4, 8), "B": normal(4, 8)},
        lambda A, B: {"B": A + B},
    ),
    Kernel(
        "example_mha_bwd_bshd__flashattn_bwd_preprocess",
        lambda: {name: normal(1, 512, 16, 64, dtype=F16) for name in ("O", "dO")},
        lambda O, dO: attention_delta(O, dO, (0, 2, 1)),
        1e-5,
    ),
    Kernel(
        "example_gqa_sink_bwd_bhsd__flashattn_bwd_preprocess",
        lambda: {name: normal(1, 64, 4096, 128, dtype=F16) for name in ("O", "dO")},
        lambda O, dO: attention_delta(O, dO, (0, 1, 2)),
        1e-5,
    ),
    Kernel(
        "example_mha_bwd_bhsd__flashattn_bwd_postprocess",
        lambda: {"dQ": normal(8, 32, 1024, 64)},
        lambda dQ: {"dQ_out": dQ.astype(F16)},
    ),
    Kernel(
        "example_mha_sink_bwd_bhsd",
        lambda: {"Sinks": normal(64, dtype=F16), "Delta": normal(1, 64, 4096), "lse": normal(1, 64, 4096)},
        lambda Sinks, Delta, lse: {"dsinks": -np.exp2(wide(Sinks)[:, None] * 1.44269504 - wide(lse)) * wide(Delta)},
        1e-5,
    ),
    Kernel(
        "test_tilelang_transform_pipeline_barrier_ownership",
        lambda: {"data": normal(4, 32, 32, 64, dtype=F16), "weight": normal(3, 3, 64, 64, dtype=F16)},
        lambda data, weight: {"out": convolution(data, weight)},
        1e-3,
    ),
    Kernel(
        "example_dequant_gemm_w4a8",
        lambda: {"A": integers(-128, 128, 512, 512, dtype=np.int8), "B": integers(0, 256, 512, 256, dtype=U8)},
        lambda A, B: {"Ct": signed_nibbles(B) @ A.T.astype(I32)},
    ),
    Kernel(
        "example_dequant_gemm_bf16_mxfp4",
        lambda: {
            "A": normal(256, 256, dtype=BF16),
            "B": integers(0, 256, 256, 128, dtype=U8),
            "Scale": integers(0, 8, 256, 8, dtype=U8),
            "Bias": normal(256, 256, dtype=BF16),
        },
        lambda A, B, Scale, Bias: {"C": wide(A) @ (odd_bfloat16(halves_of(B)) * np.repeat(2.0**Scale, 32, axis=1)).T},
        8e-3,
    ),
    Kernel(
        "test_tilelang_transform_verify_buffer_init__test_reports",
        lambda: {"A": normal(16)},
        lambda A: {"C": np.concatenate([[0], A[:-1]])},
    ),
    Kernel(
        "test_tilelang_language_view",
        lambda: {"A": normal(1024)},
        lambda A: {"B": A.view(F16).reshape(32, 64)},
    ),
    Kernel(
        "test_tilelang_cpu_transpose",
        lambda: {"src": normal(2, 1, 3)},
        lambda src: {"dst": src.swapaxes(1, 2)},
    ),
    Kernel(
        "test_metal_gemm_v2_linux",
        lambda: {"A": normal(128, 128, dtype=F16), "B": normal(128, 256, dtype=F16)},
        lambda A, B: {"C": wide(A) @ wide(B)},
        1e-5,
    ),
    Kernel(
        "test_tilelang_transform_verify_buffer_init__gemm",
        lambda: {"A": normal(16, 16, 64), "B": normal(16, 64, 16)},
        lambda A, B: {"C": wide(A) @ wide(B)},
        1e-5,
    ),
    Kernel(
        "kernel_zoo__gemm",
        lambda: {"A": normal(256, 5120, dtype=F16), "B": normal(5120, 5120, dtype=F16)},
        lambda A, B: {"C": A.astype(F32) @ B.astype(F32)},
        1e-3,
    ),
    Kernel(
        "kernel_zoo__silu_gate",
        lambda: {name: normal(640, 18944, dtype=F16) for name in ("Gate", "Up")},
        lambda Gate, Up: {"Out": wide(Gate) / (1 + np.exp(-wide(Gate))) * wide(Up)},
        2e-3,
    ),
    Kernel(
        "example_cumsum",
        lambda: {"G": normal(1, 32768, 32)},
        lambda G: {"G_new": wide(G).reshape(512, 64, 32)[:, ::-1].cumsum(1)[:, ::-1].reshape(G.shape)},
        1e-5,
    ),
    Kernel("example_topk", lambda: {"logits": normal(320, 128)}, topk),
    Kernel(
        "example_group_per_split_token_cast_to_fp8",
        lambda: {"X": normal(1024, 1024, dtype=BF16), "batch_sizes": np.array([300, 724], I32)},
        cast_by_groups,
    ),
    Kernel(
        "test_tilelang_language_scan",
        lambda: {"A": normal(256, 256)},
        lambda A: {"B": wide(A).reshape(256, 4, 64)[..., ::-1].cumsum(-1)[..., ::-1].reshape(A.shape)},
        1e-5,
    ),
    Kernel(
        "fp8_lighting_indexer",
        lambda: {
            "IndexQ": normal(12 * 32, 64, dtype=FP8),
            "IndexK": normal(512, 64, dtype=FP8),
            "IndexKScale": abs(normal(512)),
            "Weights": normal(12, 32),
            "CuSeqLenKS": np.zeros(12, I32),
            "CuSeqLenKE": np.full(12, 512, I32),
        },
        lambda q, k, scale, weights, first, last: {"Logits": index_scores(q, k, scale, weights, 32)},
        1e-5,
    ),
    Kernel("test_tilelang_language_annot", lambda: {"A": integers(1, 9, 21)}, lambda A: {"A": 0 * A}, sizes={"n": 20}),
    Kernel(
        "test_tilelang_language_ptr",
        lambda: {"A": normal(256, 256, dtype=F16), "B": normal(256, 256, dtype=F16), **dict.fromkeys("mnk", 256)},
        lambda A, B, m, n, k: {"C": wide(A) @ wide(B).T},
        1e-5,
    ),
    Kernel(
        "test_tilelang_jit_tvm_ffi",
        lambda: {"A": normal(200, 768, dtype=F16), "B": normal(768, 300, dtype=F16)},
        lambda A, B: {"C": wide(A) @ wide(B)},
        1e-3,
    ),
    Kernel(
        "test_tilelang_language_assume",
        lambda: {"A": normal(50), "l": 3, "r": 17},
        lambda A, l, r: {"A": np.where((np.arange(50) >= l) & (np.arange(50) <= r), 0, A)},
    ),
    Kernel(
        "test_tilelang_language_atomic__tile_atomic_add",
        lambda: {"A": normal(8, 128, 128), "B": normal(128, 128)},
        lambda A, B: {"B": B + wide(A).sum(0)},
        1e-5,
    ),
    Kernel(
        "test_tilelang_language_tile_schedule",
        lambda: {"A": integers(1, 9, 8)},
        lambda A: {"A": np.where(np.arange(8) == 0, 0, A)},
    ),
    Kernel("test_tilelang_issue_1719", dict, dict),
    Kernel("test_tilelang_transform_loop_unswitching", lambda: {"topk_idx": np.zeros(1, I32)}, lambda topk_idx: {}),
    Kernel(
        "example_tilelang_gemm_streamk",
        lambda: {"A": normal(256, 512, dtype=F16), "B": normal(1024, 512, dtype=F16), "C": np.zeros((256, 1024), F32)},
        lambda A, B, C: {"C": wide(A) @ wide(B).T},
        1e-5,
    ),
]

# Where they are executed: on all cores of a chip, and on a few in any order.
PLACES = {
    "chip": {},
    "some": {"cores": [[1, 1, 3, 2]], "schedule_policy": "strided", "order": "random"},
}

REFUSED = ["test_tilelang_issue_2292", "example_grouped_gemm_fwd_ptr", "example_mhc_pre"]


class Share(NamedTuple):
    """A few work tiles of a kernel that is too large for all of them, or whose dtypes no plan has.

    Attributes:
        name: Of its file, as far as that is needed.
        tiles: The first of them, and how many.
        inputs: Draws the parameters that are read, by name.
        outputs: What these work tiles write, in float64 where it is a float: where in the tensor, and the values.
        tolerance: As of a kernel.
    """

    name: str
    tiles: tuple[int, int]
    inputs: object
    outputs: object
    tolerance: float = 0.0


def sparse_inputs():
    return {
        "IndexQ": normal(65536, 128, dtype=FP8),
        "IndexK": normal(1024, 128, dtype=FP8),
        "IndexKScale": abs(normal(1024)),
        "TopKBlockIndex": integers(0, 8, 1024, 8, dtype=np.int64),
        "Weights": normal(1024, 64),
        "CuSeqLenKS": integers(0, 300, 1024),
        "CuSeqLenKE": integers(500, 1025, 1024),
    }


def first_rows(count, height, width, channels):
    """Images that are zero but for the first rows of the first one."""
    data = np.zeros((count, height, width, channels), F16)
    data[0, :4] = normal(4, width, channels, dtype=F16)
    return data


SHARES = [
    Share(
        "block_sparse_mqa_fp8",
        (40, 24),
        sparse_inputs,
        lambda q, key, scale, blocks, weights, first, last: {
            "Logits": (
                np.s_[40:64],
                block_sparse_scores(
                    q[40 * 64 : 64 * 64], key, scale, blocks[40:64], weights[40:64], first[40:64], last[40:64]
                ),
            )
        },
        1e-5,
    ),
    Share(
        "clean_and_maintain_logits",
        (100, 2),
        lambda: {
            "Logits": normal(4096, 4096),
            "CuSeqLenKS": integers(0, 2000, 4096),
            "CuSeqLenKE": integers(2000, 4097, 4096),
        },
        lambda logits, first, last: {
            "Logits": (np.s_[100:102], limits_of_rows(logits[100:102], first[100:102], last[100:102]))
        },
    ),
    Share(
        "test_tilelang_issue_2624",
        (0, 1),
        lambda: {"A": integers(0, 2**62, 4, dtype=np.uint64)},
        lambda A: {"B": (np.s_[:], A.sum(keepdims=True))},
    ),
    Share(
        "example_gemv",
        (5, 2),
        lambda: {"a": normal(4096, 4096, dtype=F16), "x": normal(4096, dtype=F16)},
        lambda a, x: {"o": (np.s_[10:14], wide(a[10:14] * x).sum(1))},
        1e-3,
    ),
    Share(
        "example_convolution_autotune",
        (0, 4),
        lambda: {"data": first_rows(128, 64, 64, 128), "kernel": normal(3, 3, 128, 128, dtype=F16)},
        lambda data, kernel: {"out": (np.s_[0, :2], convolution(data[:1, :4], kernel)[0, :2])},
        1e-3,
    ),
    Share(
        "example_conv_analyze",
        (32, 2),
        lambda: {"data": first_rows(64, 512, 512, 256), "kernel": normal(3, 3, 256, 512, dtype=F16)},
        lambda data, kernel: {"out": (np.s_[0, 1, :64, :256], convolution(data[:1, :4, :66], kernel)[0, 1, :64, :256])},
        1e-3,
    ),
]


def load(config, name):
    (file,) = Path(config.getoption("--kernels")).glob(f"{name}*.json")
    return tvm.ir.load_json(file.read_text())


def check(found, expected, tolerance):
    if tolerance == 0:
        assert np.array_equal(found, expected, equal_nan=True)
    else:
        scale = np.abs(expected[np.isfinite(expected)]).max()
        np.testing.assert_allclose(wide(found), expected, rtol=0, atol=tolerance * scale)


def parameter_names(func):
    return [str(func.buffer_map[param].name if param in func.buffer_map else param.name) for param in func.params]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
def test_kernel(kernel, place, pytestconfig):
    func = load(pytestconfig, kernel.name)
    if kernel.sizes:
        func = specialize(func, **kernel.sizes)
    for param, buffer in func.buffer_map.items():
        if str(buffer.dtype).startswith("float8"):  # which lies in rows only
            func = annotate_tt_layout(func, param, Layout(page_layout="row_major"))
    inputs = kernel.inputs()
    arrays = map(inputs.get, parameter_names(func))
    found = run(func, *arrays, device="blackhole_p150", **PLACES[place]).outputs
    expected = kernel.outputs(*inputs.values())
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        check(found[name], values, kernel.tolerance)


@pytest.mark.parametrize("share", SHARES, ids=lambda share: share.name)
def test_share(share, pytestconfig):
    func = grid_to_persistent(infer_default_tt_schedule(apply_tt_defaults(load(pytestconfig, share.name))))
    program = Program(threads_to_loops(func))
    (places,) = core_program_attrs(func)
    inputs = share.inputs()
    arguments = [
        memory_of(func.buffer_map[param], parameter, inputs) if param in func.buffer_map else parameter.dtype.type(0)
        for param, parameter in zip(func.params, program.parameters, strict=True)
    ]
    for name, value in zip(("start_id", "count"), share.tiles, strict=True):
        arguments[places[name]] = program.parameters[places[name]].dtype.type(value)
    program.run(Core(0), arguments)
    found = {argument.name: argument.data for argument in arguments if isinstance(argument, OnChip)}
    for name, (part, values) in share.outputs(*inputs.values()).items():
        check(found[name][part], values, share.tolerance)


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name, pytestconfig):
    """Dtypes without a format: 4-bit floats, addresses, and TF32."""
    with pytest.raises(errors.DtypeError):
        run(load(pytestconfig, name), device="blackhole_p150")


def memory_of(buffer, parameter, inputs):
    """A tensor of a program; what is not an input is empty."""
    shape = tuple(int(size) for size in buffer.shape)
    array = inputs.get(parameter.name)
    return OnChip(parameter.name, shape, parameter.dtype, np.zeros(shape, parameter.dtype) if array is None else array)
