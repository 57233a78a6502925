"""What a launch needs on the chip: circular buffers, bytes of L1, and sub-blocks that DST holds."""

import warnings
from itertools import product
from math import ceil, prod

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import host, oracle
from support.host import T
from support.infer import bare, infer
from tvm import tirx

from tilelang.tt import (
    AccumulatorAttrs,
    CircularBufferAttrs,
    OnChipAttrs,
    SubBlockAttrs,
    _native,
    errors,
    on_chip_attrs,
)

pytestmark = pytest.mark.stage("shard")

N150 = "wormhole_n150"
L1 = 1393312
# ttnn's list, in its order: (height, width).
TTNN_SUBBLOCKS = (
    *((4, 2), (2, 4), (8, 1), (1, 8), (7, 1), (1, 7), (3, 2), (2, 3), (6, 1), (1, 6)),
    *((5, 1), (1, 5), (2, 2), (4, 1), (1, 4), (3, 1), (1, 3), (2, 1), (1, 2), (1, 1)),
)


def oracle_circular_buffer(shape, element_bits, num_stages, tile):
    """(tiles, page size, bytes), by laying down tile after tile."""
    *batch, rows, columns = [*([1] * (2 - len(shape))), *shape]
    tiles = list(product(*map(range, batch), range(0, rows, tile[0]), range(0, columns, tile[1])))
    page = oracle.round_up(ceil(tile[0] * tile[1] * element_bits / 8), 16)
    return len(tiles), page, sum(page for _ in range(num_stages) for _ in tiles)


BUFFERS = st.lists(
    st.tuples(
        st.just("b"),
        st.lists(st.integers(1, 100), max_size=3),
        st.sampled_from([4, 8, 16, 32, 64]),
        st.integers(1, 4),
        st.none(),
    ),
    max_size=5,
)


@given(BUFFERS, st.sampled_from(oracle.TILE_SHAPES), st.sampled_from([(N150, 32), ("blackhole_p150", 64)]))
def test_circular_buffers(buffers, tile, device):
    name, alignment = device
    expected = [oracle_circular_buffer(shape, bits, stages, tile) for _, shape, bits, stages, _ in buffers]
    end = 0
    for *_, size in expected:
        end = oracle.round_up(end, alignment) + size
    assert _native.circular_buffers(buffers, tile, name) == {"circular_buffers": expected, "l1_bytes": end}


def test_symbolic_size_is_text():
    found = _native.circular_buffers([("b", ["m", 64], 16, 2, None)], (32, 32), N150)
    assert found["circular_buffers"] == [("(m + 31) // 32 * 2", 2048, "(m + 31) // 32 * 8192")]
    assert _native.evaluate(found["l1_bytes"], {"m": 33}) == 2 * 8192
    assert _native.check_capacity([("b", ["m", 2**20], 16, 2, None)], 0, (32, 32), N150) == []


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([4, 8]))
def test_subblock_is_the_first_of_ttnns_that_divides(height, width, dst_tiles):
    fitting = [(h, w) for h, w in TTNN_SUBBLOCKS if h * w <= dst_tiles and height % h == 0 and width % w == 0]
    assert _native.largest_subblock(height, width, dst_tiles) == fitting[0]


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 2, 4, 8, 16]))
def test_no_subblock_is_larger(height, width, dst_tiles):
    found = _native.largest_subblock(height, width, dst_tiles)
    areas = [h * w for h in range(1, height + 1) for w in range(1, width + 1) if not height % h and not width % w]
    assert prod(found) == max(area for area in areas if area <= dst_tiles)
    assert height % found[0] == 0
    assert width % found[1] == 0


def test_full_sync_holds_sixteen():
    assert _native.largest_subblock(4, 4, 16) == (4, 4)


def check(*buffers, tensor_bytes=0, device=N150):
    return _native.check_capacity(list(buffers), tensor_bytes, (32, 32), device)


