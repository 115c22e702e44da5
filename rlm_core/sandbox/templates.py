"""Templates of `str.format`: which of them read attributes or items of what they are given."""

from __future__ import annotations

import functools
import string

CACHED_LENGTH = 10_000  # characters


def traverses(template: str) -> bool:
    """Whether a replacement field reads an attribute or item, as `{0.name}` and `{0[key]}` do, or may."""
    # Templates are mostly used again.  Only an exact str is kept: a subclass could hash as another.
    cached = type(template) is str and len(template) <= CACHED_LENGTH
    return _traverses_cached(template) if cached else _traverses(template)


def _traverses(template: str) -> bool:
    try:
        return any(
            (field and ("." in field or "[" in field)) or (spec and "{" in spec)
            for _, field, spec, _ in string.Formatter().parse(template)
        )
    except ValueError:  # malformed; the fields before the fault are read all the same
        return True


_traverses_cached = functools.lru_cache(maxsize=256)(_traverses)
