"""The pass InferDefaultTTShard: before and after. `test_tensor_layout.py` has the numbers."""

import warnings

import pytest
import tvm
from hypothesis import given
from hypothesis import strategies as st
from support import oracle
from support.infer import INPUTS, bare, copy_kernel, infer, module, plain, results

from tilelang.tt import apply_tt_defaults, buffer_attrs, errors, infer_default_tt_shard
from tilelang.tt.testing import check_pass

pytestmark = pytest.mark.stage("shard")


def buffers_of(func):
    return plain(func.attrs["tt_buffers"])


NOTHING_ON_CHIP = {
    "circular_buffers": [],
    "num_circular_buffers": 0,
    "max_circular_buffers": 32,
    "l1_bytes": 0,
    "l1_available": 1393312,
    "accumulators": [],
}
ONE_ELEMENT = {"start": [0, 0, 0], "extent": [1, 1, 1], "loops": []}
TRAFFIC = {
    "transfers": [
        {"buffer": 1, "access": "write", **ONE_ELEMENT},
        {"buffer": 0, "access": "read", **ONE_ELEMENT},
    ],
    "products": [],
}


def test_before_and_after():
    before = copy_kernel(shape=(2, 40, 96), dtype="bfloat16").with_attrs(INPUTS)
    entry = {
        "dtype": "bfloat16",
        "shape": [2, 40, 96],
        "tt_layout": "dram_interleaved",
        "tt_page_layout": "tile",
        "tt_tile_shape": [32, 32],
        "tt_num_tiles_height": 2,
        "tt_num_tiles_width": 3,
        "tt_num_matrices": 2,
        "tt_needs_padding": True,
        "tt_padded_shape": [2, 64, 96],
        "tt_padding_value": "any",
        "tt_data_format": "Float16_b",
        "tt_page_size": 2048,
        "tt_aligned_page_size": 2048,
        "tt_num_pages": 12,
        "tt_accessor_ct_args": [2, 2048],
        "tt_memory": "dram",
        "tt_num_banks": 12,
        "tt_bytes_per_bank": 2048,
        "tt_padding_bytes": 9216,
        "tt_padding_percent": 37,
    }
    expected = before.with_attrs(
        {
            "tt_buffers": [
                {"name": "A", "param_index": 0, "tt_access": "read", **entry},
                {"name": "C", "param_index": 1, "tt_access": "write", **entry},
            ],
            "tt_on_chip": [NOTHING_ON_CHIP],
            "tt_traffic": [TRAFFIC],
        }
    )
    after = check_pass(before, expected, infer_default_tt_shard, idempotent=True, round_trip=True)
    assert after.body.same_as(before.body)


def test_no_padded_shape_without_padding():
    (entry,) = buffers_of(infer(bare(buffers=[("A", (64, 96), "float32")])))
    assert entry["tt_needs_padding"] is False
    assert "tt_padded_shape" not in entry


@pytest.mark.parametrize(("shape", "padded"), [((), [32, 32]), ((5,), [32, 32]), ((1000,), [32, 1024])], ids=str)
def test_rank_0_and_1_become_rank_2(shape, padded):
    (entry,) = buffers_of(infer(bare(buffers=[("A", shape, "float32")])))
    assert (entry["shape"], entry["tt_padded_shape"]) == ([*shape], padded)


@pytest.mark.parametrize("tile", oracle.TILE_SHAPES, ids=str)
def test_tile_shapes(tile):
    func = infer(bare(buffers=[("A", (3, 40, 50), "uint8")]), tile_height=tile[0], tile_width=tile[1])
    assert buffers_of(func) == [oracle.buffer_attrs("A", 0, "uint8", (3, 40, 50), "none", tile)]


@pytest.mark.parametrize("dtype", sorted(set(oracle.TILED_DTYPES) - {"float16"}))
def test_dtypes(dtype):
    func = infer(bare(buffers=[("A", (100, 3), dtype)]))
    assert buffers_of(func) == [oracle.buffer_attrs("A", 0, dtype, (100, 3), "none")]


