"""Its place makes `tests/` importable: `from stub_server import StubServer`."""

from __future__ import annotations

import signal

import pytest

# A shell starts what runs in its background with SIGINT ignored, and every child inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `weights` are skipped where the model has not been fetched: make demo fetches it."""
    from rlm_core import weights

    if not weights.found(weights.DEFAULT):
        for item in items:
            if item.get_closest_marker("weights"):
                item.add_marker(pytest.mark.skip(reason="no weights: llm rlm download 0.5b"))
