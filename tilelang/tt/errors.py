"""What this package raises and warns of.

Every refusal is a :class:`TTError` and also the builtin exception that a caller would expect. The
message says what was found, what was expected, where, and what to do. The C++ passes raise the same
classes, whoever runs them.
"""


class TTError(Exception):
    """Base of all errors of ``tilelang.tt``."""


class ArgumentError(TTError, TypeError):
    """An argument of the wrong type, such as a list where a module is expected."""


class NoKernelError(TTError, ValueError):
    """A module, or a function, without a launch grid."""


class GridError(TTError, ValueError):
    """A launch grid that is not static, positive and consistent."""


class MultipleLaunchesError(GridError):
    """More than one launch in a function."""


class OpaqueKernelError(TTError, ValueError):
    """A kernel whose body is foreign source text, or that uses memory of unknown origin."""


class MissingInputError(TTError, ValueError):
    """An input attribute that a pass needs and nobody has set."""


class OptionError(TTError, ValueError):
    """An input, such as a policy, an order or a layout, with a value that does not exist."""


class DeviceError(OptionError):
    """A device, or cores, that do not exist."""


class TileShapeError(OptionError):
    """A tile that the hardware has not."""


class DtypeError(TTError, TypeError):
    """A dtype without a Tenstorrent data format."""


class ShapeError(TTError, ValueError):
    """A tensor shape, or strides, that cannot be laid out."""


class IntegerOverflowError(TTError, OverflowError):
    """A count or a size beyond 64 bits."""


class BufferLookupError(TTError, LookupError):
    """A buffer that is not there, or a name that two buffers share."""


class HostError(TTError, ImportError):
    """No TVM that can be used, or one that lacks what this package calls."""


class InternalError(TTError, RuntimeError):
    """A bug of this package; please report it."""


class HostWarning(UserWarning):
    """A TVM with which this package has not been tried."""


class FormatWarning(UserWarning):
    """A data format that Tenstorrent's own library does not offer."""
