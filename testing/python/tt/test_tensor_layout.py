"""How tensors are tiled, padded and paged: against ttnn's own results, and against the oracle."""

import json
from math import prod
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import oracle

from tilelang.tt import _native, errors

pytestmark = pytest.mark.stage("shard")

DEVICES = {"wormhole_n150": "tensor_layout_wh_n150.json", "blackhole_p150": "tensor_layout_bh_p150.json"}
TTNN_DTYPES = {"bfloat8_b": ("float32", "Bfp8_b"), "bfloat4_b": ("float32", "Bfp4_b")}


def conformance():
    """Every case of ttnn's own results, with the device it was found on."""
    for device, name in DEVICES.items():
        for case in json.loads((Path(__file__).parent / "data" / name).read_text())["cases"]:
            yield pytest.param(device, case, id=f"{device}-{case['shape']}-{case['dtype']}-{case['layout']}")


DTYPES = st.sampled_from(oracle.TILED_DTYPES)
TILES = st.sampled_from(oracle.TILE_SHAPES)
SHAPES = st.one_of(
    st.lists(st.integers(1, 200), max_size=2),
    st.lists(st.integers(1, 4), max_size=5).flatmap(
        lambda batch: st.tuples(st.integers(1, 70), st.integers(1, 70)).map(lambda matrix: [*batch, *matrix])
    ),
)


@st.composite
def choices(draw):
    """(dtype, options): a way to lay out a tensor, as the attribute tt_buffer_layouts states it."""
    dtype, memory = draw(DTYPES), draw(st.sampled_from(["dram", "l1"]))
    options = {"memory": memory, "page_layout": draw(st.sampled_from(["tile", "row_major"]))}
    if dtype in ("float32", "float16", "bfloat16"):
        formats = [name for name in oracle.FLOAT_FORMATS if "Bfp" not in name or options["page_layout"] == "tile"]
        options["data_format"] = draw(st.sampled_from(formats))
    if options["page_layout"] == "tile":
        options["tile"] = draw(TILES)
    return dtype, options


def lay_out(shape, dtype="float32", tile=(32, 32), device="wormhole_n150", **options):
    return _native.lay_out(shape, dtype, device, {"tile": tile, **options})


def test_conformance_is_complete():
    cases = [param.values[1] for param in conformance()]
    assert len(cases) == 241 * len(DEVICES)
    assert {case["dtype"] for case in cases} == {*oracle.TILED_DTYPES, *TTNN_DTYPES} - {"float16", "int8"}
    assert {(case["layout"], case["buffer"]) for case in cases} == {
        (layout, memory) for layout in ("TILE", "ROW_MAJOR") for memory in ("DRAM", "L1")
    }


@pytest.mark.parametrize(("device", "case"), list(conformance()))
def test_conformance(device, case):
    dtype, data_format = TTNN_DTYPES.get(case["dtype"], (case["dtype"], None))
    options = {"memory": case["buffer"].lower(), "page_layout": case["layout"].lower()}
    if case["tile"]:
        options["tile"] = tuple(case["tile"])
    if data_format:
        options["data_format"] = data_format
    if "error" in case:
        with pytest.raises(
            errors.DtypeError, match=f"^TT407: {data_format} is stored in tiles only; found row-major pages"
        ):
            lay_out(case["shape"], dtype, device=device, **options)
        return
    layout = lay_out(case["shape"], dtype, device=device, **options)
    for key in ("padded_shape", "page_size", "aligned_page_size", "num_pages", "accessor_ct_args"):
        assert layout[key] == case[key]
    assert layout["num_pages"] * layout["page_size"] == case["total_bytes"]
    assert layout == oracle.tensor_layout(case["shape"], dtype, device=device, **options)


@given(SHAPES, choices())
def test_oracle(shape, choice):
    dtype, options = choice
    assert lay_out(shape, dtype, **options) == oracle.tensor_layout(shape, dtype, **options)


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
    assert 0 <= layout["aligned_page_size"] - layout["page_size"] < 32
    assert (layout["padding_bytes"] == 0) is (not layout["needs_padding"])


@given(SHAPES, choices())
def test_every_page_has_a_place_of_its_own(shape, choice):
    dtype, options = choice
    layout = lay_out(shape, dtype, **options)
    pages = range(min(layout["num_pages"], 300))
    places = [_native.locate(shape, dtype, "wormhole_n150", options, page) for page in pages]
    assert len(set(places)) == len(pages)
    for bank, offset in places:
        assert 0 <= bank < layout["num_banks"]
        assert offset % layout["aligned_page_size"] == 0
        assert 0 <= offset <= layout["bytes_per_bank"] - layout["aligned_page_size"]


@pytest.mark.parametrize("page", [-1, 4, 2**62])
def test_a_page_that_is_not_there(page):
    with pytest.raises(errors.OptionError, match=f"^TT422: page {page} of a tensor of 4 pages"):
        _native.locate([64, 64], "float32", "wormhole_n150", {}, page)


