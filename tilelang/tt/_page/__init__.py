"""Pages of HTML that need nothing else: one file, whose own style sheet and script are all that it allows itself."""

from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from html import escape
from pathlib import Path
from string import Template

from .markup import Markup, element, join

_HERE = Path(__file__).parent


def page(title: str, kind: str, body: Sequence[Markup], assets: Path, contents: str = "") -> str:
    """The text of a page.

    Args:
        title: Of the window.
        kind: What the page shows, for its head.
        body: What stands below the head.
        assets: The folder with the page's own ``page.css`` and ``page.js``, which follow those that all pages have.
        contents: Of the head, such as links.
    """
    style = _asset(_HERE / "page.css") + _asset(assets / "page.css")
    script = _asset(_HERE / "theme.js") + _asset(assets / "page.js")
    theme = element("button", "Dark", type="button", id="theme", aria_label="Dark colours", aria_pressed="false")
    return Template(_asset(_HERE / "page.html")).substitute(
        title=escape(title),
        policy=f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'",
        style=style,
        script=script,
        body=join(element("header", element("p", kind, class_="kind"), contents, theme), *body),
    )


@cache
def _asset(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
