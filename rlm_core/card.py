"""The card of a context: what the root LM is told instead of the text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def is_documents(value: Any) -> bool:
    if isinstance(value, Mapping):
        return bool(value) and all(type(k) is str and type(v) is str for k, v in value.items())
    return isinstance(value, (list, tuple)) and bool(value) and all(type(v) is str for v in value)


def count_chars(value: Any) -> int:
    """Characters of text in `value`: of a str; of the texts of documents; of data's leaves and keys as they
    print."""
    if isinstance(value, str):
        return len(value)
    if is_documents(value):
        return sum(map(len, value.values() if isinstance(value, Mapping) else value))
    total = 0
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            total += len(item)
        elif isinstance(item, Mapping):
            stack.extend(item.values())
            stack.extend(item)
        elif isinstance(item, (list, tuple, set, frozenset)):
            stack.extend(item)
        else:
            total += len(str(item))
    return total


def card(value: Any, max_chars: int = 4_000, seconds: float = 0.5) -> str:
    """What the root LM is told instead of `value`, in at most `max_chars` characters."""
    chars = count_chars(value)
    lines = [
        f"context: {type(value).__name__}, {chars:,} characters, about {chars // 4:,} tokens (estimated)"
    ]
    if isinstance(value, str):
        lines[0] += f", {value.count(chr(10)) + 1:,} lines"
        share = max_chars // 8
        for start in sorted({0, max(0, chars // 2 - share // 2), max(0, chars - share)}):
            lines.append(f"from character {start:,}: {value[start : start + share]!r}")
    elif is_documents(value) and isinstance(value, Mapping):
        lines.append(f"{len(value):,} documents:")
        lines += [f"{name!r}: {len(text):,} characters" for name, text in list(value.items())[:20]]
    else:
        lines.append(f"{len(value):,} items" if hasattr(value, "__len__") else repr(value)[:100])
    return "\n".join(lines)[:max_chars]
