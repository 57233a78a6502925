"""Who reads and writes which element of a tensor: counted, and watched for work tiles that meet."""

from collections import Counter
from dataclasses import dataclass, field
from math import prod
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from ..errors import refusal
from ..plan import Buffer, Kernel
from ..plan.traffic import Cores, page_counts, page_extents
from .memory import Array, Core, Indices, bits_of

Bools: TypeAlias = npt.NDArray[np.bool_]
Ints: TypeAlias = npt.NDArray[np.int64]
Direction: TypeAlias = Literal["read", "written"]

_NOBODY = -1


class Workload:
    """The work tiles of all launches of a kernel, each with a number of its own in its launch.

    Of every core the first number stands for what it does outside of its work tiles.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.launches = [Cores(kernel, launch) for launch in kernel.launches]
        self.num_cores = self.launches[0].count

    def number(self, core: Core) -> int:
        """Of the work tile that a core is at."""
        return int(self.launches[core.launch].first[core.number]) + core.number + core.turn + 1

    def core_and_turn(self, launch: int, number: int) -> tuple[int, int]:
        """The reverse of :meth:`number`."""
        first = self.launches[launch].first[:-1] + np.arange(self.num_cores)
        core = int(np.searchsorted(first, number, side="right")) - 1
        return core, int(number - first[core]) - 1

    def describe(self, launch: int, number: int) -> str:
        """A work tile and its core, for messages."""
        core, turn = self.core_and_turn(launch, number)
        cores = self.launches[launch]
        x, y = cores.position[core]
        where = f"core {core} at ({x}, {y})"
        if turn < 0:
            return f"{where} outside of its work tiles"
        bx, by, bz = cores.cells[cores.first[core] + turn]
        return f"work tile ({bx}, {by}, {bz}) on {where}"


class Owners:
    """The work tiles that do one thing to each element: the first one, and the last other one."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.first = np.full(shape, _NOBODY, np.int32)
        self.other = np.full(shape, _NOBODY, np.int32)

    def note(self, key: Indices, number: int) -> None:
        first = self.first[key]
        self.other[key] = np.where((first != _NOBODY) & (first != number), number, self.other[key])
        self.first[key] = np.where(first == _NOBODY, number, first)

    def besides(self, key: Indices, number: int) -> Array:
        """For each element a work tile that is not this one, or nobody."""
        first = self.first[key]
        return np.where(first == number, self.other[key], first)


@dataclass
class Counts:
    """What the cores do to one tensor in one launch, in one direction.

    Attributes:
        elements: By core, how many.
        pages: By core, how many its boxes move: each page that a box touches, every time.
        touched: By core, which pages it touches by single elements; shape: pages by dimension.
    """

    elements: Ints
    pages: Ints
    touched: dict[int, Bools] = field(default_factory=dict)


