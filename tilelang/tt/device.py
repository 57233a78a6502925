"""Devices as values: the table of known products, and whatever a user derives from it."""

import functools
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from . import _native
from .errors import DeviceError, refusal
from .metadata import read_attribute

if TYPE_CHECKING:
    from os import PathLike

    from tvm.tirx import PrimFunc

# Fields that the worker grid follows from.
_GRID_SOURCES = {"arch", "physical_grid", "harvested_columns", "harvested_rows", "dispatch"}


def _in_bytes(name: str) -> Any:
    """A field that is not known by default; files that name units name this one."""
    return field(default=None, metadata={"json": f"{name}_bytes"})


@dataclass(frozen=True)
class Device:
    """One Tenstorrent chip as kernels see it; boards of several chips are described per chip.

    Sizes, addresses and alignments are in bytes. ``None`` means that the number is not known: what needs it
    refuses the device. The sources of the table's numbers stand in ``src/tt/device/device.cc``.

    A product's name is a default, never a truth. Chips of one product differ in what was harvested, and software in
    where it dispatches from, so take the worker grid from your machine
    (``device.compute_with_storage_grid_size()`` of ttnn) and derive the device that has it.

    Attributes:
        name: What messages call it: letters, digits, ``_``, ``-`` and ``.``.
        arch: ``"grayskull"``, ``"wormhole_b0"`` or ``"blackhole"``.
        physical_grid: Tensix cores on the chip, ``(columns, rows)``.
        harvested_columns: Columns of them that the factory has switched off; on Blackhole only.
        harvested_rows: Rows that are switched off; on Grayskull and Wormhole only.
        dispatch: Where tt-metal dispatches from: ``"row"`` or ``"column"`` for fast dispatch on the last row or column
            of Tensix cores, ``"ethernet"`` for fast dispatch on ethernet cores, ``"slow"`` for slow dispatch.
        worker_grid: Tensix cores that kernels may use, ``(columns, rows)``: at most what harvesting and dispatch leave.
        dram_banks: DRAM banks as the allocator sees them.
        dram_bank_size: Bytes of one bank.
        dram_base: The first address in a bank that the allocator gives out.
        dram_alignment: Pages of DRAM tensors start at multiples of it.
        l1_size: Bytes of one core's L1.
        l1_base: The first L1 address that the allocator gives out.
        l1_alignment: Pages of L1 tensors start at multiples of it.
        circular_buffers: Circular buffers of one core.
        cb_alignment: Circular buffers start at multiples of it.
        dst_tiles: Tiles of 32x32 16-bit elements in the whole DST register; see :meth:`max_dst_tiles`.
        clock_mhz: Clock of the Tensix cores, in MHz.
        noc_width: Bytes that a NoC moves per clock.
        dram_mb_per_s: Bandwidth of all DRAM banks together, as the product's page states it, in MB/s (10^6 bytes).

    Raises:
        DeviceError: A field has a value that no chip can have, or the fields contradict each other.
    """

    name: str
    arch: str
    physical_grid: tuple[int, int]
    harvested_columns: int
    harvested_rows: int
    dispatch: str
    worker_grid: tuple[int, int]
    dram_banks: int | None = None
    dram_bank_size: int | None = _in_bytes("dram_bank_size")
    dram_base: int | None = _in_bytes("dram_base")
    dram_alignment: int | None = _in_bytes("dram_alignment")
    l1_size: int | None = _in_bytes("l1_size")
    l1_base: int | None = _in_bytes("l1_base")
    l1_alignment: int | None = _in_bytes("l1_alignment")
    circular_buffers: int | None = None
    cb_alignment: int | None = _in_bytes("cb_alignment")
    dst_tiles: int | None = None
    clock_mhz: int | None = None
    noc_width: int | None = _in_bytes("noc_width")
    dram_mb_per_s: int | None = None

    def __post_init__(self) -> None:
        for key, value in _native.complete_device(asdict(self)).items():
            object.__setattr__(self, key, value)  # lists and numpy's integers as tuples and Python's

    @classmethod
    def from_name(cls, name: str) -> "Device":
        """A device of the table.

        Raises:
            DeviceError: There is none of that name; the message names the nearest.
        """
        if not isinstance(name, str):
            raise refusal("TT303", f"found {name!r}; expected the name of a device")
        return cls(**_native.find_device(name))

    @classmethod
    def from_toml(cls, path: "str | PathLike[str]") -> "Device":
        """A device that a TOML file states.

        The keys are the fields of this class. ``base = "wormhole_n150"`` takes the fields that the file leaves out from
        that device; without a base only numbers that are not known may be left out. A file that does not give
        ``worker_grid`` has the one that harvesting and dispatch leave.

        Raises:
            DeviceError: The file is no TOML, or states no device; the message gives line and column, or the key.
            OSError: The file cannot be read.
        """
        from ._toml import read_toml  # few programs state devices

        _, stated = read_toml(path, "TT315")
        try:
            base = stated.pop("base", None)
            return cls(**_native.complete_device(stated)) if base is None else cls.from_name(base).replace(**stated)
        except DeviceError as error:
            raise refusal(error.code, f"{path}: {str(error).removeprefix(f'{error.code}: ')}") from None

    @classmethod
    def of(cls, func: "PrimFunc") -> "Device":
        """The device of a kernel, from its attribute ``tt_device``.

        Raises:
            MissingInputError: :func:`tilelang.tt.apply_tt_defaults` has not been run on it.
            DeviceError: The attribute states no device.
        """
        stated = read_attribute(func, "tt_device", "apply_tt_defaults")
        return cls(**_native.complete_device(stated)) if isinstance(stated, dict) else cls.from_name(stated)

    def replace(self, /, **changes: Any) -> "Device":
        """The device with other values of some fields.

        Where ``arch``, ``physical_grid``, ``harvested_columns``, ``harvested_rows`` or ``dispatch`` is given and
        ``worker_grid`` is not, the worker grid becomes what harvesting and dispatch leave.

        Raises:
            DeviceError: There is no such field, or the result is no device.
        """
        stated = asdict(self)
        if changes.keys() & _GRID_SOURCES:
            del stated["worker_grid"]
        return Device(**_native.complete_device({**stated, **changes}))

    def with_grid(self, columns: int, rows: int) -> "Device":
        """The device with a worker grid of ``columns`` x ``rows`` cores, which may be a part of it.

        Raises:
            DeviceError: The grid is larger than what harvesting and dispatch leave.
        """
        return self.replace(worker_grid=(columns, rows))

    def with_harvested(self, *, columns: int = 0, rows: int = 0) -> "Device":
        """The device with so much harvested, and the worker grid that is left.

        Args:
            columns: On Blackhole, 0 to 2.
            rows: On Grayskull and Wormhole, 0 to 2.

        Raises:
            DeviceError: The architecture does not harvest so.
        """
        return self.replace(harvested_columns=columns, harvested_rows=rows)

    def with_dispatch(self, dispatch: str) -> "Device":
        """The device with another dispatch, and the worker grid that is left.

        Args:
            dispatch: ``"row"``, ``"column"``, ``"ethernet"`` or ``"slow"``.

        Raises:
            DeviceError: tt-metal does not dispatch so on this chip.
        """
        return self.replace(dispatch=dispatch)

    @property
    def num_workers(self) -> int:
        """Cores of the worker grid; interleaved L1 tensors have one bank in each."""
        columns, rows = self.worker_grid
        return columns * rows

    @property
    def usable_l1(self) -> int | None:
        """Bytes of one core's L1 that circular buffers and tensors share."""
        size, base = self.l1_size, self.l1_base
        return None if size is None or base is None else size - base

    @property
    def usable_dram_bank(self) -> int | None:
        """Bytes of one DRAM bank that tensors share."""
        size, base = self.dram_bank_size, self.dram_base
        return None if size is None or base is None else size - base

    @property
    def tile_shapes(self) -> tuple[tuple[int, int], ...]:
        """The tiles that tensors may be laid out in, ``(height, width)`` in elements; the same on every chip."""
        return _native.tile_shapes()

    @property
    def data_formats(self) -> tuple[str, ...]:
        """The formats that tensors may be stored in, as tt-metal names them."""
        return _native.data_formats(self.arch)

    def max_dst_tiles(self, *, fp32_accumulation: bool = False, full_sync: bool = False) -> int:
        """Tiles of 32x32 elements that a kernel may hold in the DST register at once.

        Args:
            fp32_accumulation: Elements of 32 bits, tt-metal's ``fp32_dest_acc_en``.
            full_sync: The whole register at once, tt-metal's ``dst_full_sync_en``; else it is double-buffered.

        Raises:
            DeviceError: ``dst_tiles`` is not known.
        """
        return _native.max_dst_tiles(asdict(self), fp32_accumulation, full_sync)

    def to_dict(self) -> dict[str, int | str | list[int]]:
        """The known fields in plain lists, numbers and strings, as ``tt_device`` holds them."""
        known = {key: value for key, value in asdict(self).items() if value is not None}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in known.items()}

    def to_toml(self) -> str:
        """The text of a file that :meth:`from_toml` reads."""
        # Names need no escapes, and lists of integers read the same in Python and in TOML.
        return "".join(
            f'{key} = "{value}"\n' if isinstance(value, str) else f"{key} = {value}\n"
            for key, value in self.to_dict().items()
        )


def devices() -> list[Device]:
    """All devices that are known by name, the default first."""
    return list(_table())


@functools.cache
def _table() -> tuple[Device, ...]:
    return tuple(Device(**stated) for stated in _native.devices())


def as_attribute(device: Any) -> Any:
    """What ``tt_device`` holds: the name of a device of the table, else the map of all its fields."""
    if not isinstance(device, Device):
        return device
    return device.name if device in _table() else device.to_dict()
