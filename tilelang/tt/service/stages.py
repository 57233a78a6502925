"""The stages of a compilation, one after the other: from a kernel and its options to the entry of its result."""

from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

from .. import _library, transform
from .._counters import counters
from ..plan import Plan, make_plan
from .entry import Entry
from .request import Request
from .transport import encode

if TYPE_CHECKING:
    from tvm.ir import IRModule


def compile_request(request: Request) -> Entry:
    """Compile in this process. Warnings become a part of the plan.

    Raises:
        TTError: Whatever the stages refuse.
    """
    from tvm.ir import IRModule

    counters.count("compile", "in_process")
    seconds: dict[str, float] = {}
    module = IRModule({request.name: request.func.with_attr("global_symbol", request.name)})
    with _library.collect_warnings():
        for stage, pass_ in (
            ("defaults", transform.ApplyTTDefaults(**request.inputs)),
            ("schedule", transform.InferDefaultTTSchedule()),
            ("shard", transform.InferDefaultTTShard()),
        ):
            module = _timed(seconds, stage, pass_, module)
        plan = _timed(seconds, "plan", make_plan, module)
        program = _timed(seconds, "program", _program, module)
    return Entry(
        key=request.key,
        name=request.name,
        plan=_without_places(plan).to_json(),
        func=encode(module[request.name]),
        program=encode(program[request.name]),
        seconds=seconds,
    )


def _timed(seconds: dict[str, float], stage: str, run: Any, argument: Any) -> Any:
    started = perf_counter()
    result = run(argument)
    seconds[stage] = perf_counter() - started
    return result


def _program(module: "IRModule") -> "IRModule":
    return transform.ThreadsToLoops()(transform.GridToPersistent()(module))


def _without_places(plan: Plan) -> Plan:
    origins = [
        replace(origin, source=None, warning_sources=(None,) * len(origin.warning_sources))
        for origin in plan.provenance.kernels
    ]
    return replace(plan, provenance=replace(plan.provenance, kernels=tuple(origins)))
