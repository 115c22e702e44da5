"""Reads what servers send on /v1/chat/completions: replies, the chunks of a stream, and errors.

Nothing here sends anything, and nothing of what it reads is trusted: any field may be missing or of another
type, as those of real servers now and then are.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rlm_core.lms import LMCallError, Usage
from rlm_core.terminal import safe


@dataclass(slots=True)
class Received:
    """A reply, whole or as far as its stream has come.  `finish` is empty until the server says that it is
    complete."""

    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    finish: str = ""
    model: str = ""
    usage: Mapping[str, Any] | None = None
    choices: bool = False  # whether any came

    def read(self, body: Any) -> str:
        """Takes in a whole reply or a chunk of a stream; returns the text that it brought.

        What a server sends twice (the first, the last and the usage chunk) counts once.  Raises LMCallError
        for an error object, which some gateways send with status 200."""
        if not isinstance(body, Mapping):
            raise LMCallError("no chat completion", "bad_reply", again=True)
        if body.get("error"):
            status = body["error"].get("code") if isinstance(body["error"], Mapping) else None
            raise failure(status if isinstance(status, int) else 500, body)
        self.model = _text(body.get("model")) or self.model
        if isinstance(body.get("usage"), Mapping):
            self.usage = body["usage"]
        choices = body.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
            return ""
        self.choices = True
        self.finish = _text(choices[0].get("finish_reason")) or self.finish
        message = choices[0].get("message") or choices[0].get("delta")
        if not isinstance(message, Mapping):
            return ""
        text, reasoning = _content(message.get("content"))
        text = text or _text(message.get("refusal"))
        reasoning += _text(message.get("reasoning_content")) or _text(message.get("reasoning"))
        self.text.append(text)
        self.reasoning.append(reasoning)
        return text


def _content(content: Any) -> tuple[str, str]:
    """Text and reasoning of a message's content: a text, null, or a list of typed parts (Mistral's)."""
    if not isinstance(content, list):
        return _text(content), ""
    text, reasoning = "", ""
    for part in content:
        if isinstance(part, Mapping):
            text += _text(part.get("text"))
            reasoning += _content(part.get("thinking"))[0]
    return text, reasoning


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def read_usage(reported: Mapping[str, Any] | None) -> Usage | None:
    """The usage that a server reports (OpenAI's fields; cached tokens also where DeepSeek and Moonshot put
    them; the cost where OpenRouter and its kin do), or None where it reports none."""
    if reported is None:
        return None
    input, output = _count(reported.get("prompt_tokens")), _count(reported.get("completion_tokens"))
    if not input and not output:
        return None
    details = reported.get("prompt_tokens_details")
    cached = _count(details.get("cached_tokens")) if isinstance(details, Mapping) else 0
    cached = (
        cached or _count(reported.get("prompt_cache_hit_tokens")) or _count(reported.get("cached_tokens"))
    )
    cost = reported.get("cost")
    known = isinstance(cost, int | float) and not isinstance(cost, bool) and 0 <= cost < math.inf
    return Usage(input, output, min(cached, input), float(cost) if known else None)  # type: ignore[arg-type]


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


# ---- errors

# Words by which servers tell what is wrong; compiled when an error first comes.
_OVERFLOW = (
    r"context.?(length|window|size|limit)|maximum context|max_model_len|(prompt|input) (is )?too (long|large)"
    r"|too many (input )?tokens|reduce the length|token limit"
    r"|exceeds? the (maximum|limit|model|available)[^.]*(token|context)"
)
_FILTER = r"content.?(filter|management|policy)|responsible ?ai|moderation"
_CREDIT = r"insufficient_quota|insufficient.{0,10}(credit|balance|fund)|out of credit"


def failure(status: int, body: Any, headers: Mapping[str, str] | None = None) -> LMCallError:
    """The error that an HTTP status and its body (JSON, or text) stand for.  Its text is what the server
    said; `kind` tells what it means."""
    said, code = _said(body)
    text = f"{status}: {said}" if said else str(status)
    words = f"{code} {said}".lower()
    retry_after = read_retry_after(headers or {})
    if status == 402 or re.search(_CREDIT, words):
        return LMCallError(f"the account has no credit left ({text})", "auth")
    if status in (401, 403) and not re.search(_FILTER, words):
        return LMCallError(text, "auth")
    if status == 413 or "request too large" in words:  # some send it as a 429
        return LMCallError(text, "overflow")
    if status == 429:
        return LMCallError(text, "rate_limit", again=True, retry_after=retry_after)
    if status in (504, 524):
        return LMCallError(text, "timeout", again=True, retry_after=retry_after)
    if status < 500 and re.search(_OVERFLOW, words):
        return LMCallError(text, "overflow")
    if status < 500 and re.search(_FILTER, words):
        return LMCallError(text, "content_filter")
    return LMCallError(text, again=status >= 500 or status in (408, 409), retry_after=retry_after)


def _said(body: Any) -> tuple[str, str]:
    """What an error's body says, and its code."""
    if isinstance(body, str):
        try:
            body = json.loads(body)
        except ValueError:
            return ("an HTML page", "") if "<html" in body[:500].lower() else (body, "")
    error = body.get("error", body) if isinstance(body, Mapping) else body
    if not isinstance(error, Mapping):
        return ("" if error is None else str(error)), ""
    said = error.get("message") or error.get("detail") or error.get("msg") or ""
    code = f"{error.get('code') or ''} {error.get('type') or ''} {error.get('param') or ''}"
    return said if isinstance(said, str) else json.dumps(said), code


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a response asks to wait (`Retry-After` in seconds or as a date, or `Retry-After-Ms`), or
    None."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is None and value:
        import email.utils  # rarely needed, and a tenth of what importing rlm_core may cost

        date = email.utils.parsedate_tz(value)
        seconds = None if date is None else max(0.0, email.utils.mktime_tz(date) - time.time())
    return seconds


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if 0 <= number < math.inf else None


def one_line(text: str, most: int = 300) -> str:
    """`text` as one line of at most `most` characters, fit for a terminal."""
    line = safe(" ".join(text.split()))
    return line if len(line) <= most else line[: most - 1] + "…"
