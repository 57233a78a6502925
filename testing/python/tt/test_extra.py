"""The extra `testing`: who does not use it does not load it, and who lacks it is told how to install it."""

import importlib
import importlib.metadata
import re
import subprocess
import sys

import pytest

from tilelang.tt.errors import HostError
from tilelang.tt.testing import _extra

pytestmark = pytest.mark.stage("testing")


def test_packages_are_those_of_the_extra():
    required = importlib.metadata.requires("tilelang-tt")
    named = {re.match(r"[\w-]+", line)[0] for line in required if re.search(r"extra == .testing.", line)}
    # pytest brings packaging.
    assert {name.replace("-", "_") for name in named} | {"packaging"} == _extra._PACKAGES


def test_what_loads_nothing_of_it(tmp_path):
    """TileLang, where it is installed, is loaded with us and loads what it likes."""
    code = f"""
import sys
import tilelang
before = {{*sys.modules}}
for statement in (
    "import tilelang.tt",
    "import tilelang.tt.testing",
    "from tilelang.tt.testing import Stage, StageMap, Suite, Suites, assert_git_not_dirty, read_stages",
    "import tilelang.tt.testing.compare.config, tilelang.tt.testing.compare.model",
):
    exec(statement)
    print({_extra._PACKAGES | {"_pytest", "distributed", "tvm"}} & {{*sys.modules}} - before, "by", statement)
"""
    command = [sys.executable, "-c", code]
    lines = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True).stdout.splitlines()
    assert len(lines) == 4
    assert [line for line in lines if not line.startswith("set() by")] == []


@pytest.mark.parametrize(("module", "missing"), [("process", "psutil"), ("compare.results", "junitparser")])
def test_what_is_missing(module, missing, monkeypatch):
    name = f"tilelang.tt.testing.{module}"
    importlib.import_module(name)
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.delitem(sys.modules, name)
    with pytest.raises(HostError, match=rf'^TT947: {missing} is not installed[^\n]*\nhelp: pip install "tilelang-tt\['):
        importlib.import_module(name)
