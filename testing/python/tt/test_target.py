"""Target "tenstorrent" as the host's own object: tags, and what a target says of the device and of inputs."""

import pytest
import tvm
from hypothesis import given
from hypothesis import strategies as st
from support import host
from support.process import run_python
from tvm.target import Target

from tilelang.tt import Device, __version__, devices, errors
from tilelang.tt.backend import make_target
from tilelang.tt.backend.target import inputs_of, is_ours, normalize

pytestmark = pytest.mark.stage("target")

VERSION = f"tilelang.tt={__version__}"
NAMES = [device.name for device in devices()]


@pytest.mark.parametrize("name", NAMES)
def test_tag_of_a_device(name):
    found = Target(f"tenstorrent/{name}")
    assert found.kind.name == "ext_dev"
    assert list(found.keys) == ["tenstorrent"]
    assert found.attrs["model"] == name
    assert list(found.attrs["libs"]) == [VERSION]
    assert inputs_of(found) == {"device": name}


def test_tag_without_a_device():
    """It leaves the choice to the kernel, and to the default."""
    found = Target("tenstorrent")
    assert "model" not in found.attrs
    assert list(found.attrs["libs"]) == [VERSION]
    assert inputs_of(found) == {}


@pytest.mark.parametrize("name", ["tenstorrent", *(f"tenstorrent/{name}" for name in NAMES)])
def test_tags_are_what_the_function_gives(name):
    made = make_target(name.partition("/")[2] or None)
    assert str(Target(name)) == str(made)
    assert str(Target(str(made))) == str(made)
    assert str(Target(dict(made.export()))) == str(made)


def test_ours():
    assert is_ours(make_target())
    assert is_ours(make_target().with_host("c"))
    assert not is_ours(Target("c"))
    assert not is_ours(Target({"kind": "ext_dev", "keys": ["another"]}))


@pytest.mark.parametrize("name", ["tenstorrent", "tenstorrent/blackhole_p150"])
def test_normalized(name):
    """Whatever form it has, the target comes to have this package's version."""
    made = Target(name)
    config = {key: value for key, value in dict(made.export()).items() if key != "libs"}
    for form in (name, config, str(Target(config)), Target(config), {"tag": name, "libs": []}):
        found = normalize(form)
        assert (inputs_of(found), list(found.attrs["libs"])) == (inputs_of(made), [VERSION])
    assert normalize(made) is None


@pytest.mark.parametrize("form", ["c", {"kind": "c"}, '{"kind": "c"}', '{"kind"', "tenstorrents", None, 3], ids=str)
def test_others_stay(form):
    assert normalize(form) is None


def test_another_model_of_a_tag():
    found = Target({"tag": "tenstorrent", "model": "blackhole_p100"})
    assert is_ours(found)
    assert inputs_of(found) == {"device": "blackhole_p100"}


INPUTS = {
    "schedule_policy": st.sampled_from(["contiguous", "strided", "rectangular"]),
    "schedule_order": st.sampled_from(["row_major", "column_major"]),
    "tile_height": st.sampled_from([16, 32]),
    "cores": st.lists(st.lists(st.integers(0, 7), min_size=4, max_size=4), min_size=1, max_size=3),
    "data_format": st.none() | st.just("Bfp8_b"),
}


@given(st.fixed_dictionaries({}, optional=INPUTS), st.none() | st.sampled_from(NAMES))
def test_inputs_come_back(inputs, device):
    given_ = {key: value for key, value in inputs.items() if value is not None}
    expected = given_ if device is None else {"device": device, **given_}
    made = make_target(device, **inputs)
    assert inputs_of(made) == expected
    assert inputs_of(Target(str(made))) == expected
    assert inputs_of(made.with_host("c")) == expected


def test_device_of_ones_own():
    device = Device.from_name("blackhole_p150").replace(name="mine", worker_grid=(11, 9))
    found = make_target(device)
    assert found.attrs["model"] == "mine"
    assert inputs_of(found) == {"device": device.to_dict()}


def test_unknown_device():
    with pytest.raises(errors.DeviceError, match=r"^TT303: unknown device .*did you mean wormhole_n150\?"):
        make_target("wormhole_n15")


def test_unknown_input():
    with pytest.raises(errors.ArgumentError, match=r"^TT103: unknown input policy; expected any of: device, "):
        make_target(policy="strided")


@pytest.mark.parametrize("option", ["strided", "tile_height=", "tile_height=large", "schedule_policy=strided"])
def test_library_that_is_no_option(option):
    found = Target({"tag": "tenstorrent", "libs": [VERSION, option]})
    with pytest.raises(errors.OptionError, match=f'^TT942: a target "tenstorrent" has "{option}" among its libs'):
        inputs_of(found)


@pytest.mark.parametrize("name", ["tenstorrent/wormhole", "tenstorrent/", "tenstorrent_n150"])
def test_unknown_tag(name):
    """The host itself says so."""
    with pytest.raises(ValueError, match="is not defined"):
        Target(name)


ORDERS = [["tilelang.tt", "tvm"], ["tilelang.tt", "tvm.target"], ["tilelang.tt", "tvm.tirx"]]
if not host.ON_TILELANG:  # whose TVM is found only after it
    ORDERS += [["tvm", "tilelang.tt"], ["tvm.ir", "tilelang.tt"]]


@pytest.mark.parametrize("order", ORDERS, ids=" ".join)
def test_import_orders(tmp_path, order):
    imports = "".join(f"import {module}\n" for module in order)
    out = run_python(
        f'{imports}import tvm\nprint(tvm.target.Target("tenstorrent/blackhole_p150").attrs["model"])', tmp_path
    )
    assert out == "blackhole_p150\n"


def test_tags_are_listed():
    listed = tvm.target.list_tags()
    assert {f"tenstorrent/{name}" for name in NAMES} <= set(map(str, listed))
