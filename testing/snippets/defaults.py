from tilelang.tt import apply_tt_defaults
from tvm.script import tirx as T


@T.prim_func
def double(A: T.Buffer((100, 64), "float32"), B: T.Buffer((100, 64), "float32")):
    for bx in T.thread_binding(10, thread="blockIdx.x"):
        for i, j in T.grid(10, 64):
            B[bx * 10 + i, j] = A[bx * 10 + i, j] * T.float32(2)


after = apply_tt_defaults(double, device="blackhole_p150")
print("before:", [key for key in sorted(double.attrs.keys()) if key.startswith("tt_")])
print("after:")
for key in sorted(after.attrs.keys()):
    if key.startswith("tt_"):
        print(f"  {key} = {after.attrs[key]}")

# Prints:
# before: []
# after:
#   tt_core_order = row_major
#   tt_cores = ((0, 0, 12, 9),)
#   tt_device = blackhole_p150
#   tt_layout_type = dram_interleaved
#   tt_schedule_order = row_major
#   tt_schedule_policy = contiguous
#   tt_tile_height = 32
#   tt_tile_width = 32
