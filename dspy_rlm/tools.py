"""The caller's tools: as `dspy.Tool`s by name, as the contract shows them, and as code calls them."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
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


def by_name(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call with as many as can be given by name: DSPy's tools take no others.  As they are
    where the signature is not known, or has parameters without a name.  Raises TypeError where they do not
    fit."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return tuple(args), dict(kwargs)
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    if not args or {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_ONLY} & kinds:
        return tuple(args), dict(kwargs)
    bound = signature.bind(*args, **kwargs)
    named = dict(bound.arguments)
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            named.update(named.pop(parameter.name, {}))
    return (), named


def is_async(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - a callable object with an async __call__
    )


def run_async(awaitable: Any) -> Any:
    """The value of an awaitable, from sync code: on a loop of its own, in a thread where one runs here."""

    async def wait() -> Any:
        return await awaitable

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(wait())
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(contextvars.copy_context().run, asyncio.run, wait()).result()
