"""What lies over the edge, while kernels are executed: which value is read, that nothing is written, and that memory
that nobody has written never decides a result unnoticed.
"""

from support.host import ON_TILELANG, T  # isort: skip  # the host comes before tvm

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import kernels_tirx

from tilelang.tt import errors, execute
from tilelang.tt.executor import run, tensor
from tilelang.tt.executor.memory import Poison

pytestmark = pytest.mark.stage("execute")


def numbers(shape, dtype="float32"):
    return np.random.default_rng(1).integers(-8, 8, shape).astype(dtype)


# Guarded kernels never touch padding.


@settings(max_examples=8)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
def test_guarded_kernels_do_not_touch_padding(M, N, block_M, block_N):
    func = kernels_tirx.elementwise_ragged(M, N, block_M, block_N, "float32")
    a, b = numbers((M, N)), numbers((M, N))[::-1]
    assert np.array_equal(execute(func, a, b, poison=True), a + b)


@pytest.mark.parametrize("pattern", ["nan", "inf", "random"])
def test_padding_that_nothing_reads_is_filled(pattern, monkeypatch):
    """The poison is really there, and stays out of the result."""
    made, outputs = [], []
    real = tensor.Tensor.__init__

    def init(self, buffer, array, edge, workload, poison=None):
        real(self, buffer, array, edge, workload, poison)
        if poison is not None and poison.pattern == pattern:
            made.append((self.name, self.padded[40:].copy()))
            outputs.extend([self.elements.copy()] if self.name == "C" else [])

    monkeypatch.setattr(tensor.Tensor, "__init__", init)
    func = kernels_tirx.elementwise_ragged(40, 70, 8, 16, "float32")
    assert np.array_equal(execute(func, numbers((40, 70)), numbers((40, 70)), poison=True), 2 * numbers((40, 70)))
    assert [name for name, _ in made] == ["A", "B", "C"]
    is_poison = {"nan": np.isnan, "inf": np.isinf, "random": lambda values: values != 0}[pattern]
    for _, padding in made:
        assert padding.shape == (24, 96)
        assert is_poison(padding).all()
    assert is_poison(outputs[0]).all()


def unguarded(reads, size=40):
    """The blocks of the last cell reach over the edge, in reads or in writes alone."""

    @T.prim_func
    def main(A: T.Buffer((size,), "float32"), C: T.Buffer((size,), "float32")):
        bx = T.launch_thread("blockIdx.x", 2)
        for i in range(32):
            if reads:
                if bx * 32 + i < size:
                    C[bx * 32 + i] = A[bx * 32 + i] + A[bx * 32 + i + 1]
            else:
                C[bx * 32 + i] = T.float32(1)

    return main


@pytest.mark.parametrize(
    ("reads", "found"),
    [
        (True, r"tensor `A`: work tile \(1, 0, 0\) on core 1 at \(1, 0\) reads element \(40,\)"),
        (False, r"tensor `C`: work tile \(1, 0, 0\) on core 1 at \(1, 0\) writes element \(40,\)"),
    ],
)
def test_tirx_over_the_edge_is_refused(reads, found):
    with pytest.raises(errors.ExecutionError, match=rf"TT910: {found}; expected one inside of \(40,\)"):
        execute(unguarded(reads), numbers(40))


def test_on_chip_over_the_edge_is_refused():
    @T.prim_func
    def main(A: T.Buffer((64,), "int32"), C: T.Buffer((64,), "float32")):
        bx = T.launch_thread("blockIdx.x", 64)
        some = T.alloc_buffer((4,), "float32", scope="local")
        some[A[bx]] = T.float32(1)
        C[bx] = some[0]

    execute(main, numbers(64, "int32") % 4)
    with pytest.raises(errors.ExecutionError, match=r"TT910: `some`: found .* outside of \(4,\)"):
        execute(main, numbers(64, "int32") * 0 + 4)


# Poison that matters, and poison that does not.


def row_sums(clear):
    @T.prim_func
    def main(A: T.Buffer((40, 8), "float32"), S: T.Buffer((40,), "float32")):
        bx = T.launch_thread("blockIdx.x", 40)
        total = T.alloc_buffer((1,), "float32", scope="local")
        if clear:
            total[0] = T.float32(0)
        for j in range(8):
            total[0] = total[0] + A[bx, j]
        S[bx] = total[0]

    return main


