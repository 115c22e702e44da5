"""Whatever a cell can reach by the names that the policy leaves native is harmless, and so is what calling
it gives.

The policy reads public attributes natively, so this is the other half of the language wall: everything that
the facades hand out is walked here, as far as public names lead.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import types
from collections import Counter, OrderedDict, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rlm_core.sandbox import facades, guards, namespace
from rlm_core.sandbox.names import GUARDED_ATTRIBUTES, REFUSED_ATTRIBUTES, is_dunder, is_reserved
from tests.sandbox.cells import Cells
from tests.sandbox.test_everyday_code import EVERYDAY, MODEL_CODE, run_all
from tests.sandbox.test_language_attacks import is_loot

SURVEY = (Path(__file__).parent / "survey.txt").read_text()
HOOKS = {
    "__build_class__",
    "__import__",
    "_getattr_",
    "_own_",
    "_write_",
    "_import_",
    "_import_from_",
    "_import_all_",
    "_echo_",
}
CALLABLES = (types.BuiltinMethodType, types.MethodType, types.MethodWrapperType, types.WrapperDescriptorType)
LEAVES = (int, float, str, bytes, bool, complex, *CALLABLES)


def surveyed() -> Cells:
    """A session that holds one of each kind of object a cell can make."""
    session = Cells(llm_query=str, llm_query_batched=list)
    session.run(SURVEY)
    return session


def given(session: Cells) -> dict[str, Any]:
    """Where a cell can start from."""
    builtins = session.names["__builtins__"]
    modules = builtins["_import_"].__self__._modules
    names = {name: value for name, value in session.names.items() if not is_dunder(name)}
    return {**names, **{name: value for name, value in builtins.items() if name not in HOOKS}, **modules}


def read(obj: Any, name: str) -> Any:
    """An attribute as compiled code reads it."""
    if name.startswith("_") or name in GUARDED_ATTRIBUTES:
        return guards.guarded_getattr(obj, name)
    if name in REFUSED_ATTRIBUTES:
        raise AttributeError(name)
    return getattr(obj, name)


def attributes(obj: Any) -> Iterator[tuple[str, Any]]:
    names = set(dir(obj)) | (set(dir(type(obj))) if isinstance(obj, type) else set())
    for name in sorted(names):
        with contextlib.suppress(Exception):
            yield name, read(obj, name)


def parts(obj: Any) -> Iterator[tuple[str, Any]]:
    yield from attributes(obj)
    if type(obj) in (list, tuple, set, frozenset, deque):
        yield from ((f"[{i}]", part) for i, part in enumerate(obj))
    elif type(obj) in (dict, types.MappingProxyType, OrderedDict, Counter):
        yield from ((f"[{key!r}]", part) for key, part in obj.items())


def walk(roots: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every object that can be reached, once, with the path that leads to it."""
    seen: dict[int, Any] = {}
    looked_into: Counter[type] = Counter()  # some objects give new ones of their own kind without end
    pending = deque(roots.items())
    while pending:
        path, obj = pending.popleft()
        if id(obj) in seen:
            continue
        seen[id(obj)] = obj  # kept alive, so that its id stays its own
        yield path, obj
        looked_into[type(obj)] += 1
        if type(obj) not in LEAVES and looked_into[type(obj)] <= 300:
            pending.extend((f"{path}.{name}", part) for name, part in parts(obj))


def test_nothing_that_can_be_reached_is_a_way_out() -> None:
    found = list(walk(given(surveyed())))
    assert len(found) > 5_000
    assert [path for path, obj in found if is_loot(obj)] == []


def test_no_container_of_the_hosts_own_can_be_filled() -> None:
    """Items are written natively, so a dict or list that host code relies on must not be among what is
    reached."""
    session = surveyed()
    own = {name: value for name, value in given(session).items() if name not in session.names}
    containers = {
        path for path, obj in walk(own) if type(obj) in (dict, list, set, bytearray, OrderedDict, deque)
    }
    harmless = {
        "sys.argv",  # one for each session
        "textwrap.TextWrapper.unicode_whitespace_trans",
        "difflib.Match._field_defaults",
    }
    made_anew = {path for path in containers if path.endswith(".groupindex")}  # of a pattern without groups
    assert containers - made_anew - harmless == set()


def test_the_walk_would_find_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Cells()
    given(session)["re"].__dict__["enum"] = sys.modules["enum"]
    assert next(path for path, obj in walk(given(session)) if is_loot(obj)) == "re.enum"


# A host's method that is called with a class for `self`


def python_methods() -> Iterator[tuple[str, types.FunctionType]]:
    """The Python functions in the classes that cells are given, and in their base classes."""
    for module, members in facades.standard_members().items():
        for name, member in members.items():
            for cls in member.__mro__ if isinstance(member, type) else ():
                for method, value in vars(cls).items():
                    functions = (
                        [value.fget] if isinstance(value, property) else [getattr(value, "__func__", value)]
                    )
                    for function in functions:
                        if isinstance(function, types.FunctionType):
                            yield f"{module}.{name}.{method}", function


REVIEWED = {
    "copy": "Counter: guarded by name",
    "pop_all": "ExitStack: type(self)() takes no argument",
    "push": "ExitStack: only type(exit).__exit__",
    "enter_context": "ExitStack: only type(cm).__enter__",
    "seed": "Random: only compared",
    "default": "JSONEncoder: only its name",
    "from_float": "Fraction: only its name",
    "from_decimal": "Fraction: only its name",
    "from_number": "Fraction, from 3.14: only compared",
    "has_header": "Sniffer: of int, float and complex",
    "_get_value": "Flag: only for isinstance",
    "_recreate_cm": "not of a class that is given",
}


