"""How a test states, by hand, the truth about a kernel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

Access = Literal["read", "write", "read_write", "none"]


@dataclass(frozen=True)
class Param:
    """A buffer parameter; `access` is what the whole launch does to it in DRAM."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    access: Access


@dataclass(frozen=True)
class KernelFacts:
    """What a reader who understood a kernel would say about it."""

    name: str
    grid: tuple[int, int, int]
    params: tuple[Param, ...]
    scalars: tuple[tuple[str, str], ...] = ()
    contraction: int | None = None  # how many elements its only product of matrices sums over


@dataclass(frozen=True)
class KernelCase(KernelFacts):
    """A kernel in some language, and the truth about it."""

    build: Callable[[], Any] = field(kw_only=True)


# The same for every language that a kernel is written in.
FACTS = (
    KernelFacts(
        "gemm",
        (6, 4, 1),
        (
            Param("A", "bfloat16", (256, 128), "read"),
            Param("B", "bfloat16", (128, 384), "read"),
            Param("C", "bfloat16", (256, 384), "write"),
        ),
        contraction=128,
    ),
    KernelFacts(
        "gemm_thread_binding",
        (6, 4, 1),
        (
            Param("A", "bfloat16", (256, 128), "read"),
            Param("B", "bfloat16", (128, 384), "read"),
            Param("C", "bfloat16", (256, 384), "write"),
        ),
        contraction=128,
    ),
    KernelFacts(
        "renamed_gemm",
        (6, 4, 1),
        (
            Param("B", "bfloat16", (256, 128), "read"),
            Param("C", "bfloat16", (128, 384), "read"),
            Param("A", "bfloat16", (256, 384), "write"),
        ),
        contraction=128,
    ),
    KernelFacts(
        "gemm_bias_relu",
        (6, 4, 1),
        (
            Param("A", "float16", (256, 128), "read"),
            Param("B", "float16", (128, 384), "read"),
            Param("bias", "float16", (384,), "read"),
            Param("C", "float16", (256, 384), "write"),
        ),
        contraction=128,
    ),
    KernelFacts(
        "batched_gemm",
        (4, 2, 3),
        (
            Param("A", "bfloat16", (3, 128, 64), "read"),
            Param("B", "bfloat16", (3, 64, 256), "read"),
            Param("C", "bfloat16", (3, 128, 256), "write"),
        ),
        contraction=64,
    ),
    KernelFacts(
        "dequant_gemm",
        (4, 2, 1),
        (
            Param("A", "int8", (128, 128), "read"),
            Param("B", "uint8", (256, 64), "read"),
            Param("C", "int32", (128, 256), "write"),
        ),
        contraction=128,
    ),
    KernelFacts(
        "flash_attention",
        (4, 4, 2),
        (
            Param("Q", "bfloat16", (2, 4, 256, 64), "read"),
            Param("K", "bfloat16", (2, 4, 256, 64), "read"),
            Param("V", "bfloat16", (2, 4, 256, 64), "read"),
            Param("Output", "bfloat16", (2, 4, 256, 64), "write"),
        ),
    ),
    KernelFacts(
        "flash_attention_causal",
        (4, 4, 2),
        (
            Param("Q", "bfloat16", (2, 4, 256, 64), "read"),
            Param("K", "bfloat16", (2, 4, 256, 64), "read"),
            Param("V", "bfloat16", (2, 4, 256, 64), "read"),
            Param("Output", "bfloat16", (2, 4, 256, 64), "write"),
        ),
    ),
    KernelFacts(
        "conv2d",
        (2, 8, 1),
        (
            Param("Data", "float16", (2, 16, 16, 32), "read"),
            Param("Weight", "float16", (3, 3, 32, 64), "read"),
            Param("Output", "float16", (2, 16, 16, 64), "write"),
        ),
        contraction=288,
    ),
    KernelFacts(
        "row_softmax",
        (32, 1, 1),
        (
            Param("X", "float32", (128, 512), "read"),
            Param("Y", "float32", (128, 512), "write"),
        ),
    ),
    KernelFacts(
        "elementwise_ragged",
        (8, 8, 1),
        (
            Param("A", "bfloat16", (1000, 1000), "read"),
            Param("B", "bfloat16", (1000, 1000), "read"),
            Param("C", "bfloat16", (1000, 1000), "write"),
        ),
    ),
    KernelFacts(
        "result_first",
        (5, 3, 1),
        (
            Param("Result", "float32", (96, 160), "write"),
            Param("X", "float32", (96, 160), "read"),
            Param("Y", "float32", (96, 160), "read"),
        ),
    ),
    KernelFacts(
        "vector_add",
        (8, 1, 1),
        (
            Param("A", "int32", (1000,), "read"),
            Param("B", "int32", (1000,), "read"),
            Param("C", "int32", (1000,), "write"),
        ),
    ),
    KernelFacts("in_place", (3, 4, 1), (Param("X", "bfloat16", (128, 192), "read_write"),)),
    KernelFacts(
        "atomic_add",
        (4, 4, 1),
        (
            Param("X", "float32", (256, 128), "read"),
            Param("Total", "float32", (128,), "read_write"),
        ),
    ),
    KernelFacts(
        "atomic_add_elements",
        (4, 4, 1),
        (
            Param("X", "float32", (256, 128), "read"),
            Param("Total", "float32", (128,), "read_write"),
        ),
    ),
    KernelFacts(
        "unused_param",
        (4, 2, 1),
        (
            Param("X", "bfloat16", (64, 128), "read"),
            Param("Mask", "uint8", (64, 128), "none"),
            Param("Y", "bfloat16", (64, 128), "write"),
        ),
    ),
    KernelFacts(
        "aliased_abs",
        (12, 1, 1),
        (
            Param("X", "float32", (64, 96), "read"),
            Param("Y", "float32", (64, 96), "write"),
        ),
    ),
    KernelFacts(
        "scalar_params",
        (4, 4, 1),
        (
            Param("X", "float32", (128, 256), "read"),
            Param("Y", "float32", (128, 256), "write"),
        ),
        scalars=(("n", "int32"), ("scale", "float32")),
    ),
    KernelFacts(
        "gemm_cta_id",
        (6, 4, 1),
        (
            Param("A", "bfloat16", (256, 128), "read"),
            Param("B", "bfloat16", (128, 384), "read"),
            Param("C", "bfloat16", (256, 384), "write"),
        ),
        contraction=128,
    ),
)


def cases(builders: dict[str, Callable[[], Any]]) -> tuple[KernelCase, ...]:
    """The cases of the kernels that one language has, in the order of the table."""
    assert builders.keys() <= {facts.name for facts in FACTS}
    return tuple(KernelCase(**vars(facts), build=builders[facts.name]) for facts in FACTS if facts.name in builders)
