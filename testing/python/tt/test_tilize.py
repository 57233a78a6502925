"""Arrays in banks and back: against ttnn's own bytes, and against an oracle that places one element at a time by the
rules for faces and shared exponents.
"""

import gc
import json
import sys
from dataclasses import replace
from fractions import Fraction
from hashlib import sha256
from math import prod

import ml_dtypes
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support import conformance, oracle, plans
from support.buffers import make_buffer
from support.strategies import cut_tensors

from tilelang.tt import errors
from tilelang.tt.plan.tilize import from_pages, tilize, to_pages, untilize

pytestmark = pytest.mark.stage("plan")

TILIZED = json.loads((conformance.DATA / "tilized.json").read_text())
BLOCK_FLOAT = json.loads((conformance.DATA / "block_float.json").read_text())
PATTERNS = {"bfloat16": "uint16", "float8_e4m3fn": "uint8"}  # dtypes that numpy does not have
SPECIAL = {"bfloat16": ml_dtypes.bfloat16, "float8_e4m3fn": ml_dtypes.float8_e4m3fn}
MAGNITUDE_BITS = {"Bfp8_b": 7, "Bfp4_b": 3}


def own_format(buffer):
    return buffer.data_format == oracle.FORMATS[buffer.dtype][0]


def bits_of(array):
    return np.asarray(array).view(f"u{array.dtype.itemsize}")


