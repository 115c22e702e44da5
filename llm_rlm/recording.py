"""The plugin's runs in the journal: what is written of one, and one made again."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import llm

from llm_rlm import schema
from llm_rlm.callee import Callee
from llm_rlm.errors import no_such_model
from rlm_core.home import home
from rlm_core.journal import About, Journal, Recorder, again, setup_of
from rlm_core.loop import Run

if TYPE_CHECKING:
    from llm_rlm.family import Pair
    from llm_rlm.settings import Settings

SECRET = re.compile(r"key|secret|password|credential|auth|token$", re.IGNORECASE)
"""Names of options that are not written down."""


def path() -> Path:
    return home() / "journal.db"


def begin(
    run: Run,
    settings: Settings,
    json_schema: dict[str, Any] | None,
    seen: Mapping[str, llm.Attachment],
    question: str,
) -> Recorder | None:
    """A recorder for a run that is about to begin, or None where the user wants none.  `question`: as lists
    show it, without the turns before."""
    kept_in = journal(settings)
    if kept_in is None:
        return None
    if not kept_in.keep_context:
        seen = {}
    kept = setup(run, settings, json_schema) | {
        "question": question,
        "seen": {name: _as_json(attachment) for name, attachment in seen.items()},
    }
    about = About("llm", settings.root.model_id, settings.sub.model_id, run.task.query, kept)
    return kept_in.begin(about, run.task.input_values, run.task.chars)


def journal(settings: Settings) -> Journal | None:
    """The plugin's journal, or None where the user wants nothing recorded."""
    if settings.journal == "never":
        return None
    return Journal(path(), keep_context=settings.journal != "no-context")


def setup(run: Run, settings: Settings, json_schema: dict[str, Any] | None) -> dict[str, Any]:
    """What the journal keeps of any run that the plugin makes, beside what is this kind's alone."""
    return setup_of(run, settings.sandbox) | {
        "options": _public(settings.root.options),
        "sub_options": _public(settings.sub.options),
        "concurrency": settings.concurrency,
        "schema": json_schema,
    }


def made_again(about: About, inputs: Mapping[str, Any], seconds: float = 0.0) -> Run:
    """The recorded run, from its beginning.  `seconds`: of its time that are used up."""
    wanted = about.setup.get("schema")
    task: dict[str, Any] = {}
    if wanted:
        task = {"schema": schema.words(wanted), "check": partial(schema.checked, schema=wanted)}
    return again(about, inputs, seconds=seconds, **task)


def callees(about: About, key: str | None) -> tuple[Callee, Callee]:
    """The root model and the sub-model of a recorded run.  Raises llm.ModelError where one is gone."""
    root_pair = _find(about.model)
    root = Callee(root_pair, key, about.setup.get("options"))
    if about.sub_model == about.model:
        return root, root
    pair = _find(about.sub_model)
    same_key = pair.model.needs_key == root_pair.model.needs_key
    return root, Callee(pair, key if same_key else None, about.setup.get("sub_options"))


def attachments(about: About) -> dict[str, llm.Attachment]:
    return {name: _from_json(kept) for name, kept in about.setup.get("seen", {}).items()}


def _find(model_id: str) -> Pair:
    pairs = llm.get_models_with_aliases()
    for pair in pairs:
        if pair.model.model_id == model_id:
            return pair
    raise llm.ModelError(no_such_model(model_id, [pair.model.model_id for pair in pairs]))


def _public(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if not SECRET.search(name)}


def _as_json(attachment: llm.Attachment) -> dict[str, Any]:
    content = attachment.content and base64.b64encode(attachment.content).decode("ascii")
    return {"type": attachment.type, "path": attachment.path, "url": attachment.url, "content": content}


def _from_json(kept: dict[str, Any]) -> llm.Attachment:
    content = kept["content"] and base64.b64decode(kept["content"])
    return llm.Attachment(type=kept["type"], path=kept["path"], url=kept["url"], content=content)
