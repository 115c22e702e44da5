"""The one home directory that journal, strategies and weights share."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def home() -> Path:
    """`RLM_HOME` where it is set, else `rlm` in the platform's folder for user data.  It need not exist yet:
    whoever writes there makes it."""
    chosen = os.environ.get("RLM_HOME")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "rlm"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "rlm"
    # XDG base directory specification: a relative path there counts as unset.
    data = Path(os.environ.get("XDG_DATA_HOME") or "")
    return (data if data.is_absolute() else Path.home() / ".local" / "share") / "rlm"
