from tilelang.tt.plan import Plan, make_plan
from tvm.script import tirx as T


@T.prim_func
def double(A: T.Buffer((100, 64), "float32"), B: T.Buffer((100, 64), "float32")):
    for bx in T.thread_binding(10, thread="blockIdx.x"):
        for i, j in T.grid(10, 64):
            B[bx * 10 + i, j] = A[bx * 10 + i, j] * T.float32(2)


plan = make_plan(double)
print(Plan.from_json(plan.to_json()) == plan)
print(plan.check())

# Prints:
# True
# no findings; proven: 10 work tiles, 16 pages and 12,800 elements
