"""What a kernel does to its tensors: from loads, stores and regions, through every alias, never from names."""

import pytest
import tvm
from support import host
from support.host import T
from support.infer import infer
from tvm import s_tir, te, tirx

from tilelang.tt import errors

pytestmark = pytest.mark.stage("reading")

# Each kernel touches A (and C, where it has it) in one way; what a call gets, it may read and write.


def load_and_store():
    @T.prim_func
    def main(A: T.Buffer((32,), "float32"), C: T.Buffer((32,), "float32")):
        bx = T.launch_thread("blockIdx.x", 32)
        C[bx] = A[bx]

    return main


def store_of_a_load_of_itself():
    @T.prim_func
    def main(A: T.Buffer((32,), "float32")):
        bx = T.launch_thread("blockIdx.x", 32)
        A[bx] = A[bx] * T.float32(2)

    return main


def load_in_an_index():
    @T.prim_func
    def main(A: T.Buffer((32,), "int32"), C: T.Buffer((32,), "int32")):
        bx = T.launch_thread("blockIdx.x", 32)
        C[A[bx]] = 0

    return main


def load_in_a_condition():
    @T.prim_func
    def main(A: T.Buffer((32,), "int32"), C: T.Buffer((32,), "int32")):
        bx = T.launch_thread("blockIdx.x", 32)
        if A[bx] > 0:
            C[bx] = 0

    return main


def load_in_a_loop_extent():
    @T.prim_func
    def main(A: T.Buffer((32,), "int32"), C: T.Buffer((32,), "int32")):
        bx = T.launch_thread("blockIdx.x", 32)
        for i in range(A[bx]):
            C[i] = 0

    return main


def load_in_a_while():
    @T.prim_func
    def main(A: T.Buffer((32,), "int32"), C: T.Buffer((32,), "int32")):
        bx = T.launch_thread("blockIdx.x", 32)
        while A[bx] > 0:
            C[bx] = 0

    return main


def load_in_a_call():
    @T.prim_func
    def main(A: T.Buffer((32,), "float32"), C: T.Buffer((32,), "float32")):
        bx = T.launch_thread("blockIdx.x", 32)
        C[bx] = T.exp(T.if_then_else(A[bx] > T.float32(0), T.float32(1), T.float32(0)))

    return main


def load_in_a_binding():
    @T.prim_func
    def main(A: T.Buffer((32,), "int32"), C: T.Buffer((32,), "int32")):
        bx = T.launch_thread("blockIdx.x", 32)
        value: T.int32 = A[bx] + 1
        C[bx] = value

    return main


def untouched():
    @T.prim_func
    def main(A: T.Buffer((32,), "float32"), C: T.Buffer((32,), "float32")):
        bx = T.launch_thread("blockIdx.x", 32)
        C[bx] = T.float32(0)

    return main


def untouched_but_named_in_a_shape():
    """A buffer of the same name on the chip is another buffer."""

    @T.prim_func
    def main(A: T.Buffer((32,), "float32"), C: T.Buffer((32,), "float32")):
        bx = T.launch_thread("blockIdx.x", 32)
        local = T.alloc_buffer((32,), "float32", scope="local")
        local[bx] = local[0]
        C[bx] = local[bx]

    return main


def address():
    @T.prim_func
    def main(A: T.Buffer((32,), "float32"), C: T.Buffer((32,), "float32")):
        bx = T.launch_thread("blockIdx.x", 32)
        T.evaluate(T.call_extern("int32", "f", T.address_of(A[bx])))
        C[bx] = T.float32(0)

    return main


def address_with_a_load_in_its_index():
    @T.prim_func
    def main(A: T.Buffer((32,), "int32"), C: T.Buffer((32,), "int32")):
        bx = T.launch_thread("blockIdx.x", 32)
        T.evaluate(T.call_extern("int32", "f", T.address_of(C[A[bx]])))

    return main


def data_pointer():
    @T.prim_func
    def main(A: T.Buffer((32,), "float32"), C: T.Buffer((32,), "float32")):
        bx = T.launch_thread("blockIdx.x", 32)
        T.evaluate(T.call_extern("int32", "f", A.data, bx))
        C[bx] = T.float32(0)

    return main


