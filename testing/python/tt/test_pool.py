"""Whatever a compiler does to its process, the caller gets a typed error, and the next call a result."""

import math
import os
import pickle
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from support import kernels_tirx, light_worker

import tilelang.tt
from tilelang.tt import WorkerPool, errors
from tilelang.tt.service import pool as pools
from tilelang.tt.service.worker import described, revived

pytestmark = pytest.mark.stage("worker")

CASES = {case.name: case for case in kernels_tirx.CASES}
LONG = 60.0  # seconds that no test waits for
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits memory")


@pytest.fixture(autouse=True)
def nothing_is_left():
    """No process, zombie, file descriptor or thread of the test's."""
    if pools._shared is not None:
        pools._shared.close()  # of another test
    before = len(os.listdir("/dev/fd")), threading.active_count()
    yield
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert (len(os.listdir("/dev/fd")), threading.active_count()) == before


@pytest.fixture
def light(monkeypatch):
    light_worker.use(monkeypatch)


@pytest.fixture
def pool(light):
    with WorkerPool(preload=["support.faults"], timeout=LONG) as pool:
        yield pool


def pid_of(pool):
    return int(pool.call("pid", b""))


def wait_for_end(pool):
    for place in pool._places:
        place.worker._process.wait()


# ---- what a task can do ----------------------------------------------------------------------------------------------


LOSSES = [
    ("segfault", errors.CompilerCrashError, "TT971: a worker has crashed in task .*: signal SIGSEGV", "in segfault"),
    ("abort", errors.CompilerCrashError, "TT971: a worker has crashed in task .*: signal SIGABRT", "in abort"),
    ("terminate", errors.CompilerCrashError, "TT971: .*: signal SIGTERM", "about to terminate"),
    ("leave_a_child", errors.CompilerCrashError, "TT971: .*: signal SIGSEGV", "in leave_a_child"),
    ("exit_3", errors.CompilerCrashError, "TT971: .*: exit code 3", "about to exit_3"),
    ("exit_5_at_once", errors.CompilerCrashError, "TT971: .*: exit code 5", "about to exit_5"),
    ("garbage_to_the_parent", errors.CompilerCrashError, "TT971: .*: found b'no f' where a frame begins", "about to"),
    ("kill", errors.CompilerKilledError, 'TT972: somebody has killed a worker in task "kill"', "about to kill"),
    pytest.param(
        "allocate", errors.CompilerMemoryError, "TT974: a worker has no memory left in task", "MemoryError", marks=LINUX
    ),
    pytest.param(
        "bug_of_memory", errors.CompilerMemoryError, "TT974: a worker has no memory", "a stage has", marks=LINUX
    ),
    pytest.param(
        "allocate_in_c", errors.CompilerMemoryError, "TT974: .*: signal SIGABRT", "std::bad_alloc", marks=LINUX
    ),
]


@pytest.mark.parametrize(("task", "error_class", "message", "output"), LOSSES)
def test_a_lost_worker(light, task, error_class, message, output):
    with WorkerPool(preload=["support.faults"], timeout=LONG, memory_limit=128 << 20) as pool:
        with pytest.raises(error_class, match=message) as caught:
            pool.call(task, b"")
        assert output in caught.value.last_output
        assert pool.call("echo", b"the next") == b"the next"


@pytest.mark.parametrize(
    ("task", "output"),
    [
        ("hang", "in hang"),
        ("hang_with_the_gil", "in hang_with_the_gil"),
        ("print_for_ever", "again and again"),
        ("close_all_files_and_hang", "about to"),
        ("stop", "about to stop"),
    ],
)
def test_a_worker_that_takes_too_long(pool, monkeypatch, task, output):
    monkeypatch.setattr("tilelang.tt.service.process._GRACE_SECONDS", 0.5)
    message = f'TT973: a worker was ended in task "{task}": it has taken more than 0.2 s'
    with pytest.raises(TimeoutError, match=message) as caught:
        pool.call(task, b"", timeout=0.2)
    assert isinstance(caught.value, errors.CompilerTimeoutError)
    assert output in caught.value.last_output
    assert len(caught.value.last_output) <= 64 << 10
    assert pool.call("echo", b"the next") == b"the next"


def test_what_it_prints_is_not_what_it_says(pool):
    """Nor is it the output of a later task."""
    pid = pid_of(pool)
    assert pool.call("garbage_to_stdout", b"answer") == b"answer"
    assert pid_of(pool) == pid
    with pytest.raises(errors.CompilerCrashError) as caught:
        pool.call("exit_3", b"")
    assert "garbage" not in caught.value.last_output


def test_what_a_task_raises_arrives_and_loses_nothing(pool):
    pid = pid_of(pool)
    with pytest.raises(ZeroDivisionError, match=r"^a bug of the compiler$") as caught:
        pool.call("bug", b"")
    assert "in bug" in str(caught.value.__cause__)
    with pytest.raises(LookupError) as caught:
        pool.call("strange_bug", b"")
    assert caught.value.args == ("of a class that nobody else knows", 1)
    with pytest.raises(errors.OptionError, match=r'TT970: task is "no such"; expected any of: .*compile'):
        pool.call("no such", b"")
    assert pid_of(pool) == pid


