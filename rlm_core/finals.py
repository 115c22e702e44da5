"""What counts as an answer: a submission ends the run, or is pushed back with a word to the model.

An answer that code computed counts, where it fits what was asked for.  One that was typed by hand must not be
a guess: it is pushed back where no code has looked yet, where the same code printed what the model has not
read, and where the value stands nowhere in what the run has seen.  Each rule pushes back once in a run, and
none does in the last turn: an answer that is repeated counts, and may be flagged `unverified`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rlm_core import contract, replies
from rlm_core.grounding import occurs
from rlm_core.history import History
from rlm_core.sandbox.protocol import Done, Submission

if TYPE_CHECKING:
    from rlm_core.loop import Task

PUSHES_BACK = frozenset({"no code yet", "unseen output", "not grounded"})
MAX_GROUNDED = 80  # characters: a longer value is prose, not a quotation


def read(final: replies.Final, fields: tuple[str, ...]) -> Done:
    """A text-level final that names no variable, as a step that code has ended."""
    text = final.value
    if text.strip("\"'` ").startswith("NOT_FOUND"):
        return Done("", None, Submission("not_found", {"reason": text.partition(":")[2].strip()}))
    if len(fields) > 1:
        return Done("", f"FINAL gives one value; end with {contract.submit_call(fields)} in code")
    return Done("", None, Submission("submit", {fields[0]: text}, literal=True))


def as_text(final: replies.Final | None) -> str:
    """A text-level final as the model may have written it."""
    if final is None:
        return ""
    return f"FINAL_VAR({final.var})" if final.var else f"FINAL({final.value})"


@dataclass
class Judge:
    """Judges the submissions of one run.  `rules`: those by which one may be pushed back."""

    task: Task
    rules: frozenset[str] = PUSHES_BACK
    draft: dict[str, Any] | None = None  # the last submission that was pushed back
    misfit: str = ""  # why the draft is not what was asked for
    used: set[str] = field(default_factory=set)  # rules that have pushed back

    def judge(
        self, submitted: Submission, code: str, output: str, history: History, last: bool
    ) -> tuple[dict[str, Any] | None, str]:
        """The values of a submission that counts; or None and what the model is told instead.  `code` and
        `output` are of the step that submitted, and `history` is what was before it."""
        unlooked = not (code or _looked(history)) and not last
        nothing = submitted.kind == "not_found"
        if unlooked and (nothing or self._push("no code yet")):
            return None, "No code has looked into the text yet. Do that first, then answer."
        if nothing:
            return submitted.values, ""
        try:
            values = self.task.check(dict(submitted.values))
        except ValueError as error:
            self.draft, self.misfit = submitted.values, f"the answer does not fit: {error}"
            return None, f"The submission does not fit: {error}. Submit again."
        self.misfit = ""
        if not submitted.literal or last:
            return values, ""
        self.draft = values
        if code and output.strip() and self._push("unseen output"):
            return None, (
                "This block submitted a value written out in it before its own output was read. "
                "Read the output above, then submit again."
            )
        if not self.grounded(values, history) and self._push("not grounded"):
            return None, (
                f"The submitted {_brief(values)} occurs neither in the inputs nor in anything printed "
                "so far. Check it against the text and submit again, or say that the text does not hold it."
            )
        return values, ""

    def verified(self, values: dict[str, Any], history: History) -> bool:
        """Whether a typed answer may go without the flag: code has run, and the values stand somewhere."""
        return _looked(history) and self.grounded(values, history)

    def grounded(self, values: dict[str, Any], history: History) -> bool:
        """Whether every short value stands in the question, the inputs, or in what was printed or returned so
        far."""
        seen = [*(turn.output for turn in history.turns), *history.returned, self.task.query]
        for leaf in _leaves(values):
            text = str(leaf)
            if len(text) > MAX_GROUNDED or not any(char.isalnum() for char in text):
                continue
            if not (
                occurs(text, seen) or any(context.contains(text) for context in self.task.inputs.values())
            ):
                return False
        return True

    def _push(self, rule: str) -> bool:
        """Whether this rule may still push back."""
        fresh = rule in self.rules and rule not in self.used
        self.used.add(rule)
        return fresh


def _looked(history: History) -> bool:
    """Whether some code ran to its end, or printed something before it failed."""
    return any(turn.code and (turn.output.strip() or not turn.error) for turn in history.turns)


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [leaf for item in value.values() for leaf in _leaves(item)]
    if isinstance(value, (list, tuple, set)):
        return [leaf for item in value for leaf in _leaves(item)]
    return [] if value is None or isinstance(value, bool) else [value]


def _brief(values: dict[str, Any]) -> str:
    text = repr(next(iter(values.values()))) if len(values) == 1 else repr(values)
    return text if len(text) <= 120 else text[:117] + "..."
