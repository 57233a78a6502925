"""Sphinx extension: the directive ``{planned} NAME`` shows what is planned of ``examples/gallery/NAME.py``.

The page of each plan, and its file, stand beside the gallery in what is built. It is built where TileLang is, as the
kernels are TileLang's.
"""

import html
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from gallery_plans import FOLDER, KERNELS, core_map, facts, plan_of


class Planned(Directive):
    required_arguments = 1

    def run(self):
        (name,) = self.arguments
        kernel = plan_of(name).kernel()
        inputs = "".join(f", {key}={value!r}" for key, value in KERNELS[name].items())
        card = (
            f'<div class="planned"><a href="gallery/{name}.html">{core_map(kernel)}</a>'
            f"<p>{html.escape(facts(kernel))}.</p>"
            f'<p><a href="gallery/{name}.html"><strong>The page of this plan</strong></a> &middot; '
            f'<a href="gallery/{name}.plan.json">its plan file</a> &middot; made by '
            f"<code>make_plan({name}(){html.escape(inputs)})</code></p></div>"
        )
        file = FOLDER / f"{name}.py"
        self.state.document.settings.record_dependencies.add(str(file))
        source = file.read_text(encoding="utf-8")
        return [
            nodes.raw("", card, format="html"),
            nodes.raw("", f"<details><summary>examples/gallery/{name}.py</summary>", format="html"),
            nodes.literal_block(source, source, language="python"),
            nodes.raw("", "</details>", format="html"),
        ]


def write_pages(app, error):
    if error is None and app.builder.format == "html":
        folder = Path(app.outdir) / "gallery"
        folder.mkdir(exist_ok=True)
        for name in KERNELS:
            plan_of(name).to_html(folder / f"{name}.html")
            plan_of(name).save(folder / f"{name}.plan.json")


def setup(app):
    app.add_directive("planned", Planned)
    app.connect("build-finished", write_pages)
    return {"parallel_read_safe": True}
