"""What a root LM is shown of its run, and how that becomes chat messages: the same from every front end."""

from __future__ import annotations

from dataclasses import dataclass

from rlm_core import contract
from rlm_core.events import Path
from rlm_core.lms import Message
from rlm_core.strategies import Strategy


@dataclass(frozen=True, slots=True)
class Turn:
    """One step of a trajectory.  `shown` is what the root LM read of it; `output` and `error` are all that
    came back."""

    reasoning: str
    code: str
    output: str = ""
    error: str = ""
    shown: str = ""

    def reply(self, fence: str) -> str:
        """The assistant's message, made again from reasoning and code so that every front end sends the
        same."""
        block = f"```{fence}\n{self.code}\n```" if self.code else ""
        return "\n".join(part for part in (self.reasoning, block) if part)


@dataclass(frozen=True, slots=True)
class View:
    """What a root LM is shown: contract, strategy, card and question, and the turns so far.  A front renders
    it."""

    contract: str
    strategy: Strategy
    card: str
    query: str
    turns: tuple[Turn, ...] = ()
    closing: str = ""  # the last ask
    path: Path = ()

    @property
    def fence(self) -> str:
        return contract.WORDINGS[self.strategy.wording].fence

    def messages(self) -> list[Message]:
        wording = contract.WORDINGS[self.strategy.wording]
        system = "\n\n".join(part for part in (self.contract, self.strategy.advice) if part)
        messages: list[Message] = [{"role": "system", "content": system}]
        for example in self.strategy.examples:
            messages.append(_user(contract.task(example.card, example.query, wording)))
            for step in example.steps:
                turn = Turn(step.reasoning, step.code, step.output)
                messages.append({"role": "assistant", "content": turn.reply(wording.fence)})
                if step is not example.steps[-1]:
                    shown = wording.after.format(
                        shown=step.output or contract.NO_OUTPUT, query=example.query, place=""
                    )
                    messages.append(_user(shown))
        messages.append(_user(contract.task(self.card, self.query, wording)))
        for turn in self.turns:
            messages.append({"role": "assistant", "content": turn.reply(wording.fence)})
            messages.append(_user(turn.shown))
        if self.closing:
            messages[-1]["content"] += f"\n\n{self.closing}"
        return messages


def _user(content: str) -> Message:
    return {"role": "user", "content": content}
