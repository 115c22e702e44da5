"""A session's REPL in this very process: no walls, no other process, only the worker and a host in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rlm_core.sandbox import worker
from rlm_core.sandbox.protocol import Done, Execute, HostCall, Repl, Resume

Host = Callable[[HostCall], Any]


class FakeChannel:
    """Gives the worker its cells and answers its calls with what `host` gives: a value, or a frame."""

    def __init__(self, cells: tuple[Execute, ...], host: Host) -> None:
        self.calls: list[HostCall] = []
        self.done: list[Done] = []
        self._cells, self._host, self._asked = list(cells), host, False

    def recv(self) -> Execute | Resume:
        if self._asked:
            self._asked = False
            answer = self._host(self.calls[-1])
            return answer if isinstance(answer, (Resume, Execute)) else Resume(answer)
        if not self._cells:
            raise EOFError
        return self._cells.pop(0)

    def send(self, frame: HostCall | Done) -> None:
        if isinstance(frame, HostCall):
            self.calls.append(frame)
            self._asked = True
        else:
            self.done.append(frame)


def run(
    *cells: str | Execute,
    context: Any = "",
    inputs: dict[str, Any] | None = None,
    seconds: float = 30,
    host: Host = lambda call: None,
    **repl: Any,
) -> FakeChannel:
    """What became of `cells`, run one after another.  `repl`: of the `Repl`."""
    executes = tuple(cell if isinstance(cell, Execute) else Execute(cell, seconds) for cell in cells)
    channel = FakeChannel(executes, host)
    worker.serve(channel, {"context": context} if inputs is None else inputs, Repl(**repl))
    return channel


def last(*cells: str | Execute, **options: Any) -> Done:
    return run(*cells, **options).done[-1]
