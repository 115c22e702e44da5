"""Text for a terminal, without what a terminal would obey: models, contexts and servers write it too."""

from __future__ import annotations

import re

OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # all control characters but tab and line feed
    "\u202a-\u202e\u2066-\u2069"  # these turn text around
    "\ud800-\udfff]"  # halves of characters, which no terminal's encoding has
)


def safe(text: str) -> str:
    return OBEYED.sub("�", text.replace("\r\n", "\n"))


def safe_json(text: str) -> str:
    """JSON that means the same."""
    return OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
