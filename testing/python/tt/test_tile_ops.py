"""Operations on tiles against plain statements of what they mean."""

import ml_dtypes
import numpy as np
import pytest
import tvm_ffi
from hypothesis import given
from hypothesis import strategies as st
from support import host

from tilelang.tt import errors
from tilelang.tt.executor.memory import Box, Core, OnChip
from tilelang.tt.executor.tile_ops import atomic, copy, gemm, reduce

pytestmark = pytest.mark.stage("execute")

CORE = Core(0)
FLOATS = ("float32", "float16", "bfloat16", "float64")


def dtype_of(name):
    return np.dtype(getattr(ml_dtypes, name, name))


def memory(values, name="tile"):
    return OnChip(name, values.shape, values.dtype, values.copy())


def whole(values):
    """An array as a box, which is all of a buffer."""
    return Box(memory(values), (0,) * values.ndim, values.shape)


def empty(shape, dtype):
    return whole(np.zeros(shape, dtype_of(dtype)))


def numbers(shape, dtype, seed=0):
    draw = np.random.default_rng(seed)
    if np.dtype(dtype_of(dtype)).kind in "iu":
        return draw.integers(0, 100, shape).astype(dtype_of(dtype))
    return draw.normal(size=shape).astype(dtype_of(dtype))


@pytest.mark.parametrize(("source", "target"), [((4, 1, 6), (4, 6)), ((4, 6), (1, 4, 1, 6)), ((24,), (24,))])
def test_copy_between_ranks(source, target):
    values = numbers(source, "float32")
    box = empty(target, "float32")
    copy.copy(CORE, whole(values), box)
    assert np.array_equal(box.memory.data.ravel(), values.ravel())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int32", "float8_e4m3fn"])
def test_copy_casts(dtype):
    values = numbers((8, 8), "float32") * 10
    box = empty((8, 8), dtype)
    copy.copy(CORE, whole(values), box)
    assert np.array_equal(box.memory.data, values.astype(dtype_of(dtype)))


def test_copy_of_parts_touches_nothing_else():
    values, target = numbers((8, 8), "int32") + 1, memory(np.zeros((9, 9), np.int32))
    copy.copy(CORE, Box(memory(values), (2, 3), (3, 4)), Box(target, (5, 1), (3, 4)))
    expected = np.zeros((9, 9), np.int32)
    expected[5:8, 1:5] = values[2:5, 3:7]
    assert np.array_equal(target.data, expected)


def test_copy_onto_itself_reads_first():
    tile = memory(np.arange(6))
    copy.copy(CORE, Box(tile, (0,), (5,)), Box(tile, (1,), (5,)))
    assert tile.data.tolist() == [0, 0, 1, 2, 3, 4]


@pytest.mark.parametrize(("value", "dtype"), [(-np.inf, "bfloat16"), (2.5, "float16"), (7, "uint8"), (True, "bool")])
def test_fill(value, dtype):
    box = empty((3, 5), dtype)
    copy.fill(CORE, Box(box.memory, (1, 0), (2, 4)), np.float32(value))
    assert (box.memory.data[1:, :4] == dtype_of(dtype).type(value)).all()
    assert not box.memory.data[0].any()


def test_transpose():
    values = numbers((2, 3, 5), "float16")
    box = empty((2, 5, 3), "float32")
    copy.transpose(CORE, whole(values), box)
    assert np.array_equal(box.memory.data, values.transpose(0, 2, 1).astype("float32"))


def test_transpose_of_another_shape():
    with pytest.raises(errors.ShapeError, match=r"TT932: found a transpose of \(2, 3\)"):
        copy.transpose(CORE, empty((2, 3), "int8"), empty((2, 3), "int8"))


windows = st.builds(copy.Window, st.integers(1, 3), st.integers(1, 3), st.integers(1, 2), st.integers(0, 2))


def columns_of(images, window):
    """All windows of images as the rows of a matrix, one element at a time."""
    count, height, width, channels = images.shape
    padded = np.pad(images, ((0, 0), (window.pad,) * 2, (window.pad,) * 2, (0, 0)))
    reach = (window.kernel - 1) * window.dilation + 1
    return np.array(
        [
            [
                padded[n, y + i * window.dilation, x + j * window.dilation, c]
                for i in range(window.kernel)
                for j in range(window.kernel)
                for c in range(channels)
            ]
            for n in range(count)
            for y in range(0, height + 2 * window.pad - reach + 1, window.stride)
            for x in range(0, width + 2 * window.pad - reach + 1, window.stride)
        ]
    )


