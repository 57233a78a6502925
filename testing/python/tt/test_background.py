"""Kernels that are compiled in the background: called from the first moment, switched at once, never mixed."""

import asyncio
import gc
import logging
import subprocess
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support import kernels_tirx
from support.compilers import PATIENCE, Gate, Here

from tilelang.tt import compile as compile_kernel
from tilelang.tt import counters, errors
from tilelang.tt.service import background

pytestmark = pytest.mark.stage("compile")

SHAPE = {"M": 32, "N": 64, "K": 32, "block_M": 32, "block_N": 32, "dtype": "float32"}


@pytest.fixture(scope="module")
def kernel():
    return kernels_tirx.gemm(**SHAPE)


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(0)
    return [rng.integers(-3, 3, shape).astype(np.float32) for shape in ((32, 32), (32, 64))]


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.open()


def counts(stats):
    names = ("compiled_runs", "eager_runs", "background_started", "background_finished", "optimized_runs")
    return tuple(getattr(stats, name) for name in names)


def test_calls_run_the_kernel_as_it_came_until_it_is_compiled(kernel, arrays, gate):
    handle = compile_kernel(kernel, mode="async", pool=gate)
    expected = arrays[0] @ arrays[1]
    np.testing.assert_array_equal(handle(*arrays), expected)
    assert gate.begun.wait(PATIENCE)
    np.testing.assert_array_equal(handle(*arrays), expected)
    assert not handle.ready
    assert not handle.done
    assert counts(handle.stats) == (0, 2, 1, 0, 0)
    gate.open()
    assert handle.wait(PATIENCE) is handle
    assert handle.ready
    assert handle.done
    assert handle.error is None
    np.testing.assert_array_equal(handle(*arrays), expected)
    assert counts(handle.stats) == (1, 2, 1, 1, 0)


def test_the_result_is_that_of_every_mode(kernel):
    here = compile_kernel(kernel, "blackhole_p150", cache=False)
    later = compile_kernel(kernel, "blackhole_p150", mode="async", cache=False)  # in a worker
    assert type(here) is type(later)
    assert here.ready
    assert here.done
    assert here.wait() is here
    assert later.plan == here.plan
    assert later.key == here.key
    assert later.seconds.keys() == here.seconds.keys()


def test_options_hold_before_there_is_a_result(kernel, arrays, gate):
    handle = compile_kernel(kernel, "blackhole_p150", {"schedule_policy": "strided"}, mode="async", pool=gate)
    execution = handle.run(*arrays)
    assert execution.kernel.device.name == "blackhole_p150"
    assert execution.kernel.inputs.schedule_policy == "strided"


def test_what_is_not_there_is_waited_for(kernel, gate):
    handle = compile_kernel(kernel, mode="async", pool=gate)
    with ThreadPoolExecutor(1) as threads:
        plan = threads.submit(lambda: handle.plan)
        assert not plan.done()
        gate.open()
        assert plan.result(PATIENCE).kernel().name == "main"
    assert handle.func.attrs["tt_num_tiles"] == 2
    assert handle.program is not None


def test_waiting_has_an_end(kernel, gate):
    handle = compile_kernel(kernel, mode="async", pool=gate)
    with pytest.raises(errors.WaitTimeoutError, match=r"TT980: the compilation of main is not done after 0.001 s"):
        handle.wait(0.001)
    assert not handle.done
    gate.open()
    handle.wait(PATIENCE)


def test_await(kernel, gate):
    handle = compile_kernel(kernel, mode="async", pool=gate)

    async def main():
        with pytest.raises((TimeoutError, asyncio.TimeoutError)):
            await asyncio.wait_for(_awaited(handle), 0.001)
        asyncio.get_running_loop().call_soon(gate.open)
        return await handle

    assert asyncio.run(main()) is handle
    assert handle.ready


async def _awaited(handle):
    return await handle


def test_a_refused_kernel_is_refused_in_every_way(kernel, arrays):
    options = {"schedule_policy": "block_cyclic"}
    handle = compile_kernel(kernel, options=options, mode="async", pool=Here())
    with pytest.raises(errors.OptionError) as refused:
        handle.wait(PATIENCE)
    with pytest.raises(errors.OptionError) as here:
        compile_kernel(kernel, options=options)
    assert str(refused.value) == str(here.value)
    for use in (lambda: handle(*arrays), lambda: handle.plan, lambda: asyncio.run(_awaited(handle))):
        with pytest.raises(errors.OptionError) as again:
            use()
        assert str(again.value) == str(here.value)
    assert handle.error is refused.value
    assert handle.done
    assert not handle.ready
    assert counts(handle.stats) == (0, 0, 1, 1, 0)


