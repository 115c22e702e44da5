"""Recursive Language Models for DSPy: a drop-in for `dspy.RLM` over `rlm_core`."""

from __future__ import annotations

from dspy_rlm.adapter import RLMAdapter
from dspy_rlm.interpreter import RestrictedInterpreter
from dspy_rlm.module import RLM, RLMError, install
from dspy_rlm.prediction import RLMPrediction
from rlm_core.limits import Limits

__all__ = ["RLM", "Limits", "RLMAdapter", "RLMError", "RLMPrediction", "RestrictedInterpreter", "install"]
