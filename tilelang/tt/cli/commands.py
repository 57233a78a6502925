"""The commands of ``tilelang-tt``: each imports what it needs when it runs, so that those without TVM start at once."""

import json
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import get_completion_class

from .. import _host, errors
from .._version import __version__
from ..device import Device, devices
from ..plan import text
from . import opt, output, sources
from . import options as opts
from .options import Command, input_options, inputs_of, set_option, source_argument
from .test import test

if TYPE_CHECKING:
    from ..plan import Comparison, Diff, Plan

PLAN_FILE = "tt.plan.json"
PAGE_FILE = "tt.plan.html"
FINDINGS = 1
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if not value:
        return
    try:
        host = str(_host.installed())
    except errors.HostError:
        host = "none"
    click.echo(f"tilelang-tt {__version__}, host: {host}")
    ctx.exit()


@click.group(context_settings=CONTEXT)
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Show versions.")
def cli() -> None:
    """Plans for kernels on Tenstorrent chips: which core runs what, and where every tensor lies.

    SOURCE is a kernel, FILE.py::kernel or package.module:attribute; all kernels of FILE.py; or a file that holds a
    plan, a module as TVM's JSON, or TVMScript. ::kernel after any of them is one of several, and - is standard input.
    Python files and TVMScript are code, and are run; a plan is not.

    Results are written to stdout, all else to stderr. Exit codes: 0 fine; 1 a kernel or a plan was refused, or a
    comparison or a check found something; 2 the command line was wrong, or there is no host; 70 a bug of tilelang-tt.
    """


cli.command_class = Command
cli.add_command(test)


def plan_of(source: str, values: dict[str, Any], inputs: dict[str, Any]) -> "Plan":
    """The plan that a source is, or that is made of its kernels."""
    from ..plan import Plan, make_plan

    loaded = sources.load(source, values)
    if not isinstance(loaded, Plan):
        started = perf_counter()
        made = make_plan(loaded, **inputs)
        output.detail(f"planned in {(perf_counter() - started) * 1e3:.1f} ms")
        return made
    if inputs:
        raise errors.refusal(
            "TT886", f"{source} is a plan, which has its inputs already; make another one of the kernel"
        )
    return loaded


@cli.command()
@source_argument
@input_options
@set_option
@click.option("--json", "as_json", is_flag=True, help="Write to stdout, and no file.")
@click.option("--out", type=click.Path(), default=PLAN_FILE, show_default=True, help="The file to write.")
def plan(source: str, values: dict[str, Any], as_json: bool, out: str, **options: Any) -> None:
    """Make the plan of kernels, and write it to a file."""
    made = plan_of(source, values, inputs_of(options))
    for kernel in made.kernels:
        for warning in kernel.warnings:
            output.warning(f"{kernel.name}: {warning.code}: {warning.message}")
    if as_json or out == "-":
        click.echo(made.to_json(), nl=False)
        return
    made.save(out)
    output.note(f"{out} has the plan of {', '.join(kernel.name for kernel in made.kernels)}")


@cli.command()
@source_argument
@input_options
@set_option
def show(source: str, values: dict[str, Any], **options: Any) -> None:
    """Show a plan, or the plan of kernels: work of each core, memory, tensors."""
    output.write(text.lines(plan_of(source, values, inputs_of(options)), output.width()))


@cli.command()
@click.argument("names", nargs=-1, required=True, metavar="SOURCE...", shell_complete=opts.complete_sources)
@input_options
@set_option
def check(names: tuple[str, ...], values: dict[str, Any], **options: Any) -> None:
    """Execute plans in numpy, and list what is wrong with them: work left out or done twice, pages in one place, ..."""
    reports = {}
    for source in names:
        reports[source] = plan_of(source, values, inputs_of(options)).check()
        click.echo(f"{source}: {reports[source]}")
    if not all(reports.values()):
        raise click.exceptions.Exit(FINDINGS)


@cli.command()
@source_argument
@input_options
@set_option
@click.option("--out", type=click.Path(), default=PAGE_FILE, show_default=True, help="The file to write.")
def page(source: str, values: dict[str, Any], out: str, **options: Any) -> None:
    """Draw a plan as one page of HTML: cores, launch grids, tensors."""
    plan_of(source, values, inputs_of(options)).to_html(out)
    output.note(f"{out} shows {source}")


