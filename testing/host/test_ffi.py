"""tvm-ffi below the host: containers, functions, errors and objects' reflection."""

import gc
import threading
import weakref

import numpy as np
import pytest
from host import ADD_ONE, function, tirx, tvm, tvm_ffi

# Classes of errors that come back as they went in, and one that tvm-ffi has no name for.
RAISED = [ValueError, TypeError, KeyError, IndexError, AttributeError, AssertionError, RuntimeError, MemoryError]


@pytest.fixture
def identity():
    return tvm_ffi.convert(lambda value: value)


@pytest.mark.parametrize("value", [None, True, 3, -(2**40), 0.5, "text", b"bytes"], ids=repr)
def test_value(identity, value):
    assert identity(value) == value


def test_containers(identity):
    assert list(identity([1, "two", None])) == [1, "two", None]
    assert dict(identity({"key": [1, 2]}))["key"] == [1, 2]
    assert type(identity([1])) is tvm_ffi.Array
    assert type(identity({"a": 1})) is tvm_ffi.Map


def test_containers_of_containers(identity):
    nested = identity({"a": [{"b": (1, 2)}]})
    assert nested["a"][0]["b"][1] == 2


def test_missing_key(identity):
    with pytest.raises(KeyError):
        identity({"a": 1})["b"]


def test_index_out_of_range(identity):
    with pytest.raises(IndexError):
        identity([1])[3]


def test_text_beyond_ascii(identity):
    assert identity("é中\0x") == "é中\0x"


def test_shape():
    assert tuple(tvm_ffi.Shape((1, 2, 3))) == (1, 2, 3)


def test_dtype():
    assert str(tvm_ffi.dtype("float16x4")) == "float16x4"
    assert tvm_ffi.dtype("int32").bits == 32
    with pytest.raises(ValueError, match="host-nope"):
        tvm_ffi.dtype("host-nope")


def test_tensor():
    array = np.arange(6, dtype="float32").reshape(2, 3)
    tensor = tvm_ffi.from_dlpack(array)
    assert tuple(tensor.shape) == (2, 3)
    np.testing.assert_array_equal(np.from_dlpack(tensor), array)


@pytest.mark.parametrize("error", RAISED, ids=lambda error: error.__name__)
def test_error(error):
    def refuse():
        raise error("as it was said")

    with pytest.raises(error) as caught:
        tvm_ffi.convert(refuse)()
    assert type(caught.value) is error
    assert "as it was said" in str(caught.value)


def test_error_of_an_unknown_class():
    class OwnError(Exception):
        pass

    def refuse():
        raise OwnError("as it was said")

    with pytest.raises(RuntimeError, match="as it was said") as caught:
        tvm_ffi.convert(refuse)()
    assert type(caught.value) is RuntimeError


def test_error_of_a_derived_class():
    class OwnError(ValueError):
        pass

    def refuse():
        raise OwnError("as it was said")

    with pytest.raises((ValueError, RuntimeError), match="as it was said") as caught:
        tvm_ffi.convert(refuse)()
    assert type(caught.value).__module__ == "builtins"


def test_error_has_its_frames():
    def refuse_in_python():
        raise ValueError("here")

    with pytest.raises(ValueError, match="here") as caught:
        tvm_ffi.convert(refuse_in_python)()
    assert "refuse_in_python" in [entry.name for entry in caught.traceback]


def test_internal_error():
    assert issubclass(tvm.error.InternalError, Exception)
    with pytest.raises(tvm.error.InternalError):
        tirx.floordiv(tirx.Var("x", "int32"), 0)


def test_global_function():
    tvm_ffi.register_global_func("host.tests.twice", lambda x: x * 2, override=True)
    assert tvm_ffi.get_global_func("host.tests.twice")(4) == 8
    assert "host.tests.twice" in tvm_ffi.registry.list_global_func_names()
    tvm_ffi.remove_global_func("host.tests.twice")
    assert tvm_ffi.get_global_func("host.tests.twice", allow_missing=True) is None


def test_global_function_twice():
    tvm_ffi.register_global_func("host.tests.once", lambda: 1, override=True)
    with pytest.raises((ValueError, RuntimeError), match=r"host\.tests\.once.*already registered"):
        tvm_ffi.register_global_func("host.tests.once", lambda: 2)
    assert tvm_ffi.get_global_func("host.tests.once")() == 1
    tvm_ffi.remove_global_func("host.tests.once")


def test_missing_function():
    with pytest.raises(ValueError, match=r"^Cannot find global function host\.tests\.nope$"):
        tvm_ffi.get_global_func("host.tests.nope")


@pytest.mark.parametrize("name", ["tir.transform.Nope", "tilelang.nope", "target.build.nope"])
def test_missing_function_of_known_rooms(name):
    assert tvm_ffi.get_global_func(name, allow_missing=True) is None


def test_wrong_arguments():
    with pytest.raises(TypeError, match="Mismatched number of arguments"):
        tvm_ffi.get_global_func("ffi.MapSize")(1, 2, 3)


def test_reflection():
    func = function(ADD_ONE)
    assert func.body.loop_var.same_as(func.body.loop_var)
    assert int(func.body.min) == 0
    with pytest.raises(AttributeError, match="nope"):
        _ = func.body.nope


def test_objects_are_not_changed():
    body = function(ADD_ONE).body
    with pytest.raises(AttributeError):
        body.extent = 3


def test_identity_of_objects():
    func = function(ADD_ONE)
    assert func.params[0].same_as(func.params[0])
    assert {func.params[0]: 1}[func.params[0]] == 1


def test_released():
    """What a function holds is released with it."""

    class Held:
        def __call__(self):
            return 1

    held = Held()
    dead = weakref.ref(held)
    converted = tvm_ffi.convert(held)
    assert converted() == 1
    del held, converted
    gc.collect()
    assert dead() is None


def test_threads():
    results = {}

    def work(number):
        results[number] = function(ADD_ONE).script()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert len(set(results.values())) == 1
