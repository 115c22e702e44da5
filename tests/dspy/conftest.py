from __future__ import annotations

from collections.abc import Iterator

import pytest

try:
    import dspy.predict  # this folder alone also answers to the name `dspy`
except ImportError:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(autouse=True)
def fresh_settings() -> Iterator[None]:
    """Every test starts without an LM, an adapter or an interpreter of its own."""
    with dspy.context(lm=None, adapter=None, interpreter_factory=None, trace=None):
        yield
