"""Scripts for models that take part in a run, and a picture."""

from __future__ import annotations

from collections.abc import Callable

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


# One red pixel.
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc000"
    "0003010100c9fe92ef0000000049454e44ae426082"
)
