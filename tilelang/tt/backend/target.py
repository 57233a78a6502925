"""The target "tenstorrent": what a compiler is told of the device, in the host's own terms."""

import json
from typing import TYPE_CHECKING, Any

from .. import transform
from .._version import __version__
from ..device import Device, as_attribute, devices
from ..errors import refusal

if TYPE_CHECKING:
    from tvm.target import Target

NAME = "tenstorrent"
# Kinds of targets are made in C++, inside of the host; this one has no code of its own and no options that we lack.
KIND = "ext_dev"
_PACKAGE = "tilelang.tt"
# TileLang's cache of kernels on disk knows nothing of this package but what the target says.
_VERSION = f"{_PACKAGE}={__version__}"


def make_target(device: "str | Device | None" = None, **inputs: Any) -> "Target":
    """The host's target of a device, with inputs for all kernels that are compiled for it.

    ``Target("tenstorrent/blackhole_p150")`` is the same as ``make_target("blackhole_p150")``. This function is for all
    else: a device of your own, and inputs such as a policy.

    Args:
        device: The name of one of :func:`tilelang.tt.devices`, or a :class:`tilelang.tt.Device`. Without one, kernels
            have the device that they carry as an attribute, else the default one.
        **inputs: The other keyword arguments of :func:`tilelang.tt.apply_tt_defaults`, which win over what a kernel
            carries, as there.

    Raises:
        HostError: There is no host.
        DeviceError: There is no device of that name; the message names the nearest.
        ArgumentError: There is no input of that name.
    """
    transform.ApplyTTDefaults(**inputs)  # refuses what it does not know
    if isinstance(device, str):
        device = Device.from_name(device)
    from tvm.target import Target

    return Target(_config(device, inputs))


def register_tags() -> None:
    """Let the host's ``Target`` know "tenstorrent", and each device below it."""
    import tvm_ffi

    add = tvm_ffi.get_global_func("target.TargetTagAddTag", allow_missing=True)
    if add is None:
        return
    add(NAME, _config(None, {}), True)
    for device in devices():
        add(f"{NAME}/{device.name}", _config(device, {}), True)


def is_ours(target: "Target") -> bool:
    """Whether kernels for that target are this package's to compile."""
    return bool(target.kind.name == KIND) and NAME in map(str, target.keys)


def inputs_of(target: "Target") -> dict[str, Any]:
    """The keyword arguments of ``apply_tt_defaults`` that a target states.

    Raises:
        OptionError: One of its ``libs`` is none of them.
    """
    inputs = {}
    if "model" in target.attrs:
        inputs["device"] = str(target.attrs["model"])
    for option in map(str, target.attrs.get("libs", [])):
        key, equals, value = option.partition("=")
        if key != _PACKAGE:
            inputs[key] = _parse(option, value if equals else "")
    return inputs


def is_meant(target: Any) -> bool:
    """Whether a target, in any form that hosts take, is one of ours; the device may be one that there is not."""
    from tvm.target import Target

    if isinstance(target, dict):
        return NAME in target.get("keys", ()) or is_meant(target.get("tag"))
    if isinstance(target, str):
        return target.partition("/")[0] == NAME or is_meant(_config_of(target))
    return isinstance(target, Target) and is_ours(target)


def normalize(target: Any) -> "Target | None":
    """What TileLang is to take a target for: ours with this package's version in it; None where it is right already.

    Raises:
        DeviceError: It names a device that there is not.
    """
    from tvm.target import Target

    if not is_meant(target):
        return None
    if isinstance(target, str) and _config_of(target) is None:
        return make_target(target.partition("/")[2] or None)
    known = target if isinstance(target, Target) else Target(target)
    libs = [str(option) for option in known.attrs.get("libs", [])]
    expected = [_VERSION, *(option for option in libs if option.partition("=")[0] != _PACKAGE)]
    return None if libs == expected else Target({**dict(known.export()), "libs": expected})


def _config(device: Device | None, inputs: dict[str, Any]) -> dict[str, Any]:
    """The host's description; what ``model`` cannot say is in ``libs``, the one free list that there is."""
    options = {key: value for key, value in inputs.items() if value is not None}
    config: dict[str, Any] = {"kind": KIND, "keys": [NAME], "device": NAME}
    if device is not None:
        config["model"] = device.name
        if isinstance(stated := as_attribute(device), dict):
            options["device"] = stated
    config["libs"] = [_VERSION, *(f"{key}={json.dumps(value)}" for key, value in sorted(options.items()))]
    return config


def _config_of(text: str) -> Any:
    """What a text states in JSON, as hosts print targets; None of another text."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _parse(option: str, value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        raise refusal(
            "TT942",
            f'a target "{NAME}" has "{option}" among its libs; expected an input and its value, as in tile_height=16',
        ) from None
