"""The command line: what goes where, exit codes, what a SOURCE may be, and what it looks like."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import textwrap
from pathlib import Path

import click
import pytest
import tvm
from click.shell_completion import BashComplete
from click.testing import CliRunner
from support import host
from support.examples import ROOT
from support.infer import copy_kernel
from test_host import BLOCK

from tilelang.tt import Device, cache, devices, errors
from tilelang.tt import cli as package
from tilelang.tt import compile as compile_kernel
from tilelang.tt.cli import opt, output, sources
from tilelang.tt.cli.commands import cli
from tilelang.tt.cli.run import run
from tilelang.tt.plan import Plan, make_plan, schema

pytestmark = pytest.mark.stage("cli")

KERNELS = """
    from tvm.script import ir as I
    from tvm.script import tirx as T

    print("printed by the file")
    BLOCK = 16


    @T.prim_func
    def fill(A: T.Buffer((64, 64), "float32")):
        bx = T.launch_thread("blockIdx.x", 4)
        for i, j in T.grid(16, 64):
            A[bx * 16 + i, j] = T.float32(1)


    @T.prim_func
    def rows(a: T.handle):
        m = T.int32()
        A = T.match_buffer(a, (m, 64), "float16")
        bx = T.launch_thread("blockIdx.x", (m + 31) // 32)
        for i, j in T.grid(32, 64):
            if bx * 32 + i < m:
                A[bx * 32 + i, j] = T.float16(1)


    @I.ir_module
    class Both:
        @T.prim_func
        def one(A: T.Buffer((64,), "float32")):
            bx = T.launch_thread("blockIdx.x", 64)
            A[bx] = T.float32(1)

        @T.prim_func
        def two(A: T.Buffer((96,), "float32")):
            bx = T.launch_thread("blockIdx.x", 96)
            A[bx] = T.float32(2)


    def make(n, block=BLOCK):
        @T.prim_func
        def made(A: T.Buffer((n,), "float32")):
            bx = T.launch_thread("blockIdx.x", n // block)
            for i in range(block):
                A[bx * block + i] = T.float32(1)

        return made


    def nothing():
        return 3


    def broken():
        return 1 / 0
"""

JITS = """
    import tilelang
    import tilelang.language as T


    @tilelang.jit
    def lazy(m, block=32):
        @T.prim_func
        def inner(A: T.Tensor((m, 64), "bfloat16")):
            with T.Kernel(T.ceildiv(m, block), threads=32) as bx:
                tile = T.alloc_shared((block, 64), "bfloat16")
                T.copy(tile, A[bx * block, 0])

        return inner


    @tilelang.jit
    def eager(A, block: int = 32):
        M = T.const("M")
        A: T.Tensor[[M, 64], "bfloat16"]
        with T.Kernel(T.ceildiv(M, block), threads=32) as bx:
            tile = T.alloc_shared((block, 64), "bfloat16")
            T.copy(tile, A[bx * block, 0])


    @tilelang.jit
    def symbolic(A):
        M = T.dynamic("M")
        A: T.Tensor[[M, 64], "bfloat16"]
        with T.Kernel(T.ceildiv(M, 32), threads=32) as bx:
            tile = T.alloc_shared((32, 64), "bfloat16")
            T.copy(tile, A[bx * 32, 0])
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where the user is, with some files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "kernels.py").write_text(textwrap.dedent(KERNELS))
    make_plan(copy_kernel()).save(tmp_path / "copy.plan.json")
    yield tmp_path
    for name in [name for name, module in sys.modules.items() if str(tmp_path) in str(getattr(module, "__file__", ""))]:
        del sys.modules[name]


def command(*arguments, **options):
    """A process of its own, as a user starts it; with what to say where the command line is to be told to fail."""
    environment = {**os.environ, **options.pop("env", {})}
    return subprocess.run(
        [sys.executable, "-P", "-m", "tilelang.tt.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        **options,
    )


def call(capsys, *arguments):
    """The exit code, stdout and stderr of a command line in this process."""
    capsys.readouterr()
    code = run([*arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture(autouse=True)
def keep_signal_and_warnings(monkeypatch):
    """The command line owns its process; here it does not."""
    monkeypatch.setattr("signal.signal", lambda *arguments: None)
    monkeypatch.setattr(output, "show_warnings", lambda: None)


# Processes.


def test_a_kernel_becomes_a_plan_that_is_shown(folder):
    done = command("plan", "kernels.py::fill", "--device", "blackhole_p150")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "printed by the file\nnote: tt.plan.json has the plan of fill\n"
    assert Plan.load("tt.plan.json").kernel("fill").device == Device.from_name("blackhole_p150")
    shown = command("show", "tt.plan.json")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout == str(Plan.load("tt.plan.json")) + "\n"


def test_results_go_to_stdout_and_all_else_to_stderr(folder, capsys):
    code, out, err = call(capsys, "plan", "kernels.py::rows", "--json", "--set", "m=100")
    assert code == 0
    assert Plan.from_json(out).kernel().buffers[0].shape == (100, 64)
    assert err.splitlines()[0] == "printed by the file"
    assert err.splitlines()[1].startswith("warning: rows: TT406: ")
    assert call(capsys, "plan", "kernels.py::rows", "--json", "-q")[2] == "printed by the file\n"
    assert "note: host: " in call(capsys, "plan", "kernels.py::rows", "--json", "-v")[2]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["show", "copy.plan.json"], 0),
        (["show", "broken.json"], 1),
        (["show", "raising.py"], 1),
        (["show", "gone.py"], 2),
        (["show"], 2),
        ([], 2),
        (["show", "copy.plan.json", "--policy", "fair"], 2),
        (["devices", "grayskull"], 2),
        (["explain", "TT000"], 2),
    ],
)
def test_exit_codes(folder, capsys, arguments, code):
    (folder / "broken.json").write_text('{"format": "tt.plan"')
    (folder / "raising.py").write_text("import math\nmath.sqrt(-1)\n")
    found, out, err = call(capsys, *arguments)
    assert found == code
    assert (err == "") == (code == 0)
    assert (out == "") == (code != 0)


def test_a_bug_is_70(capsys, monkeypatch):
    monkeypatch.setattr("tilelang.tt.cli.commands.devices", lambda: 1 / 0)
    code, out, err = call(capsys, "devices")
    assert (code, out) == (70, "")
    assert "ZeroDivisionError" in err
    assert err.endswith("error: this is a bug of tilelang-tt; please report it, with the lines above and the kernel\n")


def test_our_internal_errors_are_70(capsys, monkeypatch):
    def fail():
        raise errors.refusal("TT901", "impossible")

    monkeypatch.setattr("tilelang.tt.cli.commands.devices", fail)
    assert call(capsys, "devices")[0] == 70


def test_interrupted(capsys, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr("tilelang.tt.cli.commands.devices", interrupt)
    code, out, _ = call(capsys, "devices")
    assert (code, out) == (130, "")


def test_a_reader_that_leaves_is_no_error(folder):
    pipe = f"{sys.executable} -P -m tilelang.tt.cli explain; echo $? >&2"
    for number in (0, 2):
        done = subprocess.run(f"({pipe}) | head -n {number}", shell=True, capture_output=True, text=True, check=False)
        assert len(done.stdout.splitlines()) == number
        assert done.stderr.strip() in ("0", "141")


def test_a_command_line_in_this_process_changes_no_signal(capsys):
    """Else a worker that dies would take whoever writes to it along, without a word."""
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    call(capsys, "devices")
    assert {number: signal.getsignal(number) for number in signal.valid_signals()} == before


def in_terminal(*arguments, env=None, columns=80):
    """What a command writes on a terminal."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", **(env or {})}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "tilelang.tt.cli", *arguments], stdout=follower, stderr=follower, env=environment
    )
    os.close(follower)
    written = b""
    while True:
        try:
            read = os.read(leader, 65536)
        except OSError:  # the last writer has gone
            break
        if not read:
            break
        written += read
    os.close(leader)
    assert process.wait() == 0
    return written.decode().replace("\r\n", "\n")


def test_terminal_that_does_not_know_its_size(folder):
    """Such as that of a container, which says 0 columns."""
    assert "copy.plan.json" in in_terminal("check", "copy.plan.json", columns=0)
    lines = in_terminal("devices", columns=0, env={"COLUMNS": "70"}).splitlines()
    assert 10 < max(len(ESCAPE.sub("", line)) for line in lines) <= 70


ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def test_terminal(folder):
    written = in_terminal("show", "copy.plan.json")
    assert "\x1b[1mmain\x1b[0m on wormhole_n150" in written
    assert max(map(len, ESCAPE.sub("", written).splitlines())) <= 80
    plain = in_terminal("show", "copy.plan.json", env={"NO_COLOR": "1"})
    assert "\x1b" not in plain
    assert [line.rstrip() for line in ESCAPE.sub("", written).splitlines()] == plain.splitlines()
    wide = in_terminal("show", "copy.plan.json", columns=200, env={"TERM": "dumb"})
    assert "\x1b" not in wide
    assert max(map(len, wide.splitlines())) > max(map(len, plain.splitlines()))


def test_colours_of_a_pipe(folder, capsys, monkeypatch):
    assert "\x1b" not in call(capsys, "show", "copy.plan.json")[1]
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[1m" in call(capsys, "show", "copy.plan.json")[1]
    assert "\x1b[36m" in call(capsys, "devices", "wormhole_n150")[1]
    assert "\x1b" in call(capsys, "show", "gone.py")[2]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in call(capsys, "show", "copy.plan.json")[1]


def test_pages_and_ir_on_a_terminal(folder):
    assert ESCAPE.search(in_terminal("explain", "TT202"))
    assert ESCAPE.search(in_terminal("opt", "kernels.py::fill"))


@pytest.mark.parametrize("missing", [["click"], ["rich"], ["click", "rich"]], ids=" ".join)
def test_without_the_extra(capsys, monkeypatch, missing):
    find_spec = package.find_spec
    monkeypatch.setattr(package, "find_spec", lambda name: None if name in missing else find_spec(name))
    with pytest.raises(SystemExit) as ended:
        package.main()
    captured = capsys.readouterr()
    assert (ended.value.code, captured.out) == (2, "")
    assert captured.err == f"tilelang-tt needs {' and '.join(missing)}: pip install 'tilelang-tt[cli]'\n"


def test_the_script_is_installed():
    script = Path(sys.executable).with_name("tilelang-tt")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(rf"tilelang-tt \S+, host: {host.HOST} {host.VERSION} with apache-tvm-ffi .*\n", done.stdout)


if not host.ON_TILELANG:  # whose own package runs first

    def without_a_host(*arguments, blocked=("tvm", "tvm_ffi", "numpy")):
        code = BLOCK.format(blocked=blocked)
        code += "import importlib.metadata as m\nreal = m.version\n"
        code += "def version(name):\n    if name == 'apache-tvm': raise m.PackageNotFoundError(name)\n"
        code += "    return real(name)\n"
        code += (
            "m.version = version\nfrom tilelang.tt.cli import main\nsys.argv[1:] = " + repr([*arguments]) + "\nmain()"
        )
        return subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)

    @pytest.mark.parametrize(
        "arguments",
        [
            ["devices"],
            ["devices", "wormhole_n150"],
            ["show", "copy.plan.json"],
            ["plan", "copy.plan.json", "--json"],
            ["explain", "TT202"],
            ["explain"],
            ["schema"],
            ["passes"],
            ["completion", "bash"],
            ["--version"],
            ["--help"],
        ],
        ids=" ".join,
    )
    def test_without_a_host(folder, arguments):
        """And without numpy, which takes longer to import than all else."""
        done = without_a_host(*arguments)
        assert (done.returncode, done.stderr) == (0, "")
        if arguments == ["--version"]:
            assert done.stdout.endswith(", host: none\n")

    def test_comparing_plan_files_without_tvm(folder):
        done = without_a_host("compare", "copy.plan.json", blocked=("tvm",))
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines()[-1] == LAST

    def test_the_cache_without_tvm():
        done = without_a_host("cache", "clear", blocked=("tvm",))
        assert (done.returncode, done.stderr) == (0, "note: removed entries: 0\n")

    def test_a_kernel_without_a_host(folder):
        done = without_a_host("show", "kernels.py::fill")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("error: TT120: no TVM to run the passes in: apache-tvm is not installed")


# What a SOURCE may be.


def kernels_of(source, **values):
    loaded = sources.load(source, values)
    return {kernel.name: kernel for kernel in (loaded if isinstance(loaded, Plan) else make_plan(loaded)).kernels}


def test_file_and_kernel(folder):
    assert kernels_of("kernels.py::fill")["fill"].buffers[0].shape == (64, 64)
    assert [*kernels_of("kernels.py::Both")] == ["one", "two"]
    assert [*kernels_of("kernels.py::Both.two")] == ["two"]
    assert kernels_of("kernels.py::make", n=256)["made"].launches[0].num_tiles == 16
    assert kernels_of("kernels.py::make", n=256, block=32)["made"].launches[0].num_tiles == 8
    assert kernels_of("kernels.py::rows")["rows"].shape_variables == ("m",)
    assert kernels_of("kernels.py::rows", m=64)["rows"].launches[0].num_tiles == 2


def test_all_kernels_of_a_file(folder):
    assert [*kernels_of("kernels.py")] == ["fill", "one", "rows", "two"]
    assert kernels_of("kernels.py", m=64)["rows"].launches[0].num_tiles == 2


def test_kernels_of_one_name(folder):
    text = textwrap.dedent(KERNELS) + "\n\nfirst = make(32)\nsecond = make(64)\n"
    (folder / "twice.py").write_text(text)
    assert [*kernels_of("twice.py")] == ["fill", "first_made", "one", "rows", "second_made", "two"]


def test_module_attribute(folder):
    assert [*kernels_of("kernels:fill")] == ["fill"]
    assert [*kernels_of("kernels:Both.one")] == ["one"]


def test_a_file_imports_its_neighbours(folder):
    (folder / "inner").mkdir()
    (folder / "inner" / "neighbour.py").write_text(textwrap.dedent(KERNELS))
    (folder / "inner" / "user.py").write_text("from neighbour import fill\n")
    assert [*kernels_of("inner/user.py")] == ["fill"]


def test_texts(folder, monkeypatch):
    """IR as JSON, TVMScript and plans, told apart by what they hold."""
    mod = tvm.IRModule({"copy": copy_kernel(), "other": copy_kernel()})
    (folder / "mod.json").write_text(tvm.ir.save_json(mod))
    assert [*kernels_of("mod.json")] == ["copy", "other"]
    assert [*kernels_of("mod.json::other")] == ["main"] or [*kernels_of("mod.json::other")] == ["other"]
    assert [*kernels_of("copy.plan.json")] == ["main"]
    both = make_plan(mod)
    both.save("both.plan.json")
    one = sources.load("both.plan.json::other", {})
    assert ([kernel.name for kernel in one.kernels], len(one.provenance.kernels)) == (["other"], 1)


def test_a_plan_that_speaks_of_ir(folder):
    make_plan(copy_kernel().with_attr("global_symbol", "root_index")).save("named.json")
    assert [*kernels_of("named.json")] == ["root_index"]


def test_script(folder, capsys, monkeypatch):
    script = call(capsys, "opt", "kernels.py::fill", "-p", "tt.ApplyTTDefaults")[1]
    for name in ("fill.tvmscript", "printed.py"):
        (folder / name).write_text(script)
        tvm.ir.assert_structural_equal(sources.load(name, {}), opt.find("tt.ApplyTTDefaults", {})(module_of_fill()))
    stdin = folder / "fill.tvmscript"
    with stdin.open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert [*kernels_of("-")] == ["fill"]


def module_of_fill():
    return opt.module_of(sources.load("kernels.py::fill", {}), "kernels.py::fill")


def test_standard_input(folder):
    done = command("show", "-", input=(folder / "copy.plan.json").read_text())
    assert done.stdout == str(Plan.load("copy.plan.json")) + "\n"


if host.ON_TILELANG:

    def test_jit(folder):
        (folder / "jits.py").write_text(textwrap.dedent(JITS))
        assert kernels_of("jits.py::lazy", m=256)["inner"].launches[0].num_tiles == 8
        assert kernels_of("jits.py::eager", M=256)["eager"].launches[0].num_tiles == 8
        assert kernels_of("jits.py::eager", M=256, block=64)["eager"].launches[0].num_tiles == 4
        assert kernels_of("jits.py::symbolic")["symbolic"].shape_variables == ("M",)
        assert kernels_of("jits.py::symbolic", M=64)["symbolic"].launches[0].num_tiles == 2
        for kernel, name in (("lazy", "m"), ("eager", "M")):
            with pytest.raises(errors.OptionError, match=f"^TT884: {kernel} needs {name}; give --set {name}=...$"):
                sources.load(f"jits.py::{kernel}", {})
        with pytest.raises(errors.OptionError, match=r"^TT520: no kernel has a size n"):
            sources.load("jits.py::eager", {"M": 256, "n": 3})


# Each refusal, as its page says it.

REFUSALS = [
    (["show", "gem.py::gemm"], 2, "TT880: no file gem.py, and it is no module:attribute"),
    (["show", "gone.module:gemm"], 2, "TT880: no module gone"),
    (
        ["show", "kernels.py::matmul"],
        2,
        "TT881: kernels.py has no matmul; it has fill (PrimFunc), rows (PrimFunc), Both ",
    ),
    (["show", "kernels.py::Both.three"], 2, "TT881: kernels.py::Both has no three; it has one, two"),
    (["show", "functions.py"], 2, "TT881: functions.py has no kernel; it has make (a function)"),
    (["show", "kernels.py::BLOCK"], 2, "TT882: BLOCK is int; expected a kernel or a function that makes one"),
    (["show", "kernels.py::nothing"], 2, "TT882: nothing() gives int; expected a PrimFunc or an IRModule"),
    (["opt", "copy.plan.json"], 2, "TT882: copy.plan.json is a plan; expected kernels"),
    (["show", "notes.txt"], 2, "TT883: notes.txt is no plan, no IR as JSON, and no TVMScript that this host reads: "),
    (["show", "bytes"], 2, "TT883: bytes is no text in UTF-8: "),
    (
        ["show", "number.json"],
        2,
        "TT883: number.json is no IR that this host reads as JSON: the root is of type ",
    ),
    (["show", "nodes.json"], 2, "TT883: nodes.json is no IR that this host reads as JSON: expected 1 to 2000000 nodes"),
    (["show", "kernels.py::make"], 2, "TT884: make needs n; give --set n=..."),
    (["opt", "kernels.py::fill", "-p", "tt.Infer"], 2, "TT885: no pass has the name tt.Infer; "),
    (["opt", "kernels.py::fill", "-p", "tirx.BindTarget"], 2, "TT885: the pass tirx.BindTarget needs arguments: "),
    (
        ["show", "copy.plan.json", "--tile", "16x32"],
        2,
        "TT886: copy.plan.json is a plan, which has its inputs already; ",
    ),
    (["show", "copy.plan.json", "--set", "m=3"], 2, "TT886: copy.plan.json is a plan, which has its sizes already: m "),
    (["compare", "kernels.py::rows", "--devices", "all"], 1, "TT850: kernel rows depends on m; expected numbers"),
    (["compare", "kernels.py::rows"], 1, "TT850: kernel rows depends on m; expected numbers"),
    (["compare", "kernels.py::Both", "--devices", "all"], 2, "TT871: the plan has 2 kernels; "),
    (["show", "kernels.py::fill", "--set", "m=3"], 2, "TT520: no kernel has a size m"),
    (["show", "kernels.py::fill", "--policy", "block_cyclic"], 2, "TT"),
    (["show", "bool.py"], 1, "TT404: "),
]


@pytest.mark.parametrize(
    ("arguments", "code", "message"), REFUSALS, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_refusals(folder, capsys, arguments, code, message):
    (folder / "functions.py").write_text("def make():\n    pass\n")
    (folder / "notes.txt").write_text("Buy milk.\n")
    (folder / "bytes").write_bytes(b"\xff")
    (folder / "number.json").write_text(tvm.ir.save_json(tvm.tirx.IntImm("int64", 3)))
    (folder / "nodes.json").write_text('{"root_index": 0, "nodes": []}')
    (folder / "bool.py").write_text(textwrap.dedent(KERNELS).split("@T.prim_func")[0] + BOOL)
    found, out, err = call(capsys, *arguments)
    assert (found, out) == (code, "")
    told = [line for line in err.splitlines() if line != "printed by the file"]
    assert told[0].startswith(f"error: {message}")
    assert re.fullmatch(r"note: more about it: tilelang-tt explain (TT\d+ ?)+", told[-1])


BOOL = """
@T.prim_func
def bools(A: T.Buffer((64,), "bool")):
    bx = T.launch_thread("blockIdx.x", 64)
    A[bx] = T.bool(True)
"""


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--device", "wormhole"], "TT303: unknown device"),
        (["--device", "gone.toml"], "gone.toml"),
        (["--cores", "0,0,1"], "expected two corners of a rectangle of cores: x0,y0,x1,y1"),
        (["--tile", "32"], "expected height and width in elements, such as 32x32"),
        (["--set", "m:3"], "expected NAME=VALUE, such as m=4096"),
        (["--panel", "two"], "is not a valid integer"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_options_that_cannot_be(folder, capsys, option, message):
    code, out, err = call(capsys, "show", "kernels.py::fill", *option)
    assert (code, out) == (2, "")
    assert message in err


def test_code_that_raises(folder, capsys):
    code, out, err = call(capsys, "show", "kernels.py::broken")
    assert (code, out) == (1, "")
    assert err.splitlines()[1] == "error: your code raised"
    assert re.search(r'File ".*kernels.py", line \d+, in broken\n.*return 1 / 0', err)
    assert err.splitlines()[-1] == "ZeroDivisionError: division by zero"
    assert "sources.py" not in err


@pytest.mark.parametrize(
    "text", ["import sys\nsys.exit(0)\n", "import argparse\nargparse.ArgumentParser().parse_args(['-x'])\n"]
)
def test_a_file_that_ends_itself(folder, capsys, text):
    (folder / "script.py").write_text(text)
    code, out, err = call(capsys, "show", "script.py")
    assert (code, out) == (1, "")
    assert "SystemExit" in err


# Single commands.


def test_inputs_reach_the_plan(folder, capsys):
    (folder / "corner.toml").write_text('base = "wormhole_n150"\nname = "corner"\nworker_grid = [5, 3]\n')
    options = ["--device", "corner.toml", "--cores", "0,0,1,1", "--cores", "2,0,2,1", "--core-order", "column_major"]
    options += ["--policy", "block_cyclic", "--block-size", "2", "--order", "swizzled_row", "--panel", "3"]
    options += ["--layout", "l1_interleaved", "--tile", "16x32", "--data-format", "Bfp8_b"]
    code, out, _ = call(capsys, "plan", "kernels.py::rows", "--json", "--set", "m=100", *options)
    kernel = Plan.from_json(out).kernel()
    inputs = kernel.inputs
    assert code == 0
    assert (kernel.device.name, kernel.device.worker_grid) == ("corner", (5, 3))
    assert (inputs.cores, inputs.core_order) == (((0, 0, 1, 1), (2, 0, 2, 1)), "column_major")
    assert (inputs.schedule_policy, inputs.schedule_block_size) == ("block_cyclic", 2)
    assert (inputs.schedule_order, inputs.swizzle_panel) == ("swizzled_row", 3)
    assert (inputs.layout_type, inputs.tile_height, inputs.tile_width) == ("l1_interleaved", 16, 32)
    assert inputs.data_format == "Bfp8_b"


def test_check(folder, capsys):
    code, out, err = call(capsys, "check", "copy.plan.json", "kernels.py::fill")
    assert (code, err) == (0, "printed by the file\n")
    assert [line.partition(": ")[0] for line in out.splitlines()] == ["copy.plan.json", "kernels.py::fill"]
    text = (folder / "copy.plan.json").read_text()
    (folder / "wrong.plan.json").write_text(text.replace('"num_active_cores": 6', '"num_active_cores": 5'))
    code, out, err = call(capsys, "check", "wrong.plan.json", "copy.plan.json")
    assert (code, err) == (1, "")
    assert out.startswith("wrong.plan.json: 1 finding")
    assert "copy.plan.json: no findings" in out
    code, out, err = call(capsys, "check", "kernels.py::rows")
    assert (code, out) == (1, "")
    assert "error: TT820: " in err


def test_page(folder, capsys):
    code, out, err = call(capsys, "page", "copy.plan.json")
    assert (code, out, err) == (0, "", "note: tt.plan.html shows copy.plan.json\n")
    assert (folder / "tt.plan.html").read_text().startswith("<!DOCTYPE html>")
    assert call(capsys, "page", "kernels.py::rows")[0] == 1


def cells(table):
    return [re.split(r"  +", line.strip()) for line in table.splitlines()]


COMPARED = ["wormhole_n150", "blackhole_p150", "blackhole_p100", "wormhole_galaxy"]
LAST = "times are estimates: the least that products of matrices, NoC and DRAM leave"


def test_compare_devices(folder, capsys):
    names = ",".join(COMPARED)
    code, out, err = call(capsys, "compare", "kernels.py::make", "--set", "n=1600", "--devices", names)
    assert (code, err) == (0, "printed by the file\n")
    lines = out.splitlines()
    assert (lines[0], lines[-1]) == ("made:", LAST)
    head, *rows = cells("\n".join(lines[1:6]))
    assert head[:3] == ["plan", "cores", "imbalance"]
    # 100 work tiles; the fastest is first, and of the galaxy no time is known.
    assert [row[:3] for row in rows] == [
        ["blackhole_p150", "100/130", "1.30"],
        ["blackhole_p100", "100/110", "1.10"],
        ["wormhole_n150", "64/64", "1.28"],
        ["wormhole_galaxy", "72/72", "1.44"],
    ]
    assert lines[6] == "? dram_mb_per_s of wormhole_galaxy"


def test_compare_each_with_each(folder, capsys):
    lists = ["--policies", "all", "--orders", "row_major,swizzled_row", "--tiles", "32x32,16x32"]
    sizes = ["--block-size", "2", "--panel", "3"]
    code, out, _ = call(capsys, "compare", "kernels.py::fill", *lists, *sizes, "--json")
    rows = json.loads(out)["rows"]
    assert (code, len(rows)) == (0, 4 * 2 * 2)
    assert {row["schedule_policy"] for row in rows} == {"contiguous", "strided", "block_cyclic 2", "rectangular"}
    assert {row["schedule_order"] for row in rows} == {"row_major", "swizzled_row 3"}
    refused = [row for row in rows if row["error"]]
    assert {(row["schedule_policy"], row["schedule_order"]) for row in refused} == {("rectangular", "swizzled_row 3")}
    one, *_ = [row for row in rows if row["name"] == "contiguous, row_major, tiles 16x32"]
    buffer = make_plan(sources.load("kernels.py::fill", {}), tile_height=16).buffer("A")
    assert one["dram_written_bytes"] == buffer.num_pages * buffer.page_size_bytes


def test_compare_tells_what_is_refused(folder, capsys):
    code, out, _ = call(capsys, "compare", "kernels.py::fill", "--tiles", "32x32,5x3")
    assert (code, cells(out)[3]) == (0, ["tiles 5x3", "refused: TT402: A tile that the hardware has not"])
    code, out, _ = call(capsys, "compare", "kernels.py::fill", "--tiles", "5x3")
    assert (code, len(out.splitlines())) == (1, 4)


def test_compare_two_plans(folder, capsys):
    same = (0, "the plans are the same\n", "printed by the file\n" * 2)
    assert call(capsys, "compare", "kernels.py::fill", "kernels.py::fill") == same
    make_plan(copy_kernel(), device="blackhole_p150").save("other.plan.json")
    code, out, err = call(capsys, "compare", "copy.plan.json", "other.plan.json")
    assert (code, err) == (1, "")
    lines = out.splitlines()
    assert "main: device.name: wormhole_n150 -> blackhole_p150" in lines
    assert [line.split()[0] for line in lines[-3:-1]] == ["copy.plan.json", "other.plan.json"]
    assert lines[-1] == LAST
    code, out, _ = call(capsys, "compare", "copy.plan.json", "other.plan.json", "--json")
    assert code == 1
    assert {"where": "main: device.name", "old": "wormhole_n150", "new": "blackhole_p150"} in json.loads(out)["changes"]


def test_compare_several_plans(folder, capsys):
    names = []
    for device in COMPARED:
        names.append(f"{device}.plan.json")
        make_plan(copy_kernel(), device=device).save(names[-1])
    code, out, err = call(capsys, "compare", *names)
    assert (code, err) == (1, "")
    assert {row[0] for row in cells(out)[2:6]} == {*names}
    assert call(capsys, "compare", names[0], names[0], names[0])[0] == 0
    code, out, _ = call(capsys, "compare", names[0])
    assert (code, len(out.splitlines())) == (0, 4)


def test_compare_fidelity(folder, capsys):
    gemm = f"{ROOT / 'examples' / 'gemm.py'}::gemm"
    found = {}
    for fidelity in ("LoFi", "HiFi4"):
        for arguments in ([gemm], [gemm, "--devices", "wormhole_n150"]):
            code, out, _ = call(capsys, "compare", *arguments, "--fidelity", fidelity, "--json")
            (row,) = json.loads(out)["rows"]
            assert found.setdefault(fidelity, row["compute_cycles"]) == row["compute_cycles"]
            assert code == 0
    assert found["HiFi4"] == 4 * found["LoFi"]


def test_compare_on_terminals(folder):
    devices = ",".join(COMPARED)
    width = 0
    for columns in (80, 120, 200):
        shown = ESCAPE.sub("", in_terminal("compare", "kernels.py::fill", "--devices", devices, "-q", columns=columns))
        table = shown.splitlines()[2:7]
        assert width < max(map(len, table)) <= columns
        width = max(map(len, table))
        assert {"plan", "cores", "estimate"} <= {*table[0].split()}
    assert "multicast saves" in table[0]


def test_compare_plan_files_in_a_process(folder):
    make_plan(copy_kernel(), device="blackhole_p150").save("other.plan.json")
    done = command("compare", "copy.plan.json", "other.plan.json")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines()[-1] == LAST
    assert CliRunner().invoke(cli, ["compare", "copy.plan.json", "other.plan.json"]).stdout == done.stdout
    done = command("compare", "kernels.py::fill", "--devices", "wormhole_n150", "--fidelity", "LoFi")
    assert (done.returncode, done.stderr) == (0, "printed by the file\n")
    assert done.stdout.splitlines()[0] == "fill:"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["copy.plan.json", "copy.plan.json", "--devices", "all"],
        ["copy.plan.json", "--devices", "all"],
        ["kernels.py::fill", "--orders", "by_hand"],
    ],
    ids=" ".join,
)
def test_compare_nothing(folder, capsys, arguments):
    code, out, err = call(capsys, "compare", *arguments)
    assert (code, out) == (2, "")
    assert "xpected" in err or "Missing" in err


def test_progress_is_for_terminals(folder):
    lists = ["--policies", "all", "--block-size", "2", "--devices", "all"]
    assert "planning" in in_terminal("compare", "kernels.py::fill", *lists)
    done = command("compare", "kernels.py::fill", *lists)
    assert done.stderr == "printed by the file\n"
    assert "planning" not in done.stdout


def test_devices(capsys):
    code, out, _ = call(capsys, "devices")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[1:]] == [device.name for device in devices()]
    assert json.loads(call(capsys, "devices", "--json")[1]) == [device.to_dict() for device in devices()]
    device = Device.from_name("blackhole_p150")
    assert json.loads(call(capsys, "devices", "blackhole_p150", "--json")[1]) == device.to_dict()
    assert call(capsys, "devices", "blackhole_p150", "--toml")[1] == device.to_toml()
    lines = call(capsys, "devices", "blackhole_p150")[1].splitlines()
    assert [line.split()[0] for line in lines] == [*device.to_dict()]


def test_explain(capsys):
    assert call(capsys, "explain", "tt202", "TT101")[1] == errors.page("TT202") + "\n" + errors.page("TT101")
    listed = call(capsys, "explain")[1].splitlines()
    assert [line.split()[0] for line in listed[1:]] == [entry.code for entry in errors.catalogue()]


def test_schema(capsys):
    assert json.loads(call(capsys, "schema")[1]) == schema()


def test_passes(capsys):
    listed = [line.split()[0] for line in call(capsys, "passes")[1].splitlines()[1:]]
    assert listed == [
        "tt.ApplyTTDefaults",
        "tt.InferDefaultTTSchedule",
        "tt.InferDefaultTTShard",
        "tt.VerifyTTMetadata",
        "tt.GridToPersistent",
        "tt.ThreadsToLoops",
    ]
    of_host = [line.split()[0] for line in call(capsys, "passes", "--host")[1].splitlines()[7:]]
    assert {"tirx.RemoveNoOp", "tirx.FlattenBuffer"} <= {*of_host}


def test_opt(folder, capsys):
    names = "tt.ApplyTTDefaults,tt.InferDefaultTTSchedule,tirx.RemoveNoOp"
    code, out, err = call(
        capsys, "opt", "kernels.py::fill", "-p", names, "--print-ir-after", "--time-passes", "--device", "grayskull_e75"
    )
    assert code == 0
    mod = tvm.script.from_source(out)
    assert mod["fill"].attrs["tt_device"] == "grayskull_e75"
    assert mod["fill"].attrs["tt_num_tiles"] == 4
    assert re.findall(r"^# IR after (\S+)$", err, re.MULTILINE) == names.split(",")
    assert all(re.search(rf"^{re.escape(name)}: .*us", err, re.MULTILINE) for name in names.split(","))


def test_opt_writes_files_and_json(folder, capsys):
    assert call(capsys, "opt", "kernels.py::fill", "--json", "--out", "fill.json")[1] == ""
    assert [*kernels_of("fill.json")] == ["fill"]
    assert call(capsys, "opt", "fill.json", "-p", "tt.VerifyTTMetadata")[0] == 0


def test_opt_refuses(folder, capsys):
    code, _, err = call(capsys, "opt", "kernels.py::fill", "-p", "tt.InferDefaultTTSchedule")
    assert code == 1
    assert "error: TT" in err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(capsys, shell):
    code, out, _ = call(capsys, "completion", shell)
    assert code == 0
    assert "_TILELANG_TT_COMPLETE" in out


def test_completion_of_a_shell():
    """What a shell asks when a user presses the tabulator."""
    asked = {"_TILELANG_TT_COMPLETE": "bash_complete", "COMP_WORDS": "tilelang-tt dev", "COMP_CWORD": "1"}
    assert command(env=asked).stdout == "plain,devices\n"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["devices", "wormhole_n"], {"wormhole_n150", "wormhole_n300"}),
        (["show", "x", "--device", "grayskull_e7"], {"grayskull_e75"}),
        (["show", "x", "--policy", "str"], {"strided"}),
        (["explain", "TT40"], {f"TT40{digit}" for digit in range(1, 10)}),
        (["show", "kernels.py::Bo"], {"kernels.py::Both"}),
        (["show", "gone.py::Bo"], set()),
    ],
)
def test_completions(folder, words, expected):
    complete = BashComplete(cli, {}, "tilelang-tt", "_TILELANG_TT_COMPLETE")
    found = complete.get_completions(words[:-1], words[-1])
    assert {item.value for item in found if item.type == "plain"} == expected


def test_every_command_has_help():
    runner = CliRunner()
    for name, each in cli.commands.items():
        shown = runner.invoke(cli, [name, "--help"])
        assert shown.exit_code == 0
        assert each.help
        assert all(param.help for param in each.params if isinstance(param, click.Option))


def test_the_page_is_current():
    done = subprocess.run([sys.executable, "-P", str(ROOT / "tools" / "cli_page.py"), "--check"], check=False)
    assert done.returncode == 0


def test_cache(capsys, tmp_path):
    compile_kernel(copy_kernel())
    stats = cache.stats()
    assert call(capsys, "cache", "where") == (0, f"{cache.directory}\n", "")
    shown = f"folder   {cache.directory}\nentries  1\nbytes    {stats.bytes:,} of 67,108,864\n"
    assert call(capsys, "cache") == call(capsys, "cache", "stats") == (0, shown, "")
    code, out, _ = call(capsys, "cache", "--json")
    assert code == 0
    assert json.loads(out) == {
        "directory": str(cache.directory),
        "entries": 1,
        "bytes": stats.bytes,
        "limit": 64 << 20,
    }
    path = str(tmp_path / "warm.ttcache")
    code, out, note = call(capsys, "cache", "save", path)
    assert (code, out) == (0, "")
    assert re.fullmatch(rf"note: {re.escape(path)}: entries 1, bytes [\d,]+\n", note)
    assert call(capsys, "cache", "clear") == (0, "", "note: removed entries: 1\n")
    assert cache.stats().entries == 0
    assert call(capsys, "cache", "load", path) == (0, "", note)
    assert cache.stats().entries == 1


def test_cache_that_is_switched_off(capsys, monkeypatch):
    monkeypatch.setenv("TILELANG_TT_CACHE_DIR", "")
    assert call(capsys, "cache", "where") == (0, "\n", "")
    assert call(capsys, "cache")[1].startswith("folder   none: the cache on disk is switched off\n")
    assert json.loads(call(capsys, "cache", "--json")[1])["directory"] is None


@pytest.mark.parametrize(
    "arguments", [("save",), ("load",), ("clear", "x"), ("where", "--json"), ("drop",)], ids=" ".join
)
def test_cache_command_lines_that_are_wrong(capsys, arguments):
    assert call(capsys, "cache", *arguments)[0] == 2


def test_artifacts_that_are_refused(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, message = call(capsys, "cache", "load", str(tmp_path / "file"))
    assert code == 1
    assert "TT961" in message
