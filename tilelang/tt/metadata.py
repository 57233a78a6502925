"""Typed views of the attributes that the passes write.

They hold plain Python numbers, strings, lists and dictionaries, copied from the IR. A number that depends on shape
variables is a text over them, such as ``(m + 31) // 32``.
"""

from operator import index
from typing import TYPE_CHECKING, Any, TypedDict, cast

from .errors import refusal

if TYPE_CHECKING:
    from tvm.ir import Var
    from tvm.tirx import PrimFunc


class RuntimeArg(TypedDict, total=False):
    """One argument that a kernel receives at run time.

    Attributes:
        name: Of its own among the arguments of the kernel.
        dtype: ``uint32``, or ``uint64`` where the number may not fit 32 bits; of a scalar its own.
        scope: ``per_core`` or ``common`` to all cores.
        source: What it follows from: ``schedule``, ``kernel``, ``parameter`` (a scalar) or ``buffer`` (an
            address). For ``kt_tiles`` also ``none`` where nothing is reduced, and ``unresolved``.
        bound: ``compile_time`` where the number is known and can be baked into the program; ``launch``
            where the host sets it at every launch.
        value: Of a common argument: a number, or a text over shape variables; absent where nothing is known.
        reason: Why ``kt_tiles`` is unresolved.
        param_index: Of a scalar or an address: the position of the parameter among all parameters.
    """

    name: str
    dtype: str
    scope: str
    source: str
    bound: str
    value: int | str
    reason: str
    param_index: int


class ScheduleAttrs(TypedDict, total=False):
    """The results of ``infer_default_tt_schedule``.

    Attributes:
        tt_grid_x: Extent of the launch grid on x, in work tiles; ``tt_grid_y`` and ``tt_grid_z`` alike.
        tt_num_tiles: Work tiles in the grid.
        tt_core_grid: The device's worker grid ``[x, y]``, in cores.
        tt_num_cores: Cores that may be used.
        tt_num_active_cores: Cores that have work.
        tt_tiles_per_core: ``[first tile, count]`` of each core by linear id; ``[0, 0]`` for an idle core.
            Absent where the grid is symbolic.
        tt_tile_runs: Lists of ``[start, length, stride, repeat]`` of each core by linear id, which are the
            tiles ``start + r * stride + i`` of all ``r < repeat`` and ``i < length``. Absent where every
            core's tiles follow its first one without gaps, and where the grid is symbolic.
        tt_tile_range: ``start``, ``count`` and ``runs`` of a core as formulas over ``core_id`` and the shape
            variables. Absent where the grid is static.
        tt_core_ranges: The active cores as inclusive rectangles ``[x0, y0, x1, y1]``.
        tt_runtime_args_schema: The kernel's runtime arguments, in order.
        tt_persistent: ``loop``, the name of the variable that counts the waves of a ``T.Persistent``; ``wave``, the
            blocks of one wave; and ``group_size``. The grid is the domain then. Absent from other kernels.
    """

    tt_grid_x: int | str
    tt_grid_y: int | str
    tt_grid_z: int | str
    tt_num_tiles: int | str
    tt_core_grid: list[int]
    tt_num_cores: int
    tt_num_active_cores: int | str
    tt_tiles_per_core: list[list[int]]
    tt_tile_runs: list[list[list[int]]]
    tt_tile_range: dict[str, Any]
    tt_core_ranges: list[list[int]]
    tt_runtime_args_schema: list[RuntimeArg]
    tt_persistent: dict[str, Any]


class ShardAttrs(TypedDict, total=False):
    """How a tensor is cut into shards: ``tt_shard`` of its entry. Shards, and pages within a shard, are numbered along
    the last dimension first.

    Attributes:
        shape: Of a shard, in elements, as chosen.
        cores: ``[x, y]`` of each bank, in the order in which they take shards; of a tensor in DRAM ``[bank, 0]``.
        orientation: ``row_major`` or ``column_major``: how the cores of a rectangle follow each other.
        distribution: ``round_robin_1d``, ``contiguous_1d`` or ``grid_2d``.
        tensor_pages: Pages along each dimension of the tensor; dimensions that are not cut are joined.
        shard_pages: Pages along each of these dimensions of a shard.
        shard_grid: Shards along each of these dimensions.
        num_shards: Shards of the whole tensor.
        shards_per_core: The most that a core has; every core reserves memory for so many.
        pages_per_shard: Pages of a whole shard.
        address_if_alone: In L1: where the tensor begins in every core if the device holds nothing else.
    """

    shape: list[int]
    cores: list[list[int]]
    orientation: str
    distribution: str
    tensor_pages: list[int]
    shard_pages: list[int]
    shard_grid: list[int]
    num_shards: int
    shards_per_core: int
    pages_per_shard: int
    address_if_alone: int


