"""ThreadsToLoops: threads one after the other, in every form in which hosts write them."""

import re

from support.host import HAS_DEVICE_SCOPES, ON_TILELANG, T  # isort: skip  # the host comes before tvm

import pytest
import tvm
from support.launch_forms import FORMS
from tvm import tirx

from tilelang.tt import errors, threads_to_loops, transform
from tilelang.tt.testing import check_pass, check_rejects

pytestmark = pytest.mark.stage("program")

if ON_TILELANG:
    import tilelang.language as L

# Of a name that is bound to a value.
INT32 = T.int32 if ON_TILELANG else T.let[T.int32]
LEAVE = tirx.call_intrin("int32", tvm.ir.Op.get("tirx.break_loop"))


def check(before, expected):
    """The result is as expected, well-formed where it can be, and stays under a second run."""
    after = check_pass(before, expected, threads_to_loops, idempotent=True)
    assert tirx.analysis.verify_well_formed(after, False)
    assert threads_to_loops(after).same_as(after)


# ---- forms of all hosts ----------------------------------------------------------------------------------------------


def test_launch_thread():
    @T.prim_func
    def before(A: T.Buffer((64,), "float32"), C: T.Buffer((64,), "float32")):
        tx = T.launch_thread("threadIdx.x", 64)
        C[tx] = A[tx] + T.float32(1)

    @T.prim_func
    def before_as_loop(A: T.Buffer((64,), "float32"), C: T.Buffer((64,), "float32")):
        for tx in T.thread_binding(64, thread="threadIdx.x"):
            C[tx] = A[tx] + T.float32(1)

    @T.prim_func
    def expected(A: T.Buffer((64,), "float32"), C: T.Buffer((64,), "float32")):
        for tx in range(64):
            C[tx] = A[tx] + T.float32(1)

    check(before, expected)
    check(before_as_loop, expected)


def test_the_grid_stays():
    @T.prim_func
    def before(C: T.Buffer((4, 8, 16), "float32")):
        bx = T.launch_thread("blockIdx.x", 4)
        ty = T.launch_thread("threadIdx.y", 8)
        tx = T.launch_thread("threadIdx.x", 16)
        C[bx, ty, tx] = T.float32(1)

    @T.prim_func
    def expected(C: T.Buffer((4, 8, 16), "float32")):
        bx = T.launch_thread("blockIdx.x", 4)
        for ty in range(8):
            for tx in range(16):
                C[bx, ty, tx] = T.float32(1)

    check(before, expected)


def test_an_index_that_nobody_uses_goes():
    @T.prim_func
    def before(C: T.Buffer((4,), "float32")):
        bx = T.launch_thread("blockIdx.x", 4)
        T.launch_thread("threadIdx.x", 64)
        C[bx] = T.float32(1)

    @T.prim_func
    def expected(C: T.Buffer((4,), "float32")):
        bx = T.launch_thread("blockIdx.x", 4)
        C[bx] = T.float32(1)

    check(before, expected)


def test_an_index_of_one_value_is_bound():
    @T.prim_func
    def before(C: T.Buffer((4,), "float32")):
        tx = T.launch_thread("threadIdx.x", 1)
        C[tx] = T.float32(1)

    @T.prim_func
    def expected(C: T.Buffer((4,), "float32")):
        tx: INT32 = 0
        C[tx] = T.float32(1)

    check(before, expected)


def test_a_call_that_counts_is_repeated():
    @T.prim_func
    def before(C: T.Buffer((4,), "float32")):
        T.launch_thread("threadIdx.x", 64)
        T.evaluate(T.call_extern("float32", "atomicAdd", C.access_ptr("rw"), T.float32(1)))

    @T.prim_func
    def expected(C: T.Buffer((4,), "float32")):
        for _ in range(64):
            T.evaluate(T.call_extern("float32", "atomicAdd", C.access_ptr("rw"), T.float32(1)))

    check(before, expected)


