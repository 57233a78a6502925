"""What products of matrices sum over: `kt_tiles`, of kernels whose K is written here by hand."""

import math

import pytest
from support import host
from support.host import T

from tilelang.tt import apply_tt_defaults, infer_default_tt_schedule, schedule_attrs

pytestmark = pytest.mark.stage("reading")


def schema(func, **inputs):
    return schedule_attrs(infer_default_tt_schedule(apply_tt_defaults(func, **inputs)))["tt_runtime_args_schema"]


def kt_tiles(func, **inputs):
    """The value; the reason where there is none."""
    entry = schema(func, **inputs)[4]
    assert entry["name"] == "kt_tiles"
    return entry.get("value", entry.get("reason"))


def products(func):
    return [arg["value"] for arg in schema(func) if arg["name"].startswith("kt_tiles_")]


def matmul(K, steps=None, guard=None):
    """C = A @ B; K in `steps` steps of one loop, of which a guard keeps those below K."""
    steps = steps or K

    @T.prim_func
    def main(A: T.Buffer((64, K), "float32"), B: T.Buffer((K, 64), "float32"), C: T.Buffer((64, 64), "float32")):
        bx = T.launch_thread("blockIdx.x", 2)
        for i, j in T.grid(64, 32):
            C[i, bx * 32 + j] = T.float32(0)
            for k in range(steps):
                if k < K:
                    C[i, bx * 32 + j] = C[i, bx * 32 + j] + A[i, k] * B[k, bx * 32 + j]

    return main


@pytest.mark.parametrize("K", [1, 31, 32, 33, 100, 128, 4096])
def test_serial_loop(K):
    assert kt_tiles(matmul(K)) == math.ceil(K / 32)
    assert kt_tiles(matmul(K), tile_height=16, tile_width=16) == math.ceil(K / 16)


def test_tensor_ends_before_the_loop():
    assert kt_tiles(matmul(70, steps=128)) == 3


@pytest.mark.parametrize("end", [1, 32, 33, 50, 96, 128, 200])
def test_a_condition_ends_the_sum(end):
    """Of 128 elements that the loop and the tensors have."""
    shape = (64, 128)

    @T.prim_func
    def main(A: T.Buffer(shape, "float32"), B: T.Buffer(shape, "float32"), C: T.Buffer((64, 64), "float32")):
        bx = T.launch_thread("blockIdx.x", 64)
        for j, x, y in T.grid(64, 4, 32):
            if bx < 60 and T.likely(end > y + x * 32):
                C[bx, j] = C[bx, j] + A[bx, x * 32 + y] * B[j, x * 32 + y]

    assert kt_tiles(main) == math.ceil(min(end, 128) / 32)


def blocked(K=70, block=32, first=0):
    """K in blocks, the last of which reaches over the edge; names that mean nothing."""
    trips = math.ceil((K - first) / block)

    @T.prim_func
    def main(q: T.Buffer((64, K), "float32"), C: T.Buffer((64, K), "float32"), A: T.Buffer((64, 64), "float32")):
        bx = T.launch_thread("blockIdx.x", 2)
        for j in range(32):
            for i in range(64):
                A[i, bx * 32 + j] = T.float32(0)
            for x in range(trips):
                for i, y in T.grid(64, block):
                    if first + x * block + y < K:
                        A[i, bx * 32 + j] = (
                            q[i, x * block + y + first] * C[bx * 32 + j, first + x * block + y] + A[i, bx * 32 + j]
                        )

    return main


def test_blocks():
    assert kt_tiles(blocked()) == 3
    assert kt_tiles(blocked(64, 16)) == 2


def test_part_of_an_axis():
    """From 32 on there are 64 elements; where a last block may reach over the edge, the tensor does not say how far."""
    assert kt_tiles(blocked(96, 32, first=32)) == 2
    assert kt_tiles(blocked(90, 32, first=32)) == "operands that no tensor can be found for"


def split(parts=4, inside=32):
    """Each grid cell sums over its part of K."""

    @T.prim_func
    def main(A: T.Buffer((64, 128), "float32"), B: T.Buffer((128, 64), "float32"), C: T.Buffer((4, 64, 64), "float32")):
        bz = T.launch_thread("blockIdx.z", parts)
        for i, j, k in T.grid(64, 64, inside):
            C[bz, i, j] = C[bz, i, j] + A[i, bz * inside + k] * B[bz * inside + k, j]

    return main


def test_split_over_the_grid():
    assert kt_tiles(split()) == 1
    assert kt_tiles(split(2, 64)) == 2


