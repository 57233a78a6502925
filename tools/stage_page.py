"""Writes the stages into docs/testing/stages.md; with --check it only says whether the page is up to date.

Reads testing/stages.py and the test files, and runs neither tests nor snippets. Needs the package installed, and runs
outside of the root of the checkout or with `python -P`.
"""

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from tilelang.tt.testing import Stage, StagedTest, StageMap, read_stages

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "testing" / "stages.md"
BEGIN, END = "<!-- begin: written by tools/stage_page.py -->\n", "<!-- end -->\n"
UP = "../../"  # from the page to the project
PRINTS = "\n# Prints:\n"


def stages_text() -> str:
    """All stages as MyST."""
    found = read_stages(ROOT)
    found.check()
    lines = ["", *_overview(found)]
    for stage in found.stages:
        lines += ["", *_section(stage, found)]
    return "\n".join([*lines, "", *_where_fixes_land(found), "", ""])


def snippet_of(stage: Stage) -> tuple[str, str]:
    """The code of a stage's snippet, and what it prints, which stands in comments at its end."""
    code, _, printed = (ROOT / stage.snippet).read_text(encoding="utf-8").partition(PRINTS)
    return code, "".join(f"{line.removeprefix('#').removeprefix(' ')}\n" for line in printed.splitlines())


def _overview(found: StageMap) -> Iterator[str]:
    yield from ("| stage | what it does | test functions |", "|---|---|---|")
    for stage in found.stages:
        yield f"| [{stage.name}](#{stage.name}) | {stage.does} | {found.counts[stage.name]} |"


def _section(stage: Stage, found: StageMap) -> Iterator[str]:
    tests = [test for test in found.tests if test.stage == stage.name]
    yield from (f"### {stage.name}", "", stage.does, "")
    yield f"- Where it sits: {stage.sits}."
    if stage.passes:
        yield f"- Its passes: {', '.join(f'`{name}`' for name in stage.passes)}."
    if stage.channel:
        yield f"- Its log: `{stage.channel}`."
    code, printed = snippet_of(stage)
    yield from ("", "```sh", f"tilelang-tt test stage {stage.name}", "```", "")
    yield from ("```{code-block} python", code.rstrip(), "```", "", "```{code-block} text", printed.rstrip(), "```", "")
    files = _by_file(tests)
    yield f"<details><summary>{_count(len(tests), 'test function')} in {_count(len(files), 'file')}</summary>"
    for file, here in files:
        yield from ("", f"[{file}]({UP}{file}): {_summary(file)}", "")
        yield ", ".join(f"`{test.name}`:{test.line}" for test in here)
    yield from ("", "</details>")


def _where_fixes_land(found: StageMap) -> Iterator[str]:
    """Of each source its stages, and the test files that are called like it, or else all of the stage."""
    yield from ("## Where fixes land", "", "| source | stage | tests |", "|---|---|---|")
    landing = [(source, stage) for stage in found.stages for source in stage.sources]
    for source, stage in sorted(landing, key=lambda each: each[0]):
        files = [file for file, _ in _by_file([test for test in found.tests if test.stage == stage.name])]
        stem = re.sub(r"\W.*", "", Path(source).name)
        own = [file for file in files if re.search(rf"_{stem}(_|$)", Path(file).stem)] or files
        links = ", ".join(f"[{Path(file).stem.removeprefix('test_')}]({UP}{file})" for file in own)
        yield f"| `{source}` | [{stage.name}](#{stage.name}) | {links} |"


def _by_file(tests: Sequence[StagedTest]) -> list[tuple[str, list[StagedTest]]]:
    return [(file, list(here)) for file, here in groupby(tests, lambda test: test.file)]


def _summary(file: str) -> str:
    """The first sentence of a file's docstring."""
    text = ast.get_docstring(ast.parse((ROOT / file).read_text(encoding="utf-8"))) or ""
    return " ".join(text.partition("\n\n")[0].split())


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def main() -> int:
    text = PAGE.read_text(encoding="utf-8")
    start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    written = stages_text()
    if text[start:end] == written:
        return 0
    if "--check" in sys.argv:
        print(f"{PAGE} is out of date; run python -P tools/stage_page.py", file=sys.stderr)
        return 1
    PAGE.write_text(text[:start] + written + text[end:], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
