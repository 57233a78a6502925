"""What is registered with the host: all that a stock one has is there unchanged, and what is added has its own names.

These are the names that ``tilelang.tt`` documents as its own; where it is not loaded, nothing is added at all.
"""

import re

import pytest
import state
from host import tvm, tvm_ffi

OWN = re.compile(r"tilelang\.tt\.\w|tir\.transform\.InferDefaultTT(Schedule|Shard)$|tenstorrent(/\w+)?$")
# Its code generator for kernels on a device has the name that the host looks for.
OWN_BY_RULE = {"target.build.ext_dev"}
# TileLang takes a back end by the kind of its target as well.
OWN_KINDS = {"ext_dev"}
OWN_ATTRIBUTES = {
    "tilelang.jit.kernel.JITKernel.plan",
    *(f"tvm.runtime.executable.Executable.{name}" for name in ("plan", "source", "backend")),
}
# Before tests have run, which may import more of the host.
HERE, DEFINITIONS, TABLES = state.registries(), state.definitions(), state.tables()


@pytest.fixture(scope="module")
def stock():
    return state.of_a_new_process()


@pytest.mark.parametrize("registry", HERE)
def test_nothing_is_changed(stock, registry):
    before = stock["registries"][registry]
    assert {name: HERE[registry].get(name) for name in before} == before


@pytest.mark.parametrize("registry", HERE)
def test_only_own_names_are_added(stock, registry):
    added = HERE[registry].keys() - stock["registries"][registry].keys()
    assert [name for name in sorted(added) if not OWN.match(name) and name not in OWN_BY_RULE] == []


@pytest.mark.parametrize("registry", ["operators", "kinds", "types", "pass_options"])
def test_nothing_is_added(stock, registry):
    assert HERE[registry].keys() == stock["registries"][registry].keys()


def test_registries_are_full():
    """A registry that was read wrongly would have no differences."""
    at_least = {
        "functions": 1500,
        "types": 300,
        "operators": 300,
        "kinds": 10,
        "tags": 50,
        "pass_options": 20,
        "errors": 10,
    }
    assert {name: len(HERE[name]) >= least for name, least in at_least.items()} == dict.fromkeys(at_least, True)


def test_order_of_pipelines(stock):
    before = list(stock["registries"]["pipelines"])
    assert [name for name in HERE["pipelines"] if name in before] == before


def test_definitions_are_unchanged(stock):
    before = stock["definitions"]
    assert len(before) > 10_000
    assert {name: DEFINITIONS.get(name) for name in before} == before


def test_only_own_attributes_are_added(stock):
    """To modules and classes that a stock host has."""
    known = {name.rpartition(".")[0] for name in stock["definitions"]}
    added = [name for name in DEFINITIONS.keys() - stock["definitions"].keys() if name.rpartition(".")[0] in known]
    assert [name for name in sorted(added) if name not in OWN_ATTRIBUTES and not OWN.match(name)] == []


def test_only_own_keys_are_added_to_tables(stock):
    before = stock["tables"]
    assert len(before) > 50
    lost = {name: set(keys) - set(TABLES.get(name, ())) for name, keys in before.items()}
    added = {name: set(TABLES.get(name, ())) - set(keys) for name, keys in before.items()}
    assert {name: keys for name, keys in lost.items() if keys} == {}
    assert [key for keys in added.values() for key in keys if not OWN.match(key) and key not in OWN_KINDS] == []


def test_operator_that_is_missing():
    with pytest.raises(AttributeError, match=r"host\.nope is not registered"):
        tvm.ir.Op.get("host.nope")


def test_new_operator_attribute():
    tvm.ir.register_op_attr("tirx.exp", "host.tests", 3)
    assert int(tvm.ir.Op.get("tirx.exp").get_attr("host.tests")) == 3
    tvm.ir.Op.get("tirx.exp").reset_attr("host.tests")
    assert tvm.ir.Op.get("tirx.exp").get_attr("host.tests") is None


def test_functions_are_callable():
    """Each name that is listed gives a function."""
    names = [str(name) for name in tvm_ffi.registry.list_global_func_names()]
    assert [name for name in names if tvm_ffi.get_global_func(name, allow_missing=True) is None] == []
    assert len(set(names)) == len(names)
