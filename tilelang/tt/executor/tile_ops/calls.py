"""The calls that TileLang makes of its operations on tiles, and what executes each of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import numpy as np

from .. import nodes
from ..frame import CORE, Frame, Statement
from ..memory import Box
from . import copy as moving
from .atomic import ATOMICS, atomic
from .gemm import gemm
from .reduce import NAN_KEEPING, REDUCTIONS, neutral, reduce, scan

if TYPE_CHECKING:
    from ..program import Translator

Translate: TypeAlias = "Callable[[Any, Translator], Statement]"

_WAITS = "the kernel waits for it by barriers, which are not covered"
_SPARSE = "the format of sparse tiles is a GPU's"
_SCALES = "the format of the scales is a GPU's"

REFUSED: Mapping[str, str] = {
    "tl.tileop.async_copy": _WAITS,
    "tl.tileop.tma_copy": _WAITS,
    "tl.tileop.wgmma_gemm": _WAITS,
    "tl.tileop.tcgen05_gemm": _WAITS,
    "tl.tileop.gemm_sp": _SPARSE,
    "tl.tileop.wgmma_gemm_sp": _SPARSE,
    "tl.tileop.tcgen05_gemm_sp": _SPARSE,
    "tl.tileop.gemm_blockscaled": _SCALES,
    "tl.tileop.tcgen05_gemm_blockscaled": _SCALES,
    "tl.tileop.ascend_copy": "it belongs to another accelerator",
}
"""Why other operations on tiles are not covered."""


def _copy(call: Any, to: "Translator") -> Statement:
    _without(call, to, "dst_block", "cluster_mask", "barrier", "is_gather4", "is_scatter4")
    paired = _pair(call.args[0], call.args[1], to)
    return lambda frame: moving.copy(frame[CORE], *paired(frame))


def _fill(call: Any, to: "Translator") -> Statement:
    target, value = to.box(call.args[0]), to.expression(call.args[1])
    return lambda frame: moving.fill(frame[CORE], target(frame), value(frame))


def _transpose(call: Any, to: "Translator") -> Statement:
    source, target = (to.box(node) for node in call.args[:2])
    return lambda frame: moving.transpose(frame[CORE], source(frame), target(frame))


def _im2col(call: Any, to: "Translator") -> Statement:
    image, columns = (to.box(node) for node in call.args[:2])
    numbers = [to.expression(node) for node in call.args[2:8]]

    def run(frame: Frame) -> None:
        row_block, column_block, *window = (int(number(frame)) for number in numbers)
        moving.im2col(frame[CORE], image(frame).memory, columns(frame), row_block, column_block, moving.Window(*window))

    return run


def _gemm(call: Any, to: "Translator") -> Statement:
    _without(call, to, "use_2cta", "is_wgmma", "is_tcgen05")
    if nodes.constant(call.args[10]) is None:
        _refuse_use(call, to, "which signals a barrier")
    a, b, c = (to.box(node) for node in call.args[:3])
    transposed = bool(call.args[3].value), bool(call.args[4].value)
    clear = to.expression(call.args[9])
    return lambda frame: gemm(frame[CORE], a(frame), b(frame), c(frame), transposed, bool(clear(frame)))


def _reduce(call: Any, to: "Translator") -> Statement:
    source, target = (to.box(node) for node in call.args[:2])
    kind, axis, clear = call.args[2].value, call.args[3].value, bool(call.args[4].value)
    if kind not in REDUCTIONS:
        _refuse_use(call, to, f'which reduces by "{kind}"')
    reduction = REDUCTIONS[kind]
    if _is_set(call, "nan_propagate"):
        reduction = reduction._replace(combine=NAN_KEEPING.get(reduction.combine, reduction.combine))
    return lambda frame: reduce(frame[CORE], source(frame), target(frame), reduction, axis, clear)


def _scan(combine: np.ufunc) -> Translate:
    def translator(call: Any, to: "Translator") -> Statement:
        source, target = (to.box(node) for node in call.args[:2])
        axis, reverse = call.args[2].value, bool(call.args[3].value)
        return lambda frame: scan(frame[CORE], source(frame), target(frame), combine, axis, reverse)

    return translator


def _atomic(combine: np.ufunc) -> Translate:
    def translator(call: Any, to: "Translator") -> Statement:
        if not _is_region(call.args[0]):
            value, target = to.expression(call.args[0]), to.box(call.args[1])
            return lambda frame: atomic(frame[CORE], target(frame), combine, value(frame))
        paired = _pair(call.args[0], call.args[1], to)

        def run(frame: Frame) -> None:
            source, target = paired(frame)
            atomic(frame[CORE], target, combine, source.read(frame[CORE]))

        return run

    return translator


def _refuse(call: Any, to: "Translator") -> Statement:
    name = nodes.operation(call)
    to.refuse("TT930", f"{name}: {REFUSED[name]}", help="use an operation that is complete when it returns")


def _reducer_init(call: Any, to: "Translator") -> Statement:
    target = to.box(call.args[0])
    if len(call.args) > 1:
        value = to.expression(call.args[1])
        return lambda frame: moving.fill(frame[CORE], target(frame), value(frame))
    kind = to.reducer(call.args[0].args[0].buffer)

    def run(frame: Frame) -> None:
        box = target(frame)
        moving.fill(frame[CORE], box, neutral(kind, box.memory.dtype))

    return run


def _finalize_reducer(call: Any, to: "Translator") -> Statement:
    return lambda frame: None


TILE_OPS: dict[str, Translate] = {
    "tl.tileop.copy": _copy,
    "tl.tileop.fill": _fill,
    "tl.tileop.transpose": _transpose,
    "tl.tileop.im2col": _im2col,
    "tl.tileop.c2d_im2col": _im2col,
    "tl.tileop.gemm": _gemm,
    "tl.tileop.reduce": _reduce,
    "tl.tileop.cumsum": _scan(np.add),
    "tl.tileop.cummax": _scan(np.fmax),
    "tl.tileop.reducer_init": _reducer_init,
    "tl.tileop.finalize_reducer": _finalize_reducer,
    "tl.tileop.finalize_reducer_v2": _copy,
    **{f"tl.tileop.atomic{name}": _atomic(combine) for name, combine in ATOMICS.items()},
    **dict.fromkeys(REFUSED, _refuse),
}
"""What executes each operation on tiles, by its name in the IR; those of ``REFUSED`` are refused."""


def _pair(source_node: Any, target_node: Any, to: "Translator") -> Callable[[Frame], tuple[Box, Box]]:
    """Two boxes with the same elements.

    Axes of one element do not count; the others belong to each other in their order. Where their
    extents differ, the box that is nearer to the core says how many elements there are.
    """
    source, target = to.box(source_node), to.box(target_node)
    axes = [_long_axes(node) for node in (source_node, target_node)]
    from_source = _level(source_node) >= _level(target_node)
    if len(axes[0]) != len(axes[1]) or (not from_source and _is_smaller(target_node, source_node)):
        to.refuse(
            "TT932",
            f"{nodes.text(source_node)} and {nodes.text(target_node)}, whose axes do not belong to each other",
            help="give both tiles the same extents but for axes of one element",
        )

    def pair(frame: Frame) -> tuple[Box, Box]:
        boxes = source(frame), target(frame)
        lengths = [[box.extent[axis] for axis in long] for box, long in zip(boxes, axes, strict=True)]
        if lengths[0] == lengths[1]:
            return boxes
        if from_source:
            return boxes[0], _stretched(boxes[1], axes[1], lengths[0])
        return _stretched(boxes[0], axes[0], lengths[1]), boxes[1]

    return pair


def _stretched(box: Box, axes: Sequence[int], lengths: Sequence[int]) -> Box:
    """A box with other extents along some of its axes."""
    extent = list(box.extent)
    for axis, length in zip(axes, lengths, strict=True):
        extent[axis] = length
    return replace(box, extent=tuple(extent))


def _long_axes(region: Any) -> list[int]:
    """The axes of a region that may have more than one element."""
    return [axis for axis, extent in enumerate(region.args[2:]) if nodes.constant(extent) != 1]


def _is_smaller(region: Any, other: Any) -> bool:
    """Whether a region is known to have fewer elements along an axis than another one."""
    extents = [[nodes.constant(node.args[2 + axis]) for axis in _long_axes(node)] for node in (region, other)]
    return any(None not in pair and pair[0] < pair[1] for pair in zip(*extents, strict=True))


def _level(region: Any) -> int:
    """How near to the core the buffer of a region is."""
    scope = region.args[0].buffer.scope()
    return 2 if scope in ("local", "local.fragment") else int(scope.startswith("shared"))


def _is_region(node: Any) -> bool:
    return nodes.kind(node) == "Call" and nodes.operation(node) == "tl.region"


def _is_set(call: Any, option: str) -> bool:
    value = (call.annotations or {}).get(option)
    return value is not None and nodes.constant(value) != 0


def _without(call: Any, to: "Translator", *options: str) -> None:
    """Refuse options that change what an operation means."""
    for option in options:
        if _is_set(call, option):
            _refuse_use(call, to, f"which has the option {option}")


def _refuse_use(call: Any, to: "Translator", what: str) -> NoReturn:
    to.refuse("TT931", f"{nodes.operation(call)}, {what}", help="write what a core does alone, and waits for")
