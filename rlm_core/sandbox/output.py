"""What a cell prints: its head and its tail, at a cost that does not grow with what is printed."""

from __future__ import annotations


class Output:
    """Collects text and keeps at most `limit` characters of it: the first half and the last."""

    def __init__(self, limit: int) -> None:
        self._head_room = (limit + 1) // 2
        self._tail_room = limit - self._head_room
        self.clear()

    def clear(self) -> None:
        self._head: list[str] = []
        self._tail: list[str] = []
        self._head_size = 0
        self._tail_size = 0
        self._total = 0

    def emit(self, text: str) -> None:
        # An exact str: a subclass of the cell's own may lie about its length or its slices.
        text = text if type(text) is str else str.__str__(text)
        self._total += len(text)
        taken = 0
        if (room := self._head_room - self._head_size) > 0:
            self._head.append(text[:room])
            taken = len(self._head[-1])
            self._head_size += taken
        if self._tail_room and taken < len(text):
            self._tail.append(text[max(taken, len(text) - self._tail_room) :])
            self._tail_size += len(self._tail[-1])
            if self._tail_size > 2 * self._tail_room:  # seldom enough that a character is copied about once
                self._tail = ["".join(self._tail)[-self._tail_room :]]
                self._tail_size = self._tail_room

    def text(self) -> str:
        tail = "".join(self._tail)[-self._tail_room :] if self._tail_room else ""
        head = "".join(self._head)
        if not (cut := self._total - len(head) - len(tail)):
            return head + tail
        return f"{head}\n... [{cut:,} characters cut] ...\n{tail}"


def clip(text: str, limit: int) -> str:
    """`text`, or its head and tail where it is longer than `limit`."""
    output = Output(limit)
    output.emit(text)
    return output.text()
