"""Loops that are executed as arrays: they give what they give one iteration after the other."""

import re

import numpy as np
import pytest
import tvm
from hypothesis import given, settings
from hypothesis import strategies as st
from support.host import ON_TILELANG, T

from tilelang.tt.executor import statement
from tilelang.tt.executor.memory import Core, OnChip
from tilelang.tt.executor.program import Program

pytestmark = pytest.mark.stage("execute")

SHAPES = {"A": (8, 8), "B": (8, 8), "C": (64,), "D": (8,)}
HEAD = """# from tvm.script import tirx as T
@T.prim_func
def main(A: T.Buffer((8, 8), "int32"), B: T.Buffer((8, 8), "int32"), C: T.Buffer((64,), "int32"),
         D: T.Buffer((8,), "int32"), n: T.int32):
    t = T.alloc_buffer((2,), "int32", scope="local")
"""


def execute(func, arrays, least):
    """What the arrays hold after a function, and how many loops were executed as arrays."""
    count = 0
    with pytest.MonkeyPatch.context() as patch:
        array_loop = statement._array_loop

        def counted(*arguments):
            nonlocal count
            count += 1
            return array_loop(*arguments)

        patch.setattr(statement, "LEAST_LANES", least)
        patch.setattr(statement, "_array_loop", counted)
        program = Program(func)
    memories = [OnChip(name, array.shape, array.dtype, array.copy()) for name, array in arrays.items()]
    program.run(Core(0), [*memories, np.int32(5)][: len(program.parameters)])
    return {memory.name: memory.data for memory in memories}, count


def agree(func, arrays):
    """Executes a function both ways; how many loops were executed as arrays."""
    sequential, none = execute(func, arrays, 1 << 60)
    vectorized, count = execute(func, arrays, 1)
    assert none == 0
    for name, expected in sequential.items():
        np.testing.assert_array_equal(vectorized[name], expected, err_msg=name)
    return count


def arrays(seed=0):
    rng = np.random.default_rng(seed)
    return {name: rng.integers(0, 8, shape, dtype=np.int32) for name, shape in SHAPES.items()}


def parse(body):
    return tvm.script.from_source(HEAD + "".join(f"    {line}\n" for line in body))


@st.composite
def element(draw, variables):
    """An element whose index is within bounds for variables from 0 to 3."""
    i, j, k = (draw(st.sampled_from([*variables, "0", "3"])) for _ in range(3))
    return draw(
        st.sampled_from(
            [
                f"A[{i}, {j}]",
                f"B[{i}, {j}]",
                f"A[{i} + {k}, {j} * 2]",
                f"C[{i} * 4 + {j}]",
                f"C[{i} * 16 + {j} * 4 + {k}]",
                f"C[{i} * 3 + {j}]",
                f"C[{i} * 2 + {draw(st.integers(0, 2))}]",
                f"D[{i}]",
                f"D[{i} + {draw(st.integers(0, 2))}]",
                f"D[n - {i}]",
                f"D[A[{i}, {j}] % 8]",
                f"A[({i} * 4 + {j}) // 3, ({i} * 4 + {j}) % {draw(st.integers(3, 4))}]",
                f"t[{draw(st.integers(0, 1))}]",
                f"t[{i} % 2]",
            ]
        )
    )


@st.composite
def expression(draw, variables, depth=2):
    if depth == 0 or draw(st.booleans()):
        return draw(st.one_of(element(variables), st.sampled_from([*variables, "n", "7"])))
    a, b = (draw(expression(variables, depth - 1)) for _ in range(2))
    form = draw(
        st.sampled_from(
            [
                "({a} + {b})",
                "({a} - {b})",
                "({a} * {b})",
                "T.max({a}, {b})",
                "T.Select({a} < {b}, {b}, {a})",
                "T.if_then_else({a} < {b}, {b}, {a})",
                "({a} // 3)",
                "T.if_then_else({b} % 4 != 0, {a} // T.max({b} % 4, 1), {b})",
            ]
        )
    )
    return form.format(a=a, b=b)


