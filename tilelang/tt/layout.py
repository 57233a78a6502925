"""Choosing how single tensors lie in memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import index
from typing import TYPE_CHECKING, Any, cast

from . import _host
from .errors import refusal
from .metadata import BufferAttrs, ShardAttrs, find_buffer, to_python

if TYPE_CHECKING:
    from tvm.ir import Var
    from tvm.tirx import PrimFunc

    from .passes import ModuleOrFunc

_Rectangles = Sequence[Sequence[int]]


def _integers(name: str, values: Sequence[int]) -> tuple[int, ...]:
    """Plain integers, which the IR can hold, of any that index, such as numpy's."""
    try:
        return tuple(index(value) for value in values)
    except TypeError as error:
        raise refusal("TT444", f"{name} is {values!r}; expected integers") from error


def _rectangles(cores: _Rectangles) -> tuple[tuple[int, ...], ...]:
    try:
        return tuple(_integers("a core rectangle", rectangle) for rectangle in cores)
    except TypeError as error:
        raise refusal("TT444", f"cores are {cores!r}; expected rectangles (x0, y0, x1, y1)") from error


def _without_none(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True)
class Shard:
    """How a tensor is cut, and which core has which part; see :doc:`/layouts`.

    Made by :meth:`height`, :meth:`width`, :meth:`block` and :meth:`nd`, which are ttnn's memory layouts
    of these names.

    Attributes:
        kind: ``"height"``, ``"width"``, ``"block"`` or ``"nd"``.
        shape: Of one shard, in elements. It is ``(height, width)`` of a tensor whose leading dimensions
            are part of its height; of kind ``"nd"`` it has up to as many dimensions as the tensor.
        cores: Rectangles of cores ``(x0, y0, x1, y1)``, both corners included, which take shards in list
            order. Of a tensor in DRAM, bank ``b`` is ``(b, 0)``.
        orientation: ``"row_major"`` or ``"column_major"``: how the cores of a rectangle take shards.
        distribution: Of kind ``"nd"``: ``"round_robin_1d"``, ``"contiguous_1d"`` or ``"grid_2d"``; else None.
    """

    kind: str
    shape: tuple[int, ...]
    cores: tuple[tuple[int, ...], ...]
    orientation: str = "row_major"
    distribution: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", _integers("shape", self.shape))
        object.__setattr__(self, "cores", _rectangles(self.cores))

    @classmethod
    def height(cls, shape: Sequence[int], cores: _Rectangles, *, orientation: str = "row_major") -> "Shard":
        """Cut along the height, one shard a core; the shard is as wide as the padded tensor."""
        return cls("height", tuple(shape), _rectangles(cores), orientation)

    @classmethod
    def width(cls, shape: Sequence[int], cores: _Rectangles, *, orientation: str = "row_major") -> "Shard":
        """Cut along the width, one shard a core; the shard is as high as the padded tensor."""
        return cls("width", tuple(shape), _rectangles(cores), orientation)

    @classmethod
    def block(cls, shape: Sequence[int], cores: _Rectangles, *, orientation: str = "row_major") -> "Shard":
        """Cut along both; the grid of shards lies on one rectangle of cores, or its transpose does."""
        return cls("block", tuple(shape), _rectangles(cores), orientation)

    @classmethod
    def nd(
        cls,
        shape: Sequence[int],
        cores: _Rectangles,
        *,
        orientation: str = "row_major",
        distribution: str = "round_robin_1d",
    ) -> "Shard":
        """Cut along any dimensions; a core may have several shards."""
        return cls("nd", tuple(shape), _rectangles(cores), orientation, distribution)


@dataclass(frozen=True)
class Layout:
    """How one tensor lies in memory. What is None follows the inputs of the whole function.

    Attributes:
        memory: ``"dram"`` or ``"l1"``; required with a shard.
        page_layout: ``"tile"``: a page is a tile; ``"row_major"``: a page is a row of the last dimension.
        tile: ``(height, width)`` of a tile, in elements.
        data_format: How elements are stored, as tt-metal names it, such as ``"Bfp8_b"``.
        shard: How the tensor is cut; None: its pages are interleaved over all banks.

    Raises:
        ArgumentError: A value of the wrong type.
    """

    memory: str | None = None
    page_layout: str | None = None
    tile: tuple[int, int] | None = None
    data_format: str | None = None
    shard: Shard | None = None

    def __post_init__(self) -> None:
        if self.tile is not None:
            object.__setattr__(self, "tile", _integers("tile", self.tile))
        if self.shard is not None and not isinstance(self.shard, Shard):
            raise refusal("TT444", f"shard is {self.shard!r}; expected a tilelang.tt.Shard")

    def as_options(self) -> dict[str, Any]:
        """The entry of ``tt_buffer_layouts``, without the parameter's index."""
        shard = None if self.shard is None else _without_none(vars(self.shard))
        return _without_none({**vars(self), "shard": shard})


@dataclass(frozen=True)
class PageLocation:
    """Where a page of a tensor lies.

    Attributes:
        bank: The DRAM bank, or an index into the cores of ``tt_shard``. An interleaved tensor in L1 has one
            bank in each worker; which one is known to tt-metal's allocator only.
        offset: Bytes from where the tensor begins in that bank.
        core: The core ``(x, y)`` that has the page, of a tensor with shards in L1; else None.
    """

    bank: int
    offset: int
    core: tuple[int, int] | None


