"""Better plans in the background: what is tried, what makes one better, and that nothing becomes worse or wrong."""

import gc
import json
import logging
import threading
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, replace
from itertools import pairwise

import numpy as np
import pytest
from support import kernels_tirx
from support.compilers import PATIENCE, Gate, Here, Planted, as_if_cheap, with_plan
from support.host import T

from tilelang.tt import Search, WorkerPool, counters, errors
from tilelang.tt import compile as compile_kernel
from tilelang.tt.plan import Plan, estimate
from tilelang.tt.plan.model import Inputs
from tilelang.tt.service.entry import Entry
from tilelang.tt.service.history import described
from tilelang.tt.service.search import Candidate
from tilelang.tt.service.stages import compile_request

pytestmark = pytest.mark.stage("search")

DEVICE = "blackhole_p100"
INPUTS = Inputs(((0, 0, 10, 9),), "row_major", "contiguous", None, "row_major", None, "dram_interleaved", 32, 32, None)
# One candidate, and nothing but what is done to it.
ONE = {"policies": ("strided",), "orders": (), "tiles": ()}


def gemm(M=32, N=64, K=16, block_M=16, block_N=16):
    return kernels_tirx.gemm(M, N, K, block_M, block_N, "float32")


BLOCKS = {**ONE, "policies": (), "parameters": {"block_M": (16, 32), "block_N": (16, 32)}}


@pytest.fixture(scope="module")
def kernel():
    return gemm(block_M=32, block_N=32)


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(0)
    return [rng.integers(-3, 3, shape).astype(np.float32) for shape in ((32, 16), (16, 64))]


def searched(kernel, pool=None, on_step=None, **space):
    handle = compile_kernel(kernel, DEVICE, mode="async", pool=pool or Here(), search=Search(**space), on_step=on_step)
    return handle.wait(PATIENCE)


def outcomes(handle):
    return [step.outcome for step in handle.history]


# ---- what is tried ---------------------------------------------------------------------------------------------------


def test_near_candidates_come_first():
    search = Search(
        policies=("contiguous", "strided"),
        orders=("row_major", ("swizzled_row", 2)),
        tiles=((16, 32),),
        cores=([[0, 0, 1, 1]],),
        parameters={"block": (64, 128)},
    )
    candidates = [one.changed for one in search.candidates(INPUTS, {"block": 64})]
    assert candidates[:5] == [
        {"block": 128},
        {"schedule_policy": "strided"},
        {"schedule_order": "swizzled_row", "swizzle_panel": 2},
        {"tile_height": 16, "tile_width": 32},
        {"cores": [[0, 0, 1, 1]]},
    ]
    assert len(candidates) == 2**5 - 1 == len({str(sorted(one.items())) for one in candidates})
    assert candidates == [one.changed for one in search.candidates(INPUTS, {"block": 64})]
    others = [one.changed for one in replace(search, seed=1).candidates(INPUTS, {"block": 64})]
    assert others[:5] == candidates[:5]
    assert others != candidates


def test_what_the_default_has_is_taken_away_where_a_candidate_has_none():
    blocks = replace(INPUTS, schedule_policy="block_cyclic", schedule_block_size=3)
    search = Search(policies=("strided", ("block_cyclic", 3), ("block_cyclic", 4)), orders=(), tiles=())
    strided, larger = search.candidates(blocks, {})
    assert strided.inputs == {"schedule_policy": "strided", "schedule_block_size": None}
    assert larger.changed == {"schedule_policy": "block_cyclic", "schedule_block_size": 4}


def test_parameters_are_not_inputs():
    candidate = Candidate({"block": 64, "schedule_policy": "strided"}, frozenset(["block"]))
    assert candidate.parameters == {"block": 64}
    assert candidate.inputs == {"schedule_policy": "strided"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"policies": "strided"},
        {"policies": ("stridden",)},
        {"policies": ("block_cyclic",)},
        {"policies": (("strided", 2),)},
        {"policies": (("block_cyclic", 0),)},
        {"orders": ("swizzled_row",)},
        {"orders": (3,)},
        {"tiles": (32,)},
        {"tiles": ((32, 32, 32),)},
        {"tiles": ((32, 0),)},
        {"cores": ([0, 0, 1, 1],)},
        {"cores": ((),)},
        {"parameters": ["block"]},
        {"parameters": {"block": 64}},
        {"parameters": {"block": (None,)}},
        {"parameters": {"cores": (1, 2)}},
        {"small": {"M": [1]}},
        {"time_limit": 0},
        {"time_limit": "1"},
        {"max_candidates": 0},
        {"max_candidates": 1.5},
        {"seed": -1},
        {"seed": "0"},
        {"fidelity": "HiFi5"},
        {"multicast": 1},
    ],
    ids=str,
)
def test_a_search_that_cannot_be_is_refused(wrong):
    with pytest.raises(errors.OptionError, match=f"TT982: {next(iter(wrong))}.* of a search is .*; expected "):
        Search(**wrong)