@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(1, 70), max_size=3).map(tuple),
            st.sampled_from(sorted({*oracle.TILED_DTYPES} - {"float16"})),
        ),
        max_size=4,
    ),
    st.sampled_from(oracle.TILE_SHAPES),
)
def test_oracle(tensors, tile):
    func = bare(buffers=[(f"t{index}", shape, dtype) for index, (shape, dtype) in enumerate(tensors)])
    expected = [
        oracle.buffer_attrs(f"t{index}", index, dtype, shape, "none", tile)
        for index, (shape, dtype) in enumerate(tensors)
    ]
    assert buffers_of(infer(func, tile_height=tile[0], tile_width=tile[1])) == expected


def test_float16_warns():
    func = apply_tt_defaults(bare(buffers=[("A", (32, 32), "float16"), ("B", (4,), "float32"), ("C", (4,), "float16")]))
    with pytest.warns(errors.FormatWarning) as caught:
        out = infer_default_tt_shard(func)
    assert [str(warning.message) for warning in caught] == [
        "TT406: kernel `main` stores A, C as Float16, which ttnn has no tensor type for; "
        'apply_tt_defaults(mod, data_format="Float16_b") stores float16 as bfloat16'
    ]
    assert [entry["tt_data_format"] for entry in buffers_of(out)] == ["Float16", "Float32", "Float16"]
    assert buffer_attrs(out, "A")["tt_page_size"] == 2048


def test_float16_as_bfloat16_does_not_warn():
    func = bare(buffers=[("A", (32, 32), "float16"), ("B", (32, 32), "bfloat16")])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = infer(func, data_format="Float16_b")
    assert [(entry["dtype"], entry["tt_data_format"]) for entry in buffers_of(out)] == [
        ("float16", "Float16_b"),
        ("bfloat16", "Float16_b"),
    ]


def test_a_warning_that_is_an_error_changes_nothing():
    mod = apply_tt_defaults(module(bare(buffers=[("A", (32, 32), "float16")])))
    before = mod["main"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(errors.FormatWarning):
            infer_default_tt_shard(mod)
    assert mod["main"].same_as(before)


def test_again_changes_nothing():
    func = apply_tt_defaults(copy_kernel())
    once = infer_default_tt_shard(func)
    assert infer_default_tt_shard(once).same_as(once)
    mod = infer(module(copy_kernel()))
    tvm.ir.assert_structural_equal(infer_default_tt_shard(mod), mod)


def test_stale_results_never_survive():
    fresh = infer(copy_kernel())
    stale = fresh.with_attr("tt_buffers", [{"name": "A", "tt_num_pages": 7}, {"name": "gone"}])
    tvm.ir.assert_structural_equal(infer_default_tt_shard(stale), fresh)


def test_all_mistakes_are_listed():
    func = bare(
        buffers=[
            ("A", (4,), "int64"),
            ("B", (4, 4), "float32"),
            ("C", (0, 4), "float32"),
            ("D", (2**40, 2**40), "int8"),
        ]
    )
    with pytest.raises(errors.DtypeError) as caught:
        infer(func)
    text = str(caught.value)
    assert text.count("help: ") == 3
    for part in (
        "parameter 0 (`A`): dtype int64",
        "parameter 2 (`C`): dimension 0 has extent 0",
        "parameter 3 (`D`): ",
    ):
        assert part in text
    assert "`B`" not in text


def test_equal_tensors_of_different_kernels():
    """What is remembered of one kernel is not taken for another's."""
    one, two = copy_kernel(shape=(64, 64)), bare(buffers=[("A", (64, 64), "float32"), ("C", (64, 64), "float32")])
    mod = infer(tvm.IRModule({"one": one, "two": two}))
    assert [entry["tt_access"] for entry in buffers_of(mod["one"])] == ["read", "write"]
    assert [entry["tt_access"] for entry in buffers_of(mod["two"])] == ["none", "none"]
    other_tile = infer(one, tile_height=16)
    assert [entry["tt_tile_shape"] for entry in buffers_of(other_tile)] == [[16, 32], [16, 32]]


def test_padded_size_is_no_result_of_the_schedule():
    func = infer_default_tt_shard(apply_tt_defaults(copy_kernel()))
    assert set(results(func)) == {"tt_buffers", "tt_on_chip", "tt_traffic"}
