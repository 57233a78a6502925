"""What a plan file may hold, as JSON Schema."""

from typing import get_args, get_type_hints

from .._records import Json, schema_of
from .model import PlanFile


def schema() -> Json:
    """The JSON Schema (2020-12) of ``tt.plan.json``, as a new dictionary.

    What a schema cannot say, loading checks as well: that texts of sizes parse and use the kernel's shape variables,
    that a device can be, and that parts which belong together agree.
    """
    (version,) = get_args(get_type_hints(PlanFile)["version"])
    return schema_of(PlanFile, f"urn:tilelang-tt:plan:{version}", "tt.plan.json")
