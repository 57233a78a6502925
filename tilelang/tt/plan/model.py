"""What a plan says, as records of numbers, strings and tuples: the fields of ``tt.plan.json``.

A work tile is a cell of a launch grid; a tile is the hardware's tile of a tensor. The descriptions of the fields are
those of the schema, and the bounds of their types are its bounds.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from .. import _native
from .._records import AtLeast
from ..device import Device

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    IntArray: TypeAlias = npt.NDArray[np.int64]


Natural: TypeAlias = Annotated[int, AtLeast(0)]
Positive: TypeAlias = Annotated[int, AtLeast(1)]
Offset: TypeAlias = Annotated[int, AtLeast(-(2**63))] | str
"""A size that may be less than zero."""
Size: TypeAlias = Natural | str
"""A number, or a text over shape variables, such as ``(m + 31) // 32``."""
CoreRange: TypeAlias = tuple[Natural, Natural, Natural, Natural]
Axis: TypeAlias = Literal["x", "y", "z"]


@dataclass(frozen=True)
class Inputs:
    """What was decided by the user or by default, before anything was inferred.

    Attributes:
        cores: The cores to use, as rectangles ``[x0, y0, x1, y1]`` with both corners included, in list order.
        core_order: How the cores of a rectangle are numbered: along its rows or its columns.
        schedule_policy: How work tiles are dealt to cores.
        schedule_block_size: Work tiles of a block; only of the policy ``block_cyclic``.
        schedule_order: How work tiles are numbered.
        swizzle_panel: Rows or columns of a panel; only of the swizzled orders.
        layout_type: Where tensors lie that have no layout of their own.
        tile_height: Rows of a tile, in elements; of tensors that have no layout of their own.
        tile_width: Columns of a tile, in elements, likewise.
        data_format: How floating tensors are stored; null: each dtype's own format.
    """

    cores: tuple[CoreRange, ...]
    core_order: Literal["row_major", "column_major"]
    schedule_policy: Literal["contiguous", "strided", "block_cyclic", "rectangular"]
    schedule_block_size: Positive | None
    schedule_order: Literal["row_major", "column_major", "swizzled_row", "swizzled_column"]
    swizzle_panel: Positive | None
    layout_type: Literal["dram_interleaved", "l1_interleaved"]
    tile_height: Positive
    tile_width: Positive
    data_format: str | None


@dataclass(frozen=True)
class TileRun:
    """Work tiles of one core: ``start + r * stride + i`` of all ``r < repeat`` and ``i < length``, in this order.

    Attributes:
        core: Linear number of the core.
        start: The first work tile.
        length: Consecutive work tiles.
        stride: From one repetition to the next, in work tiles; 0 where there is one.
        repeat: How often that is.
    """

    core: Natural
    start: Natural
    length: Positive
    stride: Natural
    repeat: Positive


@dataclass(frozen=True)
class TileRange:
    """The work tiles of one core as formulas over ``core_id`` and the shape variables.

    Attributes:
        start: The first work tile.
        count: How many.
        runs: ``[start, length, stride, repeat]`` of each run; one whose length or repeat comes out as 0 is none.
    """

    start: Size
    count: Size
    runs: tuple[tuple[Size, Size, Size, Size], ...]


@dataclass(frozen=True)
class Persistent:
    """The loop over waves of a kernel that was written as a persistent one.

    Attributes:
        loop: Name of the variable that counts the waves.
        wave: Blocks of one wave.
        group_size: Rows of blocks that follow each other.
    """

    loop: str
    wave: Size
    group_size: Size


@dataclass(frozen=True)
class RuntimeArgument:
    """One argument that the kernel receives when it runs.

    Attributes:
        name: Of its own among the arguments.
        dtype: Of the value.
        scope: Whether each core has a value of its own.
        source: What the value follows from.
        bound: Whether it can be baked into the program or is set at every launch.
        value: Of a common argument, where it is known.
        reason: Why it is not known.
        param_index: Of a scalar or an address: the position of the parameter among all parameters.
    """

    name: str
    dtype: str
    scope: Literal["per_core", "common"]
    source: Literal["schedule", "kernel", "parameter", "buffer", "none", "unresolved"]
    bound: Literal["compile_time", "launch"]
    value: Size | None
    reason: str | None
    param_index: Natural | None