def draw_array(buffer, seed):
    """Any bits, NaN among them, where bits are kept; else numbers of many magnitudes, ties and zeros."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(SPECIAL.get(buffer.dtype, buffer.dtype))
    count = prod(buffer.shape)
    if own_format(buffer):
        return rng.bytes(count * dtype.itemsize), dtype
    numbers = rng.integers(-1024, 1025, count) * 2.0 ** rng.integers(-16, -1, count)
    numbers = np.where(rng.random(count) < 0.1, rng.standard_normal(count), numbers)
    return numbers.astype(dtype).tobytes(), dtype


def any_array(buffer, seed=0):
    data, dtype = draw_array(buffer, seed)
    return np.frombuffer(data, dtype).reshape(buffer.shape)


# The oracle: pages of elements, an element at a time in each, and where the pages lie.


def padding_of(buffer):
    text = buffer.padding_value
    kind = SPECIAL.get(buffer.dtype, buffer.dtype)
    return np.array([0 if text in (None, "any", "unknown") else float(text)]).astype(kind)[0]


def pages_of(buffer, array):
    """The elements of every page in its order, as a matrix each."""
    matrix = array.reshape([1] * (2 - array.ndim) + list(array.shape))
    height, width = buffer.tile_shape or (1, buffer.shard.shape[-1] if buffer.shard else matrix.shape[-1])
    rows, columns = (-(-extent // step) * step for extent, step in zip(matrix.shape[-2:], (height, width), strict=True))
    for index in np.ndindex(matrix.shape[:-2]):
        padded = np.full((rows, columns), padding_of(buffer))
        padded[: matrix.shape[-2], : matrix.shape[-1]] = matrix[index]
        for top in range(0, rows, height):
            for left in range(0, columns, width):
                yield padded[top : top + height, left : left + width]


def position_in_page(buffer, i, j):
    """The position of element (i, j) of a page among its elements."""
    if buffer.tile_shape is None:
        return j
    height, width = buffer.tile_shape
    face = min(height, 16)
    return ((i // face) * (width // 16) + j // 16) * (face * 16) + (i % face) * 16 + j % 16


def block_element(number, exponent, bits):
    """Sign and magnitude of a finite number beside others, the largest of which have this exponent."""
    if abs(number) < Fraction(2) ** -126:
        return 0
    cut = abs(number) / Fraction(2) ** (exponent - 150) // 1  # what a float32 mantissa has left
    magnitude = min(round(cut / 2 ** (24 - bits)), 2**bits - 1)  # Python rounds ties to even
    return magnitude | (number < 0) << bits if magnitude else 0


def page_bytes(buffer, page):
    """One page, from its elements."""
    if buffer.data_format in MAGNITUDE_BITS:
        return block_page_bytes(buffer, page.astype(np.float32), MAGNITUDE_BITS[buffer.data_format])
    kinds = {"Float32": np.float32, "Float16_b": ml_dtypes.bfloat16}
    stored = page if own_format(buffer) else page.astype(np.float32).astype(kinds[buffer.data_format])
    size = stored.dtype.itemsize
    out = bytearray(buffer.page_size_bytes)
    for i, j in np.ndindex(page.shape):
        at = position_in_page(buffer, i, j) * size
        out[at : at + size] = stored[i, j].tobytes()
    return bytes(out)


def block_page_bytes(buffer, page, bits):
    rows = {}
    for i, j in np.ndindex(page.shape):
        at = position_in_page(buffer, i, j)
        rows.setdefault(at // 16, {})[at % 16] = page[i, j]
    out = bytearray(buffer.page_size_bytes)
    start = -(-len(rows) // 16) * 16
    for row, numbers in rows.items():
        exponent = max(int(number.view(np.uint32)) >> 23 & 0xFF for number in numbers.values())
        out[row] = exponent
        for column, number in numbers.items():
            element = block_element(Fraction(float(number)), exponent, bits)
            at = row * 16 + column
            if bits == 7:
                out[start + at] = element
            else:
                out[start + at // 2] |= element << 4 * (at % 2)
    return bytes(out)


def places_of(buffer):
    """(bank, slot) of every page."""
    if buffer.shard is None:
        return {page: (page % buffer.num_banks, page // buffer.num_banks) for page in range(buffer.num_pages)}
    shard, step = list(buffer.shard.shape), [*(buffer.tile_shape or (1, buffer.shard.shape[-1]))]
    contiguous = buffer.shard.distribution == "contiguous_1d"
    return oracle.places_by_cutting(list(buffer.padded_shape), step, shard, buffer.num_banks, contiguous)


def expected_banks(buffer, array):
    banks = np.zeros((buffer.num_banks, buffer.bytes_per_bank), np.uint8)
    places = places_of(buffer)
    for page, elements in enumerate(pages_of(buffer, array)):
        bank, slot = places[page]
        at = slot * buffer.aligned_page_size_bytes
        banks[bank, at : at + buffer.page_size_bytes] = list(page_bytes(buffer, elements))
    return banks


def check(buffer, seed):
    """Both directions, for the banks and for the pages alone."""
    array = any_array(buffer, seed)
    banks = tilize(buffer, array)
    assert np.array_equal(banks, expected_banks(buffer, array))
    pages = to_pages(buffer, array)
    assert pages.tobytes() == b"".join(page_bytes(buffer, page) for page in pages_of(buffer, array))
    back = untilize(buffer, banks)
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert np.array_equal(bits_of(from_pages(buffer, pages)), bits_of(back))
    assert np.array_equal(tilize(buffer, back), banks) or buffer.padding_value is not None
    if own_format(buffer):
        assert np.array_equal(bits_of(back), bits_of(array))
    elif buffer.data_format == "Float32":
        assert np.array_equal(back, array)
    elif buffer.data_format == "Float16_b":
        assert np.array_equal(back, array.astype(ml_dtypes.bfloat16).astype(array.dtype))
    assert np.array_equal(tilize(buffer, back), banks)


SHAPES = st.one_of(
    st.lists(st.integers(1, 70), max_size=2),
    st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 40), st.integers(1, 40)).map(list),
)
PADDINGS = {"f": ["0", "-inf", "inf", "1.5", "-0.1", "any", "unknown", "nan"], "i": ["0", "7", "any"], "u": ["0", "7"]}


@st.composite
def buffers(draw):
    dtype = draw(st.sampled_from(oracle.TILED_DTYPES))
    options = {"page_layout": draw(st.sampled_from(["tile", "tile", "row_major"]))}
    options["memory"] = draw(st.sampled_from(["dram", "l1"]))
    is_float = dtype in ("float32", "float16", "bfloat16")
    paddings = PADDINGS["f" if is_float else dtype[0]]
    if is_float:
        formats = [name for name in oracle.FLOAT_FORMATS if "Bfp" not in name or options["page_layout"] == "tile"]
        options["data_format"] = draw(st.sampled_from([*formats, oracle.FORMATS[dtype][0]]))
        if options["data_format"] != oracle.FORMATS[dtype][0]:
            paddings = ["0", "1.5", "-0.1"]
    if options["page_layout"] == "tile":
        options["tile"] = draw(st.sampled_from(oracle.TILE_SHAPES))
    device = draw(st.sampled_from(["wormhole_n150", "blackhole_p150"]))
    return make_buffer(draw(SHAPES), dtype, device, draw(st.sampled_from(paddings)), **options)


@given(buffers(), st.integers(0, 2**32))
def test_oracle(buffer, seed):
    check(buffer, seed)


@given(cut_tensors(), st.sampled_from(["uint8", "bfloat16", "float32"]), st.integers(0, 2**32))
def test_shards(drawn, dtype, seed):
    shape, options = drawn
    try:
        buffer = make_buffer(shape, dtype, padding="1.5" if dtype == "float32" else "3", memory="l1", **options)
    except errors.ShapeError as error:
        assume(error.code not in ("TT434", "TT437"))
        raise
    check(buffer, seed)


@pytest.mark.parametrize(
    "case", [case for case in conformance.sharding_cases() if "error" not in case], ids=lambda case: case["name"]
)
def test_conformance_of_shards(case):
    """Every page lies on the core, and at the address, where ttnn has it."""
    buffer = make_buffer(case["shape"], "bfloat16", **conformance.sharding_options(case))
    check(buffer, seed=1)
    if case["pages"] is None:
        return
    array = any_array(buffer, seed=2)
    banks, pages = tilize(buffer, array), to_pages(buffer, array)
    for page, core, address in case["pages"]:
        bank = buffer.shard.cores.index(tuple(core))
        at = address - buffer.shard.address_if_alone
        assert np.array_equal(banks[bank, at : at + buffer.page_size_bytes], pages[page])


def numbers_of(shape, dtype):
    """The elements that data/tilized.json speaks of."""
    number = np.arange(prod(shape), dtype=np.int64) * 7919 % 10007 - 5003
    if dtype == "float32":
        return (number / 64).astype(np.float32).reshape(shape)
    if dtype == "int8":
        number = number % 256 - 128
    elif dtype != "int32":
        number = abs(number) % 256
    return number.astype(dtype).reshape(shape)


@pytest.mark.parametrize("data_format", dict.fromkeys(case[1] for case in TILIZED["cases"]))
def test_conformance(data_format):
    """The bytes of ttnn's own host tensors, in tiles of all shapes."""
    cases = [case for case in TILIZED["cases"] if case[1] == data_format]
    assert {tuple(case[2]) for case in cases} == set(oracle.TILE_SHAPES)
    for dtype, _, tile, shape, padding, num_bytes, digest in cases:
        buffer = make_buffer(shape, dtype, padding=padding, tile=tuple(tile), data_format=data_format)
        pages = to_pages(buffer, numbers_of(shape, dtype))
        assert pages.size == num_bytes
        assert sha256(pages.tobytes()).hexdigest()[:16] == digest, (tile, shape)


