"""Kernels that are prepared once and executed often; and :func:`execute` and :func:`run`, which do both at once."""

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from .. import _library, passes
from ..plan import Plan, make_plan
from ..specialize import specialize
from ..target import apply_tt_defaults
from .arrays import parameters_of
from .execution import Execution, Options, Order, Prepared
from .once import Once
from .program import Program
from .sized import Sized

if TYPE_CHECKING:
    from tvm.ir import IRModule
    from tvm.tirx import PrimFunc

    from .llvm import Compiled

# Sets of sizes of a symbolic kernel whose plans are kept.
_MOST_SIZES = 64


class Executable:
    """A kernel, its plan and its core program: prepared once, executed often, by several threads at a time.

    What an execution needs is made when one needs it first, and kept; of a kernel with shape variables that is a plan
    for each set of sizes. No pass is run for a kernel without.

    Attributes:
        func: The kernel with all results of inference.
        program: What one core runs, with threads in loops.
        plan: Of the kernel; it has no other one.
        parameters: Of the kernel.
        interpreted: Gives the program as the interpreter runs it.
        machine_code: Gives the program as LLVM has compiled it.
    """

    def __init__(self, func: "PrimFunc", program: "PrimFunc", plan: Plan) -> None:
        self.func = func
        self.program = program
        self.plan = plan
        self.parameters = parameters_of(func)
        self.interpreted = Once(lambda: Program(program))
        self.machine_code = Once(self._compile)
        self._with_sizes = lru_cache(_MOST_SIZES)(self._prepare)  # bound to this kernel, and gone with it

    @classmethod
    def of(cls, mod: "IRModule | PrimFunc", kernel: str | None = None, **inputs: Any) -> "Executable":
        """Prepare a kernel.

        Args:
            mod: A PrimFunc, or an IRModule, with the kernel: as its author wrote it, with inputs set on it, or planned.
            kernel: Which kernel of a module that has several.
            **inputs: The keyword arguments of :func:`tilelang.tt.apply_tt_defaults`.

        Raises:
            TTError: Whatever the passes and :func:`tilelang.tt.plan.make_plan` refuse.
        """
        import tvm_ffi
        from tvm.ir import IRModule

        name, completed = passes.kernel_of(apply_tt_defaults(mod, **inputs), kernel)
        func = tvm_ffi.get_global_func("tilelang.tt.infer")(completed)[0]
        plan = make_plan(IRModule({name: func}))
        return cls(func, passes.threads_to_loops(passes.grid_to_persistent(func)), plan)

    def run(
        self,
        *arrays: Any,
        engine: str = "reference",
        threads: int = 1,
        order: Order = None,
        poison: bool = False,
        seed: int = 0,
        time_limit_s: float | None = None,
    ) -> Execution:
        """Execute the kernel.

        Args:
            *arrays: As of :func:`tilelang.tt.execute`, and so are the others but the last one.
            engine: As there.
            threads: As there.
            order: As there.
            poison: As there.
            seed: As there.
            time_limit_s: Seconds after which no core, and no work tile, begins any more; None: no limit.

        Raises:
            ExecutionError: The time limit has passed; or as there.
            TTError: As there.
        """
        return self.run_with(Options(engine, threads, order, poison, seed, time_limit_s), arrays)

    def run_with(self, options: Options, arrays: tuple[Any, ...]) -> Execution:
        """Execute the kernel with options that have been checked."""
        return options.run(Prepared(self, arrays))

    def sized(self, sizes: Mapping[str, int]) -> Sized:
        """What sizes decide, by the names of shape variables and scalars."""
        variables = self.plan.kernel().shape_variables
        # A scalar that is no size may be less than 1; then nothing that is planned depends on it.
        known = ((name, sizes[name]) for name in variables if sizes.get(name, 0) >= 1)
        return self._with_sizes(tuple(known))

    def _prepare(self, sizes: tuple[tuple[str, int], ...]) -> Sized:
        plan = self._plan_for(dict(sizes)) if sizes else self.plan
        return Sized(self.func, self.program, plan, self.parameters, dict(sizes))

    def _plan_for(self, sizes: Mapping[str, int]) -> Plan:
        from tvm.ir import IRModule

        with _library.collect_warnings():  # they are in the plan, as those of a kernel without shape variables
            return make_plan(IRModule({self.plan.kernel().name: specialize(self.func, **sizes)}))

    def _compile(self) -> "Compiled":
        from .llvm import Compiled

        return Compiled(self.program)