@dataclass(frozen=True)
class CircularBuffer:
    """A queue of pages in the L1 of every core that runs the launch, in which a buffer of the kernel lies.

    Attributes:
        name: As the user wrote it.
        scope: As the kernel allocates it.
        dtype: Of an element, in the kernel.
        data_format: How elements are stored; ``none`` for a dtype that has no format in tiles.
        shape: Extents in elements.
        num_tiles: Tiles of one stage; a page is a tile.
        page_size_bytes: Bytes of one tile.
        num_stages: Stages that a pipelined loop keeps filled; 1 without one.
        size_bytes: Bytes of all stages.
    """

    name: str
    scope: str
    dtype: str
    data_format: str
    shape: tuple[Size, ...]
    num_tiles: Size
    page_size_bytes: Positive
    num_stages: Positive
    size_bytes: Size


@dataclass(frozen=True)
class SubBlock:
    """The largest part of an accumulator that the DST register holds at once, in one of its modes.

    Attributes:
        fp32_dest_acc_en: Whether the register holds elements of 32 bits.
        dst_full_sync_en: Whether all of it is in use, and not one half while the other is packed.
        dst_tiles: Tiles that it holds in this mode.
        subblock: Height and width in tiles.
    """

    fp32_dest_acc_en: bool
    dst_full_sync_en: bool
    dst_tiles: Positive
    subblock: tuple[Positive, Positive]


@dataclass(frozen=True)
class Accumulator:
    """A buffer that matrices are multiplied into.

    Attributes:
        name: As the user wrote it.
        circular_buffer: Its position among the circular buffers.
        num_tiles_height: Tiles of one matrix, vertically.
        num_tiles_width: Tiles of one matrix, horizontally.
        subblocks: One for each mode of the register; none where the size depends on shape variables.
    """

    name: str
    circular_buffer: Natural
    num_tiles_height: Size
    num_tiles_width: Size
    subblocks: tuple[SubBlock, ...]


@dataclass(frozen=True)
class OnChip:
    """What a launch needs of every core that runs it.

    Attributes:
        circular_buffers: In the order in which the kernel allocates them.
        max_circular_buffers: How many a core has; null where that is not known.
        l1_bytes: Bytes from the start of the first to the end of the last.
        l1_available_bytes: Bytes that the device, and tensors in L1, leave to them; null where that is not known.
        accumulators: The buffers that matrices are multiplied into.
    """

    circular_buffers: tuple[CircularBuffer, ...]
    max_circular_buffers: Natural | None
    l1_bytes: Size
    l1_available_bytes: Size | None
    accumulators: tuple[Accumulator, ...]


@dataclass(frozen=True)
class TrafficLoop:
    """A loop around an access; a condition is one of one trip or none, whose name is ``when``.

    Attributes:
        name: Of its variable, which counts from 0.
        trips: How often it runs, over the loops before it; less than 1 is never.
    """

    name: str
    trips: Offset


@dataclass(frozen=True)
class Transfer:
    """One access to a tensor, which happens for each work tile and each value of its loops, in order.

    It moves a box of elements: what of the box lies outside of the tensor is not there. The texts are over ``bx``,
    ``by`` and ``bz``, which are the coordinates of the work tile, the names of the loops, and the shape variables.

    Attributes:
        param_index: Of the tensor.
        access: What is done to it.
        start: The first element of the box, by dimension; none where there is a reason.
        extent: Elements of the box, by dimension; none where there is a reason.
        loops: Around it, outermost first.
        reason: Why nothing more is known of it; null where all is.
    """

    param_index: Natural
    access: Literal["read", "write", "read_write"]
    start: tuple[Offset, ...]
    extent: tuple[Offset, ...]
    loops: tuple[TrafficLoop, ...]
    reason: str | None


@dataclass(frozen=True)
class Product:
    """One product of matrices, computed for each work tile and each value of its loops.

    Attributes:
        m: Rows of the result, in elements; null where there is a reason.
        n: Columns of the result; null where there is a reason.
        k: How much is summed over; null where there is a reason.
        dtypes: Of both factors and of the result; none where there is a reason.
        loops: Around it, outermost first.
        reason: Why nothing more is known of it; null where all is.
    """

    m: Positive | None
    n: Positive | None
    k: Positive | None
    dtypes: tuple[str, ...]
    loops: tuple[TrafficLoop, ...]
    reason: str | None


