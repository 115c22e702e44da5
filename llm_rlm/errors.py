"""What goes wrong, in one line that says what to do."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from typing import Any

import click
import llm

from rlm_core.chat_format import failure, one_line
from rlm_core.keys import redacted
from rlm_core.lms import LMCallError


def no_such_model(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    told = f"did you mean {' or '.join(near)}?" if near else "`llm models` lists those there are."
    return f"there is no model {name!r}: {told}"


def check_fragments(names: Iterable[str]) -> None:
    """Raises click.ClickException for what `-f` cannot read: llm takes everything for a UTF-8 file, and
    answers what is none with a traceback."""
    for name in names:
        if os.path.isdir(name):
            raise click.ClickException(f"{name} is a folder: -f rlm:{name} reads what is in it")
        if not os.path.isfile(name):  # stored, by URL or by a loader
            continue
        try:
            with open(name, encoding="utf-8") as file:
                while file.read(1 << 20):
                    pass
        except UnicodeDecodeError:
            raise click.ClickException(
                f"{name} is not UTF-8 text, and -f takes no other: -f rlm:{name} knows many encodings "
                "and formats"
            ) from None
        except OSError as error:
            raise click.ClickException(f"{name} cannot be read: {error.strerror or error}") from None


BROKE_OFF = "the reply broke off"

ADVICE = {
    "auth": "check the key: `llm keys`, `llm keys set NAME`",
    "rate_limit": "wait, or lower -o concurrency",
    "overflow": "the prompt exceeds the model's window",
    "content_filter": "the provider's filter refused it: rephrase, or choose another model",
    "bad_reply": "what came is no chat completion: try again, and check the model's address",
    "broken_off": "try again",
    "unreachable": "is the server running, and its address right?",
    "timeout": "the server does not answer: try again later, or lower -o concurrency",
}


def call_error(error: Exception, model_id: str, begun: bool = False, key: str = "") -> LMCallError:
    """What a plugin's exception means, without the key.  `begun`: some of the reply had come.

    Plugins speak through many clients, so this goes by what those have in common: an HTTP response, and the
    names that their classes give the trouble."""
    if isinstance(error, LMCallError) and error.kind == "cancelled":
        return error
    if isinstance(error, llm.NeedsKeyException):
        return LMCallError(f"{model_id}: {error}", "auth")
    meant = _meant(error)
    if begun and meant.kind in ("unreachable", "bad_reply", "timeout"):
        told = BROKE_OFF if str(meant) == BROKE_OFF else f"{BROKE_OFF} ({meant})"
        meant = LMCallError(told, "broken_off", again=True)
    said = one_line(redacted(str(meant), key)) or type(error).__name__
    advice = ADVICE.get(meant.kind)
    text = f"{model_id}: {said}{f' - {advice}' if advice else ''}"
    return LMCallError(text, meant.kind, again=meant.again, retry_after=meant.retry_after)


def _meant(error: Exception) -> LMCallError:
    if isinstance(error, LMCallError):
        return error
    text, response = str(error), getattr(error, "response", None)
    status = getattr(response, "status_code", None) or getattr(error, "status_code", None)
    if isinstance(status, int):
        return failure(status, _body(response) or text, getattr(response, "headers", None))
    names = " ".join(kind.__name__ for kind in type(error).__mro__)
    if "Timeout" in names:
        return LMCallError(text, "timeout", again=True)
    if any(name in names for name in ("ConnectError", "ConnectionError", "ConnectTimeout")):
        return LMCallError(_cause(error), "unreachable", again=True)
    if any(name in names for name in ("JSONDecode", "Protocol", "ReadError", "Validation", "APIError")):
        return LMCallError(_cause(error), "bad_reply")
    if isinstance(error, (AttributeError, TypeError, KeyError, IndexError)):  # a plugin reading garbage
        return LMCallError(f"{type(error).__name__}: {text}", "bad_reply")
    return LMCallError(text, failure(400, text).kind)


def _body(response: Any) -> str:
    try:
        return str(response.text)
    except Exception:  # a stream whose body was never read
        return ""


def _cause(error: BaseException) -> str:
    """What lies under a client's "Connection error."."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error) or type(error).__name__
