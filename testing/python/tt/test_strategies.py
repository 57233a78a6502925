"""What users draw with hypothesis is valid, shrinks to what is usual and prints as what was called; the small kernels
compute what numpy computes.
"""

import importlib
import sys

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from support import host, oracle
from support.infer import bare, infer

from tilelang.tt import annotate_tt_layout, apply_tt_defaults, devices, errors, execute, infer_default_tt_schedule
from tilelang.tt.plan import make_plan
from tilelang.tt.testing import kernels, strategies

pytestmark = pytest.mark.stage("testing")


def in_float32(array):
    return array.astype(np.float32)


# What each kernel makes of its arguments.
COMPUTED = {
    "copy": lambda A, C: A,
    "add": lambda A, B, C: A + B,
    "gemm": lambda A, B, C: (in_float32(A) @ in_float32(B)).astype(C.dtype),
    "row_sum": lambda A, C: in_float32(A).sum(axis=1).astype(C.dtype),
}


def name_of(kernel):
    return str(kernel.attrs["global_symbol"])


def assert_computes(kernel, inputs, **sizes):
    given_ = kernels.arguments(kernel, **sizes)
    found, expected = execute(kernel, *given_, **inputs), COMPUTED[name_of(kernel)](*given_)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(in_float32(found), in_float32(expected))


# ---- kernels ---------------------------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(strategies.kernels(largest=40), strategies.schedules((13, 10)))
def test_kernels_compute_what_numpy_does(kernel, schedule):
    assert_computes(kernel, {"device": "blackhole_p150", **schedule})


