"""The official package `rlms`, over our models.

It runs the code that models write in this process, without a sandbox: measure with it only models and texts
that you trust."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import rlm.core.rlm as official
from rlm.clients.base_lm import BaseLM
from rlm.core.types import ModelUsageSummary, UsageSummary

from rlm_bench.methods import Setting
from rlm_bench.models import Meter, Metered
from rlm_bench.samples import Sample
from rlm_core.context import Context
from rlm_core.lms import LM, Message

_made = official.get_client


def rlms(sample: Sample, setting: Setting, meter: Meter) -> Any:
    """Its answer, a text."""
    official.get_client = _client
    told = setting.settings
    sub = {"other_backends": ["openai"], "other_backend_kwargs": [_kwargs(setting.sub, "sub", meter)]}
    made = official.RLM(
        backend="openai",
        backend_kwargs=_kwargs(setting.root, "root", meter),
        max_iterations=told.iterations,
        max_timeout=told.seconds,
        **sub,
    )
    return made.completion(Context.of(sample.context).value, root_prompt=sample.query).response


def _kwargs(lm: LM, role: str, meter: Meter) -> dict[str, Any]:
    return {"model_name": lm.model, "lm": Metered(lm, role, meter)}


def _client(backend: str, backend_kwargs: dict[str, Any]) -> BaseLM:
    """What its RLM makes its clients by: ours where we gave an LM."""
    if "lm" in backend_kwargs:
        return Client(backend_kwargs["lm"])
    return _made(backend, backend_kwargs)


class Client(BaseLM):  # type: ignore[misc]
    def __init__(self, lm: Metered):
        super().__init__(lm.model)
        self.lm = lm

    def completion(self, prompt: str | list[Message]) -> str:
        return self.lm.complete(_messages(prompt)).text

    async def acompletion(self, prompt: str | list[Message]) -> str:
        return (await self.lm.acomplete(_messages(prompt))).text

    def get_usage_summary(self) -> UsageSummary:
        used = self.lm.meter.usage.of(self.lm.role)
        return UsageSummary({self.lm.model: ModelUsageSummary(used.calls, used.input, used.output)})

    def get_last_usage(self) -> ModelUsageSummary:
        return ModelUsageSummary(1, 0, 0)  # Metered counts


def _messages(prompt: str | list[Message]) -> list[Message]:
    """As our LMs take them, turn by turn: neighbours of one role are one message, and the last is the
    user's; it asks for a last answer in the assistant's name."""
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt}]
    told = [*prompt[:-1], Message(role="user", content=prompt[-1]["content"])]
    return [
        {"role": role, "content": "\n\n".join(message["content"] for message in some)}
        for role, some in groupby(told, key=lambda message: message["role"])
    ]
