"""What a scan has seen so far, and how it ends early."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from rlm_core.shape import Shape


@dataclass
class Scan:
    """What was seen before `deadline` (of `time.monotonic()`).  `seen`: up to which character.  `problem`:
    what is wrong with the text as one of its format, and where; "" for nothing so far.  `facts`: what there
    is to say beside the shape."""

    deadline: float
    shape: Shape = field(default_factory=Shape)
    seen: int = 0
    problem: str = ""
    facts: list[str] = field(default_factory=list)

    def pause(self, at: int) -> None:
        """To be called often: all up to `at` has been seen.  Raises Late."""
        self.seen = at
        if time.monotonic() >= self.deadline:
            raise Late


class Late(Exception):
    """The deadline has come."""


class Bad(Exception):
    """The text is not what its format asks for, from character `at` on."""

    def __init__(self, what: str, at: int):
        super().__init__(what)
        self.at = at
