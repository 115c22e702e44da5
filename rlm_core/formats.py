"""Telling which format a text is in, cheaply, and parsing it."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Literal

Format = Literal["json", "jsonl", "csv", "xml", "log"]
PARSED: frozenset[str] = frozenset(["json", "jsonl", "csv"])
"""The formats that `parse` reads: those whose text the REPL offers as `data`."""

HEAD = 64_000  # characters that are looked at
ROWS = 20
DELIMITERS = ",\t;|"
_DATE = r"\d{4}[-/]\d\d[-/]\d\d|\d\d[-/](?:\d\d|[A-Z][a-z]{2})[-/]\d{2,4}|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d"
_TIME = rf"{_DATE}|\d\d:\d\d:\d\d|\d{{10,13}}\b"
_LEVEL = r"TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|CRITICAL|FATAL"
_LOG_LINE = re.compile(rf"(?:\S+ ){{0,3}}[\[(<]?(?:{_TIME})|[\[(<]?(?:{_LEVEL})\b")
_XML = re.compile(r"<(?:\?xml\b|!--|(?!!doctype html|html\b)[a-z_][\w.:-]*[\s/>])", re.IGNORECASE)


def sniff(text: str) -> Format | None:
    """The format of `text`, from its first `HEAD` characters and its last one.  None: none that we know.

    A guess: `parse` may still raise."""
    head = text[:HEAD].lstrip("\ufeff").lstrip()
    if not head:
        return None
    last = text[-HEAD:].rstrip()[-1:]
    whole = len(text) <= HEAD
    if head[0] in "{[":
        if _is_jsonl(head, whole):
            return "jsonl"
        if last == {"{": "}", "[": "]"}[head[0]] and _begins_json(head, whole):
            return "json"
    if _XML.match(head):
        return "xml" if last == ">" else None
    if _is_log(head):
        return "log"
    return "csv" if delimiter(text) else None


def parse(text: str, format: str | None = None) -> Any:
    """The value of a text in one of the formats `PARSED`; JSON Lines give a list, CSV a list of dicts.

    `format`: as `sniff` gave it.  Raises ValueError with the place of what is wrong."""
    format = format or sniff(text)
    text = text.removeprefix("\ufeff")
    match format:
        case "json":
            return json.loads(text)
        case "jsonl":
            return [
                _json_line(number, line) for number, line in enumerate(_lines(text), 1) if not line.isspace()
            ]
        case "csv":
            return list(csv_records(_lines(text), delimiter(text) or ",", len(text)))
        case _:
            raise ValueError(f"a text in the format {format!r} has no parsed form")


def _lines(text: str) -> Iterator[str]:
    """The lines with their ends, one by one: no second copy of the text."""
    at = 0
    while at < len(text):
        end = text.find("\n", at) + 1 or len(text)
        yield text[at:end]
        at = end


def _json_line(number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise ValueError(f"line {number} is not JSON: {error}") from None


def _is_jsonl(head: str, whole: bool) -> bool:
    """Two lines or more, the first ones each a JSON object or array of its own."""
    lines = head.split("\n")
    if not whole:
        lines = lines[:-1]  # cut off in its middle
    lines = [line for line in islice(lines, ROWS) if not line.isspace() and line]
    if len(lines) < 2 or not all(line.lstrip()[0] in "{[" for line in lines):
        return False
    try:
        return all(isinstance(json.loads(line), (dict, list)) for line in lines)
    except (ValueError, RecursionError):
        return False


def _begins_json(head: str, whole: bool) -> bool:
    """Whether `head` is JSON up to where it was cut."""
    try:
        json.loads(head)
    except json.JSONDecodeError as error:
        # The place where a cut text stops making sense is its end, or the start of the string that was cut.
        return not whole and (error.pos >= len(head) - 20 or error.msg.startswith("Unterminated string"))
    except (ValueError, RecursionError):
        return False
    return True


def _is_log(head: str) -> bool:
    lines = [line for line in head.split("\n")[:50] if line.strip()]
    return len(lines) >= 2 and sum(map(bool, map(_LOG_LINE.match, lines))) >= 0.6 * len(lines)


def delimiter(text: str) -> str | None:
    """The one that cuts the first rows into the same number of fields under a header, if one does."""
    head = text[:HEAD].removeprefix("\ufeff")
    lines = list(_lines(head))
    if len(text) > HEAD and len(lines) > 1:
        lines.pop()
    for sign in DELIMITERS:
        if sign not in lines[0]:
            continue
        try:
            rows = [row for row in islice(csv.reader(lines, delimiter=sign), ROWS) if row]
        except csv.Error:
            continue
        # Two columns in two lines are as likely a sentence with a comma, twice.
        if len(rows) < (2 if rows and len(rows[0]) > 2 else 3):
            continue
        if all(len(row) == len(rows[0]) for row in rows) and _is_header(rows[0]):
            return sign
    return None


def _is_header(row: list[str]) -> bool:
    return len(row) > 1 and all(map(_is_column_name, row))


def _is_column_name(text: str) -> bool:
    name = text.strip()
    return (
        0 < len(name) <= 64
        and name[-1] not in ".!?:;"  # the end of a sentence, or of a line of code
        and name.count("(") == name.count(")")
        and not name.isdigit()
    )


def csv_records(lines: Iterable[str], delimiter: str, longest: int) -> Iterator[dict[str, Any]]:
    """Each row as a dict by the header, one by one.  `longest`: characters that a field may have.
    Raises ValueError."""
    limit = csv.field_size_limit(max(longest, 1))
    try:
        rows = csv.reader(lines, delimiter=delimiter)
        names = _distinct([name.strip() for name in next(rows, [])])
        yield from (_record(names, row) for row in rows if row)
    except csv.Error as error:
        raise ValueError(f"line {rows.line_num} is not CSV: {error}") from None
    finally:
        csv.field_size_limit(limit)


def _distinct(names: list[str]) -> list[str]:
    seen: set[str] = set()
    for index, name in enumerate(names):
        number = 2
        while names[index] in seen:
            names[index], number = f"{name}_{number}", number + 1
        seen.add(names[index])
    return names


def _record(names: list[str], row: list[str]) -> dict[str, Any]:
    """One row by name: missing fields are None; fields too many are kept, as a list, under `extra`."""
    record: dict[str, Any] = dict(zip(names, row, strict=False))
    for name in names[len(row) :]:
        record[name] = None
    if len(row) > len(names):
        record["extra"] = row[len(names) :]
    return record
