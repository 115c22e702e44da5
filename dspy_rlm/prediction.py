"""What `RLM` returns: a `dspy.Prediction` that also knows how its run went."""

from __future__ import annotations

from typing import Any

import dspy

from rlm_core.loop import Result
from rlm_core.views import Turn


class RLMPrediction(dspy.Prediction):  # type: ignore[misc]
    """The output fields, `trajectory` and `final_reasoning`, as upstream gives them.

    No fields: `run`, the `rlm_core.loop.Result` with status, reason, unverified, usage, trajectory and
    seconds; `contract`, what the root LM was told beside its instructions.  An output field of such a name
    goes before it."""

    _run: Result | None = None
    _contract: str = ""

    @property
    def run(self) -> Any:
        return self._store.get("run", self._run)

    @property
    def contract(self) -> Any:
        return self._store.get("contract", self._contract)

    @classmethod
    def of(cls, result: Result, fields: dict[str, Any], extracted: bool, contract: str = "") -> RLMPrediction:
        """`fields`: the output fields by name, None each where there is no answer."""
        trajectory = [entry(turn) for turn in result.trajectory]
        reasoning = trajectory[-1]["reasoning"] if trajectory else ""
        if trajectory and not extracted and result.status == "answered":
            trajectory[-1]["output"] = f"FINAL: {fields}"
        elif trajectory and result.status == "not_found":
            trajectory[-1]["output"] = f"NOT_FOUND: {result.reason}"
        if extracted:
            reasoning = "Extract forced final output"
        prediction = cls(**fields, trajectory=trajectory, final_reasoning=reasoning)
        prediction._run, prediction._contract = result, contract
        return prediction


def entry(turn: Turn) -> dict[str, str]:
    """A step of the trajectory, as upstream's users know it."""
    output = "\n".join(part for part in (turn.output.rstrip("\n"), turn.error) if part)
    return {
        "reasoning": turn.reasoning,
        "code": turn.code,
        "output": output or "(no output - did you forget to print?)",
    }
