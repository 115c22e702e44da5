"""What runs over a long text add to the journal: `python benchmarks/journal_size.py`.

Each run has 250 sub-calls that are sent 44 MB of a log of 100 MB, a child over half of it, and a step that
prints three million characters.  Told: the size of the text, compressed; of the file after each run; seconds.
No model is called."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rlm_core import RLM, Limits, ScriptedLM

STEPS = [
    *["parts = chunks(200_000)\na = llm_query_batched(parts[:50])\nprint(len(a))"] * 4,
    "b = [llm_query(part[:90_000]) for part in parts[100:150]]\nprint('x' * 3_000_000)",
    "child = rlm_query('How long?', context[:len(context) // 2])\nprint(child)",
    "SUBMIT(len(a))",
]


def log(lines: int) -> str:
    rng = random.Random(1)
    return "\n".join(
        f"2026-11-25T18:{n // 60 % 60:02}:{n % 60:02} host{rng.randrange(4)} INFO request GET"
        f" /api/v1/items/{rng.randrange(50)} status=200 bytes={rng.randrange(900)}"
        " agent=Mozilla/5.0 (X11; Linux x86_64) AppleWebKit"
        for n in range(lines)
    )


def say(messages: list[dict[str, Any]]) -> str:
    if len(messages) == 1:
        return "ok"
    child = "Question: How long?" in messages[1]["content"]
    step = sum(message["role"] == "assistant" for message in messages)
    return f"```repl\n{'SUBMIT(str(len(context)))' if child else STEPS[step]}\n```"


def main(runs: int, lines: int) -> None:
    text = log(lines)
    packed = len(zlib.compress(text.encode(), 1))
    print(f"a text of {len(text) / 1e6:.1f} MB, compressed {packed / 1e6:.2f} MB")
    lm = ScriptedLM(say)
    lm.window = 200_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.db"
        rlm = RLM(lm, limits=Limits(depth=2, sub_calls=None, tokens=None), journal=path)
        for run in range(1, runs + 1):
            began = time.monotonic()
            result = rlm.completion(text, "How many parts?")
            size = path.stat().st_size / 1e6
            print(
                f"run {run}: {result.status}, {time.monotonic() - began:.0f} s, file {size:.2f} MB",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--lines", type=int, default=765_000, help="of the text; 130 characters each")
    arguments = parser.parse_args()
    main(arguments.runs, arguments.lines)
