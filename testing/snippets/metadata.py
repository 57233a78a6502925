from tilelang.tt import apply_tt_defaults, infer_default_tt_schedule, schedule_attrs
from tvm.script import tirx as T


@T.prim_func
def double(A: T.Buffer((100, 64), "float32"), B: T.Buffer((100, 64), "float32")):
    for bx in T.thread_binding(10, thread="blockIdx.x"):
        for i, j in T.grid(10, 64):
            B[bx * 10 + i, j] = A[bx * 10 + i, j] * T.float32(2)


scheduled = infer_default_tt_schedule(apply_tt_defaults(double))
print(type(scheduled.attrs["tt_core_ranges"]).__name__, "of the host's")
attrs = schedule_attrs(scheduled)
print(type(attrs["tt_core_ranges"]).__name__, attrs["tt_core_ranges"])

# Prints:
# Array of the host's
# list [[0, 0, 7, 0], [0, 1, 1, 1]]
