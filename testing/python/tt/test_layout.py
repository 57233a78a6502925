"""Layouts of single tensors: chosen with annotate_tt_layout, followed by infer_default_tt_shard."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import tvm
from hypothesis import given
from hypothesis import strategies as st
from support import oracle
from support.host import T
from support.infer import bare, copy_kernel, infer, module, plain

from tilelang.tt import (
    Layout,
    PageLocation,
    Shard,
    _native,
    annotate_tt_layout,
    apply_tt_defaults,
    buffer_attrs,
    errors,
    infer_default_tt_shard,
    list_buffer_attrs,
    page_location,
    specialize,
)

pytestmark = pytest.mark.stage("shard")

SHARDING = json.loads((Path(__file__).parent / "data" / "sharding_wh_n150.json").read_text())["cases"]
ROW = [(0, 0, 7, 0)]


def kernel(shape=(256, 64), dtype="bfloat16"):
    return bare(buffers=[("A", shape, dtype), ("B", shape, dtype)])


def laid_out(layout, shape=(256, 64), dtype="bfloat16", **inputs):
    return buffer_attrs(infer(annotate_tt_layout(kernel(shape, dtype), "A", layout), **inputs), "A")


def layout_of(case):
    """What a case of the conformance data asks for."""
    asked = case["input"]
    kind = asked["memory_layout"].removesuffix("_SHARDED").lower()
    options = {"orientation": {"ROW_MAJOR": "row_major", "COL_MAJOR": "column_major"}[asked["orientation"]]}
    if "distribution" in asked:
        options["distribution"] = asked["distribution"].lower()
    shard = getattr(Shard, kind)(asked["shard_shape"], asked["core_ranges"], **options)
    return Layout(memory=asked["buffer"].lower(), shard=shard)


@pytest.mark.parametrize("case", SHARDING, ids=lambda case: case["name"].replace(" ", "_"))
def test_conformance(case):
    if "error" in case:
        with pytest.raises(errors.ShapeError) as caught:
            laid_out(layout_of(case), case["shape"])
        assert caught.value.code in ("TT433", "TT434", "TT436")
        return
    entry = laid_out(layout_of(case), case["shape"])
    assert entry["tt_layout"].upper() == case["memory_layout"]
    assert entry["tt_accessor_ct_args"] == case["ct_args"]
    assert entry["tt_num_pages"] == case["num_pages"]
    for page, core, address in case["pages"] or ():
        at = page_location(entry, page)
        assert (at.core, entry["tt_shard"]["address_if_alone"] + at.offset) == (tuple(core), address)


def test_the_attribute():
    shard = Shard.nd((1, 32, 64), np.array([[0, 0, 3, 0]]), distribution="contiguous_1d")
    func = annotate_tt_layout(kernel(), "B", Layout(memory="l1", shard=shard))
    func = annotate_tt_layout(func, 0, Layout(page_layout="row_major", data_format="Float32"))
    func = annotate_tt_layout(
        func, func.params[1], Layout(memory="l1", tile=(16, 32), shard=Shard.height((32, 64), ROW))
    )
    assert plain(func.attrs["tt_buffer_layouts"]) == [
        {"param_index": 0, "page_layout": "row_major", "data_format": "Float32"},
        {
            "param_index": 1,
            "memory": "l1",
            "tile": [16, 32],
            "shard": {"kind": "height", "shape": [32, 64], "cores": [[0, 0, 7, 0]], "orientation": "row_major"},
        },
    ]


def test_others_keep_the_inputs_of_the_function():
    func = infer(annotate_tt_layout(kernel(), "A", Layout(memory="l1")), tile_height=16)
    a, b = list_buffer_attrs(func)
    assert a == oracle.buffer_attrs("A", 0, "bfloat16", (256, 64), "none", (16, 32), memory="l1")
    assert b == oracle.buffer_attrs("B", 1, "bfloat16", (256, 64), "none", (16, 32))
    func = infer(annotate_tt_layout(kernel(), "A", Layout(memory="dram")), layout_type="l1_interleaved")
    assert [entry["tt_layout"] for entry in list_buffer_attrs(func)] == ["dram_interleaved", "l1_interleaved"]


@given(
    st.lists(st.integers(1, 70), max_size=3).map(tuple),
    st.sampled_from(["float32", "bfloat16"]),
    st.sampled_from(["dram", "l1"]),
    st.one_of(
        st.builds(
            lambda tile, data_format: {"page_layout": "tile", "tile": tile, "data_format": data_format},
            st.sampled_from(oracle.TILE_SHAPES),
            st.sampled_from(oracle.FLOAT_FORMATS),
        ),
        st.just({"page_layout": "row_major"}),
    ),
)
def test_oracle(shape, dtype, memory, options):
    tile = options.get("tile", (32, 32))
    rest = {key: value for key, value in options.items() if key != "tile"}
    assert laid_out(Layout(memory=memory, **options), shape, dtype) == oracle.buffer_attrs(
        "A", 0, dtype, shape, "none", tile, memory=memory, **rest
    )


def test_an_entry_with_shards():
    entry = laid_out(Layout(memory="l1", shard=Shard.block((64, 32), [(1, 2, 2, 5)])))
    assert (entry["tt_layout"], entry["tt_memory"], entry["tt_num_banks"]) == ("block_sharded", "l1", 8)
    assert entry["tt_bytes_per_bank"] == 4096
    assert entry["tt_shard"] == {
        "shape": [64, 32],
        "cores": [[x, y] for y in range(2, 6) for x in (1, 2)],
        "orientation": "row_major",
        "distribution": "grid_2d",
        "tensor_pages": [8, 2],
        "shard_pages": [2, 1],
        "shard_grid": [4, 2],
        "num_shards": 8,
        "shards_per_core": 1,
        "pages_per_shard": 2,
        "address_if_alone": 1499136 - 4096,
    }


def test_shards_in_dram_have_no_address_of_their_own():
    entry = laid_out(Layout(memory="dram", shard=Shard.height((32, 64), ROW)))
    assert "address_if_alone" not in entry["tt_shard"]
    assert page_location(entry, 5) == PageLocation(bank=2, offset=2048, core=None)


@given(st.sampled_from(["round_robin_1d", "contiguous_1d"]), st.sampled_from([(1, 2, 32, 64), (2, 64, 32), (64, 64)]))
def test_page_location_agrees_with_the_plan(distribution, shape):
    shard = Shard.nd(shape, [(0, 0, 1, 1)], distribution=distribution)
    layout = Layout(memory="l1", shard=shard)
    entry = laid_out(layout, (2, 4, 64, 64))
    for page in range(entry["tt_num_pages"]):
        at = page_location(entry, page)
        assert (at.bank, at.offset) == _native.locate(
            (2, 4, 64, 64), "bfloat16", "wormhole_n150", layout.as_options(), page
        )


def test_the_l1_of_another_device():
    """What is remembered of one device is not taken for another's."""
    layout = Layout(memory="l1", shard=Shard.height((32, 64), ROW))
    wormhole, blackhole = laid_out(layout), laid_out(layout, device="blackhole_p150")
    assert wormhole["tt_shard"]["address_if_alone"] == 1499136 - 4096
    assert blackhole["tt_shard"]["address_if_alone"] == 1572864 - 4096
    interleaved = [laid_out(Layout(memory="l1"), device=device) for device in ("wormhole_n150", "blackhole_p150")]
    assert [entry["tt_num_banks"] for entry in interleaved] == [64, 130]


