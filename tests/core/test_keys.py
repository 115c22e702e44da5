"""Keys: none that cannot be sent is sent, and none is shown."""

from __future__ import annotations

from typing import Any

import pytest

from llm_rlm.errors import call_error
from rlm_core.keys import can_be_sent, redacted


@pytest.mark.parametrize("key", ["sk-0123", "a b", ""])
def test_a_key_of_printable_ascii_can_be_sent(key: str) -> None:
    assert can_be_sent(key)


@pytest.mark.parametrize("key", ["cl\u00e9", "key\n", " key", "ke\ry", "\u20ac"])
def test_any_other_key_cannot(key: str) -> None:
    assert not can_be_sent(key)


@pytest.mark.parametrize("key", ["SEKRET\u20ac99\\\r\n", "SEKRE\n", "SEKRE"])
@pytest.mark.parametrize("quoted", [str, repr, str.strip, lambda key: repr(key.encode())])
def test_an_error_never_quotes_the_key(quoted: Any, key: str) -> None:
    for before in ("Illegal header value ", "x" * 290 + " "):  # a long text is cut, and never within a key
        told = str(call_error(RuntimeError(before + quoted(key)), "base", key=key))
        assert "SEKRE" not in told
    assert "[the key]" in str(call_error(RuntimeError(quoted(key)), "base", key=key))


def test_a_short_key_is_part_of_no_word() -> None:
    assert (
        redacted("none such: nonexistent (key 'none')", "none")
        == "[the key] such: nonexistent (key '[the key]')"
    )
    assert redacted("a wrong key: 1234567", "") == "a wrong key: 1234567"
