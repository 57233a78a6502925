"""How tensors are tiled, padded and paged: against ttnn's own results, and against the oracle."""

import json
from math import prod
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import oracle

from tilelang.tt import _native, errors

CONFORMANCE = json.loads((Path(__file__).parent / "data" / "tensor_layout_wh_n150.json").read_text())
# Row-major pages, L1 and the block floats are not built yet.
CASES = [
    case
    for case in CONFORMANCE["cases"]
    if (case["layout"], case["buffer"]) == ("TILE", "DRAM") and case["dtype"] not in ("bfloat8_b", "bfloat4_b")
]
DTYPES = st.sampled_from(sorted(oracle.FORMATS))
TILES = st.sampled_from(oracle.TILE_SHAPES)
SHAPES = st.one_of(
    st.lists(st.integers(1, 200), max_size=2),
    st.lists(st.integers(1, 6), max_size=3).flatmap(
        lambda batch: st.tuples(st.integers(1, 70), st.integers(1, 70)).map(lambda matrix: [*batch, *matrix])
    ),
)


def lay_out(shape, dtype="float32", tile=(32, 32)):
    return _native.lay_out_tiled(shape, dtype, tile, "wormhole_n150")


def test_conformance_is_complete():
    assert len(CASES) == 71
    assert len({tuple(case["tile"]) for case in CASES}) == 9
    assert {case["dtype"] for case in CASES} == set(oracle.FORMATS) - {"float16", "int8"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['shape']}-{case['dtype']}-{case['tile']}")
def test_conformance(case):
    layout = lay_out(case["shape"], case["dtype"], case["tile"])
    for key in ("padded_shape", "page_size", "aligned_page_size", "num_pages", "accessor_ct_args"):
        assert layout[key] == case[key]
    assert layout["num_pages"] * layout["page_size"] == case["total_bytes"]
    assert layout == oracle.tensor_layout(case["shape"], case["dtype"], tuple(case["tile"]))


@given(SHAPES, DTYPES, TILES)
def test_oracle(shape, dtype, tile):
    assert lay_out(shape, dtype, tile) == oracle.tensor_layout(shape, dtype, tile)


@given(SHAPES, DTYPES, TILES)
def test_properties(shape, dtype, tile):
    layout = lay_out(shape, dtype, tile)
    logical, padded = [1] * (2 - len(shape)) + shape, layout["padded_shape"]
    assert len(padded) == max(2, len(shape))
    assert padded[:-2] == logical[:-2]
    assert all(small <= big for small, big in zip(logical, padded, strict=True))
    assert (padded[-2] % tile[0], padded[-1] % tile[1]) == (0, 0)
    assert all(big - small < side for small, big, side in zip(logical[-2:], padded[-2:], tile, strict=True))
    assert layout["needs_padding"] is (padded != logical)
    assert layout["num_pages"] * prod(tile) == prod(padded)
    assert layout["num_pages"] == layout["num_matrices"] * layout["num_tiles_height"] * layout["num_tiles_width"]
    assert layout["aligned_page_size"] % oracle.DRAM_ALIGNMENT == 0
    assert 0 <= layout["aligned_page_size"] - layout["page_size"] < oracle.DRAM_ALIGNMENT


def test_a_page_smaller_than_the_alignment():
    """A 1x16 tile of bytes: only there do page and aligned page differ."""
    layout = lay_out([3, 40], "uint8", (1, 16))
    assert (layout["page_size"], layout["aligned_page_size"]) == (16, 32)
    assert layout["accessor_ct_args"] == [2, 32]


@pytest.mark.parametrize("tile", [(32, 8), (64, 32), (0, 32), (32, 0), (-32, 32), (3, 16), (32, 33)], ids=str)
def test_refused_tiles(tile):
    with pytest.raises(errors.TileShapeError, match=f"no tile of {tile[0]}x{tile[1]} .*32x32, 16x32, .*, 1x16"):
        lay_out([64, 64], tile=tile)


@pytest.mark.parametrize(("shape", "place"), [([0], 0), ([4, 0], 1), ([4, -1, 4], 1), ([-5, 4, 4, 4], 0)], ids=str)
def test_refused_extents(shape, place):
    with pytest.raises(errors.ShapeError, match=f"dimension {place} has extent {shape[place]}; expected at least 1"):
        lay_out(shape)


@pytest.mark.parametrize(
    "shape",
    [
        [2**63 - 1, 1],  # rows: rounding up overflows
        [1, 2**63 - 1],
        [2**32, 2**32, 32],  # matrices
        [2**31, 2**31, 2**31],
        [2**31, 2**31],  # tiles fit, bytes do not
    ],
    ids=str,
)
def test_64_bits_are_not_enough(shape):
    with pytest.raises(errors.IntegerOverflowError, match="does not fit a signed 64-bit integer"):
        lay_out(shape)


def test_64_bits_are_just_enough():
    layout = lay_out([2**30, 2**30])
    assert layout["num_pages"] * layout["aligned_page_size"] == 2**62


@pytest.mark.parametrize(
    "dtype",
    ["bool", "int16", "int64", "uint64", "float64", "int4", "uint4", "float4_e2m1fn", "float8_e5m2", "handle", "float"],
)
def test_refused_dtypes(dtype):
    with pytest.raises(
        errors.DtypeError, match=f"dtype {dtype} has no Tenstorrent data format; expected one of: float32"
    ):
        lay_out([32, 32], dtype)


def test_float8_is_never_tiled():
    with pytest.raises(errors.DtypeError, match="float8_e4m3fn is stored row-major on Blackhole only"):
        lay_out([32, 32], "float8_e4m3fn")


def test_refused_device():
    with pytest.raises(errors.DeviceError, match='"grayskull"; expected one of: wormhole_n150'):
        _native.lay_out_tiled([32, 32], "float32", (32, 32), "grayskull")
