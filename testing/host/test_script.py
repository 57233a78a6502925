"""Printing IR and reading it back, comparing it, and its JSON."""

import copy
import io
import json
import pickle
import re
from contextlib import redirect_stdout

import pytest
from host import ADD_ONE, BRANCHES, MATMUL, SCRIPTS, function, module, tirx, tvm, tvm_ffi


@pytest.mark.parametrize("name", SCRIPTS)
def test_parses_back(name):
    func = function(SCRIPTS[name])
    tvm.ir.assert_structural_equal(tvm.script.from_source(func.script()), func)


@pytest.mark.parametrize("name", SCRIPTS)
def test_module_parses_back(name):
    mod = module(SCRIPTS[name])
    tvm.ir.assert_structural_equal(tvm.script.from_source(mod.script()), mod)


@pytest.mark.parametrize("name", SCRIPTS)
def test_json_back(name):
    func = function(SCRIPTS[name])
    tvm.ir.assert_structural_equal(tvm.ir.load_json(tvm.ir.save_json(func)), func)


@pytest.mark.parametrize("name", SCRIPTS)
def test_pickled_back(name):
    func = function(SCRIPTS[name])
    tvm.ir.assert_structural_equal(pickle.loads(pickle.dumps(func)), func)


@pytest.mark.parametrize("name", SCRIPTS)
def test_hash(name):
    assert tvm_ffi.structural_hash(function(SCRIPTS[name])) == tvm_ffi.structural_hash(function(SCRIPTS[name]))


def test_script():
    lines = function(ADD_ONE).script().splitlines()
    assert lines[0] == "# from tvm.script import tirx as T"
    assert lines[-4:] == [
        "@T.prim_func",
        'def add_one(A: T.Buffer((8,), "float32"), B: T.Buffer((8,), "float32")):',
        "    for i in range(8):",
        "        B[i] = A[i] + T.float32(1.0)",
    ]


def test_script_of_attributes():
    func = function(ADD_ONE).with_attr({"text": "a", "list": [1, 2], "map": {"key": 3}})
    assert '"list": [1, 2]' in func.script()
    tvm.ir.assert_structural_equal(tvm.script.from_source(func.script()), func)


def test_repr_is_the_script():
    func = function(BRANCHES)
    assert repr(func) == func.script()


def test_show():
    out = io.StringIO()
    with redirect_stdout(out):
        module(ADD_ONE).show()
    plain = re.sub(r"\x1b\[[\d;]*m", "", out.getvalue())
    assert plain.split() == module(ADD_ONE).script().split()
    assert plain != out.getvalue(), "it is coloured"


def test_print_of_one_statement():
    assert str(tirx.Evaluate(tirx.IntImm("int32", 0))).splitlines()[-1] == "T.evaluate(0)"


def test_wrong_script():
    with pytest.raises(tvm.error.DiagnosticError):
        function("def wrong(A: T.Buffer((8,), 'float32')):\n    A[0] = undefined")


def test_equal_up_to_names():
    tvm.ir.assert_structural_equal(function(ADD_ONE), function(ADD_ONE.replace("[i]", "[k]").replace("for i", "for k")))


def test_unequal():
    other = function(ADD_ONE.replace("float32(1)", "float32(2)"))
    assert not tvm_ffi.structural_equal(function(ADD_ONE), other)
    with pytest.raises(ValueError, match="StructuralEqual check failed"):
        tvm.ir.assert_structural_equal(function(ADD_ONE), other)


def test_first_mismatch():
    other = function(ADD_ONE.replace("float32(1)", "float32(2)"))
    paths = tvm_ffi.get_first_structural_mismatch(function(ADD_ONE), other)
    assert [str(path).endswith(".b.value") for path in paths] == [True, True]


def test_unequal_in_attributes():
    assert not tvm_ffi.structural_equal(function(ADD_ONE), function(ADD_ONE).with_attr("key", 1))


def test_free_variables():
    x, y = tirx.Var("x", "int32"), tirx.Var("x", "int32")
    assert not tvm_ffi.structural_equal(x + 1, y + 1)
    assert tvm_ffi.structural_equal(x + 1, y + 1, map_free_vars=True)


def test_json_is_plain():
    assert set(json.loads(tvm.ir.save_json(function(ADD_ONE)))) >= {"root_index", "nodes"}


def test_json_of_another_thing():
    with pytest.raises((ValueError, TypeError, KeyError)):
        tvm.ir.load_json("[1, 2")


def test_copy():
    func = function(MATMUL)
    assert copy.copy(func).same_as(func) or tvm_ffi.structural_equal(copy.copy(func), func)


def test_identity():
    func = function(ADD_ONE)
    assert func.same_as(func)
    assert not func.same_as(function(ADD_ONE))
    assert func.body.same_as(func.body)