class BufferAttrs(TypedDict, total=False):
    """How one tensor parameter lies in memory: an entry of ``tt_buffers``.

    Attributes:
        name: As the user wrote it.
        param_index: Position among all parameters.
        dtype: Of an element, in the kernel.
        shape: Extents in elements.
        tt_access: ``read``, ``write``, ``read_write`` or ``none``: what the kernel does to it.
        tt_memory: ``dram`` or ``l1``.
        tt_layout: ``dram_interleaved``, ``l1_interleaved``, ``height_sharded``, ``width_sharded``,
            ``block_sharded`` or ``nd_sharded``.
        tt_page_layout: ``tile``: one page is one tile; ``row_major``: one row.
        tt_tile_shape: ``[height, width]`` in elements; only where pages are tiles.
        tt_num_tiles_height: Tiles of one matrix, only where pages are tiles; ``tt_num_tiles_width`` alike.
        tt_num_matrices: The product of all dimensions but the last two.
        tt_needs_padding: Whether the padded shape is not the shape.
        tt_padded_shape: Extents in elements; only where padding is needed.
        tt_padding_value: What the padding holds, only where there may be any: a number as text, such as ``0`` or
            ``-inf``; ``any`` where the kernel is proven not to read it; ``unknown`` where it cannot be told.
        tt_padding_bytes: Bytes of the pages that hold no element of the tensor.
        tt_padding_percent: The same in percent of all bytes of the pages, rounded down.
        tt_data_format: How elements are stored, as tt-metal names it.
        tt_page_size: Bytes of one page.
        tt_aligned_page_size: Bytes from one page of a bank to the next.
        tt_num_pages: Pages of the whole tensor.
        tt_num_banks: Banks that have the pages; without shards they take one each in turn.
        tt_bytes_per_bank: Bytes that the tensor reserves in every bank.
        tt_shard: How it is cut; only of a tensor with shards.
        tt_accessor_ct_args: The compile-time words of tt-metal's TensorAccessorArgs.
    """

    name: str
    param_index: int
    dtype: str
    shape: list[int | str]
    tt_access: str
    tt_memory: str
    tt_layout: str
    tt_page_layout: str
    tt_tile_shape: list[int]
    tt_num_tiles_height: int | str
    tt_num_tiles_width: int | str
    tt_num_matrices: int | str
    tt_needs_padding: bool
    tt_padded_shape: list[int | str]
    tt_padding_value: str
    tt_padding_bytes: int | str
    tt_padding_percent: int | str
    tt_data_format: str
    tt_page_size: int | str
    tt_aligned_page_size: int | str
    tt_num_pages: int | str
    tt_num_banks: int
    tt_bytes_per_bank: int | str
    tt_shard: ShardAttrs
    tt_accessor_ct_args: list[int]


class CircularBufferAttrs(TypedDict):
    """A circular buffer in L1, in which a buffer of the kernel's lies.

    Attributes:
        name: As the user wrote it.
        scope: As the kernel allocates it, such as ``shared.dyn`` or ``local.fragment``.
        dtype: Of an element, in the kernel.
        data_format: How elements are stored in tiles, as tt-metal names it; ``none`` where it has no such format.
        shape: Extents in elements.
        num_tiles: Tiles, and pages, of one stage.
        page_size: Bytes of one tile.
        num_stages: How many stages a pipelined loop keeps of it; 1 without one.
        bytes: Of all stages.
    """

    name: str
    scope: str
    dtype: str
    data_format: str
    shape: list[int | str]
    num_tiles: int | str
    page_size: int
    num_stages: int
    bytes: int | str


class SubBlockAttrs(TypedDict):
    """The largest part of an accumulator that DST holds at once, in one of its modes.

    Attributes:
        fp32_dest_acc_en: Whether DST holds elements of 32 bits.
        dst_full_sync_en: Whether the whole of DST is in use, and not one half while the other is packed.
        dst_tiles: Tiles that DST holds in this mode.
        subblock: ``[height, width]`` in tiles.
    """

    fp32_dest_acc_en: bool
    dst_full_sync_en: bool
    dst_tiles: int
    subblock: list[int]


