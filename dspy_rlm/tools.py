"""The caller's tools: as `dspy.Tool`s by name, and as the contract shows them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dspy

from rlm_core.contract import Tool


def normalized(tools: Sequence[Callable[..., Any]] | None) -> dict[str, dspy.Tool]:
    """Raises TypeError for what is no list of callables, ValueError for a name given twice."""
    if not tools:
        return {}
    if isinstance(tools, dict):
        raise TypeError(
            "tools must be a list, not a dict. Change tools={'name': func} to tools=[func] "
            "(tool names are inferred from function names, or use dspy.Tool(func, name='custom_name'))"
        )
    made: dict[str, dspy.Tool] = {}
    for given in tools:
        if not isinstance(given, dspy.Tool) and not callable(given):
            raise TypeError(f"Tool {given!r} must be callable, got {type(given).__name__}")
        tool = given if isinstance(given, dspy.Tool) else dspy.Tool(given)
        if tool.name in made:
            raise ValueError(f"Duplicate tool name '{tool.name}'")
        made[tool.name] = tool
    return made


def described(tools: Mapping[str, dspy.Tool]) -> tuple[Tool, ...]:
    return tuple(
        Tool(name, _signature(tool), " ".join((tool.desc or "").split())) for name, tool in tools.items()
    )


def _signature(tool: dspy.Tool) -> str:
    for eval_str in (True, False):  # annotations as written, where their names are known
        try:
            return str(inspect.signature(tool.func, eval_str=eval_str))
        except (TypeError, ValueError, NameError):
            continue
    return "(...)"
