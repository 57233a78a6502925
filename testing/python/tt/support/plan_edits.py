"""Changing single values of a plan, which are found by their JSON pointers."""

from dataclasses import fields, is_dataclass, replace


def edit(record, pointer, value):
    """The record with another value in that place; a callable gets what is there."""
    if not pointer:
        return value(record) if callable(value) else value
    key, _, rest = pointer.lstrip("/").partition("/")
    if is_dataclass(record):
        return replace(record, **{key: edit(getattr(record, key), rest, value)})
    position = int(key)
    return (*record[:position], edit(record[position], rest, value), *record[position + 1 :])


def leaves(record, pointer=""):
    """Every number, text, truth value and None in it, by its pointer."""
    if is_dataclass(record):
        parts = [(field.name, getattr(record, field.name)) for field in fields(record)]
    elif isinstance(record, tuple):
        parts = list(enumerate(record))
    else:
        yield pointer, record
        return
    for key, value in parts:
        yield from leaves(value, f"{pointer}/{key}")
