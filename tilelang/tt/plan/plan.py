"""The plan of a module: every decision about its kernels, as one value."""

from dataclasses import dataclass

from ..errors import refusal
from .model import Kernel, Provenance


@dataclass(frozen=True)
class Plan:
    """All that was decided about the kernels of a module.

    Made by :func:`make_plan`.

    Attributes:
        kernels: In the order of their names.
        provenance: What made the plan.
    """

    kernels: tuple[Kernel, ...]
    provenance: Provenance

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