def test_a_search_does_not_change():
    with pytest.raises(FrozenInstanceError):
        Search().seed = 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"search": Search()}, 'TT983: found a search with mode="inline"; expected mode="async"'),
        ({"search": 3, "mode": "async"}, "TT983: search is 3; expected a tilelang.tt.Search, or True"),
        ({"search": Search(small={"M": 32}), "mode": "async"}, "TT983: found PrimFunc, with parameters or small"),
    ],
)
def test_a_search_that_does_not_fit_is_refused(kernel, arguments, message):
    with pytest.raises(errors.OptionError, match=message):
        compile_kernel(kernel, **arguments)


def test_a_function_that_does_not_take_the_parameters_is_refused():
    with pytest.raises(errors.OptionError, match="TT983: the function that builds the kernel has no argument depth"):
        compile_kernel(gemm, mode="async", search=Search(parameters={"depth": (1, 2)}))
    with pytest.raises(errors.OptionError, match="no argument M with a default; its arguments: M"):
        compile_kernel(lambda M: gemm(M), mode="async", search=Search(small={"M": 32}))


# ---- what makes a plan better ----------------------------------------------------------------------------------------


def test_it_ends_on_the_best_plan_and_says_why(arrays):
    handle = searched(gemm, **BLOCKS)
    kept = [step for step in handle.history if step.outcome in ("default", "upgraded")]
    best = kept[-1]
    assert len(kept) >= 3
    assert all(after.cycles < before.cycles for before, after in pairwise(kept))
    assert best.cycles == min(step.cycles for step in handle.history) == estimate(handle.plan).total_cycles
    assert f"{estimate(handle.plan).dram_cycles:,.0f}" in best.reason
    assert "the DRAM bound, which limited it, shrinks from" in best.reason
    assert "work tiles are checked; both were executed and gave" in best.reason
    np.testing.assert_array_equal(handle(*arrays), arrays[0] @ arrays[1])
    said = handle.explain()
    assert said.startswith(f"main: ends on {described(best.changed)}\n{best.cycles:,.0f} cycles, ")
    assert said.endswith("ended: all 3 candidates have been tried")


def test_statistics_are_exact(arrays):
    before = counters["compile"]
    handle = searched(gemm, **BLOCKS)
    handle(*arrays)
    handle(*arrays)
    stats = handle.stats
    assert (stats.compiled_runs, stats.optimized_runs, stats.eager_runs) == (2, 2, 0)
    assert stats.background_started == stats.background_finished == 4
    assert counters["compile"]["optimized_runs"] - before["optimized_runs"] == 2
    plain = searched(gemm, **ONE)
    plain(*arrays)
    assert (plain.stats.compiled_runs, plain.stats.optimized_runs) == (1, 0)


def test_small_versions_are_executed():
    executed = []

    class Watched(Here):
        def call(self, task, payload, **how):
            executed.extend(Entry.from_bytes(b64decode(one)) for one in json.loads(payload)["entries"])
            return super().call(task, payload, **how)

    def build(M=1024, N=2048, K=512, block_N=32):
        return gemm(M, N, K, block_N=block_N)

    blocks = {**ONE, "policies": (), "parameters": {"block_N": (32, 64)}}
    handle = searched(build, Watched(), **blocks, small={"M": 64, "N": 64, "K": 32})
    assert outcomes(handle) == ["default", "upgraded"]
    kernels = [Plan.from_json(entry.plan).kernel() for entry in executed]
    assert [kernel.launches[0].num_tiles for kernel in kernels] == [8, 4]
    assert all(kernel.buffers[2].shape == (64, 64) for kernel in kernels)
    assert handle.plan.kernel().buffers[2].shape == (1024, 2048)


# ---- what is not better ----------------------------------------------------------------------------------------------


def cheap(request, entry):
    return with_plan(entry, as_if_cheap)


def broken(request, entry):
    def change(plan):
        as_if_cheap(plan)
        plan["kernels"][0]["launches"][0]["tile_runs"].pop()

    return with_plan(entry, change)