def batched():
    """Sums start anew for every t, which the result has as an axis."""

    @T.prim_func
    def main(
        A: T.Buffer((5, 64, 96), "float32"), B: T.Buffer((96, 64), "float32"), C: T.Buffer((5, 64, 64), "float32")
    ):
        bx = T.launch_thread("blockIdx.x", 2)
        for t, i, j, k in T.grid(5, 64, 32, 96):
            C[t, i, bx * 32 + j] = C[t, i, bx * 32 + j] + A[t, i, k] * B[k, bx * 32 + j]

    return main


def test_axis_of_the_result():
    assert kt_tiles(batched()) == 3


def repeated():
    """The sum starts anew for every t, which no tensor has."""

    @T.prim_func
    def main(A: T.Buffer((64, 96), "float32"), B: T.Buffer((96, 64), "float32"), C: T.Buffer((64, 64), "float32")):
        bx = T.launch_thread("blockIdx.x", 2)
        total = T.alloc_buffer((64, 32), "float32", scope="local")
        for _t in range(7):
            for i, j in T.grid(64, 32):
                total[i, j] = T.float32(0)
            for k, i, j in T.grid(96, 64, 32):
                total[i, j] = total[i, j] + A[i, k] * B[k, bx * 32 + j]
            for i, j in T.grid(64, 32):
                C[i, bx * 32 + j] = total[i, j]

    return main


def test_reset_ends_the_sum():
    assert kt_tiles(repeated()) == 3


def not_reset():
    """Seven times the product, all added up."""

    @T.prim_func
    def main(A: T.Buffer((64, 96), "float32"), B: T.Buffer((96, 64), "float32"), C: T.Buffer((64, 64), "float32")):
        bx = T.launch_thread("blockIdx.x", 2)
        for _t, k, i, j in T.grid(7, 96, 64, 32):
            C[i, bx * 32 + j] = C[i, bx * 32 + j] + A[i, k] * B[k, bx * 32 + j]

    return main


def now_and_then():
    @T.prim_func
    def main(A: T.Buffer((64, 96), "float32"), B: T.Buffer((96, 64), "float32"), C: T.Buffer((64, 64), "float32")):
        bx = T.launch_thread("blockIdx.x", 2)
        for k, i, j in T.grid(96, 64, 32):
            if k == 0:
                C[i, bx * 32 + j] = T.float32(0)
            C[i, bx * 32 + j] = C[i, bx * 32 + j] + A[i, k] * B[k, bx * 32 + j]

    return main


def rewritten():
    """What looks like a new start holds the sum so far."""

    @T.prim_func
    def main(A: T.Buffer((64, 96), "float32"), B: T.Buffer((96, 64), "float32"), C: T.Buffer((64, 64), "float32")):
        bx = T.launch_thread("blockIdx.x", 2)
        kept = T.alloc_buffer((64, 32), "float32", scope="local")
        for t in range(3):
            for i, j in T.grid(64, 32):
                kept[i, j] = C[i, bx * 32 + j] * T.float32(0.5)
            for i, j in T.grid(64, 32):
                C[i, bx * 32 + j] = kept[i, j]
            for k, i, j in T.grid(32, 64, 32):
                C[i, bx * 32 + j] = C[i, bx * 32 + j] + A[i, t * 32 + k] * B[t * 32 + k, bx * 32 + j]

    return main


def two_extents():
    """One product over 64, another over 96."""

    @T.prim_func
    def main(A: T.Buffer((64, 96), "float32"), B: T.Buffer((96, 64), "float32"), C: T.Buffer((2, 64, 64), "float32")):
        bx = T.launch_thread("blockIdx.x", 2)
        for k, i, j in T.grid(64, 64, 32):
            C[0, i, bx * 32 + j] = C[0, i, bx * 32 + j] + A[i, k] * B[k, bx * 32 + j]
        for i, j in T.grid(64, 32):
            C[1, i, bx * 32 + j] = T.float32(0)
        for k, i, j in T.grid(96, 64, 32):
            C[1, i, bx * 32 + j] = C[1, i, bx * 32 + j] + A[i, k] * B[k, bx * 32 + j]

    return main


def unknown_trips():
    @T.prim_func
    def main(A: T.Buffer((64, 96), "float32"), B: T.Buffer((96, 64), "float32"), C: T.Buffer((64, 64), "float32")):
        bx = T.launch_thread("blockIdx.x", 2)
        for i, j in T.grid(64, 32):
            for k in range(bx * 32 + 1):
                C[i, bx * 32 + j] = C[i, bx * 32 + j] + A[i, k] * B[k, bx * 32 + j]

    return main


