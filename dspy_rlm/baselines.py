"""What an RLM is compared with, as DSPy modules: `Direct`, `RAG` and `Chunked`, over `rlm_core.baselines`.

All take a signature with one long input and any others, fill the LM's window, and may be optimized."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from typing import Any

import dspy

from dspy_rlm import inputs
from dspy_rlm.lm import counter
from dspy_rlm.usage import window_of
from rlm_core import baselines
from rlm_core.lms import estimate_tokens
from rlm_core.loop import DEFAULT_WINDOW


class _Baseline(dspy.Module):  # type: ignore[misc]
    """signature  its first input that is not the question ("query", "question") is the long one
    window     tokens that fit the LM, where no price list knows them
    count      the tokens of a text, by the LM's own tokenizer: known for `local_lm`, estimated for others"""

    def __init__(
        self,
        signature: type[dspy.Signature] | str = "context, query -> answer",
        window: int | None = None,
        count: baselines.Count | None = None,
    ):
        super().__init__()
        self.signature = dspy.ensure_signature(signature)
        self.window, self.count = window, count
        self.long = next(name for name in self.signature.input_fields if name not in inputs.QUESTIONS)
        self.answer = dspy.Predict(self.signature)

    def forward(self, **given: Any) -> dspy.Prediction:
        inputs.check_names(self.signature, given)
        value = inputs.context(given[self.long]).value
        text = value if isinstance(value, str) else str(value)
        others = {name: value for name, value in given.items() if name != self.long}
        asked = " ".join(str(value) for value in others.values())
        lm = self.answer.lm or dspy.settings.lm
        count = self.count or counter(lm) or estimate_tokens
        window = self.window or window_of(lm) or DEFAULT_WINDOW
        room = max(64, window - baselines.REPLY - count(asked))
        return self.answer(**others, **{self.long: self.read(text, asked, room, count)})

    def read(self, text: str, asked: str, room: int, count: baselines.Count) -> str:
        """What of the text is shown, in at most `room` tokens."""
        raise NotImplementedError


class Direct(_Baseline):
    """One call with the text; with its head and tail where it is too long."""

    def read(self, text: str, asked: str, room: int, count: baselines.Count) -> str:
        return baselines.fit(text, room, count=count)


class RAG(_Baseline):
    """One call with the pieces that fit the question best (BM25)."""

    def read(self, text: str, asked: str, room: int, count: baselines.Count) -> str:
        return baselines.retrieve(text, asked, room // 2, count)


class Chunked(_Baseline):
    """Notes on every part of the text, many at once, and one call that answers from them."""

    def __init__(
        self,
        signature: type[dspy.Signature] | str = "context, query -> answer",
        window: int | None = None,
        count: baselines.Count | None = None,
        concurrency: int = 8,
    ):
        super().__init__(signature, window, count)
        self.concurrency = concurrency
        self.note = dspy.Predict(
            dspy.Signature(
                "part, place, question -> notes",
                "Note all that this part of a longer text says toward the question, exactly and with "
                "numbers. Write NOTHING if it says nothing.",
            )
        )

    def read(self, text: str, asked: str, room: int, count: baselines.Count) -> str:
        while count(text) > room:
            parts = baselines.pieces(text, room, count)
            contexts = [copy_context() for _ in parts]  # so that dspy.context reaches the threads
            with ThreadPoolExecutor(self.concurrency) as pool:
                places = [f"part {number} of {len(parts)}" for number in range(1, len(parts) + 1)]
                notes = list(pool.map(self._note, contexts, parts, places, [asked] * len(parts)))
            merged = "\n\n".join(note for note in notes if note.strip().rstrip(".") != "NOTHING")
            text = merged if len(merged) < len(text) else baselines.fit(merged, room, count=count)
        return text

    def _note(self, context: Context, part: str, place: str, asked: str) -> str:
        return str(context.run(self.note, part=part, place=place, question=asked).notes)
