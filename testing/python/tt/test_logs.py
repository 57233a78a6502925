"""The log: which channels are heard, where their lines go, and what they say."""

import io
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import kernels_tirx
from support.examples import ROOT
from support.process import run_python

from tilelang.tt import (
    WorkerPool,
    apply_tt_defaults,
    counters,
    errors,
    grid_to_persistent,
    infer_default_tt_schedule,
    infer_default_tt_shard,
    logs,
    set_logs,
    verify_tt_metadata,
)
from tilelang.tt import compile as compile_kernel
from tilelang.tt.executor import dtype_of
from tilelang.tt.plan import make_plan

pytestmark = pytest.mark.stage("logs")

QUIET = {"plan": logging.ERROR}
LEVELS = {"": logging.INFO, "+": logging.DEBUG, "-": logging.ERROR}


@pytest.fixture(autouse=True)
def silent(monkeypatch):
    monkeypatch.delenv("TILELANG_TT_LOGS", raising=False)
    monkeypatch.delenv("TILELANG_TT_LOGS_OUT", raising=False)
    yield
    set_logs("")


@pytest.fixture
def kernel():
    return next(case for case in kernels_tirx.CASES if case.name == "gemm").build()


def level(channel):
    return logging.getLogger(f"tilelang.tt.{channel}").level


@given(st.lists(st.tuples(st.sampled_from(["", "+", "-"]), st.sampled_from([*logs.CHANNELS, "all"]))))
def test_levels(parts):
    set_logs(",".join(f"{sign}{name}" for sign, name in parts))
    for channel in logs.CHANNELS:
        said = [sign for sign, name in parts if name in (channel, "all")]
        assert level(channel) == (LEVELS[said[-1]] if said else QUIET.get(channel, logging.NOTSET))
    assert sum(type(handler).__module__ == logs.__name__ for handler in logging.getLogger("tilelang.tt").handlers) == (
        1 if parts else 0
    )


@pytest.mark.parametrize("setting", ["shedule", "+all,schedule.x", "++plan", "+", "plan-", "+-plan"])
def test_unknown_channel(setting):
    set_logs("cache")
    with pytest.raises(errors.OptionError, match=r"^TT985: found .*; expected one of: defaults, schedule, "):
        set_logs(setting)
    assert (level("cache"), level("schedule")) == (logging.INFO, logging.NOTSET)


def test_nearest():
    with pytest.raises(errors.OptionError, match="the nearest is schedule"):
        set_logs("shedule")
    with pytest.raises(errors.OptionError, match=r"neither before it$"):
        set_logs("bogus")


def test_file_that_cannot_be_written(monkeypatch, tmp_path):
    monkeypatch.setenv("TILELANG_TT_LOGS_OUT", str(tmp_path / "none" / "log"))
    with pytest.raises(errors.OptionError, match=r"^TT986: TILELANG_TT_LOGS_OUT is .*No such file or directory"):
        set_logs("all")
    assert level("cache") == logging.NOTSET


def lines(capsys):
    """Channel, level and message of each line on the standard error stream."""
    return [tuple(line.split(" ", 5)[3:]) for line in capsys.readouterr().err.splitlines()]


def test_every_stage_says_its_decision(kernel, capsys):
    set_logs("all")
    mod = infer_default_tt_shard(infer_default_tt_schedule(apply_tt_defaults(kernel, device="blackhole_p150")))
    grid_to_persistent(verify_tt_metadata(mod))
    said = lines(capsys)
    assert {level for _, level, _ in said} == {"INFO"}
    assert [channel for channel, _, _ in said] == [
        "defaults",
        "schedule",
        "shard",
        "shard",
        "shard",
        "verify",
        "program",
    ]
    assert said[0][2].endswith("tile_height 32, tile_width 32")
    assert "blackhole_p150" in said[0][2]
    assert "work tiles on" in said[1][2]
    assert "pages of 2048 bytes" in said[2][2]
    assert said[-1][2].endswith("each core is given start_id, count, grid_x, grid_y")


def test_details_are_the_ir(kernel, capsys):
    set_logs("+schedule")
    infer_default_tt_schedule(apply_tt_defaults(kernel))
    assert "tt_tiles_per_core" in capsys.readouterr().err


def test_a_compilation_is_told(kernel, capsys):
    set_logs("compile,-plan")
    compiled = compile_kernel(kernel)
    ((channel, level, message),) = lines(capsys)
    assert (channel, level) == ("compile", "INFO")
    assert message.startswith(f"compiled {compiled.key[:12]} {compiled.plan.kernel().name} in ")