def staged():
    """Elements that are copied one by one are not followed."""

    @T.prim_func
    def main(A: T.Buffer((64, 96), "float32"), B: T.Buffer((96, 64), "float32"), C: T.Buffer((64, 64), "float32")):
        bx = T.launch_thread("blockIdx.x", 2)
        part = T.alloc_buffer((64, 32), "float32", scope="shared")
        for t in range(3):
            for i, k in T.grid(64, 32):
                part[i, k] = A[i, t * 32 + k]
            for k, i, j in T.grid(32, 64, 32):
                C[i, bx * 32 + j] = C[i, bx * 32 + j] + part[i, k] * B[t * 32 + k, bx * 32 + j]

    return main


def norm():
    @T.prim_func
    def main(A: T.Buffer((64, 96), "float32"), C: T.Buffer((64,), "float32")):
        bx = T.launch_thread("blockIdx.x", 64)
        for k in range(96):
            C[bx] = C[bx] + A[bx, k] * A[bx, k]

    return main


def row_sums():
    @T.prim_func
    def main(A: T.Buffer((64, 96), "float32"), C: T.Buffer((64,), "float32")):
        bx = T.launch_thread("blockIdx.x", 64)
        for k in range(96):
            C[bx] = C[bx] + A[bx, k]

    return main


def left_out(condition, otherwise=False):
    """Of each product of elements, a condition says whether it is added."""
    shape = (64, 96)

    @T.prim_func
    def main(A: T.Buffer(shape, "float32"), B: T.Buffer(shape, "float32"), C: T.Buffer((64, 64), "float32")):
        bx = T.launch_thread("blockIdx.x", 64)
        for j, k in T.grid(64, 96):
            if condition(bx, k):
                C[bx, j] = C[bx, j] + A[bx, k] * B[j, k]

    @T.prim_func
    def other(A: T.Buffer(shape, "float32"), B: T.Buffer(shape, "float32"), C: T.Buffer((64, 64), "float32")):
        bx = T.launch_thread("blockIdx.x", 64)
        for j, k in T.grid(64, 96):
            if condition(bx, k):
                T.evaluate(j)
            else:
                C[bx, j] = C[bx, j] + A[bx, k] * B[j, k]

    return other if otherwise else main


PART = "a condition that leaves out a part of the sum"


def by_a_call():
    @T.prim_func
    def main(A: T.Buffer((32,), "float32"), C: T.Buffer((32,), "float32")):
        bx = T.launch_thread("blockIdx.x", 32)
        T.evaluate(T.call_extern("int32", "sum", A.access_ptr("r"), C.access_ptr("w", offset=bx)))

    return main


NO_PRODUCT = "a reduction that is no product of matrices"


def cleared(rows):
    """In every block of K the first rows of the sum are cleared, of 32."""

    @T.prim_func
    def main(A: T.Buffer((32, 128), "float32"), B: T.Buffer((128, 32), "float32"), C: T.Buffer((32, 32), "float32")):
        T.launch_thread("blockIdx.x", 1)
        for block in range(4):
            for i, j in T.grid(rows, 32):
                C[i, j] = T.float32(0)
            for i, j, k in T.grid(32, 32, 32):
                C[i, j] = C[i, j] + A[i, block * 32 + k] * B[block * 32 + k, j]

    return main


