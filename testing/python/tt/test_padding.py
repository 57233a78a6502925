"""What the padding of a kernel's tensors holds, and who would be misled by it."""

import warnings

import pytest
from support import host
from support.host import T
from support.infer import bare, infer

from tilelang.tt import errors, list_buffer_attrs

pytestmark = pytest.mark.stage("reading")


def values_of(func):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.TTWarning)
        return {entry["name"]: entry.get("tt_padding_value") for entry in list_buffer_attrs(infer(func))}


def test_only_where_there_is_padding():
    func = bare(buffers=[("A", (32, 64), "float32"), ("B", (32, 65), "float32"), ("C", (), "int32")])
    assert values_of(func) == {"A": None, "B": "any", "C": "any"}


def test_guarded_elements_are_never_beyond():
    @T.prim_func
    def main(A: T.Buffer((100,), "float32"), B: T.Buffer((100,), "float32"), C: T.Buffer((128,), "float32")):
        bx = T.launch_thread("blockIdx.x", 4)
        for i in range(32):
            if bx * 32 + i < 100:
                C[bx * 32 + i] = A[bx * 32 + i]
            C[bx * 32 + i] = B[bx * 32 + i]

    assert values_of(main) == {"A": "any", "B": "unknown", "C": "any"}


def test_guarded_expression():
    @T.prim_func
    def main(A: T.Buffer((100,), "float32"), C: T.Buffer((128,), "float32")):
        bx = T.launch_thread("blockIdx.x", 4)
        for i in range(32):
            C[bx * 32 + i] = T.if_then_else(bx * 32 + i < 100, A[bx * 32 + i], T.float32(0))

    assert values_of(main) == {"A": "any", "C": "any"}


def test_writes_count_too():
    @T.prim_func
    def main(C: T.Buffer((100,), "float32")):
        bx = T.launch_thread("blockIdx.x", 4)
        for i in range(32):
            C[bx * 32 + i] = T.float32(0)

    assert values_of(main) == {"C": "unknown"}


def test_another_view_of_a_tensor():
    @T.prim_func
    def main(A: T.Buffer((50, 50), "float32"), C: T.Buffer((32,), "float32")):
        bx = T.launch_thread("blockIdx.x", 32)
        flat = T.decl_buffer((2500,), "float32", data=A.data)
        C[bx] = flat[bx]

    assert values_of(main) == {"A": "unknown", "C": "any"}


def test_a_pointer_that_leaves():
    @T.prim_func
    def main(A: T.Buffer((50,), "float32"), C: T.Buffer((50,), "float32")):
        bx = T.launch_thread("blockIdx.x", 50)
        T.evaluate(T.call_extern("int32", "f", A.data))
        C[bx] = A[bx]

    assert values_of(main) == {"A": "unknown", "C": "any"}


if host.HAS_DEVICE_SCOPES:
    from tvm.tirx.script import tile as Tx

    @pytest.mark.parametrize(("ctas", "value"), [(5, "any"), (6, "unknown")])
    def test_boxes_of_tile_primitives(ctas, value):
        @T.prim_func
        def main(A: T.Buffer((50, 50), "float32"), C: T.Buffer((64, 64), "float32")):
            T.device_entry()
            bx = T.cta_id([ctas])
            Tx.copy(C[bx * 10 : bx * 10 + 10, 0:50], A[bx * 10 : bx * 10 + 10, 0:50])

        assert values_of(main)["A"] == value


