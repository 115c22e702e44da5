"""How the action step speaks to its LM: plain chat messages, exactly those that the `llm` plugin sends.

The prompt's three parts keep apart: the contract comes with the call, in the signature's instructions, and
reaches no trace, no demo and no saved file; the strategy is what the predictor's own instructions and demos
say; the card and the turns are the call's inputs.

A demo is a whole trajectory: the fields of its last step, and what came before in `repl_history`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import dspy
from dspy.primitives.repl_types import REPLEntry, REPLHistory

from rlm_core import contract, replies
from rlm_core.quoting import ends
from rlm_core.strategies import Example, Step
from rlm_core.views import Turn, View


class RLMAdapter(dspy.ChatAdapter):  # type: ignore[misc]
    """Renders the view of one call.  Replies are read as fenced code; those in ChatAdapter's or JSONAdapter's
    form are understood too."""

    def __init__(self, view: View):
        super().__init__(use_json_adapter_fallback=False)
        self.view = view

    def format(
        self, signature: type[dspy.Signature], demos: list[Any], inputs: dict[str, Any]
    ) -> list[dict[str, Any]]:
        examples = tuple(example(demo) for demo in demos if is_demo(demo))
        strategy = replace(self.view.strategy, advice=signature.instructions, examples=examples)
        return [dict(m) for m in replace(self.view, contract="", strategy=strategy).messages()]

    def parse(self, signature: type[dspy.Signature], completion: str) -> dict[str, Any]:
        if "[[ ##" in completion:
            fields: dict[str, Any] = super().parse(signature, completion)
            return fields
        return read_json(completion) or read(completion)


def read(text: str) -> dict[str, Any]:
    """A reply's reasoning and code.  One without code is all reasoning: it may end in a text-level final."""
    said = replies.read(text)
    return {"reasoning": said.prose, "code": said.code} if said.code else {"reasoning": text, "code": ""}


def read_json(text: str) -> dict[str, Any] | None:
    """The same from JSONAdapter's form, or None."""
    if not (text.lstrip().startswith(("{", "```json")) and '"code"' in text):
        return None
    try:
        fields = json.loads(text[text.index("{") : text.rindex("}") + 1])
        return {"reasoning": str(fields.get("reasoning", "")), "code": str(fields["code"])}
    except (ValueError, KeyError):
        return None


# ---- a view, as the fields of the action step


def history(turns: Sequence[Turn], max_output_chars: int) -> REPLHistory:
    entries = [REPLEntry(reasoning=t.reasoning, code=t.code, output=t.shown) for t in turns]
    return REPLHistory(entries=entries, max_output_chars=max(max_output_chars, 100))


def task(view: View) -> str:
    """The first user message: card and question."""
    return contract.task(view.card, view.query, contract.WORDINGS[view.strategy.wording])


# ---- demos and worked examples

MOST = 2_000  # characters that a demo keeps of one step's output: what is saved must not hold a context


def is_demo(demo: Mapping[str, Any]) -> bool:
    """Whether it is a step of a run, or a recorded run (`dspy_rlm.examples_from_runs`); and not a raw example
    of a training set."""
    return ("code" in demo and "reasoning" in demo) or bool(demo.get("trajectory"))


def demo_of(view: View, reasoning: str, code: str) -> dict[str, Any]:
    """A step with all that led to it, small and plain: of the card only what kind of thing each input is, and
    long outputs cut."""
    steps = (*map(step, view.turns), Step(reasoning, code))
    made = Example(view.query, kinds(view.card), steps)
    return demo(made, view.strategy.wording)


def demo(example: Example, wording: str) -> dict[str, Any]:
    """A worked example as a demo."""
    *before, last = example.steps
    return {
        "variables_info": contract.task(example.card, example.query, contract.WORDINGS[wording]),
        "repl_history": [asdict(step) for step in before],
        "iteration": str(len(before) + 1),
        "reasoning": last.reasoning,
        "code": last.code,
        "card": example.card,
        "query": example.query,
    }


def kept(found: Any) -> Any:
    """A demo as a program keeps it: a recorded run is made the worked example that it is."""
    return found if "code" in found else demo(example(found), "full")


def kinds(card: str) -> str:
    """The first line of each input's card, which holds nothing of it; all of a card that is written
    otherwise."""
    return "\n\n".join(re.findall(r"^`\w+`: .*", card, re.MULTILINE)) or card


def step(turn: Turn) -> Step:
    """A turn as a worked example has it; a long output head and tail."""
    output = "\n".join(part for part in (turn.output.rstrip("\n"), turn.error) if part)
    return Step(turn.reasoning, turn.code, ends(output, MOST))


def example(demo: Mapping[str, Any]) -> Example:
    """A demo as the worked example that a strategy holds."""
    steps = _steps(demo)
    card = demo.get("card", demo.get("variables_info", ""))
    return Example(str(demo.get("query", "")), str(card), steps)


def _steps(demo: Mapping[str, Any]) -> tuple[Step, ...]:
    if "code" not in demo:  # a recorded run
        return tuple(Step(**_texts(turn)) for turn in demo["trajectory"])
    before = demo.get("repl_history")
    if isinstance(before, REPLHistory):
        before = [entry.model_dump() for entry in before.entries]
    steps = [Step(**_texts(turn)) for turn in before] if isinstance(before, list) else []
    return (*steps, Step(str(demo["reasoning"] or ""), str(demo["code"] or "")))


def _texts(turn: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(turn.get(name) or "") for name in ("reasoning", "code", "output")}
