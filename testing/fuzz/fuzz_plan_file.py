"""Plan files of any bytes: whatever stands in them, the reader gives a plan that it can write, or refuses.

Run it as ``python testing/fuzz/fuzz_plan_file.py -max_total_time=60``; arguments are libFuzzer's.
"""

import json
import sys

import atheris
from tvm.script import tirx as T

with atheris.instrument_imports(include=["json", "tilelang.tt.plan"]):
    from tilelang.tt import errors
    from tilelang.tt.plan import file, make_plan


@T.prim_func
def kernel(a: T.handle, C: T.Buffer((100, 100), "float32")):
    m = T.int32()
    A = T.match_buffer(a, (m, 100), "float32")
    for bx in T.thread_binding((m + 31) // 32, thread="blockIdx.x"):
        stage = T.alloc_buffer((32, 100), "float32", scope="shared")
        for i in range(32):
            stage[i, 0] = A[bx, i]
            C[bx, i] = stage[i, 0]


TEXTS = [make_plan(kernel).to_json(), make_plan(kernel.specialize({kernel.params[0]: T.Buffer((70, 100))})).to_json()]
PIECES = sorted(
    {line.strip() for text in TEXTS for line in text.splitlines()} | {"[" * 99, "NaN", "1.0", "\\ud800", "/~"}
)
NUMBERS = [-1, 0, 1, 2**31, 2**63 - 1, 2**63, 10**5000]


@atheris.instrument_func
def spoil(value: object, data: atheris.FuzzedDataProvider) -> object:
    """A value of JSON with something else at one place of it."""
    kind = data.ConsumeIntInRange(0, 9)
    if kind == 0 or not isinstance(value, dict | list) or not value:
        return data.PickValueInList(
            [None, True, 1.5, "", "m", "core_id", "(", [], {}, [value], *NUMBERS, TEXTS[0][:kind]]
        )
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = data.PickValueInList(keys)
    if kind == 1:
        del value[key]
    elif kind == 2:
        value[key] = value[data.PickValueInList(keys)]
    elif kind == 3 and isinstance(value, dict):
        value[data.ConsumeUnicode(4)] = None
    else:
        value[key] = spoil(value[key], data)
    return value


@atheris.instrument_func
def draw(data: atheris.FuzzedDataProvider) -> bytes:
    """Any bytes, or a plan of which one place was changed, as a value or as text."""
    kind = data.ConsumeIntInRange(0, 3)
    if kind == 0:
        return data.ConsumeBytes(400)
    text = data.PickValueInList(TEXTS)
    if kind < 3:
        return json.dumps(spoil(json.loads(text), data), indent=data.ConsumeIntInRange(0, 1)).encode()
    cut, end = (data.ConsumeIntInRange(0, len(text)) for _ in range(2))
    piece = data.PickValueInList(PIECES) if data.ConsumeBool() else data.ConsumeUnicodeNoSurrogates(8)
    return (text[:cut] + piece + text[end:]).encode()


@atheris.instrument_func
def run_one(raw: bytes) -> None:
    text = draw(atheris.FuzzedDataProvider(raw))
    try:
        plan = file.from_json(text)
    except errors.PlanError:
        return
    if file.from_json(file.to_json(plan)) != plan:
        raise AssertionError(f"{plan} does not survive a file")


if __name__ == "__main__":
    sys.set_int_max_str_digits(0)  # such numbers stand in files
    atheris.Setup(sys.argv, run_one)
    atheris.Fuzz()
