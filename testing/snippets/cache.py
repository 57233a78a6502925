from tilelang.tt import compile as compile_kernel
from tilelang.tt import counters
from tvm.script import tirx as T


@T.prim_func
def double(A: T.Buffer((100, 64), "float32"), B: T.Buffer((100, 64), "float32")):
    for bx in T.thread_binding(10, thread="blockIdx.x"):
        for i, j in T.grid(10, 64):
            B[bx * 10 + i, j] = A[bx * 10 + i, j] * T.float32(2)


first = compile_kernel(double)
before = counters["compile"]["in_process"]
second = compile_kernel(double)
print(counters["compile"]["in_process"] - before, "compiled again,", second.key == first.key)

# Prints:
# 0 compiled again, True
