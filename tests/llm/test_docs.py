"""Every command of docs/llm.md runs, with models that follow a script in the place of the named ones."""

from __future__ import annotations

import gzip
import re
import shlex
from pathlib import Path
from typing import Any

import llm
import pytest
from scripts import steps

PAGE = (Path(__file__).parents[2] / "docs" / "llm.md").read_text("utf-8").replace("gpt-4o", "stand-in")
BLOCKS = re.findall(r"^```bash\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
RUN = steps(
    "```repl\nhits = grep('late')\nname = 'Ada' if hits else 'nobody'\n```", "```repl\nSUBMIT(name)\n```"
)
FITS = "```repl\nSUBMIT({'name': name, 'days_late': len(hits)})\n```"
ALL_FIT = "```repl\nSUBMIT({'items': [{'name': name, 'days_late': len(hits)}]})\n```"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files that the page speaks of."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "huge.txt").write_text("Ada is late.\n" + "All is well.\n" * 5_000)
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


def run(cli: Any, command: str) -> Any:
    """One line of shell, of as much shell as the page uses."""
    if " | " in command:
        before, command = command.split(" | ", 1)
        first, *rest = shlex.split(before)
        text = " ".join(rest) if first == "echo" else "".join(Path(name).read_text() for name in rest)
    else:
        command, _, name = command.partition(" < ")
        text = Path(name.strip()).read_text() if name else ""
    words = shlex.split(command)
    assert words[0] == "llm"
    if words[1] == "chat":
        text = "Who is late?\nquit\n"
    return cli(*words[1:], input=text)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[0][:60])
def test_every_command_runs(block: str, cli: Any, desk: Path, models: None) -> None:
    for command in block.splitlines():
        result = run(cli, command)
        assert result.exit_code == 0, f"{command}\n{result.output}"
        saves = "--save" in command or "options set" in command
        assert (
            saves
            or "Ada" in result.stdout
            or "rlm-stand-in" in result.stdout
            or "Nothing was sent" in result.stdout
        )


def test_the_python_runs(desk: Path, models: None, capsys: Any) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    exec(code, {})
    assert capsys.readouterr().out.startswith("Ada {'root': {'calls': 2")
