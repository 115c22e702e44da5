"""Scripts for models that take part in a run, and a picture."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

TEXT = "nothing here\n" * 3_000 + "the magic word is xyzzy\n"
FIND = "Let me look.\n```repl\nfound = grep('magic word')\nprint(found)\n```"
SUBMIT = "```repl\nSUBMIT(found[0].split()[-1])\n```"

Chat = list[tuple[str, str]]
"""(role, text) of each message."""


def steps(*replies: str, sub: str | Callable[[str], str] = "sub-answer") -> Callable[[Chat], str]:
    """A model that says `replies` in turn as the root, and answers sub-calls (chats of one message) with
    `sub`."""

    def script(chat: Chat) -> str:
        if len(chat) == 1:
            return sub(chat[0][1]) if callable(sub) else sub
        return replies[sum(role == "assistant" for role, _ in chat)]

    return script


def declare(home: Path, url: str, **more: Any) -> None:
    """Declares the model `stub` of a server of one's own, as a user of llm does."""
    model = {"model_id": "stub", "model_name": "stub", "api_base": url, **more}
    (home / "llm" / "extra-openai-models.yaml").write_text(json.dumps([model]))


# One red pixel.
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc000"
    "0003010100c9fe92ef0000000049454e44ae426082"
)
