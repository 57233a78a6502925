"""A plan written by hand, and a strategy that draws any that a file may hold, by the type hints of its records."""

from dataclasses import fields, is_dataclass, replace
from types import NoneType, UnionType
from typing import Annotated, Literal, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from tilelang.tt import Device, devices
from tilelang.tt.plan import Plan, model

LARGEST = 2**63 - 1

_ON_CHIP = model.OnChip(
    circular_buffers=(
        model.CircularBuffer("stage", "shared.dyn", "bfloat16", "Float16_b", (64, 96), 6, 2048, 2, 24576),
        model.CircularBuffer("sum", "local.fragment", "float32", "Float32", (64, 64), 4, 4096, 1, 16384),
    ),
    max_circular_buffers=32,
    l1_bytes=40960,
    l1_available_bytes=None,
    accumulators=(
        model.Accumulator(
            "sum", 1, 2, 2, (model.SubBlock(False, False, 8, (2, 2)), model.SubBlock(True, False, 4, (2, 2)))
        ),
    ),
)
_TRAFFIC = model.Traffic(
    transfers=(
        model.Transfer(0, "read", ("bx * 32", -1), (32, "k + 1"), (model.TrafficLoop("k", "bx + m"),), None),
        model.Transfer(0, "read_write", (), (), (), "a while loop"),
    ),
    products=(
        model.Product(
            64, 32, 16, ("bfloat16", "bfloat16", "float32"), (model.TrafficLoop("when", "min(1, bz)"),), None
        ),
        model.Product(None, None, None, (), (), "the operation f"),
    ),
)
_START_ID = model.RuntimeArgument("start_id", "uint32", "per_core", "schedule", "launch", None, None, None)
_ROWS = model.RuntimeArgument("m", "int32", "common", "parameter", "launch", "m", None, 2)

