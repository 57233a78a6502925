"""What reports say of a comparison: nothing is lost, and nothing that a test is called becomes markup."""

import json
import re
from base64 import b64encode
from dataclasses import fields, replace
from hashlib import sha256
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from markdown_it import MarkdownIt
from support.comparison import FAILURE, NOTHING, SEVERAL, findings, found, many, reports

from tilelang.tt import errors
from tilelang.tt.plan.text import plain
from tilelang.tt.testing.compare.report import from_json, lines, load, schema, to_html, to_json, to_markdown, words

pytestmark = pytest.mark.stage("testing")

TEXTS = st.text(max_size=9)
ANYTHING = TEXTS | st.text("<>&\"'`|*_[]()#~@!\\\n\r\t -.\x00\x1b\x7f\u202e\ud800", max_size=9)
VOID = {"meta", "input"}
VALIDATOR = Draft202012Validator(schema())


class Page(HTMLParser):
    """The texts of a page by the class or name of their element; an element that is not closed fails."""

    def __init__(self, html):
        super().__init__()
        self.open, self.texts, self.attributes = [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, *attribute) for attribute in attrs]
        if tag not in VOID:
            self.open.append((tag, dict(attrs).get("class")))

    def handle_startendtag(self, tag, attrs):
        self.attributes += [(tag, *attribute) for attribute in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else ("", None), data))

    def of(self, tag, kind=None):
        return [text for at, text in self.texts if at == (tag, kind)]


def rendered(markdown):
    """The texts of Markdown, as one, by a reader of the dialect that GitHub has tables of."""
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown)
    return "".join(text for _, text in Page(html).texts)


# JSON


@given(reports(TEXTS))
@settings(max_examples=40)
def test_json_loses_nothing_and_fits_its_schema(report):
    text = to_json(report)
    assert from_json(text) == from_json(text.encode()) == report
    value = json.loads(text)
    VALIDATOR.validate(value)
    assert value["passed"] == (not any(finding.breaks for finding in report.findings))


def test_schema_is_one():
    Draft202012Validator.check_schema(schema())
    described = schema()["$defs"]["Finding"]["properties"]
    assert set(described) == {field.name for field in fields(SEVERAL.findings[0])}
    assert described["kind"]["description"] == "What the difference is."


@given(st.text(st.characters(exclude_categories=()), min_size=1))
def test_json_is_text_whatever_a_test_is_called(name):
    report = replace(SEVERAL, findings=(found("regression", name),))
    (finding,) = from_json(to_json(report).encode()).findings
    assert finding.test == f"tests/{name}".encode("utf-8", "backslashreplace").decode()


def test_load(tmp_path):
    path = tmp_path / "report.json"
    path.write_text(to_json(SEVERAL), encoding="utf-8")
    assert load(path) == SEVERAL


def edited(**values):
    return json.dumps({**json.loads(to_json(SEVERAL)), **values})


def with_finding(**values):
    value = json.loads(to_json(SEVERAL))
    value["report"]["findings"][0].update(values)
    return json.dumps(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Expecting property name enclosed in double quotes: line 1 column 2"),
        (b"\xff", "can't decode byte 0xff"),
        ("[" * 100_000, "maximum recursion depth exceeded"),
        ("[]", "found an array of 0; expected an object"),
        (edited(format="tt.plan"), '/format: found "tt.plan"; expected "tilelang-tt.comparison"'),
        (edited(version=2, added=1), "found version 2; this package reads version 1"),
        (edited(passed=True), "/passed: found true; expected what the findings say"),
        (edited(more=1), "/more: found a field of that name"),
        (with_finding(kind="worse"), '/report/findings/0/kind: found "worse"; expected one of: "regression"'),
        (with_finding(reruns=["passed", "bad"]), '/report/findings/0/reruns/1: found "bad"; expected one of'),
        (with_finding(test=3), "/report/findings/0/test: found 3; expected a string"),
        (to_json(SEVERAL).replace("192.4", "NaN"), "/report/seconds/baseline: found NaN; expected a number"),
        (to_json(SEVERAL).replace('"passed": 5', '"passd": 5'), '/passd: found "passd"; expected one of'),
        (to_json(SEVERAL).replace('"passed": 5', '"passed": -5'), "/passed: found -5; expected 0 to"),
    ],
)
def test_what_is_no_report_is_refused(text, message):
    with pytest.raises(errors.ComparisonError) as caught:
        from_json(text, "report.json")
    assert str(caught.value).startswith("TT966: report.json: ")
    assert message in str(caught.value)


