"""What the host shares with everything else in its process: Python's own settings, imports, logs, warnings, threads."""

import importlib
import importlib.util
import logging
import os
import signal
import sys
import threading
import warnings

import pytest
import state
from host import ADD_ONE, function, tvm, tvm_ffi

# By pytest's default, and by this folder's pytest.ini.
FILTERS_OF_PYTEST = {
    """["always", null, "<class 'DeprecationWarning'>", null, 0]""",
    """["always", null, "<class 'PendingDeprecationWarning'>", null, 0]""",
    """["error", null, "<class 'Warning'>", null, 0]""",
}
OWN = "tilelang.tt."
HERE = state.process()
FINDERS = state.finders()


@pytest.fixture(scope="module")
def stock():
    return state.of_a_new_process()


@pytest.mark.parametrize("what", HERE)
def test_setting(stock, what):
    assert HERE[what] == stock["process"][what]


def test_finders_of_modules(stock):
    """All that finds modules is there, in order; others look for what is theirs."""
    ours = [name for name in FINDERS if not name.startswith((OWN, "_pytest."))]
    assert ours == stock["finders"]


@pytest.mark.parametrize("name", ["host_nope", "tvm.host_nope", "tvm_ffi.host_nope", "tilelang_host_nope"])
def test_missing_module(name):
    assert importlib.util.find_spec(name) is None
    with pytest.raises(ModuleNotFoundError, match=f"^No module named '{name}'$"):
        importlib.import_module(name)


@pytest.mark.parametrize("name", ["tvm", "tvm_ffi", "logging", "json"])
def test_loaders_are_as_they_were(name):
    """Nothing stays behind on what loads modules, which is Python's own."""
    loader = sys.modules[name].__spec__.loader
    assert type(loader).__module__ == "_frozen_importlib_external"
    assert sorted(vars(loader)) == ["name", "path"]


def test_new_module_is_found(tmp_path, monkeypatch):
    (tmp_path / "host_new_module.py").write_text("VALUE = 3\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert importlib.import_module("host_new_module").VALUE == 3
    del sys.modules["host_new_module"]


@pytest.mark.skipif(not state.AT_START.exists(), reason="this system does not say what variables a process began with")
def test_environment(stock):
    changed = state.environment(state.at_start())
    assert {name: value for name, value in changed.items() if not name.startswith("PYTEST_")} == stock["environment"]


def test_filters_of_warnings(stock):
    """Each is Python's own, one that the host's imports make, or pytest's."""
    assert set(state.filters()) - set(stock["filters"]) <= FILTERS_OF_PYTEST


@pytest.mark.parametrize("category", [UserWarning, DeprecationWarning, RuntimeWarning, FutureWarning])
def test_warnings_are_seen(category):
    with pytest.warns(category, match="as it was said"):
        warnings.warn("as it was said", category, stacklevel=1)


def test_handlers_of_the_root_logger():
    assert {type(handler).__module__ for handler in logging.root.handlers} <= {"_pytest.logging"}
    assert logging.root.filters == []
    assert not logging.root.disabled


def test_loggers_are_as_they_were(stock):
    """Loggers that a stock host makes are there; others are of packages that have been imported."""
    assert set(stock["loggers"]) <= set(logging.root.manager.loggerDict)


def test_nothing_is_silenced():
    assert logging.root.manager.disable == logging.NOTSET
    assert logging.lastResort.level == logging.WARNING


def test_new_logger(caplog):
    logger = logging.getLogger("host.tests")
    assert logger.getEffectiveLevel() == logging.WARNING
    logger.info("not heard")
    logger.warning("heard %d", 3)
    assert [record.getMessage() for record in caplog.records] == ["heard 3"]


@pytest.mark.parametrize("name", ["tvm", "tvm.target", "tvm.relax", "te"])
def test_logger_of_the_host(name):
    logger = logging.getLogger(name)
    assert logger.handlers == []
    assert logger.propagate
    assert not logger.disabled


def test_basic_config_is_still_open():
    """``logging.basicConfig`` does nothing where the root logger has handlers; only pytest's are there."""
    held = logging.root.handlers[:]
    try:
        logging.root.handlers[:] = []
        logging.basicConfig(level=logging.WARNING)
        assert len(logging.root.handlers) == 1
    finally:
        logging.root.handlers[:] = held


def test_threads(stock):
    assert threading.current_thread() is threading.main_thread()
    assert {thread.name for thread in threading.enumerate()} == set(stock["threads"])


def test_interrupt():
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_child_of_a_fork():
    """A child can use the host, and ends as it says."""
    child = os.fork()
    if child == 0:
        done = False
        try:
            done = tvm_ffi.structural_equal(function(ADD_ONE), function(ADD_ONE))
        finally:
            os._exit(7 if done else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_contexts_of_threads():
    """A thread has a context of passes and a target of its own."""
    seen = []

    def look():
        seen.append((int(tvm.ir.transform.PassContext.current().opt_level), tvm.target.Target.current(allow_none=True)))

    with tvm.ir.transform.PassContext(opt_level=0), tvm.target.Target("c"):
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert seen == [(2, None)]


def test_error_of_a_thread():
    caught = []

    def work():
        try:
            tvm.target.Target("host-nope")
        except ValueError as error:
            caught.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert caught == ['Target kind "host-nope" is not defined. Target creation from string failed: host-nope']