def page_location(entry: BufferAttrs, page: int) -> PageLocation:
    """Where a page lies, by the entry that :func:`tilelang.tt.buffer_attrs` gives for its tensor.

    Raises:
        OptionError: The tensor has no such page, or is of symbolic shape.
    """
    pages, step = entry["tt_num_pages"], entry["tt_aligned_page_size"]
    if isinstance(pages, str) or isinstance(step, str) or not 0 <= page < pages:
        raise refusal("TT422", f"page {page} of a tensor of {pages} pages of {step} bytes")
    shard = entry.get("tt_shard")
    if shard is None:
        slot, bank = divmod(page, entry["tt_num_banks"])
        return PageLocation(bank, slot * step, None)
    bank, slot = _bank_and_slot(shard, page)
    core = shard["cores"][bank] if entry["tt_memory"] == "l1" else None
    return PageLocation(bank, slot * step, None if core is None else (core[0], core[1]))


def _bank_and_slot(shard: ShardAttrs, page: int) -> tuple[int, int]:
    number, within, shard_step, page_step = 0, 0, 1, 1
    dimensions = zip(shard["tensor_pages"], shard["shard_pages"], shard["shard_grid"], strict=True)
    for tensor_pages, shard_pages, grid in reversed(list(dimensions)):
        page, at = divmod(page, tensor_pages)
        number += at // shard_pages * shard_step
        within += at % shard_pages * page_step
        shard_step *= grid
        page_step *= shard_pages
    if shard["distribution"] == "contiguous_1d":
        bank, turn = divmod(number, shard["shards_per_core"])
    else:
        turn, bank = divmod(number, len(shard["cores"]))
    return bank, turn * shard["pages_per_shard"] + within


def annotate_tt_layout(mod: "ModuleOrFunc", buffer: "str | int | Var", layout: Layout) -> "ModuleOrFunc":
    """Choose how one tensor parameter lies in memory.

    The choice becomes an entry of the attribute ``tt_buffer_layouts``, which
    :func:`tilelang.tt.infer_default_tt_shard` follows, and replaces an earlier one for the same tensor.
    That pass knows the device and the tensor's shape, and refuses what does not fit them.

    Args:
        mod: A PrimFunc, or an IRModule with one PrimFunc. It is not changed.
        buffer: The tensor's name, its position among all parameters, or the parameter itself.
        layout: What to choose.

    Returns:
        The same kind of object as ``mod``, without results of earlier shard inference.

    Raises:
        ArgumentError: An argument is of another kind.
        BufferLookupError: No tensor parameter is meant, or two of that name.
        OptionError: The layout has a name that does not exist, or options that exclude each other.
    """
    _host.require_host()
    import tvm_ffi
    from tvm.ir import IRModule
    from tvm.tirx import PrimFunc

    if isinstance(mod, IRModule):
        functions = {name: func for name, func in mod.functions.items() if isinstance(func, PrimFunc)}
        if len(functions) != 1:
            names = ", ".join(name.name_hint for name in functions) or "none"
            raise refusal("TT445", f"the module has {len(functions)} functions: {names}; annotate one of them")
        ((name, func),) = functions.items()
        out = IRModule(mod.functions, attrs=mod.attrs)
        out[name] = annotate_tt_layout(func, buffer, layout)
        return out
    if not isinstance(mod, PrimFunc):
        raise refusal("TT101", f"found {type(mod).__name__}; expected an IRModule or a PrimFunc")
    if not isinstance(layout, Layout):
        raise refusal("TT444", f"the layout is {layout!r}; expected a tilelang.tt.Layout")
    tensors = tvm_ffi.get_global_func("tilelang.tt.tensor_parameters")(mod)
    position = find_buffer(mod, buffer, [(int(at), str(name)) for at, name in tensors])
    entries = {entry["param_index"]: entry for entry in _layouts(mod)}
    entries[position] = {"param_index": position, **layout.as_options()}
    layouts = [entries[at] for at in sorted(entries)]
    tvm_ffi.get_global_func("tilelang.tt.check_buffer_layouts")(layouts)
    annotated = mod.with_attr("tt_buffer_layouts", layouts)
    for result in ("tt_buffers", "tt_on_chip", "tt_traffic"):
        if result in annotated.attrs:
            annotated = annotated.without_attr(result)
    return annotated


def renumber_layouts(func: "PrimFunc", removed: Sequence[int]) -> "PrimFunc":
    """A function whose parameters at some positions are gone, with its layouts at the others' new positions."""
    layouts = _layouts(func)
    if not layouts or not removed:
        return func
    moved = [
        {**entry, "param_index": entry["param_index"] - sum(position < entry["param_index"] for position in removed)}
        for entry in layouts
    ]
    return func.with_attr("tt_buffer_layouts", moved)


def _layouts(func: "PrimFunc") -> list[dict[str, Any]]:
    present = func.attrs.get("tt_buffer_layouts") if func.attrs else None
    return cast(list[dict[str, Any]], to_python(present)) if present is not None else []
