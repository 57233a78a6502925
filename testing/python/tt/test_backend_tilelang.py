"""Target "tenstorrent" in TileLang: unchanged kernels through `tilelang.compile` and `tilelang.jit`, on torch."""

import logging
import sys
from types import SimpleNamespace

import pytest
from support import host

if not host.ON_TILELANG:
    pytest.skip("for TileLang", allow_module_level=True)

import tilelang.language as T
import torch
import tvm
from support.process import run_python
from tvm.target import Target

import tilelang
from tilelang.tt import apply_tt_defaults, errors
from tilelang.tt import compile as compile_kernel
from tilelang.tt.backend import make_target
from tilelang.tt.backend import tilelang as backend
from tilelang.tt.plan import make_plan

pytestmark = pytest.mark.stage("target")

TOLERANCE = {"float32": 1e-4, "float16": 1e-2, "bfloat16": 2e-2, "int32": 0}


@pytest.fixture(autouse=True)
def mutable_module(immutable_module):
    """The host's own passes change the modules that they are given."""
    with tvm.ir.transform.PassContext():
        yield


@pytest.fixture(autouse=True)
def no_cache():
    """No kernel of an earlier run is found, and none stays."""
    tilelang.disable_cache()
    yield
    tilelang.enable_cache()


def operands(*shapes, dtype="float32"):
    generator = torch.Generator().manual_seed(0)
    if dtype.startswith("int"):
        return [torch.randint(-8, 8, shape, generator=generator).to(getattr(torch, dtype)) for shape in shapes]
    return [torch.randn(shape, generator=generator).to(getattr(torch, dtype)) for shape in shapes]


def small_gemm(dtype="float32", accumulator="float32", out=None, m=96, n=64, k=64):
    @T.prim_func
    def main(A: T.Tensor((m, k), dtype), B: T.Tensor((k, n), dtype), C: T.Tensor((m, n), out or dtype)):
        with T.Kernel(T.ceildiv(n, 32), T.ceildiv(m, 32), threads=128) as (bx, by):
            a = T.alloc_shared((32, 32), dtype)
            b = T.alloc_shared((32, 32), dtype)
            c = T.alloc_fragment((32, 32), accumulator)
            T.clear(c)
            for step in T.Pipelined(T.ceildiv(k, 32), num_stages=2):
                T.copy(A[by * 32, step * 32], a)
                T.copy(B[step * 32, bx * 32], b)
                T.gemm(a, b, c)
            T.copy(c, C[by * 32, bx * 32])

    return main


@pytest.mark.filterwarnings("ignore::tilelang.tt.errors.FormatWarning")
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int8"])
def test_compile(dtype):
    out = "int32" if dtype == "int8" else dtype
    func = small_gemm(dtype, "int32" if dtype == "int8" else "float32", out)
    kernel = tilelang.compile(func, target="tenstorrent", out_idx=[2])
    a, b = operands((96, 64), (64, 64), dtype=dtype)
    expected = (a.double() @ b.double()).to(getattr(torch, out))
    torch.testing.assert_close(kernel(a, b), expected, rtol=TOLERANCE[out], atol=TOLERANCE[out])


