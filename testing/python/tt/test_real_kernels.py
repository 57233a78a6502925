"""TileLang's own kernels, which the folder of `--kernels` holds with facts about each.

They need TileLang's own IR, so elsewhere, and without the folder, there is nothing to collect.
"""

import json
import random
import re
from itertools import accumulate
from math import prod
from operator import itemgetter, mul
from pathlib import Path

import pytest
import tvm
from jsonschema import Draft202012Validator
from support import oracle
from support.infer import results

from tilelang.tt import (
    _native,
    apply_tt_defaults,
    errors,
    explain,
    grid_to_persistent,
    infer_default_tt_schedule,
    infer_default_tt_shard,
    launch_attrs,
    pipeline,
    specialize,
    verify_tt_metadata,
)
from tilelang.tt.plan import Plan, make_plan, schema
from tilelang.tt.service.key import fingerprint
from tilelang.tt.service.transport import decode, encode

VALIDATOR = Draft202012Validator(schema())

pytestmark = [
    pytest.mark.stage("metadata"),
    *(
        pytest.mark.filterwarnings(f"ignore::tilelang.tt.errors.{name}Warning")
        for name in ("Format", "Capacity", "Padding")
    ),
]


def pytest_generate_tests(metafunc):
    folder = metafunc.config.getoption("--kernels")
    facts = json.loads((Path(folder) / "index.json").read_text())
    metafunc.parametrize("fact", facts, ids=lambda fact: fact["name"])


def load(config, fact):
    folder = Path(config.getoption("--kernels"))
    return tvm.ir.load_json((folder / f"{fact['name']}.json").read_text())


def grids_of(fact):
    """The extents on x, y and z of every launch; text where one is symbolic."""
    return [[launch["grid"].get(f"blockIdx.{axis}", 1) for axis in "xyz"] for launch in fact["launches"]]


def params_of(fact):
    return [(param["name"], None if param["kind"] == "buffer" else param["dtype"]) for param in fact["params"]]


def compact(shape):
    return [*accumulate(reversed(shape[1:]), mul, initial=1)][::-1]


def buffers_of(fact):
    return [param for param in fact["params"] if param["kind"] == "buffer"]


def number(text, sizes):
    return eval(text, {"__builtins__": {}}, sizes) if isinstance(text, str) else text


def numbers(texts, sizes):
    return [number(text, sizes) for text in texts]


def tensor_refusal(param, sizes):
    """Why one parameter has no layout; the dtype is looked at first."""
    if param["dtype"] not in oracle.TILED_DTYPES:
        return errors.DtypeError
    strides = numbers(param["strides"] or [], sizes)
    return None if strides in ([], compact(numbers(param["shape"], sizes))) else errors.ShapeError


def shard_refusal(fact, sizes):
    """The first tensor that has no layout names the class."""
    refusals = [tensor_refusal(param, sizes) for param in buffers_of(fact)]
    return next((refusal for refusal in refusals if refusal), None)


def sizes_of(texts, draw):
    """A value for everything that looks like a name in symbolic shapes or extents."""
    names = {name for text in texts if isinstance(text, str) for name in re.findall(r"[A-Za-z_]\w*", text)}
    return {name: draw.randint(1, 5000) for name in sorted(names)}


def check_schedule(found, grid, sizes, expected):
    """The attributes of one launch against the oracle for these sizes."""
    if all(isinstance(extent, int) for extent in grid):
        assert found == expected
        return
    for key in ("tt_grid_x", "tt_grid_y", "tt_grid_z", "tt_num_tiles", "tt_num_active_cores"):
        assert _native.evaluate(str(found[key]), sizes) == expected[key]
    for core, tiles in enumerate(expected["tt_tiles_per_core"]):
        share = found["tt_tile_range"]
        assert [_native.evaluate(share[key], {**sizes, "core_id": core}) for key in ("start", "count")] == tiles
    assert "tt_tiles_per_core" not in found


def check_schema(found, fact, expected):
    """The runtime arguments but for the numbers of a symbolic grid, and of what the kernel itself says."""
    kt_tiles = found[4]
    without_values = [
        [(argument["name"], argument["scope"], argument["source"]) for argument in schema if argument != kt_tiles]
        for schema in ([argument for argument in found if argument["source"] != "kernel"], expected)
    ]
    assert without_values[0] == [argument for argument in without_values[1] if argument[0] != "kt_tiles"]
    gemms = sum(count for op, count in fact["ops"].items() if "gemm" in op)
    assert kt_tiles["source"] in ("kernel", "unresolved") if gemms else ("none", "unresolved")
    if any("reduce" in op for op in fact["ops"]):
        assert kt_tiles["source"] != "none"
    if gemms == 1:
        assert kt_tiles["source"] == "kernel"


