"""The compile service: a kernel to its plan and its executable form, here or in another process, now or later, once."""

from .compiled import CompiledKernel, Stats
from .compiler import compile
from .history import Step
from .many import compile_many
from .pool import WorkerPool
from .search import Search

__all__ = ["CompiledKernel", "Search", "Stats", "Step", "WorkerPool", "compile", "compile_many"]