def test_conformance_is_complete():
    assert len(TILIZED["cases"]) == 9 * 12 * 4
    assert len(BLOCK_FLOAT["rows"]) == 96


def float32_of(text):
    return np.array([int(text[i : i + 8], 16) for i in range(0, len(text), 8)], np.uint32).view(np.float32)


def block_row(data_format, exponent, elements):
    """A buffer of one row of 16 elements, and its page."""
    buffer = make_buffer([1, 16], "float32", data_format=data_format, tile=(1, 16))
    page = np.zeros((1, buffer.page_size_bytes), np.uint8)
    page[0, 0] = exponent
    page[0, 16:] = list(bytes.fromhex(elements))
    return buffer, page


@pytest.mark.parametrize("data_format", MAGNITUDE_BITS)
def test_conformance_of_block_rows(data_format):
    """Ties, zeros, infinities, NaN and what is below the normal range, as ttnn packs and unpacks them."""
    for case in BLOCK_FLOAT["rows"]:
        expected = case[data_format]
        buffer, page = block_row(data_format, expected["exponent"], expected["elements"])
        packed = to_pages(buffer, float32_of(case["float32"]).reshape(1, 16))
        assert packed.tobytes().hex() == page.tobytes().hex()
        unpacked = from_pages(buffer, packed)
        assert np.array_equal(bits_of(unpacked), bits_of(float32_of(expected["float32"])).reshape(1, 16))
        assert np.array_equal(to_pages(buffer, unpacked), packed)


