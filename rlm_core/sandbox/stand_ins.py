"""Members of standard modules that would undo the wall if they were given as they are, made safe.

Each of these reads or sets attributes, makes classes, or opens files on behalf of whoever calls it, with
the full rights of the standard library; so it does what the caller could not.
"""

from __future__ import annotations

import collections
import copy
import dataclasses
import enum
import functools
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from .class_statements import guard_formats, refuse_bases
from .classes import made_here
from .guards import guarded_getattr, guarded_setattr
from .names import GUARDED_ATTRIBUTES, REFUSED_ATTRIBUTES, SANDBOX_MODULE, is_dunder

T = TypeVar("T")


# operator


def attrgetter(name: str, /, *names: str) -> Callable[[Any], Any]:
    paths = [_path(n) for n in (name, *names)]

    def get(obj: Any) -> Any:
        values = tuple(functools.reduce(guarded_getattr, path, obj) for path in paths)
        return values if names else values[0]

    return get


def _path(name: str) -> list[str]:
    if type(name) is not str:
        raise TypeError("attribute name must be a string")
    return name.split(".")


def methodcaller(name: str, /, *args: Any, **kwargs: Any) -> Callable[[Any], Any]:
    def call(obj: Any) -> Any:
        return guarded_getattr(obj, name)(*args, **kwargs)

    return call


# functools


def wraps(wrapped: Any, /, *_: Any, **__: Any) -> Callable[[T], T]:
    """`functools.wraps` sets anything on anything; this one sets three names, on a cell's own function."""

    def decorate(wrapper: T) -> T:
        return update_wrapper(wrapper, wrapped)

    return decorate


def update_wrapper(wrapper: T, wrapped: Any, /, *_: Any, **__: Any) -> T:
    if isinstance(wrapper, types.FunctionType) and wrapper.__module__ == SANDBOX_MODULE:
        for name in ("__name__", "__qualname__", "__doc__"):
            value = guarded_getattr(wrapped, name, None)
            if type(value) is str:
                setattr(wrapper, name, value)
        if isinstance(wrapped, types.FunctionType):
            wrapper.__dict__.update(wrapped.__dict__)
    return wrapper


def total_ordering(cls: type[T], /) -> type[T]:
    return functools.total_ordering(_own_class(cls, "total_ordering"))


def _own_class(cls: Any, decorator: str) -> Any:
    """`cls`, if a cell made it: a decorator that writes into a class must not be given one of the host's."""
    if not (isinstance(cls, type) and made_here(cls)):
        raise TypeError(f"{decorator} decorates a class of your own")
    return cls


# copy


def deepcopy(x: T, memo: None = None) -> T:
    """`copy.deepcopy` without `memo`, which collects what is copied: of a tool, the host's own objects."""
    if memo is not None:
        raise TypeError("deepcopy() takes no memo here")
    return copy.deepcopy(x)


# dataclasses


def dataclass(cls: Any = None, /, **options: Any) -> Any:
    def decorate(cls: Any) -> Any:
        for name in _annotated(_own_class(cls, "dataclass")):
            _check_field(cls, name)
        made = dataclasses.dataclass(cls, **options)
        if issubclass(made, str):
            guard_formats(made)  # `format: str = field()` has taken what stood there
        return made

    return decorate if cls is None else decorate(cls)


def _annotated(cls: type) -> Iterable[Any]:
    """The names that `dataclass` will make fields of, apart from those of base classes."""
    if sys.version_info >= (3, 14):
        import annotationlib

        return annotationlib.get_annotations(cls, format=annotationlib.Format.FORWARDREF)
    return vars(cls).get("__annotations__", ())  # type: ignore[no-any-return]


def _check_field(cls: type, name: Any) -> None:
    """`dataclass` executes source that it makes of the names of fields, and reads each on the class for a
    default.  In a class statement a name is an identifier; in `TypedDict("T", {text: int})` it is any text.
    """
    if type(name) is not str or not name.isidentifier() or is_dunder(name):
        raise TypeError(f"{name!r} cannot be the name of a field here")
    judged = name in GUARDED_ATTRIBUTES or name in REFUSED_ATTRIBUTES
    if judged and hasattr(cls, name) and not any(name in vars(b) for b in cls.__mro__ if made_here(b)):
        raise TypeError(f"{name!r} cannot be the name of a field here: a base class has it")


# collections


def namedtuple(
    typename: str,
    field_names: Any,
    *,
    rename: bool = False,
    defaults: Iterable[Any] | None = None,
    module: object = None,
) -> Any:
    """`collections.namedtuple`, whose class is always the sandbox's own: `module` is ignored."""
    return collections.namedtuple(
        typename, field_names, rename=rename, defaults=defaults, module=SANDBOX_MODULE
    )