def test_float8_in_rows():
    entry = laid_out(Layout(page_layout="row_major"), (4, 100), "bfloat16", device="blackhole_p150")
    assert entry["tt_page_size"] == 200
    func = annotate_tt_layout(bare(buffers=[("A", (4, 100), "float8_e4m3fn")]), "A", Layout(page_layout="row_major"))
    (entry,) = list_buffer_attrs(infer(func, device="blackhole_p150"))
    assert (entry["tt_data_format"], entry["tt_page_size"], entry["tt_aligned_page_size"]) == ("Fp8_e4m3", 100, 128)


def test_a_block_format_for_all_tensors():
    func = bare(buffers=[("A", (32, 32), "float16"), ("B", (32, 32), "float32"), ("C", (32, 32), "int32")])
    formats = [entry["tt_data_format"] for entry in list_buffer_attrs(infer(func, data_format="Bfp4_b"))]
    assert formats == ["Bfp4_b", "Bfp4_b", "Int32"]
    func = annotate_tt_layout(func, "B", Layout(data_format="Float32"))
    formats = [entry["tt_data_format"] for entry in list_buffer_attrs(infer(func, data_format="Bfp4_b"))]
    assert formats == ["Bfp4_b", "Float32", "Int32"]


def test_float16_warns_only_of_tensors_that_nobody_decided():
    func = bare(buffers=[("A", (32, 32), "float16"), ("B", (32, 32), "float16")])
    func = annotate_tt_layout(func, "A", Layout(data_format="Float16"))
    with pytest.warns(errors.FormatWarning, match="stores B as Float16"):
        infer(func)
    func = annotate_tt_layout(func, "B", Layout(data_format="Float16_b"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [entry["tt_data_format"] for entry in list_buffer_attrs(infer(func))] == ["Float16", "Float16_b"]


def test_annotating_changes_nothing_else():
    func = infer(copy_kernel())
    annotated = annotate_tt_layout(func, "A", Layout(memory="l1"))
    assert "tt_buffers" in func.attrs
    assert "tt_buffer_layouts" not in func.attrs
    assert not {"tt_buffers", "tt_on_chip", "tt_traffic"} & set(annotated.attrs.keys())  # they are stale now
    assert annotated.body.same_as(func.body)
    again = infer_default_tt_shard(annotated)
    assert buffer_attrs(again, "A")["tt_memory"] == "l1"
    assert infer_default_tt_shard(again).same_as(again)


def test_modules():
    mod = module(copy_kernel())
    annotated = annotate_tt_layout(mod, "A", Layout(memory="l1"))
    assert "tt_buffer_layouts" not in mod["main"].attrs
    assert buffer_attrs(infer(annotated)["main"], "A")["tt_memory"] == "l1"
    two = tvm.IRModule({"one": copy_kernel(), "two": copy_kernel()})
    with pytest.raises(errors.ArgumentError, match=r"TT445: the module has 2 functions: .*; annotate one of them"):
        annotate_tt_layout(two, "A", Layout())


def test_it_survives_text_and_json():
    layout = Layout(memory="l1", tile=(16, 32), data_format="Bfp8_b", shard=Shard.block((64, 32), [(0, 0, 1, 3)]))
    func = annotate_tt_layout(copy_kernel((256, 64), "bfloat16"), "A", layout)
    mod = module(func)
    loaded = tvm.ir.load_json(tvm.ir.save_json(mod))
    tvm.ir.assert_structural_equal(infer(loaded), infer(mod))
    parsed = tvm.script.from_source(func.script())
    assert plain(parsed.attrs["tt_buffer_layouts"]) == plain(func.attrs["tt_buffer_layouts"])


@pytest.mark.parametrize(
    ("code", "make", "message"),
    [
        ("TT420", lambda: Layout(memory="sram"), 'parameter 0: unknown memory "sram"; expected one of: dram, l1'),
        ("TT421", lambda: Layout(page_layout="tiles"), 'unknown page layout "tiles"'),
        ("TT402", lambda: Layout(tile=(32, 8)), "no tile of 32x8"),
        ("TT302", lambda: Layout(tile=(32, 8, 1)), r"option tile is not \[height, width\]"),
        ("TT302", lambda: Layout(memory=3), "option memory is not a string"),
        ("TT403", lambda: Layout(data_format="bf16"), 'unknown data format "bf16"'),
        ("TT443", lambda: Layout(page_layout="row_major", tile=(32, 32)), "a tile is for pages that are tiles"),
        ("TT443", lambda: Layout(shard=Shard.height((32, 64), ROW)), "shards need a memory"),
        ("TT443", lambda: Layout(memory="l1", shard=Shard("width", (32, 64), ROW, "row_major", "grid_2d")),
         "a distribution is for shards of kind nd; found kind width"),
        ("TT430", lambda: Layout(memory="l1", shard=Shard("rows", (32, 64), ROW)), 'unknown shard kind "rows"'),
        ("TT302", lambda: Layout(memory="l1", shard=Shard.height((32, 64), [(0, 0, 7)])), "cores is not a list"),
        ("TT444", lambda: Layout(memory="l1", shard="height"), "expected a tilelang.tt.Shard"),
        ("TT444", lambda: Layout(tile=32), "tile is 32; expected integers"),
        ("TT444", lambda: Shard.height((32, 6.5), ROW), "expected integers"),
        ("TT444", lambda: Shard.height((32, 64), 7), "expected rectangles"),
        ("TT444", lambda: {"memory": "l1"}, "expected a tilelang.tt.Layout"),
    ],
)  # fmt: skip
def test_refused_at_once(code, make, message):
    func = kernel()
    with pytest.raises(errors.TTError, match=message) as caught:
        annotate_tt_layout(func, "A", make())
    assert caught.value.code == code
    assert "tt_buffer_layouts" not in func.attrs


def test_refused_tensors():
    func = bare(buffers=[("A", (4,), "int32"), ("A", (4,), "int32")])
    with pytest.raises(errors.BufferLookupError, match="TT107: 2 tensors are named A; give an index instead"):
        annotate_tt_layout(func, "A", Layout())
    with pytest.raises(errors.BufferLookupError, match=r"TT106: no tensor parameter X; tensors: A \(parameter 0\)"):
        annotate_tt_layout(func, "X", Layout())
    with pytest.raises(errors.BufferLookupError, match="TT106: no tensor parameter 2"):
        annotate_tt_layout(func, 2, Layout())
    with pytest.raises(errors.ArgumentError, match="TT101: found list"):
        annotate_tt_layout([], "A", Layout())


@pytest.mark.parametrize(
    ("code", "layout", "message", "help_"),
    [
        ("TT434", Layout(memory="l1", shard=Shard.height((32, 64), [(0, 0, 5, 0)])),
         "8 shards along the height of the tensor do not fit 6 cores", "change the shard"),
        ("TT432", Layout(memory="l1", shard=Shard.height((16, 64), ROW)), "no whole number of", "change"),
        ("TT313", Layout(memory="l1", shard=Shard.height((32, 64), [(0, 0, 8, 0)])), "8, 0", "change the shard"),
        ("TT438", Layout(memory="dram", shard=Shard.height((32, 64), [(0, 1, 7, 1)])), "expected banks", "change the"),
        ("TT407", Layout(page_layout="row_major", data_format="Bfp8_b"), "stored in tiles only", "choose other"),
        ("TT409", Layout(data_format="Int32"), "bfloat16 cannot be stored as Int32", "choose another format"),
        ("TT409", Layout(data_format="Fp8_e4m3"), "bfloat16 cannot be stored as Fp8_e4m3", "choose another format"),
    ],
)  # fmt: skip
def test_refused_for_the_tensor(code, layout, message, help_):
    func = apply_tt_defaults(annotate_tt_layout(kernel(), "A", layout))
    with pytest.raises(errors.TTError, match=message) as caught:
        infer_default_tt_shard(func)
    assert caught.value.code == code
    assert "parameter 0 (`A`): " in str(caught.value)
    assert f"help: {help_}" in str(caught.value)


def test_a_tensor_that_does_not_fit_l1():
    func = annotate_tt_layout(
        kernel((8192, 64), "float32"), "A", Layout(memory="l1", shard=Shard.height((8192, 64), [(0, 0, 0, 0)]))
    )
    with pytest.raises(errors.ShapeError, match=r"TT440: .*needs 2097152 bytes of L1 .*has 1393312 usable") as caught:
        infer(func)
    assert "help: put the tensor into DRAM" in str(caught.value)


@pytest.mark.parametrize(
    ("code", "layouts", "message"),
    [
        ("TT302", "l1", "attribute tt_buffer_layouts: found no list of maps"),
        ("TT302", ["l1"], "found no map of options"),
        ("TT302", [{"memory": "l1"}], "option param_index is not an integer"),
        (
            "TT441",
            [{"param_index": 0, "bank": 3}],
            'parameter 0: unknown option "bank"; expected any of: param_index, ',
        ),
        ("TT441", [{"param_index": 0, "memory": "l1", "shard": {"kind": "nd", "shape": [32, 32]}}], "cores is missing"),
        ("TT441", [{"param_index": 0, "memory": "l1", "shard": {"shape": [32, 32]}}], "option kind is missing"),
        ("TT441", [{"param_index": 0, "memory": "l1", "shard": {"kind": "nd"}}], "option shape is missing"),
        ("TT442", [{"param_index": 0}, {"param_index": 0}], "parameter 0: there are two layouts"),
        ("TT442", [{"param_index": 2, "memory": "l1"}], "parameter 2 is no tensor of the function"),
    ],
)
def test_refused_attributes(code, layouts, message):
    func = apply_tt_defaults(kernel()).with_attr("tt_buffer_layouts", layouts)
    with pytest.raises(errors.OptionError, match=message) as caught:
        infer_default_tt_shard(func)
    assert caught.value.code == code


@pytest.mark.parametrize("page", [-1, 16, 2**70])
def test_a_page_that_is_not_there(page):
    with pytest.raises(errors.OptionError, match=f"TT422: page {page} of a tensor of 16 pages"):
        page_location(laid_out(Layout()), page)


def test_specialize_keeps_layouts_with_their_tensors():
    """A scalar that gets a value is a parameter no more, and what follows it moves."""

    @T.prim_func
    def clear(b: T.handle, m: T.int32, a: T.handle):
        B = T.match_buffer(b, (m, 64), "bfloat16")
        A = T.match_buffer(a, (m, 64), "bfloat16")
        bx = T.launch_thread("blockIdx.x", 8)
        A[bx, 0] = B[bx, 0]

    shard = Shard.height((32, 64), ROW)
    func = annotate_tt_layout(clear, "A", Layout(memory="l1", shard=shard))
    with pytest.raises(errors.ShapeError, match=r"TT439: .*symbolic extent") as caught:
        infer(func)
    assert "help: run specialize before this pass" in str(caught.value)
    b, a = list_buffer_attrs(infer(specialize(func, m=256)))
    assert (b["tt_layout"], a["name"], a["param_index"], a["tt_layout"]) == (
        "dram_interleaved",
        "A",
        1,
        "height_sharded",
    )


def test_symbolic_rows():
    @T.prim_func
    def clear(a: T.handle, m: T.int32):
        A = T.match_buffer(a, (m, 64), "bfloat16")
        bx = T.launch_thread("blockIdx.x", 8)
        A[bx, 0] = T.bfloat16(0)

    entry = buffer_attrs(infer(annotate_tt_layout(clear, "A", Layout(page_layout="row_major"))), "A")
    assert (entry["tt_num_pages"], entry["tt_bytes_per_bank"]) == ("m", "(m + 11) // 12 * 128")
    assert (entry["tt_padding_bytes"], entry["tt_padding_percent"]) == (0, 0)
    with pytest.raises(errors.OptionError, match="TT422: page 0 of a tensor of m pages"):
        page_location(entry, 0)
