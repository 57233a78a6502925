"""A kernel that has been compiled, in the process that executes it."""

from typing import TYPE_CHECKING, Any

from ..plan import Plan
from .execution import Execution, run

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc


class Executable:
    """A kernel, its plan and its core program, prepared once and executed often.

    Attributes:
        func: The kernel with all results of inference.
        program: What one core runs.
        plan: Of the kernel.
    """

    def __init__(self, func: "PrimFunc", program: "PrimFunc", plan: Plan) -> None:
        self.func = func
        self.program = program
        self.plan = plan

    def run(self, *arrays: Any, **how: Any) -> Execution:
        """Execute the kernel as :func:`tilelang.tt.executor.run` does."""
        return run(self.func, *arrays, **how)
