"""What hypothesis draws, beside what users have in `tilelang.tt.testing.strategies`."""

from math import prod

from hypothesis import strategies as st

from tilelang.tt.testing.strategies import ORDERS, grids
from tilelang.tt.testing.strategies import cores as core_sets  # noqa: F401  # where ttnn is installed
from tilelang.tt.testing.strategies import schedules as inputs_of_schedules


@st.composite
def schedules(draw):
    """The arguments of `_native.schedule`, with cores that every device has."""
    inputs = draw(inputs_of_schedules())
    return {
        "grid": draw(grids()),
        "cores": inputs["cores"],
        "core_order": inputs["core_order"],
        "policy": inputs["schedule_policy"],
        "block_size": inputs.get("schedule_block_size"),
        "order": inputs["schedule_order"],
        "panel": inputs.get("swizzle_panel"),
    }


def shard_spec(kind, shape, cores, **options):
    return {"kind": kind, "shape": shape, "cores": cores, **options}


@st.composite
def cut_tensors(draw, kinds=("height", "width", "block", "nd")):
    """(shape, options): a tensor and a way to cut it; there may be more shards than the cores can take."""
    page_layout = draw(st.sampled_from(["tile", "row_major"]))
    step = 32 if page_layout == "tile" else 1
    shape = draw(st.lists(st.integers(1, 3), max_size=2)) + [draw(st.integers(1, 5 * step + 3)) for _ in range(2)]
    rounded = [*shape[:-2], *(-(-extent // step) * step for extent in shape[-2:])]
    height, width = prod(rounded[:-1]), rounded[-1]
    kind = draw(st.sampled_from(kinds))
    pick = lambda extent: step * draw(st.integers(1, -(-extent // step)))  # noqa: E731
    options = {"orientation": draw(st.sampled_from(ORDERS))}
    whole = [[0, 0, 7, 7]]
    if kind == "height":
        shard = [pick(height), width]
    elif kind == "width":
        shard = [height, pick(width)]
    elif kind == "block":
        shard = [pick(height), pick(width)]
    else:
        rank = draw(st.integers(2, len(shape)))
        shard = [draw(st.integers(1, 3)) for _ in range(rank - 2)] + [pick(rounded[-2]), pick(width)]
        options["distribution"] = draw(st.sampled_from(["round_robin_1d", "contiguous_1d"]))
        whole = [[0, 0, draw(st.integers(0, 7)), draw(st.integers(0, 3))]]
        if draw(st.booleans()):
            whole.append([0, 5, draw(st.integers(0, 7)), 6])
    return shape, {"page_layout": page_layout, "shard": shard_spec(kind, shard, whole, **options)}
