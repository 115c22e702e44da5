"""The baselines: what of a text they show an LM."""

from __future__ import annotations

import contextvars
import threading

import pytest

from rlm_core import ScriptedLM
from rlm_core.baselines import Asking, TooLong, chunked, direct, fit, pieces, rag, retrieve
from rlm_core.lms import LMCallError, estimate_tokens, stopping

TEXT = "".join(f"Line {number} tells of the weather.\n" for number in range(5_000))
NEEDLE = TEXT + "The vault opens with 7315.\n" + TEXT


def test_a_text_is_fitted_by_its_tokens_head_and_tail() -> None:
    for text in (TEXT, "長い文書" * 20_000, "é" * 50_000):
        for tokens in (200, 1_000, 9_000):
            short = fit(text, tokens)
            assert estimate_tokens(short) <= tokens
            assert estimate_tokens(short) > tokens * 0.6
            assert (short[:5], short[-5:]) == (text[:5], text[-5:])
    assert fit("short", 100) == "short"


def test_what_is_kept_of_a_text_that_is_too_long_can_be_chosen() -> None:
    head, tail = fit(TEXT, 1_000, "head"), fit(TEXT, 1_000, "tail")
    assert TEXT.startswith(head[:3_000])
    assert TEXT.endswith(tail[-3_000:])
    assert "left out" in head[-60:]
    assert "left out" in tail[:60]
    with pytest.raises(TooLong, match="and 1,000 fit"):
        fit(TEXT, 1_000, "all")
    assert fit("short", 100, "all") == "short"


def test_tokens_are_counted_by_the_models_own_tokenizer_where_it_has_one() -> None:
    assert 900 < len(fit(TEXT, 1_000, count=len)) <= 1_000
    assert max(map(len, pieces(TEXT, 1_000, count=len))) <= 1_000
    assert "".join(pieces(TEXT, 1_000, count=len)) == TEXT
    assert len(retrieve(NEEDLE, "vault", 1_500, count=len)) <= 1_500


def test_pieces_are_the_whole_text_and_end_with_lines() -> None:
    parts = pieces(TEXT, 500)
    assert "".join(parts) == TEXT
    assert len(parts) > 50
    assert all(part.endswith("\n") for part in parts)
    assert all(estimate_tokens(part) <= 501 for part in parts)
    assert "".join(pieces("x" * 10_000, 100)) == "x" * 10_000


def test_what_is_retrieved_holds_the_needle_and_fits() -> None:
    found = retrieve(NEEDLE, 'What opens the "vault"? AND NOT (x)', 1_000)
    assert "7315" in found
    assert estimate_tokens(found) <= 1_000


def test_direct_cuts_the_middle_rag_finds_it_chunked_reads_all() -> None:
    def read(messages: object) -> str:
        prompt = str(messages)
        return "7315" if "7315" in prompt else "NOTHING"

    lm = ScriptedLM(read)
    for method, answer in ((direct, "NOTHING"), (rag, "7315"), (chunked, "7315")):
        asking = Asking(lm)
        assert method(asking, NEEDLE, "What opens the vault?", 4_000) == answer
        assert asking.usage.input > 0
    parts = len(pieces(NEEDLE, 4_000))
    assert len(lm.calls) > parts
    assert max(estimate_tokens(call[0]["content"]) for call in lm.calls) <= 4_000


def test_once_its_caller_shall_stop_chunked_asks_for_no_more_notes() -> None:
    stop = threading.Event()

    def read(messages: object) -> str:
        stop.set()
        return "7315"

    def asked() -> None:
        stopping.set(stop)
        chunked(Asking(lm), NEEDLE, "What?", 3_000, concurrency=1)

    lm = ScriptedLM(read)
    with pytest.raises(LMCallError):
        contextvars.copy_context().run(asked)
    assert len(lm.calls) == 1


def test_text_that_sqlite_does_not_take_is_retrieved_all_the_same() -> None:
    half = "The vault \ud800 opens with 7315."
    assert retrieve(half, "What opens the vault?", 1_000) == half


def test_notes_that_are_too_long_are_chunks_again() -> None:
    lm = ScriptedLM(lambda messages: "note " * 300 if "This is part" in messages[0]["content"] else "done")
    assert chunked(Asking(lm), NEEDLE, "What?", 3_000) == "done"
    assert max(estimate_tokens(call[0]["content"]) for call in lm.calls) <= 3_000
