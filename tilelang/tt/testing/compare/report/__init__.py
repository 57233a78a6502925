"""A comparison, told: as JSON that programs read, as Markdown, as a page of HTML, and in a terminal."""

from .file import from_json, load, schema, to_json
from .markdown import to_markdown
from .page import to_html
from .terminal import lines

__all__ = ["from_json", "lines", "load", "schema", "to_html", "to_json", "to_markdown"]
