"""The key of a compilation: equal for what gives an equal result, and for nothing else."""

import importlib.util

import numpy as np
import pytest
import tvm_ffi
from hypothesis import given
from hypothesis import strategies as st
from support import sent
from support.process import run_python
from tvm import tirx

from tilelang.tt import Device, apply_tt_defaults, errors, infer_default_tt_schedule
from tilelang.tt.service import key as key_module
from tilelang.tt.service import origin
from tilelang.tt.service.key import fingerprint, key_of
from tilelang.tt.service.request import Request

pytestmark = pytest.mark.stage("cache")

SOURCE = """
from tvm.script import tirx as T


@T.prim_func
def copy(a: T.handle, C: T.Buffer((70, 100), "float32"), scale: T.float32):
    T.func_attr({"global_symbol": "copy", "note": {"b": 1, "a": [2.5, "x"]}})
    m = T.int32()
    A = T.match_buffer(a, (m, 100), "float32")
    for bx in T.thread_binding((m + 31) // 32, thread="blockIdx.x"):
        for i in T.serial(32, annotations={"stage": 2}):
            for j in T.serial(100):
                if bx * 32 + i < 70:
                    C[bx * 32 + i, j] = A[bx * 32 + i, j] * scale
        C[0, 0] = T.float32(0.5)
        C[0, 1] = T.float32(1.5)
"""

# Each is one change; what stands on the left is in the source.
CHANGES = [
    ('100), "float32")\n', '101), "float32")\n'),
    ("T.Buffer((70, 100)", "T.Buffer((71, 100)"),
    ('(70, 100), "float32"', '(70, 100), "float16"'),
    ("scale: T.float32", "scale: T.float64"),
    ("scale", "factor"),
    (" m =|(m", " n =|(n"),
    ("A =|A[", "B =|B["),
    ("C: |C[", "D: |D["),
    ("for bx|bx *", "for by|by *"),
    ("for j|, j]", "for k|, k]"),
    ('"stage": 2', '"stage": 3'),
    ('"stage": 2', '"stages": 2'),
    ('"stage": 2', '"stage": True'),
    ('"b": 1', '"b": 2'),
    ("2.5", "-2.5"),
    ('[2.5, "x"]', '["x", 2.5]'),
    ('"note"', '"notes"'),
    ('"global_symbol": "copy"', '"global_symbol": "copied"'),
    ("blockIdx.x", "blockIdx.y"),
    ("i < 70", "i <= 70"),
    ("i < 70", "i < 69"),
    ("+ 31", "+ 30"),
    ("0.5", "0.25"),
    ("0.5", "-0.5"),
    (
        "C[0, 0] = T.float32(0.5)\n        C[0, 1] = T.float32(1.5)",
        "C[0, 1] = T.float32(1.5)\n        C[0, 0] = T.float32(0.5)",
    ),
    ("T.serial(100)", "T.parallel(100)"),
    ("j] * scale", "j] + scale"),
]


def make(folder, source, name):
    """The kernel of a file of its own: the parser looks for the source."""
    path = folder / f"{name}.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.copy


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("kernels")


@pytest.fixture(scope="module")
def kernel(folder):
    return make(folder, SOURCE, "first")


def key(func, device=None, options=None):
    return Request.of(func, device, options, None).key


def test_a_kernel_that_is_traced_twice_has_one_key(kernel, folder):
    again = make(folder, "# elsewhere\n\n" + SOURCE.replace("    m =", "    # a comment\n    m ="), "again")
    assert not again.same_as(kernel)
    assert fingerprint(again) == fingerprint(kernel)
    assert key(again) == key(kernel)


def test_a_key_does_not_depend_on_the_process(kernel, folder, tmp_path):
    code = f"""
        import importlib.util
        spec = importlib.util.spec_from_file_location("again", {str(folder / "first.py")!r})
        module = importlib.util.module_from_spec(spec)
        try:
            import tilelang
        except ImportError:
            pass
        spec.loader.exec_module(module)
        from tilelang.tt.service.request import Request
        print(Request.of(module.copy, None, None, None).key)
    """
    for seed in ("1", "2"):
        assert run_python(code, tmp_path, PYTHONHASHSEED=seed).strip() == key(kernel)


