"""How the RLM of a batch is made, here or on a node of a cluster."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from llm_rlm import recording, schema
from llm_rlm.as_lm import CalleeLM
from llm_rlm.report import fitting
from rlm_core.context import Context
from rlm_core.limits import Limits
from rlm_core.loop import Result, Run, Task
from rlm_core.rlm import RLM

if TYPE_CHECKING:
    from llm_rlm.settings import Settings


@dataclass(frozen=True)
class Making:
    """All that makes a batch's RLM, here or on a node, which has llm's models and not the keys."""

    model: str
    options: dict[str, str]
    json_schema: dict[str, Any] | None = None
    keys: tuple[str | None, str | None] = field(default=(None, None), repr=False)  # of root and sub-model

    def __call__(self) -> RLM:
        return _RLM(self.settings(), self.json_schema)

    def settings(self) -> Settings:
        """Raises click.ClickException."""
        import llm
        from pydantic import ValidationError

        from llm_rlm.family import GENERIC, twin_of
        from llm_rlm.options import in_words
        from llm_rlm.settings import settle

        try:
            twin = twin_of(self.model or GENERIC)
        except llm.UnknownModelError as error:
            raise click.ClickException(
                f"{error.args[0]}; `llm models -q rlm` lists those that there are"
            ) from None
        try:
            settings = settle(twin, twin.Options(**self.options), self.keys[0])
        except ValidationError as error:
            names = list(twin.Options.model_fields)
            raise click.ClickException("; ".join(in_words(each, names) for each in error.errors())) from None
        except llm.ModelError as error:
            raise click.ClickException(str(error)) from None
        if self.keys[1]:
            settings.sub.key = self.keys[1]
        return settings

    def with_keys(self, key: str | None) -> Making:
        """With the keys that are stored here.  Raises click.ClickException where one is missing."""
        import llm

        settings = replace(self, keys=(key, None)).settings()
        try:
            found = tuple(callee.check_key() for callee in (settings.root, settings.sub))
        except (llm.NeedsKeyException, llm.ModelError) as error:
            raise click.ClickException(str(error)) from None
        return replace(self, keys=(found[0], found[1]))


class _RLM(RLM):
    source = "map"

    def __init__(self, settings: Settings, json_schema: dict[str, Any] | None):
        super().__init__(
            CalleeLM(settings.root),
            CalleeLM(settings.sub),
            settings.limits,
            settings.strategy,
            sandbox=settings.sandbox,
            journal=recording.journal(settings),
        )
        self.settings, self.json_schema = settings, json_schema

    def setup(self, run: Run) -> dict[str, Any]:
        return recording.setup(run, self.settings, self.json_schema)

    def task(self, context: Context, query: str) -> Task:
        task, wanted = super().task(context, query), self.json_schema
        if wanted is None:
            return task
        return replace(task, schema=schema.words(wanted), check=partial(schema.checked, schema=wanted))

    def recorded(self, context: Any, query: str, limits: Limits, run: str = "") -> tuple[Result, str]:
        result, run = super().recorded(context, query, limits, run)
        return fitting(result, self.json_schema), run
