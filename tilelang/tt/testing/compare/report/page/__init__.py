"""A report as one page of HTML that needs nothing else. Without its script it shows all; with it, what one asks for."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from ....._page import page
from ....._page.markup import Markup, element, join
from ....._page.parts import details, table
from ...model import BAD, FileCounts, Leg, Report
from ..words import (
    KINDS,
    STALE,
    Group,
    by_kind,
    cells,
    changed,
    columns,
    command,
    counted,
    environment,
    facts,
    line,
    name_of,
    names,
    scope,
    shown,
    titles,
    total_of,
    verdict,
)

# Characters of all messages together, and of each: the page is to open in a second.
_ALL_MESSAGES = 8_000_000
_LONGEST_MESSAGE = 20_000
_SHORTEST_MESSAGE = 500


def to_html(report: Report) -> str:
    """The page: the verdict, the findings with their messages, the files, and the environments."""
    body = element(
        "main",
        element("h1", verdict(report), class_="broken" if report.breaks else "whole"),
        element("p", f"{scope(report)}.", class_="note"),
        *(element("p", line(note), class_="aside") for note in report.notes),
        _findings(report),
        _files(report),
        _environment(report),
        _stale(report.stale),
    )
    return page(verdict(report), "A candidate beside its baseline", [body], Path(__file__).parent)


def _findings(report: Report) -> Markup:
    if not report.findings:
        return element("section", element("h2", "No test differs"))
    groups = [group for _, _, groups in by_kind(report) for group in groups]
    limit = max(_SHORTEST_MESSAGE, min(_LONGEST_MESSAGE, _ALL_MESSAGES // len(groups)))
    legs = {leg.name: leg for leg in report.legs}
    items = [_item(group, limit, legs.get("candidate")) for group in groups]
    return element(
        "section",
        element("h2", f"{counted(len(report.findings), 'test')} that differ"),
        _filters(report),
        element("p", "", id="shown", class_="note", role="status"),
        element("ol", *items, id="findings"),
        element("button", "Show more", type="button", id="more", hidden="hidden"),
    )


def _filters(report: Report) -> Markup:
    """What the script reads; hidden until it runs."""
    kinds = Counter(finding.kind for finding in report.findings)
    files = Counter(line(finding.file) for finding in report.findings)
    categories: Counter[str] = Counter(finding.category or "unclassified" for finding in report.findings)
    broken = sum(finding.breaks for finding in report.findings)
    only = element("input", type="checkbox", name="breaks")
    boxes = [
        element(
            "label",
            element("input", type="checkbox", name="kind", value=kind, checked="checked"),
            element("span", f"{KINDS[kind][0]} ", element("b", f"{kinds[kind]:,}")),
            class_=f"chip {kind}",
            title=KINDS[kind][1],
        )
        for kind in KINDS
        if kinds[kind]
    ]
    return element(
        "form",
        element("fieldset", element("legend", "Kinds"), *boxes),
        element("label", "Name or message", element("input", type="search", name="text")),
        _choice("File", {"": "all", **_numbered(files)}),
        _choice("Category", {"": "all", **_numbered(categories)}),
        _choice("Order", {"": "the worst first", "test": "by name", "category": "by category"}),
        element("label", only, f"Only what breaks ({broken:,})", class_="box"),
        id="filters",
        hidden="hidden",
    )


def _numbered(counts: Counter[str]) -> dict[str, str]:
    return {name: f"{name} ({count:,})" for name, count in counts.items()}


def _choice(label: str, options: Mapping[str, str]) -> Markup:
    choices = (element("option", text, value=value) for value, text in options.items())
    return element("label", label, element("select", *choices, name=label.lower()))


def _item(group: Group, limit: int, candidate: Leg | None) -> Markup:
    finding = group[0]
    category = finding.category or "unclassified"
    summary = element(
        "summary",
        element("span", finding.kind, class_="mark"),
        element("span", name_of(group), class_="test"),
        element("span", " \N{MIDDLE DOT} ".join(facts(finding)), class_="note"),
    )
    return element(
        "li",
        element("details", summary, _told(group, limit, candidate)),
        class_=f"{finding.kind} breaks" if finding.breaks else finding.kind,
        data_kind=finding.kind,
        data_file=line(finding.file),
        data_category=category,
        data_tests=len(group),
    )


def _told(group: Group, limit: int, candidate: Leg | None) -> Markup:
    """All that is known of findings that belong together."""
    finding = group[0]
    parts = []
    if finding.category is not None:
        parts.append(
            element("p", element("b", f"{finding.category.capitalize()}. "), line(finding.reason), _link(finding.link))
        )
    if finding.culprit:
        parts.append(element("p", "The process of the file was ended by ", element("code", line(finding.culprit)), "."))
    if finding.message:
        parts.append(element("pre", *_lines(_cut(shown(finding.message), limit))))
    if len(group) > 1:
        parts.append(element("ul", *(element("li", line(each.test)) for each in group), class_="tests"))
    if candidate is not None and finding.candidate in BAD:
        again = finding.test if len(group) == 1 else finding.file
        parts.append(element("p", "Once more: ", element("code", line(command(candidate, again))), class_="note"))
    return element("div", *parts) if parts else element("p", "There is no message.", class_="note")


def _link(text: str) -> Markup:
    if not text.startswith(("https://", "http://")):
        return join(f" {line(text)}" if text else "")
    return join(" ", element("a", line(text), href=line(text), rel="noreferrer"))


def _lines(text: str) -> Iterator[str]:
    """Lines, with those marked that pytest marks."""
    for is_marked, lines in groupby(text.split("\n"), key=lambda one: one.startswith("E  ")):
        together = "\n".join(lines) + "\n"
        yield element("mark", together) if is_marked else together


def _cut(text: str, limit: int) -> str:
    """The beginning and, longer, the end of a text that is too long."""
    if len(text) <= limit:
        return text
    first = limit // 4
    return f"{text[:first]}\n\n... {len(text) - limit:,} characters are left out ...\n\n{text[first - limit :]}"


def _files(report: Report) -> Markup:
    outcomes = columns(report)
    differing = changed(report)
    others = {each.file for each in differing}
    same = [each for each in report.files if each.file not in others]
    head = ["File", *titles(outcomes)]

    def rows(files: Sequence[FileCounts]) -> list[list[str]]:
        return [[line(each.file), *cells(each, outcomes)] for each in files]

    both = "Tests by outcome: one number where both legs have it, else that of the baseline and that of the candidate"
    parts = [
        element("h2", f"{len(differing):,} of {counted(len(report.files), 'file')} differ"),
        table(both, head, rows([*differing, total_of(report)])),
    ]
    if same:
        parts.append(
            details(f"{counted(len(same), 'file')} without differences", table("Tests by outcome", head, rows(same)))
        )
    return element("section", *parts, class_="files")


def _environment(report: Report) -> Markup:
    rows = environment(report)
    different = [[row.name, *row.values] for row in rows if row.differs]
    same = [[row.name, row.values[0]] for row in rows if not row.differs]
    parts = [element("h2", "The environments")]
    if different:
        parts.append(table("What differs", ["What", *names(report)], different))
    if same:
        parts.append(details("What is the same", table("What all legs have", ["What", "In all"], same)))
    return element("section", *parts, class_="environment")


def _stale(entries: Sequence[str]) -> Markup:
    if not entries:
        return Markup()
    return element(
        "section",
        element("h2", f"{STALE}: {len(entries):,}"),
        element("ul", *(element("li", line(entry)) for entry in entries), class_="tests"),
    )