def test_every_change_gives_another_key(kernel, folder):
    found = {fingerprint(kernel)}
    for number, (old, new) in enumerate(CHANGES):
        source = SOURCE
        for before, after in zip(old.split("|"), new.split("|"), strict=True):
            assert before in source, before
            source = source.replace(before, after)
        changed = make(folder, source, f"changed{number}")
        assert fingerprint(changed) not in found, (old, new)
        found.add(fingerprint(changed))


def test_no_two_functions_of_the_suite_share_a_key():
    """Unless they are equal down to their names."""
    by_print = {}
    for name, func in sent.functions():
        by_print.setdefault(fingerprint(func), []).append((name, func))
    for (_, first), *others in by_print.values():
        for name, other in others:
            assert tvm_ffi.structural_equal(first, other, map_free_vars=True), name


def test_a_variable_is_more_than_its_name():
    """`x + x`, and the sum of two variables that are both called x."""
    x, same_name = tirx.Var("x", "int32"), tirx.Var("x", "int32")

    def func(second):
        loops = tirx.For(x, 0, 4, 0, tirx.For(same_name, 0, 4, 0, tirx.Evaluate(x + second)))
        return tirx.PrimFunc([], loops)

    assert fingerprint(func(x)) != fingerprint(func(same_name))
    assert fingerprint(func(x)) == fingerprint(func(x))


def test_which_objects_are_shared_does_not_matter():
    def func(shared):
        zero = tirx.IntImm("int32", 1)
        other = zero if shared else tirx.IntImm("int32", 1)
        return tirx.PrimFunc([], tirx.Evaluate(tirx.Add(zero, other)))

    assert fingerprint(func(True)) == fingerprint(func(False))


def test_the_order_of_attributes_does_not_matter(kernel):
    attrs = {f"a{i}": i for i in range(9)}
    reverse = dict(reversed(attrs.items()))
    assert fingerprint(kernel.with_attrs(attrs)) == fingerprint(kernel.with_attrs(reverse))


@given(
    st.lists(st.floats(width=64), min_size=2, max_size=2, unique_by=lambda value: value.hex() if value == value else 0)
)
def test_floats_differ_by_their_bits(values):
    one, two = (fingerprint(tirx.PrimFunc([], tirx.Evaluate(tirx.FloatImm("float64", value)))) for value in values)
    assert one != two


def test_zeros_and_nan():
    zeros = [fingerprint(tirx.PrimFunc([], tirx.Evaluate(tirx.FloatImm("float64", value)))) for value in (0.0, -0.0)]
    assert zeros[0] != zeros[1]
    nans = [fingerprint(tirx.PrimFunc([], tirx.Evaluate(tirx.FloatImm("float64", float("nan"))))) for _ in range(2)]
    assert nans[0] == nans[1]


def test_shared_expressions_cost_no_more_than_once():
    """As a tree this expression has 2**16 leaves."""
    value = tirx.Var("x", "int32")
    loop_var = value
    for _ in range(16):
        value = tirx.Add(value, value)
    body = tirx.For(loop_var, 0, 4, 0, tirx.Evaluate(value))
    assert len(fingerprint(tirx.PrimFunc([], body))) < 5_000


@pytest.mark.deep
def test_deep_bodies():
    body = tirx.Evaluate(0)
    for level in range(3000):
        body = tirx.For(tirx.Var(f"i{level}", "int32"), 0, 2, 0, body)
    assert fingerprint(tirx.PrimFunc([], body)) == fingerprint(tirx.PrimFunc([], body))


