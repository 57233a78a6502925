"""make_plan: every attribute of every kernel arrives in the plan."""

import warnings

import pytest
import tvm
from support import host
from support.host import T
from support.infer import bare, copy_kernel, infer, tt_attrs
from support.kernels import CASES, POLICIES
from support.launch_forms import FORMS, SEVERAL_FORMS
from support.plan_attributes import attributes

from tilelang.tt import Device, Layout, Shard, annotate_tt_layout, errors, specialize
from tilelang.tt.plan import make_plan

pytestmark = pytest.mark.stage("plan")


def expected(mod, name, **inputs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tt_attrs(infer(mod, **inputs)[name])


@pytest.mark.parametrize("inputs", POLICIES, ids=lambda inputs: inputs.get("schedule_policy", "defaults"))
@pytest.mark.parametrize("case", CASES)
def test_kernels(case, inputs):
    mod = tvm.IRModule({"main": case.build()})
    (kernel,) = make_plan(mod, **inputs).kernels
    stated = expected(mod, "main", **inputs)
    stated.pop("tt_buffer_layouts", None)
    assert attributes(kernel) == stated


@pytest.mark.parametrize("form", [form for form in FORMS if form.understood] + SEVERAL_FORMS, ids=str)
def test_launch_forms(form):
    mod = form.build()
    try:
        infer(mod)
    except errors.ShapeError as error:  # the host/device split has left raw pointers
        with pytest.raises(errors.ShapeError, match=error.code):
            make_plan(mod)
        return
    for kernel in make_plan(mod).kernels:
        assert attributes(kernel) == expected(mod, kernel.name)


SHARDS = {
    "height": Layout(memory="l1", shard=Shard.height((32, 96), [(0, 0, 1, 1)])),
    "nd": Layout(memory="dram", shard=Shard.nd((32, 32), [(0, 0, 3, 0)])),
    "row_major": Layout(page_layout="row_major"),
    "block_format": Layout(data_format="Bfp8_b"),
}


@pytest.mark.parametrize("layout", SHARDS.values(), ids=SHARDS)
def test_layouts(layout):
    func = annotate_tt_layout(copy_kernel((100, 96)), "A", layout)
    stated = tt_attrs(infer(func))
    del stated["tt_buffer_layouts"]  # an input, whose effect the buffers show
    assert attributes(make_plan(func).kernel()) == stated


def test_derived_device():
    device = Device.from_name("blackhole_p150").with_grid(5, 3)
    assert make_plan(copy_kernel(), device=device).kernel().device == device


@T.prim_func
def symbolic(a: T.handle):
    n = T.int32()
    A = T.match_buffer(a, (n, 32), "float32")
    bx = T.launch_thread("blockIdx.x", (n + 31) // 32)
    A[bx * 32, 0] = T.float32(1)


def test_symbolic_kernel():
    plan = make_plan(symbolic)
    assert plan.kernel().shape_variables == ("n",)
    assert attributes(plan.kernel()) == tt_attrs(infer(symbolic))
    numbers = make_plan(specialize(symbolic, n=2100)).kernel()
    assert numbers.shape_variables == ()
    assert numbers.launches[0].num_tiles == 66


def test_kernels_are_in_the_order_of_their_names_and_others_are_left_out():
    kernel = copy_kernel()
    functions = {name: kernel.with_attr("global_symbol", name) for name in ("second", "first")}
    plain = tvm.tirx.PrimFunc([], tvm.tirx.Evaluate(0)).with_attr("global_symbol", "plain")
    plan = make_plan(tvm.IRModule({**functions, "plain": plain}))
    assert [kernel.name for kernel in plan.kernels] == ["first", "second"]
    assert [entry.kernel for entry in plan.provenance.kernels] == ["first", "second"]
    assert plan.kernel("second") is plan.kernels[1]
    with pytest.raises(errors.BufferLookupError, match=r"TT870: the plan has no kernel third; kernels: first, second"):
        plan.kernel("third")
    with pytest.raises(errors.BufferLookupError, match=r"TT871: the plan has 2 kernels.*first, second"):
        plan.kernel()


def test_inputs_win_over_those_on_the_kernel_and_results_are_inferred_anew():
    planned = infer(copy_kernel(), device="wormhole_galaxy")
    assert make_plan(planned).kernel().device.name == "wormhole_galaxy"
    moved = make_plan(planned, device="blackhole_p150").kernel()
    assert attributes(moved) == tt_attrs(infer(copy_kernel(), device="blackhole_p150"))


def test_arrays():
    inputs = {"cores": [[1, 1, 2, 3], [0, 0, 0, 0]], "schedule_policy": "block_cyclic", "schedule_block_size": 4}
    planned = infer(copy_kernel(grid=(5, 3, 2)), core_order="column_major", **inputs)
    kernel = make_plan(planned).kernel()
    cores = [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3), (0, 0)]
    assert kernel.core_coordinates.tolist() == [list(core) for core in cores]
    runs = [[core, *run] for core, own in enumerate(tt_attrs(planned)["tt_tile_runs"]) for run in own]
    assert kernel.launches[0].run_table.tolist() == runs
    assert make_plan(symbolic).kernel().launches[0].run_table.shape == (0, 5)


def test_stale_results_are_refused():
    stale = infer(copy_kernel()).with_attr("tt_num_tiles", 7)
    with pytest.raises(errors.MetadataError, match="TT701"):
        make_plan(stale)


def test_refusals_name_the_kernel():
    with pytest.raises(errors.DtypeError, match=r"TT404: kernel `main`"):
        make_plan(bare(buffers=[("A", (32,), "float64")]))
    with pytest.raises(errors.NoKernelError, match="TT201"):
        make_plan(tvm.IRModule({}))
    with pytest.raises(errors.ArgumentError, match="TT101"):
        make_plan([])
    with pytest.raises(errors.ArgumentError, match="TT103: unknown input polcy"):
        make_plan(copy_kernel(), polcy="strided")


def test_warnings_are_in_the_plan_and_not_raised():
    """The suite turns every warning into an error."""
    plan = make_plan(copy_kernel(dtype="float16"))
    (warning,) = plan.kernel().warnings
    assert warning.code == "TT406"
    assert warning.message.startswith("kernel `main` stores A, C as Float16")
    (provenance,) = plan.provenance.kernels
    assert len(provenance.warning_sources) == 1


def test_provenance():
    first, same, other = (make_plan(copy_kernel(shape)).provenance for shape in ((64, 96), (64, 96), (64, 64)))
    assert first.host == f"{host.HOST} {host.VERSION}"
    assert first.kernels[0].sha256 == same.kernels[0].sha256 != other.kernels[0].sha256
    assert len(first.kernels[0].sha256) == 64


@pytest.mark.skipif(not host.HAS_SPANS, reason="the host keeps no places of scripts")
def test_places_are_relative(monkeypatch, tmp_path):
    source = make_plan(copy_kernel()).provenance.kernels[0].source
    assert source.file.endswith("infer.py")
    assert not source.file.startswith("/")
    monkeypatch.chdir(tmp_path)
    assert make_plan(copy_kernel()).provenance.kernels[0].source.file == "infer.py"


@pytest.mark.deep
def test_a_kernel_too_deep_to_print_has_no_hash():
    body = tvm.tirx.Evaluate(0)
    for _ in range(400):
        body = tvm.tirx.IfThenElse(tvm.tirx.const(True), body, None)
    func = bare(grid=(4, 1, 1))
    deep = tvm.tirx.PrimFunc([], body).with_attrs({"global_symbol": "main", "tl_grid_x": 4})
    assert make_plan(func).provenance.kernels[0].sha256
    assert make_plan(deep).provenance.kernels[0].sha256 is None
