"""What every test of the package runs under. `support/` holds the kernels, the oracle and the helpers."""

import gc
import importlib.util
import inspect
import itertools
import os
import shutil
import signal
import sys
import traceback
from pathlib import Path
from uuid import uuid4

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[2]
os.environ.setdefault("TILELANG_PRINT_ON_COMPILATION", "0")  # what it logs would be the output of examples
os.environ["TILELANG_TT_CACHE_DIR"] = ""  # every test gets one of its own; what runs outside of them has none
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # by a shell that runs this in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what tests start would ignore it as well
# `python -m pytest` puts the checkout on the path, whose tilelang/ would stand before the installed one.
sys.path[:] = [str(HERE), *(entry for entry in sys.path if Path(entry).resolve() != REPOSITORY)]

import pytest
from hypothesis import HealthCheck, settings
from support import host

import tilelang.tt

settings.register_profile(
    "tt",
    deadline=None,
    max_examples=100,
    database=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # the pass context is the same for every example
)
settings.load_profile("tt")


def first_frames(context=1):
    """As inspect.stack(), which finds the source of every frame, while the parser of TVM looks at the nearest ones."""
    frames = itertools.islice(traceback.walk_stack(sys._getframe(1)), 8)
    return [inspect.FrameInfo(frame, *inspect.getframeinfo(frame, context)) for frame, _ in frames]


inspect.stack = first_frames


def pytest_addoption(parser):
    parser.addoption(
        "--kernels",
        metavar="DIR",
        default=os.environ.get("TILELANG_TT_KERNELS"),
        help="real TileLang kernels with an index.json; tests on them run on TileLang (default: $TILELANG_TT_KERNELS)",
    )


def pytest_configure(config):
    config.addinivalue_line("markers", "deep: the body is too deep for the host's own check of immutability")


def pytest_ignore_collect(collection_path, config):
    if collection_path.name in ("test_real_kernels.py", "test_executed_kernels.py"):
        return not (host.ON_TILELANG and config.getoption("--kernels")) or None
    if collection_path.name == "test_work_split_live.py" and importlib.util.find_spec("ttnn") is None:
        return True
    return None


class NothingHere(pytest.Module):
    """What is left of a file that is not for this host, where somebody names it, as a comparison does."""

    def collect(self):
        return []


def pytest_pycollect_makemodule(module_path, parent):
    if pytest_ignore_collect(module_path, parent.config):
        return NothingHere.from_parent(parent, path=module_path)
    return None


def pytest_collection_finish():
    gc.freeze()  # what has been imported and collected stays, and need not be looked at again and again


def pytest_report_header(config):
    return (
        f"host: {host.HOST} {host.VERSION} (TVM {host.tvm.__version__}), apache-tvm-ffi {host.FFI_VERSION}, "
        f"tilelang-tt {tilelang.tt.__version__}"
    )


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """An empty cache on disk and in memory for every test, and for the processes that it starts; never the user's."""
    folder = tmp_path_factory.getbasetemp() / f"cache-{uuid4().hex}"
    monkeypatch.setenv("TILELANG_TT_CACHE_DIR", str(folder))
    monkeypatch.setenv("TILELANG_TT_CACHE_SIZE", "64M")
    tilelang.tt.cache.clear()
    tilelang.tt.counters.clear()
    yield
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def own_reproducers(tmp_path_factory, monkeypatch):
    """What fails on purpose leaves its reproducers in a folder of the test's, also from other processes."""
    monkeypatch.setenv("TILELANG_TT_REPRO_DIR", str(tmp_path_factory.getbasetemp() / f"reproducers-{uuid4().hex}"))


@pytest.fixture(autouse=True)
def immutable_module(request):
    """A pass that changes the module it is given fails, in every test."""
    if request.node.get_closest_marker("deep"):
        yield
        return
    with host.tvm.ir.transform.PassContext(config={"testing.immutable_module": True}):
        yield
