"""A fresh namespace for the cells of one session: builtins, modules and hooks, behind the language wall."""

from __future__ import annotations

import builtins
import codecs
import functools
import importlib
import pprint
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from . import futures, guards, stand_ins
from .class_statements import build_class
from .classes import GIVEN_TYPES, Type, type_of
from .facades import Facades, facade, sources_in_cells, standard_members
from .names import SANDBOX_MODULE, is_reserved
from .policy import compile_cell

Emit = Callable[[str], None]

PLAIN_BUILTINS = """
    abs all any ascii bin bool bytearray bytes callable chr classmethod complex dict divmod enumerate filter
    float format frozenset hash hex id int isinstance issubclass iter len list map max min next object oct
    ord pow property range repr reversed round set slice sorted staticmethod str sum super tuple zip
    Ellipsis NotImplemented
"""
EXCEPTIONS = {
    name: value
    for name, value in vars(builtins).items()
    if isinstance(value, type)
    and issubclass(value, BaseException)
    and not issubclass(value, BaseExceptionGroup)
}
EXCEPTIONS["BaseException"] = Exception  # a cell is stopped by a BaseException, which it must not catch

UNAVAILABLE = {
    "open": "there are no files here, the input is in `context`",
    "input": "nobody is there to answer, the input is in `context`",
    "eval": "use ast.literal_eval or json.loads for data, and plain code for the rest",
    "exec": "write the code in the cell",
    "compile": "write the code in the cell, re.compile makes patterns",
    "breakpoint": "use print",
    "help": "use dir()",
    "exit": "let the cell end",
    "quit": "let the cell end",
    "memoryview": "use bytes",
}

LONG = 100_000  # characters of a text that is echoed


