"""The kernels of the gallery: they are what their pages say, and nothing is wrong with their plans."""

import importlib.util
import re

import pytest
from support import host
from support.examples import ROOT

pytestmark = pytest.mark.stage("docs")

FOLDER = ROOT / "examples" / "gallery"
NAMES = sorted(file.stem for file in FOLDER.glob("*.py"))


def load(file):
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GALLERY = load(ROOT / "docs" / "gallery_plans.py")


def test_every_kernel_is_shown_once():
    page = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    assert re.findall(r"^```\{planned\} (\w+)$", page, re.MULTILINE) == list(GALLERY.KERNELS)
    assert sorted(GALLERY.KERNELS) == NAMES


if host.ON_TILELANG:

    @pytest.mark.parametrize("name", NAMES)
    def test_plan(name):
        plan = GALLERY.plan_of(name)
        kernel = plan.kernel(name)
        assert kernel.warnings == ()
        assert plan.check()
        (launch,) = kernel.launches
        work = GALLERY.work_of_cores(kernel)
        assert sum(work.values()) == launch.num_tiles
        assert GALLERY.core_map(kernel).count("<rect") == kernel.device.worker_grid[0] * kernel.device.worker_grid[1]
        assert f"= {launch.num_tiles:,} work tiles" in GALLERY.facts(kernel)
