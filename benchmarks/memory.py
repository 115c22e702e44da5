"""Memory of a process and all below it, in bytes.  Linux only."""

from __future__ import annotations

import os
import threading
from pathlib import Path


def used(root: int) -> int:
    """Shared pages are counted once, and so are files in memory that none of the processes has mapped."""
    private = mapped = 0
    files: dict[int, int] = {}
    for pid in family(root):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
            for name in os.listdir(f"/proc/{pid}/fd"):
                file = f"/proc/{pid}/fd/{name}"
                if os.readlink(file).startswith(("/memfd:", "/dev/shm/")):
                    about = os.stat(file)
                    files[about.st_ino] = about.st_blocks * 512
        except OSError:  # it has ended
            continue
        fields = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
        mapped += fields.get("Pss_Shmem", 0)
        private += fields["Pss"] - fields.get("Pss_Shmem", 0)
    return private + max(mapped, sum(files.values()))


def family(root: int) -> list[int]:
    found = [root]
    for pid in found:
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
        except OSError:
            continue
    return found


class Peak:
    """The most that `used` is, looked at every few milliseconds until this is left."""

    def __init__(self, root: int):
        self.root, self.highest = root, 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.003):
            self.highest = max(self.highest, used(self.root))
