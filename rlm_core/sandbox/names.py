"""Which names a cell may use, and which need a look at run time.

The compile-time policy and the run-time guards read the same sets, so that `obj.__x__` and `getattr(obj,
"__x__")` can never be judged differently.
"""

from __future__ import annotations

import types

from RestrictedPython.transformer import INSPECT_ATTRIBUTES as RESTRICTED_INSPECT_ATTRIBUTES

SANDBOX_MODULE = "__repl__"
"""`__module__` of every class and function that a cell makes.  Nothing in a cell can set `__module__`, so
it tells the sandbox's own objects, whose private attributes and setters are open to it, from the host's."""

_METHODS = """
    __new__ __init__ __post_init__ __repr__ __str__ __bytes__ __format__ __bool__ __hash__ __call__
    __len__ __length_hint__ __iter__ __next__ __reversed__ __contains__
    __getitem__ __setitem__ __delitem__ __missing__ __enter__ __exit__
    __eq__ __ne__ __lt__ __le__ __gt__ __ge__
    __neg__ __pos__ __abs__ __invert__ __int__ __float__ __complex__ __round__ __trunc__ __floor__ __ceil__
    __add__ __sub__ __mul__ __matmul__ __truediv__ __floordiv__ __mod__ __divmod__ __pow__
    __radd__ __rsub__ __rmul__ __rmatmul__ __rtruediv__ __rfloordiv__ __rmod__ __rdivmod__ __rpow__
    __iadd__ __isub__ __imul__ __imatmul__ __itruediv__ __ifloordiv__ __imod__ __ipow__
    __and__ __or__ __xor__ __lshift__ __rshift__ __rand__ __ror__ __rxor__ __rlshift__ __rrshift__
    __iand__ __ior__ __ixor__ __ilshift__ __irshift__
"""
DEFINABLE_METHODS = frozenset(_METHODS.split())
"""Special methods a class may define.  An allow-list: a hook that changes how *other* code reads
attributes, makes classes, copies or checks instances (`__getattr__`, `__setattr__`, `__get__`,
`__init_subclass__`, `__reduce__`, `__instancecheck__`, `__class_getitem__`, `__del__`, `__annotations__`,
`__match_args__`, ...) would run inside the host's own helpers."""

DEFINABLE_CLASS_NAMES = DEFINABLE_METHODS | {"__slots__", "__doc__"}

MODULE_NAMES = frozenset({"__all__", "__version__", "__author__"})
"""What scripts say of themselves: outside a class these are ordinary variables, which nothing reads."""

ENUM_HOOKS = frozenset({"_missing_", "_generate_next_value_", "_ignore_", "_order_"})
"""`_x_` names that `enum` documents; allowed in a class body, where they cannot hide a hook of ours."""

READABLE_DUNDERS = DEFINABLE_METHODS | {
    "__name__",
    "__qualname__",
    "__doc__",
    "__class__",
    "__dict__",
    "__annotations__",
    "__members__",
}
"""Special attributes a cell may read.  `__class__`, `__dict__` and `__annotations__` give stand-ins (see
guards)."""

NAMEDTUPLE_ATTRIBUTES = frozenset({"_asdict", "_replace", "_fields", "_make", "_field_defaults"})

_FRAME_KEEPERS = (
    types.TracebackType,
    types.FrameType,
    types.GeneratorType,
    types.CoroutineType,
    types.AsyncGeneratorType,
)
REFUSED_ATTRIBUTES = (
    RESTRICTED_INSPECT_ATTRIBUTES
    | {
        name
        for kind in _FRAME_KEEPERS
        for name in dir(kind)
        if name.startswith(("tb_", "f_", "gi_", "cr_", "ag_"))
    }
    | {"fget", "fset", "fdel"}
)
"""Public names that lead from a generator, coroutine or traceback to a frame, and from there to everything;
and from a property of the host's to its functions."""

FORMATS = frozenset({"format", "format_map"})

GUARDED_ATTRIBUTES = FORMATS | {"obj", "mro", "register", "evaluate", "copy"}
"""Other public names that are harmless on most objects and a way out on some: judged at run time, by what
they give."""

ENUM_ATTRIBUTES = frozenset({"_value_", "_name_", "_member_map_", "_member_names_", "_value2member_map_"})
"""`_x_` attributes that may be read.  `enum` has others, which give a class members of any name
(`_add_alias_`)."""


def is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__") and bool(name.strip("_"))


def is_reserved(name: str) -> bool:
    """`_x_`: the name space of the hooks that the policy writes into the code (`_getattr_`, `_write_`,
    ...)."""
    return name.startswith("_") and name.endswith("_") and bool(name.strip("_")) and not is_dunder(name)


_INSTEAD = {
    "__import__": "use an import statement",
    "__builtins__": "call the function by its name",
    "__file__": "there are no files here, the input is in `context`",
    "__subclasses__": "keep the classes in a list",
    "__mro__": "use isinstance or issubclass",
    "__bases__": "use isinstance or issubclass",
    "__getattr__": "define the attributes, or use a dict",
    "__setattr__": "use a property with a setter, or functools.cached_property for what is computed once",
    "__dataclass_fields__": "use dataclasses.fields",
    "__wrapped__": "keep the function under a name of its own",
    "__module__": "use __name__ or __qualname__",
    "__version__": "use sys.version_info",
    "__name__": "functools.wraps names a wrapper",
    "__doc__": "functools.wraps documents a wrapper",
    "__init_subclass__": "use a class decorator",
    "__class_getitem__": "derive from typing.Generic, or leave it out",
    "__set_name__": "use a property",
    "__get__": "use a property",
    "__set__": "use a property with a setter",
    "__delete__": "use a property with a deleter",
    "__del__": "use with, or try and finally",
    "__match_args__": "name the attributes in the pattern, as in Point(x=0, y=y)",
    "__instancecheck__": "write a function that tests it",
    "__index__": "define __int__, and write int(x)",
    "__copy__": "define a method of another name",
    "__deepcopy__": "define a method of another name",
    "__cause__": "keep the exception under a name",
    "__context__": "keep the exception under a name",
    "__traceback__": "use traceback.format_exc()",
}


def why_not(name: str) -> str:
    """The refusal of a special name."""
    return f"{name} is not available: {_INSTEAD.get(name, 'use an ordinary name, or leave it out')}"