def test_large_messages(pool):
    payload = random.Random(0).randbytes(5 << 20)
    assert pool.call("echo", payload) == payload


def test_an_error_survives_pickle(pool):
    with pytest.raises(errors.WorkerError) as caught:
        pool.call("segfault", b"")
    caught.value.reproducer = "tt-repro-1.py"
    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == str(caught.value)
    assert (type(copy), copy.codes) == (errors.CompilerCrashError, ("TT971",))
    assert "\nreproducer: tt-repro-1.py\nlast output of the worker:\n    about to segfault\n" in str(copy)


# ---- what happens to workers from outside ----------------------------------------------------------------------------


def test_a_worker_that_dies_while_idle_is_replaced(pool):
    pid = pid_of(pool)
    os.kill(pid, signal.SIGKILL)
    wait_for_end(pool)
    assert pid_of(pool) != pid


def test_kills_at_any_moment(pool):
    """A call has its own result, or says that its worker was killed."""
    rng = random.Random(0)
    for _ in range(12):
        victim = pid_of(pool)
        timer = threading.Timer(rng.uniform(0, 0.004), os.kill, (victim, signal.SIGKILL))
        timer.start()
        with suppress(errors.CompilerKilledError):
            while pid_of(pool) == victim:  # until it has died between two calls
                payload = rng.randbytes(rng.randrange(400_000))
                assert pool.call("echo", payload) == payload
        timer.join()
        assert pool.call("echo", b"the next") == b"the next"


def test_a_start_that_fails(light):
    with WorkerPool(preload=["support.no_start"]) as pool:
        for _ in range(2):
            with pytest.raises(errors.WorkerError, match=r"TT975: a worker cannot be started: exit code 9; ") as caught:
                pool.call("echo", b"")
            assert "about to preload" in caught.value.last_output
    missing = WorkerPool(preload="support.no_such_module")
    with missing, pytest.raises(errors.WorkerError, match="No module named 'support"):
        missing.call("echo", b"")


