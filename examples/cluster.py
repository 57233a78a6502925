"""200 kernels for three devices over a Dask cluster that loses a worker, and once more from the cache.

The cluster is of this machine; with `distributed.Client("tcp://...")` it is any other. Needs `tilelang-tt[service]`.
"""

import logging
import os
import signal
import sys
import tempfile
import time
from threading import Thread

from distributed import Client, LocalCluster

from tilelang.tt import compile_many, counters

DEVICES = ["wormhole_n150", "wormhole_n300", "blackhole_p150"]


def gemm(m, n=256, k=128, block=64):
    from tvm.script import tirx as T

    @T.prim_func
    def main(A: T.Buffer((m, k), "bfloat16"), B: T.Buffer((k, n), "bfloat16"), C: T.Buffer((m, n), "bfloat16")):
        bx = T.launch_thread("blockIdx.x", n // block)
        by = T.launch_thread("blockIdx.y", m // block)
        for i, j in T.grid(block, block):
            for kk in range(k):
                C[by * block + i, bx * block + j] += A[by * block + i, kk] * B[kk, bx * block + j]

    return main


def kill(pid, stored):
    """Kill a worker when so many results are there."""
    while counters["cache"]["stores"] < stored:
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    print(f"worker {pid} was killed after {stored} kernels")


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    kernels = [gemm(64 * (1 + number)) for number in range(count)]
    options = {"dashboard_address": None, "silence_logs": logging.CRITICAL}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TILELANG_TT_CACHE_DIR"] = folder
        with LocalCluster(n_workers=3, threads_per_worker=1, **options) as cluster, Client(cluster) as client:
            victim = next(iter(client.run(os.getpid).values()))
            Thread(target=kill, args=(victim, count), daemon=True).start()
            for run in ("first", "second"):
                compiled = compile_many(kernels, DEVICES, executor=client.get_executor(), progress=True)
                cached = sum(kernel.found_in is not None for kernel in compiled)
                print(f"{run} run: {len(compiled)} kernels, {cached} from the cache")
