from tilelang.tt import compile_many
from tvm.script import tirx as T


@T.prim_func
def double(A: T.Buffer((100, 64), "float32"), B: T.Buffer((100, 64), "float32")):
    for bx in T.thread_binding(10, thread="blockIdx.x"):
        for i, j in T.grid(10, 64):
            B[bx * 10 + i, j] = A[bx * 10 + i, j] * T.float32(2)


for compiled in compile_many([double, double]):
    print(compiled)

# Prints:
# <CompiledKernel double, many, ready>
# <CompiledKernel double, many, ready>
