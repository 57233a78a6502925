from tilelang.tt import apply_tt_defaults, buffer_attrs, infer_default_tt_shard
from tvm.script import tirx as T


@T.prim_func
def double(A: T.Buffer((100, 64), "float32"), B: T.Buffer((100, 64), "float32")):
    for bx in T.thread_binding(10, thread="blockIdx.x"):
        for i, j in T.grid(10, 64):
            B[bx * 10 + i, j] = A[bx * 10 + i, j] * T.float32(2)


before = apply_tt_defaults(double)
after = infer_default_tt_shard(before)
print("before:", "tt_buffers" in before.attrs)
print("after:")
tensor = buffer_attrs(after, "A")
for key in ("tt_layout", "tt_tile_shape", "tt_padded_shape", "tt_page_size", "tt_num_pages"):
    print(f"  {key} = {tensor[key]}")

# Prints:
# before: False
# after:
#   tt_layout = dram_interleaved
#   tt_tile_shape = [32, 32]
#   tt_padded_shape = [128, 64]
#   tt_page_size = 4096
#   tt_num_pages = 8