class Ledger:
    """All that is known of the accesses to one tensor.

    Elements are given by a key into an array of the tensor's shape: slices of a box, or an index array for each
    dimension. Whoever calls this holds the tensor's lock, unless the kernel only reads it.
    """

    def __init__(self, buffer: Buffer, workload: Workload) -> None:
        self.buffer = buffer
        self.workload = workload
        self.shape = tuple(int(extent) for extent in buffer.shape)
        _, self.page_shape = page_extents(buffer)
        self.num_pages = page_counts(buffer)
        cores = workload.num_cores
        self.counts: list[dict[Direction, Counts]] = [
            {way: Counts(np.zeros(cores, np.int64), np.zeros(cores, np.int64)) for way in ("read", "written")}
            for _ in workload.launches
        ]
        self.stored: list[Owners] = []  # by launch
        self.is_watched = buffer.access != "read"
        self.meetings: Counter[tuple[str, int]] = Counter()
        self.updated: set[int] = set()  # launches that update elements atomically

    def begin(self, elements: Array) -> None:
        """A launch begins, with these elements."""
        if not self.is_watched:
            return
        self.before = elements.copy() if self.buffer.access == "read_write" else elements
        self.loads, self.stores, self.updates = (Owners(self.shape) for _ in range(3))
        self.stored.append(self.stores)

    def end(self) -> None:
        """The launch ends."""
        if self.is_watched:
            self.stores.first = np.where(self.stores.first == _NOBODY, self.updates.first, self.stores.first)

    def load(self, core: Core, key: Indices, values: Array) -> None:
        if not self.is_watched:
            return
        number = self.workload.number(core)
        for owners, deed in ((self.stores, "writes"), (self.updates, "updates")):
            self._meet(core, key, owners.besides(key, number), (deed, "reads"), self.before[key], values)
        self.loads.note(key, number)

    def store(self, core: Core, key: Indices, old: Array, new: Array) -> None:
        number = self._writer(core)
        for owners, deed in ((self.stores, "writes"), (self.updates, "updates"), (self.loads, "reads")):
            self._meet(core, key, owners.besides(key, number), (deed, "writes"), old, new)
        self.stores.note(key, number)

    def update(self, core: Core, key: Indices, old: Array, new: Array) -> None:
        number = self._writer(core)
        self.updated.add(core.launch)
        for owners, deed in ((self.stores, "writes"), (self.loads, "reads")):
            self._meet(core, key, owners.besides(key, number), (deed, "updates"), old, new)
        self.updates.note(key, number)

    def _writer(self, core: Core) -> int:
        if not self.is_watched:
            raise refusal("TT901", f"tensor `{self.buffer.name}` is written, and the plan says that it is only read")
        return self.workload.number(core)

    def _meet(self, core: Core, key: Indices, others: Array, deeds: tuple[str, str], old: Array, new: Array) -> None:
        """Two work tiles do something to one element: of no matter where its value stays the same."""
        met = others != _NOBODY
        if not met.any():
            return
        different = met & differ(np.asarray(old, self.before.dtype), np.asarray(new, self.before.dtype))
        if not different.any():
            self.meetings[" and ".join(deeds), core.launch] += int(np.count_nonzero(met))
            return
        at = np.argwhere(different)[0]
        element = _element_of(key, tuple(int(i) for i in at))
        first, second = (
            self.workload.describe(core.launch, number)
            for number in (int(others[tuple(at)]), self.workload.number(core))
        )
        raise refusal(
            "TT916",
            f"tensor `{self.buffer.name}`: {first} {deeds[0]} element {element}, and {second} {deeds[1]} it; expected "
            "work tiles of one launch to leave alone what another one writes\n"
            "help: give each work tile its own part, use atomic updates, or a launch of its own",
        )

    def count_box(self, core: Core, way: Direction, box: tuple[slice, ...]) -> None:
        """A box inside of the tensor is moved."""
        counts = self.counts[core.launch][way]
        counts.elements[core.number] += _size(box)
        counts.pages[core.number] += _size(self._pages(box))

    def count_lanes(self, core: Core, way: Direction, box: tuple[slice, ...]) -> None:
        """Single elements are accessed, which are those of a box."""
        counts = self.counts[core.launch][way]
        counts.elements[core.number] += _size(box)
        self._touched(counts, core)[self._pages(box)] = True

    def count_elements(self, core: Core, way: Direction, key: Indices) -> None:
        """Single elements are accessed."""
        counts = self.counts[core.launch][way]
        counts.elements[core.number] += np.broadcast(*key).size if key else 1
        pages = tuple(index // size for index, size in zip(key, self.page_shape, strict=True))
        self._touched(counts, core)[pages] = True

    def _touched(self, counts: Counts, core: Core) -> Bools:
        if core.number not in counts.touched:
            counts.touched[core.number] = np.zeros(self.num_pages, np.bool_)
        return counts.touched[core.number]

    def _pages(self, box: tuple[slice, ...]) -> tuple[slice, ...]:
        """The pages that a box inside of the tensor touches."""
        return tuple(
            slice(part.start // size, -(-part.stop // size) if part.stop > part.start else part.start // size)
            for part, size in zip(box, self.page_shape, strict=True)
        )

    @property
    def is_written(self) -> Bools:
        """Which elements any work tile of any launch has written."""
        written = np.zeros(self.shape, np.bool_)
        for owners in self.stored:
            written |= owners.first != _NOBODY
        return written

    def last_writer(self, element: tuple[int, ...]) -> tuple[int, int] | None:
        """The launch and the number of the work tile."""
        numbers = [(launch, int(owners.first[element])) for launch, owners in enumerate(self.stored)]
        written = [(launch, number) for launch, number in numbers if number != _NOBODY]
        return written[-1] if written else None

    def findings(self) -> list[str]:
        """What is odd of the accesses, a sentence each."""
        name = self.buffer.name
        found = [
            f"`{name}`: {count:,} times a work tile {deeds} an element together with another one of launch {launch}, "
            "without changing it"
            for (deeds, launch), count in sorted(self.meetings.items())
        ]
        missing = ~self.is_written if self.buffer.access == "write" else np.zeros(0, np.bool_)
        if missing.any():
            first = tuple(int(i) for i in np.argwhere(missing)[0])
            count = int(np.count_nonzero(missing))
            found.append(f"`{name}`: {count:,} of {missing.size:,} elements are never written; the first is {first}")
        return found


def differ(a: Array, b: Array) -> Bools:
    """Where two arrays of one dtype have other bits; one NaN is as good as another."""
    bits = bits_of(a.dtype)
    same = a.view(bits) == b.view(bits)
    if a.dtype.kind not in "iub":
        same = same | ((a != a) & (b != b))
    return np.asarray(~same)


def _size(box: tuple[slice, ...]) -> int:
    return prod([part.stop - part.start for part in box])


def _element_of(key: Indices, at: tuple[int, ...]) -> tuple[int, ...]:
    """Which element of the tensor an element of ``array[key]`` is."""
    if key and isinstance(key[0], slice):
        return tuple(part.start + i for part, i in zip(key, at, strict=True))
    return tuple(int(index[at]) for index in np.broadcast_arrays(*key))