def test_poison_that_matters():
    a = numbers((40, 8))
    assert np.array_equal(execute(row_sums(True), a, poison=True), a.sum(1))
    assert np.array_equal(execute(row_sums(False), a), a.sum(1))
    with pytest.raises(errors.ExecutionError) as caught:
        execute(row_sums(False), a, poison=True)
    assert str(caught.value).startswith(
        "TT917: tensor `S`: element (0,), which work tile (0, 0, 0) on core 0 at (0, 0) writes, is "
    )
    assert "; element (0,) of `total` is read before it is written\nhelp: " in str(caught.value)


def test_the_culprit_is_that_of_the_element():
    """Another core reads another buffer before it is written, and its result does not depend on it."""

    @T.prim_func
    def main(A: T.Buffer((4,), "float32"), C: T.Buffer((4,), "float32")):
        bx = T.launch_thread("blockIdx.x", 4)
        harmless = T.alloc_buffer((1,), "float32", scope="local")
        harmful = T.alloc_buffer((2,), "float32", scope="local")
        C[bx] = A[bx]
        if bx == 0 and harmless[0] == T.float32(0):
            C[bx] = A[bx]
        if bx == 2:
            C[bx] = C[bx] + harmful[1]

    with pytest.raises(errors.ExecutionError) as caught:
        execute(main, numbers(4), np.zeros(4, np.float32), poison=True)
    assert "element (2,), which work tile (2, 0, 0) on core 2 at (2, 0) writes" in str(caught.value)
    assert "element (1,) of `harmful` is read before it is written" in str(caught.value)


def test_poison_of_integers():
    @T.prim_func
    def main(C: T.Buffer((40,), "int32")):
        bx = T.launch_thread("blockIdx.x", 40)
        some = T.alloc_buffer((1,), "int32", scope="local")
        C[bx] = some[0]

    assert not execute(main).any()
    with pytest.raises(errors.ExecutionError, match="TT917"):
        execute(main, poison=True)


def test_what_is_poisoned_follows_the_seed(monkeypatch):
    seeds = []
    real = Poison.fill
    monkeypatch.setattr(
        Poison, "fill", lambda self, shape, dtype: (seeds.append(self.seed), real(self, shape, dtype))[1]
    )
    execute(row_sums(True), numbers((40, 8)), poison=True, seed=7)
    assert set(seeds) == {7}


# Work tiles that meet.


def overlapping(value):
    @T.prim_func
    def main(A: T.Buffer((64,), "float32"), C: T.Buffer((40,), "float32")):
        bx = T.launch_thread("blockIdx.x", 4)
        for i in range(13):
            C[bx * 9 + i] = A[bx * 9 + i] if value == "same" else A[bx * 12 + i]

    return main


def test_overlapping_writes():
    a = np.arange(64, dtype=np.float32)
    execution = run(overlapping("same"), a)
    assert np.array_equal(execution.result, a[:40])
    (finding,) = execution.findings
    assert finding.startswith("`C`: 12 times a work tile writes and writes an element together with another one")
    with pytest.raises(errors.ExecutionError, match=r"TT916: tensor `C`: work tile .* writes element \(9,\)"):
        execute(overlapping("other"), a)
    execute(overlapping("same"), a, order="random", threads=3)


@pytest.mark.parametrize("order", [None, "random", list(range(64))[::-1]])
def test_a_read_of_what_another_tile_writes(order):
    @T.prim_func
    def shift(C: T.Buffer((40,), "float32")):
        bx = T.launch_thread("blockIdx.x", 39)
        C[bx] = C[bx + 1]

    with pytest.raises(errors.ExecutionError, match="TT916: tensor `C`"):
        execute(shift, np.arange(40, dtype=np.float32), order=order)


