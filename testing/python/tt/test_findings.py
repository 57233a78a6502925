"""What two runs differ in: every pair of outcomes, and random runs against the table that spells them out."""

from collections import Counter
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilelang.tt.testing.compare.findings import compare, kind_of, outcome_of
from tilelang.tt.testing.compare.model import Ending, FileRun, Finding, Leg, Outcome, Report, Result

pytestmark = pytest.mark.stage("testing")

FILE = "tests/test_a.py"
LEGS = (Leg("baseline", "python"), Leg("candidate", "python"))
A = f"{FILE}::test_a"
OUTCOMES = get_args(Outcome)
# A row for each outcome in the baseline, a column for each in the candidate: Regression, Vanished, Lost, New, Fixed.
TABLE = """
    p f e s c t u -
  p . R R L R R R V
  f F . . L R R R V
  e F . . L R R R V
  s N N N . R R R .
  c F . . L . . . V
  t F . . L . . . V
  u F . . . . . . .
  - N N N . R R R .
"""
KINDS = {".": None, "R": "regression", "V": "vanished", "L": "lost", "N": "new", "F": "fixed"}
LETTERS = {**dict(zip("pfesctu", OUTCOMES, strict=True)), "-": None}


def pairs():
    header, *rows = (line.split() for line in TABLE.strip("\n").splitlines())
    return {
        (LETTERS[row[0]], LETTERS[column]): KINDS[cell]
        for row in rows
        for column, cell in zip(header, row[1:], strict=True)
    }


PAIRS = pairs()


def finished(outcomes, file=FILE):
    results = {test: Result(test, outcome) for test, outcome in outcomes.items() if outcome is not None}
    return {file: FileRun(file, "finished", results=results)}


def ended(ending, *tests, running=""):
    results = {test: Result(test, ending) for test in tests}
    return {FILE: FileRun(FILE, ending, "SIGSEGV", running, results=results)}


def kinds(*runs):
    return {finding.test: finding.kind for finding in compare([FILE], LEGS, runs).findings}


def counts(*runs):
    (found,) = compare([FILE], LEGS, runs).files
    return found


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_pair(pair):
    assert kind_of(*pair) == PAIRS[pair]


def test_every_pair_is_in_the_table():
    assert len(PAIRS) == (len(OUTCOMES) + 1) ** 2


of_tests = st.sampled_from([*OUTCOMES[:4], None])
legs_of_tests = st.dictionaries(st.integers(0, 30).map(lambda i: f"{FILE}::test_{i}"), st.tuples(of_tests, of_tests))


@given(legs_of_tests)
def test_finished_files(tests):
    runs = [finished({test: both[leg] for test, both in tests.items()}) for leg in range(2)]
    expected = {test: PAIRS[both] for test, both in tests.items() if PAIRS[both]}
    assert kinds(*runs) == expected
    found = counts(*runs)
    assert found.baseline == Counter(before for before, _ in tests.values() if before)
    assert found.candidate == Counter(after for _, after in tests.values() if after)
    assert found.missing == sum(after is None is not before for before, after in tests.values())
    assert found.new == sum(before is None is not after for before, after in tests.values())
    assert found.skipped_in_both == sum(both == ("skipped", "skipped") for both in tests.values())


@given(legs_of_tests)
def test_the_order_of_tests_and_files_does_not_matter(tests):
    items = list(tests.items())
    runs = [[finished({test: both[leg] for test, both in order}) for leg in range(2)] for order in (items, items[::-1])]
    assert compare([], LEGS, runs[0]).findings == compare([], LEGS, runs[1]).findings


@given(legs_of_tests, st.sampled_from(get_args(Ending)[1:]))
def test_a_process_that_did_not_finish_is_the_outcome_of_every_test(tests, ending):
    """Of those that the other leg has, and of those that it had collected itself."""
    before = {test: both[0] for test, both in tests.items()}
    after = [test for test, both in tests.items() if both[1]]
    known = {test for test, outcome in before.items() if outcome} | set(after)
    expected = {test: PAIRS[before.get(test), ending] for test in known}
    found = kinds(finished(before), ended(ending, *after))
    assert found == {test: kind for test, kind in expected.items() if kind} or (
        not known and found == {FILE: "regression"}
    )


endings = st.sampled_from(get_args(Ending))


@given(legs_of_tests, endings, endings, st.data())
def test_what_was_reported_before_a_process_broke_off(tests, before, after, data):
    """Counts in the baseline, and in the candidate where the baseline's broke off, too."""
    runs, seen = [], []
    for leg, ending in enumerate((before, after)):
        outcomes = {test: both[leg] for test, both in tests.items() if both[leg]}
        if ending == "finished":
            runs.append(finished(outcomes))
        else:
            reported = {test: outcome for test, outcome in outcomes.items() if data.draw(st.booleans())}
            results = {test: Result(test, ending) for test in outcomes}
            runs.append({FILE: FileRun(FILE, ending, reported=reported, results=results)})
            counts = leg == 0 or before != "finished"
            outcomes = {test: reported.get(test, ending) if counts else ending for test in tests}
        seen.append(outcomes)
    known = [test for test, both in tests.items() if any(both)]
    expected = {test: kind for test in known if (kind := PAIRS[seen[0].get(test), seen[1].get(test)])}
    if known:
        assert kinds(*runs) == expected


