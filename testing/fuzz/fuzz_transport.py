"""IR as JSON of any form: whatever stands in it, the reader gives a kernel that crosses again, or refuses.

Run it as ``python testing/fuzz/fuzz_transport.py -max_total_time=60``; arguments are libFuzzer's.
"""

import json
import sys

import atheris
import tvm
from tvm import tirx
from tvm.script import tirx as T

with atheris.instrument_imports(include=["tilelang.tt.service"]):
    from tilelang.tt import errors
    from tilelang.tt.service.key import fingerprint
    from tilelang.tt.service.transport import decode, encode


@T.prim_func
def kernel(a: T.handle, C: T.Buffer((100, 100), "float32")):
    T.func_attr({"note": {"b": [1, 2.5, True, None], "a": "x"}})
    m = T.int32()
    A = T.match_buffer(a, (m, 100), "float32")
    for bx in T.thread_binding((m + 31) // 32, thread="blockIdx.x"):
        stage = T.alloc_buffer((32, 100), "float32", scope="shared")
        for i in range(32):
            if bx * 32 + i < m:
                stage[i, 0] = T.exp(A[bx, i])
            C[bx, i] = stage[i, 0] * T.float32(0.5)


def nested() -> tirx.PrimFunc:
    body = tirx.Evaluate(0)
    for level in range(20):
        body = tirx.For(tirx.Var(f"i{level}", "int32"), 0, 2, 0, body)
    return tirx.PrimFunc([], body).with_attr("target", tvm.target.Target("c"))


TEXTS = [encode(kernel), encode(kernel, places=True), encode(nested())]
TYPES = sorted({node["type"] for text in TEXTS for node in json.loads(text)["nodes"]} | {"ffi.Module", "ffi.Function"})
VALUES = [
    None,
    True,
    -1,
    0,
    1,
    7,
    2**31,
    2**63 - 1,
    2**64,
    1.5,
    float("nan"),
    "",
    "int32",
    "float99x0",
    "x",
    [],
    {},
    [0],
]


@atheris.instrument_func
def spoil(graph: dict[str, object], data: atheris.FuzzedDataProvider) -> None:
    """Something else at one place of a graph."""
    nodes = graph["nodes"]
    index = data.ConsumeIntInRange(0, len(nodes) - 1)
    node, kind = nodes[index], data.ConsumeIntInRange(0, 9)
    content = node.get("data")
    if kind == 0:
        node["type"] = data.PickValueInList(TYPES)
    elif kind == 1:
        nodes[index] = nodes[data.ConsumeIntInRange(0, len(nodes) - 1)]
    elif kind == 2:
        del nodes[index]
    elif isinstance(content, dict | list) and content:
        key = data.PickValueInList(list(content) if isinstance(content, dict) else list(range(len(content))))
        if kind == 3:
            del content[key]
        elif kind == 4:
            content[key] = data.PickValueInList(VALUES)
        else:
            content[key] = data.ConsumeIntInRange(-1, len(nodes))
    else:
        node["data"] = data.PickValueInList(VALUES)


@atheris.instrument_func
def draw(data: atheris.FuzzedDataProvider) -> str:
    """Any text, or that of a kernel of which some places were changed."""
    kind = data.ConsumeIntInRange(0, 9)
    if kind == 0:
        return data.ConsumeUnicodeNoSurrogates(400)
    text = data.PickValueInList(TEXTS)
    if kind == 1:
        cut, end = (data.ConsumeIntInRange(0, len(text)) for _ in range(2))
        return text[:cut] + data.ConsumeUnicodeNoSurrogates(8) + text[end:]
    graph = json.loads(text)
    for _ in range(data.ConsumeIntInRange(1, 3)):
        spoil(graph, data)
    graph["root_index"] = len(graph["nodes"]) - 1
    return json.dumps(graph)


@atheris.instrument_func
def run_one(raw: bytes) -> None:
    try:
        func = decode(draw(atheris.FuzzedDataProvider(raw)))
        text = encode(func)
    except errors.TransportError:
        return
    if fingerprint(decode(text)) != fingerprint(func):
        raise AssertionError("a kernel does not survive its text")


if __name__ == "__main__":
    atheris.Setup(sys.argv, run_one)
    atheris.Fuzz()
