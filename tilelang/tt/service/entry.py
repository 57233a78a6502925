"""What a compilation gives, as data: what a cache stores, and what a worker sends."""

import json
from dataclasses import asdict, dataclass
from typing import Any


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
    """

    key: str
    name: str
    plan: str
    func: str
    program: str
    seconds: dict[str, float]
    search: dict[str, Any] | None = None

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
            entry = cls(**json.loads(data))
        except (RecursionError, TypeError) as error:
            raise ValueError(f"no entry: {error}") from error
        texts = (entry.key, entry.name, entry.plan, entry.func, entry.program)
        seconds = entry.seconds.values() if isinstance(entry.seconds, dict) else [None]
        if entry.search is not None and not isinstance(entry.search, dict):
            raise ValueError("no entry: its search has the wrong type")
        if not all(isinstance(text, str) for text in texts) or not all(isinstance(each, float) for each in seconds):
            raise ValueError("no entry: a value has the wrong type")
        return entry
