"""The stages of a compilation, one after the other: from a kernel and its options to the entry of its result."""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .. import _library, transform
from .._counters import counters
from .._decisions import tell
from ..errors import InternalError, TTError, refusal
from ..plan import Plan, make_plan
from . import repro
from .entry import Entry
from .request import Request
from .timing import Timing
from .transport import encode

if TYPE_CHECKING:
    from tvm.ir import IRModule

_log = logging.getLogger("tilelang.tt.compile")


def compile_request(request: Request) -> Entry:
    """Compile in this process. Warnings become a part of the plan.

    Raises:
        TTError: Whatever the stages refuse.
        InternalError: A stage failed for a reason of its own; the message names the reproducer of it.
    """
    counters.count("compile", "in_process")
    timing = Timing()
    module = _module_of(request)
    with _library.collect_warnings():
        for stage in ("defaults", "schedule", "shard"):
            module = _run(timing, stage, request, module)
            tell(stage, module)
        plan = _run(timing, "plan", request, module)
        program = _run(timing, "program", request, module)
        tell("program", program)
    _log.info("compiled %s %s in %.3f ms", request.key[:12], request.name, timing.total * 1e3)
    for part, seconds in timing.seconds.items():
        _log.debug("%s %s in %.3f ms", request.key[:12], part, seconds * 1e3)
    return Entry(
        key=request.key,
        name=request.name,
        plan=_without_places(plan).to_json(),
        func=encode(module[request.name]),
        program=encode(program[request.name]),
        seconds=timing.seconds,
    )


def reproduce(stage: str, request: str, error: str) -> int:
    """Do one stage again and print what happens: what a reproducer runs.

    Args:
        stage: One of ``STAGES``, or ``"compile"`` for all of them.
        request: As text; its kernel is the one before that stage.
        error: What the stage once raised, as :func:`tilelang.tt.service.repro.described` tells it.

    Returns:
        What a program exits with: 0 where nothing fails any more, else 1.
    """
    again = Request.from_bytes(request.encode())
    try:
        with _library.collect_warnings():
            if stage == "compile":
                compile_request(again)
            else:
                STAGES[stage](again)(_module_of(again))
    except Exception as found:
        now, before = repro.one_line(found), error.splitlines()
        if any(line.startswith(now) for line in before):
            print(f"stage {stage} fails as it did: {now}")
        else:
            told = next((line for line in before if not line.startswith("  ")), "")
            print(f"stage {stage} fails otherwise: {now}\nit failed with: {told}")
        return 1
    print(f"stage {stage}: no failure any more")
    return 0


def _module_of(request: Request) -> "IRModule":
    from tvm.ir import IRModule

    return IRModule({request.name: request.func.with_attr("global_symbol", request.name)})


def _run(timing: Timing, stage: str, request: Request, module: "IRModule") -> Any:
    with timing.of(stage):
        try:
            return STAGES[stage](request)(module)
        except Exception as error:
            if isinstance(error, TTError) and not isinstance(error, InternalError):
                raise  # a mistake in the kernel or in what was asked for
            path = repro.write(request, stage, error, module[request.name])
            told = f"stage {stage} of kernel `{request.name}` failed with {repro.one_line(error)}"
            raise refusal("TT901", told if path is None else f"{told}\nhelp: report it, with {path}") from error


def _program(module: "IRModule") -> "IRModule":
    return transform.ThreadsToLoops()(transform.GridToPersistent()(module))


def _without_places(plan: Plan) -> Plan:
    origins = [
        replace(origin, source=None, warning_sources=(None,) * len(origin.warning_sources))
        for origin in plan.provenance.kernels
    ]
    return replace(plan, provenance=replace(plan.provenance, kernels=tuple(origins)))


# What each stage does with the module of a request. All but `plan` give the module that comes after them.
STAGES: dict[str, Callable[[Request], Callable[[Any], Any]]] = {
    "defaults": lambda request: transform.ApplyTTDefaults(**request.inputs),
    "schedule": lambda request: transform.InferDefaultTTSchedule(),
    "shard": lambda request: transform.InferDefaultTTShard(),
    "plan": lambda request: make_plan,
    "program": lambda request: _program,
}