def test_a_python_that_is_not_there(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with WorkerPool() as pool, pytest.raises(errors.WorkerError, match=r"TT975: .*: .*No such file"):
        pool.call("echo", b"")


def test_another_version_is_refused(light):
    message = r"TT975: a worker runs tilelang-tt 0\.0\.1 .*; expected tilelang-tt"
    with WorkerPool(preload=["support.other_version"]) as pool, pytest.raises(errors.WorkerError, match=message):
        pool.call("echo", b"")


def test_a_parent_that_is_killed_leaves_no_worker(tmp_path):
    """Not even one that is busy."""
    script = f"""
        import sys, threading
        sys.path[:] = {sys.path!r}
        from pytest import MonkeyPatch
        from support import light_worker
        light_worker.use(MonkeyPatch())
        from tilelang.tt import WorkerPool
        pool = WorkerPool(preload=["support.faults"])
        print(pool.call("pid", b"").decode(), flush=True)
        pool.call("hang", b"")
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    )
    with parent:
        worker = int(parent.stdout.readline())
        parent.kill()
    wait_until_gone(worker)


def wait_until_gone(pid):
    """It is no child of this process, so that nothing else tells."""
    latest = time.monotonic() + LONG
    while time.monotonic() < latest:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    raise AssertionError(f"process {pid} is still there")


# ---- pools -----------------------------------------------------------------------------------------------------------


def test_threads_have_workers_of_their_own(light):
    with WorkerPool(2, preload=["support.faults"]) as pool, ThreadPoolExecutor(4) as threads:
        payloads = [b"%d" % number * 1000 for number in range(100)]
        assert list(threads.map(lambda payload: pool.call("echo", payload), payloads)) == payloads
        assert len({pid_of(pool) for _ in range(5)}) == 1  # a warm one is taken first
        assert sum(place.worker is not None for place in pool._places) <= 2


def test_one_that_is_lost_does_not_hurt_another(light):
    with WorkerPool(2, preload=["support.faults"], timeout=LONG) as pool, ThreadPoolExecutor(2) as threads:
        lost = [threads.submit(pool.call, "segfault", b"") for _ in range(3)]
        kept = [threads.submit(pool.call, "echo", b"%d" % number) for number in range(20)]
        assert all(isinstance(future.exception(), errors.CompilerCrashError) for future in lost)
        assert [future.result() for future in kept] == [b"%d" % number for number in range(20)]


def test_cancelling(pool):
    cancelled = threading.Event()
    pid_of(pool)
    with ThreadPoolExecutor(1) as thread:
        busy = thread.submit(pool.call, "hang", b"", cancelled=cancelled)
        waiting = threading.Event()
        waiting.set()
        while pool._places[0].user is None:
            time.sleep(0.001)
        with pytest.raises(CancelledError):  # before it has a worker
            pool.call("echo", b"", cancelled=waiting)
        cancelled.set()
        with pytest.raises(CancelledError):
            busy.result()
    assert pool.call("echo", b"the next", cancelled=threading.Event()) == b"the next"


@pytest.fixture
def interruptible():
    """As at a terminal: a shell lets what it runs in the background ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_ends_the_worker_and_is_not_swallowed(pool):
    pid = pid_of(pool)
    assert os.getsid(pid) == pid  # Ctrl-C of a terminal is for the caller
    with pytest.raises(KeyboardInterrupt):
        pool.call("interrupt_the_parent_and_hang", b"")
    assert pid_of(pool) != pid


def test_a_place_that_an_interrupt_has_not_given_back_is_used_again(pool):
    pool._places[0].user = threading.get_ident()
    assert pool.call("echo", b"the next") == b"the next"


def test_recycling_after_tasks(light):
    with WorkerPool(preload=["support.faults"], recycle_after=2) as pool:
        pids = [pid_of(pool) for _ in range(5)]
    assert pids[0] == pids[1] != pids[2] == pids[3] != pids[4]


def test_recycling_after_a_leak(light):
    with WorkerPool(preload=["support.faults"], memory_limit=256 << 20) as pool:
        pid = pid_of(pool)
        pool.call("leak", b"")
        assert pid_of(pool) == pid
        pool.call("leak", b"")
        assert pid_of(pool) != pid


def test_a_closed_pool_refuses(pool):
    pid_of(pool)
    with ThreadPoolExecutor(1) as thread:
        busy = thread.submit(pool.call, "hang", b"")
        while pool._places[0].user is None:
            time.sleep(0.001)
        pool.close()
        assert isinstance(busy.exception(), errors.WorkerError)
    pool.close()
    with pytest.raises(errors.WorkerError, match="TT975: the pool of workers is closed"):
        pool.call("echo", b"")


def test_a_pool_that_nobody_has_any_more_ends_its_workers(light):
    pool = WorkerPool(preload=["support.faults"])
    pid_of(pool)
    del pool


def test_a_forked_process_has_workers_of_its_own(pool):
    pid = pid_of(pool)
    child = os.fork()
    if child == 0:
        is_other = False
        try:
            is_other = pid_of(pool) != pid and pool.call("echo", b"child") == b"child"
            pool.close()
        finally:
            os._exit(0 if is_other else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert pid_of(pool) == pid


def test_the_shared_pool_is_one_and_opens_again(monkeypatch):
    monkeypatch.setattr(pools, "_shared", None)
    first = pools.shared_pool()
    assert pools.shared_pool() is first
    first.close()
    second = pools.shared_pool()
    assert second is not first
    second.close()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"workers": 0}, "TT970: workers is 0; expected an integer of at least 1"),
        ({"timeout": 0}, "TT970: timeout is 0; expected seconds above 0"),
        ({"timeout": math.nan}, "TT970: timeout is nan"),
        ({"memory_limit": -1}, "TT970: memory_limit is -1; expected bytes"),
        ({"recycle_after": 0}, "TT970: recycle_after is 0"),
        ({"preload": [1]}, r"TT970: preload is \(1,\); expected names of modules"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(errors.OptionError, match=message):
        WorkerPool(**settings)


def test_no_limit_of_time(pool):
    assert pool.call("echo", b"any time", timeout=math.inf) == b"any time"


# ---- compiling -------------------------------------------------------------------------------------------------------


def test_a_compiler_that_crashes_and_the_next_compile():
    kernel = CASES["gemm"].build()
    faulty = kernel.with_attr("global_symbol", "segfault")
    message = r"TT971: a worker has crashed while it compiled kernel `segfault`: signal SIGSEGV"
    with WorkerPool(preload=["support.faults"], timeout=LONG) as pool:
        with pytest.raises(errors.CompilerCrashError, match=message) as caught:
            tilelang.tt.compile(faulty, mode="subprocess", pool=pool, cache=False)
        compiled = tilelang.tt.compile(kernel, mode="subprocess", pool=pool, cache=False)
    reproducer = Path(caught.value.reproducer)
    assert f"\nreproducer: {reproducer}\n" in str(caught.value)
    assert "signal SIGSEGV" in reproducer.read_text(encoding="utf-8")
    assert compiled.plan.kernels == tilelang.tt.compile(kernel, cache=False).plan.kernels


def test_an_error_that_is_made_of_more_than_its_text():
    error = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no start")
    again = revived(described(error))
    assert type(error).__name__ in str(again)
    assert str(error) in str(again)


def test_what_is_no_path_is_passed_over(light, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, None, 3, "a\0b"])
    with WorkerPool(preload=["support.faults"], timeout=LONG) as pool:
        assert pid_of(pool)


def test_a_process_without_standard_streams(light):
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.closerange(0, 3)
            with WorkerPool(preload=["support.faults"], timeout=LONG) as pool:
                status = 0 if pool.call("echo", b"child") == b"child" else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
