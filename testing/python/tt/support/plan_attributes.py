"""The way back: the attributes that a kernel of a plan was made of. What a plan loses shows in them."""

from dataclasses import asdict

from tilelang.tt.device import as_attribute

BUFFER_NAMES = {
    "page_size_bytes": "tt_page_size",
    "aligned_page_size_bytes": "tt_aligned_page_size",
    "accessor_compile_time_args": "tt_accessor_ct_args",
}


def attributes(kernel) -> dict:
    inputs = {f"tt_{name}": value for name, value in present(asdict(kernel.inputs)).items()}
    launches = [schedule_attributes(kernel, launch) for launch in kernel.launches]
    return plain(
        {
            "tt_device": as_attribute(kernel.device),
            **inputs,
            **(launches[0] if len(launches) == 1 else {"tt_launches": launches}),
            "tt_buffers": [buffer_attributes(buffer) for buffer in kernel.buffers],
            "tt_on_chip": [on_chip_attributes(launch.on_chip) for launch in kernel.launches],
            "tt_traffic": [traffic_attributes(launch.traffic) for launch in kernel.launches],
        }
    )


def schedule_attributes(kernel, launch):
    cores = sum((x1 - x0 + 1) * (y1 - y0 + 1) for x0, y0, x1, y1 in kernel.inputs.cores)
    grid = {f"tt_grid_{axis}": extent for axis, extent in zip("xyz", launch.grid, strict=True)}
    return present(
        {
            **grid,
            "tt_num_tiles": launch.num_tiles,
            "tt_core_grid": kernel.device.worker_grid,
            "tt_num_cores": cores,
            "tt_num_active_cores": launch.num_active_cores,
            "tt_core_ranges": launch.core_ranges,
            **share_attributes(launch, cores),
            "tt_runtime_args_schema": [present(asdict(argument)) for argument in launch.runtime_arguments],
            "tt_persistent": launch.persistent and asdict(launch.persistent),
        }
    )


def share_attributes(launch, cores):
    if launch.tile_range is not None:
        return {"tt_tile_range": asdict(launch.tile_range)}
    runs = [
        [[run.start, run.length, run.stride, run.repeat] for run in launch.tile_runs if run.core == core]
        for core in range(cores)
    ]
    counts = [sum(length * repeat for _, length, _, repeat in own) for own in runs]
    table = [[own[0][0], count] if own else [0, 0] for own, count in zip(runs, counts, strict=True)]
    if all(len(own) < 2 and all(run[2:] == [0, 1] for run in own) for own in runs):
        return {"tt_tiles_per_core": table}
    return {"tt_tiles_per_core": table, "tt_tile_runs": runs}


def on_chip_attributes(on_chip):
    return present(
        {
            "circular_buffers": [
                {
                    **{key: value for key, value in asdict(buffer).items() if not key.endswith("_bytes")},
                    "page_size": buffer.page_size_bytes,
                    "bytes": buffer.size_bytes,
                }
                for buffer in on_chip.circular_buffers
            ],
            "num_circular_buffers": len(on_chip.circular_buffers),
            "max_circular_buffers": on_chip.max_circular_buffers,
            "l1_bytes": on_chip.l1_bytes,
            "l1_available": on_chip.l1_available_bytes,
            "accumulators": [asdict(buffer) for buffer in on_chip.accumulators],
        }
    )


def traffic_attributes(traffic):
    return {
        "transfers": [traffic_entry(transfer, "extent", "start", "loops") for transfer in traffic.transfers],
        "products": [traffic_entry(product, "m", "n", "k", "dtypes", "loops") for product in traffic.products],
    }


def traffic_entry(record, *known):
    """Of what is not understood nothing is known."""
    values = asdict(record)
    values["loops"] = [[loop["name"], loop["trips"]] for loop in values["loops"]]
    if "param_index" in values:
        values["buffer"] = values.pop("param_index")
    return present({key: value for key, value in values.items() if values["reason"] is None or key not in known})


def buffer_attributes(buffer):
    bare = {"name", "param_index", "dtype", "shape"}
    values = present({**asdict(buffer), "shard": buffer.shard and present(asdict(buffer.shard))})
    needs_padding = values["padded_shape"] != values["shape"]
    if not needs_padding:
        del values["padded_shape"]
    named = {name if name in bare else BUFFER_NAMES.get(name, f"tt_{name}"): value for name, value in values.items()}
    return {**named, "tt_needs_padding": needs_padding}


def present(values):
    return {key: value for key, value in values.items() if value is not None}


def plain(value):
    """Lists for tuples, as attributes have them."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value