def test_symbolic_extents():
    @T.prim_func
    def before(c: T.handle):
        m = T.int32()
        C = T.match_buffer(c, (m,), "float32")
        tx = T.launch_thread("threadIdx.x", m)
        C[tx] = T.float32(1)

    @T.prim_func
    def expected(c: T.handle):
        m = T.int32()
        C = T.match_buffer(c, (m,), "float32")
        for tx in range(m):
            C[tx] = T.float32(1)

    check(before, expected)


def test_threads_inside_of_loops():
    """As in the loop of a core over its work tiles, behind what the loop binds."""

    @T.prim_func
    def before(C: T.Buffer((4, 8), "float32")):
        for i in range(4):
            row: INT32 = 3 - i
            for k in range(1):
                with T.launch_thread("threadIdx.x", 8) as tx:
                    C[row, tx] = T.Cast("float32", k)

    @T.prim_func
    def expected(C: T.Buffer((4, 8), "float32")):
        for i in range(4):
            row: INT32 = 3 - i
            for k in range(1):
                for tx in range(8):
                    C[row, tx] = T.Cast("float32", k)

    check(before, expected)


def test_private_memory_of_a_thread():
    """All that a thread does with its memory is in one loop, wherever that memory is allocated."""

    @T.prim_func
    def before(A: T.Buffer((8, 16), "float32"), C: T.Buffer((8,), "float32")):
        total = T.alloc_buffer((1,), "float32", scope="local")
        tx = T.launch_thread("threadIdx.x", 8)
        total[0] = T.float32(0)
        for k in range(16):
            total[0] = total[0] + A[tx, k]
        C[tx] = total[0]

    @T.prim_func
    def expected(A: T.Buffer((8, 16), "float32"), C: T.Buffer((8,), "float32")):
        total = T.alloc_buffer((1,), "float32", scope="local")
        for tx in range(8):
            total[0] = T.float32(0)
            for k in range(16):
                total[0] = total[0] + A[tx, k]
            C[tx] = total[0]

    check(before, expected)


def test_shared_memory_is_written_by_all_before_it_is_read():
    """Reversed through shared memory: one loop for each statement, as there is a barrier between them."""

    @T.prim_func
    def before(A: T.Buffer((8,), "float32"), C: T.Buffer((8,), "float32")):
        stage = T.alloc_buffer((8,), "float32", scope="shared")
        tx = T.launch_thread("threadIdx.x", 8)
        stage[tx] = A[tx]
        C[tx] = stage[7 - tx]

    @T.prim_func
    def expected(A: T.Buffer((8,), "float32"), C: T.Buffer((8,), "float32")):
        stage = T.alloc_buffer((8,), "float32", scope="shared")
        for tx in range(8):
            stage[tx] = A[tx]
        for ty in range(8):
            C[ty] = stage[7 - ty]

    check(before, expected)


def test_an_element_of_shared_memory_for_each_thread():
    @T.prim_func
    def before(A: T.Buffer((8,), "float32"), C: T.Buffer((8,), "float32")):
        stage = T.alloc_buffer((8,), "float32", scope="shared")
        tx = T.launch_thread("threadIdx.x", 8)
        stage[tx] = A[tx]
        C[tx] = stage[tx]

    @T.prim_func
    def expected(A: T.Buffer((8,), "float32"), C: T.Buffer((8,), "float32")):
        stage = T.alloc_buffer((8,), "float32", scope="shared")
        for tx in range(8):
            stage[tx] = A[tx]
            C[tx] = stage[tx]

    check(before, expected)


SAME, OTHER = True, False
ELEMENTS = {
    "its own": (lambda tx, n: tx, lambda tx, n: tx, SAME),
    "its own at a distance": (lambda tx, n: n + tx, lambda tx, n: n + tx, SAME),
    "one of each other one": (lambda tx, n: tx * 2, lambda tx, n: tx * 2, SAME),
    "at two distances": (lambda tx, n: tx + 1, lambda tx, n: tx, OTHER),
    "at two unknown distances": (
        lambda tx, n: tx + tirx.popcount(n),
        lambda tx, n: tx + tirx.bitwise_not(n),
        OTHER,
    ),
    "at distances of two calls": (lambda tx, n: tx + tirx.popcount(n), lambda tx, n: tx + tirx.popcount(n + 1), OTHER),
    "as far apart as n says": (lambda tx, n: tx * n, lambda tx, n: tx * n, OTHER),
    "the first": (lambda tx, n: tirx.Mul(tx, zero()), lambda tx, n: tirx.Mul(tx, zero()), OTHER),
    "that of a pair": (lambda tx, n: tx - tx % 2, lambda tx, n: tx - tx % 2, OTHER),
    "from the end": (lambda tx, n: n - tx, lambda tx, n: n - tx, SAME),
}


