"""Hosts that are missing, newer than those tried, or in a pair of versions that does not work; and the public names."""

import ctypes
import subprocess
import sys
import textwrap
import warnings
from importlib import metadata

import pytest
from support import host
from support.infer import copy_kernel, infer
from tvm import tirx

import tilelang.tt
from tilelang.tt import _host, _library, apply_tt_defaults, errors, infer_default_tt_schedule

pytestmark = pytest.mark.stage("host")


@pytest.fixture(autouse=True)
def forget_host():
    """The host is looked at once per process: not here."""
    _host.require_host.cache_clear()
    yield
    _host.require_host.cache_clear()


def pretend(monkeypatch, **versions):
    """The versions of distributions; None where one is not installed, and no checkout stands in for it."""
    real = _host._version
    versions = {name.replace("_", "-"): version for name, version in versions.items()}
    monkeypatch.setattr(_host, "_version", lambda name: versions[name] if name in versions else real(name))
    monkeypatch.setattr(_host, "_version_of_checkout", lambda module: None)


def test_this_host():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = _host.require_host()
    assert found == _host.Host(host.HOST, host.VERSION, host.FFI_VERSION)


@pytest.mark.parametrize("call", [apply_tt_defaults, infer_default_tt_schedule, tilelang.tt.transform.ApplyTTDefaults])
def test_no_host(monkeypatch, call):
    pretend(monkeypatch, apache_tvm=None, tilelang=None)
    with pytest.raises(errors.HostError) as caught:
        call(*([] if call is tilelang.tt.transform.ApplyTTDefaults else [copy_kernel()]))
    message = str(caught.value)
    assert isinstance(caught.value, ImportError)
    assert (
        f"TT120: no TVM to run the passes in: {host.HOST} is not installed, apache-tvm-ffi {host.FFI_VERSION}"
        in message
    )
    for supported in (
        "apache-tvm==0.25.0.post1 apache-tvm-ffi==0.1.12",
        "apache-tvm==0.26.0 apache-tvm-ffi==0.1.14.post1",
        "apache-tvm==0.27.0.post1 apache-tvm-ffi==0.1.14.post1",
        "tilelang==0.1.15 apache-tvm-ffi==0.1.12",
    ):
        assert f"python -m pip install {supported}" in message


def test_checkout_of_a_host(monkeypatch):
    """A source tree on PYTHONPATH has a version, but no distribution."""
    real = _host._version
    monkeypatch.setattr(_host, "_version", lambda name: None if name == host.HOST else real(name))
    module = sys.modules["tilelang" if host.ON_TILELANG else "tvm"]
    assert _host.installed() == _host.Host(host.HOST, module.__version__, host.FFI_VERSION)


def test_no_ffi(monkeypatch):
    pretend(monkeypatch, apache_tvm_ffi=None)
    with pytest.raises(errors.HostError, match="apache-tvm-ffi is not installed"):
        _host.require_host()


@pytest.mark.parametrize("version", ["0.99.0", "1.0.0.dev3+g123", "0.1.99"])
def test_other_version_warns_once_and_works(monkeypatch, version):
    pretend(monkeypatch, apache_tvm=version, tilelang=version)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            apply_tt_defaults(copy_kernel())
    assert [warning.category for warning in caught] == [errors.HostWarning]
    message = str(caught[0].message)
    assert (
        f"TT130: tilelang.tt has not been tried with {host.HOST} {version} with apache-tvm-ffi {host.FFI_VERSION}"
        in message
    )


PAIRS = [
    ("apache-tvm", "0.25.0.post1", "0.1.14.post1"),
    ("apache-tvm", "0.25.0.post1", "0.1.11"),
    ("apache-tvm", "0.26.0", "0.1.15.post2"),
    ("apache-tvm", "0.27.0.post1", "0.1.15"),
    ("apache-tvm", "0.27.0.post1", "0.1.12"),
    ("apache-tvm", "0.27.0", "0.2.0"),
    ("tilelang", "0.1.15", "0.1.13.post3"),
]


@pytest.mark.parametrize(("name", "version", "ffi"), PAIRS)
def test_bad_pair(monkeypatch, name, version, ffi):
    """Named before the pair can crash the process, with the line that mends it."""
    monkeypatch.setattr(_host, "installed", lambda: _host.Host(name, version, ffi))
    monkeypatch.setattr(_host.importlib, "import_module", lambda name: pytest.fail(f"{name} was imported"))
    with pytest.raises(errors.HostError) as caught:
        _host.require_host()
    release = version.removesuffix(".post1")
    (tried,) = [
        tried for tried in _host._TRIED if (tried.name, tried.version.removesuffix(".post1")) == (name, release)
    ]
    assert f"TT121: {name} {version} with apache-tvm-ffi {ffi} is a pair of versions that does not work" in str(
        caught.value
    )
    assert f"python -m pip install {name}=={tried.version} apache-tvm-ffi=={tried.ffi_pin}" in str(caught.value)


@pytest.mark.parametrize("tried", _host._TRIED, ids=str)
def test_pins_are_good_pairs(tried):
    _host._check_pair(_host.Host(tried.name, tried.version, tried.ffi_pin))


@pytest.mark.parametrize("error", [ImportError, OSError, AttributeError, RuntimeError])
def test_host_that_cannot_be_imported(monkeypatch, error):
    def refuse(name):
        raise error("undefined symbol: xyz")

    monkeypatch.setattr(_host.importlib, "import_module", refuse)
    with pytest.raises(errors.HostError, match=r"^TT122: found .* cannot be imported: undefined symbol: xyz") as caught:
        _host.require_host()
    assert isinstance(caught.value.__cause__, error)
    assert "Supported are" in str(caught.value)


