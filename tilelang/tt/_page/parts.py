"""What pages are made of: lists of facts, and tables."""

from collections.abc import Iterable, Sequence

from .markup import Markup, element


def facts(facts: Iterable[tuple[str, str]]) -> Markup:
    return element("dl", *(element("div", element("dt", key), element("dd", value)) for key, value in facts))


def details(summary: str, content: Markup) -> Markup:
    return element("details", element("summary", summary), content)


def table(caption: str, columns: Sequence[str], rows: "Sequence[Sequence[str | int]]") -> Markup:
    """A table; columns of integers are aligned to the right."""
    numbers = [bool(rows) and all(isinstance(row[at], int) for row in rows) for at in range(len(columns))]
    kinds = ["number" if is_number else None for is_number in numbers]
    head = [element("th", name, scope="col", class_=kind) for name, kind in zip(columns, kinds, strict=True)]
    lines = [
        element(
            "tr",
            *(
                element("td" if at else "th", _cell(value), scope=None if at else "row", class_=kinds[at])
                for at, value in enumerate(row)
            ),
        )
        for row in rows
    ]
    drawn = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *head)),
        element("tbody", *lines),
    )
    return element("div", drawn, class_="scroll", tabindex=0, role="group", aria_label=caption)


def _cell(value: str | int) -> str:
    return f"{value:,}" if isinstance(value, int) else value