@given(
    st.lists(st.tuples(st.sampled_from(["m", "n + 5", "m * 32"]), st.just(None)), min_size=1, max_size=3),
    choices(),
    st.integers(1, 8),
    st.integers(1, 200),
)
def test_symbolic_shapes_agree_with_their_values(names, choice, m, n):
    shape, (dtype, options) = [name for name, _ in names], choice
    sizes = {"m": m, "n": n}
    symbolic = lay_out(shape, dtype, **options)
    concrete = lay_out([_native.evaluate(extent, sizes) for extent in shape], dtype, **options)
    value = lambda number: _native.evaluate(str(number), sizes)  # noqa: E731
    for key, expected in concrete.items():
        found = symbolic[key]
        if key == "needs_padding":
            assert found or not expected  # what may need padding, and then does not
        else:
            assert ([value(item) for item in found] if isinstance(found, list) else value(found)) == expected


def test_symbolic_texts():
    layout = lay_out(["m", 64, "n"], "bfloat16")
    assert layout["padded_shape"] == ["m", 64, "(n + 31) // 32 * 32"]
    assert layout["num_pages"] == "m * ((n + 31) // 32) * 2"
    assert layout["needs_padding"] is True
    assert lay_out(["m", "n * 32"])["needs_padding"] is True
    assert lay_out(["m * 64", "n * 32"])["needs_padding"] is False


@pytest.mark.parametrize("rank", range(9))
def test_ranks(rank):
    shape = [2] * rank
    layout = lay_out(shape, "bfloat16")
    assert layout["padded_shape"] == [2] * (rank - 2) + [32, 32]
    assert layout["num_pages"] == 2 ** max(0, rank - 2)
    assert lay_out(shape, page_layout="row_major")["padded_shape"] == (shape or [1])


def test_too_many_dimensions():
    with pytest.raises(errors.ShapeError, match="the tensor has 9 dimensions; expected at most 8"):
        lay_out([1] * 9)


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


@pytest.mark.parametrize("page_layout", ["tile", "row_major"])
def test_float8_is_not_for_wormhole(page_layout):
    with pytest.raises(errors.DtypeError, match="Fp8_e4m3 is stored row-major on blackhole only; found wormhole_b0"):
        lay_out([32, 32], "float8_e4m3fn", page_layout=page_layout)


def test_float8_on_blackhole():
    options = {"device": "blackhole_p150", "page_layout": "row_major"}
    assert lay_out([4, 100], "float8_e4m3fn", **options) == oracle.tensor_layout([4, 100], "float8_e4m3fn", **options)
    with pytest.raises(errors.DtypeError, match="TT405: Fp8_e4m3 is stored row-major only; found pages that are tiles"):
        lay_out([32, 32], "float8_e4m3fn", device="blackhole_p150")


@pytest.mark.parametrize(
    ("dtype", "chosen", "expected"),
    [
        ("int32", "Bfp8_b", "^TT409: dtype int32 cannot be stored as Bfp8_b; expected Int32$"),
        ("int32", "UInt32", "dtype int32 cannot be stored as UInt32; expected Int32$"),
        ("float32", "Float16", "float32 cannot be stored as Float16; expected Float32 or another floating format"),
        ("float32", "Int32", "float32 cannot be stored as Int32; expected Float32 or another floating format"),
    ],
)
def test_refused_formats(dtype, chosen, expected):
    with pytest.raises(errors.DtypeError, match=expected):
        lay_out([32, 32], dtype, data_format=chosen)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"data_format": "Bfp2_b"}, 'unknown data format "Bfp2_b"; expected one of: Float32, '),
        ({"memory": "l2"}, '^TT420: unknown memory "l2"; expected one of: dram, l1'),
        ({"page_layout": "ROW_MAJOR"}, '^TT421: unknown page layout "ROW_MAJOR"; expected one of: tile, row_major'),
    ],
)
def test_unknown_options(option, message):
    with pytest.raises(errors.OptionError, match=message):
        lay_out([32, 32], **option)


def test_block_formats_of_all_tiles():
    """Page sizes as ttnn.Tile states them."""
    expected = {
        (32, 32): (1088, 576),
        (16, 32): (544, 288),
        (32, 16): (544, 288),
        (16, 16): (272, 144),
        (8, 32): (272, 144),
        (4, 32): (144, 80),
        (2, 32): (80, 48),
        (1, 32): (48, 32),
        (8, 16): (144, 80),
        (4, 16): (80, 48),
        (2, 16): (48, 32),
        (1, 16): (32, 24),
    }
    assert {
        tile: tuple(lay_out([4, 4], "bfloat16", tile, data_format=name)["page_size"] for name in ("Bfp8_b", "Bfp4_b"))
        for tile in oracle.TILE_SHAPES
    } == expected


def test_refused_device():
    with pytest.raises(errors.DeviceError, match='"grayskull"; expected one of: wormhole_n150'):
        lay_out([32, 32], device="grayskull")
