"""Texts of lines: JSON Lines, CSV and logs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from rlm_core.formats import csv_records, delimiter
from rlm_core.quoting import brief
from rlm_core.scan.found import Bad, Scan
from rlm_core.scan.json_text import WINDOW, JsonReader
from rlm_core.shape import FEW

_LEVEL = re.compile(r"\b(TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|CRITICAL|FATAL)\b")


def scan_jsonl(text: str, found: Scan) -> None:
    found.shape.open("list", [], None)
    rows = _Rows(found)
    try:
        _jsonl_rows(text, rows, JsonReader(text, found))
    finally:
        rows.flush()


def _jsonl_rows(text: str, rows: _Rows, reader: JsonReader) -> None:
    at = int(text.startswith("\ufeff"))
    while at < len(text):
        reader.found.pause(at)
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        begin = reader.space(at)
        if begin < end and end - begin <= WINDOW:
            try:
                rows.add(json.loads(text[begin:end]))
            except (ValueError, RecursionError) as error:
                raise Bad(getattr(error, "msg", str(error)), begin + getattr(error, "pos", 0)) from None
        elif begin < end:
            rows.flush()
            stop = reader.space(reader.value(begin, rows.shape.element, (rows.count, None), 1))
            rows.count += 1
            if stop < end:
                raise Bad("more after the end of the line's value", stop)
        at = end + 1


def scan_csv(text: str, found: Scan) -> None:
    rows = _Rows(found)

    def lines() -> Iterator[str]:
        at = int(text.startswith("\ufeff"))
        while at < len(text):
            end = text.find("\n", at) + 1 or len(text)
            yield text[at:end]
            at = end
            found.pause(at)

    found.shape.open("list", [], None)
    try:
        for record in csv_records(lines(), delimiter(text) or ",", len(text)):
            rows.add(record)
    except ValueError as error:
        raise Bad(str(error), found.seen) from None
    finally:
        rows.flush()


class _Rows:
    """The elements of a list that come one by one, added to its shape many at once."""

    def __init__(self, found: Scan):
        self.shape = found.shape
        self.count = 0
        self.waiting: list[Any] = []

    def add(self, row: Any) -> None:
        self.waiting.append(row)
        if len(self.waiting) == 256:
            self.flush()

    def flush(self) -> None:
        if self.waiting:
            first = self.count
            self.shape.element.add(self.waiting, lambda n: (first + n, None), 1)
            self.count = self.shape.longest = first + len(self.waiting)
            self.waiting = []


def scan_log(text: str, found: Scan) -> None:
    levels: dict[str, list[Any]] = {}  # level -> [how often, its first line's number and text]
    at = number = 0
    try:
        while at < len(text):
            if not number % 64:
                found.pause(at)
            end = text.find("\n", at)
            if end < 0:
                end = len(text)
            number += 1
            match = _LEVEL.search(text, at, min(end, at + 200))
            if match:
                seen = levels.get(match[0])
                if seen is None:
                    levels[match[0]] = [1, number, text[at : min(end, at + 200)]]
                else:
                    seen[0] += 1
            at = end + 1
    finally:
        found.facts += _levels(levels, number)


def _levels(levels: dict[str, list[Any]], lines: int) -> list[str]:
    """How often each level is among so many lines, and the first line of each rare one."""
    common = sorted(levels.items(), key=lambda item: -item[1][0])
    facts = (
        ["levels: " + ", ".join(f"{level} {count:,}" for level, (count, _, _) in common)] if levels else []
    )
    for level, (count, line, shown) in common:
        if count <= max(1, FEW * lines):
            first = f"first at line {line:,}: {brief(shown, 120)}"
            facts.append(f"rare: {level} in {count:,} of {lines:,} lines, {first}")
    return facts
