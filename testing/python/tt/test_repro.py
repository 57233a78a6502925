"""Reproducers: whatever fails inside leaves a script that shows it, and shows nothing else."""

import getpass
import re
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from support import kernels_tirx

from tilelang.tt import compile as compile_kernel
from tilelang.tt import counters, errors
from tilelang.tt.service import repro, stages
from tilelang.tt.service.request import Request

pytestmark = pytest.mark.stage("compile")

STAGES = ["defaults", "schedule", "shard", "plan", "program"]


@pytest.fixture
def kernel():
    return next(case for case in kernels_tirx.CASES if case.name == "gemm").build()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    folder = tmp_path / "reproducers"
    monkeypatch.setenv(repro.FOLDER, str(folder))
    monkeypatch.setattr(repro, "MOST", 10**9)
    return folder


def break_stage(monkeypatch, stage, error):
    def fail(argument):
        raise error

    monkeypatch.setitem(stages.STAGES, stage, lambda request: fail)


def run(script, tmp_path, before=""):
    """In a process of its own, which knows nothing of this one; ``before`` may break something in it."""
    code = f"{before}\nimport runpy\nrunpy.run_path({str(script)!r}, run_name='__main__')"
    return subprocess.run(
        [sys.executable, "-P", "-c", textwrap.dedent(code)], cwd=tmp_path, capture_output=True, text=True, check=False
    )


def broken_again(stage):
    return (
        "from tilelang.tt.service import stages\n"
        "def fail(argument): raise ZeroDivisionError('no cores')\n"
        f"stages.STAGES[{stage!r}] = lambda request: fail\n"
    )


@pytest.mark.parametrize("stage", STAGES)
def test_a_failure_of_a_stage_is_reproduced(stage, kernel, monkeypatch, folder, tmp_path):
    break_stage(monkeypatch, stage, ZeroDivisionError("no cores"))
    with pytest.raises(errors.InternalError, match=f"TT901: stage {stage} .*ZeroDivisionError: no cores") as caught:
        compile_kernel(kernel, "blackhole_p150", {"tile_height": 16}, cache=False)
    (script,) = folder.iterdir()
    assert str(script) in str(caught.value)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)

    again = run(script, tmp_path, broken_again(stage))
    assert (again.returncode, again.stderr) == (1, "")
    assert again.stdout == f"stage {stage} fails as it did: ZeroDivisionError: no cores\n"


def test_a_reproducer_says_what_has_changed(kernel, monkeypatch, folder, tmp_path):
    stage = "shard"
    break_stage(monkeypatch, stage, ZeroDivisionError("no cores"))
    with pytest.raises(errors.InternalError):
        compile_kernel(kernel, cache=False)
    (script,) = folder.iterdir()
    other = run(script, tmp_path, broken_again(stage).replace("no cores", "something else"))
    assert other.returncode == 1
    assert "fails otherwise: ZeroDivisionError: something else" in other.stdout
    assert "it failed with: ZeroDivisionError: no cores" in other.stdout

    mended = run(script, tmp_path)
    assert (mended.returncode, mended.stdout, mended.stderr) == (0, f"stage {stage}: no failure any more\n", "")


def test_a_bug_of_this_package_names_its_reproducer(kernel, monkeypatch, folder):
    break_stage(monkeypatch, "shard", errors.refusal("TT901", "this cannot be"))
    with pytest.raises(errors.InternalError, match=r"TT901: .*this cannot be") as caught:
        compile_kernel(kernel, cache=False)
    assert caught.value.code == "TT901"
    assert str(next(folder.iterdir())) in str(caught.value)


def test_what_a_user_does_wrong_leaves_nothing(kernel, monkeypatch, folder):
    break_stage(monkeypatch, "shard", errors.refusal("TT401", "no such dtype"))
    with pytest.raises(errors.OptionError, match="TT401: no such dtype"):
        compile_kernel(kernel, cache=False)
    assert not folder.exists()


def test_a_whole_compilation_is_reproduced(kernel, folder, tmp_path):
    """What a worker leaves when it dies: nobody knows in which stage."""
    path = repro.write(Request.of(kernel, None, None, None), "compile", errors.refusal("TT901", "worker died"))
    done = run(path, tmp_path)
    assert done.stdout == "stage compile: no failure any more\n"
    assert done.returncode == 0