@pytest.mark.parametrize(
    ("expected", "outcome", "message", "kind"),
    [
        (True, "failed", "TypeError", "regression"),
        (True, "error", "torn", "regression"),
        (True, "failed", "[XPASS(strict)] ", "new"),
        (True, "passed", "", "new"),
        (False, "failed", "TypeError", "new"),
    ],
)
def test_a_test_that_was_to_fail_and_fails_with_something_else(expected, outcome, message, kind):
    results = Result(A, "skipped", expected=expected), Result(A, outcome, message=message)
    runs = [{FILE: FileRun(FILE, "finished", results={A: each})} for each in results]
    assert kinds(*runs) == {A: kind}


def test_files_that_break_off_in_both_are_named():
    runs = {f"{number:02}.py": FileRun(f"{number:02}.py", "crashed") for number in range(12)}
    (note,) = compare([], LEGS, [runs, runs]).notes
    assert note.startswith("not compared to the end, as the process ends badly in both: 00.py, 01.py, ")
    assert note.endswith("09.py and 2 more")
    assert compare([], LEGS, [runs, {file: FileRun(file, "finished") for file in runs}]).notes == ()


@pytest.mark.parametrize("ending", get_args(Ending)[1:])
def test_both_processes_alike_are_no_finding(ending):
    assert kinds(ended(ending), ended(ending)) == {}
    assert counts(ended(ending), ended(ending)).baseline == {ending: 1}
    assert kinds(ended(ending, f"{FILE}::test_a"), ended(ending)) == {}


def test_a_module_that_is_skipped_as_a_whole():
    passed, skipped = finished({f"{FILE}::test_a": "passed"}), finished({FILE: "skipped"})
    assert kinds(passed, skipped) == {f"{FILE}::test_a": "lost"}
    assert kinds(skipped, passed) == {f"{FILE}::test_a": "new"}
    assert kinds(skipped, skipped) == {}
    assert counts(skipped, skipped).skipped_in_both == 1


def test_files_that_one_leg_does_not_have():
    passed = finished({f"{FILE}::test_a": "passed"})
    assert kinds(passed, {}) == {f"{FILE}::test_a": "vanished"}
    assert kinds({}, passed) == {f"{FILE}::test_a": "new"}


def test_files_without_tests():
    assert kinds(finished({}), finished({})) == {}
    assert counts(finished({}), finished({})).baseline == {}
    assert kinds(finished({}), finished({f"{FILE}::test_a": "passed"})) == {f"{FILE}::test_a": "new"}


def test_the_diagnostic_leg_and_messages():
    test = f"{FILE}::test_a"
    runs = [finished({test: "passed"}), ended("crashed", running=test), finished({test: "failed"})]
    report = compare(["tests"], (*LEGS, Leg("diagnostic", "python")), runs)
    message = f"crashed in {test}: SIGSEGV"
    assert report.findings == (Finding("regression", test, FILE, "passed", "crashed", "failed", message),)
    assert outcome_of(None, test) is None


def test_findings_are_ordered_by_kind_and_seconds_are_added():
    before = {f"{FILE}::test_{i}": outcome for i, outcome in enumerate(["failed", "passed", "passed", None, "passed"])}
    after = {f"{FILE}::test_{i}": outcome for i, outcome in enumerate(["passed", "skipped", None, "passed", "failed"])}
    runs = [{**finished(before), "b.py": FileRun("b.py", "finished", seconds=2.5)}, finished(after)]
    report = compare(["tests"], LEGS, runs, ["a note"])
    assert [finding.kind for finding in report.findings] == ["regression", "vanished", "lost", "new", "fixed"]
    assert report.seconds == {"baseline": 2.5, "candidate": 0}
    assert [each.file for each in report.files] == ["b.py", FILE]
    assert (report.selection, report.notes, report.breaks) == (("tests",), ("a note",), True)


@pytest.mark.parametrize(
    ("kind", "category", "breaks"),
    [
        ("regression", None, True),
        ("vanished", None, True),
        ("lost", None, True),
        ("flaky", None, False),
        ("new", None, False),
        ("fixed", None, False),
        ("regression", "codegen", True),
        ("regression", "platform", False),
        ("lost", "flaky", False),
    ],
)
def test_what_keeps_a_comparison_from_passing(kind, category, breaks):
    finding = Finding(kind, FILE, FILE, "passed", "failed", category=category)
    assert finding.breaks is breaks
    assert Report((), LEGS, (), (finding,)).breaks is breaks
