"""The commands of docs/benchmarking.md, in their order, with the scripted model and fewer samples."""

import re
import shlex
from pathlib import Path

from click.testing import CliRunner

from rlm_bench.commands import bench

DOC = Path(__file__).parents[2] / "docs" / "benchmarking.md"


def commands() -> list[list[str]]:
    blocks = re.findall(r"^```bash\n(.*?)^```", DOC.read_text("utf-8"), re.M | re.S)
    lines = [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [shlex.split(line.removeprefix("llm rlm bench ")) for line in lines if line]


def quicker(args: list[str], runs: list[str]) -> list[str]:
    """The same command with less to do."""
    text = shlex.join(args).replace(" -m local", "").replace("--preset quick", "--preset smoke")
    text = text.replace("--n 10", "--n 1").replace("10000000", "10000").replace("size=300000", "size=30000")
    if text == "check":
        text = "check niah --seeds 1"
    for name in ("runs/NAME", "runs/BEFORE", "runs/AFTER"):
        text = text.replace(name, runs[-1] if runs else name)
    return shlex.split(text)


def test_the_commands_of_the_document_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RLM_HOME", str(tmp_path / "home"))
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("".join(f"Line {number} of a book.\n" for number in range(900)))
    (tmp_path / "report.txt").write_text("Signed: Ada Lovelace")
    (mine,) = re.findall(r"^```json\n(.*?)^```", DOC.read_text("utf-8"), re.M | re.S)
    (tmp_path / "mine.jsonl").write_text(mine)
    told = commands()
    assert len(told) > 10
    for number, args in enumerate(told):
        runs = sorted(map(str, (tmp_path / "runs").glob("*"))) if (tmp_path / "runs").exists() else []
        given = quicker(args, [run.removeprefix(f"{tmp_path}/") for run in runs])
        if given[0] == "run" and "--resume" not in given and "--dry-run" not in given:
            given += ["--dir", f"runs/{number:02}", *([] if "--method" in given else ["--method", "rlm0"])]
        done = CliRunner().invoke(bench, given)
        assert done.exit_code == 0, (args, done.output, done.exception)
