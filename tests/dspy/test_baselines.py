"""`Direct`, `RAG` and `Chunked` as modules."""

from __future__ import annotations

from typing import Any

import dspy
import pytest

from dspy_rlm import RAG, Chunked, Direct, as_dspy
from rlm_core import ScriptedLM
from tests.dspy.scripted import Script

FILLER = "".join(f"Line {number} tells of the weather.\n" for number in range(3_000))
TEXT = FILLER + "The vault opens with 7315.\n" + FILLER


def read(messages: Any) -> str:
    field = "notes" if "[[ ## notes ## ]]" in messages[0]["content"] else "answer"
    said = "7315" if "7315" in messages[-1]["content"] else "NOTHING"
    return f"[[ ## {field} ## ]]\n{said}\n\n[[ ## completed ## ]]"


@pytest.mark.parametrize(("kind", "answer"), [(Direct, "NOTHING"), (RAG, "7315"), (Chunked, "7315")])
def test_a_baseline_answers_within_the_window(kind: Any, answer: str) -> None:
    lm = Script([read] * 100)
    with dspy.context(lm=lm):
        assert kind(window=4_000)(context=TEXT, query="What opens the vault?").answer == answer
    assert max(len(messages[-1]["content"]) for messages in lm.sent) < 4_000 * 4
    assert (len(lm.sent) > 10) == (kind is Chunked)


@pytest.mark.parametrize("kind", [Direct, RAG, Chunked])
def test_what_fits_is_counted_by_the_lms_own_tokenizer(kind: Any) -> None:
    class Dense(ScriptedLM):
        """Reads every character as a token."""

        def tokens(self, text: str) -> int:
            return len(text)

    core = Dense(read, window=4_000)
    with dspy.context(lm=as_dspy(core, cache=False)):
        kind()(context=TEXT[:30_000], query="What opens the vault?")
    assert core.calls
    assert max(len(messages[-1]["content"]) for messages in core.calls) < 4_000
