"""Recursive Language Models for DSPy: a drop-in for `dspy.RLM` over `rlm_core`."""

from __future__ import annotations

from dspy_rlm.adapter import RLMAdapter
from dspy_rlm.baselines import RAG, Chunked, Direct
from dspy_rlm.interpreter import RestrictedInterpreter
from dspy_rlm.lm import as_dspy, local_lm
from dspy_rlm.module import RLM, RLMError, install
from dspy_rlm.portable import examples_from_runs, export_strategy, load_strategy, strategy_of
from dspy_rlm.prediction import RLMPrediction
from dspy_rlm.references import Reference
from dspy_rlm.reflection import feedback, used_components
from rlm_core.limits import Limits

__all__ = [
    "RAG",
    "RLM",
    "Chunked",
    "Direct",
    "Limits",
    "RLMAdapter",
    "RLMError",
    "RLMPrediction",
    "Reference",
    "RestrictedInterpreter",
    "as_dspy",
    "examples_from_runs",
    "export_strategy",
    "feedback",
    "install",
    "load_strategy",
    "local_lm",
    "strategy_of",
    "used_components",
]
