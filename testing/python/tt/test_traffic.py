"""tt_traffic: the boxes that a work tile moves, against a run of the kernel element by element."""

import re
from itertools import product
from math import prod

import pytest
from support import host, kernels_tirx
from support.host import T
from support.infer import infer, plain
from support.launch_forms import FORMS, SEVERAL_FORMS
from support.touched import READ, WRITE, touched
from tvm import tirx

from tilelang.tt import TrafficAttrs, errors, specialize, traffic_attrs
from tilelang.tt.metadata import ProductAttrs, TransferAttrs, launch_attrs

BITS = {"read": READ, "write": WRITE, "read_write": READ | WRITE}
LANGUAGES = {"tirx": kernels_tirx}
if host.ON_TILELANG:
    import tilelang.language as L
    from support import kernels_tilelang

    LANGUAGES["tilelang"] = kernels_tilelang
# The kernels, so small that each of their accesses can be looked at; and parameters of which nothing is known.
GEMM = {"M": 40, "N": 32, "K": 24, "block_M": 16, "block_N": 16}
KERNELS = [
    ("gemm", GEMM),
    ("renamed_gemm", GEMM),
    ("gemm_bias_relu", GEMM),
    ("batched_gemm", {**GEMM, "batch": 2, "M": 16}),
    ("dequant_gemm", {**GEMM, "M": 16}),
    ("flash_attention", {"batch": 2, "heads": 1, "seq": 32, "dim": 8, "block_M": 16}),
    ("flash_attention", {"batch": 1, "heads": 2, "seq": 32, "dim": 8, "block_M": 16, "causal": True}),
    ("row_softmax", {"M": 12, "N": 64}),
    ("elementwise_ragged", {"M": 40, "N": 24, "block_M": 16, "block_N": 16}),
    ("result_first", {"M": 32, "N": 48, "block_M": 16, "block_N": 16}),
    ("vector_add", {}),
    ("in_place", {"M": 32, "N": 64, "block_M": 16, "block_N": 32}),
    ("atomic_add", {"M": 32, "N": 32, "block_M": 16, "block_N": 16}),
    ("unused_param", {"M": 32, "N": 32, "block_M": 16, "block_N": 16}),
]
CASES = [
    pytest.param(language, name, sizes, id=f"{language}-{name}{'-causal' if 'causal' in sizes else ''}")
    for language in LANGUAGES
    for name, sizes in KERNELS
]


def number(size, names):
    return size if isinstance(size, int) else eval(size, {"__builtins__": {}, "min": min, "max": max}, dict(names))


def executions(loops, names):
    """The values of all names whenever the loops come to what is in them."""
    if not loops:
        yield names
        return
    (name, trips), *inner = loops
    for i in range(number(trips, names)):
        yield from executions(inner, {**names, name: i})


def boxes(transfer, tile):
    for names in executions(transfer["loops"], dict(zip(("bx", "by", "bz"), tile, strict=True))):
        yield [
            (number(start, names), number(extent, names))
            for start, extent in zip(transfer["start"], transfer["extent"], strict=True)
        ]


def tiles_of(launch):
    return product(*(range(launch[f"tt_grid_{axis}"]) for axis in "xyz"))


def moved(func, shapes):
    """What the attribute says that a kernel touches, in the words of `touched`; and the unknown parameters."""
    elements, unknown = {}, set()
    for launch, traffic in zip(launch_attrs(func), traffic_attrs(func), strict=True):
        for transfer in traffic["transfers"]:
            index = transfer["buffer"]
            if "reason" in transfer:
                unknown.add(index)
                continue
            for tile in tiles_of(launch):
                for box in boxes(transfer, tile):
                    ranges = [
                        range(max(0, start), min(start + extent, size))
                        for (start, extent), size in zip(box, shapes[index], strict=True)
                    ]
                    if not prod(map(len, ranges)):
                        continue
                    for bit in (READ, WRITE):
                        if BITS[transfer["access"]] & bit:
                            elements.setdefault((tile, index, bit), set()).update(product(*ranges))
    return elements, unknown