class AccumulatorAttrs(TypedDict):
    """A buffer that matrices are multiplied into.

    Attributes:
        name: As the user wrote it.
        circular_buffer: Its position in ``circular_buffers``.
        num_tiles_height: Tiles of one matrix; ``num_tiles_width`` alike.
        subblocks: One for each mode of DST; none where the size depends on shape variables.
    """

    name: str
    circular_buffer: int
    num_tiles_height: int | str
    num_tiles_width: int | str
    subblocks: list[SubBlockAttrs]


class OnChipAttrs(TypedDict, total=False):
    """What one launch needs of each core that runs it: an entry of ``tt_on_chip``.

    Attributes:
        circular_buffers: In the order in which the kernel allocates them.
        num_circular_buffers: How many those are.
        max_circular_buffers: How many a core has; absent where that is not known.
        l1_bytes: From the start of the first to the end of the last.
        l1_available: Bytes that the device, and tensors in L1, leave to them; absent where that is not known.
        accumulators: The buffers that matrices are multiplied into.
    """

    circular_buffers: list[CircularBufferAttrs]
    num_circular_buffers: int
    max_circular_buffers: int
    l1_bytes: int | str
    l1_available: int
    accumulators: list[AccumulatorAttrs]


class TransferAttrs(TypedDict, total=False):
    """One access of a launch to a tensor parameter: an entry of ``transfers``.

    It happens once for each work tile and each value of its loops, in order, and moves a box of elements: what of it
    lies outside of the tensor is not there.

    Attributes:
        buffer: The position of the tensor among all parameters.
        access: ``read``, ``write`` or ``read_write``.
        start: The first element of the box by dimension: a number, or a text over ``bx``, ``by``, ``bz``, the names of
            the loops and the shape variables. Absent where there is a reason.
        extent: Elements of the box by dimension, likewise.
        loops: ``[name, trips]`` of each loop around it, outermost first; the variable counts from 0, and the trips may
            depend on the loops before. A condition is a loop ``when`` of one trip or none.
        reason: Why nothing more is known of it.
    """

    buffer: int
    access: str
    start: list[int | str]
    extent: list[int | str]
    loops: list[list[int | str]]
    reason: str


class ProductAttrs(TypedDict, total=False):
    """One product of matrices by one operation: an entry of ``products``.

    Attributes:
        m: Rows of the result, in elements; absent where there is a reason.
        n: Columns of the result.
        k: How much is summed over.
        dtypes: Of both factors and of the result.
        loops: As those of a transfer.
        reason: Why nothing more is known of it.
    """

    m: int
    n: int
    k: int
    dtypes: list[str]
    loops: list[list[int | str]]
    reason: str


class TrafficAttrs(TypedDict):
    """What a work tile of one launch moves and multiplies: an entry of ``tt_traffic``.

    Attributes:
        transfers: Accesses to tensor parameters, in program order.
        products: Products of matrices, in program order.
    """

    transfers: list[TransferAttrs]
    products: list[ProductAttrs]


def schedule_attrs(func: "PrimFunc") -> ScheduleAttrs:
    """The schedule of a kernel that launches once.

    Raises:
        MissingInputError: ``infer_default_tt_schedule`` has not been run on it.
        MultipleLaunchesError: It launches several times; ``launch_attrs`` has the schedules.
    """
    launches = launch_attrs(func)
    if len(launches) > 1:
        raise refusal("TT210", f"the kernel has {len(launches)} launches; launch_attrs gives the schedule of each")
    return launches[0]


def launch_attrs(func: "PrimFunc") -> list[ScheduleAttrs]:
    """The schedule of every launch of a kernel, in program order.

    Raises:
        MissingInputError: ``infer_default_tt_schedule`` has not been run on it.
    """
    if getattr(func, "attrs", None) and "tt_launches" in func.attrs:
        return cast(list[ScheduleAttrs], to_python(func.attrs["tt_launches"]))
    read_attribute(func, "tt_grid_x", "infer_default_tt_schedule")
    present = [key for key in ScheduleAttrs.__annotations__ if key in func.attrs]
    return [cast(ScheduleAttrs, {key: to_python(func.attrs[key]) for key in present})]


