"""The plan of a module: every decision about its kernels, as one value."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import refusal
from .model import Buffer, Kernel, Provenance

if TYPE_CHECKING:
    from os import PathLike

    import numpy as np
    import numpy.typing as npt

    from .compare import Comparison, Diff
    from .findings import CheckReport


@dataclass(frozen=True)
class Plan:
    """All that was decided about the kernels of a module.

    Made by :func:`make_plan`, or read from a file by :meth:`load`.

    Attributes:
        kernels: In the order of their names.
        provenance: What made the plan.
    """

    kernels: tuple[Kernel, ...]
    provenance: Provenance

    def __str__(self) -> str:
        """What ``tilelang-tt show`` shows: work of each core, memory and tensors of every kernel."""
        from .text import describe

        return describe(self)

    def kernel(self, name: str | None = None) -> Kernel:
        """The kernel of that name; without a name the only one.

        Raises:
            BufferLookupError: There is none of that name, or several and no name is given.
        """
        known = ", ".join(kernel.name for kernel in self.kernels)
        found = [kernel for kernel in self.kernels if name in (None, kernel.name)]
        if len(found) == 1:
            return found[0]
        if found:
            raise refusal("TT871", f"the plan has {len(found)} kernels; expected the name of one of them: {known}")
        raise refusal("TT870", f"the plan has no kernel {name}; kernels: {known}")

    def check(self) -> "CheckReport":
        """Execute the plan: walk the work tiles of every core, and the pages of every tensor.

        The result lists all that is wrong, and counts what was proven: that each work tile is executed exactly once,
        each page lies in one place inside of its bank, and each element in one place of one page. It needs no TVM, and
        its time does not depend on how large grids and interleaved tensors are; see :doc:`/check`.

        Raises:
            PlanError: The plan has sizes that depend on shape variables.
        """
        from .check import check

        return check(self)

    def buffer(self, name: str | int, kernel: str | None = None) -> Buffer:
        """The tensor of that name, or at that position among all parameters of the kernel.

        Raises:
            BufferLookupError: There is none, or two have that name, or as :meth:`kernel`.
        """
        buffers = self.kernel(kernel).buffers
        found = [buffer for buffer in buffers if name in (buffer.name, buffer.param_index)]
        if len(found) == 1:
            return found[0]
        known = ", ".join(f"{buffer.name} (parameter {buffer.param_index})" for buffer in buffers) or "none"
        if found:
            raise refusal("TT107", f"{len(found)} tensors are named {name}; give an index instead. Tensors: {known}")
        raise refusal("TT106", f"no tensor parameter {name}; tensors: {known}")

    def tilize(
        self, array: "npt.NDArray[Any]", buffer: "Buffer | str | int", kernel: str | None = None
    ) -> "npt.NDArray[np.uint8]":
        """The bytes that a tensor has in its banks; see :func:`tilelang.tt.plan.tilize.tilize`.

        Args:
            array: The tensor's elements.
            buffer: One of the plan's buffers, or what :meth:`buffer` takes.
            kernel: The buffer's kernel where the plan has several.
        """
        from .tilize import tilize

        return tilize(buffer if isinstance(buffer, Buffer) else self.buffer(buffer, kernel), array)

    def untilize(
        self, banks: "npt.NDArray[np.uint8]", buffer: "Buffer | str | int", kernel: str | None = None
    ) -> "npt.NDArray[Any]":
        """The tensor whose bytes lie in banks; see :func:`tilelang.tt.plan.tilize.untilize`.

        Args:
            banks: What :meth:`tilize` gives.
            buffer: As there.
            kernel: As there.
        """
        from .tilize import untilize

        return untilize(buffer if isinstance(buffer, Buffer) else self.buffer(buffer, kernel), banks)

    def diff(self, other: "Plan") -> "Diff":
        """What differs between this plan and another one, and what both cost; provenance is left out."""
        from .compare import diff

        return diff(self, other)

    def save(self, path: "str | PathLike[str]") -> None:
        """Write the plan as ``tt.plan.json``. A file that is there already stays until the new one is complete.

        Raises:
            PlanError: A record has a value that a plan file may not have; the message gives its JSON pointer.
            OSError: The file cannot be written.
        """
        from .file import save

        save(self, path)

    @staticmethod
    def load(path: "str | PathLike[str]") -> "Plan":
        """The plan of a file that :meth:`save` has written. It runs no code and needs no TVM.

        Raises:
            PlanError: The file is no plan; the message gives line and column, and the JSON pointer of a value.
            OSError: The file cannot be read.
        """
        from .file import load

        return load(path)

    def to_json(self) -> str:
        """The text that :meth:`save` writes.

        Raises:
            PlanError: As :meth:`save`.
        """
        from .file import to_json

        return to_json(self)

    @staticmethod
    def from_json(text: str | bytes, name: str = "plan") -> "Plan":
        """The plan of a text that :meth:`to_json` has given.

        Args:
            text: A string, or bytes in UTF-8.
            name: What messages call it.

        Raises:
            PlanError: As :meth:`load`.
        """
        from .file import from_json

        return from_json(text, name)

    def to_html(self, path: "str | PathLike[str]", comparison: "Comparison | None" = None) -> None:
        """Write the plan as one page of HTML, which needs no other file and no network.

        Args:
            path: The file to write.
            comparison: Shown below the plan: what :func:`tilelang.tt.plan.what_if` or :func:`tilelang.tt.plan.compare`
                gives.

        Raises:
            PlanError: A kernel depends on shape variables.
            OSError: The file cannot be written.
        """
        from .page import to_html

        Path(path).write_text(to_html(self, comparison), encoding="utf-8", newline="\n")

    def _repr_html_(self) -> str | None:
        """The page in a frame, for notebooks; a plan of symbolic sizes has none."""
        from .page import to_frame

        return None if any(kernel.shape_variables for kernel in self.kernels) else to_frame(self)
