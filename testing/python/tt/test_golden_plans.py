"""Plans of some kernels, as files that hold on every host: `golden/` has them, `pytest --update-golden` writes them."""

import pytest
from support import host, kernels_tirx
from support.host import T
from support.infer import copy_kernel

from tilelang.tt import Device, Layout, Shard, annotate_tt_layout

pytestmark = pytest.mark.stage("plan")

TIRX = {case.name: case for case in kernels_tirx.CASES}


@T.prim_func
def symbolic(a: T.handle, c: T.handle):
    m = T.int32()
    n = T.int32()
    A = T.match_buffer(a, (m, n), "bfloat16")
    C = T.match_buffer(c, (m, n), "bfloat16")
    bx = T.launch_thread("blockIdx.x", (n + 63) // 64)
    by = T.launch_thread("blockIdx.y", (m + 63) // 64)
    for i, j in T.grid(64, 64):
        if by * 64 + i < m and bx * 64 + j < n:
            C[by * 64 + i, bx * 64 + j] = A[by * 64 + i, bx * 64 + j]


@T.prim_func
def two_launches(A: T.Buffer((96, 160), "float32"), C: T.Buffer((96, 160), "float32")):
    with T.attr(0, "first", 0):
        for bx in T.thread_binding(3, thread="blockIdx.x"):
            A[bx * 32, 0] = T.float32(1)
    with T.attr(0, "second", 0):
        for bx in T.thread_binding(5, thread="blockIdx.x"):
            for by in T.thread_binding(3, thread="blockIdx.y"):
                C[by * 32, bx * 32] = A[by * 32, bx * 32]


def sharded():
    rows = Layout(memory="l1", shard=Shard.height((32, 96), [(0, 0, 1, 1)]))
    return annotate_tt_layout(copy_kernel((100, 96)), "A", rows)


CORNER = Device.from_name("wormhole_n150").with_grid(5, 3)
KERNELS = {
    "gemm": (TIRX["gemm"].build, {}),
    "gemm_strided": (TIRX["gemm"].build, {"schedule_policy": "strided", "device": "blackhole_p150"}),
    "gemm_bias_relu": (TIRX["gemm_bias_relu"].build, {}),  # with warnings
    "batched_gemm": (TIRX["batched_gemm"].build, {"schedule_policy": "rectangular", "device": CORNER}),
    "flash_attention": (TIRX["flash_attention"].build, {"data_format": "Bfp8_b"}),
    "elementwise_ragged": (TIRX["elementwise_ragged"].build, {"tile_height": 16, "cores": [[1, 1, 3, 2]]}),
    "symbolic": (lambda: symbolic, {}),
    "two_launches": (lambda: two_launches, {}),
    "sharded": (sharded, {}),
}


@pytest.mark.parametrize("name", KERNELS)
def test_tirx(tt_plan, name):
    build, inputs = KERNELS[name]
    tt_plan(build(), **inputs).matches()


if host.ON_TILELANG:
    from support import kernels_tilelang

    TILELANG = {case.name: case for case in kernels_tilelang.CASES}

    @pytest.mark.parametrize("name", ["gemm", "flash_attention"])
    def test_tilelang(tt_plan, name):
        tt_plan(TILELANG[name].build()).matches()