@given(windows, st.data())
def test_im2col(window, data):
    images = numbers((2, data.draw(st.integers(5, 7)), data.draw(st.integers(5, 7)), 2), "float32")
    expected = columns_of(images, window)
    rows, lanes = (
        data.draw(st.sampled_from([n for n in range(1, size + 1) if size % n == 0])) for size in expected.shape
    )
    row, lane = (
        data.draw(st.integers(0, len(expected) // rows - 1)),
        data.draw(st.integers(0, expected.shape[1] // lanes - 1)),
    )
    box = empty((rows, lanes), "float32")
    copy.im2col(CORE, memory(images), box, row, lane, window)
    block = expected[row * rows :][:rows, lane * lanes :][:, :lanes]
    assert np.array_equal(box.memory.data, block)


@pytest.mark.parametrize("clear", [True, False])
@pytest.mark.parametrize("transposed", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("dtype", FLOATS)
def test_gemm_of_floats(dtype, transposed, clear):
    left, right, before = numbers((16, 8), dtype), numbers((8, 24), dtype, 1), numbers((16, 24), "float32", 2)
    box = whole(before)
    operands = [matrix.T if swap else matrix for matrix, swap in zip((left, right), transposed, strict=True)]
    gemm.gemm(CORE, *(whole(operand) for operand in operands), box, transposed, clear)
    expected = left.astype("float64") @ right.astype("float64") + (0 if clear else before)
    np.testing.assert_allclose(box.memory.data, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_gemm_rounds_once(dtype):
    """Sums that a short accumulator would lose are not lost within one product."""
    box = whole(np.full((1, 1), 2048, dtype_of(dtype)))
    gemm.gemm(
        CORE,
        whole(np.ones((1, 64), dtype_of(dtype))),
        whole(np.ones((64, 1), dtype_of(dtype))),
        box,
        (False, False),
        False,
    )
    assert box.memory.data.tolist() == [[2112]]


@pytest.mark.parametrize(
    ("left", "right"), [("int8", "int8"), ("uint8", "int8"), ("int16", "int32"), ("int32", "int32")]
)
def test_gemm_of_integers_wraps(left, right):
    a, b = numbers((4, 50), left), numbers((50, 6), right, 1)
    a, b = (
        np.where(values < 50, np.iinfo(values.dtype).min, np.iinfo(values.dtype).max).astype(values.dtype)
        for values in (a, b)
    )
    box = whole(np.full((4, 6), 5, np.int32))
    gemm.gemm(CORE, whole(a), whole(b), box, (False, False), False)
    exact = a.astype(object) @ b.astype(object) + 5
    assert np.array_equal(box.memory.data.astype(object), (exact + 2**31) % 2**32 - 2**31)


def test_gemm_of_float8():
    a, b = numbers((4, 8), "float8_e4m3fn"), numbers((8, 4), "float8_e4m3fn", 1)
    box = empty((1, 4, 4), "float32")
    gemm.gemm(CORE, whole(a), whole(b), box, (False, False), True)
    np.testing.assert_allclose(box.memory.data[0], a.astype("float64") @ b.astype("float64"), rtol=1e-6)


REDUCED = {
    "sum": lambda x: np.sum(x, 1),
    "abssum": lambda x: np.sum(np.abs(x), 1),
    "max": lambda x: np.max(x, 1),
    "min": lambda x: np.min(x, 1),
    "absmax": lambda x: np.max(np.abs(x), 1),
}
BITS = {"bitand": np.bitwise_and, "bitor": np.bitwise_or, "bitxor": np.bitwise_xor}
COMBINED = {"sum": np.add, "abssum": np.add, "max": np.maximum, "min": np.minimum, "absmax": np.maximum, **BITS}


@pytest.mark.parametrize("keepdims", [True, False])
@pytest.mark.parametrize("clear", [True, False])
@pytest.mark.parametrize("kind", REDUCED)
@pytest.mark.parametrize("dtype", [*FLOATS, "int32"])
def test_reduce(dtype, kind, clear, keepdims):
    values = numbers((4, 33, 3), dtype)
    before = numbers((4, 1, 3) if keepdims else (4, 3), dtype, 1)
    box = whole(before)
    reduce.reduce(CORE, whole(values), box, reduce.REDUCTIONS[kind], 1, clear)
    expected = REDUCED[kind](values.astype("float64")).reshape(before.shape)
    expected = expected if clear else COMBINED[kind](before.astype("float64"), expected)
    exponent = ml_dtypes.finfo(dtype_of(dtype)).eps if dtype in FLOATS else 0
    np.testing.assert_allclose(box.memory.data.astype("float64"), expected, rtol=exponent * 4, atol=exponent * 4)


@pytest.mark.parametrize("clear", [True, False])
@pytest.mark.parametrize("kind", BITS)
@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool"])
def test_reduce_bits(dtype, kind, clear):
    values, before = numbers((5, 7), dtype) > 40 if dtype == "bool" else numbers((5, 7), dtype), numbers((5,), dtype, 1)
    box = whole(before)
    reduce.reduce(CORE, whole(values), box, reduce.REDUCTIONS[kind], 1, clear)
    expected = BITS[kind].reduce(values, 1)
    assert np.array_equal(box.memory.data, expected if clear else BITS[kind](before, expected))


def test_reduce_wraps():
    box = empty((1,), "int8")
    reduce.reduce(CORE, whole(np.full(3, 100, np.int8)), box, reduce.REDUCTIONS["sum"], 0, True)
    assert box.memory.data.tolist() == [44]


@pytest.mark.parametrize(("kind", "number"), [("max", 3), ("min", -5), ("absmax", 5)])
def test_reduce_prefers_numbers(kind, number):
    box = empty((), "float32")
    values = np.array([np.nan, 3, -5, np.nan], np.float32)
    reduction = reduce.REDUCTIONS[kind]
    reduce.reduce(CORE, whole(values), box, reduction, 0, True)
    assert box.memory.data == number
    reduce.reduce(CORE, whole(values), box, reduction._replace(combine=reduce.NAN_KEEPING[reduction.combine]), 0, True)
    assert np.isnan(box.memory.data)


@pytest.mark.parametrize("reverse", [True, False])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("combine", [np.add, np.fmax])
def test_scan(combine, axis, reverse):
    values = numbers((5, 9), "int8")
    box = empty((5, 9), "int8")
    reduce.scan(CORE, whole(values), box, combine, axis, reverse)
    for place in np.ndindex(values.shape):
        line = np.moveaxis(values, axis, 1)[place[1 - axis]]
        seen = line[place[axis] :] if reverse else line[: place[axis] + 1]
        assert box.memory.data[place] == combine.reduce(seen, dtype=np.int8)


def test_scan_of_halves_keeps_small_summands():
    values = np.full(4, 1, np.float16)
    values[0] = 2048
    box = empty((4,), "float16")
    reduce.scan(CORE, whole(values), box, np.add, 0, False)
    assert box.memory.data.tolist() == [2048, 2048, 2050, 2052]


@pytest.mark.parametrize("dtype", ["float32", "float16", "int32", "uint64"])
@pytest.mark.parametrize("name", atomic.ATOMICS)
def test_atomic(name, dtype):
    before, values = numbers((6, 8), dtype), numbers((2, 3), dtype, 1)
    target = memory(before)
    atomic.atomic(CORE, Box(target, (1, 4), (2, 3)), atomic.ATOMICS[name], values)
    before[1:3, 4:7] = COMBINED.get(name, np.add)(before[1:3, 4:7], values)
    assert np.array_equal(target.data, before)


def test_atomic_with_one_value():
    target = memory(np.arange(5, dtype=np.int32))
    atomic.atomic(CORE, Box(target, (1,), (3,)), atomic.ATOMICS["max"], np.int32(2))
    assert target.data.tolist() == [0, 2, 2, 3, 4]


if host.ON_TILELANG:
    import tilelang.language as T
    import tilelang.transform

    from tilelang.tt.executor.program import Program, Translator
    from tilelang.tt.executor.tile_ops import REFUSED, TILE_OPS

    A, B = (host.tvm.tirx.decl_buffer((16, 16), "float16", name, scope="shared") for name in "AB")
    FRAGMENT = host.tvm.tirx.decl_buffer((16, 16), "float16", "F", scope="local.fragment")
    LONG = host.tvm.tirx.decl_buffer((2, 16, 16), "float16", "LONG")

    def test_every_operation_on_tiles_is_covered_or_refused():
        names = {name for name in tvm_ffi.get_global_func("ir.ListOpNames")() if name.startswith("tl.tileop.")}
        assert names == {*TILE_OPS}
        assert {*REFUSED} < names

    def translate(call):
        """As a program does."""
        translator = Translator("main")
        for buffer in (A, B, LONG, FRAGMENT):
            translator.declare(buffer)
        return TILE_OPS[call.op.name](call, translator)

    @pytest.mark.parametrize("name", REFUSED)
    def test_refused_operation(name):
        call = host.tvm.tirx.call_intrin("handle", host.tvm.ir.Op.get(name))
        with pytest.raises(errors.NotCoveredError, match=f"TT930: kernel `main`: found {name}: "):
            translate(call)

    @pytest.mark.parametrize(
        "option",
        ["dst_block", "cluster_mask", "barrier", "is_gather4", "is_scatter4", "use_2cta", "is_wgmma", "is_tcgen05"],
    )
    def test_refused_option(option):
        annotations = {option: host.tvm.tirx.IntImm("int32", 3)}
        if option in ("use_2cta", "is_wgmma", "is_tcgen05"):
            call = T.gemm(A, B, A)
            call = host.tvm.tirx.Call(call.dtype, call.op, call.args, annotations)
        else:
            call = T.copy(A, B, annotations=annotations)
        with pytest.raises(
            errors.NotCoveredError, match=f"TT931: kernel `main`: found tl.tileop.*, which has the option {option}"
        ):
            translate(call)

    @pytest.mark.parametrize("options", [{}, {"coalesced_width": 4}, {"annotations": {"eviction_policy": 1}}])
    def test_options_that_change_nothing(options):
        translate(T.copy(A, B, **options))

    def test_copy_of_other_axes():
        """Which TileLang's own T.copy does not build."""
        call = T.copy(A, B)
        longer = T.copy(LONG, LONG).args[0]
        call = host.tvm.tirx.call_intrin("handle", call.op, longer, call.args[1])
        with pytest.raises(errors.ShapeError, match=r"TT932: kernel `main`: found .* and .*, whose axes do not belong"):
            translate(call)

    def program(func):
        """Of a kernel of one work tile."""
        launch = tilelang.transform.MaterializeKernelLaunch(lower_grid_binding=False, lower_thread_binding=False)
        return Program(launch(host.tvm.IRModule({"main": func}))["main"])

    def test_reducer_and_conditions_on_tiles():
        """A reducer of its own memory scope, any_of and all_of, and tiles that begin at a variable."""

        @T.prim_func
        def main(X: T.Tensor((8, 16), "float32"), Y: T.Tensor((8,), "float32"), F: T.Tensor((8,), "int32")):
            with T.Kernel(1):
                x = T.alloc_fragment((8, 16), "float32")
                largest = T.alloc_fragment((8,), "float32")
                above = T.alloc_shared((8,), "bool")
                reducer = T.alloc_reducer((8,), "float32", op="max")
                T.copy(X, x)
                T.reducer_init(reducer, 1.5)
                for i, j in T.Parallel(8, 16):
                    T.reducer_update(reducer[i], x[i, j])
                T.finalize_reducer(reducer, largest)
                for i in T.Parallel(8):
                    above[i] = largest[i] > 1.5
                if T.any_of(above):
                    T.copy(largest, Y)
                if T.all_of(above[2:4]):
                    F[0] = 5
                if T.any_of(above[0:2]):
                    F[1] = 5
                first = T.alloc_var("int32", init=3)
                T.atomic_max(F[first : first + 3], 3)

        values = numbers((8, 16), "float32")
        values[:2] = 1
        values[2:4, 5] = 2
        memories = [memory(values), memory(np.zeros(8, np.float32)), memory(np.zeros(8, np.int32))]
        program(main).run(CORE, memories)
        assert np.array_equal(memories[1].data, np.maximum(values.max(1), 1.5))
        assert memories[2].data.tolist() == [5, 0, 0, 3, 3, 3, 0, 0]

    @pytest.mark.parametrize("op", ["sum", "max", "min", "bitand", "bitor", "bitxor"])
    @pytest.mark.parametrize("dtype", ["int32", "uint8"])
    def test_reducer_starts_with_what_changes_nothing(op, dtype):
        @T.prim_func
        def main(X: T.Tensor((5,), dtype), Y: T.Tensor((1,), dtype)):
            with T.Kernel(1):
                reducer = T.alloc_reducer((1,), dtype, op=op)
                T.reducer_init(reducer)
                for i in T.Parallel(5):
                    T.reducer_update(reducer[0], X[i])
                T.finalize_reducer(reducer, Y)

        values = numbers((5,), dtype) + np.array(1, dtype)
        memories = [memory(values), memory(np.zeros(1, dtype))]
        program(main).run(CORE, memories)
        combine = {"sum": np.add, "max": np.maximum, "min": np.minimum, **BITS}[op]
        assert memories[1].data[0] == combine.reduce(values, dtype=dtype)

    def test_copy_between_extents():
        """The fragment says how many rows there are, whatever the regions of the tensors say."""

        @T.prim_func
        def main(X: T.Tensor((9, 4), "float32"), Y: T.Tensor((9, 4), "float32")):
            with T.Kernel(1):
                rows = T.alloc_fragment((8, 4), "float32")
                T.copy(X[1:6, :], rows)
                T.copy(rows, Y[1:3, :])

        values = numbers((9, 4), "float32")
        memories = [memory(values), memory(np.zeros_like(values))]
        program(main).run(CORE, memories)
        assert np.array_equal(memories[1].data[1:], values[1:])
        assert not memories[1].data[0].any()

    def test_copy_of_more_than_there_is_room_for():
        call = T.copy(A[0:16, 0:16], FRAGMENT[0:8, 0:16])
        with pytest.raises(errors.ShapeError, match=r"TT932: kernel `main`: found .* and .*, whose axes do not belong"):
            translate(call)
