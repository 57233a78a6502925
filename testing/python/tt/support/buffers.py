"""Buffers of a plan, laid out one at a time."""

from tilelang.tt import _native
from tilelang.tt.plan.model import Buffer, ShardPlan

from . import oracle


def make_buffer(shape, dtype="bfloat16", device="wormhole_n150", padding="0", **options):
    """A buffer that is laid out so, as a plan has it."""
    layout = _native.lay_out(list(shape), dtype, device, options)
    is_tiled = options.get("page_layout", "tile") == "tile"
    memory = options.get("memory", "dram")
    shard = None
    if "sharding" in layout:
        spec, sharding = options["shard"], layout["sharding"]
        lists = {name: tuple(sharding[name]) for name in ("cores", "tensor_pages", "shard_pages", "shard_grid")}
        counts = {name: sharding[name] for name in ("distribution", "num_shards", "shards_per_core", "pages_per_shard")}
        orientation = spec.get("orientation", "row_major")
        address = layout.get("address_if_alone")
        shard = ShardPlan(
            shape=tuple(spec["shape"]), orientation=orientation, address_if_alone=address, **lists, **counts
        )
    return Buffer(
        name="A",
        param_index=0,
        dtype=dtype,
        shape=tuple(shape),
        access="read",
        memory=memory,
        layout=f"{memory}_interleaved" if shard is None else f"{layout['sharding']['kind']}_sharded",
        page_layout="tile" if is_tiled else "row_major",
        tile_shape=tuple(options.get("tile", (32, 32))) if is_tiled else None,
        num_tiles_height=layout["num_tiles_height"] if is_tiled else None,
        num_tiles_width=layout["num_tiles_width"] if is_tiled else None,
        num_matrices=layout["num_matrices"],
        padded_shape=tuple(layout["padded_shape"]),
        padding_value=padding if layout["needs_padding"] else None,
        padding_bytes=layout["padding_bytes"],
        padding_percent=layout["padding_percent"],
        data_format=options.get("data_format") or oracle.FORMATS[dtype][0],
        page_size_bytes=layout["page_size"],
        aligned_page_size_bytes=layout["aligned_page_size"],
        num_pages=layout["num_pages"],
        num_banks=layout["num_banks"],
        bytes_per_bank=layout["bytes_per_bank"],
        shard=shard,
        accessor_compile_time_args=tuple(layout["accessor_ct_args"]),
    )