@st.composite
def statements(draw, variables, depth):
    """Lines of a body: stores, conditions and loops."""
    lines = []
    for _ in range(draw(st.integers(1, 2))):
        kind = draw(st.sampled_from(["store", "store", "if", "for", "for", "bind", "scratch"]))
        if kind == "for" and depth < 3:
            name = "ijk"[depth]
            loop = draw(
                st.sampled_from(["range(4)", "T.parallel(3)", "range(1, 4)", "T.vectorized(4)", "range(n - 2)"])
            )
            if variables and draw(st.integers(0, 3)) == 0:
                loop = f"range({variables[-1]}, 4)"
            lines.append(f"for {name} in {loop}:")
            lines += [f"    {line}" for line in draw(statements([*variables, name], depth + 1))]
        elif kind == "if":
            lines.append(f"if {draw(expression(variables))} < {draw(expression(variables))}:")
            lines += [f"    {line}" for line in draw(statements(variables, max(depth, 2)))]
        elif kind == "scratch":
            lines.append(f"t[{draw(st.integers(0, 1))}] = {draw(expression(variables))}")
        else:
            target = draw(element(variables))
            lines.append(f"{target} = {draw(expression(variables))}")
    return lines


@settings(max_examples=80)
@given(st.data())
def test_random_nests(data):
    body = data.draw(statements([], 0))
    agree(parse(body), arrays(data.draw(st.integers(0, 5))))


# What is executed as arrays, and how many of its loops.
NESTS = {
    "elementwise": (["for i in range(8):", "    for j in range(8):", "        A[i, j] = B[j, i] * 2 + A[i, j]"], 2),
    "scatter": (["for i in range(8):", "    D[A[i, 0] % 8] = i"], 0),
    "gather": (["for i in range(8):", "    D[i] = A[i, B[i, 0] % 8]"], 1),
    "shift": (["for i in range(7):", "    D[i + 1] = D[i] + 1"], 0),
    "even and odd": (["for i in range(4):", "    D[2 * i] = D[2 * i + 1] + 1"], 1),
    "reduction": (["for i in range(8):", "    for j in range(8):", "        D[i] = D[i] + A[i, j]"], 1),
    "scan": (["for i in range(8):", "    for j in range(7):", "        A[i, j + 1] = A[i, j] + B[i, j]"], 1),
    "flat": (["for i in range(8):", "    for j in range(8):", "        C[i * 8 + j] = i - j"], 2),
    "quotient and remainder": (["for i in range(64):", "    A[i // 8, i % 8] = A[i // 8, i % 8] * 2 + i"], 1),
    "quotient and another remainder": (["for i in range(64):", "    A[i // 8, i % 4] = A[i // 8, i % 4] * 2 + i"], 0),
    "divisor of an iteration's own": (["for i in range(1, 8):", "    A[i // T.max(i, 2), i % T.max(i, 2)] = i"], 0),
    "divisor of an inner loop": (
        [
            "for i in range(4):",
            "    for j in range(1, 4):",
            "        A[(i * 4 + j) // (j + 3), (i * 4 + j) % (j + 3)] = i",
        ],
        0,
    ),
    "divisor of all iterations": (["for i in range(8):", "    A[i // n, i % n] = A[i // n, i % n] * 2 + i"], 1),
    "two quotients": (["for i in range(8):", "    A[i // 4, i % 4] = A[i // 2, i % 2] * 2 + i"], 0),
    "remainder": (["for i in range(64):", "    D[i % 8] = D[i % 8] * 2 + i"], 0),
    "flat that overlaps": (["for i in range(8):", "    for j in range(8):", "        C[i * 4 + j] = i - j"], 1),
    "diagonal": (["for i in range(8):", "    for j in range(8):", "        A[i, i] = A[i, i] + j"], 1),
    "triangle": (["for i in range(8):", "    for j in range(i, 8):", "        A[i, j] = i"], 1),
    "scratch": (["for i in range(8):", "    t[0] = D[i]", "    t[1] = t[0] * 2", "    D[i] = t[1] + t[0]"], 1),
    "scratch that is kept": (["for i in range(8):", "    t[0] = t[0] + D[i]"], 0),
    "scratch of a condition": (["for i in range(8):", "    if D[i] > 3:", "        t[0] = 2", "    D[i] = t[0]"], 0),
    "matmul": (
        [
            "for i in range(8):",
            "    for j in range(8):",
            "        t[0] = 0",
            "        for k in range(8):",
            "            t[0] = t[0] + A[i, k] * B[k, j]",
            "        C[i * 8 + j] = t[0]",
        ],
        2,
    ),
    "index of a lane's own": (
        ["for i in range(8):", "    t[0] = A[i, 0]", "    C[t[0] + i] = C[t[0] + i] * 2 + 1"],
        0,
    ),
    "guard": (
        ["for i in range(8):", "    if i < n:", "        D[i] = A[0, i] // A[0, 7 - i] if False else A[i, 0]"],
        1,
    ),
    "own memory": (
        [
            "for i in range(8):",
            "    s = T.alloc_buffer((2,), 'int32', scope='local')",
            "    if D[i] > 3:",
            "        s[1] = D[i]",
            "    D[i] = s[1] + s[0]",
        ],
        1,
    ),
}


