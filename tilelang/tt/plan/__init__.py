"""The plan: all decisions about kernels as one value, and as one file that people and programs read."""

from .findings import CheckReport, Finding
from .make import make_plan
from .model import (
    Accumulator,
    Buffer,
    CircularBuffer,
    Inputs,
    Kernel,
    KernelProvenance,
    Launch,
    OnChip,
    Persistent,
    PlanWarning,
    Provenance,
    RuntimeArgument,
    ShardPlan,
    Size,
    Source,
    SubBlock,
    TileRange,
    TileRun,
)
from .plan import Plan
from .schema import schema

__all__ = [
    "Accumulator",
    "Buffer",
    "CheckReport",
    "CircularBuffer",
    "Finding",
    "Inputs",
    "Kernel",
    "KernelProvenance",
    "Launch",
    "OnChip",
    "Persistent",
    "Plan",
    "PlanWarning",
    "Provenance",
    "RuntimeArgument",
    "ShardPlan",
    "Size",
    "Source",
    "SubBlock",
    "TileRange",
    "TileRun",
    "make_plan",
    "schema",
]