if ON_TILELANG:
    import tilelang.language as L

    def copied(value, shape, block):
        """C is each block of A as it is read, over the edge too, and D what of it gets back."""
        M, N = shape
        rows, columns = -(-M // block[0]), -(-N // block[1])
        padded = (rows * block[0], columns * block[1])

        @L.prim_func
        def main(A: L.Tensor(shape, "float32"), C: L.Tensor(padded, "float32"), D: L.Tensor(shape, "float32")):
            with L.Kernel(columns, rows, threads=128) as (bx, by):
                tile = L.alloc_shared(block, "float32")
                if value is not None:
                    L.annotate_safe_value({A: value})
                L.copy(A[by * block[0], bx * block[1]], tile)
                L.copy(tile, C[by * block[0], bx * block[1]])
                L.copy(tile, D[by * block[0], bx * block[1]])

        return main

    VALUES = {None: 0, 0.0: 0, 1.0: 1, -7.5: -7.5, "-inf": -np.inf}

    @pytest.mark.parametrize("value", VALUES)
    @pytest.mark.parametrize("shape", [(40, 70), (32, 64), (1, 1), (96, 144), (33, 97)])
    @pytest.mark.parametrize("block", [(32, 48), (64, 64)])
    @pytest.mark.parametrize("height", [32, 16])
    def test_the_value_that_is_read(value, shape, block, height):
        """Where the padded tensor has padding, and beyond it."""
        a = numbers(shape)
        annotated = -L.infinity("float32") if value == "-inf" else value
        c, d = execute(copied(annotated, shape, block), a, tile_height=height, poison=True)
        assert np.array_equal(c[: shape[0], : shape[1]], a)
        rest = np.ones(c.shape, bool)
        rest[: shape[0], : shape[1]] = False
        assert (c[rest] == VALUES[value]).all()
        assert np.array_equal(d, a)

    @pytest.mark.parametrize("value", [0.0, 1.0])
    def test_single_elements_over_the_edge(value):
        @L.prim_func
        def main(A: L.Tensor((40,), "float32"), C: L.Tensor((40,), "float32"), D: L.Tensor((96,), "float32")):
            with L.Kernel(3, threads=32) as bx:
                L.annotate_safe_value({A: value})
                for i in L.Parallel(32):
                    D[bx * 32 + i] = A[bx * 32 + i]
                for i in L.Parallel(32):
                    C[bx * 32 + i] = A[bx * 32 + i] + 1

        c, d = execute(main, numbers(40))
        assert np.array_equal(c, numbers(40) + 1)
        assert np.array_equal(d, np.concatenate([numbers(40), np.full(56, value, np.float32)]))

    def test_a_maximum_takes_the_annotated_value():
        @L.prim_func
        def main(A: L.Tensor((20, 40), "float32"), C: L.Tensor((20,), "float32")):
            with L.Kernel(1, threads=128):
                tile = L.alloc_fragment((32, 64), "float32")
                highest = L.alloc_fragment((32,), "float32")
                L.annotate_safe_value({A: -L.infinity("float32")})
                L.copy(A[0, 0], tile)
                L.reduce_max(tile, highest, dim=1)
                L.copy(highest, C[0])

        a = -1 - np.abs(numbers((20, 40)))
        assert np.array_equal(execute(main, a, poison=True), a.max(1))

    def test_unknown_padding_is_refused():
        @L.prim_func
        def main(A: L.Tensor((40,), "float32"), C: L.Tensor((64,), "float32"), D: L.Tensor((64,), "float32")):
            with L.Kernel(2, threads=32) as bx:
                tile = L.alloc_shared((32,), "float32")
                L.annotate_safe_value({A: 1.0})
                L.copy(A[bx * 32], tile)
                L.copy(tile, C[bx * 32])
            with L.Kernel(2, threads=32) as bx:
                tile = L.alloc_shared((32,), "float32")
                L.annotate_safe_value({A: 2.0})
                L.copy(A[bx * 32], tile)
                L.copy(tile, D[bx * 32])

        with pytest.raises(errors.ExecutionError, match=r"TT915: tensor `A`: work tile \(1, 0, 0\) .* reads a box at"):
            execute(main, numbers(40))

    def test_poison_on_the_chip():
        def sums(clear):
            @L.prim_func
            def main(
                A: L.Tensor((64, 64), "float32"), B: L.Tensor((64, 64), "float32"), C: L.Tensor((64, 64), "float32")
            ):
                with L.Kernel(2, threads=128) as bx:
                    a = L.alloc_shared((32, 64), "float32")
                    b = L.alloc_shared((64, 64), "float32")
                    c = L.alloc_fragment((32, 64), "float32")
                    if clear:
                        L.clear(c)
                    L.copy(A[bx * 32, 0], a)
                    L.copy(B, b)
                    L.gemm(a, b, c)
                    L.copy(c, C[bx * 32, 0])

            return main

        a, b = numbers((64, 64)), numbers((64, 64))
        assert np.array_equal(execute(sums(True), a, b, poison=True), a @ b)
        with pytest.raises(errors.ExecutionError, match=r"TT917: tensor `C`.*element \(0, 0\) of `c` is read before"):
            execute(sums(False), a, b, poison=True)
