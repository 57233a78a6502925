"""Results of Tenstorrent's own library; data/README.md says how they came about."""

import json
from pathlib import Path

SPLIT_WORK = json.loads((Path(__file__).parents[1] / "data" / "split_work.json").read_text())


def split_work_cases():
    """(rectangles, units, core order, what ttnn gave) of all cases of work splits."""
    for case in (*SPLIT_WORK["grid"], *SPLIT_WORK["core_range_set"]):
        cores = case.get("core_ranges") or [[0, 0, case["grid"][0] - 1, case["grid"][1] - 1]]
        yield cores, case["units"], "row_major" if case["row_wise"] else "column_major", case
