from tilelang.tt import grid_to_persistent, pipeline, threads_to_loops
import tvm
from tvm.script import tirx as T


@T.prim_func
def double(A: T.Buffer((100, 64), "float32"), B: T.Buffer((100, 64), "float32")):
    for bx in T.thread_binding(10, thread="blockIdx.x"):
        for i, j in T.grid(10, 64):
            B[bx * 10 + i, j] = A[bx * 10 + i, j] * T.float32(2)


planned = pipeline()(tvm.IRModule({"double": double}))
program = threads_to_loops(grid_to_persistent(planned))
for when, module in (("before:", planned), ("after: ", program)):
    print(when, len(module["double"].params), "parameters,", "a" if "blockIdx.x" in module.script() else "no", "grid")

# Prints:
# before: 2 parameters, a grid
# after:  6 parameters, no grid
