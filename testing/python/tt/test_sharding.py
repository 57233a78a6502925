"""How tensors are cut into shards: against ttnn's own results, against an oracle that cuts arrays, and against what a
kernel makes of the accessor's words.
"""

from math import prod

import numpy as np
import pytest
from hypothesis import assume, given
from support import conformance, oracle
from support.strategies import cut_tensors, shard_spec

from tilelang.tt import _native, errors

pytestmark = pytest.mark.stage("shard")

CASES = conformance.sharding_cases()
L1_SIZE, L1_BASE = 1499136, 105824  # of a Wormhole core


def lay_out(shape, shard, dtype="bfloat16", device="wormhole_n150", **options):
    return _native.lay_out(shape, dtype, device, {"memory": "l1", **options, "shard": shard})


# What our own words for ttnn's refusals have in common with them: the numbers.
REFUSALS = {
    "block grid too small": "TT434: 2 shards along the width of the tensor do not fit 1 columns of cores in row-major",
    "height shard width mismatch": "TT433: shard width 64 must match the padded width 128 of a height-sharded tensor",
    "nd grid2d": r"TT436: grid_2d is for shards of 2 dimensions; found 4 in \[1, 1, 64, 64\]",
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"].replace(" ", "_"))
def test_conformance(case):
    options = conformance.sharding_options(case)
    if "error" in case:
        with pytest.raises(errors.ShapeError, match=REFUSALS[case["name"]]):
            _native.lay_out(case["shape"], "bfloat16", "wormhole_n150", options)
        return
    layout = _native.lay_out(case["shape"], "bfloat16", "wormhole_n150", options)
    for key in ("padded_shape", "num_pages", "page_size", "aligned_page_size"):
        assert layout[key] == case[key]
    assert layout["accessor_ct_args"] == case["ct_args"]
    assert f"{layout['sharding']['kind']}_sharded".upper() == case["memory_layout"]
    if case["pages"] is None:
        assert "address_if_alone" not in layout
        return
    assert sorted(page for page, _, _ in case["pages"]) == list(range(layout["num_pages"]))
    for page, core, address in case["pages"]:
        bank, offset = _native.locate(case["shape"], "bfloat16", "wormhole_n150", options, page)
        assert layout["sharding"]["cores"][bank] == tuple(core)
        assert layout["address_if_alone"] + offset == address


def test_conformance_is_complete():
    assert len(CASES) == 10
    assert set(REFUSALS) == {case["name"] for case in CASES if "error" in case}


def places_by_words(words, num_pages):
    """{page: (core, slot)} as a kernel computes them from the accessor's words."""
    rank, banks = words[2], words[3]
    tensor, shard = words[4 : 4 + rank], words[4 + rank : 4 + 2 * rank]
    contiguous, num_banks = bool(banks & 2**31), banks & (2**31 - 1)
    grid = [-(-extent // step) for extent, step in zip(tensor, shard, strict=True)]
    out = {}
    for page in range(num_pages):
        at = np.unravel_index(page, tensor)
        number = int(np.ravel_multi_index([c // s for c, s in zip(at, shard, strict=True)], grid))
        within = int(np.ravel_multi_index([c % s for c, s in zip(at, shard, strict=True)], shard))
        per_bank = -(-prod(grid) // num_banks)
        bank, turn = divmod(number, per_bank) if contiguous else divmod(number, num_banks)[::-1]
        out[page] = (bank, turn * prod(shard) + within)
    return out


def coordinates(words, count):
    """The NoC coordinates in the accessor's last words, two in each."""
    packed = words[4 + 2 * words[2] :]
    assert len(packed) == -(-count // 2)
    halves = [half for word in packed for half in (word & 0xFFFF, word >> 16)]
    assert not any(halves[count:])
    return [(half >> 8, half & 0xFF) for half in halves[:count]]


def attempt(shape, options):
    """The layout; draws that are refused for a number of shards count for nothing."""
    try:
        return lay_out(shape, **options)
    except errors.ShapeError as error:
        assume(error.code not in ("TT434", "TT437"))
        raise


@given(cut_tensors())
def test_oracle(drawn):
    shape, options = drawn
    layout = attempt(shape, options)
    sharding, spec = layout["sharding"], options["shard"]
    page_shape = [32, 32] if options["page_layout"] == "tile" else [1, spec["shape"][-1]]
    expected = oracle.places_by_cutting(
        layout["padded_shape"],
        page_shape,
        spec["shape"],
        len(sharding["cores"]),
        spec.get("distribution") == "contiguous_1d",
    )
    assert set(expected) == set(range(layout["num_pages"]))
    assert places_by_words(layout["accessor_ct_args"], layout["num_pages"]) == expected
    options = {"memory": "l1", **options}
    aligned = layout["aligned_page_size"]
    for page, (core, slot) in expected.items():
        assert _native.locate(shape, "bfloat16", "wormhole_n150", options, page) == (core, slot * aligned)


@given(cut_tensors())
def test_properties(drawn):
    shape, options = drawn
    layout = attempt(shape, options)
    sharding, aligned = layout["sharding"], layout["aligned_page_size"]
    cores, spec = sharding["cores"], options["shard"]
    assert len(set(cores)) == len(cores) == layout["num_banks"]
    assert sharding["num_shards"] == prod(sharding["shard_grid"])
    assert (sharding["shards_per_core"] - 1) * len(cores) < sharding["num_shards"]
    assert sharding["num_shards"] <= sharding["shards_per_core"] * len(cores)
    assert prod(sharding["tensor_pages"]) == layout["num_pages"]
    assert layout["bytes_per_bank"] == sharding["shards_per_core"] * sharding["pages_per_shard"] * aligned
    assert L1_BASE <= layout["address_if_alone"] == L1_SIZE - layout["bytes_per_bank"]
    assert layout["address_if_alone"] % 16 == aligned % 16 == 0
    assert coordinates(layout["accessor_ct_args"], len(cores)) == [(18 + x, 18 + y) for x, y in cores]
    if spec["kind"] != "nd":
        assert sharding["shards_per_core"] == 1
    in_order = oracle.cores_of(spec["cores"], spec["orientation"])
    if spec["kind"] != "block":
        assert cores == in_order
    else:
        assert cores == [core for core in in_order if core in set(cores)]
        assert len(cores) == sharding["num_shards"]


@given(cut_tensors(kinds=("nd",)))
def test_a_simpler_kind_cuts_alike(drawn):
    """Where an ND spec becomes height, width or block, that kind puts every page on the same core."""
    shape, options = drawn
    layout = attempt(shape, options)
    kind = layout["sharding"]["kind"]
    if kind == "nd":
        return
    rows = prod(layout["padded_shape"][:-1])
    volume = prod(options["shard"]["shape"][:-1])
    simpler = {
        **options["shard"],
        "kind": kind,
        "shape": [rows if kind == "width" else volume, options["shard"]["shape"][-1]],
    }
    again = lay_out(shape, **{**options, "shard": simpler})
    assert again["num_pages"] == layout["num_pages"]
    for page in range(layout["num_pages"]):
        places = []
        for found, spec in ((layout, options["shard"]), (again, simpler)):
            asked = {"memory": "l1", **options, "shard": spec}
            bank, offset = _native.locate(shape, "bfloat16", "wormhole_n150", asked, page)
            places.append((found["sharding"]["cores"][bank], offset))
        assert places[0] == places[1]


def test_row_major_pages_are_rows_of_a_shard():
    """64 x 40 in shards 16 wide: padded to 48, pages of 32 bytes."""
    layout = lay_out([64, 40], shard_spec("width", [64, 16], [[0, 0, 2, 0]]), page_layout="row_major")
    assert (layout["padded_shape"], layout["needs_padding"]) == ([64, 48], True)
    assert (layout["page_size"], layout["num_pages"]) == (32, 192)
    assert layout["padding_bytes"] == 64 * 8 * 2


def test_blackhole_columns_skip_the_middle():
    layout = lay_out([32, 32 * 13], shard_spec("width", [32, 32], [[0, 0, 12, 0]]), device="blackhole_p150")
    assert coordinates(layout["accessor_ct_args"], 13) == [(x, 2) for x in [*range(1, 8), *range(10, 16)]]
    layout = lay_out([64, 32], shard_spec("height", [32, 32], [[6, 9, 7, 9]]), device="blackhole_p150")
    assert coordinates(layout["accessor_ct_args"], 2) == [(7, 11), (10, 11)]
    assert layout["address_if_alone"] == 1572864 - 2048


def test_rectangles_follow_each_other():
    cores = [[4, 2, 5, 3], [0, 0, 1, 0]]
    layout = lay_out([6 * 32, 32], shard_spec("height", [32, 32], cores, orientation="column_major"))
    assert layout["sharding"]["cores"] == [(4, 2), (4, 3), (5, 2), (5, 3), (0, 0), (1, 0)]


def test_dimensions_that_are_not_cut_are_one():
    layout = lay_out([4, 2, 64, 64], shard_spec("nd", [2, 64, 64], [[0, 0, 3, 0]]))
    assert layout["sharding"]["tensor_pages"] == [32]
    assert layout["sharding"]["shard_pages"] == [8]


@pytest.mark.parametrize(
    ("code", "shape", "shard", "options", "message"),
    [
        ("TT430", [64, 64], ("depth", [64, 64], [[0, 0, 0, 0]]), {}, 'unknown shard kind "depth"; expected one of'),
        ("TT430", [64, 64], ("nd", [64, 64], [[0, 0, 0, 0]]), {"distribution": "grid"}, 'distribution "grid"'),
        ("TT320", [64, 64], ("nd", [64, 64], [[0, 0, 0, 0]]), {"orientation": "COL"}, 'unknown core order "COL"'),
        ("TT310", [64, 64], ("height", [32, 64], []), {}, "no cores"),
        ("TT312", [64, 64], ("height", [32, 64], [[0, 0, 1, 0], [1, 0, 2, 0]]), {}, "overlap"),
        ("TT313", [64, 64], ("height", [32, 64], [[0, 0, 8, 0]]), {}, "8, 0"),
        ("TT431", [2, 64, 64], ("height", [1, 32, 64], [[0, 0, 1, 0]]), {}, "3 dimensions; expected 2 for this"),
        ("TT431", [64, 64], ("nd", [64], [[0, 0, 1, 0]]), {}, "has 1 dimensions; expected 2 for this tensor of 2"),
        ("TT431", [64, 64], ("nd", [1, 1, 64, 64], [[0, 0, 1, 0]]), {}, "has 4 dimensions; expected 2 for"),
        ("TT431", [64, 64], ("height", [0, 64], [[0, 0, 1, 0]]), {}, "expected at least 1 everywhere"),
        ("TT432", [64, 64], ("height", [16, 64], [[0, 0, 3, 0]]), {}, r"\[16, 64\] is no whole number"),
        ("TT432", [64, 64], ("width", [64, 33], [[0, 0, 3, 0]]), {}, r"\[64, 33\] is no whole number"),
        ("TT433", [64, 64], ("width", [32, 32], [[0, 0, 1, 0]]), {}, "shard height 32 must match the padded height 64"),
        ("TT434", [128, 64], ("height", [32, 64], [[0, 0, 2, 0]]), {}, "4 shards along the height .* fit 3 cores"),
        ("TT434", [64, 128], ("width", [64, 32], [[0, 0, 2, 0]]), {}, "4 shards along the width .* fit 3 cores"),
        ("TT434", [128, 32], ("block", [32, 32], [[0, 0, 0, 2]]), {}, "4 shards along the height .* 3 rows"),
        ("TT434", [128, 32], ("block", [32, 32], [[0, 0, 2, 0]]), {"orientation": "column_major"},
         "4 shards along the height .* 3 columns .* column-major"),
        ("TT435", [64, 64], ("block", [32, 32], [[0, 0, 1, 0], [0, 1, 1, 1]]), {}, "on 2 core rectangles"),
        ("TT437", [96, 32], ("nd", [32, 32], [[0, 0, 1, 0]]), {"distribution": "contiguous_1d"},
         "found 3 shards and 2 cores"),
        ("TT439", ["m", 64], ("height", [32, 64], [[0, 0, 1, 0]]), {}, "symbolic extent"),
        ("TT440", [1024, 2048], ("height", [1024, 2048], [[0, 0, 0, 0]]), {},
         "needs 4194304 bytes of L1 .*wormhole_n150 has 1393312 usable"),
    ],
)  # fmt: skip
def test_refused(code, shape, shard, options, message):
    with pytest.raises(errors.TTError, match=message) as caught:
        lay_out(shape, shard_spec(*shard, **options))
    assert caught.value.code == code


@pytest.mark.parametrize("cores", [[[0, 0, 12, 0]], [[0, 0, 3, 1]]])
def test_refused_banks(cores):
    with pytest.raises(errors.DeviceError, match=r"TT438: .*expected banks \[b, 0\] with b below 12 on wormhole_n150"):
        lay_out([64, 64], shard_spec("width", [64, 32], cores), memory="dram")


def test_l1_is_just_enough():
    rows = 1393312 // 32
    spec = shard_spec("height", [rows, 16], [[0, 0, 0, 0]])
    assert lay_out([rows, 16], spec, page_layout="row_major")["address_if_alone"] == L1_BASE
    with pytest.raises(errors.ShapeError, match="TT440: the tensor needs 1393344 bytes of L1"):
        lay_out([rows + 1, 16], {**spec, "shape": [rows + 1, 16]}, page_layout="row_major")


def test_interleaved_l1_has_to_fit_too():
    with pytest.raises(errors.ShapeError, match=r"TT440: .*1393312 usable"):
        _native.lay_out([2**13, 2**13], "float32", "wormhole_n150", {"memory": "l1"})
