"""Programs: what statements do, and what is refused before anything is done."""

import numpy as np
import pytest
import tvm
from support.host import ON_TILELANG, T
from tvm import te

from tilelang.tt import errors
from tilelang.tt.executor.memory import Core, OnChip
from tilelang.tt.executor.program import Program

pytestmark = pytest.mark.stage("execute")


def run(func, *arrays):
    """Execute a function on copies of arrays and numpy scalars; what the arrays hold then."""
    program = Program(func)
    arguments = [
        value if isinstance(value, np.generic) else OnChip(parameter.name, value.shape, value.dtype, value.copy())
        for parameter, value in zip(program.parameters, arrays, strict=True)
    ]
    program.run(Core(0), arguments)
    return [argument.data for argument in arguments if isinstance(argument, OnChip)]


def test_parameters():
    @T.prim_func
    def main(A: T.Buffer((4, 8), "float16"), n: T.int64):
        A[0, 0] = T.cast(n, "float16")

    a, n = Program(main).parameters
    assert (a.name, a.dtype, a.is_tensor) == ("A", np.float16, True)
    assert (n.name, n.dtype, n.is_tensor) == ("n", np.int64, False)


def test_shape_variables():
    @T.prim_func
    def main(a: T.handle, b: T.handle):
        m, n = T.int32(), T.int64()
        A = T.match_buffer(a, (m, 4), "int32")
        B = T.match_buffer(b, (n, m), "int32")
        B[n - 1, 0] = A[m - 1, 3]

    a = np.arange(12, dtype=np.int32).reshape(3, 4)
    assert run(main, a, np.zeros((2, 3), np.int32))[1].tolist() == [[0, 0, 0], [11, 0, 0]]


def test_loops():
    @T.prim_func
    def main(A: T.Buffer((4, 4), "int32"), n: T.int32):
        for i in range(n):
            for j in range(i, 4):
                A[i, j] = i * 10 + j

    expected = np.array([[i * 10 + j if i < 3 and j >= i else 0 for j in range(4)] for i in range(4)])
    assert (run(main, np.zeros((4, 4), np.int32), np.int32(3))[0] == expected).all()


def test_while():
    @T.prim_func
    def main(A: T.Buffer((2,), "int32")):
        while A[0] < 100:
            A[0] = A[0] * 2
            A[1] = A[1] + 1

    assert run(main, np.array([3, 0], np.int32))[0].tolist() == [192, 6]


def test_local_memory_is_fresh():
    @T.prim_func
    def main(A: T.Buffer((4,), "float32")):
        for i in range(4):
            total = T.alloc_buffer((1,), "float32", scope="local")
            total[0] = total[0] + A[i]
            A[i] = total[0] * T.float32(2)

    assert run(main, np.arange(4, dtype=np.float32))[0].tolist() == [0, 2, 4, 6]


def test_vector_lanes():
    @T.prim_func
    def main(A: T.Buffer((16,), "int32")):
        A[T.Ramp(8, 1, 4)] = T.Broadcast(3, 4) + A[T.Ramp(0, 2, 4)]

    expected = [*range(8), 3, 5, 7, 9, *range(12, 16)]
    assert run(main, np.arange(16, dtype=np.int32))[0].tolist() == expected


def test_assert():
    @T.prim_func
    def main(A: T.Buffer((1,), "int32"), n: T.int32):
        assert n > 3, "too few"
        A[0] = n

    assert run(main, np.zeros(1, np.int32), np.int32(4))[0] == 4
    with pytest.raises(errors.ExecutionError, match=r"TT925: .* n > 3 does not hold: .*too few"):
        run(main, np.zeros(1, np.int32), np.int32(3))


def test_division_by_zero():
    @T.prim_func
    def main(A: T.Buffer((1,), "int32"), n: T.int32):
        if n != 7:
            A[0] = A[0] // n

    assert run(main, np.ones(1, np.int32), np.int32(7))[0] == 1
    with pytest.raises(errors.ExecutionError, match="TT924: kernel `main`: found a division by zero"):
        run(main, np.ones(1, np.int32), np.int32(0))


def test_barriers_are_refused():
    @T.prim_func
    def main(A: T.Buffer((1,), "int32")):
        A[0] = 1
        T.evaluate(T.tvm_storage_sync("shared"))

    with pytest.raises(
        errors.NotCoveredError, match=r"TT920: kernel `main`: found the operation tirx\.tvm_storage_sync"
    ):
        Program(main)


