"""One measure of one candidate, in a process and an environment of its own:

    python -m benchmarks.peers.child '{"candidate": "rlms", "url": "http://127.0.0.1:...", ...}'

It says what it did as lines of JSON on stdout.  Runs are asked for by lines on stdin, two for each: what to
do, and, when the context is made, to begin.  Whatever the package prints goes to stderr.  Nothing but this
machine is spoken to."""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
import time
from typing import Any


def _alone(event: str, args: tuple[Any, ...]) -> None:
    if event == "socket.connect" and isinstance(args[1], tuple):
        host = args[1][0]
    elif event == "socket.getaddrinfo":
        host = args[0]
    else:
        return
    if host not in ("127.0.0.1", "::1", "localhost", b"127.0.0.1", b"localhost", None, ""):
        raise PermissionError(f"{host} is not this machine")


sys.addaudithook(_alone)
job: dict[str, Any] = json.loads(sys.argv[1])
if job["measure"] == "import":
    begun = time.perf_counter()
    exec(job["imports"], {})
    imported = time.perf_counter() - begun

from benchmarks.peers.candidates import CANDIDATES, Candidate, Settings  # noqa: E402
from benchmarks.peers.text import text  # noqa: E402

out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def say(**what: Any) -> None:
    print(json.dumps(what), file=out, flush=True)


def main() -> None:
    candidate = CANDIDATES[job["candidate"]]
    if job["measure"] == "import":
        say(seconds=imported, version=importlib.metadata.version(candidate.package))
    elif job["measure"] == "snippets":
        settings = Settings(turns=3, seconds=job["timeout"])
        for number in range(job["first"], job["count"]):
            say(answer=_asked(candidate.ask, job["url"], "none", f"snippet {number}", settings))
    else:
        for line in sys.stdin:
            _run(candidate, json.loads(line))


def _run(candidate: Candidate, told: dict[str, Any]) -> None:
    settings = Settings(told["turns"], told["depth"], job["timeout"])
    context = text(told["chars"])
    say(ready=True)
    sys.stdin.readline()
    begun = time.perf_counter()
    try:
        answer = str(candidate.ask(told["url"], context, "What is the answer?", settings))
        say(seconds=time.perf_counter() - begun, answer=answer)
    except Exception as error:
        say(error=f"{type(error).__name__}: {error}")


def _asked(ask: Any, *arguments: Any) -> str:
    try:
        return str(ask(*arguments))
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:200]


if __name__ == "__main__":
    main()
    out.flush()
    os._exit(0)  # what is left of a package's threads is no part of the measure
