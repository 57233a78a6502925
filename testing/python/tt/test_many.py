"""Many kernels at once: in order, each once, by any executor, and whatever becomes of its workers."""

import multiprocessing
import os
import signal
import sys
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import resource_tracker

import pytest
import tvm_ffi
from support import kernels_tirx

from tilelang.tt import WorkerPool, apply_tt_defaults, compile_many, counters, errors, set_logs
from tilelang.tt import compile as compile_kernel
from tilelang.tt.service import many, worker

pytestmark = pytest.mark.stage("many")

DEVICES = ["wormhole_n150", "blackhole_p150"]


def gemms(count):
    return [kernels_tirx.gemm(M=64 * (1 + number)) for number in range(count)]


def by_hand(kernels, devices=DEVICES):
    return [compile_kernel(kernel, device, cache=False).plan for kernel in kernels for device in devices]


def plans(compiled):
    return [kernel.plan for kernel in compiled]


@pytest.fixture(autouse=True, scope="module")
def nothing_is_left():
    """Other tests look for processes that are left; the standard library keeps one for each that has spawned others."""
    yield
    resource_tracker._resource_tracker._stop()


@pytest.fixture
def threads():
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.fixture
def log(tmp_path, monkeypatch):
    """What other processes that are started from here say they compile and store, in the order of time."""
    file = tmp_path / "log"
    monkeypatch.setenv("TILELANG_TT_LOGS", "compile,cache")
    monkeypatch.setenv("TILELANG_TT_LOGS_OUT", str(file))
    set_logs("compile,cache")

    def read():
        said = [line.split() for line in file.read_text().splitlines()]
        return [words[5:7] for words in said if words[2] != str(os.getpid()) and words[5] in ("compiled", "stored")]

    yield read
    set_logs("")


def keys_of(what, log):
    return [key for verb, key in log() if verb == what]


class Failing(Executor):
    """An executor that takes `limit` tasks, and fails the later ones."""

    def __init__(self, limit, error):
        self.limit = limit
        self.error = error

    def submit(self, task, *arguments):
        future = Future()
        if self.limit:
            future.set_result(task(*arguments))
        else:
            future.set_exception(self.error)
        self.limit -= bool(self.limit)
        return future


def test_order(threads):
    kernels = gemms(3)
    compiled = compile_many(kernels, DEVICES, {"schedule_policy": "strided"}, executor=threads)
    expected = [
        compile_kernel(k, d, {"schedule_policy": "strided"}, cache=False).plan for k in kernels for d in DEVICES
    ]
    assert plans(compiled) == expected
    assert [kernel.plan.kernel().device.name for kernel in compiled] == DEVICES * 3
    assert {kernel.mode for kernel in compiled} == {"many"}


@pytest.mark.parametrize("devices", [None, "wormhole_n150", ["wormhole_n150"]])
def test_one_device(devices, threads):
    compiled = compile_many(iter(gemms(2)), devices, executor=threads)
    assert plans(compiled) == by_hand(gemms(2), ["wormhole_n150"])


def test_equal_kernels_are_compiled_once(threads):
    before = counters["compile"]["in_process"]
    first, other, again = compile_many([*gemms(2), *gemms(1)], executor=threads)
    assert counters["compile"]["in_process"] == before + 2
    assert first.key == again.key != other.key
    assert first is not again
    assert first.plan == again.plan


def test_a_second_run_compiles_nothing(threads):
    compile_many(gemms(3), DEVICES, executor=threads)
    before = counters["compile"]["in_process"]
    again = compile_many(gemms(3), DEVICES, executor=Failing(0, AssertionError()))
    assert counters["compile"]["in_process"] == before
    assert {kernel.found_in for kernel in again} == {"memory"}


def test_without_the_cache(threads):
    compile_many(gemms(1), executor=threads, cache=False)
    before = counters["compile"]["in_process"]
    (compiled,) = compile_many(gemms(1), executor=threads, cache=False)
    assert counters["compile"]["in_process"] == before + 1
    assert compiled.found_in is None