def test_outputs_in_place():
    kernel = tilelang.compile(small_gemm(), target="tenstorrent/blackhole_p150")
    a, b = operands((96, 64), (64, 64))
    c = torch.full((96, 64), torch.nan)
    assert not kernel(a, b, c)  # TileLang gives an empty list
    torch.testing.assert_close(c, a @ b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rows", [1, 32, 70])
def test_symbolic_rows(rows):
    kernel = tilelang.compile(small_gemm(m=T.dynamic("m")), target="tenstorrent", out_idx=-1)
    a, b = operands((rows, 64), (64, 64))
    torch.testing.assert_close(kernel(a, b), a @ b, rtol=1e-4, atol=1e-4)


def test_scalar_parameters():
    @T.prim_func
    def main(A: T.Tensor((64,), "float32"), factor: T.float32, B: T.Tensor((64,), "float32")):
        with T.Kernel(2, threads=32) as bx:
            for i in T.Parallel(32):
                B[bx * 32 + i] = A[bx * 32 + i] * factor

    kernel = tilelang.compile(main, target="tenstorrent", out_idx=[2])
    (a,) = operands((64,))
    torch.testing.assert_close(kernel(a, 2.5), a * 2.5)


def test_lazy_jit():
    @tilelang.jit(target="tenstorrent", out_idx=[-1])
    def make(m):
        return small_gemm(m=m)

    a, b = operands((64, 64), (64, 64))
    torch.testing.assert_close(make(64)(a, b), a @ b, rtol=1e-4, atol=1e-4)


def test_eager_jit():
    @tilelang.jit(target="tenstorrent")
    def double(A):
        N = T.const("N")
        A: T.Tensor[[N], T.float32]
        B = T.empty([N], T.float32)
        with T.Kernel(T.ceildiv(N, 32), threads=32) as bx:
            for i in T.Parallel(32):
                B[bx * 32 + i] = A[bx * 32 + i] * 2
        return B

    (a,) = operands((96,))
    torch.testing.assert_close(double(a), a * 2)


def test_lower():
    artifact = tilelang.lower(small_gemm(), target="tenstorrent/blackhole_p150")
    (program,) = artifact.device_mod.functions.values()
    assert program.attrs["tt_device"] == "blackhole_p150"
    assert "tt_core_program" in program.attrs
    assert artifact.kernel_source.startswith("/*\nmain on blackhole_p150\n")


def test_what_the_kernel_says():
    kernel = tilelang.compile(small_gemm(), target="tenstorrent/blackhole_p150", out_idx=[2])
    assert kernel.backend == "reference"
    assert kernel.backend.name == "tenstorrent"
    assert kernel.plan == make_plan(small_gemm(), device="blackhole_p150")
    source = kernel.get_kernel_source()
    assert str(kernel.plan).rstrip() in source
    assert "def main_core(" in source
    assert "tilelang.tt.launch" in kernel.get_host_source()


def test_kernels_of_other_targets():
    other = SimpleNamespace(target=Target("c"))
    with pytest.raises(AttributeError, match="no attribute 'plan'"):
        type(tilelang.compile(small_gemm(), target="tenstorrent")).plan.__get__(other, type(other))


@pytest.mark.parametrize(
    "chosen",
    [
        "tenstorrent",
        Target("tenstorrent"),
        {"kind": "ext_dev", "keys": ["tenstorrent"]},
        {"tag": "tenstorrent/blackhole_p100"},
        make_target("blackhole_p150", schedule_policy="strided"),
    ],
    ids=str,
)
def test_ways_to_name_the_target(chosen):
    kernel = tilelang.compile(small_gemm(), target=chosen, out_idx=[2])
    assert any(str(option).startswith("tilelang.tt=") for option in kernel.target.attrs["libs"])
    a, b = operands((96, 64), (64, 64))
    torch.testing.assert_close(kernel(a, b), a @ b, rtol=1e-4, atol=1e-4)


def test_inputs_of_the_kernel():
    func = apply_tt_defaults(small_gemm(), device="blackhole_p100", schedule_policy="strided")
    own = tilelang.compile(func, target="tenstorrent").plan.kernel()
    assert (own.device.name, own.inputs.schedule_policy) == ("blackhole_p100", "strided")
    other = tilelang.compile(func, target="tenstorrent/wormhole_n300").plan.kernel()
    assert (other.device.name, other.inputs.schedule_policy) == ("wormhole_n300", "strided")


def test_log():
    records = []
    handler = logging.Handler()
    handler.emit = records.append
    logger = logging.getLogger("tilelang.tt.target")
    logger.addHandler(handler)
    try:
        kernel = tilelang.compile(small_gemm(n=32, k=32), target="tenstorrent", out_idx=[2])
        a, b = operands((96, 32), (32, 32))
        kernel(a, b)
        kernel(a, b)
    finally:
        logger.removeHandler(handler)
    assert [record.levelname for record in records] == ["WARNING"]
    assert "runs on the CPU, by the reference executor of tilelang.tt for wormhole_n150" in records[0].getMessage()


def attention(heads, tokens, features, dtype="float32", block=32):
    """As TileLang's own examples write it; nothing here knows of the target."""
    shape = (heads, tokens, features)
    scale = features**-0.5

    @T.prim_func
    def main(
        Q: T.Tensor(shape, dtype), K: T.Tensor(shape, dtype), V: T.Tensor(shape, dtype), O: T.Tensor(shape, dtype)
    ):
        with T.Kernel(T.ceildiv(tokens, block), heads, threads=128) as (bx, head):
            q = T.alloc_shared((block, features), dtype)
            k = T.alloc_shared((block, features), dtype)
            v = T.alloc_shared((block, features), dtype)
            scores = T.alloc_fragment((block, block), "float32")
            weights = T.alloc_fragment((block, block), dtype)
            out = T.alloc_fragment((block, features), "float32")
            largest = T.alloc_fragment((block,), "float32")
            before = T.alloc_fragment((block,), "float32")
            rescale = T.alloc_fragment((block,), "float32")
            added = T.alloc_fragment((block,), "float32")
            total = T.alloc_fragment((block,), "float32")
            T.copy(Q[head, bx * block, 0], q)
            T.fill(out, 0)
            T.fill(total, 0)
            T.fill(largest, -T.infinity("float32"))
            for step in T.Pipelined(T.ceildiv(tokens, block), num_stages=2):
                T.copy(K[head, step * block, 0], k)
                T.clear(scores)
                T.gemm(q, k, scores, transpose_B=True, policy=T.GemmWarpPolicy.FullRow)
                T.copy(largest, before)
                T.reduce_max(scores, largest, dim=1, clear=False)
                for i in T.Parallel(block):
                    rescale[i] = T.exp(before[i] * scale - largest[i] * scale)
                for i, j in T.Parallel(block, block):
                    scores[i, j] = T.exp(scores[i, j] * scale - largest[i] * scale)
                T.reduce_sum(scores, added, dim=1)
                for i in T.Parallel(block):
                    total[i] = total[i] * rescale[i] + added[i]
                T.copy(scores, weights)
                for i, j in T.Parallel(block, features):
                    out[i, j] *= rescale[i]
                T.copy(V[head, step * block, 0], v)
                T.gemm(weights, v, out, policy=T.GemmWarpPolicy.FullRow)
            for i, j in T.Parallel(block, features):
                out[i, j] /= total[i]
            T.copy(out, O[head, bx * block, 0])

    return main


@pytest.mark.parametrize(
    ("device", "dtype"), [("wormhole_n150", "float32"), ("blackhole_p100", "float32"), ("blackhole_p100", "bfloat16")]
)
def test_flash_attention(device, dtype):
    kernel = tilelang.compile(attention(4, 96, 32, dtype), target=f"tenstorrent/{device}", out_idx=[3])
    assert kernel.plan.kernel().device.worker_grid == {"wormhole_n150": (8, 8), "blackhole_p100": (11, 10)}[device]
    q, k, v = operands(*[(4, 96, 32)] * 3, dtype=dtype)
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    torch.testing.assert_close(kernel(q, k, v), expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


CACHED = """
import tilelang, tilelang.tt, torch
import tilelang.language as T
from tilelang.tt.backend import lowering, make_target
from tilelang.tt.backend import target as tags

tags._VERSION = {version!r}
lowered = []
lower = lowering.lower
lowering.lower = lambda mod: lowered.append(mod) or lower(mod)

@T.prim_func
def main(A: T.Tensor((64,), "float32"), B: T.Tensor((64,), "float32")):
    with T.Kernel(2, threads=32) as bx:
        for i in T.Parallel(32):
            B[bx * 32 + i] = A[bx * 32 + i] + 1

kernel = tilelang.compile(main, target={target}, out_idx=[1])
assert torch.equal(kernel(torch.ones(64)), torch.full((64,), 2.0))
print(len(lowered), kernel.plan.kernel().device.name, "def main_core(" in kernel.get_kernel_source())
"""


def test_disk_cache(tmp_path):
    """A kernel from the cache runs in another process; another version or other inputs are another kernel."""

    def run(target, version="tilelang.tt=1.0"):
        path = tmp_path / "kernel.py"  # TileLang reads a kernel's source from its file
        path.write_text(CACHED.format(target=target, version=version))
        code = f"import runpy; runpy.run_path({str(path)!r})"
        return run_python(code, tmp_path, TILELANG_CACHE_DIR=str(tmp_path / "cache")).splitlines()[-1]

    assert run('"tenstorrent"') == "1 wormhole_n150 True"
    assert run('"tenstorrent"') == "0 wormhole_n150 True"
    assert run('make_target("blackhole_p150")') == "1 blackhole_p150 True"
    assert run('"tenstorrent"', version="tilelang.tt=1.1") == "1 wormhole_n150 True"


def test_other_version_is_another_kernel():
    old = Target({"kind": "ext_dev", "keys": ["tenstorrent"], "libs": ["tilelang.tt=0.0.1", "tile_height=16"]})
    new = backend.normalize(old)
    assert [str(option) for option in new.attrs["libs"]][1:] == ["tile_height=16"]
    assert str(new) != str(old)


def test_unknown_device():
    with pytest.raises(
        errors.DeviceError, match=r"^TT303: unknown device \"wormhole_n15\".*did you mean wormhole_n150"
    ):
        tilelang.compile(small_gemm(), target="tenstorrent/wormhole_n15")


def test_refusals_when_compiled():
    @T.prim_func
    def flags(A: T.Tensor((64,), "bool")):
        with T.Kernel(64) as bx:
            A[bx] = True

    with pytest.raises(errors.DtypeError, match=r"^TT404: "):
        tilelang.compile(flags, target="tenstorrent")


def test_older_tilelang(monkeypatch):
    """Such as 0.1.13, which has normalizers, and no back ends."""
    import tilelang.backend.module
    import tilelang.backend.target

    monkeypatch.setattr(tilelang.backend.target, "_TARGET_NORMALIZERS", {})
    monkeypatch.delattr(tilelang.backend.module, "register_backend")
    backend.register()
    for chosen in ("tenstorrent", "tenstorrent/blackhole_p150", Target("tenstorrent")):
        with pytest.raises(
            errors.HostError, match=r"^TT940: .* it has no tilelang\.backend\.module\.register_backend\n"
        ):
            tilelang.compile(small_gemm(), target=chosen)
    assert tilelang.backend.target.determine_target("c") == "c"


def test_oldest_tilelang(monkeypatch):
    """Such as 0.1.11, which has nothing that could refuse for us."""
    monkeypatch.setitem(sys.modules, "tilelang.backend.target", None)
    backend.register()


def test_build_gives_what_the_host_compiles():
    kernel = compile_kernel(small_gemm(), "blackhole_p150", {"schedule_policy": "strided"})
    built = kernel.build(out_idx=[2])
    assert isinstance(built, tilelang.JITKernel)
    assert built.plan.kernels == kernel.plan.kernels
    assert built.target.attrs["model"] == "blackhole_p150"
    a, b = operands((96, 64), (64, 64))
    assert torch.equal(built(a, b), kernel(a, b))


def test_build_takes_what_the_host_takes():
    with pytest.raises(TypeError, match="colour"):
        compile_kernel(small_gemm()).build(colour="red")
