"""Kills a run at random moments, goes on with it, and counts what was paid twice: `python
benchmarks/kill_and_resume.py`.

The run has 200 sub-calls (in a batch, one by one, and by two children) and code between them, against a
server on loopback that counts what it is asked.  Each time its process is killed with SIGKILL, and another
goes on.  One in five is made by the command line, `llm -m rlm-stub` and `llm rlm resume`, the others by the
library, which starts sooner.  Told apart: where the kill fell, whether the answer is that of an undisturbed
run, and how many calls whose answer was in the journal were sent again.

A kill falls in mid-write where a statement that writes to the journal had begun and not ended: the killed
process says so in a byte that it shares with this one.  A quarter of the kills waits for such a moment, a
quarter for a step's own code, the others strike after a random number of calls."""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import mmap
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

CONTEXT = "\n".join(f"record {n}: value {n * 37 % 1_000}" for n in range(20_000))
QUESTION = "What is the digest?"
BATCH, SINGLE, CHILD = 120, 30, 25  # sub-calls: in one batch, one by one, of each of two children
COMPUTING = "total = 0\nfor i in range(400_000): total += i\nprint(total, 'computed')"
STEPS = {
    "root": [
        f"parts = chunks(len(context) // {BATCH} + 1)\n"
        "first = llm_query_batched([f'sum of {i}: {p}' for i, p in enumerate(parts)])\n"
        "print(len(first))",
        COMPUTING,
        f"singles = [llm_query(f'single {{i}}') for i in range({SINGLE})]\nprint(singles[-1])",
        "children = rlm_query_batched([('left', context[:9_000]), ('right', context[9_000:18_000])])\n"
        "print(children)",
        "SUBMIT('|'.join([first[0], first[-1], singles[0], singles[-1], *children, str(total)]))",
    ],
    "child": [
        f"prompts = [f'{{context[:20]}} part {{i}}' for i in range({CHILD})]\n"
        f"answers = llm_query_batched(prompts)\n{COMPUTING}",
        "SUBMIT(answers[0] + answers[-1])",
    ],
}
AIMS = ("write", "step", "calls", "calls")


def reply(body: dict) -> Reply:
    """What the server says: the next step to a root LM, a digest of the prompt to a sub-call."""
    messages = body["messages"]
    if len(messages) == 1:
        text = f"<{sum(messages[0]['content'].encode()) % 9_973}>"
        return Reply(text, delay=0.002)
    child = "Question: left" in messages[1]["content"] or "Question: right" in messages[1]["content"]
    step = sum(message["role"] == "assistant" for message in messages)
    return Reply(f"```repl\n{STEPS['child' if child else 'root'][step]}\n```", delay=0.01)


# ---- in a process of its own


class Told(sqlite3.Connection):
    """Says in a shared byte while it writes."""

    shared: mmap.mmap

    def execute(self, sql, parameters=()):
        if not sql.lstrip().startswith(("INSERT", "UPDATE")):
            return super().execute(sql, parameters)
        self.shared[0] = 1
        try:
            return super().execute(sql, parameters)
        finally:
            self.shared[0] = 0


def play(byte: str, url: str, through: str, resume: bool) -> None:
    """One run, from its beginning or from the journal; its answer on stdout."""
    with open(byte, "r+b") as file:
        Told.shared = mmap.mmap(file.fileno(), 1)
    connect = sqlite3.connect
    sqlite3.connect = lambda path, *rest, **more: connect(
        path, *rest, **({"factory": Told} if str(path).endswith("journal.db") else {}), **more
    )
    if through == "llm":  # as a user types it
        from llm.cli import cli

        options = ["-o", "max_depth", "2", "-o", "max_sub_calls", "1000", "-o", "concurrency", "8"]
        cli(["rlm", "resume"] if resume else ["-m", "rlm-stub", *options, "--no-log", QUESTION])
    from rlm_core import RLM, Limits, OpenAIChat

    lm = OpenAIChat("stub", base_url=url, api_key="none")
    limits = Limits(depth=2, sub_calls=None, concurrency=8)
    rlm = RLM(lm, limits=limits, journal=Path(os.environ["RLM_HOME"]) / "journal.db")
    print((rlm.resume() if resume else rlm.completion(sys.stdin.read(), QUESTION)).answer)


class Process:
    """The run in a process of its own; `home` holds llm's folder, the journal and the byte."""

    def __init__(self, home: Path, url: str, through: str, resume: bool = False):
        home.mkdir(exist_ok=True)
        self.byte = home / "byte"
        self.byte.write_bytes(b"\0")
        model = {"model_id": "stub", "model_name": "stub", "api_base": url}
        (home / "extra-openai-models.yaml").write_text(json.dumps([model]))
        command = [sys.executable, __file__, "--play", str(self.byte), url, through]
        command += ["--resume"] if resume else []
        env = {**os.environ, "LLM_USER_PATH": str(home), "RLM_HOME": str(home), "OPENAI_API_KEY": ""}
        (home / "context").write_text(CONTEXT)
        with open(home / "context") as context, open(home / "stderr", "a") as stderr:
            self.process = subprocess.Popen(
                command, stdin=context, stdout=subprocess.PIPE, stderr=stderr, text=True, env=env
            )

    def writes(self) -> bool:
        return self.byte.read_bytes() == b"\1"

    def answer(self) -> str:
        return self.process.communicate(timeout=300)[0]


