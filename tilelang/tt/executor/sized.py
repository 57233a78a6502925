"""What the sizes of a kernel decide, whatever its arrays hold."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..metadata import core_program_attrs, launch_attrs
from ..plan import BufferTraffic, Plan
from ..plan.tilize import padding_element
from ..plan.traffic import buffer_traffic
from ..runtime_args import runtime_args
from .arrays import Parameter, dtype_of, tensors_of
from .ledger import Workload
from .once import Once
from .tensor import Edge

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc


class Sized:
    """A kernel whose sizes are known.

    Attributes:
        plan: Of the kernel, for these sizes.
        kernel: Its record in the plan.
        workload: Its work tiles.
        edges: What accesses outside of each tensor mean, by parameter.
        schedule_arguments: Of each launch and each core, what it gets beyond the kernel's own arguments.
        traffic: Gives what the plan says that each launch moves of each tensor.
    """

    def __init__(
        self,
        func: "PrimFunc",
        program: "PrimFunc",
        plan: Plan,
        parameters: Sequence[Parameter],
        sizes: Mapping[str, int],
    ) -> None:
        self.plan = plan
        self.kernel = plan.kernel()
        self.workload = Workload(self.kernel)
        self.edges = self._edges(func, tensors_of(parameters))
        self.schedule_arguments = self._arguments(func, program, sizes)
        self.traffic = Once(self._traffic)

    def _traffic(self) -> list[tuple[BufferTraffic, ...]]:
        launches = zip(self.kernel.launches, self.workload.launches, strict=True)
        traffic = [buffer_traffic(self.kernel, launch, cores) for launch, cores in launches]
        for array in (value for of_launch in traffic for one in of_launch for value in vars(one).values()):
            if isinstance(array, np.ndarray):
                array.setflags(write=False)  # all executions share it
        return traffic

    def _edges(self, func: Any, tensors: Sequence[Parameter]) -> dict[int, Edge]:
        import tvm_ffi

        over_the_edge = tvm_ffi.get_global_func("tilelang.tt.over_the_edge")(func)
        is_defined, texts = bool(over_the_edge[0]), [str(text) for text in over_the_edge[1]]
        edges = {}
        for parameter, buffer in zip(tensors, self.kernel.buffers, strict=True):
            text = texts[parameter.index]
            is_known = is_defined and text != "unknown"
            value = padding_element(buffer, text).view(dtype_of(parameter.dtype)) if is_known else None
            edges[parameter.index] = Edge(is_defined, value)
        return edges

    def _arguments(self, func: Any, program: Any, sizes: Mapping[str, int]) -> list[list[list[int]]]:
        several = len(launch_attrs(func)) > 1
        own = len(func.params)
        launches = []
        for number, places in enumerate(core_program_attrs(program)):
            known = runtime_args(func, {}, number if several else None, **sizes)
            table = np.zeros((self.workload.num_cores, len(program.params) - own), np.int64)
            for name, place in places.items():
                table[:, place - own] = (known.per_core | known.common)[name]
            launches.append(table.tolist())
        return launches