def refused():
    return apply_tt_defaults(gemms(1)[0]).with_attr("tt_schedule_policy", "none")


def test_an_error_is_raised_when_all_else_is_stored(threads):
    kernels = gemms(3)
    with pytest.raises(errors.OptionError, match=r"^TT3\d\d: ") as caught:
        compile_many([kernels[0], refused(), kernels[1], 3, kernels[2]], executor=threads)
    if sys.version_info >= (3, 11):
        assert caught.value.__notes__ == ["2 of 5 kernels failed; all others are done"]
    assert plans(compile_many(kernels, executor=Failing(0, AssertionError()))) == by_hand(kernels, [None])


def test_errors_stand_in_their_places(threads):
    kernel, bad, wrong = compile_many([*gemms(1), refused(), 3], executor=threads, errors="return")
    assert kernel.plan == by_hand(gemms(1), [None])[0]
    assert isinstance(bad, errors.OptionError)
    with pytest.raises(errors.OptionError) as inline:
        compile_kernel(refused())
    assert str(bad) == str(inline.value)
    assert isinstance(wrong, errors.ArgumentError)


def test_own_workers_of_which_one_is_killed(log):
    kernels = gemms(6)
    with WorkerPool(2) as pool:

        def kill(done, total):
            if done == 2:
                place = next(place for place in pool._places if place.worker is not None)
                os.kill(place.worker._process.pid, signal.SIGKILL)

        compiled = compile_many(kernels, DEVICES, executor=pool, progress=kill)
    assert plans(compiled) == by_hand(kernels)
    assert {kernel.key[:12] for kernel in compiled} == set(keys_of("compiled", log))


def test_workers_of_one_batch():
    before = counters["worker"]["started"]
    assert plans(compile_many(gemms(3), workers=1)) == by_hand(gemms(3), [None])
    assert counters["worker"]["started"] == before + 1


def test_interrupted(threads):
    kernels = gemms(5)

    def interrupt(done, total):
        assert total == 5
        if done == 2:
            raise KeyboardInterrupt

    with ThreadPoolExecutor(1) as executor, pytest.raises(KeyboardInterrupt):
        compile_many(kernels, executor=executor, progress=interrupt)
    seen = []
    compiled = compile_many(kernels, executor=threads, progress=lambda done, total: seen.append(done))
    assert plans(compiled) == by_hand(kernels, [None])
    assert sum(kernel.found_in == "memory" for kernel in compiled) >= 2
    assert seen == [1, 2, 3, 4, 5]


def test_process_pool_that_breaks(log):
    """A worker of a standard pool takes the pool with it; the next run goes on from what is stored."""
    kernels = gemms(5)

    class Breaking(ProcessPoolExecutor):
        submitted = 0

        def submit(self, *arguments):
            self.submitted += 1
            if self.submitted == 4:
                super().submit(os._exit, 3)
            return super().submit(*arguments)

    spawn = multiprocessing.get_context("spawn")
    with Breaking(1, mp_context=spawn) as executor, pytest.raises(errors.WorkerError) as caught:
        compile_many(kernels, executor=executor)
    assert str(caught.value).startswith(
        "TT987: the executor has broken when 3 of 5 kernels were compiled: BrokenProcess"
    )
    assert "run again" in str(caught.value)
    with ProcessPoolExecutor(1, mp_context=spawn) as executor:
        assert plans(compile_many(kernels, executor=executor)) == by_hand(kernels, [None])
    assert len(set(keys_of("compiled", log))) == len(keys_of("compiled", log)) == 5


def test_executor_that_was_shut_down():
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(errors.WorkerError, match=r"^TT987: the executor has broken when 0 of 2 .*\n.*nothing is kept"):
        compile_many(gemms(2), executor=executor, cache=False)


