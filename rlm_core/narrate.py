"""Events told as lines of text: what `verbose` prints, and what `llm` shows as reasoning."""

from __future__ import annotations

from rlm_core.events import (
    Asking,
    Chunk,
    Ended,
    Event,
    Replied,
    Stepped,
    SubCalled,
    SubCalling,
    ToolUsed,
)
from rlm_core.terminal import safe

MAX_LINES = 12  # of a step's output


class Narrator:
    """Tells one run's events in order.  Children are indented, and told without their chunks.
    `end_apart`: who uses it tells the reason of the run's end, which is then left out here."""

    def __init__(self, end_apart: bool = False) -> None:
        self.end_apart = end_apart
        self._streamed = False
        self._open = False  # a chunk has not ended its line
        self._failure = ""  # of the root model's last call

    def tell(self, event: Event) -> str:
        """Text to write to a terminal as it is, or ""."""
        before = "\n" if self._open and not isinstance(event, Chunk) else ""
        text = before + safe(self._told(event))
        if text:
            self._open = isinstance(event, Chunk) and not text.endswith("\n")
        return text

    def _told(self, event: Event) -> str:
        pad = "  " * len(event.path)
        match event:
            case Asking():
                self._streamed = False
                return f"{pad}[{_place(event)}step {event.turn}]\n"
            case Chunk():
                self._streamed = True
                return event.text.removesuffix("\r")  # half of a line end
            case Replied():
                if event.error and self.end_apart and not event.path:
                    self._failure = event.error
                    return ""
                if event.error:
                    return f"{pad}! {event.error}\n"
                if self._streamed and not event.path:
                    return ""
                return _indented(event.code or event.text, pad)
            case SubCalling():
                return f"{pad}  {event.kind}: {event.count} at once\n" if event.count > 1 else ""
            case SubCalled():
                return f"{pad}  ! {event.error}\n" if event.error else ""
            case ToolUsed():
                return f"{pad}  {event.name}() " + (f"failed: {event.error}\n" if event.error else "used\n")
            case Stepped():
                text = "\n".join(part for part in (event.output.rstrip("\n"), event.error) if part)
                return _indented(_cut(text), pad + "> ") if text else ""
            case Ended() if event.path:
                return f"{pad}[{_place(event)}{event.status}]\n"
            case Ended() if self._failure and self._failure not in event.reason:
                return f"! {self._failure}\n"
        return f"{pad}({event.words})\n" if event.words else ""


def _place(event: Event) -> str:
    return f"child {'.'.join(map(str, event.path))}, " if event.path else ""


def _indented(text: str, pad: str) -> str:
    return "".join(f"{pad}{line}\n" for line in text.splitlines())


def _cut(text: str) -> str:
    lines = text.splitlines()
    if len(lines) <= MAX_LINES:
        return text
    half = MAX_LINES // 2
    return "\n".join([*lines[:half], f"... {len(lines) - 2 * half} lines ...", *lines[-half:]])