@pytest.mark.parametrize("case", BLOCK_FLOAT["read"], ids=lambda case: f"{case['format']}-{case['exponent']}")
def test_conformance_of_foreign_block_rows(case):
    buffer, page = block_row(case["format"], case["exponent"], case["elements"])
    assert np.array_equal(bits_of(from_pages(buffer, page)[0]), bits_of(float32_of(case["float32"])))


@pytest.mark.parametrize("data_format", MAGNITUDE_BITS)
def test_conformance_of_a_block_tile(data_format):
    tile = BLOCK_FLOAT["tile"]
    buffer = make_buffer([32, 32], "float32", data_format=data_format)
    packed = to_pages(buffer, float32_of(tile["float32"]).reshape(32, 32))
    assert packed.tobytes().hex() == tile[data_format]


def test_block_bytes_by_hand():
    """1.0 has the exponent 127 and the highest bit of the magnitude; 65.5 is a tie, and goes to 66."""
    buffer = make_buffer([32, 32], "float32", data_format="Bfp8_b")
    array = np.zeros((32, 32), np.float32)
    array[0, :4] = 1.0, -1.0, 0.5, -0.0
    array[17, 16:19] = 64.5, -65.5, 127.75  # face 3, row 1
    page = to_pages(buffer, array)[0]
    assert page.shape == (1088,)
    assert (page[0], list(page[64:69])) == (0x7F, [0x40, 0xC0, 0x20, 0, 0])
    assert (page[3 * 16 + 1], list(page[64 + 3 * 256 + 16 :][:3])) == (0x85, [0x40, 0xC2, 0x7F])
    assert np.count_nonzero(page) == 2 + 3 + 3
    assert list(from_pages(buffer, page[None])[17, 16:19]) == [64, -66, 127]


def test_halves_of_a_byte():
    buffer = make_buffer([32, 32], "float32", data_format="Bfp4_b")
    array = np.zeros((32, 32), np.float32)
    array[0, :4] = 1.0, -1.5, 0.25, 1.75
    page = to_pages(buffer, array)[0]
    assert page.shape == (576,)
    assert (page[0], list(page[64:67])) == (0x7F, [0xE4, 0x71, 0])


def test_faces_by_hand():
    """The number of an element of a tile is its place in the page."""
    buffer = make_buffer([32, 32], "int32")
    page = to_pages(buffer, np.arange(1024, dtype=np.int32).reshape(32, 32)).view(np.int32)[0]
    assert list(page[[0, 15, 16, 255, 256, 512, 768]]) == [0, 15, 32, 15 * 32 + 15, 16, 16 * 32, 16 * 32 + 16]


def test_float8_in_rows():
    buffer = make_buffer([3, 40], "float8_e4m3fn", "blackhole_p150", page_layout="row_major")
    check(buffer, seed=3)
    assert (buffer.page_size_bytes, buffer.aligned_page_size_bytes) == (40, 64)