def test_schedule(fact, pytestconfig):
    out = infer_default_tt_schedule(apply_tt_defaults(load(pytestconfig, fact)))
    draw = random.Random(fact["name"])
    launches = launch_attrs(out)
    assert len(launches) == fact["n_launches"]
    for found, grid in zip(launches, grids_of(fact), strict=True):
        schema = found.pop("tt_runtime_args_schema")
        for _ in range(3):
            sizes = sizes_of(grid, draw)
            expected = oracle.schedule_attrs(numbers(grid, sizes), params=params_of(fact))
            expected_schema = expected.pop("tt_runtime_args_schema")
            check_schedule(found, grid, sizes, expected)
        if fact["n_launches"] == 1:
            check_schema(schema, fact, expected_schema)


def test_shard(fact, pytestconfig):
    func = infer_default_tt_schedule(apply_tt_defaults(load(pytestconfig, fact)))
    sizes = sizes_of([extent for param in buffers_of(fact) for extent in param["shape"]], random.Random(fact["name"]))
    if refusal := shard_refusal(fact, sizes):
        with pytest.raises(refusal) as caught:
            infer_default_tt_shard(func)
        assert type(caught.value) is refusal
        return
    func = infer_default_tt_shard(func)
    after = results(specialize(func, **sizes) if sizes else func)
    found = after["tt_buffers"]
    # What a kernel does to its tensors and reads over their edges, index.json does not say.
    access = {entry["name"]: entry["tt_access"] for entry in found}
    padding = {entry["name"]: entry.get("tt_padding_value", "0") for entry in found}
    assert found == [
        oracle.buffer_attrs(
            name, index, param["dtype"], numbers(param["shape"], sizes), access[name], padding_value=padding[name]
        )
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


@pytest.mark.parametrize("device", ["wormhole_n150", "blackhole_p150"])
def test_pipeline(fact, device, pytestconfig, capsys):
    """Planned and verified, or refused by a dtype and sent to a page that says what to do."""
    mod = tvm.IRModule({"main": load(pytestconfig, fact)})
    if not any(param["dtype"] not in oracle.TILED_DTYPES for param in buffers_of(fact)):
        planned = pipeline(device=device)(mod)
        tvm.ir.assert_structural_equal(verify_tt_metadata(planned), planned)
        return
    with pytest.raises(errors.DtypeError) as caught:
        pipeline(device=device)(mod)
    explain(caught.value.code)
    assert "## Fix" in capsys.readouterr().out


def test_plan_file(fact, pytestconfig):
    """A plan that the published schema takes and that survives its file."""
    if any(param["dtype"] not in oracle.TILED_DTYPES for param in buffers_of(fact)):
        return
    plan = make_plan(load(pytestconfig, fact))
    VALIDATOR.validate(json.loads(plan.to_json()))
    assert Plan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize("places", [False, True])
def test_transport(fact, places, pytestconfig):
    """The same kernel in another process, with the same key and the same plan."""
    func = load(pytestconfig, fact)
    back = decode(encode(func, places=places))
    tvm.ir.assert_structural_equal(back, func, map_free_vars=True)  # layouts have some
    assert fingerprint(back) == fingerprint(func)
    if not any(param["dtype"] not in oracle.TILED_DTYPES for param in buffers_of(fact)):
        assert make_plan(back).kernels == make_plan(func).kernels


def test_grid_to_persistent(fact, pytestconfig):
    func = infer_default_tt_schedule(apply_tt_defaults(load(pytestconfig, fact)))
    out = grid_to_persistent(func)
    found = re.findall(r'annotations=\{"tt_launch": (\d+)\}', out.script())
    assert [int(launch) for launch in found] == list(range(fact["n_launches"]))
    assert "blockIdx" not in out.script()
    verify = tvm.tirx.analysis.verify_well_formed
    assert verify(out, assert_mode=False) or not verify(func, assert_mode=False)
    assert grid_to_persistent(out).same_as(out)
