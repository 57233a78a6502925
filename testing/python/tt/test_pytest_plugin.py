"""The fixture tt_plan, in sessions of pytest as a user would run them."""

import json
import re
import sys

import pytest
from support.infer import copy_kernel

from tilelang.tt import pytest_plugin
from tilelang.tt.plan import Plan, make_plan

pytestmark = pytest.mark.stage("testing")

pytest_plugins = ["pytester"]

GOLDEN = "golden/test_copy/test_copy.plan.json"
TEST_COPY = """
import os
from support.infer import copy_kernel

def test_copy(tt_plan):
    tt_plan(copy_kernel((int(os.environ["ROWS"]), 96))).matches()
"""


@pytest.fixture
def session(pytester, monkeypatch):
    """Runs a test file, by default one of a copy kernel, and gives what pytest printed."""
    monkeypatch.delenv("CI", raising=False)

    def run(*arguments, source=TEST_COPY, rows=64):
        monkeypatch.setenv("ROWS", str(rows))
        (pytester.path / "test_copy.py").write_text(source, encoding="utf-8")
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", "-W", "error", *arguments)

    return run


def test_a_missing_file_fails_and_is_not_made(session, pytester):
    result = session()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [f"*GoldenError: TT891: found no golden file {GOLDEN}; to make it, run pytest --update-golden *::test_copy"]
    )
    assert not (pytester.path / "golden").exists()


def test_update_then_match_then_differ(session, pytester):
    written = session("--update-golden")
    written.assert_outcomes(passed=1)
    written.stdout.fnmatch_lines(["*= golden plans =*", f"written: {GOLDEN}"])
    file = pytester.path / GOLDEN
    made = file.read_bytes()
    plan = Plan.load(file)
    assert plan.kernels == make_plan(copy_kernel((64, 96))).kernels
    assert (plan.provenance.host, plan.provenance.package_version) == ("any", "any")

    matched = session()
    matched.assert_outcomes(passed=1)
    assert "golden" not in matched.stdout.str()

    failed = session(rows=300)
    failed.assert_outcomes(failed=1)
    failed.stdout.fnmatch_lines(
        [
            f"*GoldenError: TT890: the plan differs from {GOLDEN}; changes, from the file to the plan: *",
            "*/kernels/0/buffers/0/shape of A: [[]64, 96] -> [[]300, 96]",
            "*/kernels/0/buffers/0/num_pages of A: 6 -> 30",
            "*help: if the plan is as it should be, run pytest --update-golden test_copy.py::test_copy",
        ]
    )
    assert "pytest_plugin.py" not in failed.stdout.str()  # the traceback ends where the test asserts
    assert file.read_bytes() == made


def test_update_leaves_what_does_not_differ(session, pytester):
    session("--update-golden")
    file = pytester.path / GOLDEN
    make_plan(copy_kernel((64, 96))).save(file)  # with another provenance
    before = file.read_bytes()
    assert "written" not in session("--update-golden").stdout.str()
    assert file.read_bytes() == before
    session("--update-golden", rows=96).stdout.fnmatch_lines([f"written: {GOLDEN}"])
    assert Plan.load(file).kernels == make_plan(copy_kernel((96, 96))).kernels


def test_a_file_that_is_no_plan(session, pytester):
    file = pytester.path / GOLDEN
    file.parent.mkdir(parents=True)
    file.write_text("{}")
    session().stdout.fnmatch_lines(
        [
            "*GoldenError: TT893: cannot read a golden file: TT803: *test_copy.plan.json*",
            "*help: run pytest --update-golden *",
        ]
    )
    session("--update-golden").assert_outcomes(passed=1)
    session().assert_outcomes(passed=1)


SEVERAL = """
import pytest
from support.infer import copy_kernel

@pytest.mark.parametrize("device", ["wormhole_n150", "blackhole_p150"])
def test_copy(tt_plan, device):
    tt_plan(copy_kernel(), device=device).matches()

class TestOther:
    def test_copy(self, tt_plan):
        planned = tt_plan(copy_kernel())
        assert planned.plan.kernel().launches[0].num_tiles == 6
        planned.matches("chips/n150.plan.json")
        tt_plan(planned.plan).matches("chips/n150.plan.json")
"""


