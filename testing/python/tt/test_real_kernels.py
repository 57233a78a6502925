"""TileLang's own kernels, which the folder of `--kernels` holds with facts about each.

They need TileLang's own IR, so elsewhere, and without the folder, there is nothing to collect.
"""

import json
from itertools import accumulate
from math import prod
from operator import itemgetter, mul
from pathlib import Path

import pytest
import tvm
from support import oracle
from support.infer import results

from tilelang.tt import apply_tt_defaults, errors, infer_default_tt_schedule, infer_default_tt_shard

pytestmark = [
    pytest.mark.filterwarnings(f"ignore::tilelang.tt.errors.{name}Warning")
    for name in ("Format", "Capacity", "Padding")
]


def pytest_generate_tests(metafunc):
    folder = metafunc.config.getoption("--kernels")
    facts = json.loads((Path(folder) / "index.json").read_text())
    metafunc.parametrize("fact", facts, ids=lambda fact: fact["name"])


def load(config, fact):
    folder = Path(config.getoption("--kernels"))
    return tvm.ir.load_json((folder / f"{fact['name']}.json").read_text())


def grid_of(fact):
    """The extents on x, y and z; text where one is symbolic."""
    (launch,) = fact["launches"]
    return [launch["grid"].get(f"blockIdx.{axis}", 1) for axis in "xyz"]


def params_of(fact):
    return [(param["name"], None if param["kind"] == "buffer" else param["dtype"]) for param in fact["params"]]


def schedule_refusal(fact):
    if fact["n_launches"] > 1:
        return errors.MultipleLaunchesError
    return None if all(isinstance(extent, int) for extent in grid_of(fact)) else errors.GridError


def compact(shape):
    return [*accumulate(reversed(shape[1:]), mul, initial=1)][::-1]


def tensor_refusal(param):
    """Why one parameter has no layout; the dtype is looked at first."""
    if param["dtype"] not in oracle.TILED_DTYPES:
        return errors.DtypeError
    if not all(isinstance(extent, int) for extent in param["shape"]):
        return errors.ShapeError
    return None if param["strides"] in ([], compact(param["shape"])) else errors.ShapeError


def shard_refusal(fact):
    """The first tensor that has no layout names the class."""
    refusals = [tensor_refusal(param) for param in fact["params"] if param["kind"] == "buffer"]
    return next((refusal for refusal in refusals if refusal), None)


def test_schedule(fact, pytestconfig):
    func = load(pytestconfig, fact)
    if refusal := schedule_refusal(fact):
        with pytest.raises(refusal):
            apply_tt_defaults(func)
        return
    found = results(infer_default_tt_schedule(apply_tt_defaults(func)))
    schema = found.pop("tt_runtime_args_schema")
    expected = oracle.schedule_attrs(grid_of(fact), params=params_of(fact))
    expected_schema = expected.pop("tt_runtime_args_schema")
    assert found == expected
    kt_tiles = schema.pop(4)
    del expected_schema[4]
    assert [argument for argument in schema if argument["source"] != "kernel"] == expected_schema
    gemms = sum(count for op, count in fact["ops"].items() if "gemm" in op)
    assert kt_tiles["source"] in ("kernel", "unresolved") if gemms else ("none", "unresolved")
    if any("reduce" in op for op in fact["ops"]):
        assert kt_tiles["source"] != "none"
    if gemms == 1:
        assert kt_tiles["source"] == "kernel"


def test_shard(fact, pytestconfig):
    if schedule_refusal(fact):
        return
    func = apply_tt_defaults(load(pytestconfig, fact))
    if refusal := shard_refusal(fact):
        with pytest.raises(refusal) as caught:
            infer_default_tt_shard(func)
        assert type(caught.value) is refusal
        return
    after = results(infer_default_tt_shard(func))
    found = after["tt_buffers"]
    # What a kernel does to its tensors and reads over their edges, index.json does not say.
    access = {entry["name"]: entry["tt_access"] for entry in found}
    padding = {entry["name"]: entry.get("tt_padding_value", "0") for entry in found}
    assert found == [
        oracle.buffer_attrs(name, index, param["dtype"], param["shape"], access[name], padding_value=padding[name])
        for index, param in enumerate(fact["params"])
        if param["kind"] == "buffer" and (name := param["name"])
    ]
    assert {*padding.values()} <= {"0", "unknown"}
    check_on_chip(after["tt_on_chip"], fact)


def check_on_chip(launches, fact):
    (launch,) = launches
    found = launch["circular_buffers"]
    key = itemgetter("name", "scope", "dtype", "shape")
    assert [key(buffer) for buffer in found] == [
        key(buffer) for buffer in fact["buffers"] if prod(buffer["shape"]) > (1023 if buffer["scope"] == "local" else 1)
    ]
    assert {buffer["num_stages"] for buffer in found} <= {1, *fact["num_stages"]}
    # One kernel multiplies into a tensor in DRAM.
    if any("gemm" in op for op in fact["ops"]) and "global_c" not in fact["name"]:
        assert launch["accumulators"]
