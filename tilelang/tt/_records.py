"""What a file of records may hold, from their type hints and docstrings: to JSON, from JSON, and as JSON Schema.

The hints that are understood: ``int`` (a natural number, or what ``AtLeast`` says), ``float``, ``str``, ``bool``,
``Literal``, ``Size``, a record, ``tuple`` of one of these, ``Mapping`` and ``Counter`` by text, and each of them or
``None``. Any other is an error of this package.
"""

import functools
import inspect
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from math import isfinite
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Protocol, TypeAlias, Union, get_args, get_origin, get_type_hints

from . import _native
from .errors import DeviceError, TTError

LARGEST = 2**63 - 1
_DIALECT = "https://json-schema.org/draft/2020-12/schema"

Place: TypeAlias = tuple[str | int, ...]
"""Names of members and positions in arrays, from the outermost one on."""
Texts: TypeAlias = list[tuple[Place, str]]
"""Sizes that depend on variables, and where they stand."""
Json: TypeAlias = dict[str, Any]


class AtLeast(NamedTuple):
    """The least value of an integer, or the least length of a tuple; the largest integer is always that of 64 bits."""

    minimum: int


class Misfit(Exception):  # noqa: N818  # never leaves the package: who reads a file makes a refusal of it
    """A value that a record may not have there. The code is that of a plan."""

    def __init__(self, code: str, place: Place, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.place = place


class Repeated(dict[str, Any]):
    """An object of JSON that has a name twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        counts = Counter(name for name, _ in pairs)
        self.name = next(name for name in counts if counts[name] > 1)


class Shape(Protocol):
    """What a value may be."""

    def decode(self, value: Any, place: Place, texts: Texts) -> Any:
        """The value as the records have it; a :class:`Misfit` where it may not be so.

        Adds the texts of sizes to the list: which names they may use is known when all is read.
        """

    def schema(self, definitions: Json) -> Json:
        """The same as JSON Schema; records go to the definitions."""


@dataclass(frozen=True)
class Integer:
    """A number of 64 bits."""

    minimum: int = 0

    def decode(self, value: Any, place: Place, texts: Texts) -> int:
        if type(value) is not int:
            raise _mistyped(value, place, "an integer")
        if not self.minimum <= value <= LARGEST:
            raise Misfit("TT809", place, f"found {value}; expected {self.minimum} to {LARGEST}")
        return value

    def schema(self, definitions: Json) -> Json:
        return {"type": "integer", "minimum": self.minimum, "maximum": LARGEST}


@dataclass(frozen=True)
class Number:
    """A number that is no count, such as one of seconds."""

    def decode(self, value: Any, place: Place, texts: Texts) -> float:
        if type(value) not in (int, float) or not isfinite(value):
            raise _mistyped(value, place, "a number")
        return float(value)

    def schema(self, definitions: Json) -> Json:
        return {"type": "number"}


@dataclass(frozen=True)
class Text:
    """Text that UTF-8 can hold."""

    def decode(self, value: Any, place: Place, texts: Texts) -> str:
        if type(value) is not str:
            raise _mistyped(value, place, "a string")
        if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise Misfit("TT801", place, f"found {json.dumps(value)}, half of a character; expected text of Unicode")
        return value

    def schema(self, definitions: Json) -> Json:
        return {"type": "string"}


@dataclass(frozen=True)
class Flag:
    """True or false."""

    def decode(self, value: Any, place: Place, texts: Texts) -> bool:
        if type(value) is not bool:
            raise _mistyped(value, place, "true or false")
        return value

    def schema(self, definitions: Json) -> Json:
        return {"type": "boolean"}


@dataclass(frozen=True)
class Choice:
    """One of several strings or integers."""

    values: tuple[str | int, ...]

    def decode(self, value: Any, place: Place, texts: Texts) -> str | int:
        for known in self.values:
            if value == known and type(value) is type(known):
                return known
        if type(value) is not type(self.values[0]):
            raise _mistyped(value, place, self._known())
        raise Misfit("TT810", place, f"found {shown(value)}; expected {self._known()}{_nearest(value, self.values)}")

    def schema(self, definitions: Json) -> Json:
        return {"const": self.values[0]} if len(self.values) == 1 else {"enum": list(self.values)}

    def _known(self) -> str:
        known = ", ".join(json.dumps(value) for value in self.values)
        return known if len(self.values) == 1 else f"one of: {known}"


@dataclass(frozen=True)
class SizeOrText:
    """A number, or a text over variables."""

    minimum: int = 0
    # The grammar of sizes without its parentheses, which a regular expression cannot count.
    _OPERAND = r" *(?:(?:-|\(|(?:min|max) *\() *)*(?:[0-9]+|[A-Za-z_][A-Za-z0-9_]*) *(?:\) *)*"
    _PATTERN = rf"^{_OPERAND}(?:(?:\+|-|\*|//|%|,){_OPERAND})*$"

    def decode(self, value: Any, place: Place, texts: Texts) -> int | str:
        if type(value) is int:
            return Integer(self.minimum).decode(value, place, texts)
        if type(value) is not str:
            raise _mistyped(value, place, "an integer or a text over shape variables")
        Text().decode(value, place, texts)
        try:
            _native.simplify(value, {})
        except TTError as error:
            # A syntax error repeats the text in front of its reason.
            reason = str(error).removeprefix(f"{error.code}: ").rpartition("is no size: ")[2]
            raise Misfit("TT811", place, f"found {shown(value)}, which is no size: {reason}") from None
        texts.append((place, value))
        return value

    def schema(self, definitions: Json) -> Json:
        name = "Offset" if self.minimum < 0 else "Size"
        definitions[name] = {
            "description": "A number, or a text over variables in a small grammar, such as `(m + 31) // 32`.",
            "oneOf": [Integer(self.minimum).schema(definitions), {"type": "string", "pattern": self._PATTERN}],
        }
        return {"$ref": f"#/$defs/{name}"}


@dataclass(frozen=True)
class Nullable:
    """A value, or null."""

    item: Shape

    def decode(self, value: Any, place: Place, texts: Texts) -> Any:
        return None if value is None else self.item.decode(value, place, texts)

    def schema(self, definitions: Json) -> Json:
        return {"anyOf": [self.item.schema(definitions), {"type": "null"}]}


@dataclass(frozen=True)
class Array:
    """Values of one shape, as many as there may be."""

    item: Shape
    minimum: int = 0
    maximum: int | None = None

    def decode(self, value: Any, place: Place, texts: Texts) -> tuple[Any, ...]:
        if type(value) is not list:
            raise _mistyped(value, place, "an array")
        if len(value) < self.minimum or (self.maximum is not None and len(value) > self.maximum):
            expected = f"{self.minimum} or more" if self.maximum is None else self.maximum
            raise Misfit("TT813", place, f"found {shown(value)}; expected {expected} items")
        decode = self.item.decode
        return tuple([decode(item, (*place, index), texts) for index, item in enumerate(value)])

    def schema(self, definitions: Json) -> Json:
        out: Json = {"type": "array", "items": self.item.schema(definitions)}
        if self.minimum:
            out["minItems"] = self.minimum
        if self.maximum is not None:
            out["maxItems"] = self.maximum
        return out


@dataclass(frozen=True)
class Table:
    """Values of one shape by name."""

    make: type
    name: Shape
    item: Shape

    def decode(self, value: Any, place: Place, texts: Texts) -> Any:
        if type(value) is not dict:
            raise _mistyped(value, place, "an object")
        names = [self.name.decode(name, (*place, name), texts) for name in value]
        items = [self.item.decode(item, (*place, name), texts) for name, item in value.items()]
        return self.make(dict(zip(names, items, strict=True)))

    def schema(self, definitions: Json) -> Json:
        names = self.name.schema(definitions)
        return {"type": "object", "propertyNames": names, "additionalProperties": self.item.schema(definitions)}


@dataclass(frozen=True)
class Record:
    """A record: all its fields, and no others."""

    record: type
    members: dict[str, Shape]

    def decode(self, value: Any, place: Place, texts: Texts) -> Any:
        if type(value) is not dict:
            raise _mistyped(value, place, "an object")
        if value.keys() != self.members.keys():
            raise self._misnamed(value, place)
        decoded = [shape.decode(value[name], (*place, name), texts) for name, shape in self.members.items()]
        try:
            return self.record(*decoded)
        except DeviceError as error:
            raise Misfit("TT814", place, str(error).removeprefix(f"{error.code}: ")) from None

    def schema(self, definitions: Json) -> Json:
        name = self.record.__name__
        if name not in definitions:
            definitions[name] = {}  # its place; the records that it has follow
            definitions[name] = self.object_schema(definitions)
        return {"$ref": f"#/$defs/{name}"}

    def object_schema(self, definitions: Json) -> Json:
        """The schema itself, with a description of each field."""
        described = _descriptions(self.record)
        properties = {
            name: {"description": described[field.name], **shape.schema(definitions)}
            for field, (name, shape) in zip(fields(self.record), self.members.items(), strict=True)
        }
        return {
            "description": _plain(inspect.cleandoc(self.record.__doc__ or "").partition("\n")[0]),
            "type": "object",
            "properties": properties,
            "required": list(self.members),
            "additionalProperties": False,
        }

    def _misnamed(self, value: Json, place: Place) -> Misfit:
        for name in value:
            if name not in self.members:
                known = tuple(self.members)
                hint = _nearest(name, known) or f"; expected {', '.join(known)}"
                return Misfit("TT806", (*place, name), f"found a field of that name{hint}")
        missing = [name for name in self.members if name not in value]
        return Misfit(
            "TT807", place, f"found no {', '.join(missing)}; expected all fields, null where there is nothing"
        )


@functools.cache
def shape_of(record: type) -> Record:
    """The shape of a record, from its type hints."""
    hints = get_type_hints(record, include_extras=True)
    return Record(record, {json_name(field): _shape(hints[field.name]) for field in fields(record)})


def json_name(field: Any) -> str:
    """The name of a record's field in JSON, which gives the unit where the Python name does not."""
    return str(field.metadata.get("json", field.name))


def encode(value: Any) -> Any:
    """A record as JSON has it."""
    if is_dataclass(value):
        return {json_name(field): encode(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {name: encode(item) for name, item in value.items()}
    return [encode(item) for item in value] if isinstance(value, tuple) else value


def schema_of(record: type, identifier: str, title: str) -> Json:
    """The JSON Schema (2020-12) of a file that holds one record, as a new dictionary."""
    definitions: Json = {}
    whole = shape_of(record).object_schema(definitions)
    return {"$schema": _DIALECT, "$id": identifier, "title": title, **whole, "$defs": definitions}


def shown(value: Any) -> str:
    """A value in a message."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"an array of {len(value)}"
    if isinstance(value, str):
        return json.dumps(value if len(value) <= 60 else f"{value[:60]}...", ensure_ascii=False)
    return json.dumps(value) if value is None or isinstance(value, bool | int | float) else type(value).__name__


def _shape(hint: Any) -> Shape:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in _PLAIN:
        return _PLAIN[hint]
    if isinstance(hint, type) and is_dataclass(hint):
        return shape_of(hint)
    if origin is Literal:
        return Choice(arguments)
    if origin is Annotated:
        return _annotated(_shape(arguments[0]), arguments[1])
    if origin is tuple and arguments[1:] == (...,):
        return Array(_shape(arguments[0]))
    if origin is tuple and len(set(arguments)) == 1:
        return Array(_shape(arguments[0]), len(arguments), len(arguments))
    if origin is Mapping:
        return Table(dict, _shape(arguments[0]), _shape(arguments[1]))
    if origin is Counter:
        return Table(Counter, _shape(arguments[0]), Integer())
    if origin in (Union, UnionType):
        return _union(arguments)
    raise NotImplementedError(f"{hint} in a record")


_PLAIN: dict[Any, Shape] = {int: Integer(), float: Number(), str: Text(), bool: Flag()}


def _annotated(shape: Shape, bound: AtLeast) -> Shape:
    if isinstance(shape, Integer):
        return Integer(bound.minimum)
    assert isinstance(shape, Array)
    return Array(shape.item, bound.minimum, shape.maximum)


def _union(arguments: tuple[Any, ...]) -> Shape:
    shapes = [_shape(argument) for argument in arguments if argument is not NoneType]
    number = shapes[0]
    is_size = isinstance(number, Integer) and shapes[1:] == [Text()]
    shape = SizeOrText(number.minimum) if is_size and isinstance(number, Integer) else number
    assert len(shapes) == 1 or is_size
    return Nullable(shape) if NoneType in arguments else shape


def _mistyped(value: Any, place: Place, expected: str) -> Misfit:
    if isinstance(value, Repeated):
        return Misfit("TT805", (*place, value.name), "found two fields of that name; expected one")
    return Misfit("TT808", place, f"found {shown(value)}; expected {expected}")


def _nearest(name: str | int, known: tuple[str | int, ...]) -> str:
    from difflib import get_close_matches  # slow to import, and only a refusal needs it

    found = get_close_matches(str(name), [str(one) for one in known], 1)
    return f"; did you mean {json.dumps(found[0])}?" if found else ""


def _descriptions(record: type) -> dict[str, str]:
    """What the docstring of a record says of its fields."""
    _, _, attributes = inspect.cleandoc(record.__doc__ or "").partition("Attributes:\n")
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", attributes, re.MULTILINE)
    return {name: _plain(re.sub(r"\s+", " ", text)) for name, text in entries}


def _plain(text: str) -> str:
    """The text of a docstring without its marks of reStructuredText."""
    return re.sub(r"(?::\w+:)?(`+)(.+?)\1", r"`\2`", text)