# enum: `Enum("Name", names)` makes a class with whatever names it is given, special methods too


class _EnumType(enum.EnumType):
    def __new__(metacls, name: str, bases: tuple[type, ...], namespace: Any, **options: Any) -> Any:
        for base in bases:
            refuse_bases(base)
        for ignored in namespace.get("_ignore_", ()):
            if type(ignored) is not str or is_dunder(ignored):  # it would be taken out again
                raise TypeError(f"{ignored!r} cannot be ignored here")
        of_cells = (vars(cls) for base in bases for cls in base.__mro__ if made_here(cls))
        for names in (namespace, *of_cells):
            if names.get("__new__", enum.Enum.__new__) is not enum.Enum.__new__:
                dict.__setitem__(namespace, "__new__", _making_members(names["__new__"]))
                break
        return super().__new__(metacls, name, bases, namespace, **options)

    def __call__(cls, value: Any, *arguments: Any, **options: Any) -> Any:
        if cls.__members__ or not (arguments or "names" in options):
            return super().__call__(value, *arguments)
        names = options["names"] if "names" in options else arguments[0]
        kept = {key: options[key] for key in ("type", "start", "boundary") if key in options}
        return super().__call__(value, _members(names), module=SANDBOX_MODULE, **kept)

    def __instancecheck__(cls, instance: object) -> bool:
        return cls.__subclasscheck__(type(instance))

    def __subclasscheck__(cls, subclass: type) -> bool:
        return type.__subclasscheck__(_STANDS_FOR.get(cls, cls), subclass)


def _making_members(new: Any) -> Callable[..., Any]:
    """`enum` sets attributes on whatever `__new__` gives, and calls its `__init__`: it must be a member."""
    function = getattr(new, "__func__", new)  # of a staticmethod

    def __new__(cls: type, *args: Any, **options: Any) -> Any:
        member = function(cls, *args, **options)
        if type(member) is not cls:
            raise TypeError(f"__new__ must give a new member of {cls.__name__}")
        return member

    return __new__


def _members(names: Any) -> list[Any]:
    """`names` of the functional form as a list of names, or of (name, value)."""
    if isinstance(names, str):
        names = str.replace(names, ",", " ").split()
    elif isinstance(names, Mapping):
        names = names.items()
    members = [one if isinstance(one, str) else tuple(one) for one in names]
    for one in members:
        name = one if isinstance(one, str) else one[0]
        if type(name) is not str or not name.isidentifier() or name.startswith("_"):
            raise ValueError(f"{name!r} cannot be the name of a member here")
    return members


# Each has one base only: `enum` asks the last one for `auto()`, and for how members are shown.


class Enum(enum.Enum, metaclass=_EnumType):
    pass


class IntEnum(enum.IntEnum, metaclass=_EnumType):
    pass


class StrEnum(enum.StrEnum, metaclass=_EnumType):
    pass


class Flag(enum.Flag, metaclass=_EnumType):
    pass


class IntFlag(enum.IntFlag, metaclass=_EnumType):
    pass


_STANDS_FOR: dict[type, type] = {Enum: enum.Enum, Flag: enum.Flag}


# statistics: `mean` ends with `type(datum)(result)`, and where a datum is a class that is the real
# `type(result)`

STATISTICS = """
    mean fmean geometric_mean harmonic_mean median median_low median_high median_grouped mode multimode
    quantiles pstdev pvariance stdev variance covariance correlation linear_regression kde
"""


def of_values(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, which refuses classes among its data."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*map(_values, args), **{name: _values(value) for name, value in kwargs.items()})

    return call


def _values(argument: Any) -> Any:
    if isinstance(argument, str) or not isinstance(argument, Iterable):
        return argument
    values = list(argument)  # what is checked is what is used
    if any(isinstance(value, type) for value in values):
        raise TypeError("can't compute with classes")
    return values


# types


def make_simple_namespace() -> type:
    """A `SimpleNamespace` class for one session, which owns it.

    Not a subclass of the real one: that takes any keyword for an attribute, `__reduce_ex__` too, and `copy`
    would then call it."""

    class SimpleNamespace:
        def __init__(self, mapping: Mapping[str, Any] | None = None, /, **values: Any) -> None:
            for name, value in {**(mapping or {}), **values}.items():
                guarded_setattr(self, name, value)

        def __repr__(self) -> str:
            return f"namespace({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

        def __eq__(self, other: object) -> bool:
            return vars(self) == vars(other) if type(other) is type(self) else NotImplemented

    SimpleNamespace.__module__ = SANDBOX_MODULE
    SimpleNamespace.__qualname__ = "SimpleNamespace"
    return SimpleNamespace


# typing: decorators that would set an attribute on what they decorate


def unchanged(decorated: T, /) -> T:
    return decorated
