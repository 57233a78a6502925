"""Commands that run to their end, and those that do not: output, time, memory, and what they leave behind."""

import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
from io import StringIO

import psutil
import pytest

from tilelang.tt.testing import process
from tilelang.tt.testing.process import Ended, run

pytestmark = pytest.mark.stage("testing")

LONG = 600  # seconds: nothing that a test waits for


def python(code, *arguments):
    return [sys.executable, "-S", "-c", textwrap.dedent(code), *map(str, arguments)]


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log.txt"


@pytest.fixture(autouse=True)
def short_grace(monkeypatch):
    monkeypatch.setattr(process, "GRACE_SECONDS", 0.3)
    monkeypatch.setattr(process, "LINGER_SECONDS", 0.3)


def is_gone(pid):
    """Whether there is no such process, or only one that waits for its parent to look."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("code", [0, 1, 5, 255])
def test_exit_code(code):
    ended = run(python(f"raise SystemExit({code})"))
    assert (ended.code, ended.signal, ended.timed_out, ended.exit_code, ended.left) == (code, None, False, code, ())


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGKILL", "SIGABRT", "SIGTERM"])
def test_signal_is_named(name):
    ended = run(python(f"import os, signal; os.kill(os.getpid(), signal.{name})"))
    assert (ended.code, ended.signal, ended.timed_out) == (None, name, False)
    assert ended.exit_code == 128 + signal.Signals[name]


@pytest.mark.skipif(not hasattr(signal, "SIGRTMIN"), reason="no real-time signals here")
def test_signal_without_a_name():
    number = signal.SIGRTMIN + 3
    ended = run(python(f"import os; os.kill(os.getpid(), {number})"))
    assert (ended.signal, ended.exit_code) == (f"SIG{number}", 128 + number)


def test_output_of_both_streams_in_order(log):
    run(python("import os\nfor i in range(9): os.write(1 + i % 2, b'%d' % i)"), log=log)
    assert log.read_bytes() == b"012345678"


def test_output_is_bytes(log, capfdbinary):
    data = bytes(range(256)) * 5
    code = "import sys; sys.stdout.buffer.write(bytes(range(256)) * 5)"
    assert run(python(code), log=log, echo=True).code == 0
    assert log.read_bytes() == capfdbinary.readouterr().out == data


def test_echo_to_a_stdout_of_text(monkeypatch):
    shown = StringIO()
    monkeypatch.setattr(sys, "stdout", shown)
    # A letter of two bytes that come one by one.
    run(python(r"import os, time; os.write(1, b'\xc3'); time.sleep(0.05); os.write(1, b'\xa4')"), echo=True)
    assert shown.getvalue() == "ä"


def test_nothing_is_echoed_unless_asked(capfd):
    run(python("print('quiet')"))
    assert capfd.readouterr().out == ""


def test_output_comes_at_once(log, tmp_path):
    """The command waits for its own unfinished line to be in the log."""
    code = """
        import pathlib, sys, time
        print("a partial line", end="", flush=True)
        while pathlib.Path(sys.argv[1]).read_bytes() != b"a partial line":
            time.sleep(0.01)
    """
    assert run(python(code, log), log=log, time_limit=60).code == 0


def test_huge_output(log):
    ended = run(python("import sys\nfor _ in range(64): sys.stdout.write('x' * (1 << 20))"), log=log)
    assert ended.code == 0
    assert log.stat().st_size == 64 << 20


def test_no_output(log):
    assert run(["true"], log=log).code == 0
    assert log.read_bytes() == b""


def test_no_input():
    assert run(python("import sys; raise SystemExit(len(sys.stdin.read()))")).code == 0


def test_closed_output_is_not_the_end(log):
    ended = run(python("import os, time; os.close(1); os.close(2); time.sleep(0.4); os._exit(7)"), log=log)
    assert ended.code == 7
    assert ended.seconds >= 0.4


@pytest.mark.parametrize("command", ["no-such-command", "./not-there"])
def test_command_is_not_there(command, log):
    with pytest.raises(FileNotFoundError):
        run([command], log=log)


def test_file_that_is_no_program(tmp_path):
    (tmp_path / "data").write_text("")
    with pytest.raises(PermissionError):
        run([str(tmp_path / "data")])


def test_log_that_cannot_be_written(tmp_path):
    flag = tmp_path / "started"
    with pytest.raises(FileNotFoundError):
        run(["touch", str(flag)], log=tmp_path / "nowhere" / "log")
    assert not flag.exists()


def test_environment_is_as_given(log):
    # What the loader of a platform or Python's own start adds is not ours: /usr/bin/env prints what it was given.
    run(["/usr/bin/env"], env={"ONE": "1", "EMPTY": ""}, log=log)
    assert sorted(log.read_text().splitlines()) == ["EMPTY=", "ONE=1"]


def test_environment_of_this_process(log, monkeypatch):
    monkeypatch.setenv("TILELANG_TT_OF_A_TEST", "here")
    run(["/usr/bin/env"], log=log)
    by_hand = subprocess.run(["/usr/bin/env"], stdout=subprocess.PIPE, check=True).stdout
    assert log.read_bytes() == by_hand


def test_folder(log, tmp_path):
    run(["pwd", "-P"], cwd=tmp_path, log=log)
    assert log.read_text() == f"{tmp_path.resolve()}\n"


def test_time_limit_of_what_cleans_up(log, late, tmp_path, monkeypatch):
    code = """
        import pathlib, sys, time
        try:
            pathlib.Path(sys.argv[1]).touch()
            time.sleep(600)
        except KeyboardInterrupt:
            print("cleaned up")
            raise SystemExit(3)
    """
    late("ready")
    monkeypatch.setattr(process, "GRACE_SECONDS", LONG)
    with process.interruptible():  # a shell in the background would have it, and what it starts, ignore SIGINT
        ended = run(python(code, tmp_path / "ready"), log=log, time_limit=LONG)
    assert (ended.timed_out, ended.code, ended.exit_code) == (True, 3, 124)
    assert log.read_text() == "cleaned up\n"


def test_time_limit_of_what_waits_for_those_who_refuse(log, late, tmp_path, monkeypatch):
    """As pytest-xdist does: its workers ignore SIGINT, and pytest says what has run once they are gone."""
    code = """
        import pathlib, subprocess, sys
        helper = subprocess.Popen(["sh", "-c", "trap '' INT; echo; exec sleep 600"], stdout=subprocess.PIPE)
        helper.stdout.readline()
        try:
            pathlib.Path(sys.argv[1]).touch()
            helper.wait()
        except KeyboardInterrupt:
            print("a helper ended by", -helper.wait())
            raise SystemExit(3)
    """
    send = process._Running._signal

    def send_the_last_in_time(running, number):
        if number == signal.SIGTERM:
            monkeypatch.setattr(process, "GRACE_SECONDS", LONG)
        send(running, number)

    late("ready")
    monkeypatch.setattr(process._Running, "_signal", send_the_last_in_time)
    ended = run(python(code, tmp_path / "ready"), log=log, time_limit=LONG)
    assert (ended.timed_out, ended.code) == (True, 3)
    assert log.read_text() == f"a helper ended by {signal.SIGTERM}\n"


def test_time_limit_of_what_refuses(late, tmp_path):
    code = """
        import pathlib, signal, sys, time
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        pathlib.Path(sys.argv[1]).touch()
        time.sleep(600)
    """
    late("ready")
    ended = run(python(code, tmp_path / "ready"), time_limit=LONG)
    assert (ended.timed_out, ended.code, ended.signal, ended.exit_code) == (True, None, "SIGKILL", 124)


CHILDREN = {
    "child": "subprocess.Popen([sys.executable, '-S', '-c', SLEEP])",
    "session": "subprocess.Popen([sys.executable, '-S', '-c', SLEEP], start_new_session=True)",
    "grandchild": "subprocess.Popen(['sh', '-c', f'{sys.executable} -S -c \"{SLEEP}\" & wait'])",
    "orphan": "subprocess.run(['sh', '-c', f'{sys.executable} -S -c \"{SLEEP}\" &'])",
    "child that refuses": "subprocess.Popen(['sh', '-c', f'trap \"\" INT TERM; {sys.executable} -S -c \"{SLEEP}\"'])",
}


@pytest.fixture
def parent(tmp_path):
    """A program that starts a process, and ends when there is a file; and the process writes its identity to one."""
    sleep = f"import os, time; open('{tmp_path}/new', 'w').write(str(os.getpid())); " + (
        f"os.rename('{tmp_path}/new', '{tmp_path}/pid'); time.sleep(600)"
    )

    def program(kind):
        started = f"""
            import os, subprocess, sys, time
            SLEEP = {sleep!r}
            {CHILDREN[kind]}
            while not os.path.exists("{tmp_path}/seen"):
                time.sleep(0.01)
            os._exit(0)  # waits for nobody
        """
        return python(started)

    return program


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """Makes a file once the processes have been looked at while other files were there."""
    look = process._Running._look

    def watch(*names):
        def looked(running):
            were_there = all((tmp_path / name).exists() for name in names)
            look(running)
            if were_there:
                (tmp_path / "seen").touch()

        monkeypatch.setattr(process._Running, "_look", looked)

    return watch


@pytest.fixture
def late(tmp_path, monkeypatch):
    """A clock that is far ahead once there is a file: limits of time without waiting."""
    now = time.monotonic

    def jump(name):
        path = tmp_path / name
        monkeypatch.setattr(process.time, "monotonic", lambda: now() + (2 * LONG if path.exists() else 0))

    return jump


@pytest.mark.parametrize("kind", CHILDREN)
def test_time_limit_is_of_the_whole_tree(kind, parent, late, tmp_path):
    late("pid")
    ended = run(parent(kind), time_limit=LONG)
    assert ended.timed_out
    assert is_gone(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("kind", CHILDREN)
def test_what_is_left_behind_is_ended_and_listed(kind, parent, watched, tmp_path):
    """Also: the pipe stays open, and nobody waits for it."""
    watched("pid")
    ended = run(parent(kind), time_limit=LONG)
    assert (ended.code, ended.timed_out) == (0, False)
    assert is_gone(int((tmp_path / "pid").read_text()))
    assert any("time.sleep(600)" in line for line in ended.left)


def test_helpers_may_end_after_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "LINGER_SECONDS", LONG)
    code = "import subprocess; subprocess.Popen(['sh', '-c', 'sleep 0.2; touch \"$0\"', '%s'])"
    assert run(python(code % (tmp_path / "done"))).left == ()
    assert (tmp_path / "done").exists()


def test_what_is_written_last_is_kept(log):
    ended = run(python("import os; os.write(1, b'x' * 60000); os.kill(os.getpid(), 9)"), log=log)
    assert (ended.signal, log.stat().st_size) == ("SIGKILL", 60000)


INTERRUPTS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # psutil may have a file open then
@pytest.mark.parametrize(
    ("number", "former"),
    [
        *((number, former) for number in INTERRUPTS for former in (signal.SIG_DFL, signal.default_int_handler)),
        (signal.SIGINT, signal.SIG_IGN),
        (signal.SIGTERM, signal.SIG_IGN),
    ],
)
def test_interrupt_ends_the_tree(number, former, parent, tmp_path):
    """Also where a shell has made this process ignore it."""
    before = {n: signal.signal(n, former) for n in INTERRUPTS}
    interrupter = threading.Thread(target=_interrupt_once_there_is, args=(tmp_path / "pid", number))
    try:
        interrupter.start()
        with process.interruptible(), pytest.raises(KeyboardInterrupt):
            run(parent("session"))
        assert signal.getsignal(number) == former
    finally:
        interrupter.join()
        for n, handler in before.items():
            signal.signal(n, handler)
    assert is_gone(int((tmp_path / "pid").read_text()))


def test_a_parent_that_ignores_the_ends_of_its_children():
    """Who starts this process may have it ignore them, and nobody would learn its exit code."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with process.interruptible():
            assert run(python("raise SystemExit(3)")).code == 3
        assert signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_a_terminal_that_is_closed_may_be_ignored():
    """As by nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with process.interruptible():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def _interrupt_once_there_is(path, number):
    while not path.exists():
        time.sleep(0.01)
    os.kill(os.getpid(), number)


def test_output_that_nobody_takes_ends_the_tree(parent, tmp_path, monkeypatch):
    class Full:
        def write(self, data):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(process, "_stdout", Full)
    code = f"""
        import os, time
        open("{tmp_path}/pid", "w").write(str(os.getpid()))
        print("something", flush=True)
        time.sleep(600)
    """
    with pytest.raises(OSError, match="No space left"):
        run(python(code), echo=True)
    assert is_gone(int((tmp_path / "pid").read_text()))


MIB = 1 << 20


def test_peak_memory_of_one_process():
    """Exact, also where it had it for a moment only."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * process._RSS_UNIT + 64 * MIB
    ended = run(python("import sys; x = b'x' * int(sys.argv[1]); del x", most))
    assert most <= ended.peak_bytes < most + 64 * MIB