class TestCapacity:
    def test_what_just_fits(self):
        tiles = L1 // 2048
        assert check(("a", [32, 32 * tiles], 16, 1, None)) == []
        ((code, message),) = check(("a", [32, 32 * (tiles + 1)], 16, 1, None))
        assert code == "TT601"
        assert message.startswith(f"{(tiles + 1) * 2048:,} bytes of L1 for circular buffers; expected at most {L1:,}")

    def test_fewer_stages(self):
        ((_, message),) = check(("a", [512, 512], 16, 3, 0), ("b", [32, 32], 32, 1, None))
        assert message.splitlines()[1:] == [
            "largest: `a` 1,572,864 (3 stages of 256 tiles of 2048), `b` 4,096 (1 tiles of 4096)",
            "help: num_stages 3 -> 2 of the loop that fills `a` saves 524,288 bytes and fits",
        ]

    def test_all_buffers_of_a_loop_change_together(self):
        ((_, message),) = check(("a", [256, 512], 16, 4, 0), ("b", [256, 512], 16, 4, 0))
        assert "num_stages 4 -> 2 of the loop that fills `a`, `b` saves 1,048,576 bytes and fits" in message

    def test_smaller_buffer(self):
        ((_, message),) = check(("a", [1024, 512], 32, 1, None))
        assert message.endswith("help: half of `a` saves 1,048,576 bytes and fits")

    def test_no_single_change(self):
        ((_, message),) = check(*[(name, [512, 512], 32, 1, None) for name in "abc"])
        assert message.endswith("help: 1/4 of each buffer fits: make the blocks of the kernel smaller")

    def test_tensors_in_l1_take_their_share(self):
        assert check(("a", [512, 512], 16, 1, None)) == []
        ((_, message),) = check(("a", [512, 512], 16, 1, None), tensor_bytes=1_000_000)
        assert "expected at most 393,312" in message

    def test_too_many(self):
        small = [(f"b{i}", [32, 32], 16, 1, None) for i in range(33)]
        assert check(*small[:32]) == []
        ((code, message),) = check(*small)
        assert code == "TT602"
        assert message.startswith("33 circular buffers on a core; expected at most 32\nhelp: let 1 of ")
        assert check(*small, device="blackhole_p150") == []

    def test_unknown_memory(self):
        assert check(("a", [4096, 4096], 32, 1, None), device="grayskull_e75") == []

    @given(BUFFERS, st.integers(0, L1))
    def test_the_change_that_is_named_fits(self, buffers, tensor_bytes):
        buffers = [(name, [extent * 8 for extent in shape], *rest) for name, shape, *rest in buffers]
        needed = _native.circular_buffers(buffers, (32, 32), N150)["l1_bytes"]
        problems = [code for code, _ in check(*buffers, tensor_bytes=tensor_bytes)]
        assert problems == (["TT601"] if needed > L1 - tensor_bytes else [])


def tile_copies(num_tiles=2, scope="shared", dtype="float32"):
    @T.prim_func
    def main(A: T.Buffer((32, 32 * num_tiles), dtype), C: T.Buffer((32, 32 * num_tiles), dtype)):
        bx = T.launch_thread("blockIdx.x", 4)
        tile = T.alloc_buffer((32, 32 * num_tiles), dtype, scope=scope)
        number = T.alloc_buffer((1,), "int32", scope="local")
        few = T.alloc_buffer((8,), "float32", scope="local")
        number[0] = bx
        few[0] = T.float32(0)
        for i, j in T.grid(32, 32 * num_tiles):
            tile[i, j] = A[i, j]
        for i, j in T.grid(32, 32 * num_tiles):
            C[i, j] = tile[i, j]

    return main


@pytest.mark.parametrize("scope", ["shared", "shared.dyn", "local"])
def test_allocations(scope):
    (launch,) = on_chip_attrs(infer(tile_copies(scope=scope)))
    assert launch == {
        "circular_buffers": [
            {
                "name": "tile",
                "scope": scope,
                "dtype": "float32",
                "data_format": "Float32",
                "shape": [32, 64],
                "num_tiles": 2,
                "page_size": 4096,
                "num_stages": 1,
                "bytes": 8192,
            }
        ],
        "num_circular_buffers": 1,
        "max_circular_buffers": 32,
        "l1_bytes": 8192,
        "l1_available": L1,
        "accumulators": [],
    }