def zero():
    return tirx.IntImm("int32", 0)


@pytest.mark.parametrize("name", ELEMENTS)
def test_which_element_of_shared_memory_belongs_to_a_thread(name):
    """Writing and reading is one loop only where no thread reads what another one writes, and else there are two."""
    write, read, is_same = ELEMENTS[name]
    tx, n = tirx.Var("tx", "int32"), tirx.Var("n", "int32")
    A, C = (tirx.decl_buffer((8,), "float32", name=name) for name in "AC")
    stage = tirx.decl_buffer((64,), "float32", name="stage", scope="shared")
    stmts = [
        tirx.AllocBuffer(stage),
        tirx.BufferStore(stage, tirx.BufferLoad(A, [tx]), [write(tx, n)]),
        tirx.BufferStore(C, tirx.BufferLoad(stage, [read(tx, n)]), [tx]),
    ]
    tag = tirx.IterVar(None, tx, tirx.IterVar.ThreadIndex, "threadIdx.x")
    launch = tirx.For(tx, 0, 8, tirx.ForKind.THREAD_BINDING, tirx.SeqStmt(stmts), thread_binding=tag)
    after = threads_to_loops(tirx.PrimFunc([A, C, n], launch).with_attr("global_symbol", "main"))
    assert after.script().count("in range(8)") == (1 if is_same else 2)


def test_two_loops_over_the_same_threads():
    @T.prim_func
    def before(C: T.Buffer((8, 8), "float32")):
        for tx in T.thread_binding(8, thread="threadIdx.x"):
            for again in T.thread_binding(8, thread="threadIdx.x"):
                C[tx, again] = T.float32(1)

    @T.prim_func
    def expected(C: T.Buffer((8, 8), "float32")):
        for tx in range(8):
            C[tx, tx] = T.float32(1)

    check(before, expected)


def test_two_loops_over_the_same_single_thread():
    @T.prim_func
    def before(C: T.Buffer((4,), "float32")):
        for _ in T.thread_binding(1, thread="threadIdx.x"):
            for again in T.thread_binding(1, thread="threadIdx.x"):
                C[again + 1] = T.float32(1)

    after = threads_to_loops(before)
    assert tirx.analysis.verify_well_formed(after, False)


def test_what_all_threads_write_is_written_after_all_have_read():
    """Also where all of them write the same."""

    @T.prim_func
    def before(C: T.Buffer((4, 8), "float32")):
        stage = T.alloc_buffer((1,), "float32", scope="shared")
        tx = T.launch_thread("threadIdx.x", 8)
        stage[0] = T.float32(5)
        for k in range(4):
            C[k, tx] = stage[0]
            stage[0] = T.Cast("float32", k)

    @T.prim_func
    def expected(C: T.Buffer((4, 8), "float32")):
        stage = T.alloc_buffer((1,), "float32", scope="shared")
        stage[0] = T.float32(5)
        for k in range(4):
            for tx in range(8):
                C[k, tx] = stage[0]
            stage[0] = T.Cast("float32", k)

    check(before, expected)


def test_elements_that_other_threads_touch_in_other_trips():
    @T.prim_func
    def before(C: T.Buffer((4, 8), "float32")):
        stage = T.alloc_buffer((16,), "float32", scope="shared")
        tx = T.launch_thread("threadIdx.x", 8)
        for k in range(4):
            C[k, tx] = stage[tx + k]
            stage[tx + k] = T.Cast("float32", k)

    @T.prim_func
    def expected(C: T.Buffer((4, 8), "float32")):
        stage = T.alloc_buffer((16,), "float32", scope="shared")
        for k in range(4):
            for tx in range(8):
                C[k, tx] = stage[tx + k]
                stage[tx + k] = T.Cast("float32", k)

    check(before, expected)


