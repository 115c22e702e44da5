"""Types as a cell sees them: `type(x)` without metaclasses."""

from __future__ import annotations

import types
from typing import NoReturn

from .names import SANDBOX_MODULE


def made_here(cls: type) -> bool:
    """Whether a cell made this class.  Asks `type` itself: a class attribute cannot answer in its place."""
    return bool(type.__getattribute__(cls, "__module__") == SANDBOX_MODULE)


class _TypeOfTypes(type):
    def __call__(cls, *arguments: object) -> object:
        if len(arguments) != 1:
            raise TypeError("type() takes 1 argument here: write a class statement to make a class")
        return type_of(arguments[0])

    def __instancecheck__(cls, instance: object) -> bool:
        return issubclass(type(instance), (type, _OpaqueType))

    def __subclasscheck__(cls, subclass: object) -> bool:
        return subclass is cls

    def __getitem__(cls, item: object) -> object:
        return cls  # `type[Node]` in an annotation

    def __repr__(cls) -> str:
        return "<class 'type'>"


class Type(metaclass=_TypeOfTypes):
    """What a cell knows as `type`.  The real one makes classes, metaclasses, and lists its subclasses."""


Type.__name__ = Type.__qualname__ = "type"


class _OpaqueType:
    """Stands for a type that is not given to cells: it can be compared, named and shown."""

    def __init__(self, real: type) -> None:
        self.__name__ = self.__qualname__ = real.__name__

    def __repr__(self) -> str:
        return f"<class '{self.__name__}'>"

    def __call__(self, *arguments: object, **keywords: object) -> NoReturn:
        raise TypeError(f"cannot create '{self.__name__}' instances here")


GIVEN_TYPES: set[type] = {
    type(None),
    type(...),
    type(NotImplemented),
    types.GeneratorType,
    type({}.keys()),
    type({}.values()),
    type({}.items()),
}
"""The real types that `type(x)` may give: those that a cell can also name, and harmless ones that it
meets."""

_opaque_types: dict[type, _OpaqueType] = {}


def type_of(instance: object) -> object:
    """`type(instance)`: the type where a cell may have it, else a stand-in that has its name."""
    cls = type(instance)
    if issubclass(cls, (type, _OpaqueType)):
        return Type
    if cls in GIVEN_TYPES or made_here(cls):
        return cls
    if cls not in _opaque_types:
        _opaque_types[cls] = _OpaqueType(cls)
    return _opaque_types[cls]
