"""Runs model-written code where it can compute, print and call the tools it was given, and nothing else.

from rlm_core.sandbox import Sandbox

with Sandbox(context="...", tools={"lookup": lookup}) as repl:
    outcome = repl.execute("print(lookup(context[:10]))")

`protocol` says what a session is and where another backend plugs in; SECURITY.md and docs/threat-model.md
what is promised.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlm_core.sandbox.host import LocalSandbox
    from rlm_core.sandbox.protocol import SandboxError, SandboxUnavailable, WorkerLost
    from rlm_core.sandbox.sandbox import Outcome, Sandbox

__all__ = ["LocalSandbox", "Outcome", "Sandbox", "SandboxError", "SandboxUnavailable", "WorkerLost"]

_HOMES = {"LocalSandbox": "host", "Outcome": "sandbox", "Sandbox": "sandbox"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'protocol')}"), name)