# What all of them say


def test_verdict():
    broken = [finding for finding in SEVERAL.findings if finding.breaks]
    assert words.verdict(SEVERAL) == f"The candidate breaks {len(broken)} tests"
    assert words.verdict(replace(SEVERAL, findings=tuple(broken[:1]))) == "The candidate breaks 1 test"
    assert words.verdict(NOTHING) == "The candidate breaks nothing"
    known = tuple(finding for finding in SEVERAL.findings if finding.category == "platform")
    assert words.verdict(replace(SEVERAL, findings=known)) == "The candidate breaks nothing, with 1 test accounted for"


def test_scope():
    total = sum(each.baseline.total() + each.new for each in SEVERAL.files)
    assert words.scope(SEVERAL) == (
        f"{total:,} tests in 45 files, 12 of them skipped in both; 3 min 12 s in the baseline, 2 min 52 s in the "
        "candidate, 3 min 21 s in the diagnostic"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("#x1B[31mred#x1B[0m", "red"),
        ("\x1b]8;;https://example.org\x07link\x1b]8;;\x07", "link"),
        ("a\r\nb\tc", "a\nb\tc"),
        ("a\rb\x00\x7f", "a\\x0db\\x00\\x7f"),
        ("\u202eabc\ud800", "\\u202eabc\\ud800"),
        ("ä\N{GRINNING FACE}", "ä\N{GRINNING FACE}"),
    ],
)
def test_what_cannot_be_seen(text, shown):
    assert words.shown(text) == shown


def test_excerpt():
    assert words.excerpt(FAILURE).splitlines()[0] == "E       AssertionError: assert (0, 0) == (0, 1)"
    assert len(words.excerpt(FAILURE).splitlines()) == 3
    assert words.excerpt("\n\nTimeout\n  after") == "Timeout\n  after"
    long = words.excerpt("\n".join(["x" * 1000] * 50)).splitlines()
    assert long[0] == "x" * 300 + "..."
    assert long[-1] == "... and 38 lines more"


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.04, "0.0 s"), (59.94, "59.9 s"), (61, "1 min 1 s"), (7322, "2 h 2 min")]
)
def test_duration(seconds, said):
    assert words.duration(seconds) == said


# Markdown


def test_markdown_begins_with_the_verdict():
    text = rendered(to_markdown(SEVERAL))
    assert text.startswith("The candidate breaks 10 tests\n")
    order = ["Interpreter", "tests/test_nn.py", "All files", "Regressions: 8", "Vanished: 2", "Flaky: 1", "New: 1"]
    assert [text.index(word) for word in order] == sorted(text.index(word) for word in order)
    assert "tests/test_same_0.py" not in text, "only files with differences"
    assert "0 of 5 in the baseline" in text
    assert "codegen: The carry of the second word is lost where both overflow. https://example.org/issues/12" in text


@given(st.lists(findings(ANYTHING), min_size=1, max_size=2))
@settings(max_examples=60)
def test_markdown_is_never_markup(drawn):
    report = replace(SEVERAL, findings=tuple(drawn))
    text = rendered(to_markdown(report))
    for finding in drawn:
        unfinished = [each for each in drawn if each.candidate in ("crashed", "timed_out", "uncollected")]
        if len(unfinished) < 2:
            assert spaceless(words.line(finding.test)) in spaceless(text)
        assert spaceless(words.excerpt(finding.message)) in spaceless(text)
        if finding.category:
            assert spaceless(words.line(finding.reason)) in spaceless(text)
            assert spaceless(words.line(finding.link)) in spaceless(text)


def spaceless(text):
    return re.sub(r"\s", "", text)


@given(reports(ANYTHING))
@settings(max_examples=40)
def test_markdown_of_anything(report):
    text = spaceless(rendered(to_markdown(report)))
    for shown in (*report.notes, *report.stale, *(each.file for each in words.changed(report))):
        assert spaceless(words.line(shown)) in text


@pytest.mark.parametrize("limit", [1000, 20_000, 65_536])
def test_markdown_ends_where_github_does(limit):
    whole = to_markdown(many(1000), 10**9)
    cut = to_markdown(many(1000), limit)
    assert limit * 0.4 < len(cut) <= limit < len(whole)
    assert cut.endswith(
        "\nThere is more than a comment may hold: the JSON and the HTML of this comparison have all of it.\n"
    )
    assert whole.startswith(cut.rpartition("\nThere is more")[0])
    rendered(cut)


