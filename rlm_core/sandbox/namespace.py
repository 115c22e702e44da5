"""A fresh namespace for the cells of one session."""

from __future__ import annotations
import builtins, types
from .guards import MODNAME, SAFE_TYPES, WRITABLE, SafeType, guarded_delattr, guarded_getattr, guarded_hasattr, guarded_setattr, is_ours, write_guard
from .guards import _raise
from .facades import Facade, build_modules, make_futures, C_SIDE_IMPORTS, _EMPTY

BUILTIN_NAMES = """abs all any ascii bin bool bytearray bytes callable chr classmethod complex dict divmod enumerate filter float format
 frozenset hash hex id int isinstance issubclass iter len list map max min next object oct ord pow property range repr reversed round set
 slice sorted staticmethod str sum super tuple zip Ellipsis NotImplemented __build_class__""".split()
EXC_NAMES = [n for n, v in vars(builtins).items() if isinstance(v, type) and issubclass(v, Exception) and "Group" not in n]


def make_globals(emit, extra=None):
    """A fresh namespace; emit(str) is the bounded output of the step."""
    import collections, array as _array, types as _types
    import sys
    sys.modules.setdefault(MODNAME, types.ModuleType(MODNAME))      # dataclasses/typing/enum look it up
    mods = build_modules(emit)
    g: dict = {}
    mods["concurrent.futures"] = Facade("concurrent.futures", make_futures(g))
    mods["concurrent"] = Facade("concurrent", {"futures": mods["concurrent.futures"]})
    b = {n: getattr(builtins, n) for n in BUILTIN_NAMES}
    b.update({n: getattr(builtins, n) for n in EXC_NAMES})
    b.update(BaseException=Exception, KeyboardInterrupt=Exception, SystemExit=RuntimeError)
    WRITABLE.update({dict, list, bytearray, collections.defaultdict, collections.Counter, collections.OrderedDict, collections.deque,
                     collections.ChainMap, collections.UserDict, collections.UserList, _array.array, _types.SimpleNamespace})
    SAFE_TYPES.update({getattr(builtins, n) for n in BUILTIN_NAMES if isinstance(getattr(builtins, n), type)} - {type})
    SAFE_TYPES.update(getattr(builtins, n) for n in EXC_NAMES)
    SAFE_TYPES.add(type(None))

    def imp(name, globals=None, locals=None, fromlist=(), level=0):
        m = mods.get(name) if type(name) is str and level == 0 else None
        if name in C_SIDE_IMPORTS:      # asked for by C code (datetime.strptime) through this frame's builtins; it then
            return _EMPTY               # takes the module from sys.modules.  Restricted source can not name it.
        if m is None:
            raise ImportError(f"module {name!r} is not available in this sandbox; available: {', '.join(sorted(k for k in mods if k[0] != '_'))}")
        if not fromlist and "." in name:
            return mods[name.split(".")[0]] if name.split(".")[0] in mods else m
        return m

    def print_(*objects, sep=" ", end="\n", file=None, flush=False):
        s = (" " if sep is None else str(sep)).join(map(str, objects)) + ("\n" if end is None else str(end))
        if file is None: emit(s)
        else: guarded_getattr(file, "write")(s)

    def echo(value):
        if value is not None: emit(repr(value) + "\n")

    def dir_(obj=_raise):
        if obj is _raise: return sorted(k for k in g if not k.startswith("_"))
        return [n for n in dir(obj) if not n.startswith("_")]

    def vars_(obj):
        if not is_ours(type(obj)): raise TypeError("vars() needs an object made in this sandbox")
        return dict(obj.__dict__)

    def exit_(*a): raise RuntimeError("exit() is not available in this sandbox: let the step end")

    b.update(getattr=guarded_getattr, hasattr=guarded_hasattr, setattr=guarded_setattr, delattr=guarded_delattr, type=SafeType,
             print=print_, dir=dir_, vars=vars_, exit=exit_, quit=exit_, __import__=imp)
    print_.__module__ = "builtins"
    g |= {"_echo_": echo, "__builtins__": b, "__name__": MODNAME, "__metaclass__": type, "_getattr_": guarded_getattr, "_write_": write_guard, "_Exception_": Exception}
    g.update(extra or {})
    return g


def preload() -> None:
    """Imports every lazily imported helper; nothing may import after this."""
    build_modules(lambda s: None)
