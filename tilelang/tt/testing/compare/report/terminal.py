"""A report in a few lines, for a terminal."""

from collections.abc import Iterator
from typing import Final

from ....plan.text import Column, Line, Piece, table
from ..model import Kind, Report
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

_ROLES: Final[dict[Kind, str]] = {"regression": "error", "vanished": "error", "lost": "error", "flaky": "warning"}
_MAX_FILES = 20
_MAX_FINDINGS = 20


def lines(report: Report, width: int) -> Iterator[Line]:
    """The environments where they differ, the files and findings that do, and the verdict last, where it stays visible.

    Args:
        report: What is told.
        width: Characters of a line.
    """
    different = [row for row in environment(report) if row.differs]
    if different:
        head = [Column("differs"), *map(Column, names(report))]
        yield from table(head, [[row.name, *row.values] for row in different], width)
        yield ()
    yield from _files(report, width)
    for kind, count, groups in by_kind(report):
        title, what = KINDS[kind]
        yield ()
        yield Piece(f"{title}: {count:,}", _ROLES.get(kind, "head")), Piece(f"  {what}", "idle")
        for group in groups[:_MAX_FINDINGS]:
            yield from _finding(group, width)
        if left := sum(map(len, groups[_MAX_FINDINGS:])):
            yield (Piece(f"  ... and {left:,} more", "idle"),)
    if report.stale:
        yield ()
        yield (Piece(f"{STALE}: {len(report.stale):,}", "warning"),)
        yield from ((Piece(f"  {line(entry)}"),) for entry in report.stale)
    yield ()
    for note in report.notes:
        yield Piece("note: ", "note"), Piece(line(note))
    yield (Piece(scope(report)),)
    yield (Piece(verdict(report), "error" if report.breaks else "good"),)


def _files(report: Report, width: int) -> Iterator[Line]:
    outcomes = columns(report)
    files = changed(report)
    rows = [[line(each.file), *cells(each, outcomes)] for each in files[:_MAX_FILES]]
    if (left := len(files) - _MAX_FILES) > 0:
        rows.append([f"... and {counted(left, 'more file')}", *[""] * (len(outcomes) + 2)])
    total = total_of(report)
    rows.append([total.file.lower(), *cells(total, outcomes)])
    names = [Column(title.lower(), right=True, rank=rank) for rank, title in enumerate(titles(outcomes))]
    yield from table([Column("tests of"), *names], rows, width)


def _finding(group: Group, width: int) -> Iterator[Line]:
    finding = group[0]
    told = "; ".join([*facts(finding), *([line(finding.reason)] if finding.reason else [])])
    yield Piece("  "), Piece(name_of(group), "title"), Piece(f"  {told}")
    if finding.breaks and finding.message:
        first = line(excerpt(finding.message).partition("\n")[0])
        yield (Piece(f"    {first[: width - 4]}", "idle"),)