def test_a_reproducer_has_what_is_needed_and_nothing_private(kernel, monkeypatch, folder, tmp_path):
    private = tmp_path / "secret project" / "kernels.py"
    error = RuntimeError(
        f"cannot read {private} and /home/somebody/src/x.cc:12 at 0x7f1234567890\n  --> kernels_tirx.py:7\n"
    )
    break_stage(monkeypatch, "shard", error)
    with pytest.raises(errors.InternalError):
        compile_kernel(kernel, options={"schedule_policy": "strided"}, cache=False)
    (script,) = folder.iterdir()
    text = script.read_text()
    assert "strided" in text
    assert "# " in text
    assert "T.prim_func" in text
    assert "tilelang/tt/service/stages.py:" in text
    assert re.search(r"^tilelang-tt \d", text, re.MULTILINE)
    hidden = ["/home", "/root", "/tmp", "/usr", "0x7f", "secret", "kernels_tirx", str(Path.home()), str(Path.cwd())]
    for word in [*hidden, f"/{getpass.getuser()}"]:
        assert word not in text, word
    assert not re.search(rf"\b{re.escape(socket.gethostname())}\b", text)
    assert text.isascii() or "T.prim_func" in text
    assert all(len(line) <= 240 for line in text.splitlines() if not line.startswith("# "))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("open /a/b/c.py failed", "open c.py failed"),
        ("(m + 31) // 32 and a/b", "(m + 31) // 32 and a/b"),
        ('File "/a/b c/d.py", line 3', 'File "d.py", line 3'),
        ("at 0x7fff12345678", "at 0x..."),
        ("tensor of 0x10", "tensor of 0x10"),
        ("/workspace/src/tirx/x.cc:33: Check", "x.cc:33: Check"),
        ("wrong\n  --> /a/b.py:3\nhelp: x", "wrong\nhelp: x"),
        ("see /a/b c/d.py: no", "see d.py: no"),
        ("(m / 32) / n and 3 /4/ 5", "(m / 32) / n and 3  5"),
        ("", ""),
    ],
)
def test_scrub(text, expected):
    assert repro.scrub(text) == expected


def test_equal_failures_are_one_file(kernel, monkeypatch, folder):
    break_stage(monkeypatch, "plan", ZeroDivisionError("no cores"))
    for _ in range(3):
        with pytest.raises(errors.InternalError):
            compile_kernel(kernel, cache=False)
    assert len(list(folder.iterdir())) == 1
    break_stage(monkeypatch, "plan", ZeroDivisionError("no banks"))
    with pytest.raises(errors.InternalError):
        compile_kernel(kernel, cache=False)
    assert len(list(folder.iterdir())) == 2


def test_a_process_writes_so_many(kernel, monkeypatch, folder):
    monkeypatch.setattr(repro, "MOST", counters["repro"]["written"] + 2)
    request = Request.of(kernel, None, None, None)
    written = [repro.write(request, "compile", ValueError(number)) for number in range(4)]
    assert [path is not None for path in written] == [True, True, False, False]
    assert len(list(folder.iterdir())) == 2


def test_without_a_folder_of_its_own_it_lies_where_the_program_runs(kernel, monkeypatch, tmp_path):
    monkeypatch.delenv(repro.FOLDER)
    monkeypatch.chdir(tmp_path)
    path = repro.write(Request.of(kernel, None, None, None), "compile", ValueError("x"))
    assert path.parent == tmp_path


def test_where_that_cannot_be_written_it_lies_with_temporary_files(kernel, monkeypatch, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    temporary = tmp_path / "temporary"
    monkeypatch.setenv(repro.FOLDER, str(file / "folder"))
    monkeypatch.setattr(repro.tempfile, "gettempdir", lambda: str(temporary))
    path = repro.write(Request.of(kernel, None, None, None), "compile", ValueError("x"))
    assert path.parent == temporary


def test_what_cannot_be_written_hides_nothing(kernel, monkeypatch, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setenv(repro.FOLDER, str(file / "folder"))
    monkeypatch.setattr(repro.tempfile, "gettempdir", lambda: str(file / "temporary"))
    break_stage(monkeypatch, "plan", ZeroDivisionError("no cores"))
    with pytest.raises(errors.InternalError, match="ZeroDivisionError: no cores") as caught:
        compile_kernel(kernel, cache=False)
    assert "tt-repro" not in str(caught.value)
    monkeypatch.setattr(repro, "_text", lambda *_: 1 / 0)
    with pytest.raises(errors.InternalError, match="no cores"):
        compile_kernel(kernel, cache=False)


def test_no_half_written_file_stays(kernel, monkeypatch, folder):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(repro.os, "replace", fail)
    monkeypatch.setattr(repro.tempfile, "gettempdir", lambda: str(folder))
    assert repro.write(Request.of(kernel, None, None, None), "compile", ValueError("x")) is None
    assert list(folder.iterdir()) == []


def test_odd_texts_survive(kernel, folder, tmp_path):
    request = Request.of(kernel.with_attr("note", "'''\"\"\"\\ \u2028 é {x}"), None, None, None)
    path = repro.write(request, "compile", ValueError("\"\"\" ''' \\ {x} %s \u2028"))
    done = run(path, tmp_path)
    assert done.stdout == "stage compile: no failure any more\n", done.stderr
