"""What GEPA needs to reflect on runs of an RLM: feedback from the whole trajectory, and a selector that
passes over predictors that did nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dspy

from dspy_rlm.prediction import RLMPrediction
from rlm_core.loop import Result

MOST = 1_500  # characters of one step's code or output
Metric = Callable[..., Any]


def feedback(metric: Metric, *, contract: bool = True) -> Metric:
    """A metric for `dspy.GEPA` from one of (example, prediction) -> score, or -> Prediction(score, feedback).

    The feedback tells what the run did: each step's code and what it printed, the sub-calls, what was
    submitted, how it ended; and, with `contract`, what the model was told beside the instructions, so that
    proposals fit the REPL and do not repeat it.  What only the metric knows (the right answer) is for the
    metric to say."""

    def scored(
        gold: Any, pred: Any, trace: Any = None, pred_name: str | None = None, pred_trace: Any = None
    ) -> Any:
        outcome = metric(gold, pred)
        said = getattr(outcome, "feedback", "") if isinstance(outcome, dspy.Prediction) else ""
        score = float(outcome.score) if isinstance(outcome, dspy.Prediction) else float(outcome)
        if pred_name is None:
            return dspy.Prediction(score=score, feedback=said)
        parts = [f"Score: {score:g}. {said}".strip(), story(pred)]
        rules = getattr(pred, "contract", "") if contract else ""
        if rules:
            parts.append(
                "Beside the instructions that you improve, the model is always told the following; do not "
                f"repeat or contradict it:\n<contract>\n{rules}\n</contract>"
            )
        return dspy.Prediction(score=score, feedback="\n\n".join(part for part in parts if part))

    return scored


def story(prediction: Any) -> str:
    """What a run did, in words."""
    if not isinstance(prediction, RLMPrediction) or prediction.run is None:
        return ""
    run = prediction.run
    lines = []
    for number, turn in enumerate(run.trajectory, 1):
        lines.append(f"Step {number}. {turn.reasoning}".rstrip())
        lines.append(f"Code:\n{_cut(turn.code)}" if turn.code else "There was no code to run in this reply.")
        if turn.output.strip():
            lines.append(f"It printed:\n{_cut(turn.output)}")
        if turn.error:
            lines.append(f"It failed:\n{_cut(turn.error)}")
    lines.append(_ending(run))
    return "\n".join(lines)


def _ending(run: Result) -> str:
    sub = run.usage.of("sub").calls + run.usage.of("child").calls
    calls = f"{sub} sub-calls were made." if sub else "No sub-calls were made."
    looked = any(turn.code for turn in run.trajectory)
    why = "stands nowhere in the inputs or outputs" if looked else "no code has looked into the inputs"
    flag = f" It was typed by hand and {why}." if run.unverified else ""
    reason = f": {run.reason}" if run.reason else ""
    ended = {
        "answered": f"Submitted: {_cut(repr(run.answer))}.{flag}",
        "not_found": f"It submitted that the text does not hold the answer{reason}.",
        "limit": f"It was ended by the limit of {run.reason}, with {_cut(repr(run.answer))}.",
    }.get(run.status, f"It ended with an error: {run.reason}")
    return f"{ended} {calls}"


def _cut(text: str) -> str:
    text = text.strip("\n")
    return text if len(text) <= MOST else f"{text[: MOST // 2]}\n[...]\n{text[-MOST // 2 :]}"


def used_components(
    state: Any,
    trajectories: list[Any],
    subsample_scores: list[float],
    candidate_idx: int,
    candidate: dict[str, str],
) -> list[str]:
    """A `component_selector` for `dspy.GEPA`: round robin, but over those predictors only that these
    trajectories used.  `extract` is one of them only where it had to answer."""
    texts = {
        getattr(step[0].signature, "instructions", None) for data in trajectories for step in data["trace"]
    }
    names = state.list_of_named_predictors
    turn = state.named_predictor_id_to_update_next_for_program_candidate
    for offset in range(len(names)):
        index = (turn[candidate_idx] + offset) % len(names)
        if candidate.get(names[index]) in texts:
            turn[candidate_idx] = (index + 1) % len(names)
            return [names[index]]
    return [names[turn[candidate_idx]]]
