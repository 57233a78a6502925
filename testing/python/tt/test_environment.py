"""Environments before anything runs in them: what cannot be compared, and what is contaminated."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tilelang.tt import errors
from tilelang.tt.testing.compare.environment import _probe, look_at
from tilelang.tt.testing.compare.model import Leg

pytestmark = pytest.mark.stage("testing")

BASELINE = Leg("baseline", sys.executable)
CANDIDATE = Leg("candidate", sys.executable, {"SWITCH": "1"})


def installed(folder, version="1.0", module="extension_of_mine"):
    """A leg's variables, by which it has a distribution My_Package with a module."""
    information = folder / f"My_Package-{version}.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: My_Package\nVersion: {version}\n")
    (information / "RECORD").write_text(f"{module}.py,sha256=x,1\n")
    (folder / f"{module}.py").write_text("")
    return {"PYTHONPATH": str(folder)}


def test_versions(tmp_path):
    legs = [
        replace(BASELINE, variables=installed(tmp_path / "a")),
        replace(CANDIDATE, variables=installed(tmp_path / "b")),
    ]
    baseline, candidate = look_at(legs, package="my-package")
    assert baseline.leg.versions.keys() == {"python", "pytest", "my-package"}
    assert baseline.leg.versions["python"] == ".".join(map(str, sys.version_info[:3]))
    assert (baseline.prefix, baseline.leg.python) == (sys.prefix, sys.executable)
    legs[1] = replace(CANDIDATE, variables=installed(tmp_path / "c", "2.0"))
    baseline, candidate = look_at(legs)
    assert candidate.leg.versions["my-package"] == "2.0"
    with pytest.raises(errors.ComparisonError, match=r"TT996: my-package: found 1.0 in the baseline, 2.0 in the cand"):
        look_at(legs, package="My_Package")
    with pytest.raises(errors.ComparisonError, match="TT996: nowhere: found none in the baseline, none in the cand"):
        look_at(legs, package="nowhere")


def test_the_state_is_that_of_all_modules(tmp_path):
    """Of what is installed, patched by hand, in development mode, and worked on in a folder on the path."""
    checkout, source = tmp_path / "a checkout", tmp_path / "source" / "package"
    checkout.mkdir()
    source.mkdir(parents=True)
    leg = replace(BASELINE, variables=installed(tmp_path / "site-packages"))
    leg = replace(leg, variables={"PYTHONPATH": f"{tmp_path / 'site-packages'}:{source.parent}"})
    direct = {"url": checkout.as_uri(), "dir_info": {"editable": True}}
    (tmp_path / "site-packages" / "My_Package-1.0.dist-info" / "direct_url.json").write_text(json.dumps(direct))

    def state():
        return _probe(leg)["state"]

    before = state()
    for unseen in (source / "test_a.py", source / "data.txt", checkout / ".git.py"):
        unseen.write_text("")
    (checkout / ".cache").mkdir()
    (checkout / ".cache" / "module.py").write_text("")
    (tmp_path / "site-packages" / "loose.py").write_text("")
    states = [state()]
    assert states == [before]
    for seen in (
        tmp_path / "site-packages" / "extension_of_mine.py",
        checkout / "module.py",
        source / "native.cpython-311.so",
    ):
        seen.write_text("changed")
        states.append(state())
    assert len(set(states)) == 4
    assert _probe(replace(leg, variables={"PYTHONPATH": ""}))["state"] not in states


def test_contamination(tmp_path):
    legs = [BASELINE, replace(CANDIDATE, variables=installed(tmp_path), present=("extension_of_mine",))]
    look_at([replace(BASELINE, absent=("extension_of_mine", "extension_of_mine.sub")), legs[1]])
    place = tmp_path / "extension_of_mine.py"
    contaminated = replace(BASELINE, variables=legs[1].variables, absent=("extension_of_mine",))
    with pytest.raises(errors.ComparisonError, match=f"TT997: baseline: extension_of_mine can .*, from {place}"):
        look_at([contaminated, legs[1]])
    with pytest.raises(errors.ComparisonError, match="TT997: candidate: extension_of_mine cannot be imported"):
        look_at([BASELINE, replace(CANDIDATE, present=("extension_of_mine",))])


def test_environments_that_are_the_same():
    with pytest.raises(errors.ComparisonError, match=r"TT996: baseline and candidate .*expected a difference"):
        look_at([BASELINE, replace(BASELINE, name="candidate")])
    look_at([BASELINE, replace(BASELINE, name="candidate")], same=True)


def test_a_virtual_environment_without_pytest(tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    with pytest.raises(
        errors.ComparisonError,
        match=r"TT996: candidate: found no pytest for .*venv/bin/python; expected 8 or newer\nhelp: ",
    ):
        look_at([BASELINE, replace(CANDIDATE, python=str(tmp_path / "venv"))])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (None, "found no program .*python; expected an interpreter"),
        (Path.mkdir, "has no bin/python; expected a virtual environment"),
        ("#!/bin/sh\necho a word; exit 3\n", "ended with 3; expected an interpreter of Python\na word"),
        ("#!/no/such/program\n", "does not start: No such file"),
    ],
)
def test_no_interpreter(tmp_path, make, message):
    path = tmp_path / "python"
    if callable(make):
        make(path)
    elif make:
        path.write_text(make)
        path.chmod(0o755)
    with pytest.raises(errors.ComparisonError, match=f"TT996: candidate: .*{message}"):
        look_at([replace(CANDIDATE, name="candidate", python=str(path)), BASELINE])
