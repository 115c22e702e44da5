"""Environments of the candidates' own, under .venv/peers."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.peers.candidates import CANDIDATES, TOP

PEERS = TOP / ".venv" / "peers"


class NotToBeHad(Exception):
    """The package could not be installed; the text says why."""


def python_of(name: str) -> str:
    """The Python that has the candidate, installed where it is not yet.  Raises NotToBeHad."""
    requires = CANDIDATES[name].requires
    folder = PEERS / name
    python, done = folder / "bin" / "python", folder / "installed"
    if not done.exists() or done.read_text().split() != list(requires):
        print(f"→ installing {' '.join(requires)} into {folder.relative_to(TOP)}", file=sys.stderr)
        _do(sys.executable, "-m", "venv", str(folder))
        _do(str(python), "-m", "pip", "--disable-pip-version-check", "-q", "install", *requires)
        done.write_text("\n".join(requires))
    return str(python)


def _do(*command: str) -> None:
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if ended.returncode:
        said = [line for line in ended.stderr.splitlines() if line.startswith("ERROR")] or ["?"]
        raise NotToBeHad(said[-1].removeprefix("ERROR: "))
