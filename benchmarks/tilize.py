"""Arrays in banks and back against the same in numpy: reshape, transpose and copy.

Prints ratios of times taken in one run, and GB/s of the array's bytes by the time that one core was busy with them.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from inference import gemm, medians, report

from tilelang.tt.plan import make_plan
from tilelang.tt.plan.tilize import tilize, untilize

RUNS = 15


def tilize_in_numpy(buffer, array):
    """For whole tiles of 32x32 elements in interleaved banks."""
    rows, columns = array.shape
    faces = array.reshape(rows // 32, 2, 16, columns // 32, 2, 16).transpose(0, 3, 1, 4, 2, 5)
    rounds = -(-buffer.num_pages // buffer.num_banks)
    pages = np.zeros((rounds * buffer.num_banks, 32 * 32), array.dtype)
    pages[: buffer.num_pages].reshape(faces.shape)[:] = faces
    banks = np.ascontiguousarray(pages.reshape(rounds, buffer.num_banks, 32 * 32).transpose(1, 0, 2))
    return banks.view(np.uint8).reshape(buffer.num_banks, -1)


def untilize_in_numpy(buffer, banks):
    rows, columns = buffer.shape
    pages = banks.view(np.uint16).reshape(buffer.num_banks, -1, 32 * 32).transpose(1, 0, 2).reshape(-1, 32 * 32)
    faces = pages[: buffer.num_pages].reshape(rows // 32, columns // 32, 2, 2, 16, 16)
    return np.ascontiguousarray(faces.transpose(0, 2, 4, 1, 3, 5)).reshape(rows, columns)


def throughput(function: Callable[[], object], num_bytes: int) -> float:
    times = []
    for _ in range(RUNS):
        start = time.process_time()
        result = function()
        times.append(time.process_time() - start)
        del result
    return num_bytes / statistics.median(times) / 1e9


def compare(side):
    buffer = make_plan(gemm(side, side, side)).buffer("A")
    array = np.random.default_rng(0).integers(0, 2**15, (side, side)).astype(np.uint16)
    banks = tilize(buffer, array)
    assert np.array_equal(banks, tilize_in_numpy(buffer, array))
    assert np.array_equal(untilize_in_numpy(buffer, banks), array)
    for name, ours, theirs, data in (
        ("tilize", tilize, tilize_in_numpy, array),
        ("untilize", untilize, untilize_in_numpy, banks),
    ):
        fast, slow = medians(RUNS, partial(ours, buffer, data), partial(theirs, buffer, data))
        report(f"numpy / {name}, bfloat16, {side} x {side}", slow / fast, "at least 1.5")
        report(f"GB/s of {name}", throughput(partial(ours, buffer, data), array.nbytes), "at least 1")

    block = make_plan(gemm(side, side, side), data_format="Bfp8_b").buffer("A")
    packed = tilize(block, array)
    for name, function in ("tilize", partial(tilize, block, array)), ("untilize", partial(untilize, block, packed)):
        report(f"GB/s of {name}, stored as Bfp8_b", throughput(function, array.nbytes), "at least 0.3")


def main() -> None:
    for side in (1024, 4096):
        compare(side)


if __name__ == "__main__":
    main()
