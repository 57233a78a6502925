"""The same inference with visitors in Python, as one would write it without a C++ core.

It walks the IR by the fields that every node reports, as the wheels of apache-tvm 0.27 ship no visitors. It
serves as the benchmark's other side; the tests have an oracle of their own.
"""

import math

import tvm

_NOT_EXECUTED = {"span", "ty", "buffer", "source", "loop_var", "thread_binding", "node", "annotations", "attrs", "op"}


def infer_in_python(mod: tvm.IRModule) -> tvm.IRModule:
    """Schedule and shard every kernel of a module whose inputs are complete."""
    return tvm.IRModule({var: _infer(func) for var, func in mod.functions.items()})


def _infer(func):
    grid, access = {"x": 1, "y": 1, "z": 1}, {}
    _visit(func.body, grid, access)
    return func.with_attrs({**_schedule(grid, func.attrs), "tt_buffers": _buffers(func, access)})


def _visit(node, grid, access):
    if isinstance(node, (list, tuple, tvm.ir.Array)):
        for element in node:
            _visit(element, grid, access)
        return
    info = getattr(type(node), "__tvm_ffi_type_info__", None)
    if info is None:
        return
    key = info.type_key
    if key == "tirx.AttrStmt" and node.attr_key == "thread_extent":
        tag = str(node.node.thread_tag)
        if tag.startswith("blockIdx."):
            grid[tag[-1]] = int(node.value)
    elif key in ("tirx.BufferLoad", "ir.TensorLoad"):
        buffer = node.source if key == "ir.TensorLoad" else node.buffer
        access[buffer.name] = access.get(buffer.name, 0) | 1
    elif key == "tirx.BufferStore":
        access[node.buffer.name] = access.get(node.buffer.name, 0) | 2
    elif key.endswith((".Var", ".IntImm", ".FloatImm")):
        return
    while info is not None:
        for field in info.fields:
            if field.name not in _NOT_EXECUTED:
                _visit(getattr(node, field.name), grid, access)
        info = info.parent_type_info


def _schedule(grid, attrs):
    tiles = grid["x"] * grid["y"] * grid["z"]
    cores = sum((x1 - x0 + 1) * (y1 - y0 + 1) for x0, y0, x1, y1 in attrs["tt_cores"])
    base, remainder = divmod(tiles, cores)
    ranges, start = [], 0
    for core in range(cores):
        count = base + (core < remainder)
        ranges.append([start, count] if count else [0, 0])
        start += count
    per_core = {"dtype": "uint32", "scope": "per_core", "source": "schedule", "bound": "launch"}
    known = {"dtype": "uint32", "scope": "common", "source": "schedule", "bound": "compile_time"}
    schema = [
        {"name": "start_id", **per_core},
        {"name": "count", **per_core},
        {"name": "grid_x", **known, "value": grid["x"]},
        {"name": "grid_y", **known, "value": grid["y"]},
        {"name": "kt_tiles", "dtype": "uint32", "scope": "common", "source": "unresolved", "bound": "launch"},
    ]
    return {
        "tt_grid_x": grid["x"],
        "tt_grid_y": grid["y"],
        "tt_grid_z": grid["z"],
        "tt_num_tiles": tiles,
        "tt_num_cores": cores,
        "tt_num_active_cores": min(tiles, cores),
        "tt_tiles_per_core": ranges,
        "tt_core_ranges": _cover(min(tiles, cores), 8),
        "tt_core_grid": [8, 8],
        "tt_runtime_args_schema": schema,
    }


def _cover(count, width):
    rows, rest = divmod(count, width) if count > width else (0, count)
    full = [[0, 0, width - 1, rows - 1]] if rows else []
    return full + ([[0, rows, rest - 1, rows]] if rest else [])


def _buffers(func, access):
    entries = []
    for index, param in enumerate(func.params):
        shape = [int(extent) for extent in param.ty.shape] if hasattr(param, "ty") else None
        if shape is None:
            buffer = func.buffer_map[param]
            name, dtype, shape = buffer.name, buffer.dtype, [int(extent) for extent in buffer.shape]
        else:
            name, dtype = param.name, str(param.ty.dtype)
        entries.append(_buffer(name, index, dtype, shape, access.get(name, 0)))
    return entries


def _buffer(name, index, dtype, shape, mask):
    height, width = math.ceil(shape[-2] / 32), math.ceil(shape[-1] / 32)
    matrices = math.prod(shape[:-2])
    padded = [*shape[:-2], height * 32, width * 32]
    entry = {
        "name": name,
        "param_index": index,
        "dtype": str(dtype),
        "shape": shape,
        "tt_access": ["none", "read", "write", "read_write"][mask],
        "tt_layout": "dram_interleaved",
        "tt_page_layout": "tile",
        "tt_tile_shape": [32, 32],
        "tt_num_tiles_height": height,
        "tt_num_tiles_width": width,
        "tt_num_matrices": matrices,
        "tt_needs_padding": padded != shape,
        "tt_data_format": "Float16_b",
        "tt_page_size": 2048,
        "tt_aligned_page_size": 2048,
        "tt_num_pages": matrices * height * width,
        "tt_accessor_ct_args": [2, 2048],
    }
    return entry if padded == shape else {**entry, "tt_padded_shape": padded}
