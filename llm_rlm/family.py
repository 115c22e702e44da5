"""The rlm- family: a twin for every model and every alias, made of nothing but names until it is used.

llm looks models up in lists that it builds several times a command, so a twin is an object with a few
attributes; what it can do is asked of its base model when somebody wants to know."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard, cast

import click
import llm

if TYPE_CHECKING:
    from llm.parts import StreamEvent

PREFIX = "rlm-"
GENERIC = "rlm"  # the twin of the default model, and the one line about us in the list of models
ADVERT = " (any model as rlm-MODEL, for texts of any length: llm models -q rlm)"
BUILT_IN = "glm-4.7"
ANANNAS = "https://api.anannas.ai/v1"


class Pair(Protocol):
    """A base model, sync and async: llm's ModelWithAliases.  Other plugins may fill `async_model` in
    later."""

    @property
    def model(self) -> Any: ...

    @property
    def async_model(self) -> Any: ...


def register(register: Callable[..., None], model_aliases: list[Any]) -> None:
    """Calls llm's `register` for the twins of all `model_aliases`, the models that other plugins registered.

    Raises click.ClickException where the command at hand names a twin of a model that is not there, or a file
    that llm cannot read."""
    names = {pair.model.model_id for pair in model_aliases}.union(*(pair.aliases for pair in model_aliases))
    if BUILT_IN not in names:
        register(*_built_in())
    pairs = list(model_aliases)
    if GENERIC not in names:
        default = DefaultPair()
        register(Twin(default, GENERIC, ADVERT), AsyncTwin(default, GENERIC, ADVERT))
    if _must_not_show():
        named = _named_by_the_user()
        for pair in pairs:
            if PREFIX + pair.model.model_id in named - names:
                register(Twin(pair), AsyncTwin(pair))
        return
    for pair in pairs:
        if PREFIX + pair.model.model_id not in names:  # else somebody's own model is called that
            aliases = [PREFIX + alias for alias in pair.aliases if PREFIX + alias not in names]
            register(Twin(pair), AsyncTwin(pair), aliases=aliases)
    _check_command_line(model_aliases)


def is_twin(model: Any) -> TypeGuard[_Twin]:
    """Whether a model is ours.  Its name does not tell: others may call theirs rlm-..., and those have twins
    too."""
    return isinstance(model, _Twin)


def looks_like_twin(name: str) -> bool:
    return name == GENERIC or name.startswith(PREFIX)


CHECKED = "llm_rlm.checked"


def _check_command_line(model_aliases: list[Any]) -> None:
    """What llm itself would answer with no more than that the model is unknown, or with a traceback.  Once a
    command: llm asks for the models several times.  Raises click.ClickException."""
    context = click.get_current_context(silent=True)
    if context is None or context.command.name not in ("prompt", "chat") or CHECKED in context.meta:
        return
    context.meta[CHECKED] = True
    asked = context.params.get("model_id")
    known = [name for pair in model_aliases for name in (pair.model.model_id, *pair.aliases)]
    if asked and looks_like_twin(asked) and asked not in known:
        from llm_rlm.errors import no_such_model

        raise click.ClickException(no_such_model(asked, filter(looks_like_twin, known)))
    if looks_like_twin(asked or llm.get_default_model()):
        from llm_rlm.errors import check_fragments

        check_fragments(context.params.get("fragments") or ())


def others_are_picked(model_aliases: list[Any]) -> bool:
    """Whether `llm -q ...` picks a model, and those of other plugins answer to that.  Ours should then stay
    away: llm takes the shortest name."""
    context = click.get_current_context(silent=True)
    if context is None or context.command.name != "prompt" or _goes_on(context.params):
        return False
    queries = context.params.get("queries") or ()
    return bool(queries) and any(all(map(pair.matches, queries)) for pair in model_aliases)


def _must_not_show() -> bool:
    """Whether the command at hand lists models and does not speak of us: it should then answer as if the
    family were not there."""
    context = click.get_current_context(silent=True)
    if context is None or context.parent is None:
        return False
    if (context.parent.command.name, context.command.name) not in {("models", "list"), ("aliases", "list")}:
        return False
    asked = [*(context.params.get("query") or ()), *(context.params.get("model_ids") or ())]
    return not any(GENERIC in query.lower() for query in asked)


def _named_by_the_user() -> set[str]:
    """The ids of models that the user has given aliases to: these are seen in every list."""
    try:
        return set(json.loads((llm.user_dir() / "aliases.json").read_text()).values())
    except (OSError, ValueError, AttributeError, TypeError):
        return set()


def _goes_on(params: dict[str, Any]) -> bool:
    """Whether a conversation goes on, which may be one with a twin."""
    return bool(params.get("_continue") or params.get("conversation_id"))


def _built_in() -> tuple[llm.Model, llm.AsyncModel]:
    """GLM-4.7 as Anannas serves it, so that `llm keys set anannas` is all the set-up that rlm-glm-4.7
    needs."""
    from llm.default_plugins.openai_models import AsyncChat, Chat

    models = []
    for kind in (Chat, AsyncChat):
        model = kind(BUILT_IN, model_name="zai-org/glm-4.7", api_base=ANANNAS)
        model.needs_key, model.key_env_var = "anannas", "ANANNAS_API_KEY"
        models.append(model)
    return cast(tuple[llm.Model, llm.AsyncModel], tuple(models))


class DefaultPair:
    """The model that llm uses where none is named; where that is a twin, its base."""

    @property
    def model(self) -> Any:
        name = llm.get_default_model()
        model = llm.get_model(llm.DEFAULT_MODEL if name == GENERIC else name)
        return model.base if is_twin(model) else model

    @property
    def async_model(self) -> Any:
        try:
            return llm.get_async_model(self.model.model_id)
        except llm.UnknownModelError:
            return None


def twin_of(name: str) -> Twin:
    """The twin of a model, named by either.  Raises llm.UnknownModelError."""
    model = llm.get_model(name)
    twin = model if is_twin(model) else llm.get_model(PREFIX + model.model_id)
    assert isinstance(twin, Twin)
    return twin


class AttachmentTypes(frozenset[str]):
    """What the base model sees, as llm lists it; but any type may hold text, so every type is let in here,
    and a file that cannot be read is refused by name when it is read."""

    def __contains__(self, type_: object) -> bool:
        return True


class _Twin:
    """What the twins share."""

    can_stream = True
    supports_schema = True
    supports_tools = True
    key: str | None = None

    def __init__(self, pair: Pair, model_id: str = "", about: str = ""):
        self.pair = pair
        self.model_id = model_id or PREFIX + pair.model.model_id
        self.about = about

    def __str__(self) -> str:
        return f"RLM: {self.model_id}{self.about}"

    @property
    def base(self) -> Any:
        return self.pair.model

    @cached_property
    def Options(self) -> type[llm.Options]:
        from llm_rlm.options import merged

        return merged(self.base.Options)

    @property
    def attachment_types(self) -> AttachmentTypes:
        return AttachmentTypes({"text/plain", *self.base.attachment_types})

    @property
    def needs_key(self) -> str | None:
        return cast("str | None", self.base.needs_key)

    @property
    def key_env_var(self) -> str | None:
        return cast("str | None", self.base.key_env_var)

    def get_key(self, explicit_key: str | None = None) -> str | None:
        """The key as it was given, or None.  The base model looks stored keys up, when it is called."""
        return explicit_key or self.key


class Twin(_Twin, llm.KeyModel):  # type: ignore[misc, override]
    def execute(
        self, prompt: Any, stream: bool, response: Any, conversation: Any, key: str | None = None
    ) -> Iterator[str | StreamEvent]:
        from llm_rlm import exits, turn

        with exits.one_line_in_chat():
            yield from turn.run(self, prompt, stream, response, key)


class AsyncTwin(_Twin, llm.AsyncKeyModel):  # type: ignore[misc, override]
    async def execute(
        self, prompt: Any, stream: bool, response: Any, conversation: Any, key: str | None = None
    ) -> AsyncGenerator[str | StreamEvent, None]:
        from llm_rlm import turn

        async for event in turn.arun(self, prompt, stream, response, key):
            yield event
