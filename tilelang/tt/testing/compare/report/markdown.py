"""A report as Markdown, for a comment on a pull request or the summary of a job."""

import re
from collections.abc import Iterator, Sequence
from html import escape
from itertools import accumulate
from typing import Final

from ..model import Report
from .words import (
    KINDS,
    STALE,
    Group,
    by_kind,
    cells,
    changed,
    columns,
    counted,
    environment,
    excerpt,
    facts,
    line,
    name_of,
    names,
    scope,
    titles,
    total_of,
    verdict,
)

LIMIT: Final = 65_536
"""The characters that GitHub takes in a comment."""
_MAX_FILES = 100
_MAX_TESTS = 20
_NOTE: Final = "\nThere is more than a comment may hold: the JSON and the HTML of this comparison have all of it.\n"
# Characters that can mean something to Markdown or HTML within a line. As references they are text in every place.
_SPECIAL = re.compile(r"[!$&()*:<>@\[\\\]_`{|}~]")


def to_markdown(report: Report, limit: int = LIMIT) -> str:
    """The verdict, the environments, the files that differ, and the findings, the worst first.

    Args:
        report: What is told.
        limit: The most characters; what does not fit is left out with a note that says so.
    """
    parts = list(_parts(report))
    ends = list(accumulate(map(len, parts)))
    if ends[-1] <= limit:
        return "".join(parts)
    kept = sum(end + len(_NOTE) <= limit for end in ends)
    return "".join(parts[:kept]) + _NOTE


def _parts(report: Report) -> Iterator[str]:
    """What is shown whole or not at all."""
    yield f"## {verdict(report)}\n\n{_text(scope(report))}.\n"
    yield _environment(report)
    yield _files(report)
    for note in report.notes:
        yield f"\n> Note: {_text(line(note))}\n"
    for kind, count, groups in by_kind(report):
        title, what = KINDS[kind]
        yield f"\n### {title}: {count:,}\n\n{what}\n\n"
        yield from map(_finding, groups)
    if report.stale:
        yield f"\n### {STALE}: {len(report.stale):,}\n\n"
        yield from (f"- {_code(entry)}\n" for entry in report.stale)


def _environment(report: Report) -> str:
    rows = environment(report)
    different = [[_text(row.name), *map(_code, row.values)] for row in rows if row.differs]
    same = ", ".join(f"{_text(row.name)} {_code(row.values[0])}" for row in rows if not row.differs)
    head = ["", *map(_text, names(report))]
    table = f"\n{_table(head, different)}" if different else ""
    return table + (f"\nThe same in all: {same}.\n" if same else "")


def _files(report: Report) -> str:
    outcomes = columns(report)
    files = changed(report)
    total = total_of(report)
    rows = [[_code(each.file), *cells(each, outcomes)] for each in files[:_MAX_FILES]]
    rows.append([f"**{total.file}**", *cells(total, outcomes)])
    left = len(files) - _MAX_FILES
    more = f"\nAnd {counted(left, 'more file')} with differences.\n" if left > 0 else ""
    return (
        f"\n{_table([counted(len(files), 'file') + ' with differences', *titles(outcomes)], rows, numbers=True)}{more}"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: bool = False) -> str:
    rule = ["---", *("---:" if numbers else "---" for _ in head[1:])]
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, rule, *rows))


def _finding(group: Group) -> str:
    """Folded, where there is more than a line; up to its first empty line that is HTML."""
    finding = group[0]
    mark = "\N{CROSS MARK} " if finding.breaks else ""
    name, said = name_of(group), "; ".join(facts(finding))
    told = [
        f"Ended by {_code(finding.culprit)}." if finding.culprit else "",
        f"{finding.category}: {_text(line(finding.reason))} {_link(finding.link)}" if finding.category else "",
        _fenced(excerpt(finding.message)) if finding.message else "",
        _tests(group) if len(group) > 1 else "",
    ]
    if not any(told):
        return f"- {mark}{_code(name)}: {said}\n"
    head = f"\n<details><summary>{mark}<code>{escape(name)}</code>: {said}</summary>\n\n"
    return head + "".join(f"{each}\n\n" for each in told if each) + "</details>\n"


def _tests(group: Group) -> str:
    left = len(group) - _MAX_TESTS
    more = [f"- ... and {left:,} more"] if left > 0 else []
    return "\n".join([*(f"- {_code(each.test)}" for each in group[:_MAX_TESTS]), *more])


def _fenced(text: str) -> str:
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def _link(text: str) -> str:
    return f"<{text}>" if re.fullmatch(r"https?://[!-;=?-~]+", text) else _text(line(text))


def _code(text: str) -> str:
    """A text in the type of code, in every place, also in a table."""
    text = line(text)
    if not text:
        return ""
    if text.isspace() or text != text.strip() or set(text) & set("`|\\"):
        return f"<code>{_text(text)}</code>"
    return f"`{text}`"


def _text(text: str) -> str:
    return _SPECIAL.sub(lambda found: f"&#{ord(found[0])};", text)
