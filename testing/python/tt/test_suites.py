"""The suites of this package: that each is of something that there is, and that CI runs suites that there are."""

import ast
import re
import runpy
from collections import Counter

import pytest
import yaml  # distributed needs it
from support.examples import ROOT

from tilelang.tt.testing import Suites

pytestmark = pytest.mark.stage("testing")

SUITES = Suites.find(ROOT).by_name


def text_of(name):
    return (ROOT / name).read_text(encoding="utf-8")


def sessions():
    """Those of the noxfile, by name; nox is not installed where tests run."""
    hosts = re.search(r"^HOSTS = \{(.*?)^\}", text_of("noxfile.py"), re.DOTALL | re.MULTILINE)
    functions = [node for node in ast.parse(text_of("noxfile.py")).body if isinstance(node, ast.FunctionDef)]
    named = {node.name for node in functions if any("nox" in ast.unparse(each) for each in node.decorator_list)}
    return named | {f"tests({host})" for host in re.findall(r'"(\w+)": \[', hosts[1])}


def make_targets():
    return set(re.search(r"^\.PHONY: (.*)$", text_of("Makefile"), re.MULTILINE)[1].split())


@pytest.mark.parametrize("one", SUITES.values(), ids=SUITES)
def test_suite_is_of_something(one):
    assert one.does.endswith(".")
    assert one.time_limit
    assert [path for path in one.paths if not (ROOT / path).exists()] == []
    if "nox" in one.command:
        assert one.command[one.command.index("-s") + 1] in sessions()
    elif one.command and one.command[0].endswith("/tilelang-tt"):
        assert one.command[1:3] == ("test", "compare")
        assert (ROOT / one.command[3]).exists()
    elif one.command:
        assert one.command[0] == "make"
        assert one.command[1] in make_targets()


def test_every_stage_is_in_one_suite():
    selected = [
        suite.arguments[suite.arguments.index("--stage") + 1] for suite in SUITES.values() if _has_stages(suite)
    ]
    stages = [stage.name for stage in runpy.run_path(str(ROOT / "testing" / "stages.py"))["STAGES"]]
    assert Counter(name for names in selected for name in names.split(",")) == Counter(stages)


def _has_stages(suite):
    return "--stage" in suite.arguments


def test_ci_runs_suites_that_there_are():
    named = re.findall(r'suites="(.*?)"', text_of(".ci/run"))
    assert len(named) == 2
    names = {name for text in named for name in text.split() if name != "$suites"}
    assert names <= set(SUITES)
    # All hosts but the one of `make test`, and every session of nox that checks something; of one the quickest part.
    expected = {name for name, suite in SUITES.items() if "nox" in suite.command} - {"hosts", "tvm27", "compare"}
    assert expected <= names


def test_workflow_runs_what_ci_runs():
    workflow = yaml.safe_load(text_of(".github/workflows/tenstorrent-ci.yml"))
    assert set(workflow) == {"name", True, "permissions", "concurrency", "jobs"}  # YAML takes `on` for a truth value
    [job] = workflow["jobs"].values()
    matrix = job["strategy"]["matrix"]
    parts = Counter(each["suite"] for each in matrix["include"])
    names = [*matrix["suite"], *parts]
    assert len(names) == len(set(names))
    assert set(names) <= set(SUITES)
    local = re.search(r'suites="(.*?)"', text_of(".ci/run"))[1].split()
    assert {name.removesuffix("-smoke") for name in local} <= set(names)  # on a machine of its own all of it runs
    for suite, count in parts.items():
        shards = [each["shard"] for each in matrix["include"] if each["suite"] == suite]
        assert shards == [f"{index}/{count}" for index in range(1, count + 1)]
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert ".ci/install" in commands
    assert any(command.startswith(".venv/bin/tilelang-tt test run ") for command in commands)
    for command in commands:
        if command.startswith("make "):
            assert set(command.split()[1:]) <= make_targets()


def test_files_that_ci_runs():
    for name in (".ci/run", ".ci/install"):
        assert (ROOT / name).stat().st_mode & 0o111
