"""The figures of a plan, and a simple estimate of how long it takes.

The formulas, their sources and what they leave out stand in docs/estimate.md.
"""

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, TypeAlias

from ..errors import refusal
from .model import Kernel, Launch, Product
from .traffic import BufferTraffic, Cores, Space, Unknown, buffer_traffic, require_numbers, sum_or_none

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from .plan import Plan

    IntArray: TypeAlias = npt.NDArray[np.int64]

# Clocks in which the matrix engine multiplies two tiles of 32 x 32, of Wormhole and Blackhole alike.
# Source: tt-metal, tech_reports/GEMM_FLOPS/GEMM_FLOPS.md.
CYCLES_PER_TILE_PRODUCT = {"LoFi": 16, "HiFi2": 32, "HiFi3": 48, "HiFi4": 64}
# What ttnn 0.81.1 takes for operands of these dtypes, where a user says nothing; float32 needs all passes.
_FIDELITY = {"bfloat16": "HiFi2", "float16": "HiFi2", "float32": "HiFi4"}
_TILE = 32


@dataclass(frozen=True)
class LaunchFigures:
    """The figures of one launch. What is None is not known; ``unknown`` says why.

    Attributes:
        num_cores: Cores that it may use.
        num_active_cores: Cores that have work.
        tiles_per_core: Work tiles by the core's linear number, shape ``(num_cores,)``.
        buffers: What it moves of each tensor, in parameter order.
        tile_products_per_core: Products of two matrices of 32 x 32, shape ``(num_cores,)``; for each fidelity that is
            the default of their operands' dtype, ``""`` where there is none.
        l1_bytes: Of circular buffers, on each core that runs it.
        l1_available_bytes: What a core has for them.
        unknown: What could not be counted, and why.
    """

    num_cores: int
    num_active_cores: int
    tiles_per_core: "IntArray"
    buffers: tuple[BufferTraffic, ...]
    tile_products_per_core: "dict[str, IntArray] | None"
    l1_bytes: int
    l1_available_bytes: int | None
    unknown: tuple[str, ...]

    @property
    def imbalance(self) -> float:
        """The most work tiles of a core over the mean of the cores that may be used; 1 is perfect."""
        return float(self.tiles_per_core.max() / self.tiles_per_core.mean())

    def per_core(self, access: str, memory: str | None = None) -> "IntArray | None":
        """Bytes that each core moves, shape ``(num_cores,)``; None where a tensor's are not known.

        Args:
            access: ``read`` or ``written``.
            memory: Only of tensors in ``dram`` or ``l1``; default both.
        """
        import numpy as np

        chosen = [buffer for buffer in self.buffers if memory in (None, buffer.memory)]
        none: IntArray = np.zeros(self.num_cores, np.int64)
        total: IntArray | None = sum_or_none(
            [none, *(getattr(buffer, f"{access}_bytes_per_core") for buffer in chosen)]
        )
        return total

    def per_bank(self, access: str) -> "IntArray | None":
        """Bytes that move from or to each DRAM bank; None where a tensor's are not known.

        Args:
            access: ``read`` or ``written``.
        """
        import numpy as np

        arrays = [getattr(buffer, f"{access}_bytes_per_bank") for buffer in self.buffers if buffer.memory == "dram"]
        if any(array is None for array in arrays):
            return None
        out = np.zeros(max((len(array) for array in arrays), default=0), np.int64)
        for array in arrays:
            out[: len(array)] += array  # of tensors with shards maybe fewer banks
        return out

    @property
    def multicast_saved_bytes(self) -> int | None:
        """Bytes that would not be read with a multicast along rows or columns, of tensors in DRAM."""
        saved: int | None = sum_or_none(
            buffer.multicast_saved_bytes for buffer in self.buffers if buffer.memory == "dram"
        )
        return saved