@dataclass(frozen=True)
class Traffic:
    """What a work tile of a launch moves and multiplies.

    Attributes:
        transfers: Accesses to tensors, in program order.
        products: Products of matrices, in program order.
    """

    transfers: tuple[Transfer, ...]
    products: tuple[Product, ...]


@dataclass(frozen=True)
class Launch:
    """One launch: which core runs which part of its grid.

    Attributes:
        grid: Extents on x, y and z, in work tiles.
        num_tiles: Work tiles of the grid.
        num_active_cores: Cores that have work.
        core_ranges: The cores that have work, as rectangles ``[x0, y0, x1, y1]`` with both corners included.
        tile_runs: The work tiles of all cores, by core; empty where ``tile_range`` has them.
        tile_range: The work tiles of a core as formulas; only where the grid is symbolic.
        persistent: Only of a kernel that was written as a persistent one.
        runtime_arguments: In the order in which the kernel receives them.
        on_chip: What it needs of every core that runs it.
        traffic: What a work tile of it moves and multiplies.
    """

    grid: tuple[Size, Size, Size]
    num_tiles: Size
    num_active_cores: Size
    core_ranges: tuple[CoreRange, ...]
    tile_runs: tuple[TileRun, ...]
    tile_range: TileRange | None
    persistent: Persistent | None
    runtime_arguments: tuple[RuntimeArgument, ...]
    on_chip: OnChip
    traffic: Traffic

    @property
    def run_table(self) -> "IntArray":
        """``tile_runs`` as an array: ``core, start, length, stride, repeat`` of each; shape ``(num_runs, 5)``."""
        import numpy as np

        rows = [(run.core, run.start, run.length, run.stride, run.repeat) for run in self.tile_runs]
        return np.array(rows, np.int64).reshape(-1, 5)


@dataclass(frozen=True)
class ShardPlan:
    """How a tensor is cut into shards, and which bank has which.

    Attributes:
        shape: Extents of a shard, in elements.
        cores: ``[x, y]`` of each bank, in the order in which they take shards; of a tensor in DRAM ``[bank, 0]``.
        orientation: How the cores of a rectangle follow each other.
        distribution: How shards are dealt to banks.
        tensor_pages: Pages along each dimension of the tensor; dimensions that are not cut are joined.
        shard_pages: Pages of a shard along each of these dimensions; they are numbered along the last one first.
        shard_grid: Shards along each of these dimensions; they are numbered along the last one first.
        num_shards: Shards of the whole tensor.
        shards_per_core: The most that a bank has; every bank reserves memory for so many.
        pages_per_shard: Pages of a whole shard.
        address_if_alone: Address at which the tensor begins in every core if the device holds nothing else; only in L1.
    """

    shape: tuple[Positive, ...]
    cores: tuple[tuple[Natural, Natural], ...]
    orientation: Literal["row_major", "column_major"]
    distribution: Literal["round_robin_1d", "contiguous_1d", "grid_2d"]
    tensor_pages: tuple[Positive, ...]
    shard_pages: tuple[Positive, ...]
    shard_grid: tuple[Positive, ...]
    num_shards: Positive
    shards_per_core: Positive
    pages_per_shard: Positive
    address_if_alone: Natural | None


