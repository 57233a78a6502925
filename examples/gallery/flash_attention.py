"""Causal attention of 16 heads over 2048 tokens, in one pass over the keys: the softmax is rescaled as they come."""

import tilelang.language as T


def flash_attention(heads=16, tokens=2048, features=128, block_q=64, block_k=64):
    shape = (heads, tokens, features)

    @T.prim_func
    def flash_attention(
        Q: T.Tensor(shape, "bfloat16"),
        K: T.Tensor(shape, "bfloat16"),
        V: T.Tensor(shape, "bfloat16"),
        Out: T.Tensor(shape, "bfloat16"),
    ):
        with T.Kernel(T.ceildiv(tokens, block_q), heads, threads=128) as (bx, head):
            q = T.alloc_shared((block_q, features), "bfloat16")
            k = T.alloc_shared((block_k, features), "bfloat16")
            v = T.alloc_shared((block_k, features), "bfloat16")
            scores = T.alloc_fragment((block_q, block_k), "float32")
            weights = T.alloc_fragment((block_q, block_k), "bfloat16")
            out = T.alloc_fragment((block_q, features), "float32")
            largest = T.alloc_fragment((block_q,), "float32")
            before = T.alloc_fragment((block_q,), "float32")
            added = T.alloc_fragment((block_q,), "float32")
            total = T.alloc_fragment((block_q,), "float32")
            T.copy(Q[head, bx * block_q, 0], q)
            T.clear(out)
            T.clear(total)
            T.fill(largest, -T.infinity("float32"))
            for step in T.Pipelined(T.ceildiv((bx + 1) * block_q, block_k), num_stages=2):
                T.copy(K[head, step * block_k, 0], k)
                T.clear(scores)
                T.gemm(q, k, scores, transpose_B=True)
                for i, j in T.Parallel(block_q, block_k):
                    visible = step * block_k + j <= bx * block_q + i
                    scores[i, j] = T.if_then_else(visible, scores[i, j] * features**-0.5, -T.infinity("float32"))
                T.copy(largest, before)
                T.reduce_max(scores, largest, dim=1, clear=False)
                for i, j in T.Parallel(block_q, block_k):
                    scores[i, j] = T.exp(scores[i, j] - largest[i])
                T.reduce_sum(scores, added, dim=1)
                for i in T.Parallel(block_q):
                    total[i] = total[i] * T.exp(before[i] - largest[i]) + added[i]
                for i, j in T.Parallel(block_q, features):
                    out[i, j] = out[i, j] * T.exp(before[i] - largest[i])
                T.copy(V[head, step * block_k, 0], v)
                T.copy(scores, weights)
                T.gemm(weights, v, out)
            for i, j in T.Parallel(block_q, features):
                out[i, j] = out[i, j] / total[i]
            T.copy(out, Out[head, bx * block_q, 0])

    return flash_attention
