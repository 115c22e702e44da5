"""`ChainMap`, `UserDict` and `UserList`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping, MutableSequence
from typing import Any


class ChainMap(MutableMapping[Any, Any]):
    """Several mappings as one: read from the first that has the key, written to the first."""

    def __init__(self, *maps: Any) -> None:
        self.maps = list(maps) or [{}]

    def __getitem__(self, key: Any) -> Any:
        for mapping in self.maps:
            if key in mapping:
                return mapping[key]
        return self.__missing__(key)

    def __missing__(self, key: Any) -> Any:
        raise KeyError(key)

    def get(self, key: Any, default: Any = None) -> Any:
        return self[key] if key in self else default  # noqa: SIM401 - which would call this

    def __contains__(self, key: object) -> bool:
        return any(key in mapping for mapping in self.maps)

    def __iter__(self) -> Iterator[Any]:
        keys: dict[Any, None] = {}
        for mapping in reversed(self.maps):
            keys.update(dict.fromkeys(mapping))
        return iter(keys)

    def __len__(self) -> int:
        return len(set().union(*self.maps))

    def __bool__(self) -> bool:
        return any(self.maps)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.maps[0][key] = value

    def __delitem__(self, key: Any) -> None:
        if key not in self.maps[0]:
            raise KeyError(f"Key not found in the first mapping: {key!r}")
        del self.maps[0][key]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.maps))})"

    def new_child(self, m: Any = None, **values: Any) -> Any:
        return type(self)({**(m or {}), **values} if values or m is None else m, *self.maps)

    @property
    def parents(self) -> Any:
        return type(self)(*self.maps[1:])

    def copy(self) -> Any:
        return type(self)(dict(self.maps[0]), *self.maps[1:])

    def __or__(self, other: Mapping[Any, Any]) -> Any:
        made = self.copy()
        made.maps[0].update(other)
        return made

    def __ior__(self, other: Any) -> Any:  # type: ignore[misc]
        self.maps[0].update(other)
        return self


class UserDict(MutableMapping[Any, Any]):
    """A mapping to derive from: all that is written comes through `__setitem__`."""

    def __init__(self, values: Any = None, /, **more: Any) -> None:
        self.data: dict[Any, Any] = {}
        self.update(values or {}, **more)

    def __getitem__(self, key: Any) -> Any:
        if key not in self.data and hasattr(self, "__missing__"):
            return self.__missing__(key)
        return self.data[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self.data[key] = value

    def __delitem__(self, key: Any) -> None:
        del self.data[key]

    def __contains__(self, key: object) -> bool:
        return key in self.data

    def __iter__(self) -> Iterator[Any]:
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)

    def __repr__(self) -> str:
        return repr(self.data)

    def copy(self) -> Any:
        made = type(self)()
        made.data = dict(self.data)
        return made

    def __or__(self, other: Any) -> Any:
        made = self.copy()
        made.update(other)
        return made

    def __ior__(self, other: Any) -> Any:
        self.update(other)
        return self


class UserList(MutableSequence[Any]):
    """A list to derive from; what it holds is in `data`."""

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        self.data = list(values or ())

    def __getitem__(self, index: Any) -> Any:
        return type(self)(self.data[index]) if isinstance(index, slice) else self.data[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        self.data[index] = value

    def __delitem__(self, index: Any) -> None:
        del self.data[index]

    def __len__(self) -> int:
        return len(self.data)

    def __repr__(self) -> str:
        return repr(self.data)

    def __eq__(self, other: object) -> bool:
        return self.data == (other.data if isinstance(other, UserList) else other)

    __hash__ = None  # type: ignore[assignment]

    def __lt__(self, other: Any) -> bool:
        return bool(self.data < list(other))

    def __add__(self, other: Iterable[Any]) -> Any:
        return type(self)([*self.data, *other])

    def __mul__(self, times: int) -> Any:
        return type(self)(self.data * times)

    def insert(self, index: int, value: Any) -> None:
        self.data.insert(index, value)

    def copy(self) -> Any:
        return type(self)(self.data)

    def sort(self, **options: Any) -> None:
        self.data.sort(**options)