def test_thread_bindings_are_refused():
    @T.prim_func
    def main(A: T.Buffer((4,), "int32")):
        for i in T.thread_binding(4, thread="threadIdx.x"):
            A[i] = i

    with pytest.raises(errors.NotCoveredError, match=r"TT920: .*the thread binding threadIdx\.x"):
        Program(main)


@pytest.mark.skipif(ON_TILELANG, reason="TileLang's numbers of 4 bits are packed")
def test_message_shows_the_statement_alone():
    @T.prim_func
    def main(A: T.Buffer((4,), "float32"), B: T.Buffer((4,), "float32")):
        for i in range(4):
            B[i] = T.call_extern("float32", "gelu", A[i])

    with pytest.raises(errors.NotCoveredError, match=r"\n  in: B\[i\] = T\.call_extern\("):
        Program(main)


def test_small_dtypes_are_refused():
    @T.prim_func
    def main(A: T.Buffer((4,), "int4")):
        A[0] = A[1]

    with pytest.raises(errors.NotCoveredError, match="TT921: found the dtype int4"):
        Program(main)


def test_unbound_variables_are_refused():
    n = T.int32()

    @T.prim_func(check_well_formed=False)
    def main(A: T.Buffer((4,), "int32")):
        A[0] = n

    with pytest.raises(errors.NotCoveredError, match="TT922: kernel `main`: found the variable"):
        Program(main)


def test_unknown_buffers_are_refused():
    tile = T.buffer((4,), "int32") if hasattr(T, "buffer") else T.Buffer((4,), "int32")

    @T.prim_func(check_well_formed=False)
    def main(A: T.Buffer((4,), "int32")):
        A[0] = tile[0]

    with pytest.raises(errors.NotCoveredError, match="TT923: kernel `main`: found the buffer"):
        Program(main)


def test_leaving_loops():
    @T.prim_func
    def main(A: T.Buffer((8,), "int32")):
        for i in range(8):
            if i == 2:
                T.evaluate(T.continue_loop())
            if i == 5:
                T.evaluate(T.break_loop())
            A[i] = 1
        while A[7] < 10:
            A[7] = A[7] + 3
            if A[7] > 5:
                T.evaluate(T.break_loop())

    assert run(main, np.zeros(8, np.int32))[0].tolist() == [1, 1, 0, 1, 1, 0, 0, 6]


def test_blocks():
    A = te.placeholder((4, 8), "int32", name="A")
    k = te.reduce_axis((2, 8))
    main = te.create_prim_func([A, te.compute((4,), lambda i: te.sum(A[i, k], k), name="B")])
    a = np.arange(32, dtype=np.int32).reshape(4, 8)
    assert run(main, a, np.ones(4, np.int32))[1].tolist() == a[:, 2:].sum(1).tolist()


def test_views():
    @T.prim_func
    def main(A: T.Buffer((2, 8), "float32")):
        flat = T.decl_buffer((16,), "int32", data=A.data)
        for i in range(8):
            flat[i + 4] = 0

    assert np.flatnonzero(run(main, np.ones((2, 8), np.float32))[0] == 0).tolist() == list(range(4, 12))


def test_work_tiles():
    class Recorded(OnChip):
        def store(self, core, indices, values, mask=None):
            turns.append((core.launch, core.turn, int(values)))
            super().store(core, indices, values, mask)

    @T.prim_func
    def main(A: T.Buffer((8,), "int32")):
        for i in T.serial(3, annotations={"tt_launch": 1}):
            if i == 1:
                T.evaluate(T.thread_return())
            A[i] = i * 2
        A[7] = 5

    turns = []
    Program(main).run(Core(0), [Recorded("A", (8,), np.dtype(np.int32))])
    assert turns == [(1, 0, 0), (1, 2, 4), (1, -1, 5)]


def test_deep_nests():
    @T.prim_func
    def main(A: T.Buffer((1,), "int32")):
        A[0] = A[0] + 1

    body = main.body
    for _ in range(2000):
        body = tvm.tirx.IfThenElse(tvm.tirx.const(1, "bool"), body, None)
    assert run(main.with_body(body), np.zeros(1, np.int32))[0].tolist() == [1]
