"""The language wall under attack, alone: in this process, with a canary, without the other wall."""

from __future__ import annotations

import builtins
import codecs
import contextlib
import io
import json
import os
import string
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rlm_core.sandbox.names import DEFINABLE_CLASS_NAMES, is_dunder
from tests.sandbox.attacks import AT_THE_WALL, GENUINE
from tests.sandbox.cells import Cells

CANARY = "canary-5f2b9c"


class Stolen(BaseException):
    """Ends an attack that got what it was after."""


class Host:
    """An object of the host's, one of whose methods is given to the cell."""

    secret = CANARY

    def tool(self, text: str) -> str:
        return text


def make_counter() -> Callable[[], int]:
    host = Host()

    def counter() -> int:
        return len(host.secret)

    return counter


class Spec:
    def __format__(self, spec: str) -> str:
        return spec


def stop() -> None:
    raise Stop


class Stop(BaseException):
    """What ends a cell: it must not be caught by it."""


DOORS = [
    *(
        eval,
        exec,
        compile,
        open,
        __import__,
        globals,
        locals,
        vars,
        getattr,
        setattr,
        delattr,
        input,
        breakpoint,
    ),
    *(codecs.open, io.FileIO, contextlib.redirect_stdout, type.mro),
]
MAKERS = {types.FunctionType, types.CodeType, types.ModuleType, types.CellType}
INSIDES = (types.FrameType, types.CodeType, types.CellType, Host)
UNGUARDED = {
    "__getattribute__",
    "__setattr__",
    "__delattr__",
    "__subclasses__",
    "__reduce_ex__",
    "__init_subclass__",
}


def is_loot(thing: Any) -> bool:
    """Whether a cell must never hold this."""
    kind = type(thing)
    if isinstance(thing, str):
        return any(sign in thing for sign in ("canary", "__builtins__", "<frame at", "<module "))
    if any(thing is door for door in DOORS):
        return True
    if issubclass(kind, type):
        made_special = {
            name for name, value in vars(thing).items() if is_dunder(name) and _from_a_cell(value)
        }
        return (
            issubclass(thing, type)
            or thing in MAKERS
            or bool(made_special - DEFINABLE_CLASS_NAMES - OF_THE_COMPILER)
        )
    if kind is types.ModuleType:
        return sys.modules.get(thing.__name__) is thing or "canary" in vars(thing)
    if issubclass(kind, INSIDES):
        return True
    if issubclass(kind, (dict, types.MappingProxyType)):
        return (
            "__builtins__" in thing
            or "_getattr_" in thing
            or thing.get("eval") is eval
            or CANARY in thing.values()
        )
    if issubclass(kind, (list, tuple, set)):
        return any(is_loot(one) for one in thing)
    return str(getattr(thing, "__name__", "")) in UNGUARDED


OF_THE_COMPILER = {"__annotate_func__"}
"""From 3.14 a class's annotations are such a function of the cell's, which no cell can define itself."""


def _from_a_cell(value: Any) -> bool:
    value = getattr(value, "__func__", value)
    return getattr(getattr(value, "__code__", None), "co_filename", None) == "<cell>"


def steal(thing: Any) -> None:
    if is_loot(thing):
        raise Stolen(repr(thing)[:200])


@pytest.fixture
def names(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    file = tmp_path / "canary.txt"
    file.write_text(CANARY)
    monkeypatch.setenv("CANARY", CANARY)
    return {
        "steal": steal,
        "stop": stop,
        "tool": Host().tool,
        "counter": make_counter(),
        "Spec": Spec,
        "CANARY_FILE": str(file),
    }


@pytest.mark.parametrize("attack", [*GENUINE, *AT_THE_WALL])
def test_the_attack_fails(attack: str, names: dict[str, Any]) -> None:
    cells = Cells(**names)
    before = _state_of_the_host()
    with contextlib.suppress(Exception, KeyboardInterrupt, SystemExit, Stop):
        cells.run({**GENUINE, **AT_THE_WALL}[attack])
    assert _state_of_the_host() == before


@pytest.mark.parametrize("attack", GENUINE)
def test_the_attack_is_genuine(attack: str, names: dict[str, Any]) -> None:
    code = compile(GENUINE[attack], "<cell>", "exec", dont_inherit=True)
    with warnings.catch_warnings(action="ignore"), _restored(), pytest.raises(Stolen):
        exec(code, {"__name__": "cell", "CANARY": CANARY, **names})


WRITTEN_TO = (json, string.Template)  # by attacks that write


def _state_of_the_host() -> list[Any]:
    """What an attack could have changed for good."""
    return [
        os.environ.copy(),
        vars(builtins).copy(),
        vars(Host).copy(),
        *(dict(vars(one)) for one in WRITTEN_TO),
    ]


@contextlib.contextmanager
def _restored() -> Iterator[None]:
    before = [dict(vars(one)) for one in WRITTEN_TO]
    try:
        yield
    finally:
        for one, names in zip(WRITTEN_TO, before, strict=True):
            for name in vars(one).keys() - names.keys():
                delattr(one, name)
            for name, value in names.items():
                if vars(one)[name] is not value:
                    setattr(one, name, value)
