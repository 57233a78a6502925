"""Whether a kernel accumulates: by the flow of values between memories, whatever names they go by."""

import pytest
from support.host import T

from tilelang.tt import apply_tt_defaults, infer_default_tt_schedule, schedule_attrs

pytestmark = pytest.mark.stage("reading")

# Each kernel works on the 64 elements that A has for its grid cell.


def through_a_second_buffer():
    @T.prim_func
    def main(A: T.Buffer((8, 64), "float32"), C: T.Buffer((8, 64), "float32")):
        bx = T.launch_thread("blockIdx.x", 8)
        total = T.alloc_buffer((1,), "float32", scope="local")
        step = T.alloc_buffer((1,), "float32", scope="local")
        for k in range(64):
            step[0] = total[0] + A[bx, k]
            total[0] = step[0]
        C[bx, 0] = total[0]

    return main


def through_a_name():
    @T.prim_func
    def main(A: T.Buffer((8, 64), "float32"), C: T.Buffer((8, 64), "float32")):
        bx = T.launch_thread("blockIdx.x", 8)
        total = T.alloc_buffer((1,), "float32", scope="local")
        for k in range(64):
            before = total[0]
            total[0] = before + A[bx, k]
        C[bx, 0] = total[0]

    return main


def through_an_alias():
    @T.prim_func
    def main(A: T.Buffer((8, 64), "float32"), C: T.Buffer((8, 64), "float32")):
        bx = T.launch_thread("blockIdx.x", 8)
        flat = T.decl_buffer((512,), "float32", data=C.data)
        for k in range(64):
            flat[bx] = C[0, bx] + A[bx, k]

    return main


def through_a_condition():
    @T.prim_func
    def main(A: T.Buffer((8, 64), "float32"), C: T.Buffer((8, 64), "float32")):
        bx = T.launch_thread("blockIdx.x", 8)
        largest = T.alloc_buffer((1,), "float32", scope="local")
        for k in range(64):
            if largest[0] < A[bx, k]:
                largest[0] = A[bx, k]
        C[bx, 0] = largest[0]

    return main


def staged():
    @T.prim_func
    def main(A: T.Buffer((8, 64), "float32"), C: T.Buffer((8, 64), "float32")):
        bx = T.launch_thread("blockIdx.x", 8)
        tile = T.alloc_buffer((64,), "float32", scope="local")
        for k in range(64):
            tile[k] = A[bx, k]
        for k in range(64):
            C[bx, k] = tile[k] * T.float32(2)

    return main


def guarded_by_a_local():
    @T.prim_func
    def main(A: T.Buffer((8, 64), "float32"), C: T.Buffer((8, 64), "float32")):
        bx = T.launch_thread("blockIdx.x", 8)
        for k in range(80):
            column = k + bx
            if column < 64:
                C[bx, column] = A[bx, column]

    return main


def gathered():
    @T.prim_func
    def main(A: T.Buffer((8, 64), "float32"), order: T.Buffer((64,), "int32"), C: T.Buffer((8, 64), "float32")):
        bx = T.launch_thread("blockIdx.x", 8)
        for k in range(64):
            C[bx, order[k]] = A[bx, order[k]]

    return main


@pytest.mark.parametrize(
    ("build", "source"),
    [
        (through_a_second_buffer, "unresolved"),
        (through_a_name, "unresolved"),
        (through_an_alias, "unresolved"),
        (through_a_condition, "unresolved"),
        (staged, "none"),
        (guarded_by_a_local, "none"),
        (gathered, "none"),
    ],
)
def test_source_of_kt_tiles(build, source):
    func = infer_default_tt_schedule(apply_tt_defaults(build()))
    assert schedule_attrs(func)["tt_runtime_args_schema"][4]["source"] == source