@pytest.mark.parametrize("error", [OSError("the compiler is gone"), errors.InternalError("TT901: a bug")])
def test_without_its_compiler_a_kernel_runs_as_it_came(kernel, arrays, error, caplog):
    gate = Gate(error)
    gate.open()
    with caplog.at_level(logging.WARNING, "tilelang.tt.compile"):
        handle = compile_kernel(kernel, mode="async", pool=gate)
        with pytest.raises(type(error)) as raised:
            handle.wait(PATIENCE)
    assert raised.value is error is handle.error
    np.testing.assert_array_equal(handle(*arrays), arrays[0] @ arrays[1])
    assert counts(handle.stats) == (0, 1, 1, 1, 0)
    assert f"main has not been compiled and runs as it came: {error}" in caplog.text


def test_cancelled_before_there_is_a_result(kernel, arrays):
    gate = Gate(InterruptedError())
    handle = compile_kernel(kernel, mode="async", pool=gate)
    assert gate.begun.wait(PATIENCE)
    handle.cancel()
    handle.cancel()
    gate.open()
    with pytest.raises(errors.CompileCancelledError, match="TT981: the compilation of main was cancelled"):
        handle.wait(PATIENCE)
    with pytest.raises(errors.CompileCancelledError):
        _ = handle.plan
    np.testing.assert_array_equal(handle(*arrays), arrays[0] @ arrays[1])
    assert counts(handle.stats) == (0, 1, 1, 1, 0)


def test_cancelled_after_all_is_done(kernel, arrays):
    for handle in (compile_kernel(kernel), compile_kernel(kernel, mode="async", pool=Here()).wait(PATIENCE)):
        handle.cancel()
        assert handle.wait().error is None
        np.testing.assert_array_equal(handle(*arrays), arrays[0] @ arrays[1])


def test_a_dropped_kernel_is_collected_and_its_work_cancelled(kernel, gate):
    handle = compile_kernel(kernel, mode="async", pool=gate)
    assert gate.begun.wait(PATIENCE)
    gone, work = weakref.ref(handle), handle._work
    del handle
    gc.collect()
    assert gone() is None
    assert work.cancelled.is_set()


def test_nothing_is_kept_of_what_is_done(kernel):
    handle = compile_kernel(kernel, mode="async", pool=Here(), cache=False).wait(PATIENCE)
    work = weakref.ref(handle._work)
    del handle
    compile_kernel(kernel, mode="async", pool=Here(), cache=False).wait(PATIENCE)
    gc.collect()
    assert work() is None


def test_threads_call_while_it_switches(kernel, arrays):
    gate = Gate()
    handle = compile_kernel(kernel, mode="async", pool=gate)
    expected, calls = arrays[0] @ arrays[1], 6
    halfway = threading.Barrier(9)
    before = counters["compile"]

    def caller(_):
        results = [handle(*arrays)]
        halfway.wait(PATIENCE)
        return results + [handle(*arrays) for _ in range(calls - 1)]

    with ThreadPoolExecutor(8) as threads:
        running = [threads.submit(caller, number) for number in range(8)]
        halfway.wait(PATIENCE)
        gate.open()
        results = [result for one in running for result in one.result(PATIENCE)]
    assert all(np.array_equal(result, expected) for result in results)
    handle.wait(PATIENCE)
    stats = handle.stats
    assert stats.eager_runs >= 8
    assert stats.compiled_runs + stats.eager_runs == 8 * calls
    assert counters["compile"]["eager_runs"] - before["eager_runs"] == stats.eager_runs
    assert counters["compile"]["compiled_runs"] - before["compiled_runs"] == stats.compiled_runs


def test_many_are_compiled_in_a_few_threads(kernel):
    handles = [compile_kernel(kernel, mode="async", pool=Here(), cache=False) for _ in range(30)]
    for handle in handles:
        handle.wait(PATIENCE)
    names = [thread.name for thread in threading.enumerate()]
    assert names.count("tilelang.tt.background") <= 4


