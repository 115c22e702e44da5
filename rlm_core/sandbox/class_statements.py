"""Class statements: what the policy cannot see of them at compile time."""

from __future__ import annotations

import builtins
import functools
from typing import Any
from xml.etree import ElementTree

from .classes import Type, made_here
from .guards import GUARDED_FORMATS
from .names import is_dunder, is_reserved

NO_BASES = frozenset([Type, super, property, functools.cached_property, ElementTree.Element])
"""Of the middle three each object names the attribute that it reads or writes: one of a cell's own class
would do so for any name.  An element compares its children while it walks them, and does not look whether
one of a cell's own class has meanwhile taken them away."""


def build_class(body: Any, name: str, /, *bases: Any, **keywords: Any) -> type:
    """`__build_class__` of the cells' namespace.

    Bases are values, so `class M(type)` and `class S(super)` are found here; and so are the names in
    `__slots__`, which become attributes without ever being identifiers."""
    for base in bases:
        if base is Type:
            raise TypeError("metaclasses are not available: use a class decorator")
        if made_here(type(base)):  # it may name others, by `__mro_entries__`
            raise TypeError("an object cannot be a base class here")
    cls: type = builtins.__build_class__(body, name, *bases, **keywords)
    if isinstance(cls, type):
        refuse_bases(cls)
        if "__slots__" in vars(cls):
            _settle_slots(cls)
        if issubclass(cls, str):
            guard_formats(cls)
    return cls


def refuse_bases(cls: type) -> None:
    """Raises TypeError for a class that derives from one of `NO_BASES`, or is one."""
    for base in NO_BASES.intersection(cls.__mro__):
        raise TypeError(f"{base.__name__} cannot be a base class here")


def guard_formats(cls: type) -> None:
    """Gives a class of strings the guarded `str.format`.

    The policy guards where a cell reads `.format`; `astuple` and `copy` read what a field or a slot of that
    name says, natively."""
    for name, guarded in GUARDED_FORMATS.items():
        if not any(name in vars(base) for base in cls.__mro__ if made_here(base)):
            type.__setattr__(cls, name, guarded)


def _settle_slots(cls: type) -> None:
    """Checks the names, and replaces the container by a tuple: `copy` reads `__slots__` again for every
    object, and would believe a list that has changed since."""
    slots = vars(cls)["__slots__"]
    if type(slots) is str:
        slots = (slots,)
    if type(slots) not in (tuple, list, dict, set, frozenset):
        raise TypeError("__slots__ must be a tuple of names")
    names = tuple(slots)
    for name in names:
        if type(name) is not str or is_reserved(name) or (is_dunder(name) and name != "__dict__"):
            raise TypeError(f"{name!r} cannot be a slot here")
    type.__setattr__(cls, "__slots__", names)
