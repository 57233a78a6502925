"""The verifier: what inference gives passes, every contradiction that is seeded is found and named."""

import re

import pytest
from support.host import T
from support.infer import bare, copy_kernel, infer, module, plain
from support.kernels import CASES

from tilelang.tt import apply_tt_defaults, errors, pipeline, verify_tt_metadata
from tilelang.tt.testing import check_pass, check_rejects

pytestmark = [pytest.mark.stage("verify"), pytest.mark.filterwarnings("ignore::tilelang.tt.errors.FormatWarning")]


def planned():
    """A grid of 3 x 2 = 6 work tiles, tensors of 70 x 96 elements, on 2 x 2 cores."""
    return infer(copy_kernel(shape=(70, 96)), cores=[[0, 0, 1, 1]])


def changed(func, key, change):
    """The function with one attribute changed in place, as plain containers."""
    return func.with_attr(key, change(plain(func.attrs[key])))


def replaced(values, position, value):
    return [*values[:position], value, *values[position + 1 :]]


def in_buffer(key, value):
    return lambda buffers: [{**buffers[0], key: value}, *buffers[1:]]


# What is seeded, the code that it gets, and what the message says of it.
CONTRADICTIONS = {
    "overlap": (
        lambda func: changed(func, "tt_tiles_per_core", lambda tiles: replaced(tiles, 1, [1, 2])),
        "TT704: kernel `main`: attribute tt_tiles_per_core gives work tile 1 to core 1 and to core 0",
    ),
    "gap": (
        lambda func: changed(func, "tt_tiles_per_core", lambda tiles: replaced(tiles, 1, [3, 1])),
        "TT705: kernel `main`: attribute tt_tiles_per_core gives work tiles 2 to 2 to no core",
    ),
    "missing_end": (
        lambda func: changed(func, "tt_tiles_per_core", lambda tiles: replaced(tiles, 3, [0, 0])),
        "TT705: kernel `main`: attribute tt_tiles_per_core gives work tiles 5 to 5 to no core",
    ),
    "beyond_the_grid": (
        lambda func: changed(func, "tt_tiles_per_core", lambda tiles: replaced(tiles, 3, [5, 2])),
        "TT706: kernel `main`: attribute tt_tiles_per_core ends before work tile 7, but the grid has 6",
    ),
    "negative_start": (
        lambda func: changed(func, "tt_tiles_per_core", lambda tiles: replaced(tiles, 0, [-1, 3])),
        "TT704: kernel `main`: attribute tt_tiles_per_core gives work tile -1 to core 0",
    ),
    "range_outside": (
        lambda func: func.with_attr("tt_core_ranges", [[0, 0, 8, 0]]),
        "TT707: kernel `main`: attribute tt_core_ranges has [0, 0, 8, 0], which leaves the worker grid [8, 8]",
    ),
    "padded_shape": (
        lambda func: changed(func, "tt_buffers", in_buffer("tt_padded_shape", [64, 96])),
        'TT708: kernel `main`: attribute tt_buffers[0]["tt_padded_shape"] is [64, 96], less than the shape [70, 96]',
    ),
    "count": (
        lambda func: func.with_attr("tt_num_tiles", 7),
        "TT701: kernel `main`: attribute tt_num_tiles is 7, but the kernel, its inputs and the device give 6",
    ),
    "bank": (
        lambda func: changed(func, "tt_buffers", in_buffer("tt_num_banks", 8)),
        'attribute tt_buffers[0]["tt_num_banks"] is 8, but the kernel, its inputs and the device give 12',
    ),
    "type": (
        lambda func: func.with_attr("tt_num_tiles", [6]),
        'attribute tt_num_tiles is [6], but the kernel, its inputs and the device give 6',
    ),
    "entry": (
        lambda func: changed(func, "tt_buffers", lambda buffers: replaced(buffers, 1, 3)),
        'TT701: kernel `main`: attribute tt_buffers[1] is 3, but the kernel, its inputs and the device give {',
    ),
    "launch": (
        lambda func: func.with_attr("tt_launches", [3]),
        "TT701: kernel `main`: attribute tt_launches is [3], but inference gives none",
    ),
    "missing": (
        lambda func: func.without_attr("tt_num_tiles"),
        "TT702: kernel `main`: attribute tt_num_tiles is missing",
    ),
    "missing_in_entry": (
        lambda func: changed(func, "tt_buffers", in_buffer("tt_padded_shape", None)),
        'attribute tt_buffers[0]["tt_padded_shape"] is None',
    ),
    "gone_variable": (
        lambda func: func.with_attr("tt_num_tiles", "(k + 31) // 32"),
        'TT709: kernel `main`: attribute tt_num_tiles is "(k + 31) // 32", but the kernel has no size k',
    ),
    "layout": (
        lambda func: changed(func, "tt_buffers", in_buffer("tt_layout", "height_sharded")),
        'TT701: kernel `main`: attribute tt_buffers[0]["tt_layout"] is "height_sharded", but',
    ),
    "device": (
        lambda func: func.with_attr("tt_device", "blackhole_p150"),
        "TT701: kernel `main`: attribute tt_core_grid[0] is 8, but the kernel, its inputs and the device give 13",
    ),
    "cores": (
        lambda func: func.with_attr("tt_cores", [[0, 0, 7, 7]]),
        "attribute tt_num_cores is 4, but the kernel, its inputs and the device give 64",
    ),
    "tile": (
        lambda func: func.with_attr("tt_tile_height", 16),
        "TT701: kernel `main`: attribute tt_buffers[0]",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_inference_gives_passes(case):
    check_pass(infer(case.build()), None, verify_tt_metadata)


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_refuses_a_contradiction(name):
    seed, message = CONTRADICTIONS[name]
    error = check_rejects(seed(planned()), verify_tt_metadata, match=re.escape(message), error=errors.MetadataError)
    assert "help: run infer_default_tt_schedule and infer_default_tt_shard again" in str(error)


def test_refuses_results_of_another_shape():
    before = planned()
    other = copy_kernel(shape=(128, 96)).with_attrs(dict(before.attrs.items()))
    message = r'attribute tt_buffers\[0\]\["shape"\]\[0\] is 70, .* give 128'
    check_rejects(other, verify_tt_metadata, match=message, error=errors.MetadataError)


def test_lists_every_contradiction_of_a_function():
    func = planned().with_attrs({"tt_num_tiles": 7, "tt_core_ranges": [[0, 0, 8, 0]], "tt_grid_z": 2})
    error = check_rejects(func, verify_tt_metadata, error=errors.MetadataError)
    # Of the seven tiles that are claimed, the last is on no core.
    assert error.codes == ("TT705", "TT707", "TT701", "TT701")


def test_refuses_results_on_a_function_that_is_no_kernel():
    lowered = bare(grid=(None, None, None)).with_attr("tt_num_tiles", 4)
    mod = module(planned())
    mod["lowered"] = lowered
    check_rejects(mod, verify_tt_metadata, code="TT703", match="tt_num_tiles stands on a function without a launch")


def test_asks_for_the_inputs():
    check_rejects(copy_kernel(), verify_tt_metadata, code="TT301")


def test_asks_for_the_results():
    check_rejects(apply_tt_defaults(copy_kernel()), verify_tt_metadata, code="TT702")


def test_pipeline_is_the_four_passes():
    check_pass(copy_kernel(), infer(copy_kernel(), device="wormhole_n300"), pipeline(device="wormhole_n300"))


def test_pipeline_refuses_unknown_inputs():
    with pytest.raises(errors.ArgumentError, match="TT103"):
        pipeline(devise="wormhole_n150")


def test_pipeline_leaves_other_functions_alone():
    @T.prim_func
    def host_code(A: T.Buffer((4,), "float32")):
        A[0] = T.float32(1)

    check_pass(host_code, None, pipeline())
