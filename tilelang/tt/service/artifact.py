"""The result of a compilation, ready for use."""

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from ..plan import Plan
from .entry import Entry
from .transport import decode

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc

    from ..executor import Executable

_Part = TypeVar("_Part")


class Artifact:
    """An entry whose parts are decoded when they are first asked for. It never changes, and threads may share it.

    Args:
        entry: The result as data.
        again: What gives an equal entry where this one, of whatever origin, cannot be decoded.

    Attributes:
        entry: The result as data.
    """

    def __init__(self, entry: Entry, again: Callable[[Exception], Entry] | None = None) -> None:
        self.entry = entry
        self._again = again

    @cached_property
    def plan(self) -> Plan:
        """Every decision about the kernel; it says nothing about places in files, as equal kernels share it."""
        return self._decoded(lambda entry: Plan.from_json(entry.plan, f"the plan of {entry.name}"))

    @cached_property
    def func(self) -> "PrimFunc":
        """The kernel with all results of inference."""
        return self._decoded(lambda entry: decode(entry.func))

    @cached_property
    def program(self) -> "PrimFunc":
        """What one core runs."""
        return self._decoded(lambda entry: decode(entry.program))

    @cached_property
    def executable(self) -> "Executable":
        """What runs on the CPU; nothing is compiled for it."""
        from ..executor import Executable

        return Executable(self.func, self.program, self.plan)

    def _decoded(self, read: Callable[[Entry], _Part]) -> _Part:
        try:
            return read(self.entry)
        except Exception as error:  # what a host raises of a text that is no IR is no class of ours
            if self._again is None:
                raise
            self.entry = self._again(error)
            return read(self.entry)