@pytest.mark.parametrize(("thread", "trip"), [(1, 8), (4, 1), (-1, 8), (4, -1), (4, 32)])
def test_elements_that_no_other_thread_touches_in_any_trip(thread, trip):
    @T.prim_func
    def before(C: T.Buffer((4, 8), "float32")):
        stage = T.alloc_buffer((256,), "float32", scope="shared")
        tx = T.launch_thread("threadIdx.x", 8)
        for k in range(4):
            C[k, tx] = stage[128 + tx * thread + k * trip]
            stage[128 + tx * thread + k * trip] = T.Cast("float32", k)

    @T.prim_func
    def expected(C: T.Buffer((4, 8), "float32")):
        stage = T.alloc_buffer((256,), "float32", scope="shared")
        for tx in range(8):
            for k in range(4):
                C[k, tx] = stage[128 + tx * thread + k * trip]
                stage[128 + tx * thread + k * trip] = T.Cast("float32", k)

    check(before, expected)


def test_threads_of_two_axes_in_one_row():
    @T.prim_func
    def before(C: T.Buffer((32,), "float32")):
        kept = T.alloc_buffer((1,), "float32", scope="local")
        stage = T.alloc_buffer((32,), "float32", scope="shared")
        ty = T.launch_thread("threadIdx.y", 4)
        tx = T.launch_thread("threadIdx.x", 8)
        kept[0] = stage[ty * 8 + tx]
        stage[ty * 8 + tx] = kept[0] + T.float32(1)
        C[ty * 8 + tx] = kept[0]

    @T.prim_func
    def expected(C: T.Buffer((32,), "float32")):
        kept = T.alloc_buffer((1,), "float32", scope="local")
        stage = T.alloc_buffer((32,), "float32", scope="shared")
        for ty in range(4):
            for tx in range(8):
                kept[0] = stage[ty * 8 + tx]
                stage[ty * 8 + tx] = kept[0] + T.float32(1)
                C[ty * 8 + tx] = kept[0]

    check(before, expected)


def test_shared_memory_behind_a_pointer():
    @T.prim_func
    def before(C: T.Buffer((8,), "float32")):
        stage = T.alloc_buffer((8,), "float32", scope="shared")
        tx = T.launch_thread("threadIdx.x", 8)
        T.evaluate(T.call_extern("float32", "fill", stage.access_ptr("w"), tx))
        C[tx] = stage[7 - tx]

    @T.prim_func
    def expected(C: T.Buffer((8,), "float32")):
        stage = T.alloc_buffer((8,), "float32", scope="shared")
        for tx in range(8):
            T.evaluate(T.call_extern("float32", "fill", stage.access_ptr("w"), tx))
        for ty in range(8):
            C[ty] = stage[7 - ty]

    check(before, expected)


def test_a_jump_stays_outside_of_loops_over_threads():
    @T.prim_func
    def before(C: T.Buffer((8,), "float32"), D: T.Buffer((8,), "float32")):
        stage = T.alloc_buffer((8,), "float32", scope="shared")
        tx = T.launch_thread("threadIdx.x", 8)
        for k in range(4):
            stage[tx] = T.Cast("float32", k)
            C[tx] = stage[7 - tx]
            if k == 2:
                T.evaluate(LEAVE)
            D[tx] = T.float32(1)

    @T.prim_func
    def expected(C: T.Buffer((8,), "float32"), D: T.Buffer((8,), "float32")):
        stage = T.alloc_buffer((8,), "float32", scope="shared")
        for k in range(4):
            for tx in range(8):
                stage[tx] = T.Cast("float32", k)
            for ty in range(8):
                C[ty] = stage[7 - ty]
            if k == 2:
                T.evaluate(LEAVE)
            for tz in range(8):
                D[tz] = T.float32(1)

    check(before, expected)


