"""Recursive Language Models (arXiv 2512.24601): the strategy, its sandbox and its LMs, without `llm` or DSPy.

from rlm_core import RLM, OpenAIChat

rlm = RLM(OpenAIChat("zai-org/glm-4.7", preset="anannas"))
print(rlm.completion(context=open("huge.txt").read(), query="Who is Alice's employer?").answer)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rlm_core.context import Context, ContextError
from rlm_core.limits import Limits
from rlm_core.lms import LM, Completion, LMCallError, ScriptedLM, Usage
from rlm_core.loop import Result
from rlm_core.rlm import RLM
from rlm_core.strategies import Strategy

if TYPE_CHECKING:
    from rlm_core.batch import Row, map_runs
    from rlm_core.local import LocalLM
    from rlm_core.openai_chat import OpenAIChat

__all__ = [
    "LM",
    "RLM",
    "Completion",
    "Context",
    "ContextError",
    "LMCallError",
    "Limits",
    "LocalLM",
    "OpenAIChat",
    "Result",
    "Row",
    "ScriptedLM",
    "Strategy",
    "Usage",
    "map_runs",
]

_ON_FIRST_USE = {"OpenAIChat": "openai_chat", "LocalLM": "local", "Row": "batch", "map_runs": "batch"}


def __getattr__(name: str) -> Any:
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_ON_FIRST_USE[name]}"), name)
