"""The result of a compilation, ready for use."""

from functools import cached_property
from typing import TYPE_CHECKING

from ..plan import Plan
from .entry import Entry
from .transport import decode

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc

    from ..executor import Executable


class Artifact:
    """An entry whose parts are decoded when they are first asked for. It never changes, and threads may share it.

    Attributes:
        entry: The result as data.
    """

    def __init__(self, entry: Entry) -> None:
        self.entry = entry

    @cached_property
    def plan(self) -> Plan:
        """Every decision about the kernel; it says nothing about places in files, as equal kernels share it."""
        return Plan.from_json(self.entry.plan, f"the plan of {self.entry.name}")

    @cached_property
    def func(self) -> "PrimFunc":
        """The kernel with all results of inference."""
        return decode(self.entry.func)

    @cached_property
    def program(self) -> "PrimFunc":
        """What one core runs."""
        return decode(self.entry.program)

    @cached_property
    def executable(self) -> "Executable":
        """What runs on the CPU; nothing is compiled for it."""
        from ..executor import Executable

        return Executable(self.func, self.program, self.plan)
