"""What a run came to, as stdout, stderr and llm's log get it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from llm_rlm import schema
from llm_rlm.options import RLMOptions
from rlm_core.limits import RunUsage
from rlm_core.loop import Result


def fitting(result: Result, wanted: dict[str, Any] | None) -> Result:
    """The result, without an answer so far that does not fit the schema: who asks for JSON parses it."""
    if wanted and result.answer is not None:
        try:
            schema.checked({"answer": result.answer}, wanted)
        except ValueError:
            return replace(result, answer=None)
    return result


def text_of(result: Result, wanted: Any = None) -> str:
    """The answer as stdout gets it; as JSON on one line where a schema was given."""
    if result.status == "not_found":
        return f"NOT_FOUND: {result.reason}" if result.reason else "NOT_FOUND"
    if result.status == "error" or result.answer is None:
        return ""
    if isinstance(result.answer, str) and not wanted:
        return result.answer
    return json.dumps(result.answer, ensure_ascii=False, indent=None if wanted else 2, default=str)


def closing(result: Result) -> list[str]:
    """What stderr is told at the end, a line each."""
    lines = []
    if result.status == "error":
        lines.append(f"Error: {result.reason}")
    if result.status == "limit":
        lines.append(stopped(result))
    if result.status in ("error", "limit"):
        lines.append(f"Spent: {spent(result.usage, result.seconds)}.")
    if result.unverified:
        looked = any(turn.code for turn in result.trajectory)
        why = "the answer occurs neither in the text nor in what the code printed"
        lines.append(f"Not verified: {why if looked else 'no code has looked into the text'}.")
    return lines


def stopped(result: Result) -> str:
    """Why a run ended before its answer, and what raises the limit."""
    best = "no answer was found so far" if result.answer is None else "the answer is the best so far"
    raised = (
        f"-o max_{result.limit} raises it, with llm rlm resume too"
        if f"max_{result.limit}" in RLMOptions.model_fields
        else ""
    )
    return "; ".join(filter(None, (f"Stopped by the limit of {result.reason}", best, raised)))


def trace(result: Result) -> dict[str, Any]:
    """What the log keeps of the run, compact: the trajectory as it was told is kept as reasoning."""
    return {
        "status": result.status,
        "reason": result.reason,
        "unverified": result.unverified,
        "seconds": round(result.seconds, 3),
        "steps": [
            {"code": turn.code, "output": turn.output[:500], "error": turn.error[:500]}
            for turn in result.trajectory
        ],
    }


def details(usage: RunUsage) -> dict[str, Any]:
    """What `-u` and the log show beside the totals."""
    told: dict[str, Any] = {}
    for role in ("root", "child", "sub"):
        part = usage.of(role)
        if part.calls:
            told[role] = {"calls": part.calls, "input": part.input, "output": part.output}
            if part.cached:
                told[role]["cached"] = part.cached
            if part.cost is not None:
                told[role]["cost"] = round(part.cost, 6)
    if usage.calls and usage.cost is not None:
        told["cost"] = round(usage.cost, 6)
    return told


def spent(usage: RunUsage, seconds: float) -> str:
    """ "3 calls, 1,200 tokens in, 80 out, $0.0041, 12 s"; no cost where it is not known."""
    calls = f"{usage.calls:,} call{'' if usage.calls == 1 else 's'}"
    cost = "" if usage.cost is None else f", ${usage.cost:.4f}"
    return f"{calls}, {usage.input:,} tokens in, {usage.output:,} out{cost}, {seconds:.0f} s"
