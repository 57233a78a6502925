from tilelang.tt.plan import make_plan
from tvm.script import tirx as T


@T.prim_func
def double(A: T.Buffer((100, 64), "float32"), B: T.Buffer((100, 64), "float32")):
    for bx in T.thread_binding(10, thread="blockIdx.x"):
        for i, j in T.grid(10, 64):
            B[bx * 10 + i, j] = A[bx * 10 + i, j] * T.float32(2)


print("\n".join(str(make_plan(double)).splitlines()[:5]))

# Prints:
# double on wormhole_n150
#
# grid        10 x 1 x 1 = 10 work tiles, row_major
# schedule    contiguous, 10 of 64 cores run 1 each
# imbalance   1 on the busiest core, 0.16 on average: 84.4% of core time is idle
