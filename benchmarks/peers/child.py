"""One measure of one candidate, in a process and an environment of its own:

    python -m benchmarks.peers.child '{"candidate": "rlms", "url": "http://127.0.0.1:...", ...}'

It says what it did as lines of JSON on stdout, and waits for a line on stdin where the other side has to get
ready.  Whatever the package prints goes to stderr."""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
import time
from typing import Any

job: dict[str, Any] = json.loads(sys.argv[1])
if job["measure"] == "import":
    begun = time.perf_counter()
    exec(job["imports"], {})
    imported = time.perf_counter() - begun

from benchmarks.peers.candidates import CANDIDATES, Settings  # noqa: E402
from benchmarks.peers.text import text  # noqa: E402

out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def say(**what: Any) -> None:
    print(json.dumps(what), file=out, flush=True)


def main() -> None:
    candidate = CANDIDATES[job["candidate"]]
    if job["measure"] == "import":
        packages = [requirement.partition("==")[0] for requirement in candidate.requires] or ["llm-rlm"]
        say(seconds=imported, version=importlib.metadata.version(packages[0]))
        return
    settings = Settings(job["turns"], job["depth"], job["timeout"])
    if job["measure"] == "snippets":
        for number in range(job["first"], job["count"]):
            say(
                number=number, answer=_asked(candidate.ask, job["url"], "none", f"snippet {number}", settings)
            )
        return
    if job["warm"]:
        candidate.ask(job["warm"], "warm", "The length?", settings)
    context = text(job["chars"])
    say(ready=True)
    sys.stdin.readline()
    begun = time.perf_counter()
    answer = candidate.ask(job["url"], context, "What is the answer?", settings)
    say(seconds=time.perf_counter() - begun, answer=str(answer))


def _asked(ask: Any, *arguments: Any) -> str:
    try:
        return str(ask(*arguments))
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:200]


if __name__ == "__main__":
    main()
    out.flush()
    os._exit(0)  # what is left of a package's threads is no part of the measure