def test_executor_that_loses_its_scheduler():
    with pytest.raises(errors.WorkerError, match="TT987: the executor has broken when 1 of 3"):
        compile_many(gemms(3), executor=Failing(1, BrokenExecutor("gone")))


def test_kernel_that_an_executor_has_lost():
    first, lost = compile_many(gemms(2), executor=Failing(1, OSError("no such worker")), errors="return")
    assert first.plan == by_hand(gemms(1), [None])[0]
    assert isinstance(lost, errors.WorkerError)
    assert str(lost) == "TT989: kernel main was lost by the executor: OSError: no such worker"


@pytest.mark.parametrize("change", ["origin", "key"])
def test_worker_of_another_version(change, monkeypatch):
    with monkeypatch.context() as patch:
        if change == "origin":
            patch.setattr(many, "origin", lambda: {"tilelang-tt": "0.0.1", "host": "none", "code": ""})
        frames = []
        with pytest.raises(AssertionError):
            compile_many(gemms(1), executor=Keeping(frames))
    header, payload = many._frame(frames[0])
    answer = many.compile_bytes(worker.pack({**header, "key": "0" * 64}, payload))
    with pytest.raises(errors.WorkerError, match=r"TT988: a worker has .*; expected ") as caught:
        many._read(answer)
    assert ("0.0.1" if change == "origin" else "000000000000") in str(caught.value)


class Keeping(Executor):
    def __init__(self, frames):
        self.frames = frames

    def submit(self, task, frame):
        self.frames.append(frame)
        raise AssertionError


@pytest.mark.parametrize(
    ("error", "message", "arguments"),
    [
        (errors.OptionError, 'TT990: errors is .ignore.; expected "raise" or "return"', {"errors": "ignore"}),
        (errors.OptionError, "TT990: workers is 2 beside an executor", {"workers": 2, "executor": Failing(0, None)}),
        (errors.OptionError, "TT990: timeout is 2 for an executor", {"timeout": 2, "executor": Failing(0, None)}),
        (errors.ArgumentError, "TT991: executor is a str; expected", {"executor": "dask"}),
        (errors.OptionError, "TT970: workers is 0", {"workers": 0}),
    ],
)
def test_refused(error, message, arguments):
    with pytest.raises(error, match=message):
        compile_many(gemms(1), **arguments)


def test_one_kernel_is_not_several():
    with pytest.raises(errors.ArgumentError, match="TT991: kernels is one PrimFunc; expected several"):
        compile_many(gemms(1)[0])


def test_no_kernels():
    assert compile_many([]) == []


def test_bar(threads, capsys):
    compile_many(gemms(2), executor=threads, progress=True)
    assert "2/2" in capsys.readouterr().err


def test_dask_cluster_that_loses_a_worker(log):
    distributed = pytest.importorskip("distributed")
    kernels, devices = gemms(20), [*DEVICES, "wormhole_n300"]
    with (
        distributed.LocalCluster(n_workers=3, processes=True, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
        client.get_executor() as executor,
    ):
        pids = client.run(os.getpid)

        def kill(done, total):
            if done == 20:
                os.kill(next(iter(pids.values())), signal.SIGKILL)

        compiled = compile_many(kernels, devices, executor=executor, progress=kill)
        said = log()
        again = compile_many(kernels, devices, executor=executor)
    assert plans(compiled) == by_hand(kernels, devices)
    stored = set()
    for what, key in said:
        assert not (what == "compiled" and key in stored), "what was finished is compiled again"
        stored |= {key} if what == "stored" else set()
    assert stored == {kernel.key[:12] for kernel in compiled}
    assert {kernel.found_in for kernel in again} == {"memory"}


def test_a_kernel_without_a_key_takes_its_place():
    opaque = gemms(1)[0].with_attr("note", tvm_ffi.convert(lambda value: value))
    first, second = compile_many([opaque, *gemms(1)], errors="return")
    assert isinstance(first, errors.OpaqueKernelError)
    assert second.ready
