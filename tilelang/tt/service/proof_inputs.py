"""What a proof executes kernels on: sizes at which cores and blocks end in every way, and arrays that show mistakes."""

import ast
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from .. import _native
from ..executor import Executable
from ..executor.arrays import Parameter, dtype_of, known_shape
from ..executor.sized import Sized
from ..plan import Kernel, TrafficLoop
from ..plan.traffic import Cores, Space, Unknown

# What a size is taken to be cut into where no formula says it.
_USUAL_STEP = 32
_LARGEST_STEP = 512
# Of the variables that a formula depends on beside the one that is looked at.
_ELSEWHERE = 64
_MOST_STEPS = 4096
# How far from half a block sizes are looked for.
_NEAR = 4

# Seconds of the interpreter, roughly: for each element moved, each product of two numbers, and each work tile.
_PER_ELEMENT, _PER_PRODUCT, _PER_TILE = 2e-8, 3e-10, 1e-3
# Elements of all tensors: an execution needs some 40 bytes for each.
_MOST_ELEMENTS = 1 << 26


def choose_sizes(kernels: Sequence[Kernel]) -> list[dict[str, int]]:
    """Small sizes for kernels of the same shape variables; a set without any for kernels without.

    There is less than one block, some blocks of which the last ones are ragged, and along each dimension of a grid, and
    along all of them, more work tiles than cores, of which some get one more than others.
    """
    names = sorted({name for kernel in kernels for name in kernel.shape_variables})
    if not names:
        return [{}]
    formulas = [formula for kernel in kernels for formula in _formulas(kernel)]
    steps = {name: _steps(name, formulas) for name in names}
    blocks = {name: _ragged(2, each)[0] for name, each in steps.items()}
    sets = [{name: max(max(each) - 1, 1) for name, each in steps.items()}, blocks]
    grids = [text for kernel in kernels for launch in kernel.launches for text in map(str, launch.grid)]
    on_grid = [name for name in names if any(name in _names(text) for text in grids)]
    for scaled in [[name] for name in on_grid] + [on_grid] * (len(on_grid) > 1):
        others = {name: max(steps[name]) if name in on_grid else blocks[name] for name in names}
        sets += _more_tiles_than_cores(kernels, others, {name: steps[name] for name in scaled})
    return [sizes for place, sizes in enumerate(sets) if sizes not in sets[:place]]


def _ragged(times: int, steps: Collection[int]) -> list[int]:
    """Sizes of that many of the largest blocks and about half of one; first those that are no whole blocks of any."""
    step = max(steps)
    half = times * step + step // 2 + 1
    sizes = range(max(half - _NEAR, times * step + 1), min(half + _NEAR, (times + 1) * step) + 1)
    return sorted(sizes, key=lambda size: (any(size % one == 0 for one in steps if one > 1), abs(size - half)))


def _more_tiles_than_cores(
    kernels: Sequence[Kernel], sizes: Mapping[str, int], steps: Mapping[str, Collection[int]]
) -> Iterator[dict[str, int]]:
    """Small sizes, ragged in some variables, of which every kernel makes more work tiles than it has cores."""
    for times in range(1, _MOST_STEPS):
        ragged = {name: _ragged(times, each) for name, each in steps.items()}
        for place in range(max(map(len, ragged.values()))):
            scaled = {name: each[place % len(each)] for name, each in ragged.items()}
            if all(_exceeds_cores(kernel, {**sizes, **scaled}) for kernel in kernels):
                yield {**sizes, **scaled}
                return


def _exceeds_cores(kernel: Kernel, sizes: Mapping[str, int]) -> bool:
    cores = len(kernel.core_coordinates)
    tiles = [_evaluate(launch.num_tiles, sizes) for launch in kernel.launches]
    return any(count > cores and (cores == 1 or count % cores) for count in tiles)


def _formulas(kernel: Kernel) -> Iterator[str]:
    """How often grids and loops repeat, over shape variables alone."""
    for launch in kernel.launches:
        traffic = launch.traffic
        around = [one.loops for one in traffic.transfers] + [one.loops for one in traffic.products]
        trips = (loop.trips for loops in around for loop in loops if loop.name != "when")
        for formula in {*launch.grid, *trips}:
            if isinstance(formula, str) and _names(formula) <= set(kernel.shape_variables):
                yield formula


def _steps(name: str, formulas: Iterable[str]) -> set[int]:
    """How much of a variable makes one more block, in each formula that has blocks of it."""
    return {_period(formula, name) for formula in formulas if name in _names(formula)} - {0} or {_USUAL_STEP}