def test_library_that_does_not_load(monkeypatch):
    def refuse(path):
        raise OSError(f"{path}: undefined symbol: xyz")

    monkeypatch.setattr(_library, "_handle", None)
    monkeypatch.setattr(ctypes, "CDLL", refuse)
    with pytest.raises(errors.HostError, match=f"^TT123: .* {host.FFI_VERSION}: .*: undefined symbol: xyz$"):
        _library.load()


def test_source_folder(monkeypatch):
    monkeypatch.setattr(_library, "_handle", None)
    monkeypatch.setattr(_library.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(errors.HostError, match=r"^TT124: tilelang.tt is not installed"):
        _library.load()


def test_host_that_lacks_a_function(tmp_path):
    code = """
        import tilelang.tt as tt
        from tvm import tirx
        from tvm_ffi.registry import remove_global_func
        func = tirx.PrimFunc([tirx.decl_buffer((4,), "float16")], tirx.Evaluate(0)).with_attr("tl_grid_x", 4)
        func = tt.apply_tt_defaults(func)
        remove_global_func("tilelang.tt.warn")
        try:
            tt.infer_default_tt_shard(func)
        except tt.errors.HostError as error:
            print(error)
        """
    assert run_python(code, tmp_path).startswith("TT125: this TVM has no global function tilelang.tt.warn; import tvm")


def test_host_with_other_ir():
    address = tirx.Evaluate(tirx.call_intrin("handle", "tirx.address_of"))
    func = tirx.PrimFunc([], address).with_attr("tl_grid_x", 4)
    with pytest.raises(errors.HostError, match=r"^TT126: an access to memory has 0 arguments; expected at least 1$"):
        infer(func)


BLOCK = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ImportError("No module named " + name, name=name)

sys.meta_path.insert(0, Block())
"""


def run_python(code, folder, blocked=()):
    """In a process of its own, away from the checkout."""
    code = BLOCK.format(blocked=tuple(blocked)) + textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


if not host.ON_TILELANG:  # TileLang imports its own TVM before anything of this package runs

    @pytest.mark.parametrize("blocked", [("tvm",), ("tvm", "tvm_ffi")], ids=str)
    def test_import_without_a_host(tmp_path, blocked):
        out = run_python(
            """
            import tilelang.tt as tt
            print([device.name for device in tt.devices()])
            try:
                tt.infer_default_tt_schedule(None)
            except tt.errors.HostError as error:
                print(error)
            """,
            tmp_path,
            blocked,
        )
        assert "wormhole_n150" in out
        assert f"found {host.HOST} {host.VERSION}" in out
        assert "python -m pip install tilelang==0.1.15" in out

    def test_import_imports_nothing_slow(tmp_path):
        """A command line that only reads plans starts in an instant."""
        code = "import sys, tilelang.tt; print({'tvm', 'tvm_ffi', 'numpy', 'importlib.metadata'} & {*sys.modules})"
        assert run_python(code, tmp_path) == "set()\n"

    def test_looking_for_ffi_does_not_import_it(tmp_path):
        """Who only asks whether tvm-ffi is there gets an answer, and the passes come with it later."""
        code = """
            import importlib.util, tilelang.tt
            print(importlib.util.find_spec("tvm_ffi").name, "tvm_ffi" in sys.modules)
            import tvm_ffi
            print(tvm_ffi.get_global_func("tir.transform.InferDefaultTTSchedule", allow_missing=True) is not None)
            """
        assert run_python(code, tmp_path).split() == ["tvm_ffi", "False", "True"]

    def test_ffi_is_missing_as_ever(tmp_path):
        code = """
            import importlib.util, tilelang.tt
            sys.path[:] = []
            print(importlib.util.find_spec("tvm_ffi"))
            try:
                import tvm_ffi
            except ModuleNotFoundError as error:
                print(error)
            """
        assert run_python(code, tmp_path).splitlines() == ["None", "No module named 'tvm_ffi'"]

    def test_library_that_does_not_load_leaves_ffi_alone(tmp_path):
        code = """
            import ctypes, tilelang.tt
            def refuse(path):
                raise OSError(f"{path}: undefined symbol: xyz")
            real, ctypes.CDLL = ctypes.CDLL, lambda path, *rest: (refuse if "passes" in path else real)(path, *rest)
            import tvm_ffi
            try:
                tilelang.tt.transform.InferDefaultTTShard()
            except tilelang.tt.errors.HostError as error:
                print(error.code)
            """
        assert run_python(code, tmp_path) == "TT123\n"


@pytest.mark.parametrize("first", ["tilelang.tt", "tilelang", "tvm_ffi"])
def test_import_orders(tmp_path, first):
    """Whatever is imported first, the passes are there."""
    code = f"""
        import {first}
        import tilelang.tt
        import tvm_ffi
        print(tvm_ffi.get_global_func("tir.transform.InferDefaultTTSchedule")().info.name)
        print(tilelang.tt.transform.InferDefaultTTShard().info.name)
        """
    if not host.ON_TILELANG:  # by name alone a pass needs a host that has been imported
        code = code.replace("import tvm_ffi\n", "import tvm, tvm_ffi\n", 1)
    assert run_python(code, tmp_path).split() == ["tt.InferDefaultTTSchedule", "tt.InferDefaultTTShard"]


def test_version():
    assert tilelang.tt.__version__ == metadata.version("tilelang-tt")


@pytest.mark.parametrize("name", tilelang.tt.__all__)
def test_public_names(name):
    item = getattr(tilelang.tt, name)
    assert name == "__version__" or item.__doc__


@pytest.mark.parametrize("name", ["ApplyTTDefaults", "InferDefaultTTSchedule", "InferDefaultTTShard"])
def test_pass_constructors(name):
    assert getattr(tilelang.tt.transform, name).__doc__
