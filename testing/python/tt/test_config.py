"""The file of a comparison."""

import sys
from pathlib import Path

import pytest

from tilelang.tt import errors
from tilelang.tt.testing.compare.config import Comparison, read
from tilelang.tt.testing.compare.model import Leg

pytestmark = pytest.mark.stage("testing")

TEXT = """\
tests = ["tests", "more.py::test_a"]
package = "mine"
arguments = ["-q"]
patterns = ["check_*.py"]
reruns = 0
rerun_limit = 1
jobs = 2
time_limit = 0.5
classification = "why.toml"
priorities = "how_often.toml"
priority = ["P0", "P1"]
same = true

[baseline]
python = "before"
absent = ["extension"]
unloaded = ["extension.core"]

[candidate]
variables = { A = "b" }
arguments = ["-p", "extension.load"]
present = ["extension"]
loaded = ["extension.core"]
"""
READ = Comparison(
    ("tests", "more.py::test_a"),
    (
        Leg("baseline", "before", absent=("extension",), unloaded=("extension.core",)),
        Leg(
            "candidate",
            sys.executable,
            {"A": "b"},
            ("-p", "extension.load"),
            present=("extension",),
            loaded=("extension.core",),
        ),
    ),
    "mine",
    ("-q",),
    ("check_*.py",),
    reruns=0,
    rerun_limit=1,
    jobs=2,
    time_limit=0.5,
    classification="why.toml",
    priorities="how_often.toml",
    priority=("P0", "P1"),
    same=True,
)


def read_text(folder, text):
    path = folder / "compare.toml"
    path.write_text(text)
    return read(path)


def test_every_key(tmp_path):
    assert read_text(tmp_path, TEXT) == READ
    assert read_text(tmp_path, "") == Comparison()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tests = []\nlegs = 2\n", '2: found "legs"; expected tests, package'),
        ("[candidate]\n\nvariable = {}\n", '3: found "candidate.variable"; expected python, variables'),
        ("[candidate]\nvariables = { A = 1 }\n", "2: candidate.variables: found {'A': 1}; expected a table of strings"),
        ("[candidate]\nvariables = { 'A=B' = '' }\n", "2: candidate.variables: found {'A=B': ''}; expected a table"),
        (
            '[candidate]\narguments = ["\\u0000"]\n',
            "2: candidate.arguments: found ['\\x00']; expected a list of strings",
        ),
        ("candidate = 1\n", "1: candidate: found 1; expected a table"),
        ('tests = "tests"\n', "1: tests: found 'tests'; expected a list of strings"),
        ("jobs = true\n", "1: jobs: found True; expected a whole number, 1 or more"),
        ("jobs = 0\n", "1: jobs: found 0; expected a whole number, 1 or more"),
        ("time_limit = 0\n", "1: time_limit: found 0; expected a number of seconds above 0"),
        ('priority = ["P4"]\n', "1: priority: found ['P4']; expected a list of P0, P1, P2, P3"),
        ("tests = [\n", "2:1: .*; expected TOML"),
    ],
)
def test_mistakes(tmp_path, text, message):
    with pytest.raises(errors.ComparisonError) as caught:
        read_text(tmp_path, text)
    assert str(caught.value).startswith(f"TT998: {tmp_path / 'compare.toml'}:{message.partition('.*')[0]}")


def test_a_file_that_is_nowhere():
    with pytest.raises(FileNotFoundError):
        read(Path("nowhere.toml"))


@pytest.mark.parametrize(
    ("options", "whole"),
    [
        ({}, True),
        ({"tests": ("a.py::test_a",)}, False),
        ({"arguments": ("-k", "a")}, False),
        ({"legs": (Leg("baseline", "python", arguments=("--deselect=a",)),)}, False),
        ({"priority": ("P0",)}, False),
        ({"arguments": ("-q",)}, True),
    ],
)
def test_whether_all_tests_run(options, whole):
    assert Comparison(**options).is_whole is whole
