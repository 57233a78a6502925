"""The passes as objects of the host's pass infrastructure."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import tvm
import tvm_ffi
from support import host
from support.infer import bare, copy_kernel, infer, module, plain, results
from tvm import tirx
from tvm.ir.instrument import DumpIR, PassTimingInstrument, PrintAfterAll, PrintBeforeAll, pass_instrument

from tilelang.tt import buffer_attrs, errors, schedule_attrs, transform

pytestmark = pytest.mark.stage("host")

NAMES = ["tt.ApplyTTDefaults", "tt.InferDefaultTTSchedule", "tt.InferDefaultTTShard"]


def passes():
    return [transform.ApplyTTDefaults(), transform.InferDefaultTTSchedule(), transform.InferDefaultTTShard()]


def run(mod, *instruments):
    with tvm.ir.transform.PassContext(instruments=[*instruments], config={"testing.immutable_module": True}):
        return tvm.ir.transform.Sequential(passes())(mod)


def test_sequential():
    mod = module(copy_kernel())
    tvm.ir.assert_structural_equal(run(mod), infer(mod))


def test_pass_info():
    for pass_, name in zip(passes(), NAMES, strict=True):
        assert isinstance(pass_, tvm.ir.transform.Pass)
        assert (pass_.info.name, pass_.info.opt_level, list(pass_.info.required)) == (name, 0, [])


def test_arguments_of_the_pass():
    pass_ = transform.ApplyTTDefaults(cores=[[0, 0, 1, 1]], core_order="column_major")
    attrs = pass_(module(copy_kernel()))["main"].attrs
    assert (plain(attrs["tt_cores"]), attrs["tt_core_order"]) == ([[0, 0, 1, 1]], "column_major")


@pytest.mark.parametrize(
    ("name", "info"),
    [
        ("tir.transform.InferDefaultTTSchedule", "tt.InferDefaultTTSchedule"),
        ("tir.transform.InferDefaultTTShard", "tt.InferDefaultTTShard"),
    ],
)
def test_registry(name, info):
    pass_ = tvm_ffi.get_global_func(name)()
    assert pass_.info.name == info
    assert pass_(transform.ApplyTTDefaults()(module(copy_kernel())))["main"].attrs["tt_device"] == "wormhole_n150"


def test_no_kernel_is_no_error():
    mod = tvm.IRModule({"f": bare((None, None, None)), "g": bare((None, None, None))}, attrs={"owner": "me"})
    out = run(mod)
    tvm.ir.assert_structural_equal(out, mod)
    assert all(out[name].same_as(mod[name]) for name in "fg")


def test_empty_module():
    assert len(run(tvm.IRModule({})).functions) == 0


@pass_instrument
class Recorder:
    """The passes that ran, in order."""

    def __init__(self):
        self.ran = []

    def run_before_pass(self, mod, info):
        self.ran.append(("before", info.name))

    def run_after_pass(self, mod, info):
        self.ran.append(("after", info.name))


def test_own_instrument():
    recorder = Recorder()
    run(module(copy_kernel()), recorder)
    ran = [entry for entry in recorder.ran if entry[1] in NAMES]
    assert ran == [(when, name) for name in NAMES for when in ("before", "after")]


@pass_instrument
class Skip:
    """Refuses to run one pass."""

    def should_run(self, mod, info):
        return info.name != "tt.InferDefaultTTSchedule"


def test_skipped_pass():
    attrs = run(module(copy_kernel()), Skip())["main"].attrs
    assert "tt_num_tiles" not in attrs
    assert "tt_buffers" in attrs


def test_timing():
    timing = PassTimingInstrument()
    with tvm.ir.transform.PassContext(instruments=[timing]):
        tvm.ir.transform.Sequential(passes())(module(copy_kernel()))
        report = timing.render()
    assert all(name in report for name in NAMES)


@pytest.mark.parametrize("printer", [PrintBeforeAll, PrintAfterAll])
def test_printing(printer, capfd):
    run(module(copy_kernel()), printer())
    out = capfd.readouterr().out
    assert all(f'name="{name}"' in out for name in NAMES)
    assert '"tt_num_tiles": 6' in out


def test_dump(tmp_path):
    run(module(copy_kernel()), DumpIR(tmp_path))
    dumped = {name: file.read_text() for name in NAMES for file in tmp_path.rglob(f"*{name}.py")}
    assert list(dumped) == NAMES
    assert '"tt_buffers"' in dumped["tt.InferDefaultTTShard"]


if host.ON_TILELANG:
    from support import kernels_tilelang
    from tilelang.tools.lower_trace import lower_trace

    def test_lower_trace(capsys):
        steps = lower_trace(kernels_tilelang.gemm(), passes())
        assert [step["changed"] for step in steps] == [True] * 3
        assert all(name.removeprefix("tt.") in step["name"] for name, step in zip(NAMES, steps, strict=True))
        assert '"tt_grid_x": 6' in steps[1]["after_script"]


def test_errors_keep_their_class_and_the_module():
    mod = module(bare((0, 1, 1)))
    before = mod["main"]
    with pytest.raises(errors.GridError, match="expected at least 1"):
        run(mod)
    assert mod["main"].same_as(before)


def test_threads():
    """Eight threads at once, over kernels that no thread has seen before, give what one gives alone."""
    mods = [
        tvm.IRModule({f"k{i}": copy_kernel(shape=(32 + i, 40 + seed), grid=(3 + seed, 2 + i, 1)) for i in range(4)})
        for seed in range(8)
    ]

    def work(worker):
        return [[results(func) for func in run(mod).functions.values()] for mod in mods[worker:] + mods[:worker]]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(work, range(8)))
    alone = [[results(func) for func in run(mod).functions.values()] for mod in mods]
    for worker, result in enumerate(found):
        assert result == alone[worker:] + alone[:worker]


def test_many_functions():
    mod = tvm.IRModule({f"k{n}": bare((n + 1, 2, 1), buffers=[("A", (n + 1, 8), "int32")]) for n in range(300)})
    out = run(mod)
    assert [schedule_attrs(out[f"k{n}"])["tt_num_tiles"] for n in range(300)] == [2 * (n + 1) for n in range(300)]
    assert [buffer_attrs(out[f"k{n}"], "A")["shape"] for n in range(300)] == [[n + 1, 8] for n in range(300)]


# As deep as every host can build and free; hosts crash of themselves at some twice that.
DEPTH = 3000


def launched(body, *buffers):
    return tirx.PrimFunc([*buffers], body).with_attrs({"tl_grid_x": 4, "global_symbol": "main"})


def deep_loops(*buffers):
    A = buffers[0]
    body = tirx.BufferStore(A, tirx.FloatImm("float32", 0), [0])
    for depth in range(DEPTH):
        body = tirx.For(tirx.Var(f"i{depth}", "int32"), 0, 2, 0, body)
    return launched(body, *buffers)


def deep_conditions(*buffers):
    A = buffers[0]
    body = tirx.BufferStore(A, tirx.FloatImm("float32", 0), [0])
    for _ in range(DEPTH):
        body = tirx.IfThenElse(tirx.BufferLoad(A, [0]) > tirx.FloatImm("float32", 0), body, None)
    return launched(body, *buffers)


def deep_expression(*buffers):
    A = buffers[0]
    value = tirx.BufferLoad(A, [0])
    for _ in range(DEPTH):
        value = tirx.Add(value, tirx.FloatImm("float32", 1))
    return launched(tirx.BufferStore(A, value, [0]), *buffers)


@pytest.mark.deep
@pytest.mark.parametrize(
    ("build", "access"), [(deep_loops, "write"), (deep_conditions, "read_write"), (deep_expression, "read_write")]
)
def test_deep_bodies(build, access):
    A, B = (tirx.decl_buffer((32,), dtype, name=name) for name, dtype in [("A", "float32"), ("B", "int64")])
    assert buffer_attrs(infer(build(A)), "A")["tt_access"] == access
    with pytest.raises(errors.DtypeError, match="nested too deeply to be printed"):
        infer(build(A, B))
