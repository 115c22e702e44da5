"""What a row keeps of calls and steps: enough to see where a wrong answer came from, within bounds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rlm_core import quoting
from rlm_core.events import Event
from rlm_core.trace import Step, Trace, trace
from rlm_core.views import Turn

MOST = 200  # sub-calls that a row keeps; how many there were stands in its `calls`
CHARS = 600  # of a prompt, a reply or a child's text


def ends(text: str) -> str:
    return quoting.ends(text, CHARS)


def call(prompt: str, reply: str, model: str, error: str = "") -> dict[str, Any]:
    told = {"prompt": ends(prompt), "reply": ends(reply), "model": model}
    return {**told, "error": ends(error)} if error else told


def steps(turns: Iterable[Turn], events: Iterable[Event]) -> list[dict[str, Any]]:
    """An RLM's steps, each with its sub-calls and child RLMs.  A last step that was broken off has these
    alone."""
    made: list[dict[str, Any]] = [
        {"said": turn.reasoning, "code": turn.code, "output": turn.output, "error": turn.error}
        for turn in turns
    ]
    run = trace((0.0, 0, event) for event in events)
    left = MOST
    for number, step in enumerate(run.steps if run else ()):
        if number == len(made):
            made.append({})
        left = _add(made[number], step, left)
    return [step for step in made if step]


def _add(made: dict[str, Any], step: Step, left: int) -> int:
    """Adds to a step what it called, `left` calls and children at most; gives how many more may be kept."""
    calls = [one for one in step.calls if one.kind == "sub"][:left]
    if calls:
        made["calls"] = [call(one.prompt, one.text, one.model, one.error) for one in calls]
    left -= len(calls)
    for child in step.children[:left]:
        told, left = _child(child, left - 1)
        made.setdefault("children", []).append(told)
    return left


def _child(run: Trace, left: int) -> tuple[dict[str, Any], int]:
    steps = []
    for step in run.steps:
        said = ends(step.asking.text) if step.asking else ""
        made: dict[str, Any] = {"said": said, "output": ends(step.output), "error": ends(step.error)}
        left = _add(made, step, left)
        steps.append(made)
    told = {
        "query": ends(run.query),
        "text": ends(run.text),
        "status": run.status,
        "answer": None if run.answer is None else ends(str(run.answer)),
        "steps": steps,
    }
    return told, left