def test_an_execution_is_told(kernel, capsys):
    compiled = compile_kernel(kernel)
    arrays = [np.zeros(buffer.shape, dtype_of(buffer.dtype)) for buffer in compiled.plan.kernel().buffers[:2]]
    set_logs("execute")
    compiled(*arrays)
    (said,) = lines(capsys)
    assert said == (
        "execute",
        "INFO",
        "main: 24 work tiles on 24 of 64 cores of wormhole_n150, contiguous, engine reference",
    )


def test_each_pass_is_timed(kernel):
    seconds = compile_kernel(kernel).seconds
    assert {"defaults", "schedule", "shard", "plan", "program"} <= {*seconds}
    assert {"schedule/tt.InferDefaultTTSchedule", "program/tt.GridToPersistent", "plan/tt.VerifyTTMetadata"} <= {
        *seconds
    }
    for part, taken in seconds.items():
        assert 0 < taken <= seconds[part.partition("/")[0]]


def test_stages_are_counted(kernel):
    before = {stage: counters[stage] for stage in ("defaults", "schedule")}
    compile_kernel(kernel)
    with pytest.raises(errors.OptionError):
        compile_kernel(kernel, options={"schedule_policy": "none"})
    assert counters["defaults"] - before["defaults"] == {"runs": 2, "refusals": 1}
    assert counters["schedule"] - before["schedule"] == {"runs": 1}


def test_warnings_of_the_plan(capsys):
    kernel = next(case for case in kernels_tirx.CASES if case.name == "gemm").build(dtype="float16")
    make_plan(kernel)
    assert capsys.readouterr().err == ""
    set_logs("plan")
    (warning, *_) = make_plan(kernel).kernel().warnings
    assert ("plan", "WARNING", f"main: {warning.code}: {warning.message}") in lines(capsys)


def test_the_callers_pass_context_is_kept(kernel):
    from tvm.ir.instrument import PassTimingInstrument, pass_instrument
    from tvm.ir.transform import PassContext

    seen = []

    @pass_instrument
    class Watch:
        def should_run(self, module, info):
            return "Shard" not in info.name

        def run_after_pass(self, module, info):
            seen.append((info.name, dict(PassContext.current().config)))

    clock, config = PassTimingInstrument(), {"testing.immutable_module": True}
    disabled = ["tt.InferDefaultTTSchedule"]
    with PassContext(opt_level=3, instruments=[Watch(), clock], config=config, disabled_pass=disabled) as context:
        infer_default_tt_schedule(apply_tt_defaults(kernel))
        seen.clear()
        compiled = compile_kernel(kernel)
        assert PassContext.current().same_as(context)
        assert "tt.ApplyTTDefaults" in clock.render()
    names = [name for name, _ in seen]
    # What stands in a cache for all must not depend on who asked: no instrument leaves out a pass.
    assert names[:3] == ["tt.ApplyTTDefaults", "tt.InferDefaultTTSchedule", "tt.InferDefaultTTShard"]
    assert all(one == config for _, one in seen)
    assert compiled.plan == compile_kernel(kernel).plan


PROGRAM = """
import sys
import tilelang.tt
print(sorted({"logging", "numpy", "tvm", "asyncio", "concurrent.futures"} & {*sys.modules}))
import logging
print([type(handler).__name__ for handler in logging.getLogger("tilelang.tt").handlers], logging.getLogger().handlers)
log = logging.getLogger("tilelang.tt.cache")
log.error("broken")
log.info("found")
log.debug("detail")
"""


def run_with(tmp_path, **environment):
    others = {name: value for name, value in os.environ.items() if not name.startswith("TILELANG_TT_")}
    environment = others | environment
    return subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )


@pytest.fixture
def bare():
    """Whether tilelang.tt is imported without TileLang's own package, which imports much and speaks itself."""
    from support.host import ON_TILELANG

    return not ON_TILELANG


def test_environment(tmp_path, bare):
    file = tmp_path / "log"
    environment = {"TILELANG_TT_LOGS": "cache, +nothing", "TILELANG_TT_LOGS_OUT": str(file)}
    ran = run_with(tmp_path, **environment)
    run_with(tmp_path, **environment)
    said = file.read_text().splitlines()
    assert [line.split(" ", 3)[3] for line in said if not line.startswith("help")] == [
        'tt WARNING TT985: TILELANG_TT_LOGS: found "+nothing"; expected one of: '
        + ", ".join([*logs.CHANNELS, "all"])
        + ", with + or - or neither before it",
        "cache ERROR broken",
        "cache INFO found",
    ] * 2
    assert "['_Lines'] []" in ran.stdout
    assert not bare or ran.stderr == ""


