"""Every way in which the installed host can say "this kernel is launched on this grid".

``FORMS`` holds one entry per form: a builder that returns an IRModule, the name of the function in it that is
the kernel, and the grid ``(x, y, z)`` that a reader must find. ``SEVERAL_FORMS`` holds functions of several launches,
and ``REFUSED_FORMS`` the forms that must be refused.
Builders run on demand, so importing this module is cheap; each of them runs on the host whose table it is in.

The grids are asymmetric and the axes are declared in different orders, so that an axis taken from its position in the
nest instead of from its tag shows. ``T`` is TVM's script, which all hosts have; ``L`` is TileLang's language.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

from .host import HAS_DEVICE_SCOPES, ON_TILELANG, T  # isort: skip  # the host comes before tvm

import tvm
from tvm import s_tir, te, tirx

if ON_TILELANG:
    import tilelang.language as L

    import tilelang


@dataclass(frozen=True)
class LaunchForm:
    """One launch form: ``build()[kernel]`` is launched on ``grid``.

    ``understood`` is False where the host has erased the launch: the function is then no kernel, and nothing may be
    made up for it.
    """

    name: str
    build: Callable[[], tvm.IRModule]
    grid: tuple[int | str, int | str, int | str]
    kernel: str = "main"
    understood: bool = True

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class SeveralForm:
    """One function of several launches: ``build()["main"]`` is launched on ``grids``, in that order."""

    name: str
    build: Callable[[], tvm.IRModule]
    grids: tuple[tuple[int | str, int | str, int | str], ...]

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class RefusedForm:
    """One form that must be refused: ``build()[kernel]`` has a launch, and ``why`` says what is wrong with it."""

    name: str
    build: Callable[[], tvm.IRModule]
    why: str
    kernel: str = "main"

    def __str__(self) -> str:
        return self.name


def _module(func) -> tvm.IRModule:
    return tvm.IRModule({"main": func})


def _after(build, *passes) -> Callable[[], tvm.IRModule]:
    """A builder of ``build()`` run through ``passes``. The host's lowering wants a CUDA target; no GPU is needed."""

    def run():
        target = tvm.target.Target(tvm.target.Target({"kind": "cuda", "arch": "sm_90"}), "c")
        func = build()["main"].with_attr("global_symbol", "main").with_attr("target", target)
        with tvm.ir.transform.PassContext():  # not the tests': AnnotateEntryFunc changes the module it is given
            return reduce(lambda mod, make_pass: make_pass()(mod), passes, _module(func))

    return run


# ---- forms in TVM's script: all hosts ------------------------------------------------------------------------------


def launch_thread():
    @T.prim_func
    def main(A: T.Buffer((6, 4, 3), "float32"), C: T.Buffer((6, 4, 3), "float32")):
        bx = T.launch_thread("blockIdx.x", 6)
        by = T.launch_thread("blockIdx.y", 4)
        bz = T.launch_thread("blockIdx.z", 3)
        C[bx, by, bz] = A[bx, by, bz]

    return _module(main)


def launch_thread_mixed_order():
    @T.prim_func
    def main(A: T.Buffer((6, 4, 3, 32), "float32"), C: T.Buffer((6, 4, 3, 32), "float32")):
        bz = T.launch_thread("blockIdx.z", 3)
        tx = T.launch_thread("threadIdx.x", 32)
        bx = T.launch_thread("blockIdx.x", 6)
        by = T.launch_thread("blockIdx.y", 4)
        C[bx, by, bz, tx] = A[bx, by, bz, tx]

    return _module(main)


def launch_thread_y_only():
    @T.prim_func
    def main(A: T.Buffer((4,), "float32"), C: T.Buffer((4,), "float32")):
        by = T.launch_thread("blockIdx.y", 4)
        C[by] = A[by]

    return _module(main)


def env_thread():
    @T.prim_func
    def main(A: T.Buffer((6, 4), "float32"), C: T.Buffer((6, 4), "float32")):
        by = T.env_thread("blockIdx.y")
        bx = T.env_thread("blockIdx.x")
        with T.launch_thread(by, 4), T.launch_thread(bx, 6):
            C[bx, by] = A[bx, by]

    return _module(main)