def access_pointer(mask):
    def build():
        @T.prim_func
        def main(A: T.Buffer((32,), "float32"), C: T.Buffer((32,), "float32")):
            bx = T.launch_thread("blockIdx.x", 32)
            T.evaluate(T.call_extern("int32", "f", A.access_ptr(mask, offset=bx)))
            C[bx] = T.float32(0)

        return main

    return build


def alias():
    @T.prim_func
    def main(A: T.Buffer((32,), "float32"), C: T.Buffer((32,), "float32")):
        bx = T.launch_thread("blockIdx.x", 32)
        flat = T.decl_buffer((4, 8), "float32", data=C.data)
        flat[bx // 8, bx % 8] = A[bx]

    return main


def alias_of_an_alias():
    @T.prim_func
    def main(A: T.Buffer((32,), "float32"), C: T.Buffer((32,), "uint32")):
        bx = T.launch_thread("blockIdx.x", 32)
        bits = T.decl_buffer((32,), "uint32", data=A.data)
        again = T.decl_buffer((4, 8), "uint32", data=bits.data)
        C[bx] = again[bx // 8, bx % 8]

    return main


def alias_that_is_never_used():
    @T.prim_func
    def main(A: T.Buffer((32,), "float32"), C: T.Buffer((32,), "float32")):
        bx = T.launch_thread("blockIdx.x", 32)
        bits = T.decl_buffer((32,), "uint32", data=A.data)  # noqa: F841
        C[bx] = T.float32(0)

    return main


def alias_that_is_read_and_written():
    @T.prim_func
    def main(A: T.Buffer((32,), "float32"), C: T.Buffer((32,), "float32")):
        bx = T.launch_thread("blockIdx.x", 32)
        again = T.decl_buffer((32,), "float32", data=A.data)
        again[bx] = T.float32(1)
        C[bx] = A[bx]

    return main


ACCESS = [
    (load_and_store, "read", "write"),
    (store_of_a_load_of_itself, "read_write", None),
    (load_in_an_index, "read", "write"),
    (load_in_a_condition, "read", "write"),
    (load_in_a_loop_extent, "read", "write"),
    (load_in_a_while, "read", "write"),
    (load_in_a_call, "read", "write"),
    (load_in_a_binding, "read", "write"),
    (untouched, "none", "write"),
    (untouched_but_named_in_a_shape, "none", "write"),
    (address, "read_write", "write"),
    (address_with_a_load_in_its_index, "read", "read_write"),
    (data_pointer, "read_write", "write"),
    (alias, "read", "write"),
    (alias_of_an_alias, "read", "write"),
    (alias_that_is_never_used, "none", "write"),
    (alias_that_is_read_and_written, "read_write", "write"),
]


@pytest.mark.parametrize("build_data", ["alias", "address"])
def test_what_a_pointer_is_computed_from_is_read(build_data):
    """The index behind an alias is loaded, whatever is done to the alias."""

    @T.prim_func
    def offset(A: T.Buffer((32,), "float32"), order: T.Buffer((4,), "int32"), C: T.Buffer((4,), "float32")):
        bx = T.launch_thread("blockIdx.x", 4)
        part = T.decl_buffer((8,), "float32", data=A.data, elem_offset=order[bx])
        C[bx] = part[0]

    @T.prim_func
    def address(A: T.Buffer((32,), "float32"), order: T.Buffer((4,), "int32"), C: T.Buffer((4,), "float32")):
        bx = T.launch_thread("blockIdx.x", 4)
        T.evaluate(T.call_extern("int32", "f", T.address_of(A[order[bx]])))
        C[bx] = T.float32(0)

    func = {"alias": offset, "address": address}[build_data]
    expected = {"alias": "read", "address": "read_write"}[build_data]
    assert access_of(func) == {"A": expected, "order": "read", "C": "write"}


if host.HAS_BUFFER_MAP:  # later hosts refuse to build such a pointer by hand

    def test_pointer_that_is_chosen():
        """Either tensor may be meant, and what chooses is read."""
        A, B, C = (tirx.decl_buffer((32,), "float32", name=name) for name in "ABC")
        choose = tirx.decl_buffer((1,), "int32", name="choose")
        a, b = (tirx.call_intrin("handle", "tirx.address_of", tirx.BufferLoad(buffer, [0])) for buffer in (A, B))
        pointer = tirx.Var("pointer", tvm.ir.PointerType(tvm.ir.PrimType("float32"), "global"))
        chosen = tirx.decl_buffer((32,), "float32", name="chosen", data=pointer)
        name = tirx.Bind(pointer, tirx.Select(tirx.BufferLoad(choose, [0]) > 0, a, b))
        body = tirx.SeqStmt([name, tirx.BufferStore(C, tirx.BufferLoad(chosen, [0]), [0])])
        func = tirx.PrimFunc([A, B, choose, C], body).with_attrs({"tl_grid_x": 4, "global_symbol": "main"})
        assert access_of(func) == {"A": "read", "B": "read", "choose": "read", "C": "write"}


def test_parameters_that_share_memory():
    A, C = (tirx.decl_buffer((32,), "float32", name=name) for name in "AC")
    body = tirx.BufferStore(C, tirx.BufferLoad(A, [0]), [0])
    func = tirx.PrimFunc([A, A, C], body).with_attrs({"tl_grid_x": 4, "global_symbol": "main"})
    assert [entry["tt_access"] for entry in infer(func).attrs["tt_buffers"]] == ["read", "read", "write"]


ACCESS = [pytest.param(*entry, id=entry[0].__name__) for entry in ACCESS]
ACCESS += [
    pytest.param(access_pointer(mask), access, "write", id=f"access_pointer_{mask}")
    for mask, access in [("r", "read"), ("w", "write"), ("rw", "read_write")]
]


def access_of(func):
    return {entry["name"]: entry["tt_access"] for entry in infer(func).attrs["tt_buffers"]}


@pytest.mark.parametrize(("build", "a", "c"), ACCESS)
def test_access(build, a, c):
    assert access_of(build()) == ({"A": a} if c is None else {"A": a, "C": c})


def test_pointer_with_a_name():
    """Before TVM 0.26 a binding names a pointer into a tensor; whoever gets that name gets the tensor."""
    A, C = (tirx.decl_buffer((32,), "float32", name=name) for name in "AC")
    loads = tirx.BufferLoad(A, [0])
    address = tirx.call_intrin("handle", "tirx.address_of", loads)
    pointer_type = address.ty if hasattr(address, "ty") else "handle"
    pointer = tirx.Var("pointer", pointer_type)
    call = tirx.Evaluate(tirx.call_extern("int32", "f", pointer))
    body = tirx.SeqStmt([tirx.Bind(pointer, address), call, tirx.BufferStore(C, tirx.FloatImm("float32", 0), [0])])
    func = tirx.PrimFunc([A, C], body).with_attrs({"tl_grid_x": 4, "global_symbol": "main"})
    assert access_of(func) == {"A": "read_write", "C": "write"}


def pointer_from_a_tensor():
    """C[0] = *address, where the address is a number that stands in the tensor A."""
    if not host.HAS_BUFFER_MAP:

        @T.prim_func
        def main(A: T.Buffer((4,), "uint32"), C: T.Buffer((4,), "float32")):
            bx = T.launch_thread("blockIdx.x", 4)
            table = T.decl_buffer((32,), "float32", data=T.reinterpret("handle", T.cast(A[bx], "uint64")))
            C[bx] = table[bx]

        return main
    A, C = tirx.decl_buffer((4,), "uint32", name="A"), tirx.decl_buffer((4,), "float32", name="C")
    pointer = tirx.Var("pointer", tvm.ir.PointerType(tvm.ir.PrimType("float32"), "global"))
    table = tirx.decl_buffer((32,), "float32", name="table", data=pointer)
    number = tirx.Cast("uint64", tirx.BufferLoad(A, [0]))
    name = tirx.Bind(pointer, tirx.call_intrin("handle", "tirx.reinterpret", number))
    body = tirx.SeqStmt([name, tirx.BufferStore(C, tirx.BufferLoad(table, [0]), [0])])
    return tirx.PrimFunc([A, C], body).with_attrs({"tl_grid_x": 4, "global_symbol": "main"})


def test_memory_of_nobody():
    """A number in a tensor may be the address of anything; it is no address within that tensor."""
    with pytest.raises(errors.OpaqueKernelError, match="buffer `table` lies in DRAM that belongs to no parameter"):
        infer(pointer_from_a_tensor())


def test_blocks_are_read_by_their_bodies():
    """What a block says that it reads and writes may be wider than what it does."""
    A = te.placeholder((64, 64), name="A")
    C = te.compute((64, 64), lambda i, j: A[i, j] + 1, name="C")
    sch = s_tir.Schedule(te.create_prim_func([A, C]))
    sch.bind(sch.get_loops(sch.get_sblock("C"))[0], "blockIdx.x")
    assert access_of(sch.mod["main"]) == {"A": "read", "C": "write"}


def test_a_reduction_reads_what_it_accumulates_into():
    A = te.placeholder((64, 64), name="A")
    k = te.reduce_axis((0, 64), name="k")
    C = te.compute((64,), lambda i: te.sum(A[i, k], axis=k), name="C")
    sch = s_tir.Schedule(te.create_prim_func([A, C]))
    sch.bind(sch.get_loops(sch.get_sblock("C"))[0], "blockIdx.x")
    func = infer(sch.mod["main"])
    assert access_of(func) == {"A": "read", "C": "read_write"}
    assert func.attrs["tt_runtime_args_schema"][4]["source"] == "unresolved"


def test_a_reduction_by_its_axis_alone():
    """A block may say that it reduces where no statement of it looks like a sum."""

    @T.prim_func(check_well_formed=False)  # to apache-tvm a block is no part of TIRx
    def main(A: T.Buffer((8,), "float32"), C: T.Buffer((4,), "float32")):
        for bx in T.thread_binding(4, thread="blockIdx.x"):
            for k in range(8):
                with T.sblock("last"):
                    vx = T.axis.spatial(4, bx)
                    vk = T.axis.reduce(8, k)
                    C[vx] = A[vk]

    assert infer(main).attrs["tt_runtime_args_schema"][4]["source"] == "unresolved"


def test_match_buffer():
    @T.prim_func(check_well_formed=False)  # to apache-tvm a block is no part of TIRx
    def main(A: T.Buffer((32, 32), "float32"), C: T.Buffer((32, 32), "float32")):
        for bx in T.thread_binding(4, thread="blockIdx.x"):
            with T.sblock("copy"):
                vx = T.axis.spatial(4, bx)
                T.reads(A[0:16, 0:16])
                T.writes(C[0:16, 0:16])
                V = T.match_buffer(A[0:16, 0:16], (16, 16), strides=[32, 1], offset_factor=1)
                W = T.match_buffer(C[0:16, 0:16], (16, 16), strides=[32, 1], offset_factor=1)
                W[0, vx] = V[vx, 0]

    assert access_of(main) == {"A": "read", "C": "write"}


if host.HAS_BUFFER_MAP:

    def test_handle_of_a_tensor():
        """Whoever gets the handle gets the tensor."""

        @T.prim_func
        def main(a: T.handle, C: T.Buffer((4,), "float32")):
            A = T.match_buffer(a, (4,), "float32")  # noqa: F841
            bx = T.launch_thread("blockIdx.x", 4)
            T.evaluate(T.call_extern("int32", "f", a))
            C[bx] = T.float32(0)

        assert access_of(main) == {"A": "read_write", "C": "write"}


if host.ON_TILELANG:
    import tilelang.language as L

    def tile_op(use):
        @L.prim_func
        def main(A: L.Tensor((64, 64), "float32"), C: L.Tensor((64, 64), "float32")):
            with L.Kernel(2, 2, threads=32) as (bx, by):
                tile = L.alloc_shared((32, 32), "float32")
                use(A, C, tile, bx, by)

        return main

    @L.macro
    def copy_through(A, C, tile, bx, by):
        L.copy(A[bx * 32, by * 32], tile)
        L.copy(tile, C[bx * 32, by * 32])

    @L.macro
    def copy_directly(A, C, tile, bx, by):
        L.copy(A[bx * 32 : bx * 32 + 32, 0:32], C[bx * 32 : bx * 32 + 32, 0:32])

    @L.macro
    def fill(A, C, tile, bx, by):
        L.fill(C[bx * 32 : bx * 32 + 32, 0:32], 0)

    @L.macro
    def atomic_add_tile(A, C, tile, bx, by):
        L.atomic_add(C[bx * 32, by * 32], tile)

    @L.macro
    def atomic_add_element(A, C, tile, bx, by):
        L.atomic_add(C[bx, by], A[bx, by])

    @L.macro
    def atomic_max_element(A, C, tile, bx, by):
        L.atomic_max(C[bx, by], A[bx, by])

    @L.macro
    def view(A, C, tile, bx, by):
        bits = L.view(A, (64 * 64,), "uint32")
        C[bx, by] = L.cast(bits[bx], "float32")

    @L.macro
    def address_for_a_call(A, C, tile, bx, by):
        L.call_extern("handle", "f", L.address_of(A[bx, by]))

    @pytest.mark.parametrize(
        ("use", "a", "c"),
        [
            (copy_through, "read", "write"),
            (copy_directly, "read", "write"),
            (fill, "none", "write"),
            (atomic_add_tile, "none", "read_write"),
            (atomic_add_element, "read", "read_write"),
            (atomic_max_element, "read", "read_write"),
            (view, "read", "write"),
            (address_for_a_call, "read_write", "none"),
        ],
    )
    def test_tile_operations(use, a, c):
        assert access_of(tile_op(use)) == {"A": a, "C": c}


if host.HAS_DEVICE_SCOPES:
    from tvm.tirx.script import tile as Tx

    @pytest.mark.parametrize(
        ("use", "a", "b", "c", "r"),
        [
            pytest.param(lambda A, B, C, R: Tx.copy(C, A), "read", "none", "write", "none", id="copy"),
            pytest.param(lambda A, B, C, R: Tx.cast(C, A), "read", "none", "write", "none", id="cast"),
            pytest.param(lambda A, B, C, R: Tx.fill(C, T.float32(0)), "none", "none", "write", "none", id="fill"),
            pytest.param(lambda A, B, C, R: Tx.add(C, A, B), "read", "read", "write", "none", id="add"),
            pytest.param(lambda A, B, C, R: Tx.add(C, A, C), "read", "none", "read_write", "none", id="add_in_place"),
            pytest.param(lambda A, B, C, R: Tx.sqrt(C), "none", "none", "read_write", "none", id="sqrt_in_place"),
            pytest.param(lambda A, B, C, R: Tx.sum(R, A), "read", "none", "none", "write", id="sum"),
            pytest.param(
                lambda A, B, C, R: Tx.sum(R, A, accum=True), "read", "none", "none", "read_write", id="sum_added"
            ),
            pytest.param(lambda A, B, C, R: Tx.gemm(C, A, B, C), "read", "read", "read_write", "none", id="gemm"),
            pytest.param(lambda A, B, C, R: Tx.gemm_async(C, A, B), "read", "read", "write", "none", id="gemm_async"),
            pytest.param(
                lambda A, B, C, R: Tx.gemm_async(C, A, B, accum=True),
                "read",
                "read",
                "read_write",
                "none",
                id="gemm_async_added",
            ),
        ],
    )
    def test_tile_primitives(use, a, b, c, r):
        @T.prim_func
        def main(
            A: T.Buffer((32, 32), "float32"),
            B: T.Buffer((32, 32), "float32"),
            C: T.Buffer((32, 32), "float32"),
            R: T.Buffer((32,), "float32"),
        ):
            T.device_entry()
            T.cta_id([4])
            T.thread_id([32])
            use(A, B, C, R)

        assert access_of(main) == {"A": a, "B": b, "C": c, "R": r}
