"""Regressions that are run again: what is flaky, and which test has ended the process of a file."""

import pytest

from tilelang.tt.testing.compare.findings import compare
from tilelang.tt.testing.compare.model import FileRun, Leg, Result
from tilelang.tt.testing.compare.rerun import rerun

pytestmark = pytest.mark.stage("testing")

FILE = "test_a.py"
A, B, C = (f"{FILE}::test_{name}" for name in "abc")
LEGS = (Leg("baseline", "python"), Leg("candidate", "python"))


def finished(**outcomes):
    results = {f"{FILE}::test_{name}": Result(f"{FILE}::test_{name}", outcome) for name, outcome in outcomes.items()}
    return FileRun(FILE, "finished", results=results)


def crashed(running=""):
    return FileRun(FILE, "crashed", "SIGSEGV", running)


PASSED = finished(a="passed", b="passed", c="passed")


def rerun_of(candidate, answers, *, baseline=PASSED, times=3, limit=50):
    """The findings by test, and what was run again: each answer is of the next call, the last one of all others."""
    calls = []

    def again(leg, file, number, *, only="", without=""):
        calls.append((leg, number, only or f"all but {without}" if only or without else "all"))
        of_leg = answers[leg]
        return of_leg[min(sum(call[0] == leg for call in calls), len(of_leg)) - 1]

    report = compare([FILE], LEGS, [{FILE: baseline}, {FILE: candidate}])
    found = rerun(report, {FILE: candidate}, again, times=times, limit=limit)
    return {finding.test: finding for finding in found.findings}, calls, found


def test_a_regression_is_run_again_alone():
    failed = finished(a="failed", b="passed", c="passed")
    found, calls, _ = rerun_of(failed, {"candidate": [finished(a="failed")], "baseline": [finished(a="passed")]})
    assert (found[A].kind, found[A].reruns, found[A].baseline_reruns) == ("regression", ("failed",) * 3, ("passed",))
    assert calls == [*(("candidate", number, A) for number in (1, 2, 3)), ("baseline", 1, A)]


@pytest.mark.parametrize("passes", [0, 1, 2])
def test_what_passes_once_is_flaky(passes):
    answers = [finished(a="passed" if number == passes else "failed") for number in range(3)]
    found, _, _ = rerun_of(finished(a="failed", b="passed", c="passed"), {"candidate": answers, "baseline": [PASSED]})
    assert found[A].kind == "flaky"
    assert found[A].reruns.count("passed") == 1


def test_what_fails_in_the_baseline_now_is_flaky():
    failed = finished(a="failed", b="passed", c="passed")
    found, _, _ = rerun_of(failed, {"candidate": [failed], "baseline": [failed]})
    assert (found[A].kind, found[A].baseline_reruns) == ("flaky", ("failed",))


def in_order_of_calls(alone, whole, baseline_alone="passed", baseline_whole="passed"):
    """What comes of test A alone, three times and once in the baseline, and then of the whole file."""
    outcomes = {
        "candidate": [*(alone if isinstance(alone, list) else [alone] * 3), whole],
        "baseline": [baseline_alone, baseline_whole],
    }
    return {leg: [finished(a=outcome) for outcome in each] for leg, each in outcomes.items()}


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param(in_order_of_calls("passed", "failed"), id="broken by tests before it"),
        pytest.param(in_order_of_calls("failed", "failed", "failed"), id="needs tests before it"),
        pytest.param(in_order_of_calls("passed", "failed", "failed"), id="both"),
    ],
)
def test_a_regression_that_depends_on_other_tests_is_none_that_is_flaky(answers):
    found, calls, _ = rerun_of(finished(a="failed", b="passed", c="passed"), answers)
    assert (found[A].kind, found[A].reruns, found[A].baseline_reruns) == ("regression", ("failed",) * 3, ("passed",))
    assert [what for _, _, what in calls] == [A] * 4 + ["all"] * 4


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param(in_order_of_calls("passed", "passed"), id="passes in the whole file, too"),
        pytest.param(in_order_of_calls("failed", "failed", "failed", "failed"), id="fails in the baseline, too"),
    ],
)
def test_what_comes_and_goes_in_the_whole_file_is_flaky(answers):
    found, _, _ = rerun_of(finished(a="failed", b="passed", c="passed"), answers)
    assert found[A].kind == "flaky"