# TIRx's lowering asks the other threads for the number of the warp, and TileLang's for CUDA is full of barriers.
WITH_SHUFFLES = {
    *(form.name for form in FORMS if re.match(r"(cta_id|cluster).*_after_", form.name)),
    "tilelang_kernel_after_cuda_pipeline",
}


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_no_index_is_left_in_any_form(form):
    before = form.build()
    if form.name in WITH_SHUFFLES:
        with pytest.raises(errors.NotCoveredError, match="TT240"):
            transform.ThreadsToLoops()(before)
        return
    after = transform.ThreadsToLoops()(before)[form.kernel]
    text = "\n".join(line for line in after.script().splitlines() if "func_attr" not in line)
    assert not re.search(r'"threadIdx|"vthread|thread_id\(|launch_thread_idx', text)


def test_one_thread_writes_what_all_read():
    """A constant for every thread's element, but only one thread is there to write it."""

    @T.prim_func
    def before(C: T.Buffer((8,), "float32")):
        stage = T.alloc_buffer((1,), "float32", scope="shared")
        tx = T.launch_thread("threadIdx.x", 8)
        if tx == 3:
            stage[0] = T.float32(1)
        C[tx] = stage[0]

    @T.prim_func
    def expected(C: T.Buffer((8,), "float32")):
        stage = T.alloc_buffer((1,), "float32", scope="shared")
        for tx in range(8):
            if tx == 3:
                stage[0] = T.float32(1)
        for ty in range(8):
            C[ty] = stage[0]

    check(before, expected)


def test_shared_memory_that_is_read_only_needs_no_order():
    @T.prim_func
    def before(A: T.Buffer((8,), "float32"), C: T.Buffer((8,), "float32")):
        stage = T.alloc_buffer((1,), "float32", scope="shared")
        tx = T.launch_thread("threadIdx.x", 8)
        stage[0] = A[0]
        C[tx] = stage[0]
        A[tx] = stage[0]

    @T.prim_func
    def expected(A: T.Buffer((8,), "float32"), C: T.Buffer((8,), "float32")):
        stage = T.alloc_buffer((1,), "float32", scope="shared")
        stage[0] = A[0]
        for tx in range(8):
            C[tx] = stage[0]
            A[tx] = stage[0]

    check(before, expected)


def test_shared_memory_that_a_call_reads():
    """The call may read every element, so all have to be there."""

    @T.prim_func
    def before(A: T.Buffer((8,), "float32"), C: T.Buffer((8,), "float32")):
        stage = T.alloc_buffer((8,), "float32", scope="shared")
        tx = T.launch_thread("threadIdx.x", 8)
        stage[tx] = A[tx]
        C[tx] = T.call_extern("float32", "total", stage.access_ptr("r"))

    @T.prim_func
    def expected(A: T.Buffer((8,), "float32"), C: T.Buffer((8,), "float32")):
        stage = T.alloc_buffer((8,), "float32", scope="shared")
        for tx in range(8):
            stage[tx] = A[tx]
        for ty in range(8):
            C[ty] = T.call_extern("float32", "total", stage.access_ptr("r"))

    check(before, expected)


def test_what_is_the_same_for_all_threads_stands_outside_of_the_loop():
    @T.prim_func
    def before(C: T.Buffer((8,), "float32"), D: T.Buffer((2,), "float32")):
        tx = T.launch_thread("threadIdx.x", 8)
        D[0] = D[0] + T.float32(1)
        C[tx] = T.float32(1)
        D[1] = D[1] + T.float32(1)

    @T.prim_func
    def expected(C: T.Buffer((8,), "float32"), D: T.Buffer((2,), "float32")):
        D[0] = D[0] + T.float32(1)
        for tx in range(8):
            C[tx] = T.float32(1)
        D[1] = D[1] + T.float32(1)

    check(before, expected)


def test_private_memory_that_only_some_threads_write():
    """The same value for all that write it, but it differs between those that do and those that do not."""

    @T.prim_func
    def before(C: T.Buffer((8,), "float32")):
        flag = T.alloc_buffer((1,), "float32", scope="local")
        tx = T.launch_thread("threadIdx.x", 8)
        flag[0] = T.float32(0)
        if tx < 3:
            flag[0] = T.float32(1)
        C[tx] = flag[0]

    @T.prim_func
    def expected(C: T.Buffer((8,), "float32")):
        flag = T.alloc_buffer((1,), "float32", scope="local")
        for tx in range(8):
            flag[0] = T.float32(0)
            if tx < 3:
                flag[0] = T.float32(1)
            C[tx] = flag[0]

    check(before, expected)