def test_views():
    (launch,) = on_chip_attrs(infer(tile_copies()))
    assert set(launch) == set(OnChipAttrs.__annotations__)
    assert set(launch["circular_buffers"][0]) == set(CircularBufferAttrs.__annotations__)


def test_other_tiles_formats_and_devices():
    (launch,) = on_chip_attrs(
        infer(tile_copies(dtype="bfloat16"), tile_height=16, tile_width=16, device="blackhole_p150")
    )
    assert (launch["l1_bytes"], launch["l1_available"], launch["max_circular_buffers"]) == (4096, 1461120, 64)
    (launch,) = on_chip_attrs(infer(tile_copies(), layout_type="l1_interleaved"))
    assert launch["l1_available"] == L1 - 2 * 4096  # two tensors of two pages over more banks


def test_too_much_warns():
    func = tile_copies(num_tiles=400)
    with pytest.warns(errors.CapacityWarning) as caught:
        (launch,) = on_chip_attrs(infer(func))
    assert launch["l1_bytes"] == 400 * 4096
    assert [str(warning.message) for warning in caught] == [
        "TT601: kernel `main` on wormhole_n150 needs 1,638,400 bytes of L1 for circular buffers; "
        f"expected at most {L1:,}\n"
        "largest: `tile` 1,638,400 (400 tiles of 4096)\n"
        "help: half of `tile` saves 819,200 bytes and fits"
    ]


def test_too_many_warn():
    buffers = [tirx.decl_buffer((32, 32), "float32", name=f"b{i}", scope="shared") for i in range(33)]
    stored = [tirx.AllocBuffer(buffer) for buffer in buffers]
    func = bare().with_body(tirx.SeqStmt([*stored, tirx.Evaluate(0)]))
    with pytest.warns(errors.CapacityWarning, match="TT602: kernel `main` on wormhole_n150 needs 33 circular buffers"):
        (launch,) = on_chip_attrs(infer(func))
    assert (launch["num_circular_buffers"], launch["max_circular_buffers"]) == (33, 32)


def test_what_fits_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        infer(tile_copies())


def test_again_changes_nothing():
    func = infer(tile_copies())
    assert on_chip_attrs(infer(func)) == on_chip_attrs(func)


if host.HAS_DEVICE_SCOPES:
    from tvm.tirx.script import tile as Tx

    def test_gemm_of_tile_primitives():
        @T.prim_func
        def main(A: T.Buffer((32, 64), "float16"), B: T.Buffer((64, 96), "float16"), C: T.Buffer((32, 96), "float32")):
            T.device_entry()
            T.cta_id([1])
            a = T.alloc_buffer((32, 64), "float16", scope="shared")
            b = T.alloc_buffer((64, 96), "float16", scope="shared")
            c = T.alloc_buffer((32, 96), "float32", scope="shared")
            Tx.copy(a, A)
            Tx.copy(b, B)
            Tx.gemm(c, a, b, c)
            Tx.copy(C, c)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", errors.FormatWarning)
            (launch,) = on_chip_attrs(infer(main))
        (accumulator,) = launch["accumulators"]
        assert (accumulator["name"], accumulator["circular_buffer"]) == ("c", 2)


