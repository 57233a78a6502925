"""Attributes of any kind and value: whatever stands in them, the passes answer or refuse, and never crash.

Run it as ``python testing/fuzz/fuzz_attributes.py -max_total_time=60``; arguments are libFuzzer's.
"""

import contextlib
import sys

import atheris
import tvm
from tvm.script import tirx as T

from tilelang.tt import Device, _native, errors, transform

WORDS = (
    *("wormhole_n150", "contiguous", "strided", "block_cyclic", "rectangular", "row_major", "column_major"),
    *("swizzled_row", "dram_interleaved", "Float16_b", "Bfp8_b", "tile", "l1", "dram", "name", "start", "count"),
    *("A", "m", "worker_grid", "arch", "cores", "orientation", "m // 32", "param_index", "memory", "page_layout"),
    *("data_format", "shard", "kind", "shape", "distribution", "height", "block", "nd", "grid_2d"),
)


@T.prim_func
def kernel(a: T.handle, c: T.handle):
    A = T.match_buffer(a, (100, 100), "float16")
    C = T.match_buffer(c, (100, 100), "float16")
    for bx in T.thread_binding(10, thread="blockIdx.x"):
        for i in range(10):
            C[bx, i] = A[bx, i]


PLANNED = tvm.ir.transform.Sequential(
    [
        transform.ApplyTTDefaults(data_format="Float16_b"),
        transform.InferDefaultTTSchedule(),
        transform.InferDefaultTTShard(),
    ]
)
PLAN = PLANNED(tvm.IRModule({"main": kernel}))["main"]
KEYS = sorted({*(str(key) for key, _ in PLAN.attrs.items()), "tt_buffer_layouts"})


@atheris.instrument_func
def draw(data: atheris.FuzzedDataProvider, depth: int = 3) -> object:
    """Any value that an attribute can hold."""
    kind = data.ConsumeIntInRange(0, 8 if depth else 5)
    if kind <= 1:
        return data.ConsumeIntInRange(-2, 70)
    if kind == 2:
        return data.ConsumeIntInRange(-(2**63), 2**63 - 1)
    if kind == 3:
        return data.PickValueInList(list(WORDS))
    if kind == 4:
        return data.ConsumeUnicodeNoSurrogates(24)
    if kind == 5:
        return data.ConsumeBool()
    if kind <= 7:
        return [draw(data, depth - 1) for _ in range(data.ConsumeIntInRange(0, 4))]
    return {data.PickValueInList(list(WORDS)): draw(data, depth - 1) for _ in range(data.ConsumeIntInRange(0, 4))}


DEVICE = Device.from_name("wormhole_n150").with_grid(5, 3).to_dict()


@atheris.instrument_func
def run_one(raw: bytes) -> None:
    data = atheris.FuzzedDataProvider(raw)
    attributes = {data.PickValueInList(KEYS): draw(data) for _ in range(data.ConsumeIntInRange(1, 4))}
    if data.ConsumeBool():  # a device with one field that is any value
        attributes["tt_device"] = {**DEVICE, data.PickValueInList(list(DEVICE)): draw(data, 1)}
    expression = data.ConsumeUnicodeNoSurrogates(60)
    with contextlib.suppress(errors.TTError):
        _native.simplify(expression, {"m": 7})
    with contextlib.suppress(errors.TTError):
        PLANNED(tvm.IRModule({"main": kernel.with_attr(attributes)}))


if __name__ == "__main__":
    atheris.Setup(sys.argv, run_one)
    atheris.Fuzz()
