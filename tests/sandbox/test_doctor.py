"""The doctor says that the walls stand where they stand, and finds the one that gives way."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

from rlm_core.sandbox import host, zygotes
from rlm_core.sandbox.doctor import Check, checks

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="walls of Linux")


@pytest.fixture
def patched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A first zygote of its own."""
    monkeypatch.setattr(zygotes, "_first", None)
    monkeypatch.setattr(zygotes, "_first_process", None)
    yield
    zygotes._end_first()


def failing(found: list[Check]) -> set[str]:
    return {check.name for check in found if not check.ok}


def test_every_wall_stands_here_and_is_named() -> None:
    found = checks()
    assert failing(found) == set()
    assert {check.name for check in found} >= {
        "walls",
        "user",
        "seccomp",
        "files",
        "environment",
        "network",
        "processes",
        "native code",
        "system calls",
        "memory",
        "descriptors",
        "time",
        "orphans",
        "language wall",
    }
    assert all(check.detail for check in found)


@pytest.mark.parametrize(
    ("patch", "found"),
    [
        ("oswall._seccomp = lambda: 'pretended'", {"seccomp", "system calls", "native code", "files"}),
        ("oswall._limit = lambda addressable: 'pretended'", {"memory"}),
        ("oswall.settle = lambda: None", {"user"} if os.geteuid() == 0 else set()),
        ("oswall.die_with_parent = lambda parent: None", {"orphans"}),
        ("policy.compile_cell = lambda source, filename: compile('0', filename, 'exec')", {"language wall"}),
        ("os.environ.clear = lambda: None; os.environ['SECRET'] = 's'", {"environment"}),
        ("zygote.Zygote._keep_only = lambda self, descriptor, descriptors: descriptor", {"descriptors"}),
    ],
)
@pytest.mark.usefixtures("patched")
def test_a_wall_that_gives_way_is_found(monkeypatch: pytest.MonkeyPatch, patch: str, found: set[str]) -> None:
    prepared = zygotes._BOOT.replace(
        "from rlm_core.sandbox.zygote import main",
        f"import os; from rlm_core.sandbox import oswall, policy, zygote; {patch}\nmain = zygote.main",
    )
    assert prepared != zygotes._BOOT
    monkeypatch.setattr(zygotes, "_BOOT", prepared)
    monkeypatch.setattr(host, "GRACE", 0.1)
    assert failing(checks()) >= found


@pytest.mark.usefixtures("patched")
def test_where_the_sandbox_cannot_start_the_reason_is_the_only_check(monkeypatch: pytest.MonkeyPatch) -> None:
    patch = "import platform\nplatform.machine = lambda: 'riscv64'\n"
    monkeypatch.setattr(zygotes, "_BOOT", patch + zygotes._BOOT)
    (check,) = checks()
    assert not check.ok
    assert "riscv64" in check.detail