@pytest.mark.parametrize(
    ("dtype", "text", "bits"),
    [
        ("float32", "-inf", 0xFF800000),
        ("float32", "0.1", 0x3DCCCCCD),
        ("float32", "1e-45", 1),
        ("float16", "65504", 0x7BFF),
        ("float16", "-0", 0x8000),
        ("bfloat16", "1.00390625", 0x3F80),  # a tie
        ("bfloat16", "1.01171875", 0x3F82),  # another
        ("bfloat16", "nan", 0x7FC0),
        ("float8_e4m3fn", "-448", 0xFE),
        ("float8_e4m3fn", "nan", 0x7F),
        ("float8_e4m3fn", "0.001953125", 1),
        ("int32", "-2147483648", 0x80000000),
        ("uint32", "3e+09", 3000000000),
        ("uint16", "65535", 0xFFFF),
        ("uint8", "any", 0),
        ("int8", "-1", 0xFF),
    ],
)
def test_padding(dtype, text, bits):
    rows = {"page_layout": "row_major", "memory": "l1"}
    rows["shard"] = {"kind": "width", "shape": [2, 2], "cores": [[0, 0, 1, 0]]}
    buffer = make_buffer([2, 3], dtype, "blackhole_p150", text, **rows)
    plain = np.dtype(PATTERNS.get(dtype, dtype))
    pages = to_pages(buffer, np.ones((2, 3), plain)).view(f"u{plain.itemsize}")
    assert [int(page[1]) for page in pages[1::2]] == [bits, bits]


@pytest.mark.parametrize("value", range(256))
def test_padding_of_every_float8(value):
    number = np.array([value], np.uint8).view(ml_dtypes.float8_e4m3fn)[0]
    if not np.isnan(number):
        rows = {"page_layout": "row_major", "shard": {"kind": "width", "shape": [1, 2], "cores": [[0, 0, 0, 0]]}}
        buffer = make_buffer([1, 1], "float8_e4m3fn", "blackhole_p150", str(float(number)), **rows)
        assert to_pages(buffer, np.zeros((1, 1), np.uint8))[0, 1] == value


@given(st.floats(width=32), st.sampled_from(["float32", "float16", "bfloat16"]))
def test_padding_is_rounded_to_nearest(number, dtype):
    buffer = make_buffer([1, 1], dtype, padding=repr(number))
    kind = SPECIAL.get(dtype, dtype)
    with np.errstate(over="ignore"):
        expected = np.array([number], np.float32).astype(kind)
    try:
        found = to_pages(buffer, np.ones((1, 1), kind)).view(kind)[0, 1:2]
    except errors.OptionError:
        limit = float(ml_dtypes.finfo(kind).max)
        assert np.isinf(expected[0]) or abs(number) > limit
        return
    assert np.array_equal(bits_of(found), bits_of(expected)) or np.isnan(number)


@pytest.mark.parametrize(
    ("dtype", "text"),
    [
        ("uint8", "-1"),
        ("uint8", "256"),
        ("int32", "1.5"),
        ("int32", "-inf"),
        ("int32", "nan"),
        ("int32", "one"),
        ("bfloat16", "one"),
        ("bfloat16", "3.4e38"),
        ("float16", "65505"),
        ("float32", "1e39"),
    ],
)
def test_refused_padding(dtype, text):
    buffer = make_buffer([2, 3], dtype, padding=text)
    with pytest.raises(errors.OptionError, match=f'^TT844: buffer `A`: padding_value is "{text}"; .* of {dtype}'):
        tilize(buffer, np.zeros((2, 3), PATTERNS.get(dtype, dtype)))


def test_no_infinity_in_float8():
    rows = {"page_layout": "row_major", "shard": {"kind": "width", "shape": [1, 2], "cores": [[0, 0, 0, 0]]}}
    buffer = make_buffer([1, 1], "float8_e4m3fn", "blackhole_p150", "-inf", **rows)
    with pytest.raises(errors.OptionError, match="TT844"):
        tilize(buffer, np.zeros((1, 1), np.uint8))


