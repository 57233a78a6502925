"""Arguments of executed kernels: what is taken, what sizes follow, and what is refused."""

import sys

import ml_dtypes
import numpy as np
import pytest

from tilelang.tt import errors
from tilelang.tt.executor import arrays, nodes
from tilelang.tt.executor.arrays import Parameter, assign, dtype_of, find_sizes, to_numpy

pytestmark = pytest.mark.stage("execute")

A = Parameter(0, "A", "float32", ("m", 32), "read")
B = Parameter(1, "B", "float32", (32, "m"), "read")
N = Parameter(2, "n", "int32", None, "read")
C = Parameter(3, "C", "float32", ("m * 2", "n"), "write")


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


def test_assign():
    assert assign([A, N, C], [1, 2, 3]) == [1, 2, 3]
    assert assign([A, N, C], [1, 2]) == [1, 2, None]
    assert assign([C, A], [1]) == [None, 1]


@pytest.mark.parametrize("count", [0, 1, 4])
def test_wrong_number(count):
    with pytest.raises(errors.ArgumentError) as caught:
        assign([A, N, C], [0] * count)
    assert str(caught.value) == (
        f"TT911: found {count} arguments; expected 2 or 3. The kernel has\n"
        "    parameter 0 `A`, (m, 32) float32, read\n"
        "    parameter 2 `n`, int32, a scalar\n"
        "    parameter 3 `C`, (m * 2, n) float32, written; may be left out"
    )


@pytest.mark.parametrize("name", ["float32", "float16", "int8", "uint16", "bfloat16", "float8_e4m3fn"])
def test_arrays_of_numpy_share_memory(name):
    array = zeros(3, 4, dtype=dtype_of(name))
    parameter = Parameter(0, "A", name, (3, 4), "read")
    assert np.shares_memory(to_numpy(parameter, array), array)
    assert to_numpy(parameter, array.T).shape == (4, 3)
    scalar = Parameter(0, "A", name, (), "read")
    assert to_numpy(scalar, array[0, 0]).shape == ()


@pytest.mark.parametrize(
    ("argument", "found"),
    [
        (zeros(4, dtype=np.float64), "an array of float64; expected float32"),
        (zeros(4, dtype=">f4"), "an array of >f4 in another byte order; expected float32"),
        ([0.0], "a list; expected an array of numpy or torch"),
        (None, "a NoneType; expected an array"),
        (1.0, "a float; expected an array"),
    ],
)
def test_wrong_arrays(argument, found):
    with pytest.raises(errors.ArgumentError) as caught:
        to_numpy(A, argument)
    assert f"TT912: parameter 0 `A`, (m, 32) float32: found {found}" in str(caught.value)


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("int32", 7),
        ("int32", np.int64(-7)),
        ("uint8", 255),
        ("bool", True),
        ("float32", 7),
        ("float32", 0.5),
        ("float16", np.float64(0.5)),
        ("bfloat16", 0.5),
        ("bfloat16", ml_dtypes.bfloat16(0.5)),
        ("int32", np.array(7)),
    ],
)
def test_scalars(dtype, value):
    got = to_numpy(Parameter(0, "n", dtype, None, "read"), value)
    assert got == value
    assert got.dtype == dtype_of(dtype)


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("int32", 2**31),
        ("int32", 1.0),
        ("int32", True),
        ("uint8", -1),
        ("bool", 1),
        ("float32", "1"),
        ("float32", None),
        ("int32", np.zeros(2, np.int32)),
    ],
)
def test_wrong_scalars(dtype, value):
    with pytest.raises(errors.ArgumentError, match=f"TT912: parameter 0 `n`, {dtype}: found .*; expected a number"):
        to_numpy(Parameter(0, "n", dtype, None, "read"), value)


def test_sizes():
    values = [zeros(7, 32), zeros(32, 7), np.int32(5), None]
    assert find_sizes([A, B, N, C], values) == {"m": 7, "n": 5}
    assert arrays.known_shape(C, {"m": 7, "n": 5}) == (14, 5)
    find_sizes([A, B, N, C], [*values[:3], zeros(14, 5)])


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (
            [(7, 32), (32, 8)],
            "parameter 1 `B`, (32, m) float32: found an array of shape (32, 8), so m is 8 by axis 1; expected 7, as "
            "axis 0 of `A` has it",
        ),
        ([(7, 31), (32, 7)], "parameter 0 `A`, (m, 32) float32: found an array of shape (7, 31); expected (7, 32)"),
        ([(7,), (32, 7)], "parameter 0 `A`, (m, 32) float32: found an array of shape (7,); expected (m, 32)"),
    ],
)
def test_shapes_that_do_not_fit(shapes, message):
    with pytest.raises(errors.ShapeError) as caught:
        find_sizes([A, B], [zeros(*shape) for shape in shapes])
    assert str(caught.value) == f"TT913: {message}"


def test_a_shape_by_an_expression():
    with pytest.raises(errors.ShapeError, match=r"found an array of shape \(13, 5\); expected \(14, 5\)"):
        find_sizes([A, N, C], [zeros(7, 32), np.int32(5), zeros(13, 5)])


def test_a_variable_that_no_array_has():
    with pytest.raises(errors.ShapeError, match=r"TT913: parameter 3 `C`, .*: no array says what m is"):
        find_sizes([N, C], [np.int32(5), None])


def test_no_ml_dtypes(monkeypatch):
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    for find, name in ((dtype_of, "bfloat16"), (nodes.numpy_dtype, "bfloat16"), (nodes.numpy_dtype, "float8_e5m2")):
        with pytest.raises(
            errors.HostError, match=f"TT919: numpy has no {name}, and ml_dtypes, which has, is not installed"
        ):
            find(name)
    assert dtype_of("float16") == np.float16


@pytest.mark.parametrize("name", ["float32", "float16", "int8", "uint8", "bfloat16", "float8_e4m3fn"])
def test_tensors_of_torch(name):
    torch = pytest.importorskip("torch")
    tensor = torch.arange(12, dtype=torch.float32).reshape(3, 4).to(getattr(torch, name))
    parameter = Parameter(0, "A", name, (3, 4), "read")
    array = to_numpy(parameter, tensor)
    assert array.dtype == dtype_of(name)
    assert array.astype(np.float32).tolist() == tensor.float().tolist()
    back = arrays.to_torch(array)
    assert back.dtype == tensor.dtype
    assert torch.equal(back.float(), tensor.float())
    assert to_numpy(parameter, tensor.T).shape == (4, 3)
    with pytest.raises(errors.ArgumentError, match="TT912"):
        to_numpy(Parameter(0, "A", "int32", (3, 4), "read"), tensor)


def test_scalar_of_torch():
    torch = pytest.importorskip("torch")
    assert to_numpy(N, torch.tensor(5)) == 5