def test_private_memory_that_differs_from_the_second_trip_on():
    """What is read comes later in the loop's body than where it goes to."""

    @T.prim_func
    def before(A: T.Buffer((8, 4), "float32"), C: T.Buffer((8,), "float32")):
        last = T.alloc_buffer((1,), "float32", scope="local")
        new = T.alloc_buffer((1,), "float32", scope="local")
        tx = T.launch_thread("threadIdx.x", 8)
        last[0] = T.float32(0)
        new[0] = T.float32(0)
        for k in range(4):
            last[0] = new[0]
            new[0] = A[tx, k]
        C[tx] = last[0]

    @T.prim_func
    def expected(A: T.Buffer((8, 4), "float32"), C: T.Buffer((8,), "float32")):
        last = T.alloc_buffer((1,), "float32", scope="local")
        new = T.alloc_buffer((1,), "float32", scope="local")
        for tx in range(8):
            last[0] = T.float32(0)
            new[0] = T.float32(0)
            for k in range(4):
                last[0] = new[0]
                new[0] = A[tx, k]
            C[tx] = last[0]

    check(before, expected)


# ---- refusals --------------------------------------------------------------------------------------------------------


def test_barriers_are_refused():
    @T.prim_func
    def before(C: T.Buffer((8,), "float32")):
        tx = T.launch_thread("threadIdx.x", 8)
        C[tx] = T.float32(1)
        T.evaluate(T.tvm_storage_sync("shared"))
        C[tx] = T.float32(2)

    check_rejects(before, threads_to_loops, code="TT240", at="T.tvm_storage_sync(")


def test_memory_that_lives_on_is_refused():
    @T.prim_func
    def before(A: T.Buffer((8,), "float32"), C: T.Buffer((8,), "float32")):
        kept = T.alloc_buffer((1,), "float32", scope="local")
        for tx in T.thread_binding(8, thread="threadIdx.x"):
            kept[0] = A[tx]
        for tx in T.thread_binding(8, thread="threadIdx.x"):
            C[tx] = kept[0]

    check_rejects(before, threads_to_loops, code="TT242", match="`kept`")


def test_memory_behind_a_pointer_that_lives_on_is_refused():
    @T.prim_func
    def before(C: T.Buffer((8,), "float32")):
        kept = T.alloc_buffer((1,), "float32", scope="local")
        stage = T.alloc_buffer((8,), "float32", scope="shared")
        tx = T.launch_thread("threadIdx.x", 8)
        T.evaluate(T.call_extern("float32", "fill", kept.access_ptr("w"), tx))
        stage[tx] = T.float32(1)
        C[tx] = stage[7 - tx] + kept[0]

    check_rejects(before, threads_to_loops, code="TT242", match="`kept`")


def test_memory_that_lives_on_from_trip_to_trip_is_refused():
    @T.prim_func
    def before(A: T.Buffer((8, 4), "float32"), C: T.Buffer((8,), "float32")):
        kept = T.alloc_buffer((1,), "float32", scope="local")
        for k in range(4):
            for tx in T.thread_binding(8, thread="threadIdx.x"):
                kept[0] = kept[0] + A[tx, k]
                C[tx] = kept[0]

    check_rejects(before, threads_to_loops, code="TT242", match="`kept`")


def test_a_name_that_lives_on_is_refused():
    """All threads have to write before any reads, and the name is bound before and used after."""

    @T.prim_func
    def before(A: T.Buffer((16,), "float32"), C: T.Buffer((8,), "float32")):
        stage = T.alloc_buffer((8,), "float32", scope="shared")
        tx = T.launch_thread("threadIdx.x", 8)
        row: INT32 = tx * 2
        stage[tx] = A[row]
        C[tx] = stage[7 - tx] + A[row]

    check_rejects(before, threads_to_loops, code="TT242", match="a name that it defines")


