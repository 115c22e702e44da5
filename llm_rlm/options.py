"""The options of an rlm- model, `-o NAME VALUE`.  Imported on first use: building pydantic classes takes
time."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, Literal, cast

import click
import llm
from pydantic import Field, ValidationError, create_model

from llm_rlm.exits import in_command_line


class RLMOptions(llm.Options):
    def __init__(self, **given: Any):
        try:
            super().__init__(**given)
        except ValidationError as error:
            if not in_command_line():
                raise
            wrong = [in_words(each, list(type(self).model_fields)) for each in error.errors()]
            raise click.ClickException("; ".join(wrong)) from None

    sub_model: str | None = Field(
        default=None,
        description="Model for the sub-calls that code makes with llm_query; by default the model itself",
    )
    max_iterations: int | None = Field(
        default=None,
        ge=1,
        description="Steps that the root model may take, default 20; after them one last answer is asked for",
    )
    max_depth: int | None = Field(
        default=None,
        ge=0,
        le=8,
        description="0: no sub-calls; 1, the default: sub-calls to models; 2 and more: to child RLMs",
    )
    max_sub_calls: int | None = Field(
        default=None, ge=0, description="Sub-calls in the whole run, default 200"
    )
    max_seconds: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="Seconds the whole run may take, default 3600"
    )
    max_tokens: int | None = Field(
        default=None, ge=1, description="Tokens in and out, of all calls together, default 3,000,000"
    )
    max_cost: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Dollars the run may cost where prices are known, default 5",
    )
    concurrency: int | None = Field(
        default=None,
        ge=1,
        description="Sub-calls at once, default 16 for models behind an API and 1 for local ones",
    )
    strategy: str | None = Field(
        default=None,
        description="What the model is advised: a profile (see llm rlm strategies) or a JSON file",
    )
    sandbox: Literal["auto", "weak"] | None = Field(
        default=None,
        description="auto: refuse to run where the system cannot lock the code in; weak: run there too",
    )
    direct: Literal["auto", "never"] | None = Field(
        default=None, description="auto: a text that fits the model's window well is asked in one plain call"
    )
    journal: Literal["full", "no-context", "never"] | None = Field(
        default=None,
        description="What llm rlm runs keeps of the run: full, the default; no-context: not the text; never",
    )
    dry_run: bool | None = Field(
        default=None, description="Show the size of the text and what the run may cost, and send nothing"
    )


LIMITS = {f"max_{name}": name for name in ("iterations", "tokens", "cost", "seconds")}
"""Options that a run which goes on may be given otherwise -> their names in `Limits`."""


def raised(options: Iterable[tuple[str, str]]) -> dict[str, float | None]:
    """Limits by name, of `-o NAME VALUE` for a run that goes on.  Raises click.ClickException."""
    given = dict(options)
    for name in given.keys() - LIMITS.keys():
        raise click.ClickException(
            f"-o {name}: a run that goes on can be given {', '.join(LIMITS)}; the rest stays as it was"
        )
    try:
        parsed = RLMOptions(**given)
    except ValidationError as error:
        raise click.ClickException(
            "; ".join(in_words(each, list(LIMITS)) for each in error.errors())
        ) from None
    return {LIMITS[name]: getattr(parsed, name) for name in given}


def in_words(error: Any, names: list[str]) -> str:
    """One of pydantic's errors, as a user of the command line is told it."""
    name = ".".join(map(str, error["loc"]))
    if error["type"] != "extra_forbidden":
        return f"-o {name} {error['input']}: {error['msg'][:1].lower()}{error['msg'][1:]}"
    near = difflib.get_close_matches(name, names, n=2, cutoff=0.7)
    meant = (
        f"did you mean {' or '.join(near)}?"
        if near
        else "llm models -m MODEL --options lists those there are"
    )
    return f"there is no option {name}: {meant}"


def table() -> str:
    """The options as the README shows them."""
    rows = (f"| `{name}` | {field.description} |" for name, field in RLMOptions.model_fields.items())
    return "\n".join(["| option | |", "|---|---|", *rows])


def merged(base: type[llm.Options]) -> type[llm.Options]:
    """Our options and the base model's in one class; ours win where both have a name."""
    made = create_model("Options", __base__=cast(Any, (RLMOptions, base)))
    return cast(type[llm.Options], made)


def of_base(options: llm.Options, base: type[llm.Options]) -> dict[str, Any]:
    """The given options that are the base model's own."""
    names = base.model_fields.keys() - RLMOptions.model_fields.keys()
    return {name: value for name in names if (value := getattr(options, name, None)) is not None}
