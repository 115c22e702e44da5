"""Recursive Language Models (arXiv 2512.24601): the strategy, its sandbox and its LMs, without `llm` or DSPy.

from rlm_core import RLM, OpenAIChat

rlm = RLM(OpenAIChat("gpt-5.2"))
print(rlm.completion(context=open("huge.txt").read(), query="Who is Alice's employer?").answer)
"""

from rlm_core.context import Context, ContextError
from rlm_core.limits import Limits
from rlm_core.lms import LM, Completion, LMCallError, Usage
from rlm_core.loop import Result
from rlm_core.rlm import RLM
from rlm_core.strategies import Strategy

__all__ = [
    "LM",
    "RLM",
    "Completion",
    "Context",
    "ContextError",
    "LMCallError",
    "Limits",
    "Result",
    "Strategy",
    "Usage",
]
