"""JSON, decoded piece by piece, so that the scan of a gigabyte can stop: what is small at once, what is
larger element by element."""

from __future__ import annotations

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

from rlm_core.scan.found import Bad, Scan
from rlm_core.shape import Shape, Where

WINDOW = 1 << 18  # characters that are decoded at once
MAX_NESTING = 64  # containers larger than a window, one within the other
_SPACE = re.compile(r"[ \t\n\r]*")


def scan_json(text: str, found: Scan) -> None:
    reader = JsonReader(text, found)
    end = reader.space(reader.value(reader.space(text.startswith("\ufeff")), found.shape, None, 0))
    if end < len(text):
        raise Bad("more after the end of the value", end)


class JsonReader:
    """Adds values of a JSON text to shapes.  Each method takes and gives positions in the text."""

    def __init__(self, text: str, found: Scan):
        self.text = text
        self.found = found
        self.decode = json.JSONDecoder().raw_decode

    def space(self, at: int) -> int:
        return space(self.text, at)

    def value(self, at: int, shape: Shape, where: Where | None, depth: int) -> int:
        """One value that begins at `at`; its end."""
        decoded = self.at_once(self.text[at : at + WINDOW], 0, at)
        if decoded is not None:
            shape.add([decoded[0]], lambda _: where, depth)
            return at + decoded[1]
        return self.large(at, shape, where, depth)

    def at_once(self, window: str, at: int, base: int) -> tuple[Any, int] | None:
        """The value at `at` of a window that begins at `base` in the text, and its end in the window; None
        where it does not end within, or is no JSON."""
        try:
            value, end = self.decode(window, at)
        except (ValueError, RecursionError):
            return None
        # What seems a whole number may go on: the 2 of `2.5` or `2e-5` in a window that ends amid it.
        whole = end + 2 < len(window) or base + len(window) == len(self.text)
        return (value, end) if whole else None

    def large(self, at: int, shape: Shape, where: Where | None, depth: int) -> int:
        """A value that does not fit a window, or is broken somewhere."""
        sign = self.text[at : at + 1]
        if depth > MAX_NESTING:
            raise Bad("nested too deeply", at)
        if sign == "[":
            return self.elements(at, shape, where, depth)
        if sign == "{":
            return self.members(at, shape, where, depth)
        if sign == '"':
            value, end = self.string(at)
            shape.add([value], lambda _: where, depth)
            return end
        try:
            value, end = self.decode(self.text, at)
        except json.JSONDecodeError as error:
            raise Bad(error.msg, error.pos) from None
        except ValueError as error:  # a number of more digits than Python takes
            raise Bad(str(error), at) from None
        shape.add([value], lambda _: where, depth)
        return int(end)

    def string(self, at: int) -> tuple[str, int]:
        try:
            value, end = scanstring(self.text, at + 1, True)
        except json.JSONDecodeError as error:
            raise Bad(error.msg, error.pos) from None
        return value, end

    def elements(self, at: int, shape: Shape, where: Where | None, depth: int) -> int:
        """The elements of an array, those of a window at once."""
        shape.open("list", [], where)
        base = self.space(at + 1)
        if self.text[base : base + 1] == "]":
            return base + 1
        element = shape.element
        index = 0
        while True:
            self.found.pause(base)
            window = self.text[base : base + WINDOW]
            values, at, sign = self.run(window, base)
            if values:
                first = index
                element.add(values, lambda n, first=first: (first + n, where), depth + 1)  # type: ignore[misc]
                index += len(values)
            else:
                at = self.space(self.large(base, element, (index, where), depth + 1)) - base
                sign = self.text[base + at : base + at + 1]
                index += 1
            shape.longest = max(shape.longest, index)
            if sign == "]":
                return base + at + 1
            if sign != ",":
                raise Bad("Expecting ',' or ']'", base + at)
            base = self.space(base + at + 1)

    def run(self, window: str, base: int) -> tuple[list[Any], int, str]:
        """The elements that stand one after another in a window that begins at `base`, the place of the sign
        after the last one that is whole, and that sign."""
        values: list[Any] = []
        at, after, sign = 0, 0, ""
        while (decoded := self.at_once(window, at, base)) is not None:
            end = space(window, decoded[1])
            if end == len(window) and base + end < len(self.text):
                break
            values.append(decoded[0])
            after, sign = end, window[end : end + 1]
            if sign != ",":
                break
            at = space(window, end + 1)
            if len(values) == 1:
                # What stands between the first two, such as `}, {"id"`, ends the last whole one too; those up
                # to there parse much faster together.  If it stood within an element or a string, they would
                # not parse at all.
                cut = window.rfind(window[decoded[1] - 1 : _seam(window, at)]) + 1
                try:
                    return json.loads(f"[{window[:cut]}]"), space(window, cut), ","
                except (ValueError, RecursionError):
                    pass
        return values, after, sign

    def members(self, at: int, shape: Shape, where: Where | None, depth: int) -> int:
        """The members of an object, those of a window at once."""
        shape.open("dict", {}, where)
        base = self.space(at + 1)
        if self.text[base : base + 1] == "}":
            return base + 1
        size = 0
        while True:
            self.found.pause(base)
            found, end = self.run_members(self.text[base : base + WINDOW], base)
            if found:
                shape.add_members(found, where, depth + 1)
                base += end
            else:
                base = self.member(base, shape, where, depth)
            size += len(found) or 1
            shape.longest = max(shape.longest, size)
            sign = self.text[base : base + 1]
            if sign == "}":
                return base + 1
            if sign != ",":
                raise Bad("Expecting ',' or '}'", base)
            base = self.space(base + 1)

    def run_members(self, window: str, base: int) -> tuple[dict[str, Any], int]:
        """The members that stand whole in a window, and the place of the sign after them."""
        found: dict[str, Any] = {}
        at = after = 0
        while window[at : at + 1] == '"':
            try:
                key, end = scanstring(window, at + 1, True)
            except ValueError:
                break
            end = space(window, end)
            if window[end : end + 1] != ":":
                break
            decoded = self.at_once(window, space(window, end + 1), base)
            if decoded is None:
                break
            end = space(window, decoded[1])
            if end == len(window) and base + end < len(self.text):
                break
            found[key] = decoded[0]
            after = end
            if window[end : end + 1] != ",":
                break
            at = space(window, end + 1)
        return found, after

    def member(self, at: int, shape: Shape, where: Where | None, depth: int) -> int:
        """One member that does not fit a window, or is broken; the place of the sign after it."""
        if self.text[at : at + 1] != '"':
            raise Bad("Expecting a name in double quotes", at)
        key, at = self.string(at)
        at = self.space(at)
        if self.text[at : at + 1] != ":":
            raise Bad("Expecting ':'", at)
        return self.space(self.large(self.space(at + 1), shape.child(key), (key, where), depth + 1))


def space(text: str, at: int) -> int:
    return _SPACE.match(text, at).end()  # type: ignore[union-attr]


def _seam(text: str, at: int) -> int:
    """The end of what every element of an array begins with as the one at `at` does: of dicts, their first
    name."""
    if text[at : at + 1] != "{":
        return at + (text[at : at + 1] in ("[", '"'))
    name = text.find('"', at) + 1
    return text.find('"', name) + 1 if name else at + 1
