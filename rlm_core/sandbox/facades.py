"""The modules that cells import: facades that hold named members of the real ones, and nothing else.

A facade is a fresh, empty module object into which the members of the allow-list (`members.py`) are put.
Public attributes of it are then read natively, at full speed, and there is nothing behind it.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import types
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from .classes import GIVEN_TYPES, Type
from .guards import WRITABLE_TYPES
from .members import EVERYTHING, INSTEAD, MEMBERS, STAND_INS, WRITABLE


def facade(name: str, members: Mapping[str, Any]) -> types.ModuleType:
    """A module object that holds `members` and nothing else."""
    module = types.ModuleType(name)

    def __getattr__(member: str) -> NoReturn:
        raise AttributeError(f"module {name!r} has no {member!r} here")

    module.__dict__.update(members, __getattr__=__getattr__)
    return module


@functools.cache
def standard_members() -> dict[str, dict[str, Any]]:
    """Module -> its members as cells have them, for what all sessions share.  Imports the modules."""
    found = {name: _members_of(name, wanted) for name, wanted in MEMBERS.items()}
    for name, members in STAND_INS.items():
        found.setdefault(name, {}).update(members)
    for members in found.values():
        GIVEN_TYPES.update(
            member for member in members.values() if isinstance(member, type) and member is not Type
        )
    for name, classes in WRITABLE.items():
        WRITABLE_TYPES.update(found[name][cls] for cls in classes.split())
    return found


def _members_of(name: str, wanted: str) -> dict[str, Any]:
    module = importlib.import_module(name)
    if wanted == EVERYTHING:
        names: Iterable[str] = [n for n in dir(module) if not n.startswith("_")]
    else:
        names = wanted.split()
    return {n: getattr(module, n) for n in names if hasattr(module, n)}  # not every Python has every member


class Facades:
    """The importable modules of one session: the standard ones, and `own` ones that print or look into it."""

    def __init__(self, own: Mapping[str, Mapping[str, Any]]) -> None:
        self._modules: dict[str, types.ModuleType] = {}
        for name, members in itertools.chain(standard_members().items(), own.items()):
            self._add(name, members)

    def _add(self, name: str, members: Mapping[str, Any]) -> None:
        module = self._modules.get(name)
        if module is None:
            module = self._modules[name] = facade(name, {})
            parent, _, child = name.rpartition(".")
            if parent:
                if parent not in self._modules:
                    self._add(parent, {})
                self._modules[parent].__dict__[child] = module
        module.__dict__.update(members)

    def add(self, name: str, members: Mapping[str, Any]) -> types.ModuleType:
        """A module of the host's own, which gives `members`."""
        self._add(name, members)
        return self._modules[name]

    def import_module(self, name: str, whole: bool = False, /) -> types.ModuleType:
        """`import a.b` gives `a`, and `import a.b as c` the whole of `a.b`.  Raises ImportError."""
        if name not in self._modules:
            raise _unavailable(name)
        return self._modules[name if whole else name.partition(".")[0]]

    def import_members(self, name: str, wanted: tuple[str, ...], /) -> tuple[Any, ...]:
        """`from name import ...`.  Raises ImportError."""
        members = self.import_module(name, True).__dict__
        for member in wanted:
            if member.startswith("_") or member not in members:
                raise ImportError(f"cannot import name {member!r} from {name!r} here", name=name)
        return tuple(members[member] for member in wanted)

    def all_members(self, name: str) -> dict[str, Any]:
        """What `from name import *` binds.  Raises ImportError."""
        members = self.import_module(name, True).__dict__.items()
        return {
            member: value
            for member, value in members
            if not (member.startswith("_") or isinstance(value, types.ModuleType))
        }


def _unavailable(name: str) -> ImportError:
    parents = itertools.accumulate(name.split("."), "{}.{}".format)
    found = [INSTEAD[parent] for parent in parents if parent in INSTEAD]
    instead = (
        found[-1]
        if found
        else "write it in plain Python, or use the standard modules for text, data and math"
    )
    return ModuleNotFoundError(f"{name} is not available: {instead}", name=name)