def test_what_comes_and_goes_alone_needs_no_other_tests():
    answers = in_order_of_calls(["failed", "passed", "failed"], "failed")
    found, calls, _ = rerun_of(finished(a="failed", b="passed", c="passed"), answers)
    assert (found[A].kind, len(calls)) == ("flaky", 4)


@pytest.mark.parametrize(
    ("baseline", "again", "kind"),
    [
        (finished(a="skipped"), crashed(A), "regression"),
        (finished(a="skipped"), finished(a="skipped"), "flaky"),
        (finished(a="skipped"), finished(a="failed"), "flaky"),
        (finished(a="failed"), crashed(), "regression"),
        (finished(a="failed"), finished(a="failed"), "flaky"),
        (finished(), crashed(), "regression"),
        (finished(), finished(), "flaky"),
        (PASSED, finished(a="skipped"), "regression"),
        (PASSED, finished(), "regression"),
    ],
)
def test_a_crash_of_what_did_not_pass(baseline, again, kind):
    """What the baseline, run again, is like itself does not excuse it."""
    found, _, report = rerun_of(crashed(), {"candidate": [again], "baseline": [baseline]}, baseline=baseline)
    assert {finding.kind for finding in found.values()} == {kind}
    assert report.breaks == (kind == "regression")


@pytest.mark.parametrize(("again", "kind"), [("failed", "regression"), ("error", "regression"), ("skipped", "flaky")])
def test_what_was_to_fail_and_fails_with_something_else_again(again, kind):
    skipped = FileRun(FILE, "finished", results={A: Result(A, "skipped", expected=True)})
    answers = {"candidate": [finished(a=again)], "baseline": [skipped]}
    found, _, _ = rerun_of(finished(a="failed"), answers, baseline=skipped)
    assert found[A].kind == kind


def test_the_test_that_crashes_alone_and_the_others():
    answers = {"candidate": [crashed(B)] * 3 + [finished(a="passed", c="failed")], "baseline": [PASSED]}
    found, calls, _ = rerun_of(crashed(B), answers)
    assert {test: (finding.kind, finding.reruns, finding.culprit) for test, finding in found.items()} == {
        A: ("regression", ("passed",), B),
        B: ("regression", ("crashed",) * 3, ""),
        C: ("regression", ("failed",), ""),
    }
    alone = [("candidate", number, B) for number in (1, 2, 3)]
    assert calls == [*alone, ("candidate", 1, f"all but {B}"), ("baseline", 1, "all")]


def test_a_crash_that_needs_the_whole_file():
    answers = {"candidate": [finished(b="passed")] * 3 + [crashed(B)], "baseline": [PASSED]}
    found, calls, _ = rerun_of(crashed(B), answers)
    assert {(finding.kind, finding.reruns, finding.culprit) for finding in found.values()} == {
        ("regression", ("crashed",) * 3, "")
    }
    assert [what for _, _, what in calls] == [B, B, B, "all", "all", "all", "all"]


def test_a_crash_that_comes_and_goes():
    found, _, _ = rerun_of(crashed(B), {"candidate": [PASSED], "baseline": [PASSED]})
    assert {finding.kind for finding in found.values()} == {"flaky"}


def test_a_file_that_cannot_be_collected():
    broken = FileRun(FILE, "uncollected", "no module")
    found, calls, _ = rerun_of(broken, {"candidate": [broken], "baseline": [PASSED]}, times=1)
    assert {(finding.kind, finding.reruns) for finding in found.values()} == {("regression", ("uncollected",))}
    assert calls == [("candidate", 1, "all"), ("baseline", 1, "all")]


def test_a_limit():
    failed = finished(a="failed", b="failed", c="passed")
    found, _, report = rerun_of(failed, {"candidate": [failed], "baseline": [PASSED]}, limit=1)
    assert [len(finding.reruns) for finding in found.values()] == [3, 0]
    assert report.notes == ("1 of 2 regressions were not run again, as the limit is 1",)


def test_none_is_run_again():
    failed = finished(a="failed", b="passed", c="skipped")
    found, calls, report = rerun_of(failed, {}, times=0)
    assert ([finding.kind for finding in found.values()], calls, report.notes) == (["regression", "lost"], [], ())
