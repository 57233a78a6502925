"""The plan: all decisions about kernels as one value, and as one file that people and programs read."""

from .estimate import Estimate, Figures, LaunchFigures, estimate, figures
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
    Product,
    Provenance,
    RuntimeArgument,
    ShardPlan,
    Size,
    Source,
    SubBlock,
    TileRange,
    TileRun,
    Traffic,
    TrafficLoop,
    Transfer,
)
from .plan import Plan
from .schema import schema
from .traffic import BufferTraffic

__all__ = [
    "Accumulator",
    "Buffer",
    "BufferTraffic",
    "CheckReport",
    "CircularBuffer",
    "Estimate",
    "Figures",
    "Finding",
    "Inputs",
    "Kernel",
    "KernelProvenance",
    "Launch",
    "LaunchFigures",
    "OnChip",
    "Persistent",
    "Plan",
    "PlanWarning",
    "Product",
    "Provenance",
    "RuntimeArgument",
    "ShardPlan",
    "Size",
    "Source",
    "SubBlock",
    "TileRange",
    "TileRun",
    "Traffic",
    "TrafficLoop",
    "Transfer",
    "estimate",
    "figures",
    "make_plan",
    "schema",
]