if host.ON_TILELANG:
    import tilelang.language as L
    from support import kernels_tilelang

    def modes(*subblocks):
        """By 16 and 32 bits, half and full sync."""
        return [
            {"fp32_dest_acc_en": fp32, "dst_full_sync_en": full, "dst_tiles": tiles, "subblock": [*subblock]}
            for (fp32, full, tiles), subblock in zip(
                [(False, False, 8), (False, True, 16), (True, False, 4), (True, True, 8)], subblocks, strict=True
            )
        ]

    def test_gemm():
        func = infer(kernels_tilelang.gemm(M=512, N=512, block_M=128, block_N=256))
        (launch,) = on_chip_attrs(func)
        assert [(b["name"], b["num_stages"], b["num_tiles"], b["bytes"]) for b in launch["circular_buffers"]] == [
            ("A_shared", 2, 4, 2 * 4 * 2048),
            ("B_shared", 2, 8, 2 * 8 * 2048),
            ("C_local", 1, 32, 32 * 4096),
        ]
        assert launch["l1_bytes"] == 2 * 4 * 2048 + 2 * 8 * 2048 + 32 * 4096
        assert launch["accumulators"] == [
            {
                "name": "C_local",
                "circular_buffer": 2,
                "num_tiles_height": 4,
                "num_tiles_width": 8,
                "subblocks": modes((4, 2), (4, 4), (2, 2), (4, 2)),
            }
        ]
        assert set(launch["accumulators"][0]) == set(AccumulatorAttrs.__annotations__)
        assert set(launch["accumulators"][0]["subblocks"][0]) == set(SubBlockAttrs.__annotations__)

    def test_only_what_the_loop_fills_from_dram_has_stages():
        (launch,) = on_chip_attrs(infer(kernels_tilelang.dequant_gemm()))
        assert {b["name"]: b["num_stages"] for b in launch["circular_buffers"]} == {
            "A_shared": 2,
            "B_shared": 2,
            "W_local": 1,
            "W_shared": 1,
            "C_local": 1,
        }

    def test_schedule_by_hand():
        @L.prim_func
        def main(A: L.Tensor((64, 256), "float32"), C: L.Tensor((64, 256), "float32")):
            with L.Kernel(1, threads=128):
                tile = L.alloc_shared((64, 32), "float32")
                for k in L.Pipelined(8, order=[1, 0], stage=[0, 2]):
                    L.copy(A[0, k * 32], tile)
                    L.copy(tile, C[0, k * 32])

        (launch,) = on_chip_attrs(infer(main))
        assert launch["circular_buffers"][0]["num_stages"] == 3

    def test_what_needs_no_circular_buffer():
        @L.prim_func
        def main(A: L.Tensor((64, 64), "float32"), C: L.Tensor((64, 64), "float32")):
            with L.Kernel(2, threads=128) as bx:
                count = L.alloc_var("int32")
                barrier = L.alloc_barrier(128)
                few = L.alloc_local((4,), "float32")
                one = L.alloc_fragment((1,), "float32")
                mask = L.alloc_shared((32, 64), "bool")
                keys = L.alloc_shared((40,), "int64")
                count = bx
                one[0] = 1.0
                few[0] = one[0]
                L.barrier_arrive(barrier)
                for i, j in L.Parallel(32, 64):
                    mask[i, j] = A[count * 32 + i, j] > few[0]
                    keys[j] = L.cast(j, "int64")
                    C[count * 32 + i, j] = L.if_then_else(mask[i, j], 1.0, 0.0)

        (launch,) = on_chip_attrs(infer(main))
        assert [(b["name"], b["dtype"], b["data_format"], b["bytes"]) for b in launch["circular_buffers"]] == [
            ("mask", "bool", "none", 2 * 1024),
            ("keys", "int64", "none", 2 * 8192),
        ]

    def test_too_many_stages():
        func = kernels_tilelang.gemm(M=512, N=512, K=512, block_M=512, block_N=512, block_K=64)
        with pytest.warns(
            errors.CapacityWarning, match=r"num_stages 2 -> 1 of the loop that fills `A_shared`, `B_shared`"
        ):
            infer(kernels_tilelang.gemm(M=512, N=512, K=512, block_M=512, block_N=512, block_K=128))
        infer(func)


def test_each_launch_has_needs_of_its_own():
    @T.prim_func
    def main(A: T.Buffer((64, 64), "float32")):
        for bx in T.thread_binding(2, thread="blockIdx.x"):
            first = T.alloc_buffer((32, 64), "float32", scope="shared")
            first[0, 0] = A[bx, 0]
        for bx in T.thread_binding(2, thread="blockIdx.x"):
            second = T.alloc_buffer((64, 64), "float32", scope="shared")
            second[0, 0] = A[bx, 0]

    needs = on_chip_attrs(infer(main))
    assert [[buffer["name"] for buffer in launch["circular_buffers"]] for launch in needs] == [["first"], ["second"]]
    assert [launch["l1_bytes"] for launch in needs] == [2 * 4096, 4 * 4096]
