"""The scripted model: what it says to each request of one run, the same for every candidate."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.peers.candidates import ROOT, Candidate
from tests.stub_server import Reply

RESULT = "'result: ' + str(result)"
WHOLE = 1 << 20  # characters in a chunk of a stream: a reply comes in one


@dataclass
class Script:
    """
    candidate  in whose dialect it is said
    code       what the root runs, turn by turn; the last turn submits `value` as well
    value      an expression
    delay      seconds that a sub-call takes
    snippets   the code of runs whose query is "snippet N", in the place of `code`
    at_second  called when the root's second request has come, before it is answered: the context is loaded
               by then, and the candidate waits
    arrivals   when each of the root's requests came, in seconds
    """

    candidate: Candidate
    code: tuple[str, ...] = ()
    value: str = ""
    delay: float = 0.0
    snippets: tuple[str, ...] = ()
    at_second: Callable[[], None] | None = None
    arrivals: list[float] = field(default_factory=list)
    _begun: set[int] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, body: dict[str, Any]) -> Reply:
        asked = str(body["messages"][-1].get("content"))
        if re.fullmatch(r"leaf \d+", asked.strip()) or (body["model"] != ROOT and "leaf " in asked):
            return Reply("ok", delay=self.delay)
        if body["model"] != ROOT:  # a child
            return self._say(self.candidate.final("'ok'"))
        if self.snippets:
            return self._say(self._snippet(body))
        with self._lock:
            self.arrivals.append(time.perf_counter())
            turn = len(self.arrivals)
        if turn == 2 and self.at_second:
            self.at_second()
        code = self.code[min(turn, len(self.code)) - 1]
        if turn >= len(self.code):
            code += "\n" + self.candidate.final(self.value)
        return self._say(code)

    def _snippet(self, body: dict[str, Any]) -> str:
        """The snippet that the run is about; where it is asked again, the end."""
        said = "\n".join(str(message.get("content")) for message in body["messages"])
        numbers = re.findall(r"snippet (\d+)", said)
        number = int(numbers[-1]) if numbers else -1
        if number in self._begun or number < 0:
            return self.candidate.final("'refused'")
        self._begun.add(number)
        looked = f"seen = {self.candidate.context}"  # minrlm takes no answer from who has not
        return f"{looked}\n{self.snippets[number]}\n{self.candidate.final(RESULT)}"

    def _say(self, code: str) -> Reply:
        return Reply(self.candidate.reply(code), chunk=WHOLE)