PROGRAM = """
import threading
from tvm.script import tirx as T
from tilelang.tt import compile

@T.prim_func
def double(A: T.Buffer((64,), "float32"), C: T.Buffer((64,), "float32")):
    bx = T.launch_thread("blockIdx.x", 64)
    C[bx] = A[bx] * T.float32(2)

class Stuck:
    begun = threading.Event()

    def compile(self, request, *, cancelled, **how):
        self.begun.set()
        cancelled.wait()
        raise InterruptedError

pool = Stuck()
handles = [compile(double, mode="async", pool=pool) for _ in range(6)]
assert pool.begun.wait(60)
dropped = [compile(double, mode="async") for _ in range(6)]
searched = compile(double, mode="async", pool=pool, search=True)
in_workers = compile(double, mode="async", cache=False, search=True, progress=False)
print("end")
"""


def run_program(text, folder):
    """What it prints, as long as it does not fail, hang, or complain."""
    (folder / "program.py").write_text(text)
    command = [sys.executable, "-P", "-W", "ignore", folder / "program.py"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_interpreter_does_not_wait_for_the_compiler(tmp_path):
    assert run_program(PROGRAM, tmp_path) == "end\n"


FORKING = """
import os, sys
from tvm.script import tirx as T
from tilelang.tt import compile
from tilelang.tt.service.stages import compile_request

@T.prim_func
def double(A: T.Buffer((64,), "float32"), C: T.Buffer((64,), "float32")):
    bx = T.launch_thread("blockIdx.x", 64)
    C[bx] = A[bx] * T.float32(2)

class Here:
    def compile(self, request, **how):
        return compile_request(request)

compile(double, mode="async", cache=False, pool=Here()).wait(60)
child = os.fork()
compile(double, mode="async", cache=False, pool=Here()).wait(60)
if child == 0:
    sys.exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_process_that_was_forked_off_has_threads_of_its_own(tmp_path):
    assert run_program(FORKING, tmp_path) == "7\n"


LEAVING = """
import os, threading
from tvm.script import tirx as T
from tilelang.tt import compile
from tilelang.tt.service import compiled, key
from tilelang.tt.service.stages import compile_request

@T.prim_func
def double(A: T.Buffer((64,), "float32"), C: T.Buffer((64,), "float32")):
    bx = T.launch_thread("blockIdx.x", 64)
    C[bx] = A[bx] * T.float32(2)

begun, let = threading.Event(), threading.Event()

class Gate:
    def compile(self, request, **how):
        begun.set()
        let.wait(60)
        return compile_request(request)

kernel = compile(double, mode="async", pool=Gate())
begun.wait(60)
with key._recent_lock, compiled._counting:  # as another thread may
    child = os.fork()
    if child == 0:
        try:
            kernel.wait(60)
        except Exception as error:
            print(type(error).__name__, kernel.done, kernel.ready, flush=True)
        print(kernel.stats.count("eager_runs"), compile(double).key == kernel.key, flush=True)
        os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
let.set()
print(kernel.wait(60).ready)
"""


def test_nobody_waits_for_threads_that_a_fork_has_left_behind(tmp_path):
    assert run_program(LEAVING, tmp_path) == "CompileCancelledError True False\nNone True\n7\nTrue\n"


def test_a_thread_that_cannot_be_started_leaves_nothing_behind(kernel, monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(background, "_background", background.Background())
        patched.setattr(threading.Thread, "start", refuse)
        for _ in range(5):
            with pytest.raises(RuntimeError, match="new thread"):
                compile_kernel(kernel, mode="async", pool=Here(), cache=False)
        patched.undo()
        assert compile_kernel(kernel, mode="async", pool=Here(), cache=False).wait(PATIENCE).ready


@pytest.mark.parametrize("how", [{"device": "blackhole_p150"}, {"policy": "strided"}, {"kernel": "main"}])
def test_a_kernel_takes_the_same_before_and_after_it_is_compiled(kernel, arrays, gate, how):
    handle = compile_kernel(kernel, mode="async", pool=gate)
    for _ in range(2):
        with pytest.raises(TypeError, match=next(iter(how))):
            handle.run(*arrays, **how)
        assert handle.run(*arrays, time_limit_s=PATIENCE, seed=1).result.shape == (32, 64)
        gate.open()
        handle.wait(PATIENCE)
