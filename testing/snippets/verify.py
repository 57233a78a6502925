from tilelang.tt import apply_tt_defaults, infer_default_tt_schedule, infer_default_tt_shard, verify_tt_metadata
from tilelang.tt.errors import TTError
from tvm.script import tirx as T


@T.prim_func
def double(A: T.Buffer((100, 64), "float32"), B: T.Buffer((100, 64), "float32")):
    for bx in T.thread_binding(10, thread="blockIdx.x"):
        for i, j in T.grid(10, 64):
            B[bx * 10 + i, j] = A[bx * 10 + i, j] * T.float32(2)


inferred = infer_default_tt_shard(infer_default_tt_schedule(apply_tt_defaults(double)))
verify_tt_metadata(inferred)
try:
    verify_tt_metadata(inferred.with_attr("tt_num_tiles", 11))
except TTError as error:
    print(str(error).splitlines()[0])

# Prints:
# TT705: kernel `double`: attribute tt_tiles_per_core gives work tiles 10 to 10 to no core
