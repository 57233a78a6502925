"""Splitting work over cores against the same in Python, and schedules of all policies against the contiguous one.

Prints ratios of times taken in one run; absolute times of a shared machine say little.
"""

import numpy as np
from inference import gemm, infer, medians, report

from tilelang.tt import apply_tt_defaults, devices, split_work_to_cores, split_work_to_cores_bulk

# 140 cores: the most that a chip has.
LARGEST = next(device for device in devices() if device.name == "blackhole_p150").with_dispatch("slow")
POLICIES = {
    "strided": {"schedule_policy": "strided"},
    "block_cyclic": {"schedule_policy": "block_cyclic", "schedule_block_size": 8},
    "rectangular": {"schedule_policy": "rectangular"},
    "contiguous, swizzled": {"schedule_order": "swizzled_row", "swizzle_panel": 8},
}


def split_in_python(grid, units, row_wise=False):
    """Ttnn's rule for a whole grid, written for speed."""
    columns, rows = grid
    if units == 0:
        return 0, (), (), (), 0, 0
    width = columns if row_wise else rows
    num_cores = min(units, columns * rows)
    base, rest = divmod(units, num_cores)
    everyone = cover(0, num_cores, width, row_wise)
    if rest == 0:
        return num_cores, everyone, everyone, (), base, 0
    first, second = cover(0, rest, width, row_wise), cover(rest, num_cores - rest, width, row_wise)
    return num_cores, everyone, first, second, base + 1, base


def cover(start, count, width, row_wise):
    """Rectangles of cores [start, start + count): the rest of a line, full lines, the beginning of one."""
    out = []
    line, along = divmod(start, width)
    if along and count > width - along:
        out.append((along, line, width - 1, line))
        count -= width - along
        line, along = line + 1, 0
    if count > width:
        full = count // width
        out.append((0, line, width - 1, line + full - 1))
        line += full
        count -= full * width
    if count:
        out.append((along, line, along + count - 1, line))
    return tuple(out) if row_wise else tuple((y0, x0, y1, x1) for x0, y0, x1, y1 in out)


def main() -> None:
    units = np.random.default_rng(0).integers(0, 10**6, 10**5)
    numbers = units.tolist()
    few = numbers[:2000]
    for row_wise, order in ((False, "column-wise"), (True, "row-wise")):
        assert all(
            split_work_to_cores((13, 10), n, row_wise) == split_in_python((13, 10), n, row_wise) for n in range(999)
        )
        ours, python = medians(
            15,
            lambda row_wise=row_wise: [split_work_to_cores((13, 10), n, row_wise) for n in few],
            lambda row_wise=row_wise: [split_in_python((13, 10), n, row_wise) for n in few],
        )
        report(f"one split in Python / split_work_to_cores, {order}", python / ours, "at least 5")
        ours, python = medians(
            5,
            lambda row_wise=row_wise: split_work_to_cores_bulk((13, 10), units, row_wise),
            lambda row_wise=row_wise: [split_in_python((13, 10), n, row_wise) for n in numbers],
        )
        report(f"10^5 splits in Python / split_work_to_cores_bulk, {order}", python / ours, "at least 50")

    kernel = gemm(4096, 4096, 64)
    contiguous = apply_tt_defaults(kernel, device=LARGEST)
    for name, inputs in POLICIES.items():
        other = apply_tt_defaults(kernel, device=LARGEST, **inputs)
        slow, fast = medians(200, lambda other=other: infer(other), lambda: infer(contiguous))
        report(f"{name} / contiguous, on 140 cores", slow / fast, "at most 1.5")


if __name__ == "__main__":
    main()