def impossible(request, entry):
    return with_plan(entry, lambda plan: plan["kernels"][0]["launches"][0]["tile_runs"][0].update(start=1000))


def unknown(request, entry):
    def change(plan):
        for launch in plan["kernels"][0]["launches"]:
            for one in launch["traffic"]["transfers"]:
                one.update(start=[], extent=[], loops=[], reason="nobody knows")

    return with_plan(entry, change)


@T.prim_func
def wrong(A: T.Buffer((32, 16), "float32"), B: T.Buffer((16, 64), "float32"), C: T.Buffer((32, 64), "float32")):
    bx = T.launch_thread("blockIdx.x", 2)
    by = T.launch_thread("blockIdx.y", 1)
    for i, j in T.grid(32, 32):
        C[by * 32 + i, bx * 32 + j] = A[by * 32 + i, 0] * B[0, bx * 32 + j]


def with_wrong_result(request, entry):
    other = compile_request(replace(request, func=wrong.with_attr("global_symbol", request.name)))
    return replace(cheap(request, entry), func=other.func, program=other.program)


def raising(error):
    def change(*arguments):
        raise error

    return change


def other_tensors(request, entry):
    return with_plan(entry, lambda plan: plan["kernels"][0]["buffers"][0].update(access="read_write"))


BAD = {
    "failed the check": (broken, "TT822: /kernels/0/launches/0/tile_runs: no core executes 1 work tile"),
    "not proven": (with_wrong_result, "of C is"),
    "crashed": (raising(OSError("a worker has crashed")), "a worker has crashed"),
    "timed out": (raising(errors.refusal("TT980", "too long")), "TT980: too long"),
    "not better": (unknown, "its estimate is not known: `A`: nobody knows"),
    "refused": (raising(errors.refusal("TT328", "no such plan")), "TT328: no such plan"),
}


@pytest.mark.parametrize("outcome", BAD)
def test_what_is_not_right_is_not_taken(kernel, arrays, outcome):
    special, reason = BAD[outcome]
    handle = searched(kernel, Planted({"strided": special}), **ONE)
    assert outcomes(handle) == ["default", outcome]
    assert reason in handle.history[1].reason
    assert "\n" not in handle.history[1].reason
    assert handle.plan.kernel().inputs.schedule_policy == "contiguous"
    np.testing.assert_array_equal(handle(*arrays), arrays[0] @ arrays[1])
    assert handle.stats.optimized_runs == 0
    assert "main: stays with its default plan" in handle.explain()
    assert f"1 {outcome}, the first of them number 1, schedule_policy=strided" in handle.explain()


def test_a_cheap_plan_that_is_right_is_taken(kernel):
    """So that what the others are refused for is what has been done to them."""
    assert outcomes(searched(kernel, Planted({"strided": cheap}), **ONE)) == ["default", "upgraded"]


def test_a_plan_without_an_estimate_fails_the_check(kernel):
    handle = searched(kernel, Planted({"strided": impossible}), **{**ONE, "tiles": ((16, 32),)})
    assert outcomes(handle) == ["default", "failed the check", "upgraded", "failed the check"]
    assert "TT330: work tile 1000 is not in the 2x1x1 grid" in handle.history[1].reason


def test_other_tensors_are_refused(kernel):
    handle = searched(kernel, Planted({"strided": other_tensors}), **ONE)
    assert handle.history[1].reason == "its tensors are not those of the default plan"


def test_a_function_that_builds_no_kernel_of_some_parameters(arrays):
    def build(block_N=16):
        if block_N == 48:
            raise ZeroDivisionError("no such block")
        return gemm(block_N=block_N)

    handle = searched(build, **{**ONE, "policies": (), "parameters": {"block_N": (48, 32)}})
    assert outcomes(handle) == ["default", "refused", "upgraded"]
    assert handle.history[1].reason == "no such block"


def test_nothing_is_better_than_what_is_not_known(kernel):
    handle = searched(kernel, Planted({"": unknown}), **ONE)
    assert outcomes(handle) == ["default"]
    assert handle.history[0].cycles is None
    assert handle.explain().endswith("ended: the estimate of the default plan is not known, so that none is better")


def test_a_kernel_of_symbolic_sizes_stays_as_it_is(caplog):
    @T.prim_func
    def symbolic(a: T.handle, c: T.handle):
        m = T.int32()
        A = T.match_buffer(a, (m, 32), "float32")
        C = T.match_buffer(c, (m, 32), "float32")
        bx = T.launch_thread("blockIdx.x", m)
        for j in range(32):
            C[bx, j] = A[bx, j]

    handle = searched(symbolic, **ONE)
    assert outcomes(handle) == ["default"]
    assert handle.history[0].reason.startswith("TT850: ")
    assert "the estimate of the default plan is not known" in handle.explain()
    assert not caplog.records


