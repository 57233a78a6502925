"""The examples run, as a user runs them, on the hosts that have their language."""

import subprocess
import sys

import pytest
from support.examples import ROOT
from support.host import ON_TILELANG

pytestmark = pytest.mark.stage("docs")

EXAMPLES = {path.stem: path for path in sorted((ROOT / "examples").glob("*.py"))}
ARGUMENTS = {"cluster": ["12"]}  # fewer kernels


def runs_here(path):
    return ON_TILELANG or "tilelang.language" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [name for name, path in EXAMPLES.items() if runs_here(path)])
def test_example(name):
    command = [sys.executable, EXAMPLES[name], *ARGUMENTS.get(name, [])]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_is_short(name):
    assert len(EXAMPLES[name].read_text(encoding="utf-8").splitlines()) < 60