@dataclass(frozen=True)
class Buffer:
    """How one tensor parameter lies in memory.

    Attributes:
        name: As the user wrote it.
        param_index: Position among all parameters.
        dtype: Of an element, in the kernel.
        shape: Extents in elements.
        access: What the kernel does to it.
        memory: Where it lies.
        layout: How its pages are spread.
        page_layout: Whether a page is one tile or one row.
        tile_shape: Height and width of a tile, in elements; null where pages are rows.
        num_tiles_height: Tiles of one matrix, vertically; null where pages are rows.
        num_tiles_width: Tiles of one matrix, horizontally; null where pages are rows.
        num_matrices: The product of all dimensions but the last two.
        padded_shape: Extents in elements with padding; tensors of fewer than two dimensions may have two.
        padding_value: What the padding holds: a number as text, ``any`` where nothing reads it, ``unknown`` where that
            cannot be told; null where there is no padding.
        padding_bytes: Bytes of the pages that hold no element of the tensor.
        padding_percent: The same in percent of all bytes of the pages, rounded down.
        data_format: How elements are stored, as tt-metal names it.
        page_size_bytes: Bytes of one page.
        aligned_page_size_bytes: Bytes from one page of a bank to the next.
        num_pages: Pages of the whole tensor.
        num_banks: Banks that have the pages; without shards they take one each in turn.
        bytes_per_bank: Bytes that the tensor reserves in every bank.
        shard: How it is cut; null where its pages are interleaved.
        accessor_compile_time_args: The compile-time words of tt-metal's TensorAccessorArgs.
    """

    name: str
    param_index: Natural
    dtype: str
    shape: tuple[Size, ...]
    access: Literal["read", "write", "read_write", "none"]
    memory: Literal["dram", "l1"]
    layout: Literal[
        "dram_interleaved", "l1_interleaved", "height_sharded", "width_sharded", "block_sharded", "nd_sharded"
    ]
    page_layout: Literal["tile", "row_major"]
    tile_shape: tuple[Positive, Positive] | None
    num_tiles_height: Size | None
    num_tiles_width: Size | None
    num_matrices: Size
    padded_shape: tuple[Size, ...]
    padding_value: str | None
    padding_bytes: Size
    padding_percent: Size
    data_format: str
    page_size_bytes: Size
    aligned_page_size_bytes: Size
    num_pages: Size
    num_banks: Positive
    bytes_per_bank: Size
    shard: ShardPlan | None
    accessor_compile_time_args: tuple[Natural, ...]


@dataclass(frozen=True)
class PlanWarning:
    """What a user should know about a kernel that was planned.

    Attributes:
        code: Of the mistake, such as ``TT610``.
        message: What was found, what was expected and what to do.
    """

    code: str
    message: str


@dataclass(frozen=True)
class Kernel:
    """One function that has a launch grid.

    Attributes:
        name: Its name in the module.
        device: The chip that it is planned for.
        inputs: What was decided before anything was inferred.
        shape_variables: Names of the variables that sizes depend on.
        launches: In program order.
        buffers: The tensor parameters, in parameter order.
        warnings: What a user should know.
    """

    name: str
    device: Device
    inputs: Inputs
    shape_variables: tuple[str, ...]
    launches: Annotated[tuple[Launch, ...], AtLeast(1)]
    buffers: tuple[Buffer, ...]
    warnings: tuple[PlanWarning, ...]

    @property
    def core_coordinates(self) -> "IntArray":
        """``(x, y)`` of each core that may be used, by its linear number; shape ``(num_cores, 2)``."""
        import numpy as np

        cores = _native.list_cores(self.inputs.cores, None, self.inputs.core_order == "row_major")
        return np.array(cores, np.int64)


@dataclass(frozen=True)
class Source:
    """A place in a user's file.

    Attributes:
        file: Relative to the folder in which the plan was made; the name alone where it lies outside of it.
        line: From 1 on.
    """

    file: str
    line: Positive


@dataclass(frozen=True)
class KernelProvenance:
    """Where one kernel comes from.

    Attributes:
        kernel: Its name.
        sha256: Of the kernel's IR as text, which differs between hosts; null where the host cannot print it.
        source: Where it stands; null where the host does not say.
        warning_sources: Where each of its warnings points to, in their order.
    """

    kernel: str
    sha256: str | None
    source: Source | None
    warning_sources: tuple[Source | None, ...]


@dataclass(frozen=True)
class Provenance:
    """What made the plan; the only part of it that may differ for one kernel and one set of options.

    Attributes:
        package_version: Of tilelang-tt.
        host: The TVM that held the kernel, with its version.
        kernels: Where each kernel comes from, in the order of the kernels.
    """

    package_version: str
    host: str
    kernels: tuple[KernelProvenance, ...]


@dataclass(frozen=True)
class PlanFile:
    """All decisions about the kernels of a module: which core does what, and how every tensor lies in memory.

    Attributes:
        format: What kind of file this is.
        version: Of the format; another version may have other fields.
        kernels: In the order of their names.
        provenance: What made the plan.
    """

    format: Literal["tt.plan"]
    version: Literal[1]
    kernels: Annotated[tuple[Kernel, ...], AtLeast(1)]
    provenance: Provenance
