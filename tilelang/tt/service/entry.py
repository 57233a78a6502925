"""What a compilation gives, as data: what a cache stores, and what a worker sends."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from .origin import origin


@dataclass(frozen=True)
class Entry:
    """The result of one compilation.

    Attributes:
        key: Of the request; see :mod:`tilelang.tt.service.key`.
        name: Of the kernel.
        plan: As :meth:`tilelang.tt.plan.Plan.to_json` writes it, without places in files.
        func: The kernel with all results of inference, as :mod:`tilelang.tt.service.transport` encodes it.
        program: What one core runs, likewise.
        seconds: What each stage took, and each pass in it.
        search: The search that found it: its ``steps``, and its ``ending``.
        origin: What has compiled it; see :mod:`tilelang.tt.service.origin`.
    """

    key: str
    name: str
    plan: str
    func: str
    program: str
    seconds: dict[str, float]
    search: dict[str, Any] | None = None
    origin: dict[str, str] = field(default_factory=origin)

    def to_bytes(self) -> bytes:
        """What :meth:`from_bytes` reads: JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Entry":
        """The entry that :meth:`to_bytes` has written.

        Raises:
            ValueError: The bytes are something else.
        """
        try:
            fields = json.loads(data)
            entry = cls(**fields)
        except (RecursionError, TypeError) as error:
            raise ValueError(f"no entry: {error}") from error
        texts = (entry.key, entry.name, entry.plan, entry.func, entry.program, *_values(entry.origin))
        if not all(isinstance(text, str) for text in texts) or "origin" not in fields:
            raise ValueError("no entry: expected texts")
        if not all(isinstance(seconds, float) for seconds in _values(entry.seconds)):
            raise ValueError("no entry: expected seconds")
        if not isinstance(entry.search, dict | None):
            raise ValueError("no entry: expected a search")
        return entry


def _values(mapping: Any) -> Iterable[Any]:
    return mapping.values() if isinstance(mapping, dict) else [None]