SAMPLE = Plan(
    kernels=(
        model.Kernel(
            name="matmul",
            device=Device.from_name("wormhole_n150").replace(name="mine", noc_width=None),
            inputs=model.Inputs(
                ((0, 0, 1, 0), (0, 1, 0, 1)),
                "row_major",
                "contiguous",
                None,
                "swizzled_row",
                4,
                "dram_interleaved",
                32,
                32,
                None,
            ),
            shape_variables=("m",),
            launches=(
                model.Launch(
                    grid=(5, 1, 1),
                    num_tiles=5,
                    num_active_cores=3,
                    core_ranges=((0, 0, 1, 0), (0, 1, 0, 1)),
                    tile_runs=tuple(
                        model.TileRun(core, start, 2 - core // 2, 0, 1) for core, start in enumerate((0, 2, 4))
                    ),
                    tile_range=None,
                    persistent=None,
                    runtime_arguments=(_START_ID, _ROWS),
                    on_chip=_ON_CHIP,
                    traffic=_TRAFFIC,
                ),
                model.Launch(
                    grid=("(m + 31) // 32", 1, 1),
                    num_tiles="(m + 31) // 32",
                    num_active_cores="min(3, (m + 31) // 32)",
                    core_ranges=((0, 0, 1, 0), (0, 1, 0, 1)),
                    tile_runs=(),
                    tile_range=model.TileRange(
                        "core_id", "m // 32 - core_id", (("core_id", "m // 32 - core_id", 0, 1),)
                    ),
                    persistent=model.Persistent("w", 3, 8),
                    runtime_arguments=(_START_ID,),
                    on_chip=replace(_ON_CHIP, l1_bytes="m * 4", accumulators=()),
                    traffic=model.Traffic((), ()),
                ),
            ),
            buffers=(
                model.Buffer(
                    name="größe/~A",
                    param_index=0,
                    dtype="bfloat16",
                    shape=("m", 96),
                    access="read",
                    memory="l1",
                    layout="height_sharded",
                    page_layout="tile",
                    tile_shape=(32, 32),
                    num_tiles_height="(m + 31) // 32",
                    num_tiles_width=3,
                    num_matrices=1,
                    padded_shape=("(m + 31) // 32 * 32", 96),
                    padding_value="unknown",
                    padding_bytes="(m + 31) // 32 * 6144 - m * 192",
                    padding_percent=0,
                    data_format="Float16_b",
                    page_size_bytes=2048,
                    aligned_page_size_bytes=2048,
                    num_pages="(m + 31) // 32 * 3",
                    num_banks=2,
                    bytes_per_bank=LARGEST,
                    shard=model.ShardPlan(
                        (32, 96), ((0, 0), (1, 0)), "row_major", "round_robin_1d", (1, 3), (1, 3), (1, 1), 1, 1, 3, 1024
                    ),
                    accessor_compile_time_args=(1, 2, 3),
                ),
            ),
            warnings=(model.PlanWarning("TT610", "two\nlines"),),
        ),
    ),
    provenance=model.Provenance(
        "0.1.0", "apache-tvm 0.27.0", (model.KernelProvenance("matmul", "5e884898", model.Source("a.py", 3), (None,)),)
    ),
)


def _values(hint):
    """Any value of a type hint."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Device:
        return st.sampled_from(devices()) | st.sampled_from(devices()).map(lambda chip: chip.replace(clock_mhz=None))
    if is_dataclass(hint):
        hints = get_type_hints(hint, include_extras=True)
        return st.builds(hint, *(_values(hints[field.name]) for field in fields(hint)))
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is Annotated and arguments[0] is int:
        least = arguments[1].minimum
        return st.integers(least, least + 3) | st.integers(least, LARGEST)
    if origin is Annotated:
        return _values(arguments[0]).filter(lambda value: len(value) >= arguments[1].minimum)
    if origin in (Union, UnionType):
        sized = {int, str} <= {get_args(argument)[0] if get_args(argument) else argument for argument in arguments}
        return st.one_of(*(_SIZES if sized and argument is str else _values(argument) for argument in arguments))
    if origin is tuple and arguments[1:] == (...,):
        return st.lists(_values(arguments[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*map(_values, arguments))
    return {str: _TEXTS, bool: st.booleans(), NoneType: st.none()}[hint]


_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
_SIZES = st.sampled_from(["m", "(m + 31) // 32", "-min(m, n) * 2 % 3", "max(7-m,n)"])


def _consistent(launch, ranks):
    """The launch with what does not go together taken out; tensors have so many dimensions."""
    symbolic = launch.tile_range is not None
    runs = () if symbolic else (*(replace(run, core=0) for run in launch.tile_runs), model.TileRun(0, 0, 1, 0, 1))
    buffers = launch.on_chip.circular_buffers
    accumulators = tuple(replace(one, circular_buffer=0) for one in launch.on_chip.accumulators) if buffers else ()
    transfers = [
        replace(one, param_index=index, start=("bx",) * rank, extent=("m",) * rank, reason=None)
        for one, (index, rank) in zip(launch.traffic.transfers, ranks.items(), strict=False)
    ]
    return replace(
        launch,
        tile_runs=runs,
        on_chip=replace(launch.on_chip, accumulators=accumulators),
        traffic=replace(launch.traffic, transfers=tuple(transfers)),
    )


@st.composite
def plans(draw):
    """Any plan that loads."""
    drawn = draw(st.lists(_values(model.Kernel), min_size=1, max_size=2, unique_by=lambda kernel: kernel.name))
    kernels = tuple(
        replace(
            kernel,
            shape_variables=("m", "n"),
            inputs=replace(kernel.inputs, cores=((0, 0, 3, 3),)),
            launches=tuple(
                _consistent(launch, {buffer.param_index: len(buffer.shape) for buffer in kernel.buffers})
                for launch in kernel.launches
            ),
        )
        for kernel in drawn
    )
    origins = tuple(
        replace(
            draw(_values(model.KernelProvenance)), kernel=kernel.name, warning_sources=(None,) * len(kernel.warnings)
        )
        for kernel in kernels
    )
    return Plan(kernels, replace(draw(_values(model.Provenance)), kernels=origins))
