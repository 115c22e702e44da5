"""Long inputs of training examples, by reference.

Optimizers print examples into prompts (MIPROv2's summary of a data set sends whole inputs) and keep them in
programs; a reference has a short repr, and `RLM` reads it when it runs.  A `pathlib.Path` is one already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rlm_core.journal import Journal, JournalError


class Reference:
    """A value of this process: `dspy.Example(context=Reference(text), ...)`."""

    def __init__(self, value: Any):
        self._value = value

    def read(self) -> Any:
        return self._value

    def __repr__(self) -> str:
        size = f" of {len(self._value):,} characters" if isinstance(self._value, str) else ""
        return f"<{type(self._value).__name__}{size}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and self._value == other._value

    def __hash__(self) -> int:
        return hash(repr(self))


class Kept(Reference):
    """The context of a recorded run."""

    def __init__(self, journal: Path, run: str, chars: int):
        self.journal, self.run, self.chars = journal, run, chars

    def read(self) -> Any:
        """Raises JournalError where the journal keeps no contexts."""
        kept = Journal(self.journal)
        inputs = kept.inputs(kept.run(self.run))
        if len(inputs) != 1:
            raise JournalError(f"run {self.run} has {len(inputs)} inputs: {', '.join(inputs)}")
        return next(iter(inputs.values()))

    def __repr__(self) -> str:
        return f"<context of {self.chars:,} characters, run {self.run}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Kept) and (self.journal, self.run) == (other.journal, other.run)

    def __hash__(self) -> int:
        return hash((self.journal, self.run))
