"""Running cells behind the language wall alone, in this process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlm_core.sandbox import namespace, policy


class Cells:
    """A session without a worker: `run` executes a cell and gives what it printed."""

    def __init__(self, **names: Any) -> None:
        self._printed: list[str] = []
        self.names: dict[str, Any] = namespace.make_globals(self._printed.append, names)

    def run(self, source: str) -> str:
        self._printed.clear()
        exec(policy.compile_cell(source), self.names)
        return "".join(self._printed)

    def __getitem__(self, name: str) -> Any:
        return self.names[name]


def run(source: str, **names: Any) -> Cells:
    cells = Cells(**names)
    cells.run(source)
    return cells


def output(source: str, **names: Any) -> str:
    return Cells(**names).run(source)


def sections(file: str) -> Mapping[str, str]:
    """The cells in a data file beside this one, by the name after `####`."""
    text = (Path(__file__).parent / file).read_text()
    parts = text.split("#### ")[1:]
    return {name: code for name, _, code in (part.partition("\n") for part in parts)}