def thread_binding_loops():
    @T.prim_func
    def main(A: T.Buffer((6, 4, 3), "float32"), C: T.Buffer((6, 4, 3), "float32")):
        for by in T.thread_binding(4, thread="blockIdx.y"):
            for bz in T.thread_binding(3, thread="blockIdx.z"):
                for bx in T.thread_binding(6, thread="blockIdx.x"):
                    C[bx, by, bz] = A[bx, by, bz]

    return _module(main)


def schedule_bind_y_outer():
    A = te.placeholder((192, 128), name="A")
    C = te.compute((192, 128), lambda i, j: A[i, j] + 1, name="C")
    sch = s_tir.Schedule(te.create_prim_func([A, C]))
    i, j = sch.get_loops(sch.get_sblock("C"))
    bx, row = sch.split(i, [6, 32])
    by, tx = sch.split(j, [4, 32])
    sch.reorder(by, bx, row, tx)  # threadIdx.x ends up inside a serial loop
    sch.bind(by, "blockIdx.y")
    sch.bind(bx, "blockIdx.x")
    sch.bind(tx, "threadIdx.x")
    return sch.mod


def sibling_thread_bindings():
    @T.prim_func
    def main(A: T.Buffer((6, 4), "float32"), C: T.Buffer((6, 4), "float32")):
        for bx in T.thread_binding(6, thread="blockIdx.x"):
            C[bx, 0] = A[bx, 0]
        for bx in T.thread_binding(4, thread="blockIdx.x"):
            C[0, bx] = A[0, bx]

    return _module(main)


def sibling_launch_threads():
    @T.prim_func
    def main(A: T.Buffer((6, 4), "float32"), C: T.Buffer((6, 4), "float32")):
        with T.launch_thread("blockIdx.x", 6) as bx:
            C[bx, 0] = A[bx, 0]
        with T.launch_thread("blockIdx.x", 6) as bx:
            C[bx, 1] = A[bx, 1]

    return _module(main)


def same_tag_nested_with_other_extent():
    @T.prim_func
    def main(A: T.Buffer((6, 4), "float32"), C: T.Buffer((6, 4), "float32")):
        for bx in T.thread_binding(6, thread="blockIdx.x"):
            for bx_again in T.thread_binding(4, thread="blockIdx.x"):
                C[bx, bx_again] = A[bx, bx_again]

    return _module(main)


