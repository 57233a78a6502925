"""Results of Tenstorrent's own library; data/README.md says how they came about."""

import json
from pathlib import Path

DATA = Path(__file__).parents[1] / "data"
SPLIT_WORK = json.loads((DATA / "split_work.json").read_text())


def split_work_cases():
    """(rectangles, units, core order, what ttnn gave) of all cases of work splits."""
    for case in (*SPLIT_WORK["grid"], *SPLIT_WORK["core_range_set"]):
        cores = case.get("core_ranges") or [[0, 0, case["grid"][0] - 1, case["grid"][1] - 1]]
        yield cores, case["units"], "row_major" if case["row_wise"] else "column_major", case


def sharding_cases():
    """Sharded tensors on an n150, with the core and the address of every page."""
    return json.loads((DATA / "sharding_wh_n150.json").read_text())["cases"]


def sharding_options(case):
    """What was asked for, as the attribute tt_buffer_layouts states it."""
    asked = case["input"]
    orientation = {"ROW_MAJOR": "row_major", "COL_MAJOR": "column_major"}[asked["orientation"]]
    shard = {
        "kind": asked["memory_layout"].removesuffix("_SHARDED").lower(),
        "shape": asked["shard_shape"],
        "cores": asked["core_ranges"],
        "orientation": orientation,
    }
    if "distribution" in asked:
        shard["distribution"] = asked["distribution"].lower()
    return {"memory": asked["buffer"].lower(), "page_layout": case["layout"].lower(), "shard": shard}