def test_no_unreviewed_method_asks_for_its_own_class() -> None:
    """`self.__class__(x)` and `type(self)(x)` are `type(x)` where a class is passed for self.  Special
    methods are guarded as a whole; each public or private one must have been looked at."""
    asking = {
        path
        for path, function in python_methods()
        if {"type", "__class__"} & set(function.__code__.co_names)
        and not function.__module__.startswith("rlm_core")
    }
    methods = {path.rpartition(".")[2] for path in asking}
    assert {name for name in methods if not (is_dunder(name) or is_reserved(name))} - REVIEWED.keys() == set()


SPIES = """
caught = []
class Spy:
    def __init__(self, *args, **kwargs): caught.append(args)
    def __call__(self, *args, **kwargs):
        caught.extend(args)
        return self
    def __eq__(self, other):
        caught.append(other)
        return True
    def __hash__(self): return 1
    __lt__ = __le__ = __gt__ = __ge__ = __eq__
    def __add__(self, other):
        caught.append(other)
        return self
    __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __add__
    __mod__ = __rmod__ = __add__
    __or__ = __ror__ = __and__ = __rand__ = __xor__ = __rxor__ = __pow__ = __floordiv__ = __add__
    def __getitem__(self, key):
        caught.append(key)
        if isinstance(key, int) and key > 3: raise IndexError
        return self
    def __setitem__(self, key, value): caught.append(value)
    def __contains__(self, key):
        caught.append(key)
        return True
    def __iter__(self): return iter(["a", Spy])
    def __len__(self): return 2
    def __enter__(self): return self
    def __exit__(self, *args):
        caught.extend(args)
        return True
    def __int__(self): return 2
    def __float__(self): return 2.0
    def __format__(self, spec): return "f"
    def __invert__(self): return self
    __neg__ = __abs__ = __invert__
class Class(Spy): pass
class Text(str): pass
"""


class TooLong(BaseException):
    pass


@contextlib.contextmanager
def seconds(limit: float) -> Iterator[None]:
    """Gives up on what takes longer: some calls never end, with such arguments."""

    def give_up(*_: object) -> None:
        raise TooLong

    former = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        with contextlib.suppress(TooLong):
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


def functions_of_the_host(session: Cells) -> dict[str, Any]:
    """What a cell can call that is written in Python, by path, read as a cell reads it."""
    found: dict[int, tuple[str, Any]] = {}
    for module, members in facades.standard_members().items():
        for name, member in members.items():
            candidates = [
                (f"{module}.{name}", member),
                *((f"{module}.{name}.{n}", v) for n, v in attributes(member)),
            ]
            for path, value in candidates:
                if isinstance(value, (types.FunctionType, types.MethodType)):
                    found.setdefault(id(getattr(value, "__func__", value)), (path, value))
    return dict(found.values())


def leaks() -> set[str]:
    """The functions of the host's that give a way out.

    Every one is called with spies, with a class that has every attribute any of them reads, and with
    instances of it; neither the results nor what the spies were handed may be a way out."""
    session = Cells()
    session.run(SPIES)
    cls, spy, text = session["Class"], session["Spy"](), session["Text"]("abc")
    functions = functions_of_the_host(session)
    assert len(functions) > 300
    for function in functions.values():
        code = getattr(getattr(function, "__wrapped__", function), "__code__", None)
        for name in code.co_names if code else ():
            if not is_dunder(name) and name not in REFUSED_ATTRIBUTES and not hasattr(cls, name):
                setattr(cls, name, spy)
    a = cls()
    arguments: list[tuple[Any, ...]] = [
        (),
        (cls,),
        (cls, cls),
        (cls, "a"),
        ("a", cls),
        ([cls],),
        (a,),
        (a, a),
        (text,),
    ]
    found = set()
    for path, function in functions.items():
        for args in arguments:
            result: Any = None
            with contextlib.suppress(Exception, SystemExit, KeyboardInterrupt, TooLong), seconds(0.2):
                result = function(*args)
            if is_loot(result):
                found.add(path)
    return found | {f"handed to a spy: {type(one)}" for one in session["caught"] if is_loot(one)}


def everyday_code_fails() -> list[str]:
    """What of the everyday code no longer runs in this process."""
    failed = []
    for name, code in {**MODEL_CODE, **EVERYDAY}.items():
        try:
            run_all(code)
        except Exception as error:
            failed.append(f"{name}: {error!r}")
    return failed


def test_no_call_gives_a_way_out_or_harms_the_host() -> None:
    """In a process of its own: what the calls do to the standard library must not reach other tests."""
    program = f"""
import sys, warnings
sys.path[:] = {[path for path in sys.path if path]!r}
warnings.simplefilter("ignore")
from tests.sandbox import test_reachability as reachability
print(sorted(reachability.leaks()), reachability.everyday_code_fails())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1:] == ["[] []"], done.stdout + done.stderr


def test_the_guard_on_self_is_what_stops_it() -> None:
    """The same call without the guard is a way out: the test above can fail."""

    class Cls:
        pass

    assert is_loot(Counter.copy(Cls))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="needs an object"):
        guards.guarded_getattr(Counter, "copy")(Cls)
    assert guards.guarded_getattr(Counter, "copy")(Counter("a")) == Counter("a")


def test_preload_is_done_once_and_makes_no_difference() -> None:
    namespace.preload()
    assert Cells().run("1") == "1\n"
