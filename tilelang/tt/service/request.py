"""What is to be compiled, as one value that can be sent to another process."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .. import passes, transform
from ..device import Device, as_attribute
from ..errors import refusal
from .key import key_of
from .transport import decode, encode

if TYPE_CHECKING:
    from tvm.ir import IRModule
    from tvm.tirx import PrimFunc


@dataclass(frozen=True, eq=False)
class Request:
    """One kernel, for one device, with the options of one compilation.

    Attributes:
        name: Of the kernel.
        func: The kernel, as its author wrote it or with inputs set on it.
        device: None for the one that the kernel carries, else the default one.
        options: The other keyword arguments of :func:`tilelang.tt.apply_tt_defaults`, as JSON with sorted keys.
    """

    name: str
    func: "PrimFunc"
    device: Device | None
    options: str

    @classmethod
    def of(
        cls,
        mod: "IRModule | PrimFunc",
        device: "str | Device | None",
        options: Mapping[str, Any] | None,
        name: str | None,
    ) -> "Request":
        """What a caller's arguments ask for.

        Raises:
            ArgumentError: ``mod`` is neither an IRModule nor a PrimFunc, ``options`` is no map, or there is no
                option of that name.
            BufferLookupError: The module has no kernel of that name, or several and no name is given.
            DeviceError: There is no device of that name.
        """
        found, func = passes.kernel_of(mod, name)
        if not isinstance(options, Mapping | None):
            raise refusal("TT103", f'options is {options!r:.40}; expected a map, as {{"schedule_policy": "strided"}}')
        given = {key: value for key, value in (options or {}).items() if value is not None}
        if "device" in given:
            raise refusal("TT103", "found a device among the options; expected it as the argument device")
        transform.ApplyTTDefaults(**given)  # refuses what it does not know
        if not isinstance(device, Device | None):
            device = Device.from_name(device)
        return cls(found, func, device, json.dumps(given, sort_keys=True, default=_plain))

    @cached_property
    def key(self) -> str:
        """What the result is stored under: equal for all that give an equal result, and for nothing else."""
        return key_of(self.name, self.func, self.device, self.options)

    @property
    def inputs(self) -> dict[str, Any]:
        """The keyword arguments of :func:`tilelang.tt.apply_tt_defaults`."""
        return {"device": self.device, **json.loads(self.options)}

    def to_bytes(self) -> bytes:
        """What :meth:`from_bytes` reads: JSON."""
        device = None if self.device is None else as_attribute(self.device)
        fields = {"name": self.name, "device": device, "options": self.options, "func": encode(self.func, places=True)}
        return json.dumps(fields).encode()

    @classmethod
    def from_bytes(cls, data: bytes, *, trusted: bool = False) -> "Request":
        """The request that another process of this machine, or of this cluster, has sent.

        Args:
            data: What it has sent.
            trusted: Whether it is the parent of this process, whose kernels need no check.
        """
        from tvm.ir import load_json

        fields = json.loads(data)
        device = fields["device"]
        if device is not None:
            device = Device.from_name(device) if isinstance(device, str) else Device(**device)
        return cls(fields["name"], (load_json if trusted else decode)(fields["func"]), device, fields["options"])


def _plain(value: Any) -> Any:
    """Numbers and arrays of numpy, which the passes take too, as Python's."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise refusal("TT103", f"an option is {value!r:.60}; expected numbers, strings and lists of them")