def test_nan_stays_nan():
    """A NaN whose payload is in the lower half would round to an infinity."""
    buffer = make_buffer([32, 32], "float32", data_format="Float16_b")
    array = np.full((32, 32), 0x7F800001, np.uint32).view(np.float32)
    assert (to_pages(buffer, array).view(np.uint16) == 0x7FC0).all()


@pytest.mark.parametrize("view", [np.asfortranarray, lambda a: a[::-1, ::-1], lambda a: np.repeat(a, 2, 1)[:, ::2]])
def test_arrays_need_not_be_contiguous(view):
    buffer = make_buffer([40, 50], "float32")
    array = np.arange(2000, dtype=np.float32).reshape(40, 50)
    assert np.array_equal(tilize(buffer, view(array)), tilize(buffer, np.ascontiguousarray(view(array))))
    banks = tilize(buffer, array)
    assert np.array_equal(untilize(buffer, np.asfortranarray(banks)), array)


def test_inputs_stay_and_may_be_read_only():
    buffer = make_buffer([40, 50], "float32")
    array = np.arange(2000, dtype=np.float32).reshape(40, 50)
    array.flags.writeable = False
    banks = tilize(buffer, array)
    banks.flags.writeable = False
    back = untilize(buffer, banks)
    assert np.array_equal(back, array)
    assert back.flags.writeable
    assert tilize(buffer, array).flags.writeable


def test_a_scalar():
    buffer = make_buffer([], "float32")
    assert untilize(buffer, tilize(buffer, np.float32(2.5))) == np.float32(2.5)


@pytest.mark.parametrize("dtype", SPECIAL)
def test_bit_patterns(dtype, monkeypatch):
    """Where numpy does not have a dtype, its bits do; they come back where ml_dtypes is missing."""
    layout = {"page_layout": "row_major"} if dtype == "float8_e4m3fn" else {}
    buffer = make_buffer([40, 50], dtype, "blackhole_p150", **layout)
    array = any_array(buffer)
    banks = tilize(buffer, array)
    assert np.array_equal(tilize(buffer, bits_of(array)), banks)
    assert untilize(buffer, banks).dtype == SPECIAL[dtype]
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    back = untilize(buffer, banks)
    assert back.dtype == PATTERNS[dtype]
    assert np.array_equal(back, bits_of(array))


@pytest.mark.parametrize(
    ("dtype", "array", "found"),
    [
        ("float32", np.zeros((2, 3)), "an array of float64; expected a numpy array of float32 in"),
        ("float32", np.zeros((2, 3), ">f4"), "an array of >f4; expected"),
        ("float32", [[0.0] * 3] * 2, "a list; expected"),
        ("float32", None, "a NoneType; expected"),
        ("bfloat16", np.zeros((2, 3), np.int16), "an array of int16; expected a numpy array of bfloat16 or uint16 in"),
        ("bfloat16", np.zeros((2, 3), np.float16), "an array of float16"),
        ("uint16", np.zeros((2, 3), ml_dtypes.bfloat16), "an array of bfloat16; expected a numpy array of uint16 in"),
        ("float16", np.zeros((2, 3), np.uint16), "an array of uint16"),
    ],
)
def test_refused_arrays(dtype, array, found):
    with pytest.raises(errors.ArgumentError, match=f"^TT840: buffer `A`: found {found}"):
        tilize(make_buffer([2, 3], dtype), array)


@pytest.mark.parametrize("shape", [(3, 2), (6,), (1, 2, 3), (2, 4), ()], ids=str)
def test_refused_shapes(shape):
    with pytest.raises(errors.ShapeError, match=r"^TT841: .* array of shape \(.*\); expected \(2, 3\)"):
        tilize(make_buffer([2, 3], "float32"), np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    "banks", [np.zeros((12, 2048), np.int8), bytes(12 * 2048), None], ids=["int8", "bytes", "none"]
)
def test_refused_bytes(banks):
    with pytest.raises(errors.ArgumentError, match=r"^TT840: buffer `A`: found .*; expected an array of uint8"):
        untilize(make_buffer([2, 3], "bfloat16"), banks)


