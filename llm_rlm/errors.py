"""What goes wrong, in one line that says what to do."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable

import llm

from rlm_core.lms import LMCallError


def no_such_model(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    told = f"did you mean {' or '.join(near)}?" if near else "`llm models` lists those there are."
    return f"there is no model {name!r}: {told}"


def call_error(error: Exception, model_id: str) -> LMCallError:
    """What a plugin's exception means.  Plugins speak through many clients, so this goes by what those have
    in common: an HTTP status, and the names that their classes give the trouble."""
    if isinstance(error, llm.NeedsKeyException):
        return LMCallError(f"{model_id}: {error}", "auth")
    text = " ".join(str(error).split())[:300] or type(error).__name__
    kind, told = _judge(error, text)
    return LMCallError(f"{model_id}: {text}{told}", kind)


def _judge(error: Exception, text: str) -> tuple[str, str]:
    status = getattr(error, "status_code", None) or getattr(
        getattr(error, "response", None), "status_code", None
    )
    low = text.lower()
    if any(
        sign in low for sign in ("context_length", "context length", "too many tokens", "prompt is too long")
    ):
        return "overflow", ""
    if "content_filter" in low or "content management policy" in low:
        return "content_filter", ""
    if status in (401, 403):
        return "auth", " - check the key: `llm keys list`, `llm keys set NAME`"
    if status == 429:
        return "rate_limit", " - wait, or lower -o concurrency"
    names = " ".join(kind.__name__ for kind in type(error).__mro__)
    if "Timeout" in names:
        return "timeout", " - the server is slow: try again, or lower -o concurrency"
    if any(sign in names for sign in ("JSONDecode", "RemoteProtocol", "ReadError", "ValidationError")):
        return "bad_reply", " - the server's answer broke off or is no chat completion"
    if any(sign in names for sign in ("ConnectError", "ConnectionError", "APIConnectionError")):
        return "unreachable", " - is the server running, and its address right?"
    if isinstance(error, (json.JSONDecodeError, AttributeError, TypeError, KeyError, IndexError)):
        return "bad_reply", f" ({type(error).__name__}: the server's answer is no chat completion)"
    return "error", ""
