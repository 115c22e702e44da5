"""`singledispatch`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


def singledispatch(default: Callable[..., Any]) -> Any:
    """A function chosen by the class of its first argument: the most special one that was registered."""
    registry: dict[Any, Callable[..., Any]] = {object: default}

    def chosen(fits: Callable[[Any], bool]) -> Callable[..., Any]:
        best: Any = object
        for cls in registry:
            if fits(cls) and issubclass(cls, best):
                best = cls
        return registry[best]

    def register(cls: Any, function: Any = None) -> Any:
        if function is not None:
            registry[cls] = function
            return function
        if isinstance(cls, type):
            return lambda function: register(cls, function)
        hints = [hint for name, hint in cls.__annotations__.items() if name != "return"]
        if not hints or not isinstance(hints[0], type):
            raise TypeError("register needs one class: write @f.register(int)")
        return register(hints[0], cls)

    @functools.wraps(default)
    def dispatching(*args: Any, **options: Any) -> Any:
        return chosen(lambda cls: isinstance(args[0], cls))(*args, **options)

    made: Any = dispatching
    made.register, made.registry = register, registry
    made.dispatch = lambda wanted: chosen(lambda cls: issubclass(wanted, cls))
    return made
