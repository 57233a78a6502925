"""What several commands take: a kernel's inputs, sizes, and how much is said."""

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import click
from click.shell_completion import CompletionItem

from ..device import Device, devices
from ..errors import TTError, catalogue
from ..plan.model import Inputs
from . import output

_Function = TypeVar("_Function", bound=Callable[..., Any])


def parsed(parse: Callable[[str], Any]) -> Callable[..., Any]:
    """A callback that reads the texts of an option."""

    def callback(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
        try:
            return [parse(text) for text in value] if isinstance(value, tuple) else value and parse(value)
        except (TTError, ValueError) as error:
            raise click.BadParameter(str(error), ctx, param) from error

    return callback


def device(text: str) -> Device:
    """The device of that name, or the one that a TOML file states."""
    return Device.from_toml(text) if text.endswith(".toml") else Device.from_name(text)


def _rectangle(text: str) -> list[int]:
    corners = text.split(",")
    if len(corners) != 4 or not all(corner.strip().isdecimal() for corner in corners):
        raise ValueError(f"found {text}; expected two corners of a rectangle of cores: x0,y0,x1,y1")
    return [int(corner) for corner in corners]


def tile(text: str) -> tuple[int, int]:
    """Height and width of a tile, in elements."""
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal()):
        raise ValueError(f"found {text}; expected height and width in elements, such as 32x32")
    return int(height), int(width)


def _value(text: str) -> tuple[str, Any]:
    """A name and its value: a literal of Python, or else a text."""
    name, separator, value = text.partition("=")
    if not (separator and name.isidentifier()):
        raise ValueError(f"found {text}; expected NAME=VALUE, such as m=4096")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def complete_devices(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of devices, and files."""
    names = [CompletionItem(each.name, help=each.arch) for each in devices()]
    return [item for item in names if item.value.startswith(incomplete)] + _files(ctx, param, incomplete)


def complete_codes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Codes of mistakes."""
    return [CompletionItem(code, help=title) for code, _, title in catalogue() if code.startswith(incomplete.upper())]


def complete_sources(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Files, and the functions and classes of a Python file, which is read and not run."""
    where, separator, name = incomplete.partition("::")
    if not separator:
        return _files(ctx, param, incomplete)
    try:
        body = ast.parse(Path(where).read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return []
    names = [node.name for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    return [CompletionItem(f"{where}::{found}") for found in names if found.startswith(name)]


def _files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Left to the shell."""
    return click.Path().shell_complete(ctx, param, incomplete)


def choices(field: str) -> tuple[str, ...]:
    """The values that an input of a plan may have."""
    found: tuple[str, ...] = get_args(get_type_hints(Inputs)[field])
    return found


def _verbosity(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    if value:
        output.set_level(-1 if param.name == "quiet" else 1)


class Command(click.Command):
    """A command that can be told to say less or more."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        common: dict[str, Any] = {"is_flag": True, "expose_value": False, "is_eager": True, "callback": _verbosity}
        self.params += [
            click.Option(["-q", "--quiet"], help="Say nothing but errors.", **common),
            click.Option(["-v", "--verbose"], help="Say what is being done.", **common),
        ]


source_argument = click.argument("source", shell_complete=complete_sources)
set_option = click.option(
    "--set",
    "values",
    multiple=True,
    metavar="NAME=VALUE",
    callback=lambda ctx, param, value: dict(parsed(_value)(ctx, param, value)),
    help="Value of a shape variable, or of an argument of the function that makes the kernel; once for each.",
)

_INPUTS = (
    click.option(
        "--device",
        metavar="NAME|FILE.toml",
        callback=parsed(device),
        shell_complete=complete_devices,
        help="The chip; see `tilelang-tt devices`.",
    ),
    click.option(
        "--cores",
        multiple=True,
        callback=parsed(_rectangle),
        metavar="X0,Y0,X1,Y1",
        help="Cores to use: two corners of a rectangle; several are taken in order.",
    ),
    click.option("--core-order", type=click.Choice(choices("core_order")), help="How the cores of a rectangle follow."),
    click.option("--policy", type=click.Choice(choices("schedule_policy")), help="How work tiles are dealt to cores."),
    click.option("--block-size", type=int, metavar="TILES", help="Work tiles of a block of --policy block_cyclic."),
    click.option("--order", type=click.Choice(choices("schedule_order")), help="How work tiles are numbered."),
    click.option("--panel", type=int, metavar="N", help="Rows or columns of a panel of a swizzled --order."),
    click.option("--layout", type=click.Choice(choices("layout_type")), help="Where tensors lie without their own."),
    click.option(
        "--tile", metavar="HxW", callback=parsed(tile), help="Tile of tensors without their own, in elements."
    ),
    click.option("--data-format", metavar="FORMAT", help="How floating tensors are stored: Float16_b, Bfp8_b, ..."),
)


def several(field: str) -> Callable[[str], Any]:
    """What reads a list of values of an input, separated by commas; ``all`` are all of them."""

    def parse(text: str) -> list[str]:
        known = choices(field)
        found = list(known) if text == "all" else [name.strip() for name in text.split(",")]
        if unknown := [name for name in found if name not in known]:
            raise ValueError(f"found {unknown[0]}; expected all, or any of: {', '.join(known)}")
        return found

    return parse


def several_devices(text: str) -> list[Device]:
    """Devices by name or file, separated by commas; ``all`` are those that are known by name."""
    return devices() if text == "all" else [device(name.strip()) for name in text.split(",")]


def several_tiles(text: str) -> list[tuple[int, int]]:
    """Tiles, separated by commas."""
    return [tile(one.strip()) for one in text.split(",")]


def with_size(names: list[str], prefix: str, size: int | None) -> list[Any]:
    """Policies or orders, as :func:`tilelang.tt.plan.what_if` takes them: those with the prefix have the size."""
    return [(name, size) if size is not None and name.startswith(prefix) else name for name in names]


INPUT_NAMES = (
    "device",
    "cores",
    "core_order",
    "policy",
    "block_size",
    "order",
    "panel",
    "layout",
    "tile",
    "data_format",
)


def input_options(function: _Function) -> _Function:
    """The options of :func:`tilelang.tt.apply_tt_defaults`, for :func:`inputs_of`."""
    for option in reversed(_INPUTS):
        function = option(function)
    return function


def inputs_of(options: dict[str, Any]) -> dict[str, Any]:
    """The keyword arguments of :func:`tilelang.tt.apply_tt_defaults` that were given."""
    height, width = options["tile"] or (None, None)
    inputs = {
        "device": options["device"],
        "cores": options["cores"] or None,
        "core_order": options["core_order"],
        "schedule_policy": options["policy"],
        "schedule_block_size": options["block_size"],
        "schedule_order": options["order"],
        "swizzle_panel": options["panel"],
        "layout_type": options["layout"],
        "tile_height": height,
        "tile_width": width,
        "data_format": options["data_format"],
    }
    return {name: value for name, value in inputs.items() if value is not None}
