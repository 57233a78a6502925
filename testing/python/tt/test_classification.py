"""What people say of findings stays in its file, whoever adds to it, and decides what a comparison comes to."""

import datetime
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilelang.tt import errors
from tilelang.tt._toml import line_of, parsed
from tilelang.tt.testing.compare.classification import CATEGORIES, UNCLASSIFIED, Classification
from tilelang.tt.testing.compare.model import FileCounts, Finding, Report

pytestmark = pytest.mark.stage("testing")

TODAY = datetime.date(2026, 2, 18)
FOUND = Finding("regression", "t/test_a.py::test_b[1]", "t/test_a.py", "passed", "failed")


def entry(**values):
    return "[[finding]]\n" + "".join(f'{key} = "{value}"\n' for key, value in values.items())


def report(*findings):
    files = sorted({finding.file for finding in findings} | {"t/test_a.py"})
    counts = [FileCounts(file, Counter(), Counter(), 0, 0, 0) for file in files]
    return Report((), (), tuple(counts), findings)


@pytest.fixture
def classification(tmp_path):
    """Of a text."""

    def read(text):
        path = tmp_path / "classification.toml"
        path.write_bytes(text.encode())
        return Classification.read(path)

    return read


@pytest.mark.parametrize(
    ("category", "kind", "breaks"),
    [
        (None, "regression", True),
        (None, "vanished", True),
        (None, "lost", True),
        (None, "flaky", False),
        (None, "new", False),
        (None, "fixed", False),
        ("codegen", "regression", True),
        ("codegen", "flaky", True),
        ("runtime", "regression", False),
        ("infrastructure", "vanished", False),
        ("flaky", "regression", False),
        ("platform", "lost", False),
    ],
)
def test_what_breaks(category, kind, breaks):
    finding = replace(FOUND, kind=kind, category=category)
    assert finding.breaks == breaks
    assert report(finding).breaks == breaks


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_category_is_read(classification, category):
    text = entry(test=FOUND.test, category=category, reason="Looked at.", link="https://example.org/1")
    (finding,) = classification(text).apply(report(FOUND)).findings
    assert (finding.category, finding.reason, finding.link) == (category, "Looked at.", "https://example.org/1")


def test_no_file_is_no_entry(tmp_path):
    found = report(FOUND)
    assert Classification.read(tmp_path / "none.toml").apply(found) == found


@pytest.mark.parametrize(
    ("keys", "is_about"),
    [
        ({"test": "t/test_a.py::test_b[1]"}, True),
        ({"test": "t/test_a.py::test_b"}, False),
        ({"test": "t/test_a.py::test_b[*]"}, False),
        ({"pattern": "t/test_a.py"}, True),
        ({"pattern": "t/*::test_b"}, True),
        ({"pattern": "t/test_a.py", "kind": "vanished"}, False),
        ({"pattern": "t/test_a.py", "kind": "flaky"}, True),
        ({"pattern": "t/test_a.py", "outcome": "crashed"}, False),
        ({"pattern": "t/test_a.py", "outcome": "failed"}, True),
    ],
)
def test_what_an_entry_is_about(classification, keys, is_about):
    known = classification(entry(**keys, category="platform", reason="Other sines."))
    (finding,) = known.apply(report(FOUND)).findings
    assert (finding.category == "platform") == is_about


def test_one_test_counts_before_patterns(classification):
    text = (
        entry(pattern="t", category="platform", reason="first")
        + entry(pattern="t/test_a.py", category="flaky", reason="second")
        + entry(test=FOUND.test, category="codegen", reason="third")
    )
    others = replace(FOUND, test="t/test_a.py::test_c")
    found = classification(text).apply(report(FOUND, others)).findings
    assert [finding.reason for finding in found] == ["third", "first"]


def test_what_is_new_or_fixed_needs_no_reason(classification, tmp_path):
    found = report(*(replace(FOUND, kind=kind) for kind in ("new", "fixed")))
    known = classification(entry(pattern="t", category="codegen", reason="All of it."))
    assert known.apply(found).findings == found.findings
    empty = Classification.read(tmp_path / "none.toml")
    assert empty.add(found.findings, TODAY) == 0
    assert not empty.path.exists()


def test_stale(classification):
    text = (
        entry(test="t/test_a.py::test_mended", category="codegen", reason="Mended.")
        + entry(test="t/test_other.py::test_not_run", category="codegen", reason="Not run.")
        + entry(pattern="t/*::test_mended", category=UNCLASSIFIED)
        + entry(test=FOUND.test, category=UNCLASSIFIED)
    )
    known = classification(text)
    assert known.apply(report(FOUND)).stale == ("t/test_a.py::test_mended", "t/*::test_mended")
    assert known.apply(report(FOUND), complete=False).stale == ()


WRITTEN = "# Mine.\n\n" + entry(pattern="t/*::test_z", category="flaky", reason="Threads.") + "  # and so on"


@pytest.mark.parametrize("text", [WRITTEN, WRITTEN + "\n", WRITTEN.replace("\n", "\r\n"), "# only a comment"])
def test_what_a_person_wrote_stays(classification, text):
    known = classification(text)
    assert known.add([FOUND], TODAY) == 1
    after = known.path.read_bytes().decode()
    assert after.startswith(text)
    assert after.count("\r\n") == (after.count("\n") if "\r\n" in text else 0)
    again = Classification.read(known.path)
    assert again.entries[:-1] == known.entries
    assert again.entries[-1].test == FOUND.test
    assert again.entries[-1].date == TODAY
    assert again.apply(report(FOUND)).breaks, "nobody has said anything yet"
    assert again.add([FOUND], TODAY) == 0
    assert known.path.read_bytes().decode() == after


