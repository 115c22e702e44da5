"""What a run is made from, as the journal keeps it, and a run made again from that."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from rlm_core import strategies
from rlm_core.context import Context
from rlm_core.contract import Tool
from rlm_core.journal.file import JournalError
from rlm_core.limits import Budget, Limits
from rlm_core.lms import Usage
from rlm_core.loop import Run, Task

RAISED = ("iterations", "tokens", "cost", "seconds")
"""The limits that end a run.  Others have shaped what its code did, so they stay as they were."""


@dataclass(frozen=True, slots=True)
class About:
    """What a run is, beside its inputs.  `setup`: all that a resume needs to make it again, as plain JSON."""

    source: str  # "llm", "map", "python" or "dspy"
    model: str
    sub_model: str
    query: str
    setup: dict[str, Any] = field(default_factory=dict)

    def raised(self, limits: Mapping[str, float | None]) -> About:
        """With other limits than it began with.  Raises ValueError and TypeError where they make no sense."""
        if wrong := sorted(limits.keys() - set(RAISED)):
            raise ValueError(
                f"{', '.join(wrong)}: a run that goes on may have other limits of {', '.join(RAISED)} only"
            )
        Limits(**limits)  # type: ignore[arg-type]
        return replace(self, setup={**self.setup, "raised": {**self.setup.get("raised", {}), **limits}})


def about(row: Mapping[str, Any] | sqlite3.Row) -> About:
    """Of a row of `runs`."""
    return About(row["source"], row["model"], row["sub_model"], row["query"], json.loads(row["setup"]))


def question(row: Mapping[str, Any]) -> str:
    """What was asked, without the turns of a conversation before it; "" where the context states the task."""
    return str(json.loads(row["setup"]).get("question", row["query"]))


def check_source(row: Mapping[str, Any]) -> None:
    """Raises JournalError where the run cannot be made again from what is kept."""
    if row["source"] == "dspy":
        raise JournalError(
            f"run {row['id']} was made by a DSPy program, which holds its signature and tools: it can be "
            "looked at, and neither resumed nor replayed"
        )


def setup_of(run: Run, sandbox: str = "auto") -> dict[str, Any]:
    """What `again` needs to make a run again, and whoever drives it: the sandbox, "auto" or "weak"."""
    return {
        "limits": asdict(run.limits),
        "strategy": strategies.to_dict(run.strategy),
        "window": run.window,
        "sub_window": run.sub_window,
        "tools": [[tool.name, tool.signature, tool.doc] for tool in run.tools],
        "sandbox": sandbox,
    }


def again(
    about: About,
    inputs: Mapping[str, Any],
    tools: tuple[Tool, ...] | None = None,
    seconds: float = 0.0,
    **task: Any,
) -> Run:
    """A recorded run, from its beginning.

    tools    in place of those that it had
    seconds  of its time that are used up
    task     more fields of its `Task`"""
    setup = about.setup
    raised = dict(setup.get("raised", {}))
    # those of its children are part of what happened
    own = {"iterations": raised.pop("iterations")} if "iterations" in raised else {}
    budget = Budget(Limits(**{**setup["limits"], **raised}))
    budget.started -= seconds
    for role, depth, model, usage in setup.get("forgone", ()):
        budget.record(role, depth, model, Usage(**usage))
    return Run(
        Task(about.query, {name: Context.of(value) for name, value in inputs.items()}, **task),
        budget,
        strategies.from_dict(setup["strategy"]),
        tuple(Tool(*tool) for tool in setup.get("tools", ())) if tools is None else tools,
        setup["window"],
        setup["sub_window"],
        own_limits=own,
    )
