"""API keys: which can be one, and that none is ever shown.

HTTP libraries quote a key that they cannot send, and some servers say a wrong one back; such errors reach
screens, logs and other models."""

from __future__ import annotations

import json
import re

LONG = 8  # characters: a shorter key, such as the stand-ins of local servers, may be part of any word


def can_be_sent(key: str) -> bool:
    """Whether it can stand in an HTTP header as it is."""
    return key.isascii() and key.isprintable() and key == key.strip()


def redacted(text: str, key: str) -> str:
    """`text` without the key, as it is or as an error may quote it; without a short one where it is a word of
    its own."""
    forms = {form for form in (key, key.strip()) if form.strip()}
    for form in list(forms):
        forms |= {repr(form)[1:-1], repr(form.encode("utf-8", "replace"))[2:-1], json.dumps(form)[1:-1]}
    for form in sorted(forms, key=len, reverse=True):
        if len(form.strip()) >= LONG:
            text = text.replace(form, "[the key]")
        else:
            text = re.sub(rf"(?<!\w){re.escape(form)}(?!\w)", "[the key]", text)
    return text
