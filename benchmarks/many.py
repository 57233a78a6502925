"""What a second worker gives a batch: 200 distinct kernels by one worker and by two, both warm, without the cache."""

from time import perf_counter
from typing import Any

from inference import gemm, report

from tilelang.tt import WorkerPool, compile_many

KERNELS = 200
BOUND = 0.6


def seconds(kernels: list[Any], pool: WorkerPool) -> float:
    """Of a batch, after one that has started all workers."""
    compile_many(kernels[:8], executor=pool, cache=False)
    started = perf_counter()
    compile_many(kernels, executor=pool, cache=False)
    return perf_counter() - started


def main() -> None:
    kernels = [gemm(64 * (1 + number), 256, 128) for number in range(KERNELS)]
    with WorkerPool(1) as one, WorkerPool(2) as two:
        rounds = [(seconds(kernels, one), seconds(kernels, two)) for _ in range(3)]
    alone, both = (min(times) for times in zip(*rounds, strict=True))
    print(f"{KERNELS} kernels by one worker: {alone:.2f} s")
    report("by two workers / by one", both / alone, f"at most {BOUND}")


if __name__ == "__main__":
    main()
