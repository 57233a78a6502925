from tilelang.tt import apply_tt_defaults, infer_default_tt_schedule, schedule_attrs, specialize
from tvm.script import tirx as T


@T.prim_func
def fill(a: T.handle):
    m = T.int32()
    A = T.match_buffer(a, (m, 64), "float32")
    for bx in T.thread_binding((m + 31) // 32, thread="blockIdx.x"):
        for j in range(64):
            A[bx * 32, j] = T.float32(1)


scheduled = infer_default_tt_schedule(apply_tt_defaults(fill))
print("before:", schedule_attrs(scheduled)["tt_num_tiles"])
print("after: ", schedule_attrs(specialize(scheduled, m=100))["tt_num_tiles"])

# Prints:
# before: (m + 31) // 32
# after:  4
