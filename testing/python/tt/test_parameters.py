"""The parameters of a kernel on every host: buffers under the names that the user gave them, and scalars."""

import pytest
from support import host
from support.host import T
from support.infer import bare, infer
from tvm import tirx

from tilelang.tt import errors

pytestmark = pytest.mark.stage("reading")


def described(func):
    return [
        (entry["name"], entry["param_index"], entry["dtype"], list(entry["shape"]))
        for entry in infer(func).attrs["tt_buffers"]
    ]


def test_names_and_positions():
    @T.prim_func
    def main(
        n: T.int32, A: T.Buffer((4, 8), "float32"), scale: T.float32, out_2: T.Buffer((16,), "int32"), flag: T.bool
    ):
        bx = T.launch_thread("blockIdx.x", 4)
        out_2[bx] = n

    assert described(main) == [("A", 1, "float32", [4, 8]), ("out_2", 3, "int32", [16])]


def test_handles_of_match_buffer():
    """Where a handle has a name of its own, the tensor's counts."""

    @T.prim_func
    def main(a: T.handle, c_handle: T.handle):
        A = T.match_buffer(a, (4, 8), "float32")
        C = T.match_buffer(c_handle, (4, 8), "float32")
        bx = T.launch_thread("blockIdx.x", 4)
        C[bx, 0] = A[bx, 0]

    assert described(main) == [("A", 0, "float32", [4, 8]), ("C", 1, "float32", [4, 8])]


@pytest.mark.parametrize("shape", [(), (5,), (3, 5), (2, 3, 5), (1, 1, 2, 3, 5), (2, 1, 1, 1, 1, 7)], ids=str)
def test_every_rank(shape):
    assert described(bare(buffers=[("A", shape, "float32")])) == [("A", 0, "float32", list(shape))]


def test_no_buffers():
    assert described(bare()) == []


def test_two_parameters_of_one_name():
    """Each is a tensor of its own, with its own shape and access."""
    first, second = (tirx.decl_buffer((extent,), "float32", name="A") for extent in (32, 64))
    zero = tirx.FloatImm("float32", 0)
    func = tirx.PrimFunc([first, second], tirx.BufferStore(second, zero, [0])).with_attr("tl_grid_x", 4)
    entries = infer(func).attrs["tt_buffers"]
    assert [(e["name"], e["param_index"], e["tt_access"]) for e in entries] == [("A", 0, "none"), ("A", 1, "write")]
    assert [list(entry["shape"]) for entry in entries] == [[32], [64]]


def strided(strides, shape=(4, 8), elem_offset=None):
    A = tirx.decl_buffer(shape, "float32", name="A", strides=strides, elem_offset=elem_offset)
    return tirx.PrimFunc([A], tirx.Evaluate(0)).with_attrs({"tl_grid_x": 4, "global_symbol": "main"})


@pytest.mark.parametrize(
    ("shape", "strides"),
    [
        ((4, 8), [8, 1]),
        ((4, 8), []),
        ((1, 8), [123, 1]),  # the stride of a single element is never used
        ((4, 1), [1, 77]),
        ((2, 1, 8), [8, 5, 1]),
        ((), []),
    ],
    ids=str,
)
def test_compact_strides(shape, strides):
    assert described(strided(strides, shape)) == [("A", 0, "float32", list(shape))]


@pytest.mark.parametrize(
    ("strides", "message"),
    [
        ([1, 4], r"dimension 1 has stride 4; expected 1 \(compact, row-major\)"),
        ([16, 1], r"dimension 0 has stride 16; expected 8 \(compact, row-major\)"),
        ([8, 2], r"dimension 1 has stride 2; expected 1"),
        ([0, 1], r"dimension 0 has stride 0; expected 8"),
        ([-8, 1], r"dimension 0 has stride -8; expected 8"),
        ([tirx.Var("s", "int32"), 1], r"dimension 0 has stride s; expected 8"),
    ],
    ids=str,
)
def test_refused_strides(strides, message):
    with pytest.raises(errors.ShapeError, match=r"parameter 0 \(`A`\): " + message):
        infer(strided(strides))


