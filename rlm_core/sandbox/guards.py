"""The language wall, at run time: what the policy writes into a cell's code, and the guarded builtins.

_getattr_(obj, name)    special names, and public names that are a way out on some objects
_own_(obj)._name        private attributes: only of what the sandbox made
_write_(obj).name = v   attributes are set only on what the sandbox made, and on plain data
"""

from __future__ import annotations

import _string  # type: ignore[import-not-found]  # what string.Formatter itself parses with
import abc
import collections
import functools
import string
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .classes import made_here, type_of
from .names import (
    ENUM_ATTRIBUTES,
    FORMATS,
    NAMEDTUPLE_ATTRIBUTES,
    READABLE_DUNDERS,
    REFUSED_ATTRIBUTES,
    SANDBOX_MODULE,
    is_dunder,
    is_reserved,
    why_not,
)
from .templates import traverses

WRITABLE_TYPES: set[type] = {
    collections.defaultdict,  # default_factory
}
"""Types of the host's whose objects are plain data with attributes that code sets."""

REQUIRED = object()  # no default was given
_ABSENT = object()


# Whose attributes

MOST_KNOWN = 1_000
_known: set[type] = set()
"""Classes found to be the sandbox's own, to be found faster: these hooks run in loops.  A class held here
lives as long as the worker, so there is a most."""


def own(obj: Any) -> Any:
    """`obj`, if its private attributes are the sandbox's own business.  Raises AttributeError."""
    cls = type(obj)
    if cls in _known or _is_own(obj, cls) or (cls is super and made_here(_searched_by(obj))):
        return obj
    raise AttributeError(f"private attributes of {cls.__name__} objects are not available")


def writable(obj: Any) -> Any:
    """`obj`, if attributes may be set on it.  Raises TypeError."""
    cls = type(obj)
    if cls in _known or _is_own(obj, cls) or cls in WRITABLE_TYPES:
        return obj
    raise TypeError(
        f"attributes of {cls.__name__} objects are read-only here: keep the value in a variable or a dict"
    )


def _is_own(obj: Any, cls: type) -> bool:
    """Whether `obj` is of a class that a cell made, or is a class or function of a cell itself."""
    if made_here(cls):
        if len(_known) < MOST_KNOWN:
            _known.add(cls)
        return True
    if issubclass(cls, type):
        return made_here(obj)
    return cls is types.FunctionType and bool(obj.__module__ == SANDBOX_MODULE)


def _searched_by(obj: Any) -> type:
    """The class in which a `super` object looks for attributes."""
    return vars(super)["__self_class__"].__get__(obj) or super


# Reading


def guarded_getattr(obj: Any, name: str, default: Any = REQUIRED, /) -> Any:
    """`getattr` as cells have it.  Raises AttributeError for what they may not read, or gives the default."""
    try:
        return _read(obj, name)
    except AttributeError:
        if default is REQUIRED:
            raise
        return default


def guarded_hasattr(obj: Any, name: str, /) -> bool:
    return guarded_getattr(obj, name, _ABSENT) is not _ABSENT


def _read(obj: Any, name: str) -> Any:
    if type(name) is not str:  # not isinstance: a subclass may answer every question about itself
        raise TypeError("attribute name must be string")
    if not name.startswith("_"):
        if name in REFUSED_ATTRIBUTES:
            raise AttributeError(f"{name} is not available: the sandbox cannot be inspected")
        rule = _RULES.get(name)
        return rule(obj, getattr(obj, name)) if rule else getattr(obj, name)
    if is_dunder(name):
        return _read_special(obj, name)
    if is_reserved(name) and name not in ENUM_ATTRIBUTES:
        raise AttributeError(f"{name} is not available")
    if name in NAMEDTUPLE_ATTRIBUTES and issubclass(type(obj) if not isinstance(obj, type) else obj, tuple):
        return getattr(obj, name)
    return getattr(own(obj), name)


def _read_special(obj: Any, name: str) -> Any:
    if name not in READABLE_DUNDERS:
        raise AttributeError(why_not(name))
    if name == "__class__":
        return type_of(obj)
    if name in ("__dict__", "__annotations__"):
        # A copy that cannot be written to: the real one takes any name, special ones too.
        return types.MappingProxyType(public_vars(obj, name))
    if isinstance(obj, types.ModuleType) and name not in ("__name__", "__doc__"):
        raise AttributeError(f"{name} is not available")
    value = getattr(obj, name)
    if name == "__members__":
        return types.MappingProxyType(dict(value))  # the real one hands what is behind it to an `__eq__`
    return _initialiser(value) if name == "__init__" else _for_instances(value)


def _initialiser(value: Any) -> Any:
    """`__init__`, for objects of the sandbox's own classes: any other would be made anew in place, and
    `typing.Optional.__init__(f)` or `property.__init__(Fraction.numerator, f)` changes what the host uses."""
    kind = type(value)
    if kind in (types.MethodType, types.MethodWrapperType):
        if not made_here(type(value.__self__)):
            raise AttributeError("__init__ is not available")
        return value
    if kind is types.WrapperDescriptorType:
        return _guarded_method(value, own_only=True)
    return _for_instances(value)


def _for_instances(value: Any) -> Any:
    """A function out of a class that the policy did not compile, made to refuse what it was not written for.

    A method of the host's may say `self.__class__(x)` or `type(self)(x)`.  Called as
    `Counter.copy(SomeClass)` that is `type(x)`, and for some methods `type(x, y, z)`: the real one, which
    makes classes of any kind.  And the methods that `dataclass` writes read and set attributes natively, of
    whatever they are called with."""
    if type(value) is not types.FunctionType or value.__name__ == "__new__":
        return value
    if "_own_" in vars(types.FunctionType)["__builtins__"].__get__(value):
        return value
    return _guarded_method(value, own_only=value.__module__ == SANDBOX_MODULE or value.__name__ == "__init__")


