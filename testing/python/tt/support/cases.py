"""How a test states, by hand, the truth about a kernel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Access = Literal["read", "write", "read_write", "none"]


@dataclass(frozen=True)
class Param:
    """A buffer parameter; `access` is what the whole launch does to it in DRAM."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    access: Access


@dataclass(frozen=True)
class KernelCase:
    """A kernel, and what a reader who understood it would say about it."""

    name: str
    build: Callable[[], Any]
    grid: tuple[int, int, int]
    params: tuple[Param, ...]
    scalars: tuple[tuple[str, str], ...] = ()
