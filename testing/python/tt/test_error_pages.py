"""Every code has a page with its cause, an example and a fix, a place that raises it, and a test that triggers it.

The examples of the pages are the tests: ``test_docs.py`` runs them and compares what is raised. What no example can
show, such as another host, is tried elsewhere.
"""

import re
from pathlib import Path

import pytest
from support.examples import ROOT, examples, run

from tilelang.tt import errors, explain

pytestmark = pytest.mark.stage("errors")

PAGES = ROOT / "docs" / "errors"
TESTS = Path(__file__).parent
CODES = {entry.code: entry for entry in errors.catalogue()}


def page_of(code):
    return (PAGES / f"{code}.md").read_text(encoding="utf-8")


def source(folder, *suffixes):
    """The text of all files of a folder but this one."""
    files = sorted(path for path in (ROOT / folder).rglob("*") if path.suffix in suffixes and path != Path(__file__))
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


def test_every_page_belongs_to_a_code():
    assert {page.stem for page in PAGES.glob("TT*.md")} == set(CODES)


@pytest.mark.parametrize("entry", CODES.values(), ids=CODES)
def test_page(entry):
    verb = "Raises" if issubclass(entry.error_class, errors.TTError) else "Warns with"
    lines = page_of(entry.code).splitlines()
    assert lines[:4] == [f"# {entry.code}: {entry.title}", "", f"{verb} `{entry.error_class.__name__}`.", ""]
    assert [line for line in lines if line.startswith("## ")] == ["## Example", "## Fix"]
    assert all(len(line) <= 120 for line in lines if entry.code not in line)


@pytest.mark.parametrize("entry", CODES.values(), ids=CODES)
def test_trigger(entry):
    """The message that the page shows follows an example that is run, or a test elsewhere expects the code."""
    example = page_of(entry.code).partition("## Fix")[0]
    raised_by = (
        "error" if "```sh\ntilelang-tt " in example else entry.error_class.__name__
    )  # as the command line says it
    shown = f"text\n{raised_by}: {entry.code}: "
    assert f"```{shown}" in example or f"```{{code-block}} {shown}" in example
    if "```python" in example:
        assert f"```\n\n```{shown}" in example
    elif entry.error_class is not errors.InternalError:  # of which no cause is known
        assert f"{entry.code}: " in source(TESTS, ".py")


def message_of(code, folder):
    """What the example of a page raises, and the line of the page on which it begins; none on other hosts."""
    for example in examples(PAGES / f"{code}.md")[:1]:
        return run(example, folder / "example.py", {}), example.line
    return "", 0


@pytest.mark.parametrize("code", [code for code in CODES if "```python" in page_of(code)])
def test_help_and_place(code, tmp_path, monkeypatch):
    """A message about a kernel says what to do and, where the host knows the place, one within the example."""
    monkeypatch.chdir(tmp_path)
    message, first = message_of(code, tmp_path)
    if f"Error: {code}: kernel " not in message:
        return
    assert re.search(r"\nhelp: \S", message)
    for file, line in re.findall(r"\n  --> (.+?):(\d+)", message):
        assert file == str(tmp_path / "example.py")
        assert first < int(line) <= (tmp_path / "example.py").read_text(encoding="utf-8").count("\n")


def test_every_code_is_raised_somewhere():
    in_cpp, in_python = source("src/tt", ".cc", ".h"), source("tilelang/tt", ".py")
    table = (ROOT / "src/tt/core/error_codes.inc").read_text(encoding="utf-8")
    of_cpp = {f"TT{number}": name for number, name in re.findall(r"^TT_ERROR\((\d+), (\w+),", table, re.MULTILINE)}
    of_python = [code for code in CODES if code not in of_cpp]
    unused = [
        code
        for code, name in of_cpp.items()
        if not re.search(rf"ErrorCode::k{name}\b", in_cpp) and f'"{code}"' not in in_python
    ]
    unused += [code for code in of_python if in_python.count(f'"{code}"') < 2]  # once in the table
    assert unused == []


@pytest.mark.parametrize("code", CODES)
def test_explain(capsys, code):
    explain(code)
    assert capsys.readouterr().out == page_of(code)


def test_explain_an_error(capsys):
    explain(errors.ShapeError("TT410: no rows\n\nTT404: no such dtype\n\nTT410: no columns"))
    assert capsys.readouterr().out == page_of("TT410") + "\n" + page_of("TT404")


def test_explain_a_warning(capsys):
    explain(errors.warning("TT406", "stored as Float16"))
    assert capsys.readouterr().out == page_of("TT406")


@pytest.mark.parametrize("code", ["TT199", "tt202", "", "TT2021", "../TT202", "202"])
def test_explain_an_unknown_code(code):
    with pytest.raises(
        errors.OptionError, match=f'no error has the code "{re.escape(code)}"; the nearest are TT'
    ) as caught:
        explain(code)
    assert caught.value.code == "TT111"


def test_nearest_codes():
    with pytest.raises(errors.OptionError, match="the nearest are TT202, "):
        explain("tt202")


@pytest.mark.parametrize("mistake", [None, 202, errors.TTError("raised by somebody else"), KeyError("TT202")], ids=repr)
def test_explain_something_else(mistake):
    with pytest.raises(errors.ArgumentError, match="expected a code or an error of") as caught:
        explain(mistake)
    assert caught.value.code == "TT110"