def test_several_files(session, pytester):
    session("--update-golden", source=SEVERAL).assert_outcomes(passed=3)
    assert {str(file.relative_to(pytester.path)) for file in pytester.path.rglob("*.json")} == {
        "golden/test_copy/test_copy-wormhole_n150.plan.json",
        "golden/test_copy/test_copy-blackhole_p150.plan.json",
        "golden/chips/n150.plan.json",
    }
    session(source=SEVERAL).assert_outcomes(passed=3)


TWICE = """
from support.infer import copy_kernel

def test_copy(tt_plan):
    tt_plan(copy_kernel()).matches()
    tt_plan(copy_kernel((32, 32))).matches()
"""


def test_two_plans_of_one_file(session):
    expected = f"*TT892: {GOLDEN} is the golden file of test_copy.py::test_copy, whose plan is another one; expected *"
    for _ in range(2):  # when it is written, and when it is there
        session("--update-golden", source=TWICE).stdout.fnmatch_lines([expected])
    session(source=TWICE).stdout.fnmatch_lines(["*TT890: *"])


@pytest.mark.parametrize("value", ["true", "1", "woodpecker"])
def test_no_update_in_ci(session, pytester, monkeypatch, value):
    monkeypatch.setenv("CI", value)
    result = session("--update-golden")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --update-golden is refused where CI is set, and it is '{value}'; *"])
    assert not (pytester.path / "golden").exists()


@pytest.mark.parametrize("value", ["", "0", "False"])
def test_not_in_ci(session, monkeypatch, value):
    monkeypatch.setenv("CI", value)
    session("--update-golden").assert_outcomes(passed=1)


OTHERS = """
import pytest

def test_other():
    pass

@pytest.mark.skip
def test_skipped():
    pass
"""


def test_files_that_no_test_uses(session, pytester):
    session("--update-golden")
    stale = pytester.path / "golden/test_copy/test_gone.plan.json"
    stale.write_text("{}")
    (pytester.path / "golden/shared.plan.json").write_text("{}")
    unused = "used by no test: golden/test_copy/test_gone.plan.json"
    output = session("--update-golden").stdout
    output.fnmatch_lines([unused])
    assert "shared" not in output.str()
    assert stale.exists()
    # Not where a part of the tests has run.
    for partial in (["test_copy.py::test_copy"], ["-k", "not test_other"]):
        output = session("--update-golden", *partial, source=TEST_COPY + OTHERS.replace("@pytest.mark.skip\n", ""))
        assert unused not in output.stdout.str()
    assert unused not in session("--update-golden", source=TEST_COPY + OTHERS).stdout.str()


def test_refusals_of_the_kernel_come_through(session):
    source = "def test_copy(tt_plan):\n    tt_plan([]).matches()\n"
    session(source=source).stdout.fnmatch_lines(["*ArgumentError: TT101: *"])


def test_a_plan_takes_no_inputs(session):
    source = """
from support.infer import copy_kernel

def test_copy(tt_plan):
    tt_plan(tt_plan(copy_kernel()).plan, device="blackhole_p150")
"""
    session(source=source).stdout.fnmatch_lines(["*ArgumentError: TT101: *found Plan*"])


def test_without_the_plugin(session):
    session("-p", "no:tilelang-tt").stdout.fnmatch_lines(["*fixture 'tt_plan' not found"])


def test_under_xdist(session, pytester):
    pytest.importorskip("xdist")
    make_plan(copy_kernel()).save(pytester.path / "made.json")
    source = """
import pytest
from tilelang.tt.plan import Plan

@pytest.mark.parametrize("number", range(3))
def test_copy(tt_plan, request, number):
    tt_plan(Plan.load(request.path.parent / "made.json")).matches()
"""
    (pytester.path / "golden" / "test_copy").mkdir(parents=True)
    (pytester.path / "golden" / "test_copy" / "test_gone.plan.json").write_text("{}")
    result = session("-n", "2", "--update-golden", source=source)
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        [
            *(f"written: golden/test_copy/test_copy-{number}.plan.json" for number in range(3)),
            "used by no test: golden/test_copy/test_gone.plan.json",
        ]
    )


UNUSED = """
import sys

def test_nothing():
    assert "tilelang_tt_pytest" in sys.modules
    assert not {"tilelang", "tvm", "tvm_ffi", "numpy", "torch"} & set(sys.modules)
"""


