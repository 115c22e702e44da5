"""What a run has done so far, and how much of it the root LM still reads.

The prompt only grows, so that providers' prefix caches hit, until it nears the window: then the oldest
outputs are cut, and never the task, the contract or the card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from rlm_core.limits import CHARS_PER_TOKEN
from rlm_core.views import Turn, View

FULL_SHARE, KEPT_SHARE = 0.75, 0.5  # of the window: when history is compacted, and to what


@dataclass
class History:
    """`view` makes what the root LM is shown, from the turns that it reads."""

    view: Callable[[tuple[Turn, ...]], View]
    turns: list[Turn] = field(default_factory=list)  # all of what happened
    shown: list[Turn] = field(default_factory=list)  # the same turns as the root LM reads them, compacted
    returned: list[str] = field(default_factory=list)  # by sub-calls and tools

    def add(self, turn: Turn) -> None:
        self.turns.append(turn)
        self.shown.append(turn)

    @property
    def size(self) -> int:
        """Characters of the next prompt."""
        return sum(len(message["content"]) for message in self.view(tuple(self.shown)).messages())

    def compact(self, window: int, above: float = FULL_SHARE, to: float = KEPT_SHARE) -> None:
        """Cuts the oldest outputs when the prompt fills `above` of the window (tokens), until it fills `to`;
        never the newest turn's."""
        size, chars = self.size, window * CHARS_PER_TOKEN
        if size <= above * chars:
            return
        for index, turn in enumerate(self.shown[:-1]):
            if size <= to * chars:
                return
            shown = (
                f"{turn.shown[:200]}\n[... {len(turn.shown) - 200:,} characters of this old output left out]"
            )
            code = turn.code if len(turn.code) < 2_000 else f"{turn.code[:400]}\n# ... left out"
            shorter = replace(turn, code=code, shown=shown if len(shown) < len(turn.shown) else turn.shown)
            size -= len(turn.code) + len(turn.shown) - len(shorter.code) - len(shorter.shown)
            self.shown[index] = shorter