def strike(process: Process, server: StubServer, calls: int, aim: str, rng: random.Random) -> None:
    """Kills it: in mid-write, in a step's own code, or after some call."""
    begun = len(server.requests)
    target = begun + (BATCH + 2 if aim == "step" and rng.random() < 0.7 else rng.randrange(calls))
    while process.process.poll() is None and len(server.requests) < target:
        time.sleep(0.001)  # by calls, and not by the clock: a busy machine takes its time
    if aim == "step":
        time.sleep(rng.uniform(0.02, 0.15))
    with open(process.byte, "r+b") as file, mmap.mmap(file.fileno(), 1) as byte:
        while aim == "write" and process.process.poll() is None and not byte[0]:
            pass
        process.process.send_signal(signal.SIGKILL)
    process.process.communicate()


def moment(db: sqlite3.Connection) -> str:
    """Where the run was, as its journal tells it."""
    query = "SELECT type, path, data FROM events WHERE type <> 'Noted' ORDER BY rowid DESC LIMIT 1"
    kind, path, data = db.execute(query).fetchone() or ("nothing", "", "{}")
    told = json.loads(data)
    if kind == "SubCalled":
        kind = "SubCalling" if told["done"] < told["of"] else "Replied"
    names = {"SubCalling": "batch", "Replied": "step", "Asking": "ask", "Stepped": "ask", "Started": "ask"}
    return f"mid-{names.get(kind, kind)}" + (" of a child" if path else "")


def seen(home: Path) -> tuple[tuple[str | None] | None, int, str, str]:
    """The run's row, how many calls are answered, where it was, and whether the file is sound."""
    with contextlib.closing(sqlite3.connect(home / "journal.db")) as db:
        (sound,) = db.execute("PRAGMA integrity_check").fetchone()
        row = db.execute("SELECT status FROM runs").fetchone()
        (answered,) = db.execute("SELECT count(*) FROM answers WHERE kind <> 'Failed'").fetchone()
        return row, answered, moment(db), sound


def main(kills: int, seed: int, again: int) -> int:
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder, StubServer(reply) as server:
        started = time.monotonic()
        expected, calls = Process(Path(folder) / "whole", server.url, "python").answer(), len(server.requests)
        print(f"undisturbed: {expected.strip()!r}, {calls} calls, {time.monotonic() - started:.1f} s")
        moments: collections.Counter[str] = collections.Counter()
        wrong = twice = unanswered = writing = 0
        for kill in range(kills):
            home = Path(folder) / str(kill)
            through = "python" if kill % 5 else "llm"
            process = Process(home, server.url, through)
            sent = len(server.requests)
            strike(process, server, calls, AIMS[kill % len(AIMS)], rng)
            sent = len(server.requests) - sent
            writing += process.writes()
            if not (home / "journal.db").exists():
                moments["before the first row"] += 1
                continue
            row, answered, where, sound = seen(home)
            if row is None or row[0]:
                moments["before the first row" if row is None else "after the end"] += 1
                continue
            moments[where] += 1
            unanswered += sent - answered
            for _ in range(again):  # the resume is killed too
                before, had = len(server.requests), answered
                process = Process(home, server.url, through, resume=True)
                strike(process, server, max(1, calls - had), "calls", rng)
                sent = len(server.requests) - before
                _, answered, _, sound = seen(home)
                unanswered += sent - (answered - had)
                twice += max(0, sent - (calls - had))
            before = len(server.requests)
            said = Process(home, server.url, through, resume=True).answer()
            twice += max(0, len(server.requests) - before - (calls - answered))
            if said != expected or sound != "ok":
                wrong += 1
                print(f"kill {kill} ({where}): {said!r}, {sound}: {(home / 'stderr').read_text()[-500:]}")
        print(f"{kills} kills: " + ", ".join(f"{n} {name}" for name, n in moments.most_common()))
        print(f"in mid-write: {writing}")
        print(f"wrong answers: {wrong}; answered calls sent again: {twice}")
        each = unanswered / (kills * (1 + again))
        print(f"calls in flight when it was killed, and so sent again: {each:.1f} a kill")
    return 1 if wrong or twice else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", type=int, default=0, help="kills of each run while it is gone on with")
    parser.add_argument("--play", nargs=3, metavar=("BYTE", "URL", "THROUGH"), help=argparse.SUPPRESS)
    parser.add_argument("--resume", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.play:
        play(*arguments.play, arguments.resume)
    else:
        sys.exit(main(arguments.kills, arguments.seed, arguments.again))
