"""Executing a plan in numpy: every work tile of every core, and every page of every tensor.

Everything is derived anew from the plan's records, by the rules of attributes.md and layouts.md and not by the code
that made the plan. Runs of work tiles are counted as intervals and rectangles, never one by one, so that a grid of 10^9
costs what one of 10 does.
"""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from math import prod
from typing import Any, get_args

from ..errors import refusal
from .check_buffer import check_buffer, check_capacity
from .check_on_chip import check_on_chip
from .check_schedule import check_schedule
from .findings import CheckReport, Findings, number
from .model import Kernel, Natural, RuntimeArgument, TileRun
from .plan import Plan


def check(plan: Plan) -> CheckReport:
    """See :meth:`Plan.check`."""
    for position, kernel in enumerate(plan.kernels):
        _refuse_texts(kernel, f"/kernels/{position}")
    findings = Findings()
    num_work_tiles = num_pages = num_elements = 0
    for position, kernel in enumerate(plan.kernels):
        where = f"/kernels/{position}"
        num_work_tiles += check_schedule(kernel, where, findings)
        for place, buffer in enumerate(kernel.buffers):
            before = findings.total
            check_buffer(buffer, kernel.device, f"{where}/buffers/{place}", findings)
            if findings.total == before:
                num_pages += number(buffer.num_pages)
                num_elements += prod(map(number, buffer.shape))
        for place, launch in enumerate(kernel.launches):
            check_on_chip(kernel, launch.on_chip, f"{where}/launches/{place}/on_chip", findings)
        check_capacity(kernel, where, findings)
    omitted = findings.total - len(findings.kept)
    return CheckReport(tuple(findings.kept), omitted, num_work_tiles, num_pages, num_elements)


def _refuse_texts(kernel: Kernel, where: str) -> None:
    for place, text in _texts(kernel, where):
        variables = ", ".join(f"{name}=..." for name in kernel.shape_variables)
        raise refusal(
            "TT820",
            f"kernel `{kernel.name}`: {place} is {text!r}; expected a number\n"
            f"help: plan the kernel for given sizes: make_plan(specialize(mod, {variables}))",
        )


def _texts(record: Any, where: str) -> Iterator[tuple[str, str]]:
    """Sizes that are no numbers. Arguments may be texts: the host evaluates them at every launch."""
    for name, may_be_size in _fields(record.__class__):
        value, place = getattr(record, name), f"{where}/{name}"
        if may_be_size:
            items = value if isinstance(value, tuple) else (value,)
            yield from ((place, item) for item in items if isinstance(item, str))
        elif is_dataclass(value):
            yield from _texts(value, place)
        elif isinstance(value, tuple):
            for position, item in enumerate(value):
                if is_dataclass(item) and not isinstance(item, (RuntimeArgument, TileRun)):
                    yield from _texts(item, f"{place}/{position}")


@cache
def _fields(record: Any) -> tuple[tuple[str, bool], ...]:
    """The fields of a class, and whether each holds a Size, or a tuple of them."""
    return tuple((field.name, _may_be_size(field.type)) for field in fields(record))


def _may_be_size(annotation: Any) -> bool:
    parts = {part for item in (annotation, *get_args(annotation)) for part in (item, *get_args(item))}
    return {Natural, str} <= parts