def test_an_exchange_in_one_statement_is_refused():
    @T.prim_func
    def before(C: T.Buffer((8,), "float32")):
        stage = T.alloc_buffer((8,), "float32", scope="shared")
        tx = T.launch_thread("threadIdx.x", 8)
        stage[tx] = stage[7 - tx] + T.float32(1)
        C[tx] = stage[tx]

    check_rejects(before, threads_to_loops, code="TT243", match="`stage`")


def test_a_jump_of_single_threads_is_refused():
    @T.prim_func
    def before(A: T.Buffer((8,), "float32"), C: T.Buffer((8,), "float32")):
        stage = T.alloc_buffer((8,), "float32", scope="shared")
        tx = T.launch_thread("threadIdx.x", 8)
        for k in range(4):
            stage[tx] = T.Cast("float32", k)
            C[tx] = stage[7 - tx]
            if A[tx] > T.float32(1):
                T.evaluate(LEAVE)

    check_rejects(before, threads_to_loops, code="TT240", at="T.break_loop()", match="leaves a loop")


def test_two_extents_are_refused():
    @T.prim_func
    def before(C: T.Buffer((8, 8), "float32")):
        for tx in T.thread_binding(8, thread="threadIdx.x"):
            for again in T.thread_binding(4, thread="threadIdx.x"):
                C[tx, again] = T.float32(1)

    check_rejects(before, threads_to_loops, code="TT244", at="for again in", match=r"threadIdx\.x has two extents")


# ---- TIRx's device scopes --------------------------------------------------------------------------------------------

if HAS_DEVICE_SCOPES:

    def test_thread_id():
        @T.prim_func
        def before(C: T.Buffer((4, 16, 2), "float32")):
            T.device_entry()
            bx = T.cta_id([4])
            tx, ty = T.thread_id([16, 2])
            C[bx, tx, ty] = T.float32(1)

        @T.prim_func
        def expected(C: T.Buffer((4, 16, 2), "float32")):
            T.device_entry()
            bx = T.cta_id([4])
            for ty in range(2):
                for tx in range(16):
                    C[bx, tx, ty] = T.float32(1)

        check(before, expected)

    def test_numbers_of_warps_and_lanes():
        """The numbers that TIRx's own lowering computes from the thread's."""

        @T.prim_func
        def before(C: T.Buffer((8, 32, 2, 4, 128), "float32")):
            T.device_entry()
            warp = T.warp_id([8])
            lane = T.lane_id([32])
            group = T.warpgroup_id([2])
            warp_in_group = T.warp_id_in_wg([4])
            thread_in_group = T.thread_id_in_wg([128])
            C[warp, lane, group, warp_in_group, thread_in_group] = T.float32(1)

        @T.prim_func
        def expected(C: T.Buffer((8, 32, 2, 4, 128), "float32")):
            for thread in range(256):
                warp: INT32 = thread // 32
                lane: INT32 = thread % 32
                group: INT32 = thread // 128
                warp_in_group: INT32 = thread // 32 % 4
                thread_in_group: INT32 = thread % 128
                C[warp, lane, group, warp_in_group, thread_in_group] = T.float32(1)

        check(before, expected)

    def test_threads_beside_warps():
        @T.prim_func
        def before(C: T.Buffer((8, 8, 32), "float32")):
            T.device_entry()
            tx, ty = T.thread_id([8, 8])
            lane = T.lane_id([32])
            C[tx, ty, lane] = T.float32(1)

        @T.prim_func
        def expected(C: T.Buffer((8, 8, 32), "float32")):
            for thread in range(64):
                tx: INT32 = thread % 8
                ty: INT32 = thread // 8
                lane: INT32 = thread % 32
                C[tx, ty, lane] = T.float32(1)

        check(before, expected)

    def test_an_axis_of_one_thread_beside_lanes():
        @T.prim_func
        def before(C: T.Buffer((2, 64, 32), "float32")):
            T.device_entry()
            tx, ty = T.thread_id([1, 64])
            lane = T.lane_id([32])
            C[tx, ty, lane] = T.float32(1)

        value = threads_to_loops(before).body.body.seq[0].value
        assert isinstance(value, tirx.FloorMod)
        assert int(value.b) == 1

    def test_unknown_numbers_of_threads_are_refused():
        @T.prim_func
        def before(C: T.Buffer((32,), "float32")):
            T.device_entry()
            lane = T.lane_id([32])
            C[lane] = T.float32(1)

        check_rejects(before, threads_to_loops, code="TT244", at="T.lane_id(", match="no scope says how many threads")


