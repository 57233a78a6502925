"""Plan.check on 10^6 work tiles and 10^6 pages, against numpy counting as many numbers once.

Prints ratios of times taken in one run, and how long one check takes.
"""

import numpy as np
from inference import gemm, medians, report

from tilelang.tt import Layout, Shard, annotate_tt_layout
from tilelang.tt.plan import make_plan

POLICIES = {
    "contiguous": {},
    "strided": {"schedule_policy": "strided"},
    "block_cyclic": {"schedule_policy": "block_cyclic", "schedule_block_size": 7},
    "rectangular": {"schedule_policy": "rectangular"},
}


def main() -> None:
    numbers = np.random.default_rng(0).permutation(10**6)
    kernel = gemm(32_000, 32_000, 64)  # 1000 x 1000 work tiles, and as many pages of C
    plans = {name: make_plan(kernel, **inputs) for name, inputs in POLICIES.items()}
    shard = Layout(memory="dram", shard=Shard.nd((32, 64), [(0, 0, 11, 0)]))
    plans["1000000 pages in shards"] = make_plan(annotate_tt_layout(kernel, "C", shard))
    for name, plan in plans.items():
        assert plan.check(), plan.check()
        ours, counting = medians(9, plan.check, lambda: np.bincount(numbers))
        report(f"check, {name} / bincount of 10^6 numbers", ours / counting, "at most 20")
        print(f"{'':8}{ours * 1e3:.1f} ms; expected below 1000")
    few = make_plan(gemm(256, 256, 64), schedule_policy="strided")
    many = make_plan(gemm(256, 256, 64, 32_000, 32_000), schedule_policy="strided")
    slow, fast = medians(15, many.check, few.check)
    report("10^9 work tiles / 64 work tiles", slow / fast, "about 1")


if __name__ == "__main__":
    main()
