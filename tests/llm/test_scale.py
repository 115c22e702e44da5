"""The commands of docs/SCALE.md, run as they stand there: with other models, and `--ray local` for `auto`."""

from __future__ import annotations

import gzip
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from scripts import declare, steps
from stub_server import Reply, StubServer

ROOT = Path(__file__).parents[2]
BASH = "".join(
    re.findall(r"^```bash\n(.*?)^```", (ROOT / "docs" / "SCALE.md").read_text("utf-8"), re.M | re.S)
)
COMMANDS = [line for line in BASH.splitlines() if line.startswith("llm rlm map")]
BENCHMARKS = [line for line in BASH.splitlines() if line.startswith("python benchmarks")]

ANSWER = steps(
    "```repl\nword = context.split()[-1]\nprint(word)\nSUBMIT(llm_query(word))\n```", sub=str.upper
)


def answer(body: dict[str, Any]) -> Reply:
    return Reply(ANSWER([(message["role"], message["content"]) for message in body["messages"]]))


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that holds what the commands name."""
    folder = tmp_path / "work"
    (folder / "logs").mkdir(parents=True)
    for name in ("monday", "tuesday"):
        with gzip.open(folder / "logs" / f"{name}.gz", "wt") as file:
            file.write(f"all is well\nthe first that failed was {name}\n")
    rows = [{"question": "Which word?", "context": "the word is one"}, {"question": "?", "path": "two.txt"}]
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "two.txt").write_text("the word is two\n")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_page_run(cli: Any, home: Path, work: Path, command: str) -> None:
    if "--ray" in command:
        pytest.importorskip("ray", reason="Ray is not installed: pip install 'llm-rlm[ray]'")
    words = shlex.split(
        re.sub(r"rlm-(gpt-5-mini|local)", "rlm-stub", command).replace("--ray auto", "--ray local")
    )
    with StubServer(answer) as server:
        declare(home, server.url, can_stream=False)
        result = cli(*words[1:])
    assert result.exit_code == 0, result.output
    if "--dry-run" in words:
        assert "Nothing was sent" in result.stdout
        return
    lines = (work / "answers.jsonl").read_text().splitlines()
    assert {json.loads(line)["answer"] for line in lines} in ({"ONE", "TWO"}, {"MONDAY", "TUESDAY"})


def test_the_page_has_commands() -> None:
    assert len(COMMANDS) >= 3
    assert any("--ray" in command for command in COMMANDS)


@pytest.mark.parametrize("command", BENCHMARKS)
def test_the_benchmarks_of_the_page_run(home: Path, command: str) -> None:
    """In small: four runs, on threads, whatever they measure."""
    words = [word.replace("--nodes", "--workers") for word in shlex.split(command)[1:] if word != "--ray"]
    if "--runs" in words:
        del words[words.index("--runs") :][:2]
    done = subprocess.run(
        [sys.executable, *words, "--runs", "4", "--chars", "1000", "--delay", "0"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "runs/s" in done.stdout
