"""Kernels that are prepared once and executed often, by several threads at a time."""

from support.host import ON_TILELANG, T  # isort: skip  # the host comes before tvm

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Event

import numpy as np
import pytest
import tvm
import tvm_ffi
from hypothesis import given, settings
from hypothesis import strategies as st
from support import kernels_tirx
from support.kernels import CASES
from test_execution import NOT_EXECUTED, SINGLE, SIZES, arguments, numbers, small, symbolic_add

from tilelang.tt import compile as compile_kernel
from tilelang.tt import errors
from tilelang.tt.executor import Executable, executable, execution, llvm, memory, run
from tilelang.tt.executor.program import Program
from tilelang.tt.service.artifact import Artifact
from tilelang.tt.service.entry import Entry

pytestmark = pytest.mark.stage("execute")

if ON_TILELANG:
    from support import kernels_tilelang

PATIENCE = 60


def stored(kernel, **options):
    """What a cache gives for a kernel that another process has compiled."""
    entry = compile_kernel(kernel, options=options)._artifact.entry
    return Artifact(Entry.from_bytes(entry.to_bytes())).executable


def exp_of_unknown():
    @T.prim_func
    def main(A: T.Buffer((8,), "float32")):
        bx = T.launch_thread("blockIdx.x", 8)
        A[bx] = T.call_extern("float32", "nobody_knows", A[bx])

    return main


@pytest.fixture
def passes(monkeypatch):
    """The names of all passes and inferences that are run."""
    ran = []
    real = tvm_ffi.get_global_func

    def get(name, *rest, **more):
        found = real(name, *rest, **more)
        return found if name != "tilelang.tt.infer" else lambda *args: (ran.append(name), found(*args))[1]

    monkeypatch.setattr(tvm_ffi, "get_global_func", get)

    @tvm.ir.instrument.pass_instrument
    class Watch:
        def run_before_pass(self, mod, info):
            ran.append(str(info.name))

    with tvm.ir.transform.PassContext(instruments=[Watch()]):
        yield ran


@pytest.mark.filterwarnings("ignore::tilelang.tt.errors.TTWarning")
@pytest.mark.parametrize("case", [case for case in CASES if case.id not in NOT_EXECUTED])
def test_stored_pieces_run_as_the_kernel_does(case):
    kernel = small(case)
    again = stored(kernel, schedule_policy="strided")
    own, theirs = (one(*arguments(kernel)) for one in (again.run, lambda *a: run(kernel, *a, policy="strided")))
    assert own.outputs.keys() == theirs.outputs.keys()
    for name, output in own.outputs.items():
        np.testing.assert_array_equal(output, theirs.outputs[name])
    assert own.kernel == theirs.kernel
    assert str(own) == str(theirs)


def test_stored_pieces_run_without_a_pass(passes):
    kernel = kernels_tirx.elementwise_ragged(50, 40, 32, 16, "float32")
    executed = stored(kernel)
    assert passes
    passes.clear()
    executed.run(numbers((50, 40)), numbers((50, 40)))
    assert passes == []


def test_new_sizes_are_planned_once(passes):
    add = stored(symbolic_add())
    for rows in (7, 7, 9, 7, 9):
        passes.clear()
        a = numbers((rows, 40))
        assert np.array_equal(add.run(a, a).result, 2 * a)
        assert add.run(a, a).kernel.buffers[0].shape == (rows, 40)
    assert passes == []


def test_plans_of_few_sizes_are_kept(monkeypatch):
    monkeypatch.setattr(executable, "_MOST_SIZES", 2)
    add = Executable.of(symbolic_add(), cores=SINGLE)
    first = add.sized({"m": 1})
    assert add.sized({"m": 1}) is first
    add.sized({"m": 2})
    add.sized({"m": 3})
    assert add.sized({"m": 1}) is not first


@settings(max_examples=5, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=2, max_size=8))
def test_threads_share_it(sizes):
    add = Executable.of(symbolic_add())

    def execute(rows):
        a, b = numbers((rows, 40)), numbers((rows, 40))[::-1]
        return np.array_equal(add.run(a, b).result, a + b)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(execute, sizes))


def test_it_is_translated_once(monkeypatch):
    made = []
    monkeypatch.setattr(executable, "Program", lambda func: made.append(func) or Program(func))
    add = Executable.of(symbolic_add())
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda rows: add.run(numbers((rows, 40)), numbers((rows, 40))), [3, 5, 3, 5]))
    assert len(made) == 1


