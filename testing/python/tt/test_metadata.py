"""Reading the attributes back: `buffer_attrs` and `schedule_attrs`."""

import pytest
from support import host, oracle
from support.host import T
from support.infer import bare, copy_kernel, infer
from tvm import tirx

from tilelang.tt import (
    BufferAttrs,
    ScheduleAttrs,
    apply_tt_defaults,
    buffer_attrs,
    errors,
    infer_default_tt_schedule,
    launch_attrs,
    schedule_attrs,
)

pytestmark = pytest.mark.stage("metadata")

KERNEL = infer(copy_kernel(shape=(40, 50)))


def types_in(value):
    """The types of a value and of all that it holds."""
    yield type(value)
    items = value.items() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in items:
        for part in item if isinstance(item, tuple) else (item,):
            yield from types_in(part)


def test_schedule_attrs():
    assert schedule_attrs(KERNEL) == oracle.schedule_attrs((3, 2, 1), params=[("A", None), ("C", None)])
    strided = schedule_attrs(infer(bare((65, 1, 1)), schedule_policy="strided"))
    everything = set(ScheduleAttrs.__annotations__) - {"tt_tile_range", "tt_persistent"}
    assert set(schedule_attrs(KERNEL)) == everything - {"tt_tile_runs"}
    assert set(strided) == everything
    assert strided["tt_tile_runs"][:2] == [[[0, 1, 64, 2]], [[1, 1, 0, 1]]]


def two_launches():
    @T.prim_func
    def main(A: T.Buffer((64,), "float32")):
        for bx in T.thread_binding(64, thread="blockIdx.x"):
            A[bx] = T.float32(1)
        for by in T.thread_binding(5, thread="blockIdx.y"):
            A[by] = A[by] + T.float32(1)

    return main


def test_launch_attrs():
    assert launch_attrs(KERNEL) == [schedule_attrs(KERNEL)]
    func = infer(two_launches())
    sources = []
    for found, grid in zip(launch_attrs(func), [(64, 1, 1), (1, 5, 1)], strict=True):
        expected = oracle.schedule_attrs(grid)
        assert {**found, "tt_runtime_args_schema": None} == {**expected, "tt_runtime_args_schema": None}
        assert not set(found) & set(func.attrs.keys())
        sources.append(found["tt_runtime_args_schema"][4]["source"])
    assert sources == ["none", "unresolved"]  # of kt_tiles: only the second one accumulates
    with pytest.raises(errors.MultipleLaunchesError, match="the kernel has 2 launches; launch_attrs gives"):
        schedule_attrs(func)


def test_missing_launch_attrs():
    with pytest.raises(errors.MissingInputError, match="run tilelang"):
        launch_attrs(apply_tt_defaults(two_launches()))


def test_schedule_is_plain_python():
    assert {*types_in(schedule_attrs(KERNEL))} == {dict, list, int, str}


@pytest.mark.parametrize(("name", "index", "access"), [("A", 0, "read"), ("C", 1, "write")])
def test_buffer_attrs(name, index, access):
    expected = oracle.buffer_attrs(name, index, "float32", (40, 50), access)
    for buffer in (name, index, KERNEL.params[index]):
        assert buffer_attrs(KERNEL, buffer) == expected
    assert set(expected) == set(BufferAttrs.__annotations__) - {"tt_shard"}  # of tensors with shards only


def test_buffer_is_plain_python():
    attrs = buffer_attrs(KERNEL, "A")
    assert {*types_in(attrs)} == {dict, list, int, str, bool}
    assert attrs["tt_needs_padding"] is True


if host.HAS_BUFFER_MAP:

    def test_buffer_itself():
        param = KERNEL.params[1]
        assert buffer_attrs(KERNEL, KERNEL.buffer_map[param])["name"] == "C"


def test_result_is_a_copy():
    buffer_attrs(KERNEL, "A")["shape"].append(7)
    assert buffer_attrs(KERNEL, "A")["shape"] == [40, 50]


@pytest.mark.parametrize("buffer", ["B", "", "a", 2, -1])
def test_no_such_buffer(buffer):
    with pytest.raises(errors.BufferLookupError, match=r"A \(parameter 0\), C \(parameter 1\)"):
        buffer_attrs(KERNEL, buffer)


def test_scalar_is_no_buffer():
    func = tirx.PrimFunc([tirx.Var("n", "int32"), tirx.decl_buffer((4,), "float32", name="A")], tirx.Evaluate(0))
    func = infer(func.with_attr("tl_grid_x", 2))
    assert buffer_attrs(func, 1)["name"] == "A"
    for buffer in ("n", 0, func.params[0]):
        with pytest.raises(errors.BufferLookupError, match=r"A \(parameter 1\)"):
            buffer_attrs(func, buffer)


def test_parameter_of_another_function():
    with pytest.raises(errors.BufferLookupError, match="is not a parameter of the function"):
        buffer_attrs(KERNEL, copy_kernel().params[0])


@pytest.mark.parametrize("buffer", [True, False])
def test_truth_value_is_no_index(buffer):
    with pytest.raises(errors.ArgumentError, match="found bool; expected a tensor's name"):
        buffer_attrs(KERNEL, buffer)


@pytest.mark.parametrize("buffer", [None, 1.0, ["A"]])
def test_neither_name_nor_parameter(buffer):
    with pytest.raises(errors.TTError):
        buffer_attrs(KERNEL, buffer)


def test_two_buffers_of_one_name():
    func = tirx.PrimFunc([tirx.decl_buffer((extent,), "int8", name="A") for extent in (4, 8)], tirx.Evaluate(0))
    func = infer(func.with_attr("tl_grid_x", 2))
    with pytest.raises(errors.BufferLookupError, match="2 tensors are named A; give an index instead"):
        buffer_attrs(func, "A")
    assert [buffer_attrs(func, index)["shape"] for index in (0, 1)] == [[4], [8]]
    assert [buffer_attrs(func, param)["shape"] for param in func.params] == [[4], [8]]


def test_before_the_passes():
    for func in (copy_kernel(), bare(), apply_tt_defaults(copy_kernel())):
        with pytest.raises(
            errors.MissingInputError, match=r"no attribute tt_.*run tilelang\.tt\.infer_default_tt_schedule"
        ):
            schedule_attrs(func)
        with pytest.raises(
            errors.MissingInputError, match=r"no attribute tt_buffers; run tilelang\.tt\.infer_default_tt_shard"
        ):
            buffer_attrs(func, "A")
    with pytest.raises(errors.MissingInputError):
        buffer_attrs(infer_default_tt_schedule(apply_tt_defaults(copy_kernel())), "A")