if host.ON_TILELANG:
    import tilelang.language as L

    def row_reduction(
        reduce=L.reduce_max, value=None, rows=64, columns=100, dim=1, through="fragment", dtype="float32", between=None
    ):
        """O = the reduction of each row or column of A, whose last block may reach over the edge."""

        @L.prim_func
        def main(A: L.Tensor((rows, columns), dtype), O: L.Tensor((rows if dim else columns,), dtype)):
            with L.Kernel(L.ceildiv(rows, 32), threads=128) as bx:
                if value is not None:
                    L.annotate_safe_value({A: value})
                tile = L.alloc_fragment((32, 128), dtype)
                shared = L.alloc_shared((32, 128), dtype)
                result = L.alloc_fragment((32 if dim else 128,), dtype)
                if through == "shared":
                    L.copy(A[bx * 32, 0], shared)
                    L.copy(shared, tile)
                elif through == "elements":
                    for i, j in L.Parallel(32, 128):
                        tile[i, j] = L.cast(A[bx * 32 + i, j], dtype)
                else:
                    L.copy(A[bx * 32, 0], tile)
                if between == "mask":
                    for i, j in L.Parallel(32, 128):
                        tile[i, j] = L.if_then_else(j < columns, tile[i, j], -L.infinity(dtype))
                reduce(tile, result, dim=dim)
                L.copy(result, O[bx * 32])

        return main

    def warnings_of(func):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            infer(func)
        return [str(warning.message) for warning in caught if warning.category is errors.PaddingWarning]

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (None, "0"),
            (0, "0"),
            (1.5, "1.5"),
            (2.0, "2"),
            (-7, "-7"),
            (L.infinity("float32"), "inf"),
            (-L.infinity("float32"), "-inf"),
            (L.min_value("float32"), "-3.4028234663852886e+38"),
        ],
        ids=str,
    )
    def test_safe_value(value, text):
        assert values_of(row_reduction(value=value)) == {"A": text, "O": "0"}

    def test_no_annotation_where_there_is_no_padding():
        assert values_of(row_reduction(value=1, columns=128)) == {"A": None, "O": "0"}

    @pytest.mark.parametrize("through", ["fragment", "shared", "elements"])
    def test_trap(through):
        assert warnings_of(row_reduction(through=through)) == [
            "TT610: kernel `main`: T.reduce_max over dimension 1 of `tile` takes the padding of `A`, which holds 0, "
            'for elements; expected -inf\nhelp: T.annotate_safe_value({A: -T.infinity("float32")}) in the kernel'
        ]

    @pytest.mark.parametrize(
        ("reduce", "dtype", "value", "needed"),
        [
            (L.reduce_max, "float32", None, "-inf"),
            (L.reduce_min, "float32", None, "inf"),
            (L.reduce_sum, "float32", None, None),
            (L.reduce_abssum, "float32", None, None),
            (L.reduce_absmax, "float32", None, None),
            (L.reduce_max, "float32", -L.infinity("float32"), None),
            (L.reduce_max, "float32", L.min_value("float32"), None),
            (L.reduce_min, "float32", L.infinity("float32"), None),
            (L.reduce_sum, "float32", -L.infinity("float32"), "0"),
            (L.reduce_sum, "float32", 1, "0"),
            (L.reduce_max, "int32", None, "-2147483648"),
            (L.reduce_min, "int8", None, "127"),
            (L.reduce_max, "uint8", None, None),
            (L.reduce_bitand, "int32", None, "-1"),
            (L.reduce_bitand, "uint8", 255, None),
            (L.reduce_bitor, "int32", None, None),
            (L.reduce_bitxor, "int32", 1, "0"),
        ],
    )
    def test_what_each_reduction_needs(reduce, dtype, value, needed):
        found = warnings_of(row_reduction(reduce, value, dtype=dtype))
        assert [f"expected {needed}\n" in message for message in found] == ([True] if needed else [])

    def test_other_dimensions_are_no_trap():
        assert warnings_of(row_reduction(dim=0)) == []
        assert warnings_of(row_reduction(rows=50, dim=0)) != []
        assert warnings_of(row_reduction(rows=50, columns=128)) == []

    def test_a_copy_that_stays_inside_is_no_trap():
        assert warnings_of(row_reduction(columns=128)) == []
        assert warnings_of(row_reduction(columns=128, rows=50)) == []

    def test_what_is_masked_is_no_trap():
        assert warnings_of(row_reduction(between="mask")) == []

    def test_two_needs():
        @L.prim_func
        def main(A: L.Tensor((32, 100), "float32"), O: L.Tensor((32,), "float32"), P: L.Tensor((32,), "float32")):
            with L.Kernel(1, threads=128):
                tile = L.alloc_fragment((32, 128), "float32")
                result = L.alloc_fragment((32,), "float32")
                L.copy(A[0, 0], tile)
                L.reduce_sum(tile, result, dim=1)
                L.copy(result, O)
                L.reduce_max(tile, result, dim=1)
                L.copy(result, P)

        (message,) = warnings_of(main)
        assert "needs several values of it" in message

    def gemm(value, K):
        @L.prim_func
        def main(A: L.Tensor((64, K), "float32"), B: L.Tensor((K, 60), "float32"), C: L.Tensor((64, 60), "float32")):
            with L.Kernel(1, threads=128):
                L.annotate_safe_value({A: value})
                a = L.alloc_shared((64, 32), "float32")
                b = L.alloc_shared((32, 64), "float32")
                c = L.alloc_fragment((64, 64), "float32")
                L.clear(c)
                for k in L.Pipelined(L.ceildiv(K, 32), num_stages=2):
                    L.copy(A[0, k * 32], a)
                    L.copy(B[k * 32, 0], b)
                    L.gemm(a, b, c)
                L.copy(c, C[0, 0])

        return main

    def test_gemm_sums_over_k():
        assert warnings_of(gemm(0, 50)) == []
        assert warnings_of(gemm(1, 64)) == []
        (message,) = warnings_of(gemm(1, 50))
        assert "T.gemm, in its sum, of `a` takes the padding of `A`, which holds 1, for elements; expected 0" in message

    def test_pointer_that_leaves():
        @L.prim_func
        def main(A: L.Tensor((50,), "float32"), C: L.Tensor((50,), "float32")):
            with L.Kernel(1, threads=128):
                L.call_extern("handle", "f", L.address_of(A[0]))
                C[0] = A[0]

        assert values_of(main) == {"A": "unknown", "C": "0"}
