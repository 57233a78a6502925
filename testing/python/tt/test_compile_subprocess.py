"""What a worker compiles is what this process compiles, and this process compiles nothing."""

from dataclasses import replace

import pytest
from support import kernels_tirx
from support.kernels import CASES

from tilelang.tt import WorkerPool, counters, errors
from tilelang.tt import compile as compile_kernel
from tilelang.tt.service import compiler
from tilelang.tt.service.request import Request
from tilelang.tt.service.stages import compile_request

pytestmark = pytest.mark.stage("worker")

KERNELS = {case.name: case for case in kernels_tirx.CASES}


@pytest.fixture(scope="module")
def pool():
    with WorkerPool() as pool:
        yield pool


@pytest.fixture
def subprocess_only():
    """A test that ends has compiled nothing in its own process."""
    before = counters["compile"]["in_process"]
    yield
    assert counters["compile"]["in_process"] == before


def outcome(compile_):
    """An entry without its times, or an error."""
    try:
        return replace(compile_(), seconds={})
    except errors.TTError as error:
        return type(error), str(error)


@pytest.mark.parametrize("case", CASES)
def test_a_worker_gives_what_this_process_gives(case, pool):
    """Refusals too: the same class with the same message."""
    request = Request.of(case.build(), "blackhole_p150", {"schedule_policy": "strided"}, None)
    expected = outcome(lambda: compile_request(request))
    before = counters["compile"]["in_process"]
    assert outcome(lambda: pool.compile(request)) == expected
    assert counters["compile"]["in_process"] == before


def test_mode_subprocess(pool, subprocess_only):
    compiled = compile_kernel(KERNELS["gemm"].build(), mode="subprocess", pool=pool, cache=False)
    assert compiled.mode == "subprocess"
    assert compiled.program.params
    assert compiled.plan.kernel().name == compiled.func.attrs["global_symbol"]


def test_several_mistakes_arrive_as_they_are(pool):
    kernel = KERNELS["gemm"].build()
    options = {"schedule_policy": "strided", "layout_type": "dram_interleaved", "data_format": "Float8"}
    with pytest.raises(errors.TTError) as inline:
        compile_kernel(kernel, options=options, cache=False)
    with pytest.raises(errors.TTError) as isolated:
        compile_kernel(kernel, options=options, mode="subprocess", pool=pool, cache=False)
    assert type(isolated.value) is type(inline.value)
    assert str(isolated.value) == str(inline.value)
    assert isolated.value.codes == inline.value.codes


def test_without_a_pool_all_share_one(monkeypatch, pool, subprocess_only):
    monkeypatch.setattr(compiler, "shared_pool", lambda: pool)
    assert compile_kernel(KERNELS["gemm"].build(), mode="subprocess", cache=False).program


def test_a_mode_that_does_not_exist():
    with pytest.raises(errors.OptionError, match="TT970: mode is 'remote'; expected any of: inline, subprocess, async"):
        compile_kernel(KERNELS["gemm"].build(), mode="remote")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pool": WorkerPool()}, 'TT970: found a pool with mode="inline"; expected it with "subprocess" or "async"'),
        ({"timeout": 1.0}, 'TT970: found a timeout with mode="inline"; expected it with "subprocess" or "async"'),
        ({"pool": 4, "mode": "subprocess"}, "TT970: pool is 4; expected a WorkerPool"),
    ],
)
def test_what_needs_workers(given, message):
    with pytest.raises(errors.OptionError, match=message):
        compile_kernel(KERNELS["gemm"].build(), **given)
