"""Kills a run at random moments, goes on with it, and counts what was paid twice: `python
benchmarks/kill_and_resume.py`.

The run has 200 sub-calls (in batches, one by one, and by two children at depth 2) and code between them,
against a server on loopback that counts what it is asked.  Each time a process that runs it is killed with
SIGKILL at a random moment, and a second process goes on from the journal.  Told apart: where the kill fell,
whether the answer is the one of an undisturbed run, and how many calls whose answer was in the journal were
sent again."""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests")]

from stub_server import Reply, StubServer  # noqa: E402

from rlm_core import RLM, Limits, OpenAIChat  # noqa: E402
from rlm_core.journal import Journal  # noqa: E402

CONTEXT = "\n".join(f"record {n}: value {n * 37 % 1_000}" for n in range(20_000))
BATCH, SINGLE, CHILD = 120, 30, 25  # sub-calls: in one batch, one by one, of each of two children
STEPS = {
    "root": [
        f"parts = chunks(len(context) // {BATCH} + 1)\n"
        "first = llm_query_batched([f'sum of {i}: {p}' for i, p in enumerate(parts)])\n"
        "print(len(first))",
        "total = 0\nfor i in range(2_000_000): total += i\nprint(total, 'computed')",
        f"singles = [llm_query(f'single {{i}}') for i in range({SINGLE})]\nprint(singles[-1])",
        "children = rlm_query_batched([('left', context[:9_000]), ('right', context[9_000:18_000])])\n"
        "print(children)",
        "SUBMIT('|'.join([first[0], first[-1], singles[0], singles[-1], *children, str(total)]))",
    ],
    "child": [
        f"prompts = [f'{{context[:20]}} part {{i}}' for i in range({CHILD})]\n"
        "answers = llm_query_batched(prompts)\n"
        "print(len(answers))",
        "SUBMIT(answers[0] + answers[-1])",
    ],
}


def reply(body: dict) -> Reply:
    """What the server says: the next step to a root LM, a digest of the prompt to a sub-call."""
    messages = body["messages"]
    if len(messages) == 1:
        text = f"<{sum(messages[0]['content'].encode()) % 9_973}>"
        return Reply(text, delay=0.002)
    child = "Question: left" in messages[1]["content"] or "Question: right" in messages[1]["content"]
    step = sum(message["role"] == "assistant" for message in messages)
    return Reply(f"```repl\n{STEPS['child' if child else 'root'][step]}\n```", delay=0.01)


def play(url: str, path: str, resume: bool) -> None:
    """In a process of its own: one run, from its beginning or from the journal."""
    lm = OpenAIChat("stub", base_url=url, api_key="none")
    rlm = RLM(lm, limits=Limits(depth=2, sub_calls=None, concurrency=8), journal=path)
    result = rlm.resume() if resume else rlm.completion(CONTEXT, "What is the digest?")
    print(json.dumps([result.status, result.answer]))


def spawn(url: str, path: Path, *more: str) -> subprocess.Popen:
    command = [sys.executable, __file__, "--play", url, str(path), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def answered(path: Path) -> tuple[set[tuple], str]:
    """The places that the journal holds answers for, and the step that the run was in."""
    with sqlite3.connect(path) as db:
        places = set(db.execute("SELECT path, number, slot, asked FROM answers"))
        last = db.execute("SELECT type, path FROM events ORDER BY rowid DESC LIMIT 1").fetchone()
    kind, where = last or ("nothing", "")
    moment = {"SubCalled": "mid-batch", "SubCalling": "mid-batch", "Replied": "mid-step", "Asking": "mid-ask"}
    return places, moment.get(kind, kind) + (" of a child" if where else "")


def main(kills: int, seed: int) -> int:
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder, StubServer(reply) as server:
        started = time.monotonic()
        out, _ = spawn(server.url, Path(folder) / "whole.db").communicate(timeout=120)
        whole = time.monotonic() - started
        expected, calls = json.loads(out), len(server.requests)
        print(f"undisturbed: {expected[0]}, {calls} calls, {whole:.1f} s")
        moments: collections.Counter[str] = collections.Counter()
        wrong = twice = 0
        for kill in range(kills):
            path = Path(folder) / f"{kill}.db"
            target = len(server.requests) + rng.randrange(calls)
            process = spawn(server.url, path)
            while process.poll() is None and len(server.requests) < target:
                time.sleep(0.001)  # by calls, and not by the clock: a busy machine takes its time
            time.sleep(rng.choice((0, rng.uniform(0, 0.2 * whole))))
            process.send_signal(signal.SIGKILL)
            process.communicate()
            if not path.exists() or not Journal(path).runs():
                moments["before the first row"] += 1
                continue
            if Journal(path).runs()[0]["status"]:
                moments["after the end"] += 1
                continue
            places, moment = answered(path)
            moments[moment] += 1
            sent = len(server.requests)
            out, _ = spawn(server.url, path, "--resume").communicate(timeout=120)
            if not out or json.loads(out) != expected:
                wrong += 1
                print(f"kill {kill} ({moment}): {out!r}")
            again = len(server.requests) - sent
            twice += max(0, again - (calls - len(places)))
        print(f"{kills} kills: " + ", ".join(f"{n} {moment}" for moment, n in moments.most_common()))
        print(f"wrong answers: {wrong}; answered calls sent again: {twice}")
    return 1 if wrong or twice else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--play", nargs=2, metavar=("URL", "JOURNAL"), help=argparse.SUPPRESS)
    parser.add_argument("--resume", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.play:
        os.environ.pop("OPENAI_API_KEY", None)
        play(*arguments.play, arguments.resume)
    else:
        sys.exit(main(arguments.kills, arguments.seed))