def symbolic_extent():
    @T.prim_func
    def main(a: T.handle, c: T.handle):
        m = T.int32()
        A = T.match_buffer(a, (m, 4), "float32")
        C = T.match_buffer(c, (m, 4), "float32")
        for bx in T.thread_binding((m + 31) // 32, thread="blockIdx.x"):
            for by in T.thread_binding(4, thread="blockIdx.y"):
                C[bx, by] = A[bx, by]

    return _module(main)


def sibling_blocks():
    """A schedule that binds the loops of two blocks, each to a grid of its own."""
    A = te.placeholder((6, 4), name="A")
    B = te.compute((6, 4), lambda i, j: A[i, j] + 1, name="B")
    sch = s_tir.Schedule(te.create_prim_func([A, te.compute((6, 4), lambda i, j: B[i, j] * 2, name="C")]))
    for block, tags in [("B", ("blockIdx.x", "blockIdx.y")), ("C", ("blockIdx.y", "blockIdx.x"))]:
        for loop, tag in zip(sch.get_loops(sch.get_sblock(block)), tags, strict=True):
            sch.bind(loop, tag)
    return sch.mod


def siblings_of_sizes():
    @T.prim_func
    def main(a: T.handle, c: T.handle):
        m = T.int32()
        A = T.match_buffer(a, (m, 4), "float32")
        C = T.match_buffer(c, (m, 4), "float32")
        for bx in T.thread_binding((m + 31) // 32, thread="blockIdx.x"):
            for by in T.thread_binding(4, thread="blockIdx.y"):
                C[bx, by] = A[bx, by]
        for by in T.thread_binding(m, thread="blockIdx.y"):
            for bx in T.thread_binding(4, thread="blockIdx.x"):
                C[by, bx] = A[by, bx]

    return _module(main)


def launch_in_a_branch():
    @T.prim_func
    def main(A: T.Buffer((6, 4), "float32"), n: T.int32):
        for bx in T.thread_binding(6, thread="blockIdx.x"):
            A[bx, 0] = T.float32(0)
        if n > 0:
            for bx in T.thread_binding(4, thread="blockIdx.x"):
                A[0, bx] = T.float32(0)

    return _module(main)


def siblings_with_attributes():
    return _module(sibling_thread_bindings()["main"].with_attr("tl_grid_x", 6))


def extent_from_memory():
    @T.prim_func
    def main(A: T.Buffer((6,), "float32"), N: T.Buffer((1,), "int32")):
        for bx in T.thread_binding(N[0], thread="blockIdx.x"):
            A[bx] = T.float32(0)

    return _module(main)


_CONVERT_BLOCKS = (
    s_tir.transform.PlanAndUpdateBufferAllocationLocation,
    s_tir.transform.ConvertBlocksToOpaque,
    s_tir.transform.LiftThreadBinding,
    s_tir.transform.UnifyThreadBinding,
)

FORMS = [
    LaunchForm("launch_thread", launch_thread, (6, 4, 3)),
    LaunchForm("launch_thread_mixed_order", launch_thread_mixed_order, (6, 4, 3)),
    LaunchForm("launch_thread_y_only", launch_thread_y_only, (1, 4, 1)),
    LaunchForm("env_thread", env_thread, (6, 4, 1)),
    LaunchForm("thread_binding_loops", thread_binding_loops, (6, 4, 3)),
    LaunchForm("symbolic_extent", symbolic_extent, ("(m + 31) // 32", 4, 1)),
    LaunchForm("schedule_bind_y_outer", schedule_bind_y_outer, (6, 4, 1)),
    LaunchForm("after_unify_thread_binding", _after(schedule_bind_y_outer, *_CONVERT_BLOCKS), (6, 4, 1)),
    LaunchForm(
        "launch_thread_after_unify_thread_binding",
        _after(launch_thread_mixed_order, s_tir.transform.UnifyThreadBinding),
        (6, 4, 3),
    ),
    LaunchForm(
        "after_lower_opaque_block",
        _after(schedule_bind_y_outer, *_CONVERT_BLOCKS, s_tir.transform.LowerOpaqueBlock),
        (6, 4, 1),
    ),
]

SEVERAL_FORMS = [
    SeveralForm("sibling_thread_bindings", sibling_thread_bindings, ((6, 1, 1), (4, 1, 1))),
    SeveralForm("sibling_launch_threads", sibling_launch_threads, ((6, 1, 1), (6, 1, 1))),
    SeveralForm(
        "sibling_thread_bindings_after_unify_thread_binding",
        _after(sibling_thread_bindings, s_tir.transform.UnifyThreadBinding),
        ((6, 1, 1), (4, 1, 1)),
    ),
    SeveralForm("sibling_blocks", sibling_blocks, ((6, 4, 1), (4, 6, 1))),
    SeveralForm("siblings_of_sizes", siblings_of_sizes, (("(m + 31) // 32", 4, 1), (4, "m", 1))),
]

REFUSED_FORMS = [
    RefusedForm("launch_in_a_branch", launch_in_a_branch, "several launches of which one is in a branch"),
    RefusedForm("siblings_with_attributes", siblings_with_attributes, "several launches and one stated grid"),
    RefusedForm("same_tag_nested_with_other_extent", same_tag_nested_with_other_extent, "two extents for one axis"),
    RefusedForm("extent_from_memory", extent_from_memory, "an extent that is no size"),
]

# ---- apache-tvm: host/device split and TIRx device scopes ----------------------------------------------------------


def cta_id():
    @T.prim_func
    def main(A: T.Buffer((6, 4, 3), "float32"), C: T.Buffer((6, 4, 3), "float32")):
        T.device_entry()
        bx, by, bz = T.cta_id([6, 4, 3])
        T.thread_id([32])
        C[bx, by, bz] = A[bx, by, bz]

    return _module(main)


def cta_id_with_cluster():
    """The CTA extents are the grid; the cluster only groups its cells."""

    @T.prim_func
    def main(A: T.Buffer((6, 4), "float32"), C: T.Buffer((6, 4), "float32")):
        T.device_entry()
        bx, by = T.cta_id([6, 4])
        cx, cy = T.cta_id_in_cluster([2, 2])
        T.thread_id([32])
        C[bx, by] = A[bx, by] + T.Cast("float32", cx + cy)

    return _module(main)


def cluster_and_cta_id():
    """Without CTA extents of the kernel the grid is clusters times CTAs per cluster, all of it on x."""

    @T.prim_func
    def main(A: T.Buffer((12, 2), "float32"), C: T.Buffer((12, 2), "float32")):
        T.device_entry()
        cluster = T.cluster_id([12])
        cta = T.cta_id_in_cluster([2])
        T.thread_id([32])
        C[cluster, cta] = A[cluster, cta]

    return _module(main)


def cta_id_deferred():
    """``T.cta_id()`` has no extents of its own: they follow from the cluster's."""

    @T.prim_func
    def main(A: T.Buffer((24,), "float32"), C: T.Buffer((24,), "float32")):
        T.device_entry()
        cluster = T.cluster_id([12])
        cta = T.cta_id_in_cluster([2])
        bx = T.cta_id()
        T.thread_id([32])
        C[bx] = A[cluster * 2 + cta]

    return _module(main)


def cluster_of_negative_extents():
    """Two negative extents have a positive product."""

    @T.prim_func
    def main(A: T.Buffer((6,), "float32"), C: T.Buffer((6,), "float32")):
        T.device_entry()
        cluster = T.cluster_id([-2])
        cta = T.cta_id_in_cluster([-3])
        T.thread_id([32])
        C[cluster + cta] = A[cluster + cta]

    return _module(main)


def cta_id_twice_with_other_extents():
    """The host keeps the first definition and says nothing."""

    @T.prim_func
    def main(A: T.Buffer((6, 6), "float32"), C: T.Buffer((6, 6), "float32")):
        T.device_entry()
        bx, by = T.cta_id([6, 4])
        gx, gy = T.cta_id([4, 6])
        T.thread_id([32])
        C[bx, gy] = A[gx, by]

    return _module(main)


def _device_scope_forms():
    dispatch = (tirx.transform.TilePrimitiveDispatch,)
    unified = (tirx.transform.LowerTIRx, s_tir.transform.UnifyThreadBinding)
    opaque = (*unified, tirx.transform.LowerTIRxOpaque)
    split = (*opaque, tirx.transform.FlattenBuffer, tirx.transform.AnnotateEntryFunc, tirx.transform.SplitHostDevice)
    stages = [
        ("after_tile_primitive_dispatch", dispatch, "main"),
        ("after_lower_tirx_and_unify_thread_binding", unified, "main"),
        ("after_lower_tirx_opaque", opaque, "main"),
        ("after_split_host_device", split, "main_kernel"),
    ]
    for source, build, grid in [
        ("cta_id", cta_id, (6, 4, 3)),
        ("cta_id_with_cluster", cta_id_with_cluster, (6, 4, 1)),
        ("cluster_and_cta_id", cluster_and_cta_id, (24, 1, 1)),
        ("cta_id_deferred", cta_id_deferred, (24, 1, 1)),
    ]:
        yield LaunchForm(source, build, grid)
        for stage, passes, kernel in stages:
            yield LaunchForm(f"{source}_{stage}", _after(build, *passes), grid, kernel)


if not ON_TILELANG:
    _SPLIT = (
        s_tir.transform.LowerOpaqueBlock,
        tirx.transform.FlattenBuffer,
        tirx.transform.AnnotateEntryFunc,
        tirx.transform.SplitHostDevice,
    )
    FORMS += [
        LaunchForm(
            "after_split_host_device",
            _after(schedule_bind_y_outer, *_CONVERT_BLOCKS, *_SPLIT),
            (6, 4, 1),
            "main_kernel",
        ),
        LaunchForm(
            "after_make_packed_api",
            _after(schedule_bind_y_outer, *_CONVERT_BLOCKS, *_SPLIT, tirx.transform.MakePackedAPI),
            (6, 4, 1),
            "main_kernel",
        ),
    ]

if HAS_DEVICE_SCOPES:
    FORMS += _device_scope_forms()
    REFUSED_FORMS += [
        RefusedForm("cta_id_twice_with_other_extents", cta_id_twice_with_other_extents, "two extents for one axis"),
        RefusedForm("cluster_of_negative_extents", cluster_of_negative_extents, "extents below 1"),
    ]

# ---- TileLang: T.Kernel and its lowered shapes ---------------------------------------------------------------------


def tilelang_kernel():
    @L.prim_func
    def main(A: L.Tensor((6, 4, 3), "float32"), C: L.Tensor((6, 4, 3), "float32")):
        with L.Kernel(6, 4, 3, threads=32) as (bx, by, bz):
            C[bx, by, bz] = A[bx, by, bz]

    return _module(main)


def tilelang_kernel_without_threads():
    @L.prim_func
    def main(A: L.Tensor((6, 4), "float32"), C: L.Tensor((6, 4), "float32")):
        with L.Kernel(6, 4) as (bx, by):
            C[bx, by] = A[bx, by]

    return _module(main)


def tilelang_kernel_rank0():
    @L.prim_func
    def main(A: L.Tensor((32,), "float32"), C: L.Tensor((32,), "float32")):
        with L.Kernel(threads=32):
            for i in L.serial(32):
                C[i] = A[i]

    return _module(main)


def tilelang_kernel_with_shared_tile():
    @L.prim_func
    def main(A: L.Tensor((192, 128), "float32"), C: L.Tensor((192, 128), "float32")):
        with L.Kernel(6, 4, threads=32) as (bx, by):
            tile = L.alloc_shared((32, 32), "float32")
            L.copy(A[bx * 32, by * 32], tile)
            L.copy(tile, C[bx * 32, by * 32])

    return _module(main)


def tilelang_cluster_kernel():
    @L.prim_func
    def main(A: L.Tensor((6, 4), "float32"), C: L.Tensor((6, 4), "float32")):
        with L.ClusterKernel(6, 4, cluster_dims=2, threads=32) as (bx, by):
            C[bx, by] = A[bx, by]

    return _module(main)


def tilelang_kernel_with_swizzle():
    @L.prim_func
    def main(A: L.Tensor((6, 4), "float32"), C: L.Tensor((6, 4), "float32")):
        with L.Kernel(6, 4, threads=32) as (bx, by):
            L.use_swizzle(8)
            C[bx, by] = A[bx, by]

    return _module(main)


def tilelang_persistent():
    """The launch has 5 cells, which walk a domain of 6 x 4."""

    @L.prim_func
    def main(A: L.Tensor((6, 4), "float32"), C: L.Tensor((6, 4), "float32")):
        with L.Kernel(5, threads=32) as wave:
            for bx, by in L.Persistent([6, 4], 5, wave):
                C[bx, by] = A[bx, by]

    return _module(main)


def tilelang_two_kernels():
    @L.prim_func
    def main(A: L.Tensor((6, 4), "float32"), C: L.Tensor((6, 4), "float32")):
        with L.Kernel(6, 4, threads=32) as (bx, by):
            C[bx, by] = A[bx, by]
        with L.Kernel(3, threads=32) as bx:
            C[bx, 0] = A[bx, 0]

    return _module(main)


def tilelang_kernel_in_kernel():
    @L.prim_func
    def main(A: L.Tensor((6, 4), "float32"), C: L.Tensor((6, 4), "float32")):
        with L.Kernel(6, 4, threads=32) as (_, by), L.Kernel(3, threads=32) as bx:
            C[bx, by] = A[bx, by]

    return _module(main)


def tilelang_cuda_source():
    @L.prim_func
    def main(A: L.Tensor((6, 4), "float32"), C: L.Tensor((6, 4), "float32")):
        L.CUDASourceCodeKernel(
            6, 4, threads=32, source_code_or_path='extern "C" __global__ void main_kernel(float* A, float* C) {}'
        )

    return _module(main)


def tilelang_rank0_in_a_loop():
    """The loop is the host's: it launches three times."""

    @L.prim_func
    def main(A: L.Tensor((1, 3), "float32"), C: L.Tensor((1, 3), "float32")):
        for i in L.serial(3):
            with L.Kernel(threads=32):
                C[0, i] = A[0, i]

    return _module(main)


def tilelang_symbolic_extent():
    m = L.dynamic("m")

    @L.prim_func
    def main(A: L.Tensor((m, 4), "float32"), C: L.Tensor((m, 4), "float32")):
        with L.Kernel(L.ceildiv(m, 32), 4, threads=32) as (bx, by):
            C[bx, by] = A[bx, by]

    return _module(main)


def tilelang_ascend_mixed_kernel():
    from tilelang.ascend import language as ascend

    @ascend.prim_func
    def main(A: ascend.Tensor((6, 2), "float32"), C: ascend.Tensor((6, 2), "float32")):
        with ascend.MixedKernel(6) as (bx, sub_core):
            C[bx, sub_core] = A[bx, sub_core]

    return _module(main)


def _tilelang_forms():
    tl = tilelang.transform

    def materialize(grid, threads):
        return lambda: tl.MaterializeKernelLaunch(threads, 128 if threads else None, lower_grid_binding=grid)

    threads, grid_only, serial = materialize(True, True), materialize(True, False), materialize(False, False)
    regions = (
        threads,
        tl.LowerOpaqueBlock,
        tl.FlattenBuffer,
        tirx.transform.AnnotateEntryFunc,
        tl.AnnotateDeviceRegions,
    )
    split = (*regions, tl.SplitHostDevice)
    launched = (*split, tl.MakePackedAPI, tl.LowerDeviceKernelLaunch)

    yield LaunchForm("tilelang_kernel", tilelang_kernel, (6, 4, 3))
    yield LaunchForm("tilelang_kernel_without_threads", tilelang_kernel_without_threads, (6, 4, 1))
    yield LaunchForm("tilelang_kernel_rank0", tilelang_kernel_rank0, (1, 1, 1))
    yield LaunchForm("tilelang_kernel_with_shared_tile", tilelang_kernel_with_shared_tile, (6, 4, 1))
    yield LaunchForm("tilelang_cluster_kernel", tilelang_cluster_kernel, (6, 4, 1))
    yield LaunchForm("tilelang_kernel_with_swizzle", tilelang_kernel_with_swizzle, (6, 4, 1))
    yield LaunchForm("tilelang_persistent", tilelang_persistent, (6, 4, 1))
    yield LaunchForm("tilelang_symbolic_extent", tilelang_symbolic_extent, ("(m + 31) // 32", 4, 1))
    for suffix, source, grid in [("", tilelang_kernel, (6, 4, 3)), ("_rank0", tilelang_kernel_rank0, (1, 1, 1))]:
        after = f"tilelang_kernel{suffix}_after"
        yield LaunchForm(f"{after}_materialize_kernel_launch_grid_and_threads", _after(source, threads), grid)
        yield LaunchForm(f"{after}_materialize_kernel_launch_grid_only", _after(source, grid_only), grid)
        yield LaunchForm(f"{after}_materialize_kernel_launch_serial", _after(source, serial), grid)
        yield LaunchForm(f"{after}_lower_opaque_block", _after(source, threads, tl.LowerOpaqueBlock), grid)
        yield LaunchForm(
            f"{after}_lower_opaque_block_serial", _after(source, serial, tl.LowerOpaqueBlock), grid, understood=False
        )
        yield LaunchForm(f"{after}_annotate_device_regions", _after(source, *regions), grid)
        yield LaunchForm(f"{after}_split_host_device", _after(source, *split), grid, "main_kernel")
        yield LaunchForm(f"{after}_lower_device_kernel_launch", _after(source, *launched), grid, "main_kernel")
    yield LaunchForm("tilelang_kernel_after_cuda_pipeline", _cuda_pipeline, (6, 4, 1), "main_kernel")


def _cuda_pipeline():
    """TileLang's whole CUDA lowering: an allocation stands between blockIdx.x and blockIdx.y."""
    from tilelang.cuda.pipeline import CUDA_PIPELINE

    mod = _after(tilelang_kernel_with_shared_tile)()
    target = mod["main"].attrs["target"]
    with target, tvm.ir.transform.PassContext():
        return CUDA_PIPELINE.lower(mod, target)


if ON_TILELANG:
    FORMS += _tilelang_forms()
    SEVERAL_FORMS.append(SeveralForm("tilelang_two_kernels", tilelang_two_kernels, ((6, 4, 1), (3, 1, 1))))
    REFUSED_FORMS += [
        RefusedForm("tilelang_kernel_in_kernel", tilelang_kernel_in_kernel, "a launch in a launch"),
        RefusedForm("tilelang_cuda_source", tilelang_cuda_source, "a body that is CUDA source"),
        RefusedForm("tilelang_rank0_in_a_loop", tilelang_rank0_in_a_loop, "several launches by a loop"),
        RefusedForm("tilelang_ascend_mixed_kernel", tilelang_ascend_mixed_kernel, "a launch axis that is no grid axis"),
    ]