def make_globals(emit: Emit, extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The globals to `exec` cells in.

    `emit` is given what they print, as exact `str`.  `extra`: names to inject (`context`, `llm_query`,
    ...).  What is injected is in the cells' hands: no public attribute of it, or of what it returns, may
    lead to the host's own objects.
    """
    preload()
    # dataclasses, typing and enum look up the module that a class says it is from
    sys.modules.setdefault(SANDBOX_MODULE, types.ModuleType(SANDBOX_MODULE))
    names: dict[str, Any] = {}
    modules = Facades(_session_modules(emit, names), lambda name, source: _run(names, name, source))
    names["__builtins__"] = {
        **{name: getattr(builtins, name) for name in PLAIN_BUILTINS.split()},
        **EXCEPTIONS,
        **{name: _unavailable(name, instead) for name, instead in UNAVAILABLE.items()},
        **_session_builtins(emit, names),
        "type": Type,
        "getattr": guards.guarded_getattr,
        "hasattr": guards.guarded_hasattr,
        "setattr": guards.guarded_setattr,
        "delattr": guards.guarded_delattr,
        "__build_class__": build_class,
        "__import__": _import_for_c,
        "_getattr_": guards.guarded_getattr,
        "_own_": guards.own,
        "_write_": guards.writable,
        "_setattr_": guards.object_setattr,
        "_matchable_": guards.matchable,
        "_import_": modules.import_module,
        "_import_from_": modules.import_members,
        "_import_all_": lambda name: names.update(modules.all_members(name)),
        "_Exception_": Exception,
    }
    names["__name__"] = SANDBOX_MODULE
    names.update(extra or {})
    given = [*names["__builtins__"].values(), *names.values()]
    GIVEN_TYPES.update(value for value in given if isinstance(value, type))
    return names


def add_module(
    names: dict[str, Any], name: str, source: str, call_host: Callable[..., Any]
) -> types.ModuleType:
    """Makes a module of the host's importable in the cells of the namespace `names`.  Its source is behind
    the language wall as they are, and has `call_host` beside the builtins."""
    own = _run(names, f"<{name}>", source, call_host=call_host)
    hidden = {"call_host"}
    members = {key: value for key, value in own.items() if not key.startswith("_") and key not in hidden}
    facades: Facades = names["__builtins__"]["_import_"].__self__
    return facades.add(name, members)


def _run(names: dict[str, Any], filename: str, source: str, **given: Any) -> dict[str, Any]:
    """Runs a source behind the language wall as the cells of the namespace `names` run, in one of its own,
    and gives that."""
    own = {"__builtins__": names["__builtins__"], "__name__": SANDBOX_MODULE, **given}
    exec(compile_cell(source, filename), own)
    return own


def _import_for_c(name: str, *_: Any) -> None:
    """`__import__` of the cells' namespace.  Their import statements do not come here: only C code does, on
    behalf of `datetime.strptime` and its like, and takes the module out of `sys.modules` itself."""
    if name not in sys.modules:
        raise ImportError(f"{name} is not available")


def _unavailable(name: str, instead: str) -> Callable[..., NoReturn]:
    def unavailable(*_: Any, **__: Any) -> NoReturn:
        raise RuntimeError(f"{name}() is not available: {instead}")

    return unavailable


def _session_builtins(emit: Emit, names: dict[str, Any]) -> dict[str, Any]:
    """The builtins that print, or look into the namespace."""

    def print_(
        *values: Any, sep: str | None = " ", end: str | None = "\n", file: Any = None, flush: bool = False
    ) -> None:
        write = emit if file is None else guards.guarded_getattr(file, "write")
        for text in _printed(values, " " if sep is None else sep, "\n" if end is None else end):
            write(text)

    def echo(value: Any) -> None:
        if value is not None:
            emit(_echoed(value))
            emit("\n")

    def globals_() -> Mapping[str, Any]:
        return types.MappingProxyType(
            {name: value for name, value in names.items() if not (name.startswith("__") or is_reserved(name))}
        )

    def locals_() -> Mapping[str, Any]:
        frame = sys._getframe(1)
        here = frame.f_locals if frame.f_globals is names else {}  # else called by a helper of the host's
        return types.MappingProxyType(
            {name: value for name, value in here.items() if not name.startswith("__")}
        )

    def dir_(*of: Any) -> list[str]:
        found = dir(*of) if of else list(names)
        return sorted(name for name in found if not name.startswith("_"))

    def vars_(obj: Any = guards.REQUIRED, /) -> Mapping[str, Any]:
        return globals_() if obj is guards.REQUIRED else guards.public_vars(obj)

    given = {"print": print_, "globals": globals_, "locals": locals_, "dir": dir_, "vars": vars_}
    for name, function in given.items():
        function.__name__ = function.__qualname__ = name
    return {**given, "_echo_": echo}


def _printed(values: tuple[Any, ...], sep: str, end: str) -> list[str]:
    """The pieces that are printed.  Not joined: one of them may be the whole context."""
    pieces: list[str] = []
    for value in values:
        pieces += (_exact(sep), _exact(str(value)))
    return [piece for piece in (*pieces[1:], _exact(end)) if piece]


def _echoed(value: Any) -> str:
    if type(value) is str and len(value) > LONG:
        return f"{value[:LONG]!r}... ({len(value):,} characters)"
    return _exact(repr(value))


def _exact(text: str) -> str:
    """Never a subclass of the cell's own, whose methods would run in the worker."""
    return text if type(text) is str else str.__str__(text)


def _session_modules(emit: Emit, names: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The facades that print, or look into the namespace."""

    def write(text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        emit(_exact(text))
        return len(text)

    def flush() -> None:
        pass

    def pretty_print(value: Any, stream: Any = None, *args: Any, **options: Any) -> None:
        out = write if stream is None else guards.guarded_getattr(stream, "write")
        out(pprint.pformat(value, *args, **options) + "\n")

    def format_exception(error: Any = None, *args: Any, **options: Any) -> list[str]:
        error = next((one for one in args if isinstance(one, BaseException)), error)
        return [f"{type(error).__name__}: {error}\n"]

    def format_exc(limit: Any = None, chain: bool = True) -> str:
        error = sys.exc_info()[1]
        return "NoneType: None\n" if error is None else "".join(format_exception(error))

    def print_exc(limit: Any = None, file: Any = None, chain: bool = True) -> None:
        write(format_exc())

    def exc_info() -> tuple[Any, Any, None]:
        error = sys.exc_info()[1]
        return (None if error is None else type_of(error)), error, None

    def exit_(*_: Any) -> NoReturn:
        raise RuntimeError("sys.exit() is not available: let the cell end")

    def warn(message: Any, *_: Any, **__: Any) -> None:
        write(f"warning: {message}\n")

    def ignore(*_: Any, **__: Any) -> None:
        pass

    stream = facade("sys.stdout", {"write": write, "flush": flush})
    return {
        "pprint": {"pprint": pretty_print, "pp": pretty_print},
        "sys": {
            **{
                name: getattr(sys, name)
                for name in ("version", "version_info", "maxsize", "maxunicode", "byteorder")
            },
            **{
                name: getattr(sys, name)
                for name in ("float_info", "platform", "getsizeof", "getrecursionlimit")
            },
            "setrecursionlimit": ignore,  # accepted: code that asks for more seldom needs it
            "argv": [""],
            "stdout": stream,
            "stderr": stream,
            "exc_info": exc_info,
            "exit": exit_,
        },
        "traceback": {"format_exc": format_exc, "print_exc": print_exc, "format_exception": format_exception},
        "warnings": {"warn": warn, "filterwarnings": ignore, "simplefilter": ignore},
        "types": {"SimpleNamespace": stand_ins.make_simple_namespace()},
        "concurrent.futures": futures.members(names),
    }


# Everything that the members import only when they are first used.  A locked worker cannot open a file.
LAZY_MODULES = "_strptime calendar copyreg heapq locale numbers stringprep unicodedata xml.etree.ElementPath"
CODECS = """
    ascii latin-1 iso8859-2 iso8859-15 cp1250 cp1251 cp1252 cp437 cp850 mac-roman koi8-r utf-7 utf-8
    utf-8-sig utf-16 utf-16-le utf-16-be utf-32 utf-32-le utf-32-be unicode_escape raw_unicode_escape idna
    punycode hex base64 rot13 quopri uu zlib shift_jis euc_jp gbk gb18030 big5 euc_kr
"""


@functools.cache
def preload() -> None:
    """Imports whatever a cell could need later.  After this nothing opens a file."""
    standard_members()
    sources_in_cells()
    for name in LAZY_MODULES.split():
        importlib.import_module(name)
    for name in CODECS.split():
        codecs.lookup(name)
    _use_once()


def _use_once() -> None:
    """Runs what fetches its helpers on first use."""
    members = standard_members()
    members["time"]["strftime"]("%c", members["time"]["localtime"]())  # the time zone
    members["hashlib"]["sha256"](b"")
    members["uuid"]["uuid4"]()
    members["random"]["seed"]()
