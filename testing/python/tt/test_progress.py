"""Bars: on a terminal, without one, and without rich."""

import io
import sys

import pytest
from support import kernels_tirx
from support.compilers import PATIENCE, Here

from tilelang.tt import Search, errors
from tilelang.tt import compile as compile_kernel
from tilelang.tt.service import progress
from tilelang.tt.service.progress import open_bar

pytestmark = pytest.mark.stage("search")


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self):
        return True


@pytest.fixture
def drawn_on(monkeypatch):
    """Puts a stream in the place of the error stream; pytest puts its own there before a test, after its fixtures."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)

    def put(stream):
        monkeypatch.setattr(sys, "stderr", stream)
        return stream

    return put


def test_on_a_terminal(drawn_on):
    terminal = drawn_on(Terminal())
    bar = open_bar("search gemm", None)
    bar.update(3, 10, "best: [100] cycles")
    bar.close()
    assert "search gemm" in terminal.getvalue()
    assert "3/10" in terminal.getvalue()
    assert "best: [100] cycles" in terminal.getvalue()
    assert terminal.getvalue().endswith("\x1b[?25h")  # the cursor is shown again


def test_a_short_line_shows_every_number(drawn_on, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    terminal = drawn_on(Terminal())
    bar = open_bar("search gemm", True)
    bar.update(24, 35, "best: 391,022 cycles, 72.7% fewer: block_M=256, block_N=256")
    bar.close()
    assert "24/35" in terminal.getvalue()
    assert "0:00:0" in terminal.getvalue()
    assert "best: 391,022 cycles, 72.7%" in terminal.getvalue()
    assert "…" in terminal.getvalue()


def test_bars_of_several_pieces_of_work_are_drawn_together(drawn_on):
    terminal = drawn_on(Terminal())
    one, two = open_bar("one", True), open_bar("two", True)
    one.update(1, 2)
    two.update(3, 4)
    one.close()
    two.update(4, 4)
    two.close()
    last = terminal.getvalue().rpartition("one")[2]
    assert "1/2" in last
    assert "4/4" in last


def test_without_a_terminal_there_are_no_control_characters(drawn_on):
    no_terminal = drawn_on(io.StringIO())
    bar = open_bar("search gemm", True)
    bar.update(3, 10, "so far")
    bar.close()
    assert "3/10" in no_terminal.getvalue()
    assert "\x1b" not in no_terminal.getvalue()


@pytest.mark.parametrize(("stream", "wanted"), [(io.StringIO, None), (io.StringIO, False), (Terminal, False)])
def test_quiet_without_a_terminal_and_where_nothing_is_wanted(drawn_on, stream, wanted):
    drawn = drawn_on(stream())
    bar = open_bar("search gemm", wanted)
    bar.update(3, 10)
    bar.close()
    assert drawn.getvalue() == ""


def test_a_stream_that_is_closed_harms_nobody(drawn_on):
    terminal = drawn_on(Terminal())
    bar = open_bar("search gemm", True)
    terminal.close()
    bar.update(1, 2)
    bar.close()
    terminal = drawn_on(Terminal())
    bar = open_bar("the next", True)
    bar.close()
    assert "the next" in terminal.getvalue()


def test_without_rich(drawn_on, monkeypatch):
    terminal = drawn_on(Terminal())
    monkeypatch.setattr(progress, "find_spec", lambda name: None)
    open_bar("search gemm", None).update(1, 2)
    assert terminal.getvalue() == ""
    with pytest.raises(errors.HostError, match=r'TT984: progress is True, and rich.*pip install "tilelang-tt\[cli\]"'):
        open_bar("search gemm", True)
    with pytest.raises(errors.HostError, match="TT984"):
        compile_kernel(kernels_tirx.gemm(), mode="async", search=True, progress=True)


def test_a_search_says_what_is_best(drawn_on):
    terminal = drawn_on(Terminal())

    def build(block_N=16):
        return kernels_tirx.gemm(32, 64, 16, 16, block_N, "float32")

    space = Search(policies=(), orders=(), tiles=(), parameters={"block_N": (32,)})
    handle = compile_kernel(build, mode="async", pool=Here(), search=space, progress=True).wait(PATIENCE)
    assert handle.history[-1].outcome == "upgraded"
    drawn = terminal.getvalue()
    assert "search main" in drawn
    assert "0/1" in drawn
    assert "best: the default, " in drawn
    assert "1/1" in drawn
    assert f"best: {handle.history[-1].cycles:,.0f} cycles, " in drawn
