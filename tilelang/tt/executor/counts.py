"""What was counted of an execution, beside what the plan says."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..plan import Buffer, BufferTraffic, Kernel, Transfer
from ..plan.traffic import Cores, Unknown, page_counts, pages_of
from .ledger import Bools, Counts, Direction, Ints, Ledger
from .sized import Sized

# Boxes of one transfer on one core that are looked at one by one.
_MOST = 1_000_000


@dataclass(frozen=True)
class BufferCounts:
    """What one launch did to one tensor, by core.

    Bytes are those of whole pages that boxes moved, as the plan counts them: each page that a box touches, every time.
    Single elements, which kernels access outside of operations on whole tiles, have no bytes.

    Attributes:
        name: Of the tensor.
        launch: Number of the launch.
        elements_read: By the core's linear number, shape ``(num_cores,)``.
        elements_written: Likewise.
        read_bytes_per_core: Likewise.
        written_bytes_per_core: Likewise.
        has_single_elements: Whether elements were accessed one by one.
        has_updates: Whether elements were updated atomically.
        planned: What the plan says of the same launch and tensor.
    """

    name: str
    launch: int
    elements_read: Ints
    elements_written: Ints
    read_bytes_per_core: Ints
    written_bytes_per_core: Ints
    has_single_elements: bool
    has_updates: bool
    planned: BufferTraffic
    _reach: Any

    @cached_property
    def comparison(self) -> str:
        """How this and the plan compare.

        - ``equal``: every core moved the bytes that the plan says.
        - ``covered``: elements were accessed one by one, in pages that the plan says the core moves.
        - ``not known``: the plan does not know, and says why in ``planned.reason``.
        - ``different``: anything else.
        """
        if self.planned.reason is not None:
            return "not known"
        if self.has_single_elements:
            return "covered" if self._reach.is_covered() else "different"
        own = self.read_bytes_per_core, self.written_bytes_per_core
        planned = self.planned.read_bytes_per_core, self.planned.written_bytes_per_core
        return "equal" if np.array_equal(own, np.asarray(planned)) else "different"


@dataclass(frozen=True)
class _Reach:
    """The pages that single elements of a tensor lie in, and those that the plan says are moved."""

    buffer: Buffer
    transfers: tuple[Transfer, ...]
    cores: Cores
    counts: dict[Direction, Counts]

    def is_covered(self) -> bool:
        try:
            return all(
                not (touched & ~self._planned(way, core)).any()
                for way, counts in self.counts.items()
                for core, touched in counts.touched.items()
            )
        except Unknown:
            return False

    def _planned(self, way: Direction, core: int) -> Bools:
        """Pages that the plan says a core moves."""
        access = {"read": "read", "written": "write"}[way]
        out: Bools = np.zeros(page_counts(self.buffer), np.bool_)
        cells = self.cores.cells[self.cores.first[core] : self.cores.first[core + 1]]
        for transfer in self.transfers:
            if transfer.access not in (access, "read_write"):
                continue
            pages = pages_of(transfer, self.buffer, self.cores.grid)
            corners = [self._at(array, cells) for pair in zip(pages.first, pages.end, strict=True) for array in pair]
            chosen = self._at(np.ones([1] * pages.space.rank, np.int64), cells)
            for mask in pages.space.masks:
                chosen = chosen * self._at(mask, cells)
            *corners, chosen = np.broadcast_arrays(*corners, chosen)
            if chosen.size > _MOST:
                raise Unknown("more boxes than can be looked at")
            boxes = np.stack([corner[chosen > 0] for corner in corners]) if corners else np.zeros((0, 1), np.int64)
            for box in np.unique(boxes, axis=1).T:
                out[tuple(slice(low, high) for low, high in zip(box[::2], box[1::2], strict=True))] = True
        return out

    @staticmethod
    def _at(array: Any, cells: Ints) -> Any:
        """An array over a transfer's space, at some cells of the grid: they become the first axis."""
        return array[tuple(cells[:, i] if array.shape[i] > 1 else 0 * cells[:, i] for i in range(3))]


def count(sized: Sized, ledgers: list[Ledger]) -> tuple[BufferCounts, ...]:
    """Everything that was counted, launch after launch, tensor after tensor."""
    return tuple(
        _count(sized.kernel, number, cores, ledger, planned)
        for number, (cores, traffic) in enumerate(zip(sized.workload.launches, sized.traffic(), strict=True))
        for ledger, planned in zip(ledgers, traffic, strict=True)
    )


def _count(kernel: Kernel, launch: int, cores: Cores, ledger: Ledger, planned: BufferTraffic) -> BufferCounts:
    counts = ledger.counts[launch]
    transfers = kernel.launches[launch].traffic.transfers
    own = tuple(transfer for transfer in transfers if transfer.param_index == ledger.buffer.param_index)
    page = int(ledger.buffer.aligned_page_size_bytes)
    return BufferCounts(
        name=ledger.buffer.name,
        launch=launch,
        elements_read=counts["read"].elements,
        elements_written=counts["written"].elements,
        read_bytes_per_core=counts["read"].pages * page,
        written_bytes_per_core=counts["written"].pages * page,
        has_single_elements=any(one.touched for one in counts.values()),
        has_updates=launch in ledger.updated,
        planned=planned,
        _reach=_Reach(ledger.buffer, own, cores, counts),
    )
