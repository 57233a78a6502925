import logging
import sys

from tilelang.tt import apply_tt_defaults, infer_default_tt_schedule, schedule_attrs
from tvm.script import tirx as T


@T.prim_func
def double(A: T.Buffer((100, 64), "float32"), B: T.Buffer((100, 64), "float32")):
    for bx in T.thread_binding(10, thread="blockIdx.x"):
        for i, j in T.grid(10, 64):
            B[bx * 10 + i, j] = A[bx * 10 + i, j] * T.float32(2)


log = logging.getLogger("tilelang.tt.schedule")
log.setLevel(logging.INFO)
log.addHandler(logging.StreamHandler(sys.stdout))
log.propagate = False  # TileLang would write it once more

before = apply_tt_defaults(double, cores=[[0, 0, 3, 0]])
print("before:", "tt_tiles_per_core" in before.attrs)
after = infer_default_tt_schedule(before)
print("after: ", schedule_attrs(after)["tt_tiles_per_core"])

# Prints:
# before: False
# double: grid 10 x 1 x 1 = 10 work tiles on 4 of 4 cores, contiguous, 2 to 3 each
# after:  [[0, 3], [3, 3], [6, 2], [8, 2]]