@dataclass(frozen=True)
class Figures:
    """The figures of one kernel: what its plan costs, without any estimate of time. None is not known.

    Attributes:
        kernel: Its name.
        device: Of the chip.
        launches: In program order.
        padding_bytes: Of the pages of all tensors, how many hold no element of them.
        tensor_bytes: Of all pages.
    """

    kernel: str
    device: str
    launches: tuple[LaunchFigures, ...]
    padding_bytes: int
    tensor_bytes: int

    @property
    def num_cores(self) -> int:
        """Cores that it may use."""
        return self.launches[0].num_cores

    @property
    def num_active_cores(self) -> int:
        """Cores that have work in the launch in which most have."""
        return max(launch.num_active_cores for launch in self.launches)

    @property
    def tiles_per_core(self) -> "IntArray":
        """Work tiles of all launches by the core's linear number, shape ``(num_cores,)``."""
        import numpy as np

        total: IntArray = np.sum([launch.tiles_per_core for launch in self.launches], axis=0)
        return total

    @property
    def imbalance(self) -> float:
        """The most work tiles of a core over the mean of the cores that may be used; of the worst launch."""
        return max(launch.imbalance for launch in self.launches)

    @property
    def padding_percent(self) -> int:
        """Padding of all bytes of all pages, rounded down."""
        return 100 * self.padding_bytes // self.tensor_bytes if self.tensor_bytes else 0

    def per_core(self, access: str, memory: str | None = "dram") -> "IntArray | None":
        """Bytes that each core moves in all launches; see :meth:`LaunchFigures.per_core`."""
        total: IntArray | None = sum_or_none(launch.per_core(access, memory) for launch in self.launches)
        return total

    def per_bank(self, access: str) -> "IntArray | None":
        """Bytes that move from or to each DRAM bank in all launches."""
        total: IntArray | None = sum_or_none(launch.per_bank(access) for launch in self.launches)
        return total

    @property
    def dram_read_bytes(self) -> int | None:
        """Bytes that all cores read from DRAM."""
        return _total(self.per_core("read"))

    @property
    def dram_written_bytes(self) -> int | None:
        """Bytes that all cores write to DRAM."""
        return _total(self.per_core("written"))

    @property
    def multicast_saved_bytes(self) -> int | None:
        """Bytes of those read that a multicast along rows or columns of cores would save."""
        saved: int | None = sum_or_none(launch.multicast_saved_bytes for launch in self.launches)
        return saved

    @property
    def l1_bytes(self) -> int:
        """Bytes of circular buffers on a core, of the launch that has most."""
        return max(launch.l1_bytes for launch in self.launches)

    @property
    def unknown(self) -> tuple[str, ...]:
        """What could not be counted, and why."""
        return tuple(dict.fromkeys(reason for launch in self.launches for reason in launch.unknown))


@dataclass(frozen=True)
class Estimate:
    """An estimate, and no measurement: the least time that three bounds leave, as if all else were free.

    Cycles are clocks of the Tensix cores. A launch takes as long as the greatest of its bounds, and a kernel the sum of
    its launches. What is None is not known.

    Attributes:
        compute_cycles: Products of matrices on the busiest core.
        noc_cycles: Bytes that the busiest core reads, or writes, over the width of a NoC.
        dram_cycles: Bytes of DRAM of all cores over its bandwidth.
        total_cycles: The sum over the launches of the greatest bound; None where a bound is not known.
        at_least_cycles: The same of the bounds that are known.
        microseconds: Of the total, by the clock of the device.
        limited_by: ``compute``, ``noc`` or ``dram``: the bound that most of the time comes from; None without a total.
        unknown: What is not known, and why.
    """

    compute_cycles: float | None
    noc_cycles: float | None
    dram_cycles: float | None
    total_cycles: float | None
    at_least_cycles: float
    microseconds: float | None
    limited_by: str | None
    unknown: tuple[str, ...]

    def __str__(self) -> str:
        if self.total_cycles is None:
            return f"estimate: unknown ({'; '.join(self.unknown)})"
        time = "" if self.microseconds is None else f" = {self.microseconds:,.1f} us"
        return f"estimate: at least {self.total_cycles:,.0f} cycles{time}, limited by {self.limited_by}"


def figures(plan: "Plan | Kernel") -> Figures:
    """The figures of a kernel, or of the only kernel of a plan.

    Raises:
        PlanError: The kernel depends on shape variables.
        BufferLookupError: The plan has several kernels.
    """
    kernel = plan if isinstance(plan, Kernel) else plan.kernel()
    require_numbers(kernel)
    return Figures(
        kernel=kernel.name,
        device=kernel.device.name,
        launches=tuple(_launch_figures(kernel, launch) for launch in kernel.launches),
        padding_bytes=sum(int(buffer.padding_bytes) for buffer in kernel.buffers),
        tensor_bytes=sum(int(buffer.num_pages) * int(buffer.page_size_bytes) for buffer in kernel.buffers),
    )


def estimate(
    plan: "Plan | Kernel",
    *,
    fidelity: str | None = None,
    multicast: bool = False,
    figures: Figures | None = None,
) -> Estimate:
    """An estimate of the time that a kernel, or the only kernel of a plan, takes at least.

    Args:
        plan: A plan with numbers.
        fidelity: ``LoFi``, ``HiFi2``, ``HiFi3`` or ``HiFi4``: how exactly matrices are multiplied. Default ``HiFi2`` of
            bfloat16 and float16, ``HiFi4`` of float32.
        multicast: As if each box that several cores of a row or column read in one step were read from DRAM once.
        figures: Those of the plan, where they are at hand.

    Raises:
        OptionError: There is no such fidelity.
        PlanError: The kernel depends on shape variables.
        BufferLookupError: The plan has several kernels.
    """
    if fidelity is not None and fidelity not in CYCLES_PER_TILE_PRODUCT:
        names = ", ".join(CYCLES_PER_TILE_PRODUCT)
        raise refusal("TT851", f"fidelity is {fidelity!r}; expected one of: {names}")
    kernel = plan if isinstance(plan, Kernel) else plan.kernel()
    found = figures or _figures(kernel)
    bounds = [_bounds(kernel, launch, fidelity, multicast) for launch in found.launches]
    sums = {name: sum_or_none(launch[name] for launch in bounds) for name in _BOUNDS}
    known = [[value for value in launch.values() if value is not None] for launch in bounds]
    at_least = float(sum(max(values, default=0.0) for values in known))
    total = None if None in sums.values() else at_least
    clock = kernel.device.clock_mhz
    return Estimate(
        compute_cycles=sums["compute"],
        noc_cycles=sums["noc"],
        dram_cycles=sums["dram"],
        total_cycles=total,
        at_least_cycles=at_least,
        microseconds=None if total is None or clock is None else total / clock,
        limited_by=None if total is None else _limited_by(known),
        unknown=found.unknown + tuple(_unknown_bounds(kernel, found, sums)),
    )


