"""The calls that TileLang makes of its operations on tiles, and what executes each of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeAlias

import numpy as np

from ...errors import TTError, refusal
from ..memory import Box
from . import copy as moving
from .atomic import ATOMICS, atomic
from .gemm import gemm
from .reduce import NAN_KEEPING, REDUCTIONS, reduce, scan

Frame: TypeAlias = list[Any]
Closure: TypeAlias = Callable[[Frame], Any]


class Translate(Protocol):
    """What translates the parts of a call."""

    def expression(self, node: Any) -> Closure:
        """Gives the value of an expression."""

    def box(self, node: Any) -> Callable[[Frame], Box]:
        """Gives the part of a buffer that a call of ``tl.region`` names."""


Translator: TypeAlias = Callable[[Any, Translate], Closure]
CORE = 0

_WAITS = "the kernel waits for it by barriers, which are not covered"
_SPARSE = "the format of sparse tiles is a GPU's"
_REDUCER = "reducers of their own memory scope are not covered"
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
    "tl.tileop.reducer_init": _REDUCER,
    "tl.tileop.finalize_reducer_v2": _REDUCER,
    "tl.tileop.ascend_copy": "it belongs to another accelerator",
}
"""Why other operations on tiles are not covered."""


def _copy(call: Any, translate: Translate) -> Closure:
    _without(call, "dst_block", "cluster_mask", "barrier", "is_gather4", "is_scatter4")
    paired = _pair(call.args[0], call.args[1], translate)
    return lambda frame: moving.copy(frame[CORE], *paired(frame))


def _fill(call: Any, translate: Translate) -> Closure:
    target, value = translate.box(call.args[0]), translate.expression(call.args[1])
    return lambda frame: moving.fill(frame[CORE], target(frame), value(frame))


def _transpose(call: Any, translate: Translate) -> Closure:
    source, target = (translate.box(node) for node in call.args[:2])
    return lambda frame: moving.transpose(frame[CORE], source(frame), target(frame))


def _im2col(call: Any, translate: Translate) -> Closure:
    image, columns = (translate.box(node) for node in call.args[:2])
    numbers = [translate.expression(node) for node in call.args[2:8]]

    def run(frame: Frame) -> None:
        row_block, column_block, *window = (int(number(frame)) for number in numbers)
        moving.im2col(frame[CORE], image(frame).memory, columns(frame), row_block, column_block, moving.Window(*window))

    return run


def _gemm(call: Any, translate: Translate) -> Closure:
    _without(call, "use_2cta", "is_wgmma", "is_tcgen05")
    if not _is_number(call.args[10]):
        raise _refused(call, "signals a barrier")
    a, b, c = (translate.box(node) for node in call.args[:3])
    transposed = bool(call.args[3].value), bool(call.args[4].value)
    clear = translate.expression(call.args[9])
    return lambda frame: gemm(frame[CORE], a(frame), b(frame), c(frame), transposed, bool(clear(frame)))


def _reduce(call: Any, translate: Translate) -> Closure:
    source, target = (translate.box(node) for node in call.args[:2])
    kind, axis, clear = call.args[2].value, call.args[3].value, bool(call.args[4].value)
    if kind not in REDUCTIONS:
        raise _refused(call, f'reduces by "{kind}"')
    reduction = REDUCTIONS[kind]
    if _is_set(call, "nan_propagate"):
        reduction = reduction._replace(combine=NAN_KEEPING.get(reduction.combine, reduction.combine))
    return lambda frame: reduce(frame[CORE], source(frame), target(frame), reduction, axis, clear)


def _scan(combine: np.ufunc) -> Translator:
    def translator(call: Any, translate: Translate) -> Closure:
        source, target = (translate.box(node) for node in call.args[:2])
        axis, reverse = call.args[2].value, bool(call.args[3].value)
        return lambda frame: scan(frame[CORE], source(frame), target(frame), combine, axis, reverse)

    return translator


def _atomic(combine: np.ufunc) -> Translator:
    def translator(call: Any, translate: Translate) -> Closure:
        if not _is_region(call.args[0]):
            value, target = translate.expression(call.args[0]), translate.box(call.args[1])
            return lambda frame: atomic(frame[CORE], target(frame), combine, value(frame))
        paired = _pair(call.args[0], call.args[1], translate)

        def run(frame: Frame) -> None:
            source, target = paired(frame)
            atomic(frame[CORE], target, combine, source.read(frame[CORE]))

        return run

    return translator


def _refuse(call: Any, translate: Translate) -> Closure:
    name = call.op.name
    raise refusal("TT930", f"found {name}; expected an operation on tiles that is covered: {REFUSED[name]}")


def _finalize_reducer(call: Any, translate: Translate) -> Closure:
    return lambda frame: None


TILE_OPS: dict[str, Translator] = {
    "tl.tileop.copy": _copy,
    "tl.tileop.fill": _fill,
    "tl.tileop.transpose": _transpose,
    "tl.tileop.im2col": _im2col,
    "tl.tileop.c2d_im2col": _im2col,
    "tl.tileop.gemm": _gemm,
    "tl.tileop.reduce": _reduce,
    "tl.tileop.cumsum": _scan(np.add),
    "tl.tileop.cummax": _scan(np.fmax),
    "tl.tileop.finalize_reducer": _finalize_reducer,
    **{f"tl.tileop.atomic{name}": _atomic(combine) for name, combine in ATOMICS.items()},
    **dict.fromkeys(REFUSED, _refuse),
}
"""What executes each operation on tiles, by its name in the IR; those of ``REFUSED`` are refused."""


def _pair(source_node: Any, target_node: Any, translate: Translate) -> Callable[[Frame], tuple[Box, Box]]:
    """Two boxes with the same elements.

    Axes of one element do not count; the others belong to each other in their order. Where their
    extents differ, the box that is nearer to the core says how many elements there are.
    """
    source, target = translate.box(source_node), translate.box(target_node)
    axes = [_long_axes(node) for node in (source_node, target_node)]
    if len(axes[0]) != len(axes[1]):
        raise refusal("TT932", f"found {source_node} and {target_node}; expected as many axes of several elements")
    from_source = _level(source_node) >= _level(target_node)

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
    return [axis for axis, extent in enumerate(region.args[2:]) if not (_is_number(extent) and extent.value == 1)]


def _level(region: Any) -> int:
    """How near to the core the buffer of a region is."""
    scope = region.args[0].buffer.scope()
    return 2 if scope in ("local", "local.fragment") else int(scope.startswith("shared"))


def _is_region(node: Any) -> bool:
    return getattr(getattr(node, "op", None), "name", None) == "tl.region"


def _is_number(node: Any) -> bool:
    return hasattr(node, "value")


def _is_set(call: Any, option: str) -> bool:
    value = (call.annotations or {}).get(option)
    return value is not None and not (_is_number(value) and not value.value)


def _without(call: Any, *options: str) -> None:
    """Refuse options that change what an operation means."""
    for option in options:
        if _is_set(call, option):
            raise _refused(call, f"has the option {option}, which only a GPU knows")


def _refused(call: Any, what: str) -> TTError:
    return refusal("TT931", f"found {call.op.name}, which {what}; expected one that a core executes alone and at once")
