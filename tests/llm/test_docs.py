"""Every command of docs/llm.md and the README runs, with scripted models in the place of the named ones."""

from __future__ import annotations

import gzip
import json
import re
import shlex
import webbrowser
from pathlib import Path
from typing import Any

import llm
import pytest
from scripts import steps

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
PAGE = (ROOT / "docs" / "llm.md").read_text("utf-8").replace("gpt-4o", "stand-in")
BLOCKS = re.findall(r"^```bash\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
FIRST = "```repl\nhits = grep('late')\nname = 'Ada' if hits else 'nobody'\n```"
LAST = "```repl\nSUBMIT(name)\n```"
RUN = steps(FIRST, LAST, sub=FIRST)
FITS = "```repl\nSUBMIT({'name': name, 'days_late': len(hits)})\n```"
ALL_FIT = "```repl\nSUBMIT({'items': [{'name': name, 'days_late': len(hits)}]})\n```"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files that the page speaks of."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "huge.txt").write_text("Ada is late.\n" + "All is well.\n" * 5_000)
    for name in ("a.txt", "b.txt", "reports/2025.txt", "letters/1.txt", "letters/2.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("Ada is late.\n")
    rows = [{"question": "Who is late?", "context": "Ada is late."}]
    (tmp_path / "questions.jsonl").write_text("".join(map(json.dumps, rows)))
    (tmp_path / "rows.csv").write_text("who,late\nAda,1\n")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.md").write_text("Of late the harbour is busy.\n")
    (tmp_path / "server.log.gz").write_bytes(gzip.compress(b"12:00 late\n"))
    return tmp_path


@pytest.fixture
def models(scripted: Any, plugin: Any) -> None:
    def script(chat: Any) -> str:
        system, turn = chat[0][1], sum(role == "assistant" for role, _ in chat)
        if turn and "JSON" in system:
            return ALL_FIT if '"items"' in system else FITS
        return str(RUN(chat))

    class Options(llm.Options):
        temperature: float | None = None

    for name in ("stand-in", "stand-in-mini"):
        scripted(name, script)
        for model in plugin.models[-1][:2]:
            model.Options = Options


def run(cli: Any, command: str, typed: str = "") -> Any:
    """One line of shell, of as much shell as the pages use.  `typed`: at a terminal."""
    words = shlex.split(command, comments=True)
    text = typed
    if "|" in words:
        at = words.index("|")
        (first, *rest), words = words[:at], words[at + 1 :]
        text = " ".join(rest) if first == "echo" else "".join(Path(name).read_text() for name in rest)
    if "<" in words:
        at = words.index("<")
        text = Path(words[at + 1]).read_text()
        del words[at : at + 2]
    assert words[0] == "llm"
    return cli(*words[1:], input=text)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[0][:60])
def test_every_command_of_the_page_runs(block: str, cli: Any, desk: Path, models: None) -> None:
    for command in block.splitlines():
        result = run(cli, command, "Who is late?\nquit\n" if "llm chat" in command else "")
        assert result.exit_code == 0, f"{command}\n{result.output}"
        assert told(command) in result.stdout, f"{command}\n{result.output}"


def told(command: str) -> str:
    """What a command of the page has to say."""
    if "--save" in command or "options set" in command:
        return ""  # they say nothing
    if "dry_run" in command:
        return "Nothing was sent"
    return "rlm-stand-in" if command.startswith(("llm models", "llm aliases")) else "Ada"


def test_the_python_of_the_page_runs(desk: Path, models: None, capsys: Any) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    exec(code, {})
    assert capsys.readouterr().out.startswith("Ada {'root': {'calls': 2")


# ---- the README

LINES = [
    re.sub(r"\b(glm-4\.7|gpt-5\.2|gpt-5-mini|(?<=rlm-)local|(?<=-m )local)\b", "stand-in", line)
    for block in re.findall(r"^```bash\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
    if "llm " in line
]
INSTALLS = "llm install "  # what make demo does, in a fresh clone


def test_every_llm_command_of_the_readme_runs(
    cli: Any, desk: Path, models: None, scripted: Any, monkeypatch: Any
) -> None:
    """In order, on one desk: the commands about runs find the runs of those before."""
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    (desk / "tiny.gguf").write_bytes(b"GGUF")
    monkeypatch.setenv("RLM_LOCAL_MODEL", str(desk / "tiny.gguf"))
    for line in LINES:
        if line.startswith(INSTALLS):
            continue
        if "rlm resume" in line:
            replies = iter([FIRST, KeyboardInterrupt(), KeyboardInterrupt(), LAST])
            scripted("breaks", lambda chat, replies=replies: said(next(replies)))
            for command in ('llm -m rlm-breaks -f huge.txt "Who is late?"', line):  # Ctrl-C, and once more
                result = run(cli, command)
                assert (result.exit_code, result.stdout.strip()) == (1, "")
                assert "Cancelled. Spent: 1 call, " in result.stderr
        (desk / "answers.jsonl").unlink(missing_ok=True)
        result = run(cli, line, "a-key\n" if "keys set" in line else "")
        assert result.exit_code == 0, f"{line}\n{result.output}"
        (told,) = [told for part, told in TOLD.items() if part in line][:1] or ["Ada"]
        seen = result.output + "".join(opened)
        if "rlm map" in line:
            seen = (desk / "answers.jsonl").read_text()
        assert told in seen, f"{line}\n{result.output}"


TOLD = {
    "keys set": "",
    "download": "tiny.gguf",
    '"Say hi"': "```repl",
    "rlm runs": "answered",
    "rlm view": ".html",
    "rlm replay": "Everything came out as it is recorded.",
}
"""What a command tells, where that is not the answer."""


def said(reply: str | BaseException) -> str:
    if isinstance(reply, BaseException):
        raise reply
    return reply
