"""Kernels executed: core by core, each with its own runtime arguments, on tensors that lie as the plan says."""

from .arrays import dtype_of
from .counts import BufferCounts
from .executable import Executable, execute, run
from .execution import Execution

__all__ = ["BufferCounts", "Executable", "Execution", "dtype_of", "execute", "run"]
