"""Targets: their kinds, attributes, hosts, tags, texts and mistakes; and devices."""

import json
import pickle

import pytest
from host import tvm, tvm_ffi
from tvm.target import Target


def test_kind():
    target = Target("c")
    assert str(target.kind.name) == "c"
    assert [str(key) for key in target.keys] == ["cpu"]
    assert dict(target.attrs) == {}
    assert target.host is None


def test_text():
    assert json.loads(str(Target("c"))) == {"kind": "c", "tag": "", "keys": ["cpu"]}


def test_text_parses_back():
    target = Target({"kind": "llvm", "mcpu": "skylake", "keys": ["mine", "cpu"]})
    assert tvm_ffi.structural_equal(Target(json.loads(str(target))), target)
    assert str(Target(str(target))) == str(target)


def test_attributes():
    target = Target({"kind": "llvm", "mcpu": "skylake", "num-cores": 4})
    assert str(target.attrs["mcpu"]) == "skylake"
    assert int(target.attrs["num-cores"]) == 4


def test_export():
    exported = Target({"kind": "c", "mcpu": "x"}, host="c").export()
    assert str(exported["kind"]) == "c"
    assert str(exported["mcpu"]) == "x"


def test_host():
    target = Target("opencl", host="c")
    assert str(target.host.kind.name) == "c"
    assert target.with_host("llvm").host.kind.name == "llvm"


def test_current():
    assert Target.current(allow_none=True) is None
    with Target("c") as target:
        assert Target.current().same_as(target)
    with pytest.raises(tvm.error.InternalError, match="Target context required"):
        Target.current(allow_none=False)


@pytest.mark.parametrize("kind", ["c", "llvm", "opencl", "metal", "vulkan", "webgpu", "hexagon", "ext_dev", "test"])
def test_each_kind(kind):
    assert str(Target(kind).kind.name) == kind
    assert kind in [str(name) for name in Target.list_kinds()]


@pytest.mark.parametrize("tag", ["nvidia/nvidia-a100", "raspberry-pi/4b-aarch64"])
def test_tag(tag):
    assert tag in tvm.target.list_tags()
    assert str(Target(tag)) == str(tvm.target.list_tags()[tag])


def test_new_tag():
    given = tvm.target.register_tag("host/of-these-tests", {"kind": "c", "mcpu": "mine"}, override=True)
    assert str(Target("host/of-these-tests")) == str(given)
    assert str(Target("host/of-these-tests").attrs["mcpu"]) == "mine"


@pytest.mark.parametrize("text", ["host-nope", "tenstorrent/nope", "tenstorrent/", "Tenstorrent", "tenstorent"])
def test_unknown_kind(text):
    with pytest.raises(ValueError, match="Target creation from string failed") as caught:
        Target(text)
    assert str(caught.value) == f'Target kind "{text}" is not defined. Target creation from string failed: {text}'
    assert type(caught.value) is ValueError


def test_unknown_option():
    with pytest.raises(ValueError, match=r"Unknown config option 'bogus'\. Known options: 'kind', 'keys', 'tag'"):
        Target({"kind": "ext_dev", "bogus": 1})


def test_wrong_option():
    with pytest.raises(ValueError, match=r"Option 'mcpu': expected type 'str' but got"):
        Target({"kind": "llvm", "mcpu": [1, 2]})


def test_without_kind():
    with pytest.raises((ValueError, TypeError), match="kind"):
        Target({"mcpu": "x"})


def test_options_of_command_lines():
    with pytest.raises(ValueError, match="no longer supported"):
        Target("llvm -mcpu=skylake")


def test_equal():
    assert tvm_ffi.structural_equal(Target("c"), Target("c"))
    assert not tvm_ffi.structural_equal(Target("c"), Target({"kind": "c", "mcpu": "x"}))


def test_pickled():
    target = Target({"kind": "c", "mcpu": "x"}, host="c")
    assert str(pickle.loads(pickle.dumps(target))) == str(target)


def test_options_of_a_kind():
    options = tvm.target.TargetKind.options_from_name("ext_dev")
    assert {str(name) for name in options} == {
        "kind", "keys", "tag", "device", "model", "libs", "host", "from_device", "target_device_type",
    }  # fmt: skip


def test_ext_dev():
    target = Target("ext_dev")
    assert [str(key) for key in target.keys] == []
    assert dict(target.attrs) == {}
    assert int(target.get_target_device_type()) == 12


@pytest.mark.parametrize(("name", "text"), [("cpu", "cpu:0"), ("opencl", "opencl:0"), ("ext_dev", "ext_dev:0")])
def test_device(name, text):
    assert str(tvm.device(name)) == text


@pytest.mark.parametrize("name", ["tenstorrent", "host-nope"])
def test_unknown_device(name):
    with pytest.raises(ValueError, match=f"Unknown device: {name}"):
        tvm.device(name)


def test_devices_that_exist():
    assert tvm.cpu(0).exist
    assert not tvm.opencl(0).exist