def _period(formula: str, name: str) -> int:
    """How far apart the first two changes of a formula are; 0 where there are none."""
    others = dict.fromkeys(_names(formula), _ELSEWHERE)
    values = [_evaluate(formula, {**others, name: value}) for value in range(1, 2 * _LARGEST_STEP + 2)]
    changes = [place for place, (one, next_) in enumerate(pairwise(values)) if one != next_]
    return changes[1] - changes[0] if len(changes) > 1 else 0


def _names(formula: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(formula)) if isinstance(node, ast.Name)} - {"min", "max"}


def _evaluate(size: int | str, sizes: Mapping[str, int]) -> int:
    return _native.evaluate(size, dict(sizes)) if isinstance(size, str) else size


def choose_arguments(
    parameters: Sequence[Parameter], sizes: Mapping[str, int], seed: int, has_indices: bool = True
) -> list[Any]:
    """An array or a number for each parameter, what is written included.

    Floats are multiples of 1/4 between -2 and 2: all dtypes have them, and sums of their products are mostly exact, so
    that kernels that add in another order agree. Integers may be indices, and are less than every extent but 1.

    Args:
        parameters: Of the kernel.
        sizes: Of its shape variables.
        seed: Of the numbers.
        has_indices: Else all integers are 0, which is an index everywhere.
    """
    rng = np.random.default_rng(seed)
    shapes = [known_shape(parameter, sizes) for parameter in parameters]
    limit = min([8, *(extent for shape in shapes for extent in shape if extent > 1)]) if has_indices else 1
    return [
        sizes[parameter.name]
        if parameter.shape is None and parameter.name in sizes
        else _random(dtype_of(parameter.dtype), shape, rng, limit)[() if parameter.shape is None else ...]
        for parameter, shape in zip(parameters, shapes, strict=True)
    ]


def _random(dtype: np.dtype[Any], shape: tuple[int, ...], rng: np.random.Generator, limit: int) -> Any:
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(dtype)
    if dtype.kind in "iu":
        return np.asarray(rng.integers(0, limit, shape, np.int8)).astype(dtype)
    with np.errstate(all="ignore"):  # some 8-bit floats have no negative numbers
        return (np.asarray(rng.integers(-8, 9, shape, np.int8)) / np.float32(4)).astype(dtype)


def excess_of(executable: Executable, sizes: Mapping[str, int], seconds: float) -> str | None:
    """Why a kernel is too large to be executed in some seconds; None where it is not."""
    tiles = sum(_evaluate(launch.num_tiles, sizes) for launch in executable.plan.kernel().launches)
    expected = _PER_TILE * tiles
    if expected <= seconds:
        sized = executable.sized(sizes)
        elements = sum(prod(map(int, buffer.shape)) for buffer in sized.kernel.buffers)
        if elements > _MOST_ELEMENTS:
            return f"its tensors have {elements:,} elements, and at most {_MOST_ELEMENTS:,} are executed"
        expected = seconds_of(sized)
    return f"it takes about {expected:.2g} s, and {seconds:.2g} s are left for it" if expected > seconds else None


def seconds_of(sized: Sized) -> float:
    """How long the interpreter takes for a kernel, roughly; loops that it cannot turn into arrays take longer."""
    tensors = {buffer.param_index: prod(map(int, buffer.shape)) for buffer in sized.kernel.buffers}
    elements, products, tiles = 2 * sum(tensors.values()), 0, 0
    for launch, cores in zip(sized.kernel.launches, sized.workload.launches, strict=True):
        tiles += len(cores.core)
        for transfer in launch.traffic.transfers:
            if transfer.reason is not None:
                elements += tensors[transfer.param_index]
            else:
                elements += _times(cores, transfer.loops, transfer.extent)
        for product in launch.traffic.products:
            size = prod(extent or 1 for extent in (product.m, product.n, product.k))
            products += size * _times(cores, product.loops, ())
    return _PER_ELEMENT * elements + _PER_PRODUCT * products + _PER_TILE * tiles


def _times(cores: Cores, loops: Sequence[TrafficLoop], extent: Sequence[int | str]) -> int:
    """Elements of a box, added up over all work tiles and loops; what is not known counts once a work tile."""
    try:
        space = Space(cores.grid, loops)
        return int(cores.look_up(space.sum_over_loops([space.evaluate(size) for size in extent])).sum())
    except Unknown:
        return len(cores.core)