@pytest.mark.skipif(
    tvm_ffi.get_global_func("target.build.llvm", allow_missing=True) is None, reason="the host has no LLVM"
)
def test_machine_code_is_made_once(monkeypatch):
    made = []
    monkeypatch.setattr(llvm, "_compile", lambda func, real=llvm._compile: made.append(func) or real(func))
    add = Executable.of(symbolic_add())
    for rows in (5, 9, 5):
        a = numbers((rows, 40))
        assert np.array_equal(add.run(a, a, engine="llvm").result, 2 * a)
    assert len(made) == 1
    with pytest.raises(errors.ExecutionError, match="TT945"):
        add.run(a, a, engine="llvm", time_limit_s=0)


def test_threads_do_not_wait_for_each_other(monkeypatch):
    """One stands still in the kernel until another one has run all of it."""
    entered, done = Event(), Event()
    real = Program.run

    def wait(self, core, values):
        if values[0].shape == (5, 40):
            entered.set()
            assert done.wait(PATIENCE)
        real(self, core, values)

    monkeypatch.setattr(Program, "run", wait)
    add = Executable.of(symbolic_add())
    with ThreadPoolExecutor(1) as pool:
        a = numbers((5, 40))
        waiting = pool.submit(add.run, a, a)
        assert entered.wait(PATIENCE)
        for rows in (3, 6):
            other = numbers((rows, 40))
            assert np.array_equal(add.run(other, other).result, 2 * other)
        done.set()
        assert np.array_equal(waiting.result(PATIENCE).result, 2 * a)


def test_executions_do_not_share_results():
    add = Executable.of(symbolic_add())
    a = numbers((5, 40))
    first, second = add.run(a, a), add.run(a, a)
    first.result[...] = 0
    first.counts[0].elements_read[...] = 0
    assert np.array_equal(second.result, 2 * a)
    assert np.array_equal(add.run(a, a).result, 2 * a)
    assert second.counts[0].elements_read.sum() == 200
    with pytest.raises(ValueError, match="read-only"):
        second.counts[0].planned.read_bytes_per_core[...] = 0


def test_it_is_gone_when_nobody_needs_it():
    add = Executable.of(symbolic_add())
    add.run(numbers((5, 40)), numbers((5, 40)))
    gone = weakref.ref(add)
    del add
    gc.collect()
    assert gone() is None


def test_what_is_not_covered_is_refused_whenever_it_is_asked():
    unknown = Executable.of(exp_of_unknown())
    for _ in range(2):
        with pytest.raises(errors.NotCoveredError, match="TT920"):
            unknown.interpreted()
    with pytest.raises(errors.NotCoveredError, match="TT920"):
        unknown.run(numbers(8))


def test_options_of_the_compilation_are_no_options_of_a_run():
    with pytest.raises(TypeError, match="device"):
        Executable.of(symbolic_add()).run(numbers((5, 40)), numbers((5, 40)), device="blackhole_p150")
    with pytest.raises(errors.OptionError, match="TT914: engine is 'gpu'"):
        Executable.of(symbolic_add()).run(numbers((5, 40)), numbers((5, 40)), engine="gpu")


@pytest.mark.parametrize("limit", [-1, "long", True, float("nan")])
def test_time_limits_that_are_none(limit):
    with pytest.raises(errors.OptionError, match="TT914: time_limit_s is "):
        Executable.of(symbolic_add()).run(numbers((5, 40)), numbers((5, 40)), time_limit_s=limit)


@pytest.mark.parametrize(("limit", "is_enough"), [(0, False), (1, False), (2, False), (9, False), (10, True)])
def test_no_work_tile_begins_after_the_time_limit(monkeypatch, limit, is_enough):
    """A clock goes on by 1 when it is asked: once for the end, for the only core, and for each of 8 work tiles."""
    clock = count()
    for module in (execution, memory):
        monkeypatch.setattr(module, "monotonic", lambda: next(clock))
    add = Executable.of(symbolic_add(), cores=SINGLE)
    a = numbers((64, 40))
    if is_enough:
        assert np.array_equal(add.run(a, a, time_limit_s=limit).result, 2 * a)
    else:
        with pytest.raises(errors.ExecutionError, match="TT945: the time limit has passed at core 0 in launch 0"):
            add.run(a, a, time_limit_s=limit)
    assert next(clock) == max(limit, 1) + (not is_enough)


def test_atomic_updates_are_told():
    if ON_TILELANG:  # elsewhere it is a load and a store
        kernel = kernels_tilelang.atomic_add(**SIZES["atomic_add"])
        assert any(one.has_updates for one in run(kernel, *arguments(kernel)).counts)
    a = numbers((5, 40))
    assert not any(one.has_updates for one in run(symbolic_add(), a, a).counts)