def check(func, unknown=()):
    """Every box is the hull of what is touched, and no element is touched outside of one."""
    inferred = infer(func)
    shapes = {entry["param_index"]: entry["shape"] for entry in plain(inferred.attrs["tt_buffers"])}
    found, not_known = moved(inferred, shapes)
    truth = {key: elements for key, elements in touched(func).items() if elements}
    assert not_known == set(unknown)
    wrong = [key for key in {*truth, *found} if key[1] not in not_known and truth.get(key) != found.get(key)]
    assert not wrong, [(key, sorted(truth.get(key, ()))[:3], sorted(found.get(key, ()))[:3]) for key in wrong[:3]]
    return inferred


pytestmark = [pytest.mark.stage("reading"), pytest.mark.filterwarnings("ignore::tilelang.tt.errors.TTWarning")]


def transfers(func):
    (launch,) = traffic_attrs(infer(func))
    return [
        (transfer["buffer"], transfer["access"], transfer.get("reason") or tuple(transfer[key] for key in KEYS))
        for transfer in launch["transfers"]
    ]


KEYS = ("start", "extent", "loops")


@pytest.mark.parametrize(("language", "name", "sizes"), CASES)
def test_kernels(language, name, sizes):
    # Where every row has a length of its own nothing is known of what its loop reads.
    differs_by_row = language == "tirx" and "causal" in sizes
    check(getattr(LANGUAGES[language], name)(**sizes), unknown={1, 2} if differs_by_row else ())


@pytest.mark.parametrize("form", [form for form in FORMS if form.understood], ids=str)
def test_launch_forms(form):
    mod = form.build()
    try:
        infer(mod)
    except errors.ShapeError:
        pytest.skip("the host/device split has left raw pointers")
    func = mod[form.kernel]
    if any(isinstance(extent, str) for extent in form.grid):
        func = specialize(func, m=100)
    if any(word in form.name for word in ("lower_tirx", "annotate_device_regions", "cluster_and", "deferred")):
        # Flat views of the tensors, and indices whose part in the grid nobody says.
        assert re.fullmatch("another view of its memory|an index with the variable `c.*`|.* call of .*", reason(func))
    elif any(word in form.name for word in ("persistent", "serial")):
        # Loops that are the grid, which the oracle takes for loops.
        starts = {tuple(start) for _, _, (start, _, _) in transfers(func)}
        assert starts <= {("bx", "by", "bz"), ("bx", "by"), ("bx",), (0,)}
    else:
        check(func)


@pytest.mark.parametrize("form", SEVERAL_FORMS, ids=str)
def test_each_launch_has_traffic_of_its_own(form):
    func = infer(form.build())["main"]
    launches = traffic_attrs(func)
    assert len(launches) == len(form.grids)
    assert all("reason" not in transfer for launch in launches for transfer in launch["transfers"])


def test_views():
    @T.prim_func
    def main(A: T.Buffer((64, 64), "float32"), I: T.Buffer((64,), "int32")):
        bx = T.launch_thread("blockIdx.x", 2)
        A[bx, 0] = A[I[bx], 0]

    (launch,) = traffic_attrs(infer(main))
    assert set(launch) == set(TrafficAttrs.__annotations__)
    keys = set().union(*launch["transfers"])
    assert keys == set(TransferAttrs.__annotations__)


# ---- which boxes -----------------------------------------------------------------------------------------------------


def test_elements_are_one_box():
    @T.prim_func
    def main(A: T.Buffer((64, 64), "float32"), B: T.Buffer((64,), "float32"), C: T.Buffer((64, 64), "float32")):
        bx = T.launch_thread("blockIdx.x", 2)
        for i, j in T.grid(32, 64):
            C[bx * 32 + i, j] = A[bx * 32 + i, j] * A[bx * 32 + i, j] + B[j]

    box = (["bx * 32", 0], [32, 64], [])
    assert transfers(main) == [(2, "write", box), (0, "read", box), (1, "read", ([0], [64], []))]