@pytest.mark.parametrize(
    ("shape", "strides"), [((), [5]), ((4, 8), [32, 8, 1]), ((4, 8), [1])], ids=["scalar", "too_many", "too_few"]
)
def test_strides_of_another_rank(shape, strides):
    with pytest.raises(
        errors.ShapeError, match=f"has {len(strides)} strides; expected one for each of its {len(shape)} "
    ):
        infer(strided(strides, shape))


@pytest.mark.parametrize("scope", ["shared", "local"])
def test_refused_scope(scope):
    A = tirx.decl_buffer((4, 8), "float32", name="A", scope=scope)
    func = tirx.PrimFunc([A], tirx.Evaluate(0)).with_attr("tl_grid_x", 4)
    with pytest.raises(errors.ShapeError, match=f'lies in "{scope}" memory; expected "global"'):
        infer(func)


if not host.ON_TILELANG:

    def test_refused_layout():
        """Column-major by a layout of TIRx, which strides do not show."""
        from tvm.tirx.layout import S, TileLayout

        A = tirx.decl_buffer((4, 8), "float32", name="A", layout=TileLayout(S[(4, 8) : (1, 4)]))
        func = tirx.PrimFunc([A], tirx.Evaluate(0)).with_attr("tl_grid_x", 4)
        with pytest.raises(errors.ShapeError, match="has a layout or axis separators of its own"):
            infer(func)


@pytest.mark.parametrize(
    ("offset", "message"),
    [(16, "element offset of 16; expected 0"), ("symbolic", "offset of unknown size; expected 0")],
)
def test_refused_offsets(offset, message):
    offset = tirx.Var("offset", "int32") if offset == "symbolic" else offset
    with pytest.raises(errors.ShapeError, match=message):
        infer(strided([], elem_offset=offset))


def test_offset_of_zero():
    assert described(strided([], elem_offset=0)) == [("A", 0, "float32", [4, 8])]


def test_symbolic_shape():
    @T.prim_func
    def main(a: T.handle, C: T.Buffer((32,), "float32")):
        m = T.int32()
        A = T.match_buffer(a, (4, m), "float32")
        bx = T.launch_thread("blockIdx.x", 4)
        C[bx] = A[bx, 0]

    assert described(main) == [("A", 0, "float32", [4, "m"]), ("C", 1, "float32", [32])]


def test_raw_pointer():
    @T.prim_func
    def main(a: T.handle, C: T.Buffer((32,), "float32")):
        bx = T.launch_thread("blockIdx.x", 4)
        T.evaluate(T.call_extern("int32", "f", a))
        C[bx] = T.float32(0)

    with pytest.raises(
        errors.ShapeError, match=r"parameter 0 \(`a`\) is a raw pointer; expected a tensor with a shape"
    ):
        infer(main)


@pytest.mark.parametrize("dtype", ["bool", "int64", "float64", "float32x4"])
def test_scalars_need_no_format_but_tensors_do(dtype):
    with pytest.raises(errors.DtypeError, match=rf"parameter 0 \(`A`\): dtype {dtype} "):
        infer(bare(buffers=[("A", (4,), dtype)]))


if host.ON_TILELANG:
    import tilelang.language as L

    def test_tilelang_names_have_no_suffix():
        """TileLang's own parameters are called A_handle."""

        @L.prim_func
        def main(A: L.Tensor((4, 8), "float32"), n: L.int32, C: L.Tensor((4, 8), "float32")):
            with L.Kernel(4, threads=32) as bx:
                C[bx, 0] = A[bx, n]

        assert main.params[0].name == "A_handle"
        assert described(main) == [("A", 0, "float32", [4, 8]), ("C", 2, "float32", [4, 8])]

    @pytest.mark.parametrize("strides", [(1, 4), (16, 1)], ids=str)
    def test_strided_tensor(strides):
        @L.prim_func
        def main(A: L.StridedTensor((4, 8), strides, "float32")):
            with L.Kernel(4, threads=32) as bx:
                A[bx, 0] = 0.0

        with pytest.raises(errors.ShapeError, match=r"parameter 0 \(`A`\): dimension . has stride"):
            infer(main)
