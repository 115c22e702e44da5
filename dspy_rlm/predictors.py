"""The two predictors of an RLM.  What optimizers see of them is the strategy; what they save is small."""

from __future__ import annotations

import warnings
from typing import Any

import dspy
from dspy.primitives.repl_types import REPLHistory

from dspy_rlm import adapter
from rlm_core.strategies import DEFAULT

OLD_CONTRACT = "You are tasked with producing the following outputs given the inputs"
"""How the contract begins that upstream's class keeps in its instructions."""

LAST_RESORT = """Based on the REPL trajectory, extract the final outputs now.

Review your trajectory to see what information you gathered and what values you computed, then provide the \
final outputs."""


class _Kept(dspy.Predict):  # type: ignore[misc]
    """A predictor without raw training examples among its demos, where optimizers put them: they show no step
    of a run, and their inputs are whole contexts, which would be saved."""

    signature: Any

    @property
    def demos(self) -> list[Any]:
        return self._demos

    @demos.setter
    def demos(self, demos: list[Any]) -> None:
        self._demos = self.kept(demos)

    def kept(self, demos: list[Any]) -> list[Any]:
        fields = set(self.signature.input_fields)
        return [demo for demo in demos if fields & set(demo.keys())]


class Action(_Kept):
    """`generate_action`."""

    def kept(self, demos: list[Any]) -> list[Any]:
        """Steps of runs; recorded runs become the worked examples that they are."""
        return [adapter.kept(demo) for demo in demos if adapter.is_demo(demo)]

    def load_state(self, state: dict[str, Any], **kwargs: Any) -> Action:
        super().load_state(state, **kwargs)
        task, found, _ = self.signature.instructions.partition(OLD_CONTRACT)
        if found:
            warnings.warn(
                "this program was saved by dspy.RLM: the REPL's rules in its instructions are left out, as "
                "they are now generated for each call",
                stacklevel=4,
            )
            advice = f"{task.strip()}\n\n{DEFAULT.advice}" if task.strip() else DEFAULT.advice
            self.signature = self.signature.with_instructions(advice)
        return self


class Extract(_Kept):
    """`extract`, the last resort when the iterations are used up."""


class _Told(type(dspy.Signature)):  # type: ignore[misc]
    """Of a signature that has other instructions for one call, and is still found where DSPy looks a
    predictor up by its signature: so `dspy.Refine` hands over its hints."""

    def __hash__(cls) -> int:
        return hash(cls.__dict__["told_from"])

    def __eq__(cls, other: object) -> bool:
        return other is cls or other is cls.__dict__["told_from"]


def told(signature: Any, instructions: str) -> Any:
    """The signature with these instructions, for one call; equal to itself without them."""
    made = signature.with_instructions(instructions)
    made.told_from = signature
    made.__class__ = _Told
    return made


def action_signature(task: str, advice: str) -> Any:
    """Fields as upstream's, so that its programs load; the instructions are the strategy's advice, after the
    task's own docstring.  Where there is neither, they are DSPy's own words for none, which are not sent
    (see `dspy_rlm.inputs.own_instructions`)."""
    fields = {
        "variables_info": (str, dspy.InputField(desc="The inputs' card, and the question")),
        "repl_history": (REPLHistory, dspy.InputField(desc="Previous REPL steps and their outputs")),
        "iteration": (str, dspy.InputField(desc="Current iteration out of max_iters")),
        "reasoning": (str, dspy.OutputField(desc="What is known, and what to do next")),
        "code": (str, dspy.OutputField(desc="Python code to run next, in a ```repl block")),
    }
    instructions = "\n\n".join(part for part in (task, advice) if part)
    return dspy.Signature(fields, instructions or None)


def extract_signature(signature: type[dspy.Signature], task: str) -> Any:
    """As upstream's."""
    objective = f"The trajectory was generated with the following objective: \n{task}\n\n\n" if task else ""
    fields = {
        "variables_info": (str, dspy.InputField(desc="Metadata about the variables available in the REPL")),
        "repl_history": (REPLHistory, dspy.InputField(desc="Your REPL interactions so far")),
        **{name: (field.annotation, field) for name, field in signature.output_fields.items()},
    }
    return dspy.Signature(fields, objective + LAST_RESORT)