@pytest.mark.parametrize("shape", [(12, 2047), (11, 2048), (12 * 2048,), (1, 12, 2048)], ids=str)
def test_refused_banks(shape):
    buffer = make_buffer([2, 3], "bfloat16")
    with pytest.raises(errors.ShapeError, match=r"^TT841: .* expected \(12, 2048\), num_banks x bytes_per_bank"):
        untilize(buffer, np.zeros(shape, np.uint8))
    with pytest.raises(errors.ShapeError, match=r"expected \(1, 2048\), num_pages x page_size_bytes"):
        from_pages(buffer, np.zeros(shape, np.uint8))


def test_refused_symbolic_buffers():
    buffer = replace(make_buffer([2, 3]), shape=("m", 3), num_pages="(m + 31) // 32")
    for call in (tilize, untilize, to_pages, from_pages):
        with pytest.raises(errors.ShapeError, match=r"^TT842: .*\['m', 3\] depends .*\nhelp: specialize") as caught:
            call(buffer, np.zeros((2, 3), np.uint16))
        assert caught.value.code == "TT842"


def test_refused_dtype():
    with pytest.raises(errors.DtypeError, match=r"^TT404: buffer `A`: dtype float64; expected one of: float32, "):
        tilize(replace(make_buffer([2, 3]), dtype="float64"), np.zeros((2, 3)))


@pytest.mark.parametrize("data_format", ["Int32", "Bfp2_b", "Float16"])
def test_refused_formats(data_format):
    with pytest.raises(errors.TTError, match=r"^TT40[39]: "):
        tilize(replace(make_buffer([32, 32], "float32"), data_format=data_format), np.zeros((32, 32), np.float32))


BLOCK_SHARD = {"kind": "block", "shape": [64, 64], "cores": [[0, 0, 1, 1]]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"page_size_bytes": 2000}, "page_size_bytes is 2000; the others give 2048"),
        ({"aligned_page_size_bytes": 2047}, "aligned_page_size_bytes is 2047; expected at least 2048"),
        ({"num_pages": 15}, "num_pages is 15; the others give 16"),
        ({"num_banks": 0}, "num_banks is 0; expected at least 1"),
        ({"num_banks": 11}, "number of cores of its shards is 12|bytes_per_bank is"),
        ({"bytes_per_bank": 2048}, "bytes_per_bank is 2048; the others give 4096"),
        ({"data_format": "Bfp8_b"}, "page_size_bytes is 2048; the others give 1088"),
        ({"tile_shape": (16, 32)}, "page_size_bytes is 2048; the others give 1024"),
        ({"tile_shape": None}, "TT402: .*no tile of 0x0"),
        ({"tile_shape": (3, 32)}, "TT402: .*no tile of 3x32"),
        ({"page_layout": "row_major", "data_format": "Bfp4_b"}, "Bfp4_b is never stored in pages that are rows"),
        ({"shape": (100, 0)}, "extent of its shape is 0; expected at least 1"),
        ({"padding_value": None}, "number of bytes of the padding is 0; the others give 2"),
    ],
)  # fmt: skip
def test_contradictions(changes, message):
    buffer = replace(make_buffer([100, 100], "bfloat16"), **changes)
    if "num_banks" in changes and changes["num_banks"] == 11:
        buffer = replace(buffer, bytes_per_bank=0)
    with pytest.raises(errors.TTError, match=message) as caught:
        tilize(buffer, np.zeros(buffer.shape, np.uint16))
    assert caught.value.code in ("TT843", "TT402")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cores": ((0, 0),)}, "number of cores of its shards is 1; the others give 4"),
        ({"tensor_pages": (4, 5)}, "product of tensor_pages is 20; the others give 16"),
        ({"tensor_pages": (4, 2, 2)}, "rank of shard_pages is 2; the others give 3"),
        ({"tensor_pages": (-4, -4)}, "extent of tensor_pages is -4; expected at least 1"),
        ({"shard_pages": (2, 0)}, "extent of shard_pages is 0"),
        ({"shard_pages": (1, 4)}, "extent of shard_grid is 2; the others give 4"),
        ({"shard_grid": (2,)}, "rank of shard_grid is 1; the others give 2"),
        ({"num_shards": 5}, "num_shards is 5; the others give 4"),
        ({"shards_per_core": 0}, "shards_per_core is 0; the others give 1"),
        ({"pages_per_shard": 1}, "pages_per_shard is 1; the others give 4"),
    ],
)
def test_contradictions_of_shards(changes, message):
    buffer = make_buffer([128, 128], "bfloat16", memory="l1", shard=BLOCK_SHARD)
    buffer = replace(buffer, shard=replace(buffer.shard, **changes))
    with pytest.raises(errors.PlanError, match=f"^TT843: buffer `A`: {message}"):
        tilize(buffer, np.zeros((128, 128), np.uint16))


