"""HTML and SVG as text. Only :func:`element` makes markup, and it escapes every text that it is given."""

from html import escape
from typing import TypeAlias

# Elements without content, which are closed where they begin.
_EMPTY = {"circle", "input", "line", "path", "rect"}


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


Attribute: TypeAlias = "str | int | float | None"


def element(name: str, /, *children: str, **attributes: Attribute) -> Markup:
    """One element.

    Args:
        name: Of the element.
        *children: Markup, which stays as it is, and texts, which are escaped.
        **attributes: ``data_key`` is written ``data-key`` and ``class_`` is ``class``; one that is None is left out.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _EMPTY:
        return Markup(f"<{name}{written}/>")
    return Markup(f"<{name}{written}>{join(*children)}</{name}>")


def join(*children: str) -> Markup:
    """Markup and texts one after the other."""
    return Markup("".join(child if isinstance(child, Markup) else escape(child) for child in children))


def _text(value: str | int | float) -> str:
    """Of lengths, two decimals."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
