"""What the host's registries and this process hold, as plain values; as a script, of a process with the host alone.

pytest and a plugin have been here before, so what a test compares with comes from a process that has neither.
"""

import os

_BEFORE = dict(os.environ)

import builtins
import copyreg
import decimal
import gc
import json
import locale
import logging
import multiprocessing
import signal
import socket
import subprocess
import sys
import threading
import warnings
from functools import cache
from pathlib import Path
from types import ModuleType

import host
import numpy as np
import tvm.relax
import tvm.testing
from host import tvm, tvm_ffi

AT_START = Path("/proc/self/environ")
_ROOMS = ("tvm", "tvm_ffi", "tilelang")
_ATTRIBUTES_OF_OPERATORS = ("TCallEffectKind", "TScriptPrinterName", "TVectorizable")


def registries():
    """By registry, names and what stands behind them."""
    kinds = list(map(str, tvm.target.Target.list_kinds()))
    functions = [name for name in map(str, tvm_ffi.registry.list_global_func_names()) if not name.startswith("host.")]
    return {
        "functions": {name: _text(tvm_ffi.get_global_func_metadata(name)) for name in functions},
        "types": {str(name): "" for name in tvm_ffi.registry.get_registered_type_keys()},
        "operators": {name: _operator(name) for name in map(str, tvm.ir.Op.list_op_names())},
        "kinds": {name: _text(dict(tvm.target.TargetKind.options_from_name(name))) for name in kinds},
        "tags": {str(name): str(target) for name, target in tvm.target.list_tags().items()},
        "pass_options": {
            str(name): _text(dict(of)) for name, of in tvm.ir.transform.PassContext.list_configs().items()
        },
        "pipelines": dict.fromkeys(_pipelines(), ""),
        "errors": {name: str(error) for name, error in tvm_ffi.core.ERROR_NAME_TO_TYPE.items()},
    }


def _text(value):
    return json.dumps(value, sort_keys=True, default=str)


def _operator(name):
    operator = tvm.ir.Op.get(name)
    attributes = {key: str(operator.get_attr(key)) for key in _ATTRIBUTES_OF_OPERATORS}
    return _text([operator.num_inputs, operator.support_level, attributes])


def _pipelines():
    """As the host lists them to whoever asks for one that there is not."""
    try:
        tvm.tirx.get_tir_pipeline("host.nope")
    except ValueError as error:
        return str(error).partition("[")[2].strip("]").replace("'", "").split(", ")


def definitions():
    """By full name, where the code of the host's functions and of attributes of its classes is, where it is Python."""
    found = {}
    for name, module in _modules():
        for key, held in list(vars(module).items()):
            if isinstance(held, type) and held.__module__ == name:
                found |= {f"{name}.{held.__qualname__}.{inner}": _place(of) for inner, of in vars(held).items()}
            elif callable(held):
                found[f"{name}.{key}"] = _place(held)
    return found


def tables():
    """By full name, the keys of the dictionaries that the host's modules keep."""
    dictionaries = (
        (f"{name}.{key}", held)
        for name, module in _modules()
        for key, held in list(vars(module).items())
        if type(held) is dict and key != "__builtins__" and key != "__annotations__"
    )
    return {name: sorted(set(map(_key, held))) for name, held in dictionaries}


def _modules():
    for name, module in list(sys.modules.items()):
        ours = name.startswith("tilelang.tt")
        if name.partition(".")[0] in _ROOMS and not ours and isinstance(module, ModuleType):
            yield name, module


def _key(key):
    if isinstance(key, int):
        return "number"  # it may be an address
    return f"{key.__module__}.{key.__qualname__}" if isinstance(key, type) else str(key)


def _place(value):
    code = getattr(getattr(value, "__func__", getattr(value, "fget", value)), "__code__", None)
    return f"{type(value).__name__} {Path(code.co_filename).name}:{code.co_firstlineno}" if code else ""


def process():
    """What everything in a process shares, as far as pytest leaves it alone."""
    mask = os.umask(0o22)
    os.umask(mask)
    return {
        "path_hooks": [getattr(hook, "__qualname__", str(hook)) for hook in sys.path_hooks],
        "displayhook": sys.displayhook.__module__,
        "excepthook": sys.excepthook.__module__,
        "limits": [sys.getrecursionlimit(), sys.getswitchinterval()],
        "collector": [gc.isenabled(), *gc.get_threshold(), len(gc.callbacks)],
        "flags_of_libraries": sys.getdlopenflags(),
        "errors_of_numpy": np.geterr(),
        "printing_of_numpy": _text(np.get_printoptions()),
        "arithmetic": str(decimal.getcontext()),
        "signals": {str(int(number)): str(signal.getsignal(number)) for number in signal.valid_signals()},
        "mask": mask,
        "locale": str(locale.setlocale(locale.LC_ALL)),
        "level": logging.root.level,
        "logger_class": logging.getLoggerClass().__name__,
        "record_factory": logging.getLogRecordFactory().__name__,
        "level_names": {str(level): logging.getLevelName(level) for level in range(0, 60, 5)},
        "formatwarning": warnings.formatwarning.__module__,
        "builtins": sorted(name for name in vars(builtins) if name != "_" and not name.startswith("@")),
        "timeout": socket.getdefaulttimeout(),
        "start_method": multiprocessing.get_start_method(allow_none=True),
        "pickled": sorted(map(_key, copyreg.dispatch_table)),
        "traces": [str(sys.gettrace()), str(sys.getprofile())],
    }


def finders():
    """What finds modules, in order."""
    return [type(finder).__module__ + "." + type(finder).__qualname__ for finder in sys.meta_path]


def filters():
    """What becomes of warnings, the last of it first."""
    return [_text(each) for each in reversed(warnings.filters)]


def at_start():
    """The variables that this process began with, as far as the system says."""
    if not AT_START.exists():
        return dict(os.environ)
    entries = AT_START.read_bytes().decode(errors="surrogateescape").split("\0")
    return {name: value for name, equals, value in (entry.partition("=") for entry in entries) if equals}


def environment(before):
    """Variables that have been set, changed or removed since."""
    names = before.keys() | os.environ.keys()
    return {name: os.environ.get(name) for name in names if before.get(name) != os.environ.get(name)}


@cache
def of_a_new_process():
    """All of the above, of a process that has imported the host and nothing else, and that began as this one."""
    command = [sys.executable, __file__]
    done = subprocess.run(command, env=at_start(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def _main():
    found = {
        "registries": registries(),
        "definitions": definitions(),
        "tables": tables(),
        "process": process(),
        "finders": finders(),
        "filters": filters(),
        "environment": environment(_BEFORE),
        "threads": [thread.name for thread in threading.enumerate()],
        "loggers": sorted(logging.root.manager.loggerDict),
        "host": host.__file__,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    _main()
