"""Every kernel of the suite, in every language that the installed host has."""

import pytest

from . import host, kernels_tirx

KERNELS = {"tirx": kernels_tirx.CASES}
if host.ON_TILELANG:
    from . import kernels_tilelang

    KERNELS["tilelang"] = kernels_tilelang.CASES

CASES = [pytest.param(case, id=f"{language}-{case.name}") for language, cases in KERNELS.items() for case in cases]

# Inputs that differ in policy, order, cores, device, tile and layout.
POLICIES = [
    {},
    {"schedule_policy": "strided", "core_order": "column_major"},
    {"schedule_policy": "block_cyclic", "schedule_block_size": 3, "device": "blackhole_p150"},
    {"schedule_policy": "rectangular", "cores": [[1, 1, 3, 2]], "tile_height": 16},
    {"schedule_order": "swizzled_row", "swizzle_panel": 2, "layout_type": "l1_interleaved"},
]