@pytest.mark.parametrize("seed", range(3))
def test_it_never_gets_worse(kernel, arrays, seed):
    """Whatever becomes of the candidates, those that are kept cost less and less, and calls are right all the time."""
    specials = [cheap, *(special for special, _ in BAD.values())]
    rng = np.random.default_rng(seed)
    texts = ("strided", "block_cyclic", "rectangular", "column_major", '"tile_height": 16')
    planted = Planted({text: specials[rng.integers(len(specials))] for text in texts})
    gate, results = threading.Event(), []

    def on_step(step):
        assert gate.wait(PATIENCE)
        results.append(handle(*arrays))

    space = Search(
        policies=("strided", ("block_cyclic", 2), "rectangular"), orders=("column_major",), tiles=((16, 32),), seed=seed
    )
    handle = compile_kernel(kernel, DEVICE, mode="async", pool=planted, search=space, on_step=on_step)
    gate.set()
    handle.wait(PATIENCE)
    kept = [step.cycles for step in handle.history if step.outcome in ("default", "upgraded")]
    assert all(after < before for before, after in pairwise(kept))
    assert estimate(handle.plan).total_cycles == kept[-1]
    assert len(results) == len(handle.history) == 16
    assert all(np.array_equal(result, arrays[0] @ arrays[1]) for result in results)


def test_threads_call_while_plans_change(arrays):
    stop = threading.Event()
    gate = Gate()
    handle = compile_kernel(gemm, DEVICE, mode="async", pool=gate, search=Search(**BLOCKS))
    expected = arrays[0] @ arrays[1]

    def caller(_):
        calls = 0
        while not stop.is_set() or not calls:
            assert np.array_equal(handle(*arrays), expected)
            calls += 1
        return calls

    with ThreadPoolExecutor(8) as threads:
        running = [threads.submit(caller, number) for number in range(8)]
        try:
            gate.open()
            handle.wait(PATIENCE)
            np.testing.assert_array_equal(handle(*arrays), expected)
        finally:
            stop.set()
        calls = sum(one.result(PATIENCE) for one in running) + 1
    stats = handle.stats
    assert stats.compiled_runs + stats.eager_runs == calls
    assert 1 <= stats.optimized_runs <= stats.compiled_runs


# ---- its end ---------------------------------------------------------------------------------------------------------


def test_as_many_candidates_as_are_wanted(kernel):
    handle = searched(kernel, **{**ONE, "tiles": ((16, 32), (8, 32))}, max_candidates=2)
    assert len(handle.history) == 3
    assert handle.explain().endswith("ended: 2 of 5 candidates have been tried, as many as max_candidates allows")


def test_no_more_time_than_there_is(kernel):
    class Slow(Here):
        def compile(self, request, *, timeout=None, cancelled=None):
            if "strided" in request.options:
                assert 0 < timeout <= 0.5
                threading.Event().wait(timeout)
                raise errors.refusal("TT980", "too long")
            return super().compile(request)

    handle = searched(kernel, Slow(), **ONE, time_limit=0.5)
    assert outcomes(handle) == ["default"]
    assert handle.explain().endswith("ended: its time was over, 0.5 s")
    assert handle.ready


@pytest.mark.parametrize("last", range(3))
def test_cancelled_at_each_step(arrays, last):
    assigned = threading.Event()

    def on_step(step):
        assert assigned.wait(PATIENCE)
        if step.number == last:
            handle.cancel()

    handle = compile_kernel(gemm, DEVICE, mode="async", pool=Here(), search=Search(**BLOCKS), on_step=on_step)
    assigned.set()
    assert handle.wait(PATIENCE).error is None
    assert len(handle.history) == last + 1
    best = min(step.cycles for step in handle.history)
    assert estimate(handle.plan).total_cycles == best
    assert handle.explain().endswith("ended: it was cancelled")
    np.testing.assert_array_equal(handle(*arrays), arrays[0] @ arrays[1])
    assert len(searched(gemm, **BLOCKS).history) == 4  # nothing of it is taken for the result


