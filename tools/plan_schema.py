"""Writes the JSON Schema of tt.plan.json into docs/, and its tables into docs/plan_file.md.

With --check it only says whether they are up to date.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tilelang.tt.plan import schema

DOCS = Path(__file__).parents[1] / "docs"
SCHEMA = DOCS / "plan-schema.json"
PAGE = DOCS / "plan_file.md"
BEGIN, END = "<!-- begin: written by tools/plan_schema.py -->\n", "<!-- end -->\n"


def tables(whole: dict[str, Any]) -> Iterator[str]:
    """A table for the whole, and one for each record under a heading, as MyST."""
    for name, definition in {"": whole, **whole["$defs"]}.items():
        if "properties" not in definition:
            continue
        if name:
            yield f"\n### {name}\n\n{definition['description']}\n"
        yield "\n| field | type | meaning |\n|---|---|---|\n"
        for field, node in definition["properties"].items():
            yield f"| `{field}` | {type_of(node)} | {node['description']} |\n"
    yield "\n"


def type_of(node: dict[str, Any]) -> str:
    """What a value may be, in words."""
    if "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        return f"[{name.lower()}](attributes.md#sizes)" if name in ("Size", "Offset") else f"[{name}](#{name.lower()})"
    if "anyOf" in node:
        return " or ".join(type_of(one) for one in node["anyOf"])
    if "const" in node:
        return f"`{json.dumps(node['const'])}`"
    if "enum" in node:
        return ", ".join(f"`{json.dumps(value)}`" for value in node["enum"])
    if node["type"] == "array":
        return array_of(node)
    if node["type"] == "integer":
        return "positive int" if node["minimum"] > 0 else "int"
    return {"boolean": "bool", "null": "null"}.get(node["type"], node["type"])


def array_of(node: dict[str, Any]) -> str:
    item = type_of(node["items"])
    if "maxItems" in node:
        return f"list of {node['maxItems']} {item}"
    return f"list of {item}" if "minItems" not in node else f"non-empty list of {item}"


def main() -> int:
    whole = schema()
    text = PAGE.read_text(encoding="utf-8")
    start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    files = {
        SCHEMA: json.dumps(whole, indent=2) + "\n",
        PAGE: text[:start] + "".join(tables(whole)) + text[end:],
    }
    stale = [path for path, new in files.items() if not path.exists() or path.read_text(encoding="utf-8") != new]
    if "--check" not in sys.argv:
        for path in stale:
            path.write_text(files[path], encoding="utf-8")
        return 0
    for path in stale:
        print(f"{path} is out of date; run python tools/plan_schema.py", file=sys.stderr)
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main())