# HTML


@pytest.mark.parametrize("report", [SEVERAL, NOTHING, many(300)], ids=["several", "nothing", "many"])
def test_page_is_whole_and_needs_nothing_else(report):
    html = to_html(report)
    page = Page(html)
    assert not re.search(r'(?:src|href|url)\s*[=(]\s*["\']?(?!https://example\.org/issues/12)[^"\']*//', html)
    policy = next(value for tag, name, value in page.attributes if value.startswith("default-src"))
    for tag in ("style", "script"):
        (text,) = page.of(tag)
        assert f"{tag}-src 'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" in policy
    identifiers = [value for _, name, value in page.attributes if name == "id"]
    assert len(identifiers) == len(set(identifiers))
    assert not any(name == "style" or name.startswith("on") for _, name, _ in page.attributes)


def test_page_says_what_the_report_says():
    page = Page(to_html(SEVERAL))
    assert page.of("h1", "broken") == ["The candidate breaks 10 tests"]
    assert page.of("span", "test") == [
        "tests/test_sum.py::test_carry[int64]",
        "tests/test_sum.py::test_carry[int32]",
        "5 tests of tests/test_autograd.py",
        "tests/test_sine.py::test_ulp",
        "tests/test_optim.py::TestAdam::test_fused",
        "tests/test_optim.py::TestAdam::test_foreach",
        "tests/test_nn.py::TestConv::test_depthwise",
        "tests/test_sum.py::test_threads",
        "tests/test_sine.py::test_negative",
        "tests/test_optim.py::TestAdam::test_capturable",
    ]
    once_more = "JIT_ENABLE=1 /opt/jit/bin/python -m pytest -p jit.plugin 'tests/test_sum.py::test_carry[int64]'"
    assert f"PYTHONSAFEPATH=1 {once_more}" in page.of("code")
    everything = "".join(text for _, text in page.texts)
    for finding in SEVERAL.findings:
        assert finding.test in everything
        assert finding.message in everything
    assert Page(to_html(NOTHING)).of("h1", "whole") == ["The candidate breaks nothing"]


@given(reports(ANYTHING))
@settings(max_examples=40)
def test_page_is_never_markup(report):
    html = to_html(report)
    html.encode()
    page = Page(html)
    assert len(page.of("script")) == len(page.of("style")) == 1
    everything = spaceless("".join(text for _, text in page.texts))
    for finding in report.findings:
        assert spaceless(words.line(finding.test) if finding.candidate not in words.UNFINISHED else "") in everything
        assert spaceless(words.shown(finding.message)) in everything


def test_no_message_is_endless():
    huge = "first\n" + "x" * 10**6 + "\nlast"
    html = to_html(replace(SEVERAL, findings=(found("regression", "test_a.py::test_b", message=huge),)))
    assert len(html) < 100_000
    note = r"\.\.\. 980,\d\d\d characters are left out \.\.\."
    assert re.search(rf"first\nx+\n\n{note}\n\nx+\nlast", html)


def test_links_are_addresses_of_the_web():
    bad = found("regression", "test_a.py::test_b", category="platform", reason="r", link="javascript:alert(1)")
    report = replace(SEVERAL, findings=(bad,))
    assert [value for _, name, value in Page(to_html(report)).attributes if name == "href"] == []
    assert "javascript:alert(1)" in rendered(to_markdown(report))


# Terminal


def test_terminal_ends_with_the_verdict():
    text = plain(lines(SEVERAL, 100)).splitlines()
    assert text[-1] == "The candidate breaks 10 tests"
    assert any(line.startswith("all files") and "2,275 \N{RIGHTWARDS ARROW} 2,265" in line for line in text)
    assert "Regressions: 8  These pass in the baseline and not in the candidate, or break off there." in text
    assert "    E       AssertionError: assert (0, 0) == (0, 1)" in text
    assert not any("test_same" in line for line in text)


def test_terminal_is_short():
    text = plain(lines(many(5000), 100)).splitlines()
    assert len(text) < 80
    assert "  ... and 4,980 more" in text


@given(reports(ANYTHING))
@settings(max_examples=40)
def test_terminal_obeys_no_test(report):
    text = plain(lines(report, 100))
    assert not set(text) & set(map(chr, (*range(10), *range(11, 32), 127, 0x202E, 0xD800)))
