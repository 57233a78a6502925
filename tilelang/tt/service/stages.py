"""The stages of a compilation, one after the other: from a kernel and its options to the entry of its result."""

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .. import _library, transform
from .._counters import counters
from .._decisions import tell
from ..plan import Plan, make_plan
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
    """
    from tvm.ir import IRModule

    counters.count("compile", "in_process")
    timing = Timing()
    module = IRModule({request.name: request.func.with_attr("global_symbol", request.name)})
    with _library.collect_warnings():
        for stage, pass_ in (
            ("defaults", transform.ApplyTTDefaults(**request.inputs)),
            ("schedule", transform.InferDefaultTTSchedule()),
            ("shard", transform.InferDefaultTTShard()),
        ):
            module = _stage(timing, stage, pass_, module)
        with timing.of("plan"):
            plan = make_plan(module)
        program = _stage(timing, "program", _program, module)
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


def _stage(timing: Timing, stage: str, run: Any, module: "IRModule") -> "IRModule":
    with timing.of(stage):
        module = run(module)
    tell(stage, module)
    return module


def _program(module: "IRModule") -> "IRModule":
    return transform.ThreadsToLoops()(transform.GridToPersistent()(module))


def _without_places(plan: Plan) -> Plan:
    origins = [
        replace(origin, source=None, warning_sources=(None,) * len(origin.warning_sources))
        for origin in plan.provenance.kernels
    ]
    return replace(plan, provenance=replace(plan.provenance, kernels=tuple(origins)))
