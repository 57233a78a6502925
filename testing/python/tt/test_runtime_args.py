"""The values of runtime arguments, and the schema that names them."""

import numpy as np
import pytest
from support import oracle
from support.host import T
from support.infer import bare, copy_kernel
from tvm import tirx

from tilelang.tt import apply_tt_defaults, errors, infer_default_tt_schedule, runtime_args, schedule_attrs

pytestmark = pytest.mark.stage("schedule")


def schedule(func, **inputs):
    return infer_default_tt_schedule(apply_tt_defaults(func, **inputs))


def names(func):
    return [argument["name"] for argument in schedule_attrs(func)["tt_runtime_args_schema"]]


def scaled():
    @T.prim_func
    def main(A: T.Buffer((64, 64), "float32"), scale: T.float32, n: T.int32, C: T.Buffer((64, 64), "float32")):
        bx = T.launch_thread("blockIdx.x", 10)
        for i in range(n):
            C[bx, i] = A[bx, i] * scale

    return main


@pytest.mark.parametrize("grid", [(1, 1, 1), (7, 5, 1), (13, 10, 3)], ids=str)
@pytest.mark.parametrize("cores", [[[0, 0, 7, 7]], [[0, 0, 2, 0], [5, 5, 6, 7]]], ids=str)
def test_per_core(grid, cores):
    x, y, z = grid
    found = runtime_args(schedule(copy_kernel(grid=grid), cores=cores))
    table = oracle.tiles_per_core(x * y * z, len(oracle.cores_of(cores, "row_major")))
    assert list(found.per_core) == ["start_id", "count"]
    for column, values in zip(zip(*table, strict=True), found.per_core.values(), strict=True):
        assert values.dtype == np.uint32
        assert values.tolist() == list(column)
    grid_z = {"grid_z": z} if z > 1 else {}
    assert found.common == {"grid_x": x, "grid_y": y, "kt_tiles": 1, **grid_z}
    assert {type(value) for value in found.common.values()} == {np.uint32}
    assert found.missing == ("A_addr", "C_addr")


def tiles_of(values, core):
    """What a program would run: run after run, or one range."""
    if "run_length" not in values:
        return list(range(values["start_id"][core], values["start_id"][core] + values["count"][core]))
    tiles, suffix, start = [], "", values["start_id"][core]
    while f"run_length{suffix}" in values:
        length, stride, repeat = (values[f"run_{key}{suffix}"][core] for key in ("length", "stride", "repeat"))
        tiles += [int(start + r * stride + i) for r in range(repeat) for i in range(length)]
        suffix = f"_{int(suffix[1:] or 1) + 1}"
        start = values[f"run_start{suffix}"][core] if f"run_start{suffix}" in values else 0
    return tiles


@pytest.mark.parametrize("grid", [(1, 1, 1), (7, 5, 1), (13, 10, 3), (8, 8, 1)], ids=str)
@pytest.mark.parametrize(
    ("policy", "block_size"), [("contiguous", None), ("strided", None), ("block_cyclic", 3), ("rectangular", None)]
)
def test_policies(policy, block_size, grid):
    cores = [[0, 0, 2, 2]]
    block = {"schedule_block_size": block_size} if block_size else {}
    func = schedule(copy_kernel(grid=grid), cores=cores, schedule_policy=policy, **block)
    hands = oracle.tiles_of_cores(grid, cores, "row_major", policy, block_size)
    values = runtime_args(func).per_core
    assert [tiles_of(values, core) for core in range(9)] == hands
    assert set(values) <= set(names(func))


def test_wide_numbers():
    found = runtime_args(schedule(bare((2**33, 2, 1))))
    assert found.per_core["start_id"].dtype == np.uint64
    assert found.common["grid_x"] == 2**33


def test_given():
    func = schedule(scaled())
    found = runtime_args(func, {"A_addr": 1024, "scale": 0.5}, n=3)
    assert (found.common["A_addr"], found.common["scale"], found.common["n"]) == (1024, 0.5, 3)
    assert found.common["scale"].dtype == np.float32
    assert found.common["n"].dtype == np.int32
    assert found.common["n_trips" if "n_trips" in found.common else "i_trips"] == 3
    assert found.missing == ("C_addr",)


