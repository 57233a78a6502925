from tilelang.tt import apply_tt_defaults, infer_default_tt_shard, list_buffer_attrs
from tvm.script import tirx as T


@T.prim_func
def double(A: T.Buffer((100, 64), "float32"), B: T.Buffer((100, 64), "float32")):
    for bx in T.thread_binding(10, thread="blockIdx.x"):
        for i, j in T.grid(10, 64):
            B[bx * 10 + i, j] = A[bx * 10 + i, j] * T.float32(2)


# What a kernel reads and writes is found in its body, never in names.
for tensor in list_buffer_attrs(infer_default_tt_shard(apply_tt_defaults(double))):
    print(tensor["name"], tensor["tt_access"])

# Prints:
# A read
# B write
