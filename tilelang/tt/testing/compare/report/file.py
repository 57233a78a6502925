"""A report as JSON, and back: nothing is lost on the way."""

import json
import re
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Final, Literal

from ...._records import Json, Misfit, encode, schema_of, shape_of, shown
from ....errors import refusal
from ..model import Report

VERSION: Final = 1


@dataclass(frozen=True)
class ReportFile:
    """What a comparison of the same tests in two environments has found.

    Attributes:
        format: What kind of file this is.
        version: Of the format; another version may have other fields.
        passed: Whether the candidate has broken nothing, as the exit code of the comparison says.
        report: The comparison.
    """

    format: Literal["tilelang-tt.comparison"]
    version: Literal[1]
    passed: bool
    report: Report


def to_json(report: Report) -> str:
    """The text of a report. Halves of characters, which are no text, become the text of their numbers."""
    file = ReportFile("tilelang-tt.comparison", VERSION, not report.breaks, report)
    text = json.dumps(encode(file), indent=1, ensure_ascii=False)
    return re.sub("[\ud800-\udfff]", lambda half: f"\\\\u{ord(half[0]):04x}", text) + "\n"


def from_json(text: str | bytes, name: str = "report") -> Report:
    """The report of a text.

    Args:
        text: As :func:`to_json` gives it.
        name: What messages call it.

    Raises:
        ComparisonError: The text is something else; the message gives line and column, or the JSON pointer of a value.
    """
    try:
        value = json.loads(text)
        _check_version(value)
        file: ReportFile = shape_of(ReportFile).decode(value, (), [])
    except Misfit as misfit:
        pointer = "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in misfit.place)
        raise refusal("TT966", f"{name}: {pointer and pointer + ': '}{misfit}") from None
    except (ValueError, RecursionError) as error:
        raise refusal("TT966", f"{name}: {error}; expected the JSON that a comparison writes") from None
    if file.passed == file.report.breaks:
        raise refusal("TT966", f"{name}: /passed: found {json.dumps(file.passed)}; expected what the findings say")
    return file.report


def _check_version(value: Any) -> None:
    """Before anything else: what another version has is not known here."""
    if isinstance(value, dict) and value.get("version", VERSION) != VERSION:
        raise ValueError(f"found version {shown(value['version'])}; this package reads version {VERSION}")


def load(path: "str | PathLike[str]") -> Report:
    """The report of a file.

    Raises:
        ComparisonError: As :func:`from_json`.
        OSError: The file cannot be read.
    """
    return from_json(Path(path).read_bytes(), fspath(path))


def schema() -> Json:
    """The JSON Schema (2020-12) of a report, as a new dictionary."""
    return schema_of(ReportFile, f"urn:tilelang-tt:comparison:{VERSION}", "The report of a comparison")