def test_a_file_that_has_been_edited_meanwhile(classification):
    known = classification("")
    known.path.write_text(entry(test=FOUND.test, category="flaky", reason="Threads."))
    assert known.add([FOUND], TODAY) == 0
    known.path.write_text("finding = 3\n")
    with pytest.raises(errors.ComparisonError, match=r"TT967: .*classification.toml:1: "):
        known.add([FOUND], TODAY)
    assert known.path.read_text() == "finding = 3\n"


def test_a_new_file_says_what_to_do(tmp_path):
    path = tmp_path / "new.toml"
    Classification.read(path).add([FOUND], TODAY)
    text = path.read_text()
    assert all(f"# {category} " in text for category in CATEGORIES)
    path.write_text(text.replace(f'"{UNCLASSIFIED}"\nreason = ""', '"codegen"\nreason = "Carry lost."'))
    assert Classification.read(path).apply(report(FOUND)).findings[0].category == "codegen"


def test_a_file_that_did_not_finish_is_one_entry(tmp_path):
    crashed = [replace(FOUND, test=f"t/test_a.py::test_{name}", candidate="crashed") for name in "abc"]
    known = Classification.read(tmp_path / "c.toml")
    assert known.add([*crashed, FOUND], TODAY) == 2
    several, single = Classification.read(known.path).entries
    assert (several.pattern, several.outcome) == ("t/test_a.py", "crashed")
    assert single.test == FOUND.test


@given(st.text(st.characters(exclude_categories=()), min_size=1))
def test_every_name_survives(tmp_path, name):
    path = tmp_path / "any.toml"
    path.unlink(missing_ok=True)
    finding = replace(FOUND, test=name)
    Classification.read(path).add([finding], TODAY)
    (found,) = Classification.read(path).entries
    assert found.test == name.encode("utf-8", "backslashreplace").decode()


GOOD = entry(test="a", category="platform", reason="b")
WRONG = [
    ("finding = 3", 1, "found finding = ...; expected [[finding]] for each"),
    ('# x\nfinding = [{test = "a"}]', 2, "found finding = ...; expected [[finding]] for each"),
    (GOOD + "[[findings]]\n", 5, 'found "findings"; expected [[finding]]'),
    (GOOD + "[finding.x]\n", 5, 'found "x"; expected category, test, pattern, kind,'),
    (GOOD + entry(test="b", category="codgen", reason="c"), 7, 'category: found "codgen"; expected codegen, runtime,'),
    (GOOD + entry(test="b", category="flaky", reason=" "), 7, 'found the category "flaky" without a reason'),
    (entry(test="b", category="runtime", reason="c"), 3, 'found the category "runtime" without a link'),
    (entry(category="flaky", reason="c"), 2, "found neither of test and pattern; expected one of them"),
    (entry(test="a", pattern="a", category="flaky", reason="c"), 2, "found both of test and pattern"),
    *(
        (entry(pattern=every, category="flaky", reason="c"), 2, f'found the pattern "{every}", which names every test')
        for every in ("*", "/", "*::*", "**/*.*")
    ),
    (entry(test="a", reason="c"), 2, "found no category; expected one of codegen,"),
    ("[[finding]]\n", 1, "found neither of test and pattern"),
    (GOOD + 'flaky = "yes"\n', 5, 'found "flaky"; expected category, test,'),
    (GOOD + 'date = "today"\n', 5, "date: found 'today'; expected a date"),
    (GOOD + "link = 3\n", 5, "link: found 3; expected a string"),
    (GOOD + 'kind = "new"\n', 5, 'kind: found "new"; expected regression, flaky, vanished, lost'),
    (GOOD + 'outcome = "bad"\n', 5, 'outcome: found "bad"; expected passed, failed,'),
    (GOOD + GOOD, 5, "found a second entry for the same findings; expected one"),
    ('[[finding]]\ntest = """\n\n[[finding]]\n"""\ncategory = "x"\n', 6, 'category: found "x"'),
    ("[[finding]]\ntest = \n", "2:8", "Invalid value; expected TOML"),
]


@pytest.mark.parametrize(("text", "line", "message"), WRONG)
def test_what_is_wrong_is_refused_with_its_line(classification, text, line, message):
    with pytest.raises(errors.ComparisonError) as caught:
        classification(text)
    assert f"classification.toml:{line}: {message}" in str(caught.value)
    assert str(caught.value).startswith("TT967: ")


@given(
    st.lists(st.sampled_from(["# c", "", "a{} = 1", "b{} = [\n 1,\n\n 2]", 'c{} = """\n[[x]]\na = 1\n"""']), max_size=9)
)
def test_line_of(statements):
    """The oracle is a walk over all prefixes."""
    text = "\n".join(statement.format(at) for at, statement in enumerate(statements))
    stated = parsed(text)
    for key in stated:
        lines = text.split("\n")
        ends = [end for end in range(len(lines) + 1) if parsed("\n".join(lines[:end])) is not None]
        last = max(end for end in ends if key not in parsed("\n".join(lines[:end])))
        assert line_of(text, lambda part, key=key: key in part) == last + 1
