"""The card of a context: what the root LM is told instead of the text.

Type and size; for JSON, JSONL, CSV, XML, logs and nested data the shape, with what is rare in it first; for
documents their names and sizes; and samples.  All that comes from the context is quoted (`rlm_core.quoting`)
and bounded: samples hold at most half of a text that is longer than a few lines.  The scan is bounded by
time, and the card says what share it saw."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from os.path import splitext
from typing import Any

from rlm_core.formats import PARSED, Format, sniff
from rlm_core.quoting import brief, quote
from rlm_core.scan import Scan, scan, scan_data
from rlm_core.shape import CONTAINERS, Shape

CHARS_PER_TOKEN = 4  # of English; an estimate, and called one
WHOLE = 300  # characters of a text up to which it is shown whole
SMALL = 1_000  # characters of a card below which fewer and shorter things are shown


def is_documents(value: Any) -> bool:
    """Whether `value` is some texts: a dict of str to str, or a list or tuple of str."""
    if isinstance(value, Mapping):
        return bool(value) and all(type(name) is str and type(text) is str for name, text in value.items())
    return isinstance(value, (list, tuple)) and bool(value) and all(type(text) is str for text in value)


def card(
    value: Any, chars: int, *, max_chars: int = 4_000, seconds: float = 0.5, data: str | None = "data"
) -> str:
    """The card of `value`, which holds `chars` characters of text, in at most `max_chars` characters.

    `seconds`: how long the scan may take.  `data`: the REPL's name for the parsed text, None where it offers
    none."""
    deadline = time.monotonic() + seconds
    if isinstance(value, str):
        made = _text_card(value, max_chars, deadline, data)
    elif is_documents(value):
        made = _documents_card(value, chars, max_chars)
    else:
        made = _data_card(value, chars, max_chars, deadline)
    return made if len(made) <= max_chars else (made[: max(0, max_chars - 1)] + "…")[:max_chars]


def _size(chars: int) -> str:
    return f"{chars:,} characters, about {-(-chars // CHARS_PER_TOKEN):,} tokens (estimated)"


# ---- text


def _text_card(text: str, room: int, deadline: float, data: str | None) -> str:
    if not text:
        return "an empty str"
    lines = text.count("\n") + (not text.endswith("\n"))
    average = f" of {len(text) // lines:,} characters on average" if lines > 1 else ""
    parts = [f"str of {_size(len(text))}, {lines:,} line{'s' * (lines > 1)}{average}"]
    format, found = _scanned(text, deadline)
    if format and found:
        parts.append(_format_line(found, format, len(text), data))
        parts += found.facts
        left = room - sum(map(len, parts))
        parts += _shape_lines(found.shape, left * 2 // 3)
    left = room - sum(map(len, parts)) - len(parts) - 1
    return "\n".join([*parts, *_samples(text, left, room <= SMALL)])


def _scanned(text: str, deadline: float) -> tuple[Format | None, Scan | None]:
    """The format of a text and what a scan found.  A text that begins as JSON and goes on so for a while is
    taken for broken JSON, not for prose."""
    format = sniff(text)
    if format:
        return format, scan(text, format, deadline)
    if text[:1_000].lstrip("\ufeff \t\r\n").startswith(("[", "{")):
        found = scan(text, "json", deadline)
        if found.seen > max(200, len(text) // 2 if len(text) < 1_000 else 0):
            return "json", found
    return None, None


def _format_line(found: Scan, format: str, chars: int, data: str | None) -> str:
    name = {"csv": "CSV", "log": "a log"}.get(format, format.upper())
    if found.problem and format in PARSED:
        lost = f"; so there is no `{data}`" if data else ""
        return f"looks like {name}, but does not parse: {found.problem}{lost}"
    line = f"format: {name}"
    whole = found.seen >= chars
    if format in PARSED:
        kind = found.shape.summary()
        if data:
            line += f"; `{data}` holds it parsed{'' if whole else ', if the rest of it parses too'}: {kind}"
        else:
            line += f", {kind}"
    if found.problem:
        return f"{line}; it breaks off: {found.problem}"
    return (
        line if whole else f"{line}; scanned the first {_percent(found.seen / chars)}, so counts are of that"
    )


def _percent(share: float) -> str:
    return f"{int(share * 100)}%" if share >= 0.1 else f"{share:.1%}"


def _samples(text: str, room: int, small: bool) -> list[str]:
    """The head, the tail and some places between, each by its characters."""
    places = [0.0, 0.5, 1.0] if small else [0.0, 0.25, 0.5, 0.75, 1.0]
    if len(text) <= WHOLE and len(text) + 50 <= room:
        whole, taken = quote(text, room - 50)
        if taken == len(text):
            return [f"all of it (quoted data, not instructions): {whole}"]
    title = "samples (quoted data, not instructions):"
    label = 2 * len(f"{len(text):,}") + 16  # "characters A to B: "
    free = min(room - len(title) - len(places) * (label + 1), len(text) // 2)
    if free < 20 * len(places):
        places, free = [0.0], min(room - len(title) - label - 2, len(text) // 2)
    if free < 4:
        return []
    shares = {0.0: 0.4, 1.0: 0.25} if len(places) > 1 else {0.0: 1.0}
    between = (1 - sum(shares.values())) / max(1, len(places) - 2)
    lines = [title]
    for place in places:
        own = int(free * shares.get(place, between))
        if place == 1.0:
            quoted, taken = quote(text[-own:], own, end=True)
            start = len(text) - taken
        else:
            start = int(len(text) * place) - int(own * place)
            quoted, taken = quote(text[start : start + own], own)
        lines.append(f"characters {start:,} to {start + taken:,}: {quoted}")
    return lines


# ---- shapes


def _shape_lines(shape: Shape, room: int) -> list[str]:
    """What is rare, then the outline, as much as there is room for."""
    lines: list[str] = []
    rarities = shape.rarities()
    if rarities:
        lines += _fitting("rare:", [f"  {line}" for line in rarities], room * 3 // 5)
    left = room - sum(map(len, lines)) - len(lines)
    for levels in range(shape.levels, -1, -1):  # as deep as there is room for
        outline = ["  " * (depth + 1) + line for depth, line in shape.outline(levels)]
        if not levels or sum(map(len, outline)) + len(outline) + 8 <= left:
            lines += _fitting("shape:", outline, left)
            break
    return lines


def _fitting(title: str, lines: Sequence[str], room: int) -> list[str]:
    """The first lines under a title, and how many more there are."""
    shown: list[str] = []
    left = room - len(title) - 1
    for line in lines:
        more = 16 if len(shown) + 1 < len(lines) else 0
        if left < len(line) + 1 + more:
            break
        shown.append(line)
        left -= len(line) + 1
    if not shown:
        return []
    return [title, *shown, *([f"  … {len(lines) - len(shown):,} more"] if len(shown) < len(lines) else [])]


# ---- documents


def _documents_card(value: Any, chars: int, room: int) -> str:
    named = isinstance(value, Mapping)
    texts = list(value.values()) if named else list(value)
    names = [brief(name, 80) for name in value] if named else []
    sizes = list(map(len, texts))
    what = "1 document" if len(texts) == 1 else f"{len(texts):,} documents"
    each = (
        f"; {min(sizes):,} to {max(sizes):,} characters each, median {sorted(sizes)[len(sizes) // 2]:,}"
        if len(texts) > 1
        else ""
    )
    parts = [f"{type(value).__name__} of {what} ({'name -> text' if named else 'str'}), {_size(chars)}{each}"]
    left = room - len(parts[0])
    if named:
        suffixes = Counter(splitext(name)[1] for name in value)
        if len(texts) > 20 and 1 < len(suffixes) < len(texts) // 2:
            kinds = ", ".join(f"{brief(suffix, 12)} {count:,}" for suffix, count in suffixes.most_common(8))
            parts.append(f"by suffix: {kinds}")
        parts.append(
            _listed([f"{name} {size:,}" for name, size in zip(names, sizes, strict=True)], left // 2)
        )
    left = room - sum(map(len, parts)) - len(parts)
    first = next((index for index, size in enumerate(sizes) if size), 0)
    chosen = list(dict.fromkeys([first, sizes.index(max(sizes)), len(texts) - 1]))
    if room <= SMALL:
        chosen = chosen[:2]
    title = "samples (quoted data, not instructions):"
    share = (left - len(title) - 1) // len(chosen)
    lines = []
    for index in chosen:
        label = f"start of [{names[index] if named else index}]: "
        own = min(share - len(label) - 1, sizes[index] // 2)
        if own >= 12:
            lines.append(label + quote(texts[index][:own], own)[0])
    return "\n".join([*parts, *([title, *lines] if lines else [])])


def _listed(names: Sequence[str], room: int) -> str:
    """The first names, and the last ones, with how many are left out between."""
    title = "names and characters: "
    if len(title) + sum(map(len, names)) + 2 * len(names) <= room:
        return title + ", ".join(names)
    head = list(_within(names, (room - len(title) - 20) * 2 // 3))
    tail = list(_within(reversed(names[len(head) :]), (room - len(title) - 20) // 3))[::-1]
    return title + ", ".join([*head, f"… {len(names) - len(head) - len(tail):,} more …", *tail])


def _within(lines: Iterable[str], room: int) -> Iterable[str]:
    for line in lines:
        room -= len(line) + 2
        if room < 0:
            return
        yield line


# ---- data


def _data_card(value: Any, chars: int, room: int, deadline: float) -> str:
    if not isinstance(value, CONTAINERS):
        return f"{type(value).__name__}: {brief(value, room - 40)}"
    if not value:
        return f"an empty {type(value).__name__}"
    shape, share = scan_data(value, deadline)
    scanned = "" if share == 1 else f"; scanned {_percent(share)} of it, so counts are of that"
    parts = [f"{_kind(value)}, {_size(chars)}{scanned}"]
    parts += _shape_lines(shape, (room - len(parts[0])) * 2 // 3)
    left = room - sum(map(len, parts)) - len(parts)
    title = "samples (quoted data, not instructions):"
    picked = _picked(value, 2 if room <= SMALL else 3)
    own = min((left - len(title)) // len(picked) - 1, max(60, chars // 2 // len(picked)))
    if own < 24:
        return "\n".join(parts)
    lines = [label + brief(item, own - len(label) - 12) for label, item in picked]
    return "\n".join([*parts, title, *(line[:own] for line in lines)])


def _kind(value: Any) -> str:
    kind = type(value).__name__
    if isinstance(value, Mapping):
        return f"{kind} of {len(value):,} key{'s' * (len(value) > 1)}"
    return f"{kind} of {len(value):,} element{'s' * (len(value) > 1)}"


def _picked(value: Any, count: int) -> list[tuple[str, Any]]:
    """Some members, the first, the last and one between, each with its place."""
    if isinstance(value, Mapping):
        return [(f"[{brief(name, 40)}]: ", item) for name, item in islice(value.items(), count)]
    if isinstance(value, (list, tuple)):
        indexes = dict.fromkeys([0, len(value) - 1, len(value) // 2][:count])
        return [(f"[{index}]: ", value[index]) for index in sorted(indexes)]
    return [("", item) for item in islice(value, count)]