_BOUNDS = ("compute", "noc", "dram")
_figures = figures  # under a name that no argument hides


def _launch_figures(kernel: Kernel, launch: Launch) -> LaunchFigures:
    import numpy as np

    cores = Cores(kernel, launch)
    buffers = buffer_traffic(kernel, launch, cores)
    unknown = [f"`{buffer.name}`: {buffer.reason}" for buffer in buffers if buffer.reason is not None]
    try:
        products = _tile_products(launch, cores)
    except Unknown as reason:
        products = None
        unknown.append(f"a product of matrices: {reason}")
    available = launch.on_chip.l1_available_bytes
    return LaunchFigures(
        num_cores=cores.count,
        num_active_cores=int(launch.num_active_cores),
        tiles_per_core=cores.total(np.ones(len(cores.core), np.int64)),
        buffers=buffers,
        tile_products_per_core=products,
        l1_bytes=int(launch.on_chip.l1_bytes),
        l1_available_bytes=None if available is None else int(available),
        unknown=tuple(unknown),
    )


def _tile_products(launch: Launch, cores: Cores) -> "dict[str, IntArray]":
    import numpy as np

    out: dict[str, IntArray] = {}
    for product in launch.traffic.products:
        size = _tiles_of(product)
        runs = cores.total(cores.look_up(Space(cores.grid, product.loops).sum_over_loops([])))
        fidelities = {_FIDELITY.get(dtype, "") for dtype in product.dtypes[:2]}
        fidelity = fidelities.pop() if len(fidelities) == 1 else ""
        out[fidelity] = out.get(fidelity, np.zeros(cores.count, np.int64)) + size * runs
    return out


def _tiles_of(product: Product) -> int:
    """Tiles of the result times tiles that are summed over; what is no multiple of a tile fills one."""
    if product.m is None or product.n is None or product.k is None:
        raise Unknown(product.reason or "its size")
    return prod(-(-extent // _TILE) for extent in (product.m, product.n, product.k))


def _bounds(kernel: Kernel, launch: LaunchFigures, fidelity: str | None, multicast: bool) -> dict[str, float | None]:
    device = kernel.device
    read, written = launch.per_core("read"), launch.per_core("written")
    noc = None
    if read is not None and written is not None and device.noc_width:
        # Each of two NoCs has one direction.
        noc = float(max(read.max(), written.max())) / device.noc_width
    moved = [_total(launch.per_core(access, "dram")) for access in ("read", "written")]
    moved.append(-launch.multicast_saved_bytes if multicast and launch.multicast_saved_bytes is not None else 0)
    dram = sum_or_none(moved)
    per_cycle = (
        None if device.dram_mb_per_s is None or not device.clock_mhz else device.dram_mb_per_s / device.clock_mhz
    )
    return {
        "compute": _compute_cycles(launch, fidelity),
        "noc": noc,
        "dram": None if dram is None or per_cycle is None else dram / per_cycle,
    }


def _compute_cycles(launch: LaunchFigures, fidelity: str | None) -> float | None:
    products = launch.tile_products_per_core
    if products is None or (fidelity is None and "" in products):
        return None
    cycles = [CYCLES_PER_TILE_PRODUCT[fidelity or default] * counts for default, counts in products.items()]
    return float(sum(cycles[1:], cycles[0]).max()) if cycles else 0.0


def _limited_by(launches: list[list[float]]) -> str:
    """The bound that is the greatest for most of the time."""
    spent = dict.fromkeys(_BOUNDS, 0.0)
    for values in launches:
        spent[_BOUNDS[values.index(max(values))]] += max(values)
    return max(_BOUNDS, key=lambda name: spent[name])


def _unknown_bounds(kernel: Kernel, found: Figures, sums: dict[str, float | None]) -> list[str]:
    """What of the device or the kernel a bound lacks, beside what could not be counted."""
    device, out = kernel.device, []
    if sums["compute"] is None and all(launch.tile_products_per_core is not None for launch in found.launches):
        out.append("the fidelity of a product whose operands are neither bfloat16, float16 nor float32")
    for name in ("clock_mhz", "noc_width", "dram_mb_per_s"):
        if getattr(device, name) is None:
            out.append(f"{name} of {device.name}")
    return out


def _total(values: "IntArray | None") -> int | None:
    return None if values is None else int(values.sum())