def list_buffer_attrs(func: "PrimFunc") -> list[BufferAttrs]:
    """How all tensor parameters of a kernel lie in memory, in parameter order.

    Raises:
        MissingInputError: ``infer_default_tt_shard`` has not been run on the kernel.
    """
    return cast(list[BufferAttrs], read_attribute(func, "tt_buffers", "infer_default_tt_shard"))


def on_chip_attrs(func: "PrimFunc") -> list[OnChipAttrs]:
    """What each launch of a kernel needs of the cores that run it, in program order.

    Raises:
        MissingInputError: ``infer_default_tt_shard`` has not been run on the kernel.
    """
    return cast(list[OnChipAttrs], read_attribute(func, "tt_on_chip", "infer_default_tt_shard"))


def traffic_attrs(func: "PrimFunc") -> list[TrafficAttrs]:
    """What the work tiles of each launch of a kernel move and multiply, in program order.

    Raises:
        MissingInputError: ``infer_default_tt_shard`` has not been run on the kernel.
    """
    return cast(list[TrafficAttrs], read_attribute(func, "tt_traffic", "infer_default_tt_shard"))


def core_program_attrs(func: "PrimFunc") -> list[dict[str, int]]:
    """Which parameters of a core program are the runtime arguments of each launch, in program order.

    Returns:
        For each launch the positions among all parameters, by the names in its ``tt_runtime_args_schema``.

    Raises:
        MissingInputError: ``grid_to_persistent`` has not been run on the kernel.
    """
    return [dict(launch) for launch in read_attribute(func, "tt_core_program", "grid_to_persistent")]


def buffer_attrs(func: "PrimFunc", buffer: "str | int | Var") -> BufferAttrs:
    """How one tensor parameter of a kernel lies in memory.

    Args:
        func: A kernel after ``infer_default_tt_shard``.
        buffer: The tensor's name, its position among all parameters, or the parameter itself.

    Raises:
        BufferLookupError: No tensor parameter is meant, or two of that name.
        MissingInputError: ``infer_default_tt_shard`` has not been run on the kernel.
        ArgumentError: Neither argument is of a kind that is named above.
    """
    entries = list_buffer_attrs(func)
    position = find_buffer(func, buffer, [(entry["param_index"], entry["name"]) for entry in entries])
    return next(entry for entry in entries if entry["param_index"] == position)


def find_buffer(func: "PrimFunc", buffer: "str | int | Var", tensors: list[tuple[int, str]]) -> int:
    """The position of the one tensor that is meant, of those whose positions and names are given."""
    if isinstance(buffer, str):
        found = [position for position, name in tensors if name == buffer]
    else:
        found = [position for position, _ in tensors if position == _parameter_index(func, buffer)]
    if len(found) == 1:
        return found[0]
    known = ", ".join(f"{name} (parameter {position})" for position, name in tensors) or "none"
    if found:
        raise refusal("TT107", f"{len(found)} tensors are named {buffer}; give an index instead. Tensors: {known}")
    raise refusal("TT106", f"no tensor parameter {buffer}; tensors: {known}")


def _parameter_index(func: "PrimFunc", buffer: Any) -> int:
    if hasattr(buffer, "__index__") and not isinstance(buffer, bool):
        return index(buffer)
    if not hasattr(buffer, "same_as"):
        raise refusal(
            "TT105", f"found {type(buffer).__name__}; expected a tensor's name, its index, or the parameter itself"
        )
    for position, param in enumerate(func.params):
        mapped = getattr(func, "buffer_map", {}).get(param)
        if buffer.same_as(param) or (mapped is not None and buffer.same_as(mapped)):
            return position
    raise refusal("TT108", f"{buffer} is not a parameter of the function")


def read_attribute(func: "PrimFunc", key: str, pass_name: str) -> Any:
    """An attribute in Python's own containers; where it is missing, the message names what writes it."""
    if not hasattr(func, "params") or not hasattr(func, "attrs"):
        help_ = ', such as mod["main"]' if hasattr(func, "functions") else ""
        raise refusal("TT102", f"found {type(func).__name__}; expected a PrimFunc{help_}")
    if not func.attrs or key not in func.attrs:
        raise refusal("TT109", f"the function has no attribute {key}; run tilelang.tt.{pass_name} first")
    return to_python(func.attrs[key])


def to_python(value: Any) -> Any:
    """The IR's containers as Python's own."""
    if isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return str(value)  # tvm-ffi has a string class of its own
    if hasattr(value, "items"):
        return {str(key): to_python(item) for key, item in value.items()}
    return [to_python(item) for item in value]