@settings(max_examples=8)
@given(strategies.kernels(symbolic=True), st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
def test_kernels_of_symbolic_sizes(kernel, M, N, K):
    sizes = {"M": M, "N": N, "K": K}
    variables = make_plan(kernel).kernel().shape_variables
    assert {*variables} <= {*sizes}
    assert_computes(kernel, {}, **{name: sizes[name] for name in variables})


KERNELS = {
    "copy": (kernels.copy(100, block=32, dtype="int8"), (4, 1, 1), ["int8"] * 2),
    "add": (kernels.add(3, 40, 100, block_M=16, block_N=32, dtype="uint8"), (4, 3, 3), ["uint8"] * 3),
    "gemm": (kernels.gemm(40, 100, 33, block_M=16, block_N=32, block_K=8), (4, 3, 1), ["bfloat16"] * 3),
    "row_sum": (kernels.row_sum(40, 100, block_M=16), (3, 1, 1), ["float32"] * 2),
}


@pytest.mark.parametrize("name", KERNELS)
def test_kernels(name):
    kernel, grid, dtypes = KERNELS[name]
    assert name_of(kernel) == name
    planned = make_plan(kernel).kernel()
    assert (planned.launches[0].grid, [buffer.dtype for buffer in planned.buffers]) == (grid, dtypes)
    assert_computes(kernel, {})


SMALL = kernels.copy(100)


def test_kernels_are_in_the_language_of_the_host():
    assert ("tl.launch_threads" in SMALL.script()) == host.ON_TILELANG


def test_arguments():
    """The same for one seed, others for another, of values that every dtype has."""
    kernel = kernels.gemm("M", 8, 9)
    one, again, other = (kernels.arguments(kernel, seed=seed, M=5) for seed in (1, 1, 2))
    assert [array.shape for array in one] == [(5, 9), (9, 8), (5, 8)]
    assert all(np.array_equal(*pair) for pair in zip(one, again, strict=True))
    assert not np.array_equal(one[0], other[0])
    assert set(np.unique(4 * in_float32(one[0]))) <= set(range(-8, 9))


@settings(max_examples=25)
@given(strategies.kernels(symbolic=True), strategies.inputs())
def test_the_whole_pipeline_takes_what_is_drawn(kernel, inputs):
    make_plan(kernel, **inputs)  # verified; warnings are errors here


@given(st.data())
@settings(max_examples=10)
def test_kernels_by_name(data):
    names = data.draw(st.lists(st.sampled_from(strategies.KERNELS), min_size=1, unique=True))
    assert name_of(data.draw(strategies.kernels(*names))) in names


def test_refuses_other_names():
    with pytest.raises(errors.OptionError, match=r"^TT949: found matmul, softmax; expected any of: copy, add, gemm, "):
        strategies.kernels("softmax", "gemm", "matmul")


# ---- the others ------------------------------------------------------------------------------------------------------


@given(strategies.grids(5), strategies.shapes(1, 3, largest=9), strategies.dtypes())
def test_grids_shapes_and_dtypes(grid, shape, dtype):
    assert len(grid) == 3
    assert all(1 <= extent <= 5 for extent in grid)
    assert 1 <= len(shape) <= 3
    assert all(1 <= extent <= 9 for extent in shape)
    assert dtype in oracle.TILED_DTYPES


def test_dtypes_are_all_that_do_not_warn():
    assert {*strategies.DTYPES, "float16"} == {*oracle.TILED_DTYPES}


@given(st.data())
def test_cores(data):
    """Disjoint, inside the grid, and one rectangle where it is asked for."""
    columns, rows = data.draw(st.tuples(st.integers(1, 21), st.integers(1, 12)))
    rectangle = data.draw(st.booleans())
    cells = oracle.cells_of(data.draw(strategies.cores((columns, rows), rectangle=rectangle)))
    assert len(cells) == len(set(cells)) > 0
    xs, ys = zip(*cells, strict=True)
    assert 0 <= min(xs) <= max(xs) < columns
    assert 0 <= min(ys) <= max(ys) < rows
    if rectangle:
        assert len(cells) == (max(xs) + 1 - min(xs)) * (max(ys) + 1 - min(ys))


@given(strategies.policies(), strategies.tile_orders(), strategies.tile_orders(swizzled=False))
def test_what_a_choice_needs_is_drawn_with_it(policy, order, plain):
    assert ("schedule_block_size" in policy) == (policy["schedule_policy"] == "block_cyclic")
    assert ("swizzle_panel" in order) == order["schedule_order"].startswith("swizzled")
    assert plain["schedule_order"] in strategies.ORDERS


@settings(max_examples=25)
@given(strategies.devices(), strategies.devices(partial=True), strategies.devices(derived=False))
def test_devices(device, any_device, known):
    infer(SMALL, device=device)
    infer_default_tt_schedule(apply_tt_defaults(SMALL, device=any_device))
    assert known in devices()


def test_partial_devices():
    """Those that inference refuses are drawn on request alone."""
    device = find(strategies.devices(partial=True), lambda device: device.dram_alignment is None)
    with pytest.raises(errors.DeviceError, match="TT314"):
        infer(SMALL, device=device)


@settings(max_examples=60)
@given(strategies.shapes(largest=30), strategies.dtypes(), strategies.devices(), st.data())
def test_layouts(shape, dtype, device, data):
    layout = data.draw(strategies.layouts(shape, dtype, worker_grid=device.worker_grid))
    func = bare(buffers=[("A", shape, dtype)])
    infer(annotate_tt_layout(func, "A", layout), device=device)


@pytest.mark.parametrize("kind", ["height", "width", "block", "nd"])
def test_every_kind_of_shard_is_drawn(kind):
    layout = find(strategies.layouts((40, 50)), lambda layout: layout.shard is not None and layout.shard.kind == kind)
    infer(annotate_tt_layout(bare(buffers=[("A", (40, 50), "bfloat16")]), "A", layout))


SMALLEST = {
    "grids": (strategies.grids(), (1, 1, 1)),
    "shapes": (strategies.shapes(), ()),
    "dtypes": (strategies.dtypes(), "float32"),
    "devices": (strategies.devices(), devices()[0]),
    "cores": (strategies.cores(), [[0, 0, 0, 0]]),
    "policies": (strategies.policies(), {"schedule_policy": "contiguous"}),
    "tile_orders": (strategies.tile_orders(), {"schedule_order": "row_major"}),
    "schedules": (
        strategies.schedules(),
        {
            "schedule_policy": "contiguous",
            "schedule_order": "row_major",
            "cores": [[0, 0, 0, 0]],
            "core_order": "row_major",
        },
    ),
    "inputs": (strategies.inputs(), {"device": "wormhole_n150"}),
}


@pytest.mark.parametrize("name", SMALLEST)
def test_shrinks_to_what_is_usual(name):
    drawn, smallest = SMALLEST[name]
    assert find(drawn, lambda _: True, settings=settings(max_examples=5)) == smallest


def test_a_failing_kernel_shrinks_and_shows_the_call():
    @settings(max_examples=5, phases=[Phase.generate, Phase.shrink])
    @given(strategies.kernels("copy", largest=3))
    def fails(kernel):
        raise ValueError(f"of {make_plan(kernel).kernel().buffers[0].shape}")

    with pytest.raises(ValueError, match=r"^of \(1,\)") as caught:
        fails()
    if sys.version_info >= (3, 11):
        assert "kernel=copy(N=1, block=16, dtype='float32')" in "".join(caught.value.__notes__)


def test_without_hypothesis(monkeypatch):
    name = "tilelang.tt.testing.strategies"
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    monkeypatch.delitem(sys.modules, name)
    with pytest.raises(errors.HostError, match=r"^TT947: hypothesis is not installed"):
        importlib.import_module(name)
