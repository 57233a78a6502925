"""Every function of the suite that a compile service may be given, whatever state it is in."""

import tvm
from tvm.tirx import PrimFunc

from . import kernels, launch_forms


def functions():
    """(name, function), of every kernel in every language and of every launch form."""
    for case in kernels.CASES:
        (built,) = case.values
        yield from _named(case.id, built.build())
    for form in (*launch_forms.FORMS, *launch_forms.SEVERAL_FORMS, *launch_forms.REFUSED_FORMS):
        yield from _named(form.name, form.build())


def _named(name, made):
    funcs = {"": made} if isinstance(made, PrimFunc) else {var.name_hint: func for var, func in made.functions.items()}
    for key, func in funcs.items():
        if isinstance(func, tvm.tirx.PrimFunc):
            yield f"{name}:{key}", func
