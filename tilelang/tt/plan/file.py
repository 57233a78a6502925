"""``tt.plan.json``: a plan as text, and back.

Equal plans are equal bytes. Reading one runs no code, and refuses whatever differs from the schema, with its place.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .._records import Json, Misfit, Place, Repeated, Texts, encode, shape_of, shown
from .._whole_file import whole_file
from ..errors import TTError, refusal
from .model import Kernel, Launch, PlanFile

if TYPE_CHECKING:
    from os import PathLike

    from .plan import Plan

FORMAT: Final = "tt.plan"
VERSION: Final = 1
# Objects without objects in them stand on one line up to this length, and always where all their values are scalars.
_LINE = 100
_COMPACT = json.JSONEncoder(ensure_ascii=False).encode


def to_json(plan: "Plan") -> str:
    """The text of a plan file.

    Raises:
        PlanError: The plan has a value that a plan file may not have; the message gives its JSON pointer.
    """
    value = encode(PlanFile(FORMAT, VERSION, plan.kernels, plan.provenance))
    try:
        _decode(value)
    except Misfit as misfit:
        raise _refused("plan", misfit) from None
    return _text(value) + "\n"


def from_json(text: str | bytes, name: str = "plan") -> "Plan":
    """The plan of a text.

    Args:
        text: What a plan file holds.
        name: What messages call it.

    Raises:
        PlanError: The text is no plan; the message gives line and column, and the JSON pointer of a value.
    """
    from .plan import Plan

    text = _unicode(text, name)
    value = _parse(text, name)
    try:
        file = _decode(value)
    except Misfit as misfit:
        raise _refused(f"{name}:{_line_and_column(text, _offset(text, misfit.place))}", misfit) from None
    return Plan(file.kernels, file.provenance)


def save(plan: "Plan", path: "str | PathLike[str]") -> None:
    """Write a plan file. A file that is there already stays as it is until the new one is complete.

    Raises:
        PlanError: As :func:`to_json`.
        OSError: The file cannot be written.
    """
    data = to_json(plan).encode()
    with whole_file(path) as file:
        file.write(data)


def load(path: "str | PathLike[str]") -> "Plan":
    """The plan of a file.

    Raises:
        PlanError: As :func:`from_json`.
        OSError: The file cannot be read.
    """
    return from_json(Path(path).read_bytes(), os.fspath(path))


def _unicode(text: str | bytes, name: str) -> str:
    if isinstance(text, str):
        return text
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        place = _line_and_column(text[: error.start].decode(), error.start)
        found = f"found the byte 0x{text[error.start]:02x}"
        raise refusal("TT801", f"{name}:{place}: {found}, which is no UTF-8; expected text in UTF-8") from None


def _parse(text: str, name: str) -> Any:
    try:
        return json.loads(text, parse_int=_integer, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        rest = text[error.pos :].rstrip()
        cut = error.msg.startswith("Unterminated") or any(
            word.startswith(rest) for word in ("true", "false", "null", "-")
        )
        hint = "; the text ends too early, so the file may be cut off" if cut else ""
        raise refusal("TT800", f"{name}:{error.lineno}:{error.colno}: {error.msg}; expected JSON{hint}") from None
    except RecursionError:
        raise refusal("TT802", f"{name}: values are nested too deeply; expected at most some ten levels") from None


def _integer(digits: str) -> int:
    return int(digits[:24])  # beyond 64 bits in any case, and Python refuses to convert thousands of digits


def _object(pairs: list[tuple[str, Any]]) -> Json:
    value = dict(pairs)
    return value if len(value) == len(pairs) else Repeated(pairs)


def _decode(value: Any) -> PlanFile:
    _check_version(value)
    texts: Texts = []
    file: PlanFile = shape_of(PlanFile).decode(value, (), texts)
    for misfit in _contradictions(file, texts):
        raise misfit
    return file


def _check_version(value: Any) -> None:
    """Before anything else: what another version has is not known here.

    A second version brings one function for each step, from the JSON of one version to that of the next, and they are
    applied here.
    """
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        found = f'"format": {shown(value["format"])}' if isinstance(value, dict) and "format" in value else shown(value)
        raise Misfit("TT803", (), f'found {found}; expected an object with "format": "{FORMAT}"')
    version = value.get("version", VERSION)
    if type(version) is not int or version != VERSION:
        raise Misfit(
            "TT804",
            ("version",),
            f"found version {shown(version)}; this package reads version {VERSION}: make the plan again from "
            "its kernel, or install the tilelang-tt that made it",
        )


def _contradictions(file: PlanFile, texts: Texts) -> Iterator[Misfit]:
    """What each field may be, but not beside the others."""
    yield from _unknown_names(file, texts)
    names: list[str] = []
    for index, kernel in enumerate(file.kernels):
        place: Place = ("kernels", index)
        if kernel.name in names:
            yield Misfit("TT815", (*place, "name"), f'found a second kernel "{kernel.name}"; expected different names')
        names.append(kernel.name)
        for number, launch in enumerate(kernel.launches):
            yield from _launch_contradictions(kernel, launch, (*place, "launches", number))
    if [origin.kernel for origin in file.provenance.kernels] != names:
        place = ("provenance", "kernels")
        yield Misfit("TT815", place, f"found other kernels; expected those of the plan: {', '.join(names)}")
    for index, (origin, kernel) in enumerate(zip(file.provenance.kernels, file.kernels, strict=False)):
        found, expected = len(origin.warning_sources), len(kernel.warnings)
        if found != expected:
            place = ("provenance", "kernels", index, "warning_sources")
            yield Misfit("TT815", place, f"found {found} items; expected one for each of {expected} warnings")


def _unknown_names(file: PlanFile, texts: Texts) -> Iterator[Misfit]:
    for place, text in texts:
        known = set(file.kernels[int(place[1])].shape_variables)
        if "tile_range" in place:
            known.add("core_id")
        if "traffic" in place:
            known.update(("bx", "by", "bz"), _loops_before(file, place))
        for name in re.findall(r"[A-Za-z_]\w*", text):
            if name not in known and name not in ("min", "max"):
                yield Misfit(
                    "TT812",
                    place,
                    f'found "{name}" in {shown(text)}; expected {", ".join(sorted(known)) or "a number"}',
                )


def _loops_before(file: PlanFile, place: Place) -> list[str]:
    """The loops whose variables a size of the traffic may use."""
    _, kernel, _, launch, _, group, index, *rest = place
    traffic = file.kernels[int(kernel)].launches[int(launch)].traffic
    entry = (traffic.transfers if group == "transfers" else traffic.products)[int(index)]
    loops = entry.loops[: int(rest[1])] if rest[0] == "loops" else entry.loops
    return [loop.name for loop in loops]


def _launch_contradictions(kernel: Kernel, launch: Launch, place: Place) -> Iterator[Misfit]:
    if bool(launch.tile_runs) == bool(launch.tile_range):
        found = "both" if launch.tile_runs else "neither"
        yield Misfit("TT815", place, f"found {found} of tile_runs and tile_range; expected one of them")
    num_cores = sum((x1 - x0 + 1) * (y1 - y0 + 1) for x0, y0, x1, y1 in kernel.inputs.cores)
    for index, run in enumerate(launch.tile_runs):
        if run.core >= num_cores:
            yield Misfit("TT815", (*place, "tile_runs", index, "core"), f"found {run.core}; expected below {num_cores}")
    ranks = {buffer.param_index: len(buffer.shape) for buffer in kernel.buffers}
    for index, transfer in enumerate(launch.traffic.transfers):
        rank = ranks.get(transfer.param_index)
        expected = [rank, rank] if transfer.reason is None else [0, 0]
        if rank is None or [len(transfer.start), len(transfer.extent)] != expected:
            found = f"parameter {transfer.param_index}, {len(transfer.start)} starts and {len(transfer.extent)} extents"
            yield Misfit(
                "TT815",
                (*place, "traffic", "transfers", index),
                f"found {found}; expected a tensor, and one of each for every dimension unless there is a reason",
            )
    num_buffers = len(launch.on_chip.circular_buffers)
    for index, accumulator in enumerate(launch.on_chip.accumulators):
        if accumulator.circular_buffer >= num_buffers:
            yield Misfit(
                "TT815",
                (*place, "on_chip", "accumulators", index, "circular_buffer"),
                f"found {accumulator.circular_buffer}; expected below {num_buffers}, the number of circular buffers",
            )


def _text(value: Any, indent: str = "") -> str:
    """JSON for people: what has no object in it on one line, unless it is an object that is long."""
    inside = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    if not any(_has_object(item) for item in inside):
        line = _COMPACT(value)
        if len(line) <= _LINE or not isinstance(value, dict) or not any(isinstance(item, list) for item in inside):
            return line
    deeper = f"\n{indent}  "
    items = [_text(item, f"{indent}  ") for item in inside]
    if isinstance(value, dict):
        named = [f"{json.dumps(name)}: {item}" for name, item in zip(value, items, strict=True)]
        return f"{{{deeper}{f',{deeper}'.join(named)}\n{indent}}}"
    return f"[{deeper}{f',{deeper}'.join(items)}\n{indent}]"


def _has_object(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(_has_object(item) for item in value))


def _refused(name: str, misfit: Misfit) -> TTError:
    pointer = "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in misfit.place)
    return refusal(misfit.code, f"{name}: {pointer + ': ' if pointer else ''}{misfit}")


def _line_and_column(text: str, offset: int) -> str:
    before = text[:offset]
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


_SPACE = re.compile(r"[ \t\n\r]*")
_SKIP = json.JSONDecoder(parse_int=str).raw_decode


def _offset(text: str, place: Place) -> int:
    """Where a value begins, in a text that is JSON; of two fields of one name the second."""
    offset = _after_space(text, 0)
    for key in place:
        offset = dict(_items(text, offset))[key]
    return offset


def _items(text: str, offset: int) -> Iterator[tuple[str | int, int]]:
    """The names, or positions, of what is in the object or array that begins there, and where each begins."""
    is_object = text[offset] == "{"
    index = 0
    while text[offset] not in "}]":
        offset = _after_space(text, offset + 1)
        key: str | int = index
        if is_object:
            key, offset = _SKIP(text, offset)
            offset = _after_space(text, _after_space(text, offset) + 1)
        yield key, offset
        offset = _after_space(text, _SKIP(text, offset)[1])
        index += 1


def _after_space(text: str, offset: int) -> int:
    found = _SPACE.match(text, offset)
    assert found is not None
    return found.end()
