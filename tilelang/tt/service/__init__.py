"""The compile service: a kernel to its plan and its executable form, here or in another process, now or later, once."""

from .compiled import CompiledKernel, Stats
from .compiler import compile
from .pool import WorkerPool

__all__ = ["CompiledKernel", "Stats", "WorkerPool", "compile"]