def _guarded_method(function: Any, own_only: bool) -> Callable[..., Any]:
    @functools.wraps(function)
    def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        cls = type(self)
        if not made_here(cls) and (own_only or type_of(self) is not cls):
            name = function.__qualname__
            raise TypeError(f"{name}() needs an object of its class, not {cls.__name__}")
        return function(self, *args, **kwargs)

    return method


def public_vars(obj: Any, name: str = "__dict__") -> dict[str, Any]:
    """The attributes of an object, class or function of the sandbox, without the special ones."""
    values = getattr(own(obj), name)
    return {key: value for key, value in values.items() if not (isinstance(key, str) and is_dunder(key))}


# Writing


def guarded_setattr(obj: Any, name: str, value: Any, /) -> None:
    setattr(writable(obj), _settable(name), value)


def object_setattr(obj: Any, name: str, value: Any, /) -> None:
    """`object.__setattr__`, past a frozen dataclass's own."""
    object.__setattr__(writable(obj), _settable(name), value)


def guarded_delattr(obj: Any, name: str, /) -> None:
    if name in FORMATS:
        raise AttributeError(f"{name} cannot be deleted: it would uncover the real one of a base class")
    delattr(writable(obj), _settable(name))


def _settable(name: str) -> str:
    if type(name) is not str:
        raise TypeError("attribute name must be string")
    if is_dunder(name) or is_reserved(name) or name in REFUSED_ATTRIBUTES:
        raise AttributeError(f"{name} cannot be set")
    return name


def matchable(cls: Any, /) -> Any:
    """`cls`, if a pattern may read the attributes that its `__match_args__` names: those of objects that the
    sandbox made, and so no class whose metaclass counts others among its instances."""
    if type(cls) is type and made_here(cls):
        return cls
    raise TypeError("positional sub-patterns are not available here: name them, as in Point(x=0, y=y)")


# Public names that are a way out on some objects.  Each rule sees the object and what the attribute gave:
# the result cannot be disguised, while the object may be a super(), a class or a generic alias that stands
# for another.


def _format_rule(obj: Any, value: Any) -> Any:
    """`str.format` reads attributes and items named in its template, in C."""
    kind = type(value)
    if kind not in (types.BuiltinMethodType, types.MethodDescriptorType) or value.__name__ not in FORMATS:
        return value
    guarded = GUARDED_FORMATS[value.__name__]
    return guarded if kind is types.MethodDescriptorType else _bound(guarded, value.__self__)


def _bound(function: Callable[..., str], template: str) -> Callable[..., str]:
    def method(*args: Any, **kwargs: Any) -> str:
        return function(template, *args, **kwargs)

    return method


def _mro_rule(obj: Any, value: Any) -> Any:
    """`cls.mro()` lists the real base classes, which the facades may have replaced."""
    if isinstance(value, (types.BuiltinMethodType, types.MethodDescriptorType)) and value.__name__ == "mro":
        raise AttributeError("mro is not available: use isinstance or issubclass")
    return value


def _register_rule(obj: Any, value: Any) -> Any:
    """`Mapping.register(cls)` changes what the host's own instance checks answer."""
    if getattr(value, "__func__", value) is abc.ABCMeta.register:
        raise AttributeError("register is not available: derive from the class")
    return value


def _evaluate_rule(obj: Any, value: Any) -> Any:
    """From 3.14 a forward reference evaluates itself: it is `eval`."""
    if isinstance(getattr(value, "__self__", None), typing.ForwardRef):
        raise AttributeError("evaluate is not available")
    return value


def _obj_rule(obj: Any, value: Any) -> Any:
    """`AttributeError.obj` is whatever lacked the attribute, a module of the host's among others."""
    cls = type(obj)
    holder = _searched_by(obj) if cls is super else obj if issubclass(cls, type) else cls
    if issubclass(holder, BaseException) or type(value) is types.MemberDescriptorType:
        raise AttributeError("obj is not available on exceptions")
    return value


class _Formatter(string.Formatter):
    """`str.format` whose replacement fields read attributes through the guard."""

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        first, path = _string.formatter_field_name_split(field_name)
        value = self.get_value(first, args, kwargs)
        for is_attribute, key in path:
            value = guarded_getattr(value, key) if is_attribute else value[key]
        return value, first


_formatter = _Formatter()


def _guarded_format(template: str, /, *args: Any, **kwargs: Any) -> str:
    if traverses(template):
        return _formatter.vformat(template, args, kwargs)
    return str.format(template, *args, **kwargs)


def _guarded_format_map(template: str, mapping: Mapping[str, Any], /) -> str:
    if traverses(template):
        return _formatter.vformat(template, (), mapping)
    return str.format_map(template, mapping)


def _copy_rule(obj: Any, value: Any) -> Any:
    """`Counter.copy` says `self.__class__(self)`."""
    return value if type(obj) is types.ModuleType else _for_instances(value)


GUARDED_FORMATS: dict[str, Callable[..., str]] = {
    "format": _guarded_format,
    "format_map": _guarded_format_map,
}
_RULES: dict[str, Callable[[Any, Any], Any]] = {
    "format": _format_rule,
    "format_map": _format_rule,
    "mro": _mro_rule,
    "register": _register_rule,
    "evaluate": _evaluate_rule,
    "obj": _obj_rule,
    "copy": _copy_rule,
}