@pytest.mark.parametrize(
    ("given", "sizes", "error", "message"),
    [
        ({"grid_x": 2}, {"n": 3}, errors.OptionError, "TT530: argument grid_x cannot be given; expected any of: scale"),
        ({"B_addr": 2}, {"n": 3}, errors.OptionError, "TT530: argument B_addr cannot be given"),
        ({"A_addr": 2**32}, {"n": 3}, errors.OptionError, "TT531: argument A_addr is 4294967296; expected a number"),
        ({"A_addr": -1}, {"n": 3}, errors.OptionError, "TT531: argument A_addr is -1"),
        ({"scale": "1"}, {"n": 3}, errors.OptionError, "TT531: argument scale is '1'"),
        ({}, {}, errors.OptionError, 'TT506: size n of "n" has no value'),
        ({}, {"n": 0}, errors.OptionError, "TT521: size n is 0; expected at least 1"),
        ({}, {"n": 1, "m": 1}, errors.OptionError, "TT520: no kernel has a size m; expected any of: n"),
        ({}, {"n": 1.5}, errors.ArgumentError, "TT522: size n is float"),
    ],
)
def test_refused(given, sizes, error, message):
    func = schedule(scaled())
    with pytest.raises(error, match=message.replace("'", ".")):
        runtime_args(func, given, **sizes)


def test_before_the_pass():
    with pytest.raises(errors.MissingInputError, match=r"TT109: .*run tilelang\.tt\.infer_default_tt_schedule"):
        runtime_args(apply_tt_defaults(copy_kernel()))


def test_schema_of_loops_and_scalars():
    schema = {entry["name"]: entry for entry in schedule_attrs(schedule(scaled()))["tt_runtime_args_schema"]}
    assert list(schema)[5:] == ["i_trips", "scale", "n", "A_addr", "C_addr"]
    assert schema["i_trips"] == {
        "name": "i_trips",
        "dtype": "uint32",
        "scope": "common",
        "source": "kernel",
        "bound": "launch",
        "value": "n",
    }
    assert [schema[name]["dtype"] for name in ("scale", "n", "A_addr")] == ["float32", "int32", "uint32"]
    assert [schema[name]["param_index"] for name in ("A_addr", "scale", "n", "C_addr")] == [0, 1, 2, 3]


def test_names_are_unique():
    """A scalar that is called like an argument of the schedule, and two tensors of one name."""
    params = [
        tirx.Var("count", "int32"),
        tirx.Var("A_addr", "int32"),
        tirx.decl_buffer((4,), "float32", name="A"),
        tirx.decl_buffer((4,), "float32", name="A"),
    ]
    func = tirx.PrimFunc(params, tirx.Evaluate(0)).with_attr("tl_grid_x", 2)
    assert names(schedule(func)) == [
        "start_id", "count", "grid_x", "grid_y", "kt_tiles", "count_1", "A_addr", "A_addr_1", "A_addr_2",
    ]  # fmt: skip


def two_launches():
    @T.prim_func
    def main(a: T.handle, c: T.handle):
        m = T.int32()
        A = T.match_buffer(a, (m, 64), "float32")
        C = T.match_buffer(c, (m, 64), "float32")
        for bx in T.thread_binding((m + 31) // 32, thread="blockIdx.x"):
            C[bx, 0] = A[bx, 0]
        for bx in T.thread_binding(5, thread="blockIdx.x"):
            for by in T.thread_binding(3, thread="blockIdx.y"):
                C[bx, by] = A[bx, by]

    return infer_default_tt_schedule(apply_tt_defaults(main, cores=[[0, 0, 3, 0]]))


def test_each_launch_has_its_own():
    first = runtime_args(two_launches(), {}, 0, m=100)
    assert first.per_core["count"].tolist() == [1, 1, 1, 1]
    assert first.common["grid_x"] == 4
    second = runtime_args(two_launches(), {}, 1, m=100)
    assert second.per_core["count"].tolist() == [4, 4, 4, 3]
    assert (second.common["grid_x"], second.common["grid_y"]) == (5, 3)


def test_one_of_several_launches_must_be_chosen():
    with pytest.raises(errors.MultipleLaunchesError, match="TT210: the kernel has 2 launches; say which"):
        runtime_args(two_launches(), m=100)