def test_peak_memory_of_several(tmp_path, watched):
    """Three processes that have it at a time, and wait until that has been seen."""
    code = """
        import os, pathlib, sys, time
        here = pathlib.Path(sys.argv[1])
        name = "a" if os.fork() == 0 else "b" if os.fork() == 0 else "c"
        x = b"x" * (40 << 20)
        (here / name).touch()
        while not (here / "seen").exists():
            time.sleep(0.01)
        if name == "c":
            os.wait(), os.wait()
    """
    watched("a", "b", "c")
    ended = run(python(code, tmp_path))
    assert ended.code == 0
    assert ended.peak_bytes >= 120 * MIB


def test_peak_memory_is_not_that_of_this_process(tmp_path, watched):
    """The kernel counts what this process ever had for its children, until they have more."""
    watched()
    wait = f"import os, time\nwhile not os.path.exists('{tmp_path}/seen'): time.sleep(0.01)"
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * process._RSS_UNIT
    assert 0 < run(python(wait)).peak_bytes < most / 2


def test_time_is_measured():
    assert 0.2 <= run(["sleep", "0.2"]).seconds < 60


def test_several_at_a_time():
    results = {}

    def one(code):
        results[code] = run(python(f"raise SystemExit({code})"))

    threads = [threading.Thread(target=one, args=(code,)) for code in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {code: ended.code for code, ended in results.items()} == {code: code for code in range(4)}


def test_ended_is_a_value():
    assert Ended(0, None, False, 1.0, None) == Ended(0, None, False, 1.0, None, ())