def test_cancelled_while_a_candidate_is_compiled(kernel):
    class Stuck(Gate):
        def compile(self, request, *, timeout=None, cancelled=None):
            if "strided" not in request.options:
                return Here.compile(self, request)
            return super().compile(request, cancelled=cancelled)

    pool = Stuck()
    handle = compile_kernel(kernel, DEVICE, mode="async", pool=pool, search=Search(**ONE))
    assert pool.begun.wait(PATIENCE)
    assert handle.ready
    assert not handle.done
    handle.cancel()
    handle.wait(PATIENCE)
    assert outcomes(handle) == ["default"]
    assert handle.explain().endswith("ended: it was cancelled")


def test_a_dropped_kernel_ends_its_search(kernel):
    pool = Gate()
    handle = compile_kernel(kernel, DEVICE, mode="async", pool=pool, search=True)
    assert pool.begun.wait(PATIENCE)
    work = handle._work
    del handle
    gc.collect()
    work.done.result(PATIENCE)
    assert work.history == ()


def test_a_refused_kernel_is_not_searched(kernel):
    handle = compile_kernel(kernel, options={"schedule_policy": "block_cyclic"}, mode="async", pool=Here(), search=True)
    with pytest.raises(errors.OptionError, match="TT324"):
        handle.wait(PATIENCE)
    assert handle.history == ()
    assert handle.explain() == "main: no other plan has been looked for"


def test_whoever_watches_does_not_end_it(kernel, caplog):
    with caplog.at_level(logging.ERROR, "tilelang.tt.search"):
        handle = searched(kernel, **ONE, on_step=raising(RuntimeError("watched")))
    assert len(handle.history) == 2
    assert "on_step has failed at step 1 of the search; it goes on" in caplog.text


def test_steps_are_told_in_order():
    seen = []
    handle = searched(gemm, **BLOCKS, on_step=seen.append)
    assert tuple(seen) == handle.history
    assert [step.number for step in seen] == list(range(4))
    assert str(seen[0]).startswith("0: default, ")
    assert str(seen[1]).startswith("1: block_M=32: ")


# ---- the cache -------------------------------------------------------------------------------------------------------


def test_a_second_search_has_its_result_from_the_cache(arrays):
    first = searched(gemm, **BLOCKS)
    second = searched(gemm, **BLOCKS)
    assert second.history == first.history
    assert second.plan == first.plan
    assert second.stats.background_started == 0
    assert second.explain().endswith("all 3 candidates have been tried; the result is from the cache")
    second(*arrays)
    assert second.stats.optimized_runs == 1


def test_another_search_has_another_result():
    searched(gemm, **BLOCKS)
    assert "cache" not in searched(gemm, **BLOCKS, seed=1).explain()
    assert "cache" not in searched(gemm, **{**BLOCKS, "parameters": {"block_N": (64,)}}).explain()


def test_a_result_is_not_taken_for_a_kernel_that_is_built_otherwise():
    first = searched(gemm, **BLOCKS)

    def build(block_M=16, block_N=16):
        return gemm(block_M=block_M, block_N=16 if block_M == 32 else block_N)

    second = searched(build, **BLOCKS)
    assert second.history[0].key == first.history[0].key
    assert "cache" not in second.explain()


def test_what_lost_a_worker_is_searched_again(kernel):
    assert outcomes(searched(kernel, Planted({"strided": BAD["crashed"][0]}), **ONE))[1] == "crashed"
    assert outcomes(searched(kernel, **ONE))[1] == "not better"


def test_without_the_cache(kernel):
    for _ in range(2):
        handle = compile_kernel(kernel, DEVICE, mode="async", pool=Here(), cache=False, search=Search(**ONE))
        assert handle.wait(PATIENCE).stats.background_started == 2


# ---- real workers ----------------------------------------------------------------------------------------------------


def test_candidates_that_end_their_worker(monkeypatch):
    monkeypatch.setattr("tilelang.tt.service.process._GRACE_SECONDS", 0.5)

    def build(fault="none", block_M=16):
        return gemm(block_M=block_M).with_attr("global_symbol", fault)

    space = Search(
        policies=(),
        orders=(),
        tiles=(),
        parameters={"fault": ("segfault", "hang"), "block_M": (32,)},
        max_candidates=3,
    )
    with WorkerPool(preload=["support.faults"]) as pool:
        handle = compile_kernel(build, DEVICE, mode="async", pool=pool, timeout=2.0, cache=False, search=space)
        handle.wait(PATIENCE)
    assert outcomes(handle) == ["default", "crashed", "timed out", "upgraded"]
    assert "TT971: a worker has crashed while it compiled kernel `segfault`" in handle.history[1].reason
    assert "it has taken more than 2 s" in handle.history[2].reason
    assert handle.error is None