def test_a_plan():
    """By name, by position and by the record; where several kernels or tensors are meant, as elsewhere."""
    first, second = make_buffer([40, 50], "float32"), replace(make_buffer([3], "int32"), name="B", param_index=2)
    kernel = replace(plans.SAMPLE.kernels[0], buffers=(first, second))
    plan = replace(plans.SAMPLE, kernels=(kernel,))
    array = np.arange(2000, dtype=np.float32).reshape(40, 50)
    banks = tilize(first, array)
    for meant in ("A", 0, first):
        assert np.array_equal(plan.tilize(array, meant), banks)
        assert np.array_equal(plan.untilize(banks, meant), array)
    assert plan.buffer("B", "matmul") == plan.buffer(2) == second
    with pytest.raises(errors.BufferLookupError, match=r"TT106: no tensor parameter 1; tensors: A \(parameter 0\), B"):
        plan.tilize(array, 1)
    alike = replace(plan, kernels=(replace(kernel, buffers=(first, replace(second, name="A"))),))
    with pytest.raises(errors.BufferLookupError, match=r"TT107: 2 tensors are named A; give an index instead"):
        alike.untilize(banks, "A")


NUMBERS = (
    ["page_size_bytes", "aligned_page_size_bytes", "num_pages", "num_banks", "bytes_per_bank"],
    ["num_shards", "shards_per_core", "pages_per_shard"],
    ["tensor_pages", "shard_pages", "shard_grid"],
)
ANY_NUMBER = st.one_of(st.integers(-2, 40), st.sampled_from([2**31, 2**62, 2**63 - 1, -(2**63)]))


@given(cut_tensors(), st.booleans(), st.data())
def any_numbers(drawn, is_cut, data):
    shape, options = drawn
    if not is_cut:
        options = {"page_layout": options["page_layout"]}
    try:
        buffer = make_buffer(shape, "uint16", memory="l1", **options)
    except errors.ShapeError:
        assume(False)
    sizes, counts, lists = NUMBERS
    small = st.dictionaries(st.sampled_from(sizes), ANY_NUMBER, max_size=2)
    changed = replace(buffer, **data.draw(small))
    if is_cut:
        shard = data.draw(st.dictionaries(st.sampled_from(counts), ANY_NUMBER, max_size=2))
        of_rank = st.lists(ANY_NUMBER, max_size=3).map(tuple)
        shard |= data.draw(st.dictionaries(st.sampled_from(lists), of_rank, max_size=2))
        changed = replace(changed, shard=replace(buffer.shard, **shard))
    assume(changed != buffer)
    array = np.ones(shape, np.uint16)
    try:
        banks = tilize(changed, array)
    except (errors.TTError, ValueError, MemoryError):  # numpy's own refusals of a size
        return
    assert np.array_equal(untilize(changed, banks), array)


def test_no_number_reaches_beyond_the_arrays():
    """Whatever a buffer says, the bytes around the arrays stay; a sanitizer would see more than this test."""
    any_numbers()
    gc.unfreeze()
    gc.collect()  # reads every object, also one that lies where something was written
    gc.freeze()
