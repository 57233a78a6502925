"""What hypothesis draws."""

from math import prod

from hypothesis import strategies as st

ORDERS = ("row_major", "column_major")
SWIZZLED = ("swizzled_row", "swizzled_column")
POLICIES = ("contiguous", "strided", "block_cyclic", "rectangular")


@st.composite
def core_sets(draw, columns=21):
    """Up to three disjoint rectangles: pieces of a strip, one beside the other, in any order."""
    rectangles, x = [], 0
    for _ in range(draw(st.integers(1, 3))):
        x += draw(st.integers(0, 2))
        width, height, y = draw(st.integers(1, 5)), draw(st.integers(1, 5)), draw(st.integers(0, 3))
        if x + width > columns:
            break
        rectangles.append([x, y, x + width - 1, y + height - 1])
        x += width
    return draw(st.permutations(rectangles))


@st.composite
def split_rectangles(draw):
    """A rectangle of cores, cut into up to three strips, in any order."""
    x, y, height = draw(st.integers(0, 2)), draw(st.integers(0, 2)), draw(st.integers(1, 4))
    strips = []
    for width in draw(st.lists(st.integers(1, 2), min_size=1, max_size=3)):
        strips.append([x, y, x + width - 1, y + height - 1])
        x += width
    return draw(st.permutations(strips))


def grids(largest=7):
    """Launch grids of one to three axes."""
    return st.tuples(*[st.one_of(st.just(1), st.integers(1, largest))] * 3)


@st.composite
def tile_orders(draw, swizzled=True):
    """A name and a panel, which only the swizzled ones have."""
    order = draw(st.sampled_from([*ORDERS, *(SWIZZLED if swizzled else ())]))
    return order, draw(st.integers(1, 9)) if order in SWIZZLED else None


@st.composite
def schedules(draw):
    """The arguments of `_native.schedule`, with cores that every device has."""
    policy = draw(st.sampled_from(POLICIES))
    rectangular = policy == "rectangular"
    order, panel = draw(tile_orders(swizzled=not rectangular))
    return {
        "grid": draw(grids()),
        "cores": draw(split_rectangles() if rectangular else core_sets(columns=8)),
        "core_order": draw(st.sampled_from(ORDERS)),
        "policy": policy,
        "block_size": draw(st.integers(1, 12)) if policy == "block_cyclic" else None,
        "order": order,
        "panel": panel,
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
