"""LMs of the core as LMs of DSPy."""

from __future__ import annotations

import asyncio
import copy

import dspy
import pytest

from dspy_rlm import RLM, as_dspy, local_lm
from rlm_core import LMCallError, ScriptedLM


def test_a_core_lm_answers_dspy_sync_and_async_with_its_usage() -> None:
    lm = as_dspy(ScriptedLM(["```repl\nSUBMIT(len(context))\n```"] * 2), cache=False)
    with dspy.context(lm=lm, track_usage=True):
        prediction = RLM("context -> n: int")(context="abc")
        assert prediction.n == 3
        assert prediction.get_lm_usage()["rlm/scripted"]["prompt_tokens"] > 0
        assert prediction.run.usage.input > 0
        assert asyncio.run(RLM("context -> n: int").acall(context="abcd")).n == 4


def test_its_errors_are_dspys() -> None:
    lm = as_dspy(ScriptedLM(LMCallError("too long", "overflow")), cache=False)
    with dspy.context(lm=lm), pytest.raises(dspy.ContextWindowExceededError):
        dspy.Predict("q -> a")(q="x")


def test_copies_share_the_model_and_keep_settings_apart() -> None:
    core = ScriptedLM("[[ ## a ## ]]\nx")
    lm = as_dspy(core)
    other = lm.copy(temperature=0.7)
    assert copy.deepcopy(lm).engine is lm.engine is other.engine
    assert other.kwargs["temperature"] == 0.7
    assert lm.kwargs.get("temperature") != 0.7


def test_settings_belong_to_the_key_of_dspys_cache() -> None:
    short, long = local_lm(max_tokens=50), local_lm(max_tokens=500, stop=["END"])
    assert short.kwargs == {"temperature": 0.0, "max_tokens": 50}
    assert long.kwargs == {"temperature": 0.0, "max_tokens": 500, "stop": ["END"]}