# ---- TileLang --------------------------------------------------------------------------------------------------------

if ON_TILELANG:

    def body_of(func):
        """The statements of a launch, as text without the frame around them."""
        text = func.script()
        return text[text.index('sblock("tilelang_root")') :]

    def test_tile_kernels_lose_their_threads():
        @L.prim_func
        def before(A: L.Tensor((128, 64), "float32"), C: L.Tensor((128, 64), "float32")):
            with L.Kernel(4, threads=128) as bx:
                tile = L.alloc_shared((32, 64), "float32")
                L.copy(A[bx * 32, 0], tile)
                for i, j in L.Parallel(32, 64):
                    tile[i, j] = tile[i, j] * 2
                L.copy(tile, C[bx * 32, 0])

        after = threads_to_loops(before)
        assert "launch_thread" not in after.script()
        assert body_of(after).count("T.copy") == body_of(before).count("T.copy")
        assert body_of(after).count("range(") == body_of(before).count("range(") == 0
        assert tirx.analysis.verify_well_formed(after, False)
        assert threads_to_loops(after).same_as(after)

    def test_loops_around_single_statements_of_threads():
        @L.prim_func
        def before(A: L.Tensor((128,), "float32"), C: L.Tensor((128,), "float32")):
            with L.Kernel(1, threads=128):
                tx = L.get_thread_binding()
                tile = L.alloc_shared((128,), "float32")
                L.copy(A, tile)
                tile[tx] = tile[tx] + 1.0
                L.copy(tile, C)

        text = body_of(threads_to_loops(before))
        lines = [line.strip() for line in text.splitlines()]
        loop = lines.index("for tx in range(128):")
        assert lines[loop + 1] == "tile[tx] = tile[tx] + T.float32(1.0)"
        assert lines[loop - 1].startswith("T.copy(")
        assert lines[loop + 2].startswith("T.copy(")

    def test_a_loop_of_all_threads_adds_once():
        @L.prim_func
        def before(C: L.Tensor((16,), "float32")):
            with L.Kernel(1, threads=128):
                for i in L.Parallel(16):
                    L.atomic_add(C[i], 1.0)

        assert "range(" not in body_of(threads_to_loops(before))

    def test_a_thread_adds_once_each():
        @L.prim_func
        def before(C: L.Tensor((16,), "float32")):
            with L.Kernel(1, threads=128):
                L.atomic_add(C[0], 1.0)

        assert body_of(threads_to_loops(before)).count("range(128)") == 1

    def test_a_thread_index_in_a_tile_operation_is_refused():
        @L.prim_func
        def before(A: L.Tensor((128, 128), "float32"), C: L.Tensor((128, 128), "float32")):
            with L.Kernel(1, threads=128):
                tx = L.get_thread_binding()
                tile = L.alloc_shared((128,), "float32")
                L.copy(A[tx, 0], tile)
                L.copy(tile, C[tx, 0])

        check_rejects(before, threads_to_loops, code="TT241", match=r"tl\.tileop\.copy.*threadIdx\.x")

    def test_no_extent_is_refused():
        @L.prim_func
        def before(C: L.Tensor((128,), "float32")):
            with L.Kernel(1):
                tx = L.get_thread_binding()
                C[tx] = 1.0

        check_rejects(
            before, threads_to_loops, code="TT244", at="T.launch_thread_idx(0)", match=r"threadIdx\.x has no extent"
        )

    @pytest.mark.parametrize("operation", ["sync_threads", "sync_warp"])
    def test_barriers_of_tilelang_are_refused(operation):
        @L.prim_func
        def before(C: L.Tensor((128,), "float32")):
            with L.Kernel(1, threads=128):
                tx = L.get_thread_binding()
                C[tx] = 1.0
                getattr(L, operation)()

        check_rejects(before, threads_to_loops, code="TT240")
