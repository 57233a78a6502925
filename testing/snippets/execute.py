import numpy as np

from tilelang.tt import execute
from tvm.script import tirx as T


@T.prim_func
def double(A: T.Buffer((100, 64), "float32"), B: T.Buffer((100, 64), "float32")):
    for bx in T.thread_binding(10, thread="blockIdx.x"):
        for i, j in T.grid(10, 64):
            B[bx * 10 + i, j] = A[bx * 10 + i, j] * T.float32(2)


result = execute(double, np.ones((100, 64), np.float32), np.zeros((100, 64), np.float32))
print(result.shape, result.min(), result.max())

# Prints:
# (100, 64) 2.0 2.0