def halved():
    """Two columns of B are added into one of C."""

    @T.prim_func
    def main(A: T.Buffer((64, 64), "float32"), B: T.Buffer((64, 64), "float32"), C: T.Buffer((64, 32), "float32")):
        bx = T.launch_thread("blockIdx.x", 64)
        for j in range(32):
            C[bx, j] = T.float32(0)
        for j, k in T.grid(64, 64):
            C[bx, j // 2] = C[bx, j // 2] + A[bx, k] * B[k, j]

    return main


def test_reset_of_the_whole_accumulator():
    assert kt_tiles(cleared(32)) == 1


def test_fused_axes_of_the_result():
    """A quotient and a remainder together tell all values of a loop variable apart."""

    @T.prim_func
    def main(A: T.Buffer((8, 64), "float32"), B: T.Buffer((64, 32), "float32"), C: T.Buffer((8, 32), "float32")):
        T.launch_thread("blockIdx.x", 1)
        for fused in range(8 * 32):
            C[fused // 32, fused % 32] = T.float32(0)
            for k in range(64):
                C[fused // 32, fused % 32] = C[fused // 32, fused % 32] + A[fused // 32, k] * B[k, fused % 32]

    assert kt_tiles(main) == 2


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (not_reset, "a sum over a loop that not both factors follow"),
        (now_and_then, "an accumulator that is cleared now and then"),
        (rewritten, "sums that go through several buffers"),
        (two_extents, "several products that are added into one accumulator"),
        (unknown_trips, "the number of trips of loop `k` is not known"),
        (staged, "a sum over a loop that not both factors follow"),
        (norm, "sums of another form than `C = C + a * b`"),
        (row_sums, NO_PRODUCT),
        (lambda: left_out(lambda bx, k: k <= bx), PART),
        (lambda: left_out(lambda bx, k: k >= 64), PART),
        (lambda: left_out(lambda bx, k: k % 2 == 0), PART),
        (lambda: left_out(lambda bx, k: k < 64, otherwise=True), PART),
        (lambda: cleared(16), "an accumulator that is cleared in part"),
        (halved, "an accumulator whose index divides a loop variable"),
        (by_a_call, "a call of tirx.call_extern"),
    ],
)
def test_unresolved(build, reason):
    assert kt_tiles(build()) == reason
    assert schema(build())[4]["source"] == "unresolved"


if host.ON_TILELANG:
    import tilelang.language as L

    def tiles(K=128, block_K=32, trans_A=False, trans_B=False, stages=2, clear=False, use_serial=False):
        """C = A @ B over blocks of K."""
        a_shape, b_shape = ((K, 64) if trans_A else (64, K)), ((64, K) if trans_B else (K, 64))
        a_tile, b_tile = ((block_K, 32) if trans_A else (32, block_K)), ((32, block_K) if trans_B else (block_K, 32))

        @L.prim_func
        def main(A: L.Tensor(a_shape, "float16"), B: L.Tensor(b_shape, "float16"), C: L.Tensor((64, 64), "float32")):
            with L.Kernel(2, 2, threads=128) as (bx, by):
                a = L.alloc_shared(a_tile, "float16")
                b = L.alloc_shared(b_tile, "float16")
                b_again = L.alloc_fragment(b_tile, "float16")
                c = L.alloc_fragment((32, 32), "float32")
                L.clear(c)
                for k in (
                    L.serial(L.ceildiv(K, block_K))
                    if use_serial
                    else L.Pipelined(L.ceildiv(K, block_K), num_stages=stages)
                ):
                    if trans_A:
                        L.copy(A[k * block_K, by * 32], a)
                    else:
                        L.copy(A[by * 32, k * block_K], a)
                    if trans_B:
                        L.copy(B[bx * 32, k * block_K], b)
                    else:
                        L.copy(B[k * block_K, bx * 32], b)
                    L.copy(b, b_again)
                    L.gemm(a, b_again, c, transpose_A=trans_A, transpose_B=trans_B, clear_accum=clear)
                L.copy(c, C[by * 32, bx * 32])

        return main

    @pytest.mark.parametrize("use_serial", [False, True])
    @pytest.mark.parametrize("trans_B", [False, True])
    @pytest.mark.parametrize("trans_A", [False, True])
    @pytest.mark.parametrize(("K", "block_K"), [(128, 32), (100, 32), (70, 64), (32, 32), (64, 16), (4096, 128)])
    def test_gemm(K, block_K, trans_A, trans_B, use_serial):
        func = tiles(K, block_K, trans_A, trans_B, use_serial=use_serial)
        assert kt_tiles(func) == math.ceil(K / 32)

    def test_gemm_that_clears():
        """Only the last block stays."""
        assert kt_tiles(tiles(128, 32, clear=True)) == 1

    def two_gemms(first=64, second=128, same=False):
        @L.prim_func
        def main(
            A: L.Tensor((64, 256), "float16"), B: L.Tensor((256, 64), "float16"), C: L.Tensor((64, 64), "float32")
        ):
            with L.Kernel(2, 2, threads=128) as (_bx, _by):
                a = L.alloc_shared((64, first), "float16")
                b = L.alloc_shared((first, 64), "float16")
                a2 = L.alloc_shared((64, second), "float16")
                b2 = L.alloc_shared((second, 64), "float16")
                c = L.alloc_fragment((64, 64), "float32")
                c2 = L.alloc_fragment((64, 64), "float32")
                L.clear(c)
                L.clear(c2)
                L.copy(A[0, 0], a)
                L.copy(B[0, 0], b)
                L.copy(A[0, 0], a2)
                L.copy(B[0, 0], b2)
                L.gemm(a, b, c)
                L.gemm(a2, b2, c if same else c2)
                L.copy(c, C)

        return main

    def test_two_gemms():
        assert kt_tiles(two_gemms()) == "2 products over 64 and 128 elements"
        assert products(two_gemms()) == [2, 4]

    def test_two_gemms_of_one_extent():
        assert kt_tiles(two_gemms(64, 64)) == 2
        assert products(two_gemms(64, 64)) == []

    def test_two_gemms_into_one_accumulator():
        assert kt_tiles(two_gemms(64, 64, same=True)) == "several products that are added into one accumulator"