def execute(
    mod: "IRModule | PrimFunc",
    *arrays: Any,
    device: Any = None,
    policy: str | None = None,
    engine: str = "reference",
    threads: int = 1,
    order: Order = None,
    poison: bool = False,
    seed: int = 0,
    kernel: str | None = None,
    **inputs: Any,
) -> Any:
    """Execute a kernel, core after core, and give what it writes.

    Args:
        mod: A PrimFunc, or an IRModule, with the kernel: as its author wrote it, with inputs set on it, or planned.
        *arrays: One for each parameter, or for each that is not only written, in their order: arrays of numpy or
            tensors of torch, of the parameters' dtypes and shapes; numbers for scalars. None is changed. A tensor that
            is only written may also be None.
        device: As of :func:`tilelang.tt.apply_tt_defaults`.
        policy: Its ``schedule_policy``.
        engine: ``"reference"``, the interpreter, or ``"llvm"``, which compiles the kernel for the CPU.
        threads: How many cores are executed at the same time.
        order: In which order cores begin: None for that of their numbers, ``"random"``, or all numbers in a list.
        poison: Execute the kernel again with NaN, infinities and random bits in all memory that nobody has written, and
            refuse a result that depends on them. Cores then run one after the other.
        seed: Of the random order and the random bits.
        kernel: Which kernel of a module that has several.
        **inputs: The other keyword arguments of :func:`tilelang.tt.apply_tt_defaults`.

    Returns:
        An array of what the kernel writes, or a tuple of them in parameter order; tensors of torch where one was given.
        Elements that no core writes are those of the array that was given, or zero.

    Raises:
        ArgumentError: An argument is missing, or of another kind or dtype than its parameter.
        ShapeError: An array is of another shape, or arrays do not agree about a shape variable.
        OptionError: An option has a value that does not exist.
        NotCoveredError: The kernel has an operation that is not covered; nothing has been executed.
        ExecutionError: What the kernel does has no meaning: an access outside of a buffer, work tiles that write over
            each other, or a result that depends on memory that nobody has written.
        TTError: Whatever :func:`tilelang.tt.plan.make_plan` refuses.
    """
    options = {"device": device, "policy": policy, "engine": engine, "threads": threads, "order": order}
    return run(mod, *arrays, **options, poison=poison, seed=seed, kernel=kernel, **inputs).result


def run(
    mod: "IRModule | PrimFunc",
    *arrays: Any,
    device: Any = None,
    policy: str | None = None,
    engine: str = "reference",
    threads: int = 1,
    order: Order = None,
    poison: bool = False,
    seed: int = 0,
    kernel: str | None = None,
    **inputs: Any,
) -> Execution:
    """Execute a kernel as :func:`tilelang.tt.execute` does, and give all that is known of it.

    Args:
        mod: As of :func:`tilelang.tt.execute`, and so are all the others.
        *arrays: As there.
        device: As there.
        policy: As there.
        engine: As there.
        threads: As there.
        order: As there.
        poison: As there.
        seed: As there.
        kernel: As there.
        **inputs: As there.

    Raises:
        TTError: As there.
    """
    options = Options(engine, threads, order, poison, seed)
    given = {"device": device, "schedule_policy": policy}
    inputs |= {name: value for name, value in given.items() if value is not None}
    return Executable.of(mod, kernel, **inputs).run_with(options, arrays)
