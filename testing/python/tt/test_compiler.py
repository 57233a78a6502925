"""Compiling by one call: what the passes, the plan and the executor give by hand."""

import numpy as np
import pytest
import tvm
from support import kernels_tirx

from tilelang.tt import apply_tt_defaults, counters, errors, execute, infer_default_tt_schedule, infer_default_tt_shard
from tilelang.tt import compile as compile_kernel
from tilelang.tt.executor import dtype_of
from tilelang.tt.plan import make_plan

pytestmark = pytest.mark.stage("compile")

OPTIONS = {"schedule_policy": "strided", "tile_height": 16}


@pytest.fixture
def kernel():
    return next(case for case in kernels_tirx.CASES if case.name == "gemm").build()


def test_everything_is_what_the_passes_give(kernel):
    compiled = compile_kernel(kernel, "blackhole_p150", OPTIONS)
    expected = infer_default_tt_shard(
        infer_default_tt_schedule(apply_tt_defaults(kernel, device="blackhole_p150", **OPTIONS))
    )
    tvm.ir.assert_structural_equal(compiled.func, expected.with_attr("global_symbol", compiled.plan.kernel().name))
    assert compiled.plan.kernels == make_plan(kernel, device="blackhole_p150", **OPTIONS).kernels


def test_a_compilation_is_counted(kernel):
    before = counters["compile"]["in_process"]
    compile_kernel(kernel)
    assert counters["compile"]["in_process"] == before + 1


def test_what_no_pass_knows_is_refused(kernel):
    with pytest.raises(errors.ArgumentError, match="TT103: unknown input polciy"):
        compile_kernel(kernel, options={"polciy": "strided"})


def test_what_is_no_device_and_no_options_is_refused(kernel):
    with pytest.raises(errors.DeviceError, match="TT303: found 3; expected the name of a device"):
        compile_kernel(kernel, 3)
    with pytest.raises(errors.ArgumentError, match=r"TT103: options is \['strided'\]; expected a map, as"):
        compile_kernel(kernel, options=["strided"])
    with pytest.raises(errors.ArgumentError, match="TT103: found a device among the options; expected it as the arg"):
        compile_kernel(kernel, options={"device": "blackhole_p150"})


def test_numbers_of_numpy_are_options_like_others(kernel):
    options = {"tile_height": 16, "cores": [[0, 0, 3, 3]]}
    same = compile_kernel(kernel, options={"tile_height": np.int64(16), "cores": np.array([[0, 0, 3, 3]])})
    assert same.key == compile_kernel(kernel, options=options).key


def test_what_it_is_called(kernel):
    assert repr(compile_kernel(kernel)) == "<CompiledKernel main, inline, ready>"
    assert repr(counters).startswith("Counters({'cache': Counter({")


def test_a_call_gives_what_the_kernel_writes(kernel):
    compiled = compile_kernel(kernel)
    rng = np.random.default_rng(0)
    read = [buffer for buffer in compiled.plan.kernel().buffers if buffer.access == "read"]
    arrays = [rng.integers(-3, 3, buffer.shape).astype(dtype_of(buffer.dtype)) for buffer in read]
    np.testing.assert_array_equal(compiled(*arrays), execute(kernel, *arrays))
    compiled.run(*arrays)
    assert compiled.stats.compiled_runs == 2