def test_environment_with_a_file_that_cannot_be_written(tmp_path):
    ran = run_with(tmp_path, TILELANG_TT_LOGS="-all", TILELANG_TT_LOGS_OUT=str(tmp_path / "none" / "log"))
    assert "tt WARNING TT986: TILELANG_TT_LOGS_OUT is " in ran.stderr
    assert "cache ERROR broken" in ran.stderr
    assert "found" not in ran.stderr


def test_silent_without_the_variable(tmp_path, bare):
    ran = run_with(tmp_path)
    assert "[] " in ran.stdout
    if bare:
        assert ran.stdout.startswith("[]\n")
        assert ran.stderr == "broken\n"


def test_first_of_all(tmp_path):
    """It may be the log itself that imports Python's."""
    assert run_python("from tilelang.tt import set_logs\nset_logs('cache')\nprint('set')", tmp_path) == "set\n"


def test_levels_that_were_there_stay(tmp_path):
    code = """
    import logging
    logging.getLogger("tilelang.tt").setLevel(logging.INFO)
    import tilelang.tt
    print(logging.getLogger("tilelang.tt.cache").isEnabledFor(logging.INFO))
    """
    assert run_python(code, tmp_path).endswith("True\n")


def test_quiet_where_nothing_is_set(tmp_path):
    code = """
    import logging
    import tilelang.tt
    names = ["tilelang.tt", "tilelang.tt.cache", "tilelang.tt.plan"]
    print([logging.getLevelName(logging.getLogger(name).getEffectiveLevel()) for name in names])
    """
    assert run_python(code, tmp_path).endswith("['WARNING', 'WARNING', 'ERROR']\n")


def test_lines_of_many_processes_are_whole(tmp_path):
    file = tmp_path / "log"
    code = f"""
    import os
    os.environ |= {{"TILELANG_TT_LOGS": "cache", "TILELANG_TT_LOGS_OUT": {str(file)!r}}}
    import multiprocessing, logging, tilelang.tt
    def speak(letter):
        for _ in range(200):
            logging.getLogger("tilelang.tt.cache").info(letter * 3000)
    started = [multiprocessing.get_context("fork").Process(target=speak, args=(letter,)) for letter in "abcd"]
    for process in started: process.start()
    for process in started: process.join()
    """
    run_python(code, tmp_path)
    said = [line.rsplit(" ", 1)[1] for line in file.read_text().splitlines()]
    assert sorted(said) == sorted(letter * 3000 for letter in "abcd" for _ in range(200))


def test_workers_are_heard_where_their_parent_is(kernel, capfd):
    set_logs("compile")
    with WorkerPool() as pool:
        compiled = compile_kernel(kernel, mode="subprocess", pool=pool)
    ((process, channel, _, message),) = [line.split(" ", 5)[2:] for line in capfd.readouterr().err.splitlines()]
    assert (channel, int(process) != os.getpid()) == ("compile", True)
    assert compiled.key[:12] in message


def test_workers_are_silent_where_their_parent_is(kernel, capfd, monkeypatch):
    monkeypatch.setenv("TILELANG_TT_LOGS", "all")  # and then it was set otherwise
    with WorkerPool() as pool:
        compile_kernel(kernel, mode="subprocess", pool=pool)
    assert capfd.readouterr().err == ""


def test_workers_without_a_stream(kernel, monkeypatch):
    set_logs("compile")
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with WorkerPool() as pool:
        compile_kernel(kernel, mode="subprocess", pool=pool)


def test_every_logger_is_a_channel():
    sources = [file.read_text(encoding="utf-8") for file in Path(logs.__file__).parent.rglob("*.py")]
    found = set(re.findall(r'getLogger\("tilelang\.tt\.(\w+)"\)', "".join(sources)))
    assert {"cache", "compile", "many", "worker"} <= found <= {*logs.CHANNELS}


def test_the_page_lists_the_channels():
    page = (ROOT / "docs" / "logs.md").read_text(encoding="utf-8")
    assert [line for line in page.splitlines() if line.startswith("| `")] == [
        f"| `{channel}` | {sentence} |" for channel, sentence in logs.CHANNELS.items()
    ]
