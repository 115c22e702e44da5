"""What LM calls used, read from DSPy's own usage tracking; windows and prices of the models."""

from __future__ import annotations

import functools
from types import TracebackType
from typing import Any

import dspy

from rlm_core import prices
from rlm_core.lms import Completion, Usage, estimate_tokens
from rlm_core.views import View


class Meter:
    """Around one call: a usage tracker of its own, which also tells the one around it.

    asked  what is sent, for an estimate where the LM reports nothing
    lm     the LM that is asked; the configured one if None
    """

    def __init__(self, asked: View | str, lm: Any = None):
        self.asked = asked
        self.lm = lm if lm is not None else dspy.settings.lm
        self.reported: list[tuple[str, dict[str, Any]]] = []

    def __enter__(self) -> Meter:
        self._outer = dspy.settings.usage_tracker
        self._context = dspy.context(usage_tracker=self)
        self._context.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.__exit__(kind, error, trace)

    def add_usage(self, lm: str, usage_entry: dict[str, Any]) -> None:
        """Called by DSPy after each call that was not answered from its cache."""
        self.reported.append((lm, usage_entry))
        if self._outer:
            self._outer.add_usage(lm, usage_entry)

    def completion(self, text: str) -> Completion:
        """The text, with what the calls within used together."""
        entries = [(lm, entry) for lm, entry in self.reported if entry]
        if not entries:
            return Completion(text, self._unreported(text), str(getattr(self.lm, "model", "")))
        usages = [_usage(lm, entry) for lm, entry in entries]
        return Completion(text, functools.reduce(Usage.__add__, usages), entries[0][0])

    def _unreported(self, text: str) -> Usage:
        if isinstance(self.lm, dspy.LM) and self.lm.cache:  # answered from the cache
            return Usage(cost=0.0)
        if isinstance(self.asked, str):
            asked = estimate_tokens(self.asked)
        else:
            asked = sum(estimate_tokens(message["content"]) for message in self.asked.messages())
        return Usage(asked, estimate_tokens(text), estimated=True)


def _usage(lm: str, entry: dict[str, Any]) -> Usage:
    details = entry.get("prompt_tokens_details") or {}
    cached = (
        details.get("cached_tokens") if isinstance(details, dict) else getattr(details, "cached_tokens", 0)
    )
    used = Usage(
        int(entry.get("prompt_tokens") or entry.get("input_tokens") or 0),
        int(entry.get("completion_tokens") or entry.get("output_tokens") or 0),
        int(cached or 0),
    )
    return Usage(used.input, used.output, used.cached, prices.cost(used, facts(lm)))


@functools.lru_cache(maxsize=256)
def facts(model: str) -> prices.ModelFacts:
    return prices.lookup(model)


def window_of(lm: Any) -> int | None:
    """Tokens that fit an LM, where that is known: its own word, else a price list's."""
    own = getattr(lm, "window", None)
    model = getattr(lm, "model", None)
    return own if isinstance(own, int) or not isinstance(model, str) else facts(model).window
