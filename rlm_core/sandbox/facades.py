"""The modules that cells import: facades that hold named members of the real ones, and nothing else.

A facade is a fresh, empty module object into which the members of the allow-list (`members.py`) are put.
Public attributes of it are then read natively, at full speed, and there is nothing behind it.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import types
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from .classes import GIVEN_TYPES, Type
from .guards import WRITABLE_TYPES
from .members import EVERYTHING, IN_CELLS, INSTEAD, MEMBERS, STAND_INS, WRITABLE


def facade(
    name: str, members: Mapping[str, Any], missing: Callable[[str, str], Any] | None = None
) -> types.ModuleType:
    """A module object that holds `members` and nothing else, but for what `missing` makes of a name."""
    module = types.ModuleType(name)

    def __getattr__(member: str) -> Any:
        return (missing or _missing)(name, member)

    module.__dict__.update(members, __getattr__=__getattr__)
    return module


def _missing(name: str, member: str) -> NoReturn:
    instead = _instead(f"{name}.{member}")
    raise AttributeError(f"module {name!r} has no {member!r} here" + (f": {instead}" if instead else ""))


def _instead(name: str) -> str | None:
    """What to use instead of a module or a member; what is said of its package, where nothing is of it."""
    found = [
        INSTEAD[parent]
        for parent in itertools.accumulate(name.split("."), "{}.{}".format)
        if parent in INSTEAD
    ]
    return found[-1] if found else None


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


@functools.cache
def sources_in_cells() -> dict[str, str]:
    """Module -> the source of its members that are written in the Python of cells."""
    return {name: (Path(__file__).parent / "in_cells" / f"{name}.py").read_text("utf-8") for name in IN_CELLS}


class Facades:
    """The importable modules of one session: the standard ones, and `own` ones that print or look into it.

    `run` runs a source as a cell of the session, in a namespace of its own, and gives its names."""

    def __init__(
        self, own: Mapping[str, Mapping[str, Any]], run: Callable[[str, str], dict[str, Any]]
    ) -> None:
        self._modules: dict[str, types.ModuleType] = {}
        self._run = run
        self._in_cells = {name: wanted.split() for name, wanted in IN_CELLS.items()}
        for name, members in itertools.chain(standard_members().items(), own.items()):
            self._add(name, members)
        for name in IN_CELLS:
            self._add(name, {})

    def _missing(self, name: str, member: str) -> Any:
        """A member that a cell asks for and its module does not have yet.  Raises AttributeError."""
        if member not in self._in_cells.get(name, ()):
            _missing(name, member)
        made = self._run(f"<{name}>", sources_in_cells()[name])
        self._add(name, {wanted: made[wanted] for wanted in self._in_cells.pop(name)})
        return made[member]

    def _add(self, name: str, members: Mapping[str, Any]) -> None:
        module = self._modules.get(name)
        if module is None:
            module = self._modules[name] = facade(name, {}, self._missing)
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
        module = self.import_module(name, True)
        found = []
        for member in wanted:
            if member.startswith("_") or not hasattr(module, member):
                instead = _instead(f"{name}.{member}")
                problem = f"cannot import name {member!r} from {name!r} here"
                raise ImportError(problem + (f": {instead}" if instead else ""), name=name)
            found.append(getattr(module, member))
        return tuple(found)

    def all_members(self, name: str) -> dict[str, Any]:
        """What `from name import *` binds.  Raises ImportError."""
        module = self.import_module(name, True)
        for member in self._in_cells.get(name, ()):
            getattr(module, member)
            break  # they are made together
        members = module.__dict__.items()
        return {
            member: value
            for member, value in members
            if not (member.startswith("_") or isinstance(value, types.ModuleType))
        }


def _unavailable(name: str) -> ImportError:
    instead = (
        _instead(name) or "write it in plain Python, or use the standard modules for text, data and math"
    )
    return ModuleNotFoundError(f"{name} is not available: {instead}", name=name)