def test_threads_are_elements():
    @T.prim_func
    def main(A: T.Buffer((8192,), "float32"), C: T.Buffer((8192,), "float32")):
        bx = T.launch_thread("blockIdx.x", 8)
        ty = T.launch_thread("threadIdx.y", 4)
        tx = T.launch_thread("threadIdx.x", 32)
        for i in range(8):
            C[bx * 1024 + ty * 256 + tx * 8 + i] = A[(bx * 1024 + ty * 256 + i * 32) + tx]

    box = (["bx * 1024"], [1024], [])
    assert transfers(main) == [(1, "write", box), (0, "read", box)]
    check(main)


def test_fused_loops():
    @T.prim_func
    def main(A: T.Buffer((64, 96), "float32"), C: T.Buffer((64, 96), "float32")):
        bx = T.launch_thread("blockIdx.x", 2)
        for f in range(32 * 96):
            C[bx * 32 + f // 96, f % 96] = A[bx * 32 + f // 96, f % 96]

    box = (["bx * 32", 0], [32, 96], [])
    assert transfers(main) == [(1, "write", box), (0, "read", box)]
    check(main)


def test_staging_by_hand_repeats():
    @T.prim_func
    def main(A: T.Buffer((64, 128), "float32"), B: T.Buffer((64, 32), "float32"), C: T.Buffer((64, 32), "float32")):
        bx = T.launch_thread("blockIdx.x", 2)
        tile = T.alloc_buffer((32, 32), "float32", scope="shared")
        for repeat in range(3):  # noqa: B007
            for k in range(4):
                for i, j in T.grid(32, 32):
                    tile[i, j] = A[bx * 32 + i, k * 32 + j] + B[bx * 32 + i, j]
        for i, j in T.grid(32, 32):
            C[bx * 32 + i, j] = tile[i, j]

    assert transfers(main) == [
        (0, "read", (["bx * 32", 0], [32, 128], [["repeat", 3]])),
        (1, "read", (["bx * 32", 0], [32, 32], [["repeat", 3], ["k", 4]])),
        (2, "write", (["bx * 32", 0], [32, 32], [])),
    ]
    check(main)


def test_names_of_loops_are_unique():
    @T.prim_func
    def main(A: T.Buffer((64, 128), "float32"), C: T.Buffer((64, 128), "float32")):
        bx = T.launch_thread("blockIdx.x", 2)
        tile = T.alloc_buffer((32, 32), "float32", scope="shared")
        for when in range(2):
            for i, j in T.grid(32, 32):
                tile[i, j] = A[bx * 32 + i, when * 64 + j]
        for when in range(2):
            for i, j in T.grid(32, 32):
                tile[i, j] = A[bx * 32 + i, when * 64 + j]
        C[bx, 0] = tile[0, 0]

    first, second, _ = transfers(main)
    assert (first[2][0], second[2][0]) == (["bx * 32", "when_1 * 64"], ["bx * 32", "when_2 * 64"])
    check(main)


def test_edges_are_clipped_and_other_ends_are_not():
    @T.prim_func
    def main(A: T.Buffer((100, 64), "float32"), B: T.Buffer((64,), "float32"), C: T.Buffer((100, 64), "float32")):
        bx = T.launch_thread("blockIdx.x", 4)
        for i, j in T.grid(32, 64):
            if bx * 32 + i < 100 and j < 50:
                C[bx * 32 + i, j] = A[bx * 32 + i, j] + B[j]
            if j >= 60:
                C[bx * 32 + i, j] = T.float32(0)

    box = (["bx * 32", 0], [32, 50], [])
    assert transfers(main) == [
        (2, "write", box),
        (0, "read", box),
        (1, "read", ([0], [50], [])),
        (2, "write", (["bx * 32", 60], [32, 4], [])),
    ]
    check(main)


def test_a_condition_is_a_loop_of_one_trip_or_none():
    @T.prim_func
    def main(A: T.Buffer((256, 32), "float32"), C: T.Buffer((256, 32), "float32")):
        bx = T.launch_thread("blockIdx.x", 8)
        tx = T.launch_thread("threadIdx.x", 32)
        if bx > 2 and bx != 5:
            C[bx * 32 + tx, 0] = A[bx * 32 + tx, 0]
        else:
            C[bx * 32 + tx, 1] = T.float32(0)
        if tx == 0:
            C[bx * 32, 2] = T.float32(0)
        if bx < 8:
            C[bx * 32, 3] = T.float32(0)
        if bx < 0:
            C[bx * 32, 4] = T.float32(0)

    first, *_, thread, always = transfers(main)
    assert [name for name, _ in first[2][2]] == ["when", "when"]
    assert (thread[2], always[2]) == ((["bx * 32", 2], [1, 1], []), (["bx * 32", 3], [1, 1], []))
    check(main)


def test_conditional_values():
    @T.prim_func
    def main(A: T.Buffer((64,), "float32"), C: T.Buffer((256,), "float32")):
        bx = T.launch_thread("blockIdx.x", 4)
        for i in range(64):
            C[bx * 64 + i] = T.if_then_else(bx * 64 + i < 64, A[bx * 64 + i], T.float32(0))

    assert transfers(main) == [(1, "write", (["bx * 64"], [64], [])), (0, "read", (["bx * 64"], [64], []))]
    check(main)


def test_lengths_that_depend_on_the_work_tile():
    @T.prim_func
    def main(A: T.Buffer((128, 32), "float32"), C: T.Buffer((128, 32), "float32")):
        bx = T.launch_thread("blockIdx.x", 4)
        tile = T.alloc_buffer((32, 32), "float32", scope="shared")
        for k in range(bx + 1):
            for i, j in T.grid(32, 32):
                tile[i, j] = A[k * 32 + i, j]
        for i, j in T.grid(32, 32):
            C[bx * 32 + i, j] = tile[i, j]

    assert transfers(main)[0] == (0, "read", (["k * 32", 0], [32, 32], [["k", "bx + 1"]]))
    check(main)


def test_elements_that_are_near_each_other_are_one_box():
    @T.prim_func
    def main(A: T.Buffer((64, 64), "float32"), C: T.Buffer((64, 32), "float32")):
        bx = T.launch_thread("blockIdx.x", 64)
        for j in range(32):
            C[bx, j] = A[bx, j * 2] + A[bx, j * 2 + 1]

    assert transfers(main)[1:] == [(0, "read", (["bx", 0], [1, 63], [])), (0, "read", (["bx", 1], [1, 63], []))]


def test_names_of_values():
    @T.prim_func
    def main(A: T.Buffer((128,), "float32"), C: T.Buffer((128,), "float32")):
        bx = T.launch_thread("blockIdx.x", 4)
        row: T.int32 = bx * 32
        for i in range(32):
            at: T.int32 = row + i
            C[at] = A[at]

    box = (["bx * 32"], [32], [])
    assert transfers(main) == [(1, "write", box), (0, "read", box)]
    check(main)


def test_shape_variables():
    @T.prim_func
    def main(a: T.handle, c: T.handle):
        m = T.int32()
        A = T.match_buffer(a, (m, 64), "float32")
        C = T.match_buffer(c, (m, 64), "float32")
        bx = T.launch_thread("blockIdx.x", (m + 31) // 32)
        tile = T.alloc_buffer((64, 64), "float32", scope="shared")
        for i, j in T.grid(32, 64):
            if bx * 32 + i < m:
                C[bx * 32 + i, j] = A[bx * 32 + i, j]
        for k in range((m + 63) // 64):
            for i, j in T.grid(64, 64):
                tile[i, j] = A[k * 64 + i, j]

    box = (["bx * 32", 0], [32, 64], [])
    assert transfers(main) == [
        (1, "write", box),
        (0, "read", box),
        (0, "read", (["k * 64", 0], [64, 64], [["k", "(m + 63) // 64"]])),
    ]
    check(specialize(main, m=100))


def test_a_loop_that_stands_in_two_places():
    """Statements are values: hosts share them."""

    @T.prim_func
    def main(A: T.Buffer((64, 32), "float32"), C: T.Buffer((64, 32), "float32")):
        bx = T.launch_thread("blockIdx.x", 2)
        for i, j in T.grid(32, 32):
            C[bx * 32 + i, j] = A[bx * 32 + i, j]

    launch = main.body
    twice = tirx.SeqStmt([launch.body, launch.body])
    func = main.with_body(tirx.AttrStmt(launch.node, launch.attr_key, launch.value, twice))
    assert transfers(func) == transfers(main) * 2


# ---- what is not understood ------------------------------------------------------------------------------------------


def reason(func, index=0):
    (launch,) = traffic_attrs(infer(func))
    (found,) = {transfer.get("reason") for transfer in launch["transfers"] if transfer["buffer"] == index}
    return found


def test_index_from_memory():
    @T.prim_func
    def main(A: T.Buffer((64,), "float32"), I: T.Buffer((64,), "int32"), C: T.Buffer((64,), "float32")):
        bx = T.launch_thread("blockIdx.x", 64)
        C[bx] = A[I[bx]]

    assert reason(main) == "an index with a load from `I`"
    assert reason(main, 1) is None


def test_condition_from_memory():
    @T.prim_func
    def main(A: T.Buffer((64,), "float32"), I: T.Buffer((64,), "int32"), C: T.Buffer((64,), "float32")):
        bx = T.launch_thread("blockIdx.x", 64)
        if I[bx] > 0:
            C[bx] = A[bx]

    assert reason(main) == "an index with a load from `I`"


def test_while():
    @T.prim_func
    def main(A: T.Buffer((64,), "int32"), C: T.Buffer((64,), "int32")):
        bx = T.launch_thread("blockIdx.x", 64)
        while A[0] > 0:
            C[bx] = A[bx]

    assert reason(main) == "a while loop"


def test_number_that_changes():
    @T.prim_func
    def main(A: T.Buffer((64,), "float32"), C: T.Buffer((64,), "float32")):
        bx = T.launch_thread("blockIdx.x", 2)
        at = T.alloc_buffer((1,), "int32", scope="local")
        at[0] = bx
        for i in range(8):
            C[at[0]] = A[bx * 32 + i]
            at[0] = at[0] + 1

    assert reason(main) is None
    assert reason(main, 1) == "an index with a load from `at`"


def test_elements_far_apart():
    @T.prim_func
    def main(A: T.Buffer((4096,), "float32"), C: T.Buffer((4096,), "float32")):
        bx = T.launch_thread("blockIdx.x", 64)
        for i in range(64):
            C[i * 64 + bx] = A[bx * 64 + i]

    assert reason(main) is None
    assert reason(main, 1) == "elements that lie apart"


def test_pointer():
    @T.prim_func
    def main(A: T.Buffer((64,), "float32"), C: T.Buffer((64,), "float32")):
        bx = T.launch_thread("blockIdx.x", 64)
        T.evaluate(T.call_extern("int32", "f", T.address_of(A[bx])))
        C[bx] = T.float32(0)

    assert reason(main) == "a pointer that is handed on"
    assert reason(main, 1) is None


def test_view():
    @T.prim_func
    def main(A: T.Buffer((64, 64), "float32"), C: T.Buffer((64,), "float32")):
        bx = T.launch_thread("blockIdx.x", 64)
        flat = T.decl_buffer((4096,), "float32", data=A.data)
        C[bx] = flat[bx]

    assert reason(main) == "another view of its memory"


def test_size_of_the_name_of_an_axis():
    @T.prim_func
    def main(a: T.handle):
        by = T.int32()
        A = T.match_buffer(a, (by, 64), "float32")
        x = T.launch_thread("blockIdx.x", by)
        A[x, 0] = T.float32(0)

    assert reason(main) == "a size that is called `by`"


# ---- TileLang --------------------------------------------------------------------------------------------------------

if host.ON_TILELANG:

    def products(func):
        (launch,) = traffic_attrs(infer(func))
        return launch["products"]

    def test_gemm():
        func = kernels_tilelang.gemm()
        assert transfers(func) == [
            (0, "read", (["by * 64", "k * 32"], [64, 32], [["k", 4]])),
            (1, "read", (["k * 32", "bx * 64"], [32, 64], [["k", 4]])),
            (2, "write", (["by * 64", "bx * 64"], [64, 64], [])),
        ]
        (found,) = products(func)
        loops = [["k", 4]]
        assert found == {"m": 64, "n": 64, "k": 32, "dtypes": ["bfloat16", "bfloat16", "float32"], "loops": loops}
        assert set(found) | {"reason"} == set(ProductAttrs.__annotations__)

    def test_causal_attention():
        func = kernels_tilelang.flash_attention(seq=64, dim=16, block_M=16, block_N=16, causal=True)
        loops = [["k", "bx + 1"]]
        assert transfers(func)[1] == (1, "read", (["bz", "by", "k * 16", 0], [1, 1, 16, 16], loops))
        assert [found["loops"] for found in products(func)] == [loops, loops]
        check(func)

    def test_persistent():
        @L.prim_func
        def main(A: L.Tensor((256, 320), "float32"), C: L.Tensor((256, 320), "float32")):
            with L.Kernel(6, threads=128) as block:
                tile = L.alloc_shared((64, 32), "float32")
                for bx, by in L.Persistent([4, 10], 6, block):
                    L.copy(A[bx * 64, by * 32], tile)
                    L.copy(tile, C[bx * 64, by * 32])

        box = (["bx * 64", "by * 32"], [64, 32], [])
        assert transfers(main) == [(0, "read", box), (1, "write", box)]

    def test_regions_under_conditions():
        @L.prim_func
        def main(A: L.Tensor((100, 64), "float32"), C: L.Tensor((100, 64), "float32")):
            with L.Kernel(4, threads=128) as bx:
                tile = L.alloc_shared((32, 64), "float32")
                if bx * 32 < 100:
                    L.copy(A[bx * 32, 0], tile)
                if bx * 32 < 50:
                    L.copy(tile, C[bx * 32, 0])

        box = ["bx * 32", 0], [32, 64]
        assert transfers(main) == [
            (0, "read", (*box, [])),
            (1, "write", (*box, [["when", "min(1, max(0, bx * (-32) + 50))"]])),
        ]
        check(main)

    def test_gemm_of_a_tensor():
        @L.prim_func
        def main(A: L.Tensor((64, 64), "float16"), B: L.Tensor((64, 64), "float16"), C: L.Tensor((64, 64), "float32")):
            with L.Kernel(2, threads=128) as bx:
                a = L.alloc_shared((32, 64), "float16")
                c = L.alloc_fragment((32, 64), "float32")
                L.copy(A[bx * 32, 0], a)
                L.gemm(a, B, c, clear_accum=True)
                L.copy(c, C[bx * 32, 0])

        assert transfers(main)[1] == (1, "read", ([0, 0], [64, 64], []))

    def test_im2col_is_unknown():
        func = kernels_tilelang.conv2d()
        assert reason(func) == "the operation tl.tileop.im2col"

    def test_loop_that_is_left():
        @L.prim_func
        def main(A: L.Tensor((64,), "float32"), C: L.Tensor((64,), "float32")):
            with L.Kernel(2, threads=128) as bx:
                for i in L.serial(32):
                    if i == bx:
                        L.loop_break()
                    C[bx * 32 + i] = A[bx * 32 + i]

        assert reason(main) == "a loop that is left early"