def test_it_loads_nothing_where_it_is_not_used(pytester):
    pytester.makepyfile(UNUSED)
    pytester.runpytest_subprocess("-p", "no:cacheprovider", "-W", "error").assert_outcomes(passed=1)


def test_importing_it_takes_no_time(pytester):
    """Beside pytest itself, which is there already when pytest loads it."""
    code = "import pytest, time; t = time.perf_counter(); import tilelang_tt_pytest; print(time.perf_counter() - t)"
    best = min(float(pytester.run(sys.executable, "-P", "-c", code).outlines[0]) for _ in range(3))
    assert best < 0.02


def test_help_names_the_option(pytester):
    result = pytester.runpytest_inprocess("--help")
    result.stdout.fnmatch_lines(["tilelang-tt:", "*--update-golden*"])


def differences(old, new):
    """The lines for two plans, and how many changes there are."""
    changes = list(pytest_plugin._changes(pytest_plugin._decisions(old), pytest_plugin._decisions(new)))
    return pytest_plugin._lines(changes), len(changes)


def test_equal_plans_have_no_changes():
    plan = make_plan(copy_kernel())
    assert differences(plan, plan) == ([], 0)


def test_changes_are_bounded():
    old, new = (make_plan(copy_kernel((4000, 4000), grid=grid)) for grid in ((100, 100, 1), (99, 99, 1)))
    lines, number = differences(old, new)
    assert number > 100
    assert len(lines) < 20
    assert any(
        re.fullmatch(r"\.\.\. and \d+ more of /kernels/\*/launches/\*/tile_runs/\*/length", line) for line in lines
    )
    many = [pytest_plugin._Change(f"/kernels/0/{name}", "", "1", "2") for name in map(chr, range(97, 97 + 26))] * 4
    assert pytest_plugin._lines(many)[-1] == "... and 64 more lines"


def walk(old, new, pointer=""):
    """The oracle: pointers of all leaves that differ, where no list is of another length."""
    if isinstance(old, (dict, list)) and type(old) is type(new):
        for key in old if isinstance(old, dict) else range(len(old)):
            yield from walk(old[key], new[key], f"{pointer}/{key}")
    elif old != new:
        yield pointer


def test_every_leaf_that_differs_is_below_a_change():
    old, new = (make_plan(copy_kernel(shape)) for shape in ((64, 96), (300, 100)))
    before, after = (json.loads(plan.to_json())["kernels"] for plan in (old, new))
    pointers = [change.pointer for change in pytest_plugin._changes(before, after)]
    leaves = list(walk(before, after, "/kernels"))
    assert leaves
    assert all(sum(f"{leaf}/".startswith(f"{pointer}/") for pointer in pointers) == 1 for leaf in leaves)
    assert all(any(f"{leaf}/".startswith(f"{pointer}/") for leaf in leaves) for pointer in pointers)


def test_items_are_compared_by_name():
    old = [{"name": "A", "size": 1}, {"name": "B", "size": 2}]
    new = [{"name": "bias", "size": 7}, {"name": "A", "size": 1}, {"name": "B", "size": 3}]
    assert list(map(str, pytest_plugin._changes(old, new))) == [
        '/kernels: ["A", "B"] -> ["bias", "A", "B"]',
        "/kernels/2/size of B: 2 -> 3",
    ]
    unnamed = [{"size": 1}, {"size": 2}], [{"size": 1}]
    assert list(map(str, pytest_plugin._changes(*unnamed))) == ["/kernels: 2 items -> 1 items"]
    twice = [{"name": "A", "size": 1}, {"name": "A", "size": 2}], [{"name": "A", "size": 1}, {"name": "A", "size": 3}]
    assert list(map(str, pytest_plugin._changes(*twice))) == ["/kernels/1/size of A: 2 -> 3"]


def test_long_values_are_shown_where_they_differ():
    texts = ("x" * 200 + "A" + "y" * 200, "x" * 200 + "B" + "y" * 200)
    (change,) = pytest_plugin._changes(*texts)
    old, new = str(change).removeprefix("/kernels: ").split(" -> ")
    assert old == "..." + "x" * 20 + "A" + "y" * 39 + "..."
    assert new == old.replace("A", "B")