def test_inputs_are_a_part(kernel):
    found = [
        key(kernel),
        key(kernel, "blackhole_p150"),
        key(kernel, Device.from_name("wormhole_n150").with_grid(4, 4)),
        key(kernel, Device.from_name("wormhole_n150").replace(clock_mhz=999)),
        key(kernel, options={"schedule_policy": "strided"}),
        key(kernel, options={"tile_height": 16}),
        key(apply_tt_defaults(kernel)),
        key(infer_default_tt_schedule(apply_tt_defaults(kernel))),
        key(kernel.with_attr("global_symbol", "other")),
    ]
    assert len(set(found)) == len(found)


def test_the_default_device_is_the_one_of_that_name(kernel):
    assert key(kernel) == key(kernel, "wormhole_n150") == key(kernel, Device.from_name("wormhole_n150"))
    carrying = kernel.with_attr("tt_device", "blackhole_p150")
    assert key(carrying) != key(kernel)
    assert key(carrying) != key(carrying, "wormhole_n150")


def test_the_order_of_options_does_not_matter(kernel):
    options = {"schedule_policy": "strided", "tile_height": 16}
    assert key(kernel, options=options) == key(kernel, options=dict(reversed(options.items())))


def test_the_code_is_a_part(kernel, monkeypatch, tmp_path):
    before = key(kernel)
    files = origin._files()
    assert {"service/key.py", "passes.py"} < set(files)
    assert any(name.startswith("libtilelang_tt_passes") for name in files)
    assert any(name.startswith("_native") for name in files)
    changed = tmp_path / "passes.py"
    changed.write_text(files["passes.py"].read_text() + "\n")
    monkeypatch.setattr(origin, "_files", lambda: files | {"passes.py": changed})
    origin._code.cache_clear()
    try:
        assert key(kernel) != before
    finally:
        monkeypatch.undo()
        origin._code.cache_clear()
    assert key(kernel) == before


def test_code_that_was_replaced_after_it_was_read_has_no_name(monkeypatch):
    """What runs is then not what the files say: no other process may take its results for those of the files."""
    before = origin._code()
    digests = {before}
    for _ in range(2):
        monkeypatch.setattr(origin._library, "READ_AT", 0.0)
        origin._code.cache_clear()
        digests.add(origin._code())
    monkeypatch.undo()
    origin._code.cache_clear()
    assert origin._code() == before
    assert len(digests) == 3


def test_a_recent_kernel_is_not_taken_for_another(folder):
    """Addresses are used again, once nobody holds what was there."""
    for extent in range(200):
        func = tirx.PrimFunc([], tirx.Evaluate(extent))
        fresh = key_module.sha256(fingerprint(func)).hexdigest()
        assert key_module._digest_of(func) == fresh == key_module._digest_of(func)
        del func


def test_names_are_told_apart(kernel):
    assert key_of("a", kernel, None, "{}") != key_of("b", kernel, None, "{}")


def test_what_cannot_be_compared_is_refused(kernel):
    with pytest.raises(errors.OpaqueKernelError, match=r"TT979: the kernel holds ffi\.Function"):
        key(kernel.with_attr("callback", [tvm_ffi.convert(print)]))


@pytest.mark.parametrize("height", [32, np.int64(32), np.uint8(32), np.array(32)])
def test_numbers_of_numpy_are_numbers(kernel, height):
    expected = Request.of(kernel, None, {"tile_height": 32, "cores": [[0, 0, 1, 1]]}, None).key
    options = {"cores": np.array([[0, 0, 1, 1]]), "tile_height": height}
    assert Request.of(kernel, None, options, None).key == expected


@pytest.mark.parametrize("options", [{"device": "wormhole_n150"}, [("tile_height", 32)], {"cores": object()}])
def test_options_that_are_none(kernel, options):
    with pytest.raises(errors.ArgumentError, match="TT103"):
        Request.of(kernel, None, options, None)


def test_a_device_that_is_none(kernel):
    with pytest.raises(errors.DeviceError, match="TT303: found 5"):
        Request.of(kernel, 5, None, None)