@cli.command()
@click.argument("names", nargs=-1, required=True, metavar="SOURCE...", shell_complete=opts.complete_sources)
@click.option(
    "--devices", metavar="NAME,...", callback=opts.parsed(opts.several_devices), help="Devices to try; or all."
)
@click.option(
    "--policies", metavar="NAME,...", callback=opts.parsed(opts.several("schedule_policy")), help="Policies; or all."
)
@click.option(
    "--orders", metavar="NAME,...", callback=opts.parsed(opts.several("schedule_order")), help="Orders; or all."
)
@click.option("--tiles", metavar="HxW,...", callback=opts.parsed(opts.several_tiles), help="Tiles of tensors to try.")
@input_options
@set_option
@click.option(
    "--fidelity",
    type=click.Choice(["LoFi", "HiFi2", "HiFi3", "HiFi4"]),
    help="How exactly matrices are multiplied. Default: HiFi4 of float32, else HiFi2.",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def compare(
    names: tuple[str, ...],
    devices: list[Device] | None,
    policies: list[str] | None,
    orders: list[str] | None,
    tiles: list[tuple[int, int]] | None,
    values: dict[str, Any],
    fidelity: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Compare plans of a kernel: what they move, and an estimate of their time. Of two, also say what differs.

    With --devices, --policies, --orders or --tiles, SOURCE is one kernel, which is planned for each with each.

    Plans that differ are a finding: the exit code is 1, as where not one combination can be planned.
    """
    from ..plan import compare as compare_plans
    from ..plan import what_if
    from ..plan.compare import diff

    inputs = inputs_of(options)
    found: Comparison | Diff
    if devices or policies or orders or tiles:
        if len(names) > 1:
            raise click.UsageError("expected one SOURCE with --devices, --policies, --orders, --tiles")
        found = what_if(
            opt.module_of(sources.load(names[0], values), names[0]),
            devices=devices,
            policies=policies and opts.with_size(policies, "block_cyclic", inputs.pop("schedule_block_size", None)),
            orders=orders and opts.with_size(orders, "swizzled", inputs.pop("swizzle_panel", None)),
            tiles=tiles,
            fidelity=fidelity,
            progress=lambda combinations: output.progress(combinations, "planning"),
            **inputs,
        )
        fine = any(row.error is None for row in found.rows)
    else:
        plans = [(name, plan_of(name, values, inputs)) for name in names]
        (first, one), *others = plans
        if len(others) == 1:
            found = diff(one, others[0][1], (first, others[0][0]), fidelity=fidelity)
            fine = not found
        else:
            found = compare_plans(plans, fidelity=fidelity)
            fine = all(plan.kernels == one.kernels for _, plan in others)
    if as_json:
        click.echo(found.to_json())
    else:
        output.write(found.lines(output.width()))
    if not fine:
        raise click.exceptions.Exit(FINDINGS)


@cli.command("devices")
@click.argument(
    "device",
    required=False,
    metavar="[NAME|FILE.toml]",
    callback=opts.parsed(opts.device),
    shell_complete=opts.complete_devices,
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--toml", "as_toml", is_flag=True, help="As the file that --device reads.")
def devices_command(device: Device | None, as_json: bool, as_toml: bool) -> None:
    """List the devices that are known by name, or one with all that is known of it."""
    found = [device] if device else devices()
    if as_json:
        known = [each.to_dict() for each in found]
        click.echo(json.dumps(known[0] if device else known, indent=2))
    elif as_toml:
        click.echo("\n".join(each.to_toml() for each in found), nl=False)
    elif device:
        fields = device.to_dict()
        label = max(map(len, fields)) + 2
        output.write(
            (text.Piece(key.ljust(label), "label"), text.Piece(_value(value))) for key, value in fields.items()
        )
    else:
        output.write(text.table(_DEVICE_COLUMNS, [_device_row(each) for each in found], output.width()))


_DEVICE_COLUMNS = (
    text.Column("device"),
    text.Column("architecture"),
    text.Column("workers", right=True),
    text.Column("cores", right=True),
    text.Column("L1 of a core", right=True, rank=1),
    text.Column("DRAM banks", right=True),
    text.Column("bytes of a bank", right=True, rank=2),
    text.Column("clock", right=True, rank=3),
)


def _device_row(device: Device) -> list[str]:
    columns, rows = device.worker_grid
    clock = "" if device.clock_mhz is None else f"{device.clock_mhz} MHz"
    counts = [device.num_workers, device.l1_size, device.dram_banks, device.dram_bank_size]
    return [device.name, device.arch, f"{columns} x {rows}", *("" if n is None else _value(n) for n in counts), clock]


def _value(value: int | str | list[int]) -> str:
    if isinstance(value, list):
        return " x ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else value


@cli.command()
@click.argument("codes", nargs=-1, metavar="[CODE]...", shell_complete=opts.complete_codes)
def explain(codes: tuple[str, ...]) -> None:
    """Explain mistakes by their codes, such as TT202: the cause, an example, a fix. Without a code, list them all."""
    if codes:
        output.write_markdown("\n".join(errors.page(code.upper()) for code in codes))
        return
    columns = (text.Column("code"), text.Column("class", rank=1), text.Column("mistake"))
    rows = [[entry.code, entry.error_class.__name__, entry.title] for entry in errors.catalogue()]
    output.write(text.table(columns, rows, output.width()))


@cli.command()
@click.option("--host", "of_host", is_flag=True, help="Also those of the host.")
def passes(of_host: bool) -> None:
    """List the passes that `opt` runs."""
    rows = [[name, opt.summary(name)] for name in opt.OWN]
    rows += [[name, ""] for name in opt.host_passes()] if of_host else []
    output.write(text.table((text.Column("pass"), text.Column("what it does")), rows, output.width()))


@cli.command("opt")
@source_argument
@click.option(
    "-p",
    "--passes",
    "names",
    default=",".join(opt.PLANNING),
    metavar="PASS,...",
    help="Passes in their order; see `tilelang-tt passes`. Default: the four that plan a kernel.",
)
@input_options
@set_option
@click.option("--print-ir-after", is_flag=True, help="Show the module after every pass, on stderr.")
@click.option("--time-passes", is_flag=True, help="Show how long each pass takes, on stderr.")
@click.option("--json", "as_json", is_flag=True, help="Write the module as JSON that this host reads.")
@click.option("--out", type=click.Path(), default="-", help="The file to write; default stdout.")
def opt_command(
    source: str,
    names: str,
    values: dict[str, Any],
    print_ir_after: bool,
    time_passes: bool,
    as_json: bool,
    out: str,
    **options: Any,
) -> None:
    """Run passes on kernels, and write the module."""
    made = [opt.find(name.strip(), inputs_of(options)) for name in names.split(",")]
    mod = opt.module_of(sources.load(source, values), source)
    result = opt.run(mod, made, print_ir_after=print_ir_after, time_passes=time_passes)
    written = opt.to_json(result) if as_json else result.script()
    if out != "-":
        Path(out).write_text(written + "\n", encoding="utf-8")
    else:
        output.write_code(written, "json" if as_json else "python")


@cli.command("cache")
@click.argument("action", type=click.Choice(["stats", "where", "clear", "save", "load"]), default="stats")
@click.argument("path", required=False, type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="Write the figures of `stats` as JSON.")
def cache_command(action: str, path: str | None, as_json: bool) -> None:
    """Look at what `tilelang.tt.compile` keeps on disk, remove it, or move it in a file.

    \b
    stats  where it is, how many entries there are, and their bytes
    where  the folder alone
    clear  remove all entries
    save   write the entries that this host and this package have made into the file PATH
    load   put the entries of the file PATH, which is data and runs nothing, into the cache
    """  # noqa: D301
    from ..service.cache import cache

    if (path is None) is (action in ("save", "load")):
        raise click.UsageError("expected a PATH after save and load, and only there")
    if as_json and action != "stats":
        raise click.UsageError("expected --json with stats only")
    if action == "where":
        click.echo(cache.directory or "")
    elif action == "stats":
        _cache_stats(as_json)
    elif action == "clear":
        entries = cache.stats().entries
        cache.clear()
        output.note(f"removed entries: {entries:,}")
    else:
        from ..service.cache.artifacts import load_cache_artifacts, save_cache_artifacts

        assert path is not None
        moved = (save_cache_artifacts if action == "save" else load_cache_artifacts)(path)
        output.note(f"{path}: entries {moved.entries:,}, bytes {moved.bytes:,}")


def _cache_stats(as_json: bool) -> None:
    from ..service.cache import cache

    stats, folder = cache.stats(), cache.directory
    if as_json:
        figures = {"entries": stats.entries, "bytes": stats.bytes, "limit": cache.limit}
        click.echo(json.dumps({"directory": folder and str(folder), **figures}, indent=2))
        return
    rows = {
        "folder": str(folder) if folder else "none: the cache on disk is switched off",
        "entries": f"{stats.entries:,}",
        "bytes": f"{stats.bytes:,} of {cache.limit:,}",
    }
    output.write((text.Piece(name.ljust(9), "label"), text.Piece(value)) for name, value in rows.items())


@cli.command()
def schema() -> None:
    """Write the JSON Schema of plan files."""
    from ..plan.schema import schema

    click.echo(json.dumps(schema(), indent=2))


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Write what makes a shell complete commands, devices and codes.

    \b
    bash  eval "$(tilelang-tt completion bash)", in ~/.bashrc
    zsh   eval "$(tilelang-tt completion zsh)", in ~/.zshrc
    fish  tilelang-tt completion fish | source, in ~/.config/fish/config.fish
    """  # noqa: D301
    complete = get_completion_class(shell)
    assert complete is not None
    click.echo(complete(cli, {}, "tilelang-tt", "_TILELANG_TT_COMPLETE").source())
