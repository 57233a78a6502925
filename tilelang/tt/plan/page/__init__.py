"""A plan as one page of HTML that needs nothing else: figures, tables, and a script that links them.

The page is the same text for the same plan.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..._page import page
from ..._page.markup import Markup, element
from ...errors import refusal
from ..model import Kernel, KernelProvenance, PlanWarning, Source
from . import svg
from .comparison import comparison_section
from .costs import count_figures, estimate_section
from .launch import launch_section
from .tensors import tensor_section

if TYPE_CHECKING:
    from ..compare import Comparison
    from ..plan import Plan


def to_html(plan: "Plan", comparison: "Comparison | None" = None) -> str:
    """The page of a plan, and below it other plans beside it.

    Raises:
        PlanError: A kernel depends on shape variables.
    """
    for kernel in plan.kernels:
        if kernel.shape_variables:
            raise refusal(
                "TT895",
                f"{kernel.name} depends on {', '.join(kernel.shape_variables)}; expected a kernel of fixed sizes, "
                "as specialize gives it",
            )
    names = ", ".join(kernel.name for kernel in plan.kernels)
    return page(f"The plan of {names}", "The plan", _body(plan, comparison), Path(__file__).parent, _contents(plan))


def to_frame(plan: "Plan") -> str:
    """The page in a frame of its own, for notebooks: neither has an effect on the other."""
    return element(
        "iframe",
        srcdoc=to_html(plan),
        title="The plan of " + ", ".join(kernel.name for kernel in plan.kernels),
        sandbox="allow-scripts",
        width="100%",
        height=720,
        style="border: 0",
    )


def _body(plan: "Plan", comparison: "Comparison | None") -> list[Markup]:
    kernels = [
        _kernel(kernel, origin, f"kernel-{number}")
        for number, (kernel, origin) in enumerate(zip(plan.kernels, plan.provenance.kernels, strict=True))
    ]
    origin = f"tilelang-tt {plan.provenance.package_version} on {plan.provenance.host}"
    return [
        svg.hatch(),
        element("main", *kernels, *([comparison_section(comparison)] if comparison else [])),
        element("footer", element("p", f"Made by {origin}.")),
    ]


def _contents(plan: "Plan") -> Markup:
    """Links to the kernels, if there are several."""
    if len(plan.kernels) < 2:
        return Markup()
    links = [element("a", kernel.name, href=f"#kernel-{number}") for number, kernel in enumerate(plan.kernels)]
    return element("nav", *links, aria_label="Kernels")


def _kernel(kernel: Kernel, origin: KernelProvenance, identifier: str) -> Markup:
    found = count_figures(kernel)
    launches = [
        launch_section(
            kernel, number, None if found is None else found.launches[number], f"{identifier}-launch-{number}"
        )
        for number in range(len(kernel.launches))
    ]
    source = _place(origin.source)
    name = element("h1", kernel.name, *([element("span", source, class_="source")] if source else []))
    return element(
        "article",
        name,
        _warnings(kernel.warnings, origin.warning_sources),
        *launches,
        Markup() if found is None else estimate_section(kernel, found),
        tensor_section(kernel),
        id=identifier,
    )


def _place(source: Source | None) -> str:
    return "" if source is None else f"{source.file}:{source.line}"


def _warnings(warnings: Sequence[PlanWarning], sources: Sequence[Source | None]) -> Markup:
    if not warnings:
        return Markup()
    items = [
        element(
            "li",
            element("strong", f"Warning {warning.code}"),
            element("span", _place(source), class_="source"),
            element("pre", warning.message.removeprefix(f"{warning.code}: ")),
        )
        for warning, source in zip(warnings, sources, strict=True)
    ]
    return element("section", element("ul", *items), class_="warnings", aria_label="Warnings")
