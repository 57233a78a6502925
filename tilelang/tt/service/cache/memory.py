"""The last results in memory: by what a caller has given, which is quick to look up, and by key."""

import json
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from ... import passes
from ...device import Device
from ..artifact import Artifact
from ..request import Request

if TYPE_CHECKING:
    from tvm.ir import IRModule
    from tvm.tirx import PrimFunc

_Value = TypeVar("_Value")


class Call(NamedTuple):
    """What a caller has given, as far as a result depends on it.

    While something refers to ``func``, no other object has its handle, and the host, which changes in place only what
    nobody else refers to, does not change it.
    """

    func: "PrimFunc"
    identity: Hashable

    @classmethod
    def of(
        cls,
        kernel: "IRModule | PrimFunc",
        device: "str | Device | None",
        options: Mapping[str, Any] | None,
        name: str | None,
    ) -> "Call | None":
        """None for arguments of kinds that only :meth:`Request.of` knows, or refuses.

        Raises:
            ArgumentError: ``kernel`` is neither an IRModule nor a PrimFunc.
            BufferLookupError: The module has no kernel of that name, or several and no name is given.
        """
        found, func = passes.kernel_of(kernel, name)
        if not isinstance(device, (str, Device, type(None))):
            return None
        try:
            given = {key: value for key, value in options.items() if value is not None} if options else {}
            text = json.dumps(given, sort_keys=True) if given else "{}"
        except (AttributeError, TypeError, ValueError):
            return None
        return cls(func, (func.__chandle__(), found, device, text))


class _Last(Generic[_Value]):
    """A mapping that forgets what was used longest ago. Threads may share it: each operation on it is one of C."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: OrderedDict[Hashable, _Value] = OrderedDict()

    def get(self, key: Hashable) -> _Value | None:
        try:
            value = self._values[key]
            self._values.move_to_end(key)
        except KeyError:
            return None
        return value

    def put(self, key: Hashable, value: _Value) -> None:
        self._values[key] = value
        if len(self._values) > self._limit:
            self._values.popitem(last=False)

    def clear(self) -> None:
        self._values.clear()


class Memory:
    """Results of this process.

    Args:
        limit: How many.
    """

    def __init__(self, limit: int) -> None:
        self._by_call: _Last[tuple[Call, Request, Artifact]] = _Last(limit)
        self._by_key: _Last[Artifact] = _Last(limit)

    def recall(self, call: Call) -> tuple[Request, Artifact] | None:
        """What was remembered of the same call."""
        found = self._by_call.get(call.identity)
        return found and found[1:]

    def remember(self, call: Call, request: Request, artifact: Artifact) -> None:
        """Keep what a call has given."""
        self._by_call.put(call.identity, (call, request, artifact))

    def get(self, key: str) -> Artifact | None:
        """The result of a key."""
        return self._by_key.get(key)

    def put(self, artifact: Artifact) -> None:
        """Keep a result."""
        self._by_key.put(artifact.entry.key, artifact)

    def clear(self) -> None:
        """Forget all."""
        self._by_call.clear()
        self._by_key.clear()
