"""The shape of nested data: which keys stand where, how often, with which types and values, and what is rare
among them.

A `Shape` is a tree that is laid over the data: a node for each key, and one for all elements of a list.
Values are added many at once, column by column, so that the counting runs at C's speed; a scan that is
stopped at any time has a true picture of what it saw.  A dict that serves as a map (dozens of keys, hardly
any twice) is taken as a list of its values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from typing import Any

from rlm_core.quoting import brief

MAX_KEYS = 1_000  # of a node: beyond, it is a map, or so wild that counting keys tells nothing
MAP_KEYS = 50
MAX_VALUES = 24  # distinct values that are counted of a field
MAX_VALUE_CHARS = 40
MAX_DEPTH = 12
FEW = 0.02  # the share up to which something is rare
MANY = 20  # records among which something can be rare

CONTAINERS = (Mapping, list, tuple, set, frozenset)
_TALLIED = (str, int, bool)

Where = tuple[Any, Any] | str
"""A place, innermost first: ("name", (500, None)) is [500]['name']; or in words, where code has no way to
it."""
Places = Callable[[int], Where | None]
"""The places of many values, by their index: asked for few of them."""


class Shape:
    """What stands at one place of the data.

    count   how often there is something
    types   type name -> [how often, the first such value, where]
    values  value -> [how often, where first], a bool as a 1-tuple, since True is 1; None where they are too
    many dicts   how many of them are dicts
    keys    key -> what stands there, of dicts; None where they serve as maps, and `names` are some of their
    keys items   what the elements of lists are, and the values of maps
    longest elements of the longest list, or keys of the largest dict"""

    __slots__ = ("count", "dicts", "items", "keys", "longest", "names", "types", "values")

    def __init__(self) -> None:
        self.count = 0
        self.types: dict[str, list[Any]] = {}
        self.values: dict[Any, list[Any]] | None = {}
        self.dicts = 0
        self.keys: dict[Any, Shape] | None = {}
        self.names: list[Any] = []
        self.items: Shape | None = None
        self.longest = 0

    def add(self, values: Sequence[Any], places: Places, depth: int = 0) -> None:
        """Counts values that stand at this place, and all in them."""
        self.count += len(values)
        kinds = set(map(type, values))
        for kind in kinds:
            if len(kinds) == 1:
                some, where = values, places
            else:
                at = [index for index, value in enumerate(values) if type(value) is kind]
                some, where = [values[index] for index in at], _through(at, places)
            seen = self.types.get(kind.__name__)
            if seen is not None:
                seen[0] += len(some)
            else:
                self.types[kind.__name__] = [len(some), some[0], where(0)]
            if kind in _TALLIED:
                self._tally_all(some, where)
            elif issubclass(kind, CONTAINERS):
                self.longest = max(self.longest, *map(len, some))
                is_map = issubclass(kind, Mapping)
                self.dicts += len(some) if is_map else 0
                if depth < MAX_DEPTH:
                    (self._add_dicts if is_map else self._add_lists)(some, where, depth + 1)

    def open(self, kind: str, value: Any, where: Where | None) -> None:
        """Counts one dict or list whose members the caller adds; `value` stands for it."""
        self.count += 1
        self.types.setdefault(kind, [0, value, where])[0] += 1
        self.dicts += kind == "dict"

    def add_members(self, members: Mapping[Any, Any], where: Where | None, depth: int) -> None:
        """Counts some members of a dict that has been opened."""
        self._add_dicts([members], lambda _: where, depth)

    def child(self, key: Any) -> Shape:
        """What stands at a key of the dicts here."""
        if self.keys is None:
            return self.element
        found = self.keys.get(key)
        if found is None:
            if len(self.keys) >= MAX_KEYS:
                self._become_map()
                return self.element
            found = self.keys[key] = Shape()
        return found

    @property
    def element(self) -> Shape:
        if self.items is None:
            self.items = Shape()
        return self.items

    def settle(self) -> Shape:
        """Takes dicts that serve as maps for what they are.  To be called once, when all has been added."""
        if self.keys and len(self.keys) > MAP_KEYS:
            named = sum(child.count for child in self.keys.values())
            if named < 3 * len(self.keys):
                self._become_map()
        for child in (self.keys or {}).values():
            child.settle()
        if self.items is not None:
            self.items.settle()
        return self

    def _add_dicts(self, dicts: Sequence[Mapping[Any, Any]], places: Places, depth: int) -> None:
        if self.keys is None or self._serve_as_maps(dicts):
            self._become_map(dicts[0])
            self._add_map_values(dicts, places, depth)
            return
        layouts = Counter(map(tuple, dicts))
        layout, times = layouts.most_common(1)[0]
        if times == len(dicts):
            self._add_columns(layout, dicts, places, depth)
        elif times * 2 > len(dicts):
            at = [index for index, one in enumerate(dicts) if tuple(one) == layout]
            self._add_columns(layout, [dicts[index] for index in at], _through(at, places), depth)
            at = [index for index, one in enumerate(dicts) if tuple(one) != layout]
            self._add_ragged([dicts[index] for index in at], _through(at, places), depth)
        else:
            self._add_ragged(dicts, places, depth)

    def _serve_as_maps(self, dicts: Sequence[Mapping[Any, Any]]) -> bool:
        """Whether most of their keys are new and hardly any of them comes twice."""
        if sum(map(len, dicts)) <= MAP_KEYS:
            return False
        names = set(chain.from_iterable(dicts))
        new = len(names.difference(self.keys or ()))
        return new > MAP_KEYS and sum(map(len, dicts)) < 3 * len(names)

    def _add_map_values(self, maps: Sequence[Mapping[Any, Any]], places: Places, depth: int) -> None:
        def place(index: int) -> Where:
            owner = 0
            while index >= len(maps[owner]):
                index -= len(maps[owner])
                owner += 1
            return (next(islice(maps[owner], index, None)), places(owner))

        values = list(chain.from_iterable(one.values() for one in maps))
        if values:
            self.element.add(values, place, depth)

    def _add_columns(
        self, layout: tuple[Any, ...], dicts: Sequence[Mapping[Any, Any]], places: Places, depth: int
    ) -> None:
        columns = zip(*(one.values() for one in dicts), strict=True)
        for key, column in zip(layout, columns, strict=True):
            self.child(key).add(column, _at_key(key, places), depth)

    def _add_ragged(self, dicts: Sequence[Mapping[Any, Any]], places: Places, depth: int) -> None:
        columns: dict[Any, tuple[list[int], list[Any]]] = {}
        for index, one in enumerate(dicts):
            for key, value in one.items():
                at, column = columns.setdefault(key, ([], []))
                at.append(index)
                column.append(value)
        for key, (at, column) in columns.items():
            self.child(key).add(column, _at_key(key, _through(at, places)), depth)

    def _add_lists(self, lists: Sequence[Collection[Any]], places: Places, depth: int) -> None:
        def place(index: int) -> Where:
            owner = 0
            while index >= len(lists[owner]):
                index -= len(lists[owner])
                owner += 1
            return (index, places(owner))

        elements = list(chain.from_iterable(lists))
        if elements:
            self.element.add(elements, place, depth)

    def _tally_all(self, values: Sequence[Any], places: Places) -> None:
        if self.values is None:
            return
        for value, times in Counter(values).items():
            key = (value,) if type(value) is bool else value
            self._tally(key, times, partial(_place_of, value, values, places))
            if self.values is None:
                return

    def _tally(self, value: Any, times: int, where: Callable[[], Where | None]) -> None:
        assert self.values is not None
        seen = self.values.get(value)
        if seen is not None:
            seen[0] += times
        elif len(self.values) >= MAX_VALUES or (type(value) is str and len(value) > MAX_VALUE_CHARS):
            self.values = None
        else:
            self.values[value] = [times, where()]

    def _become_map(self, example: Mapping[Any, Any] | None = None) -> None:
        if self.keys is None:
            return
        self.names = list(islice(self.keys or example or {}, 3))
        keys, self.keys = self.keys, None
        for child in keys.values():
            self.element._merge(child)

    def _merge(self, other: Shape) -> None:
        self.count += other.count
        self.dicts += other.dicts
        self.longest = max(self.longest, other.longest)
        for kind, (times, value, where) in other.types.items():
            self.types.setdefault(kind, [0, value, where])[0] += times
        if other.values is None:
            self.values = None
        for value, (times, where) in (other.values or {}).items():
            if self.values is not None:
                self._tally(value, times, partial(_known, where))
        if other.keys is None:
            self._become_map()
        for key, child in (other.keys or {}).items():
            self.child(key)._merge(child)
        if other.items is not None:
            self.element._merge(other.items)

    # ---- in words

    def outline(self, levels: int, depth: int = 0) -> Iterator[tuple[int, str]]:
        """(depth, line) of each place below this one, in the order of the data, down to `levels`; below, keys
        alone."""
        if self.keys is None and self.items is not None:
            names = ", ".join(brief(name, 30) for name in self.names)
            yield from self.items._outlined(f"[{self.items.count:,} keys, such as {names}]:", levels, depth)
            return
        for key, child in (self.keys or {}).items():
            share = "" if child.count == self.dicts else f" in {child.count:,} of {self._among:,},"
            yield from child._outlined(f"{brief(key, 40)}:{share}", levels, depth)
        if self.items is not None:
            yield from self.items._outlined("[i]:", levels, depth)

    def _outlined(self, label: str, levels: int, depth: int) -> Iterator[tuple[int, str]]:
        if depth < levels:
            yield depth, f"{label} {self.summary()}"
            yield from self.outline(levels, depth + 1)
        else:
            keys = [brief(key, 40) for key in islice(self.keys or (), 20)]
            more = ", …" if len(self.keys or ()) > len(keys) else ""
            inside = f" with {', '.join(keys)}{more}" if keys else ""
            yield depth, f"{label} {self.summary()}{inside}"

    @property
    def levels(self) -> int:
        """How many levels of the outline there are below the first one."""
        below = [*(self.keys or {}).values(), *([self.items] if self.items is not None else [])]
        return max((1 + child.levels for child in below if child.keys or child.items is not None), default=0)

    def summary(self) -> str:
        """The types that stand here, and values: all where they are few, else one."""
        common = sorted(self.types.items(), key=lambda item: -item[1][0])
        line = ", ".join(
            kind if times == self.count else f"{kind} {times:,}" for kind, (times, *_) in common[:5]
        )
        if self.items is not None and self.keys is not None:
            line += f" of {self.longest:,}" if self.count == 1 else f" of up to {self.longest:,}"
        if self.dicts or self.items is not None or not self.types:
            return line
        values = sorted((self.values or {}).items(), key=lambda item: -item[1][0])
        if self.count >= 3 * len(values) and sum(times for _, (times, _) in values) == self.count:
            shown = [f"{_shown(value)} {times:,}" for value, (times, _) in values[:6]]
            return f"{line}: {', '.join(shown)}{', …' if len(values) > 6 else ''}"
        return f"{line}, such as {brief(common[0][1][1], 60)}"

    def rarities(self) -> list[str]:
        """What few have: keys, types and values, each with its count and first place; the most telling
        first."""
        return [line for _, _, line in sorted(self._rarities(""), key=lambda rare: rare[:2])]

    @property
    def _among(self) -> int:
        """How many a key could be in: the dicts here, or the elements of XML that stand beside each other."""
        return max(self.dicts, max((child.count for child in (self.keys or {}).values()), default=0))

    def _rarities(self, here: str) -> Iterator[tuple[int, int, str]]:
        """(0 for keys, 1 for types, 2 for values and missing keys; how often; in words)."""
        among = self._among
        for key, child in (self.keys or {}).items():
            place = f"{here}[{brief(key, 40)}]"
            missing = among - child.count
            if _rare(child.count, among):
                _, value, where = next(iter(child.types.values()))
                yield (
                    0,
                    child.count,
                    f"{place}: in {child.count:,} of {among:,}, first value {brief(value, 80)}{_at(where)}",
                )
                continue  # what few have is rare throughout
            if missing and _rare(missing, among):
                yield 2, missing, f"{place}: missing in {missing:,} of {among:,}"
            yield from child._rarities(place)
        for kind, (times, value, where) in self.types.items():
            if _rare(times, self.count):
                yield (
                    1,
                    times,
                    f"{here}: {kind} in {times:,} of {self.count:,}, such as {brief(value, 80)}{_at(where)}",
                )
        if self.values and self.count >= 5 * len(self.values):
            rare = [(value, *seen) for value, seen in self.values.items() if _rare(seen[0], self.count)]
            if len(rare) <= 3:
                for value, times, where in rare:
                    yield 2, times, f"{here}: {_shown(value)} in {times:,} of {self.count:,}{_at(where)}"
        if self.items is not None:
            yield from self.items._rarities(here + ("[key]" if self.keys is None else "[i]"))


def _place_of(value: Any, values: Sequence[Any], places: Places) -> Where | None:
    return places(values.index(value))


def _known(where: Where | None) -> Where | None:
    return where


def _rare(times: int, among: int) -> bool:
    return among >= MANY and times <= max(1, FEW * among)


def _at_key(key: Any, places: Places) -> Places:
    return lambda index: (key, places(index))


def _through(at: Sequence[int], places: Places) -> Places:
    return lambda index: places(at[index])


def _shown(value: Any) -> str:
    return str(value[0]) if type(value) is tuple else brief(value, MAX_VALUE_CHARS)


def _at(where: Where | None) -> str:
    """The place, as code can write it."""
    if isinstance(where, str):
        return " at " + where
    steps: list[str] = []
    while isinstance(where, tuple):
        key, where = where
        steps.append(f"[{brief(key, 40)}]")
    return " at " + "".join(reversed(steps)) if steps else ""