@pytest.mark.parametrize(("body", "count"), NESTS.values(), ids=NESTS)
def test_nest(body, count):
    assert agree(parse(body), arrays(1)) == count


def test_more_lanes_than_fit():
    @T.prim_func
    def main(A: T.Buffer((300, 2000), "int32")):
        for i, j in T.grid(300, 2000):
            A[i, j] = A[i, j] * 2 + i

    a = np.arange(600000, dtype=np.int32).reshape(300, 2000)
    result, count = execute(main, {"A": a}, 1)
    assert count == 2
    assert (result["A"] == a * 2 + np.arange(300)[:, None]).all()


def test_indices_that_wrap_around():
    @T.prim_func
    def main(A: T.Buffer((256,), "int32")):
        for i in range(512):
            A[T.cast(i, "uint8")] = A[T.cast(i, "uint8")] * 2 + i

    assert agree(main, {"A": np.arange(256, dtype=np.int32)}) == 0


def test_products_that_wrap_around():
    @T.prim_func
    def main(A: T.Buffer((4,), "int32")):
        for i in range(4):
            A[i * 1073741824 * 4] = A[i * 1073741824 * 4] * 2 + i

    assert agree(main, {"A": np.arange(4, dtype=np.int32)}) == 0


VIEWS = {
    "of memory around": ("t = T.alloc_buffer((2,), 'int32', scope='local')", "pass", "C[0] = t[0]", 1),
    "of a lane's own memory": ("pass", "t = T.alloc_buffer((2,), 'int32', scope='local')", "pass", 0),
}


@pytest.mark.skipif(not ON_TILELANG, reason="elsewhere views are declared")
@pytest.mark.parametrize(("before", "inside", "after", "count"), VIEWS.values(), ids=VIEWS)
def test_views_that_nobody_declares(before, inside, after, count):
    source = f"""# from tvm.script import tirx as T
@T.prim_func
def main(A: T.Buffer((8,), "int32"), C: T.Buffer((8,), "int32")):
    {before}
    for i in range(8):
        {inside}
        f = T.Buffer((2, 1), "int32", data=t.data, scope="local")
        f[0, 0] = A[i]
        C[i] = f[0, 0] * 2
    {after}
"""
    func = tvm.script.from_source(re.sub(r" *pass\n", "", source), check_well_formed=False)
    assert agree(func, {"A": np.arange(8, dtype=np.int32), "C": np.zeros(8, np.int32)}) == count
