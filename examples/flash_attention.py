"""Causal attention in one pass over the keys, as TileLang's users write it, on two modelled chips."""

import tilelang.language as T
import torch

import tilelang
import tilelang.tt  # brings the target "tenstorrent"


def flash_attention(heads, tokens, features, block):
    shape = (heads, tokens, features)

    @T.prim_func
    def flash_attention(Q: T.Tensor(shape), K: T.Tensor(shape), V: T.Tensor(shape), Out: T.Tensor(shape)):
        with T.Kernel(T.ceildiv(tokens, block), heads, threads=128) as (bx, head):
            q, k, v = (T.alloc_shared((block, features), "float32") for _ in range(3))
            scores = T.alloc_fragment((block, block), "float32")
            out = T.alloc_fragment((block, features), "float32")
            largest, before, added, total = (T.alloc_fragment((block,), "float32") for _ in range(4))
            T.copy(Q[head, bx * block, 0], q)
            T.clear(out)
            T.clear(total)
            T.fill(largest, -T.infinity("float32"))
            for step in T.Pipelined(bx + 1, num_stages=2):
                T.copy(K[head, step * block, 0], k)
                T.gemm(q, k, scores, transpose_B=True, clear_accum=True)
                for i, j in T.Parallel(block, block):
                    visible = step * block + j <= bx * block + i
                    scores[i, j] = T.if_then_else(visible, scores[i, j] * features**-0.5, -T.infinity("float32"))
                T.copy(largest, before)
                T.reduce_max(scores, largest, dim=1, clear=False)
                for i, j in T.Parallel(block, block):
                    scores[i, j] = T.exp(scores[i, j] - largest[i])
                T.reduce_sum(scores, added, dim=1)
                for i in T.Parallel(block):
                    total[i] = total[i] * T.exp(before[i] - largest[i]) + added[i]
                for i, j in T.Parallel(block, features):
                    out[i, j] = out[i, j] * T.exp(before[i] - largest[i])
                T.copy(V[head, step * block, 0], v)
                T.gemm(scores, v, out)
            for i, j in T.Parallel(block, features):
                out[i, j] = out[i, j] / total[i]
            T.copy(out, Out[head, bx * block, 0])

    return flash_attention


def main():
    q, k, v = (torch.randn(8, 500, 64) for _ in range(3))
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    for device in ("wormhole_n150", "blackhole_p100"):
        kernel = tilelang.compile(flash_attention(8, 500, 64, 64), target=f"tenstorrent/{device}", out_idx=[3])
        torch.testing.assert_close(kernel(q, k, v), expected, rtol=1e-4, atol=1e-4)
        launch = kernel.plan.kernel().launches[0]
        print(f"{device}: torch's result, from {launch.num_active_cores} cores with {launch.num_tiles} work tiles")


if __name__ == "__main__":
    main()
