"""`llm -m local`: the embedded model as a model of llm's own."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llm
import pytest
from click.testing import Result

from llm_rlm import local_model
from rlm_core import weights
from rlm_core.lms import LMCallError

WEIGHTS = weights.found(weights.DEFAULT)  # before any test moves the home

Run = Callable[..., Result]


@pytest.fixture
def own(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights that are there, in the place of a fetch into the test's home."""
    monkeypatch.setenv("RLM_LOCAL_MODEL", str(WEIGHTS))


def test_both_models_are_listed_sync_and_async(home: Path) -> None:
    for model_id in ("local", "local-1.5b"):
        assert llm.get_model(model_id).model_id == model_id
        assert llm.get_async_model(model_id).can_stream
        assert llm.get_model(model_id).needs_key is None


def test_registering_builds_no_options() -> None:
    made: list[Any] = []
    local_model.register_models(lambda *models: made.extend(models))
    assert len(made) == 4
    assert all("Options" not in vars(model) for model in made)


def test_options_are_checked(home: Path) -> None:
    options = llm.get_model("local").Options
    assert set(options.model_fields) == {"temperature", "max_tokens", "threads", "window", "gguf"}
    with pytest.raises(ValueError, match="threads"):
        options(threads=0)


def test_a_path_that_is_no_model_is_a_one_line_error(cli: Run, tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    result = cli("-m", "local", "-o", "gguf", str(tmp_path / "none.gguf"), "hi")
    assert result.exit_code == 1
    assert "none.gguf: No such file" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_without_its_runtime_the_error_says_how_to_install_it(
    cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rlm_core import local

    monkeypatch.setattr(local.importlib.util, "find_spec", lambda name: None)
    result = cli("-m", "local", "hi")
    assert result.exit_code == 1
    assert "llm install 'llm-rlm[local]'" in result.stderr


@pytest.mark.weights
@pytest.mark.usefixtures("own")
def test_it_answers_on_the_command_line(cli: Run) -> None:
    result = cli("-m", "local", "-u", "-o", "max_tokens", "20", "Name the capital of Italy.")
    assert result.exit_code == 0, result.stderr
    assert "Rome" in result.stdout
    assert "Token usage:" in result.stderr
    whole = cli("-m", "local", "--no-stream", "-s", "You answer with one word.", "The capital of Italy?")
    assert "Rome" in whole.stdout


@pytest.mark.weights
@pytest.mark.usefixtures("own")
def test_a_conversation_goes_on(cli: Run, home: Path) -> None:
    cli("-m", "local", "My name is Zacharias. Say hello.")
    result = cli("-c", "What is my name?")
    assert "Zacharias" in result.stdout
    logged = json.loads(cli("logs", "--json", "-n", "2").stdout)
    assert all(row["input_tokens"] and row["output_tokens"] for row in logged)


@pytest.mark.weights
@pytest.mark.usefixtures("own")
def test_the_async_model_answers(home: Path) -> None:
    async def main() -> tuple[str, llm.Usage]:
        response = await llm.get_async_model("local").prompt("Name the capital of Italy.", max_tokens=20)
        return await response.text(), await response.usage()

    text, usage = asyncio.run(main())
    assert "Rome" in text
    assert usage.input > 5


@pytest.mark.weights
@pytest.mark.usefixtures("own")
def test_a_prompt_over_the_window_says_so(home: Path) -> None:
    with pytest.raises(LMCallError, match="too many tokens"):
        llm.get_model("local").prompt("word " * 2_000, window=1_024).text()


@pytest.mark.weights
@pytest.mark.usefixtures("own")
def test_its_twin_answers_about_a_long_text(cli: Run) -> None:
    lines = [f"Entry {n}: nothing happened at the mill, and the mule was fed." for n in range(4_000)]
    lines.insert(3_700, "The secret word of the night watch is quartz.")
    result = cli("-m", "rlm-local", "What is the secret word of the night watch?", input="\n".join(lines))
    assert result.exit_code == 0, result.stderr
    assert "quartz" in result.stdout
    assert len(result.stdout.split()) < 10
    assert "grep" in result.stderr


WHAT = {
    "map": (["rlm", "map", "-m", "rlm-local", "--question", "Which word?", "book.txt", "-o", "out.jsonl"], 1),
    "bench": (
        ["rlm", "bench", "run", "--task", "niah", "-m", "local", "--method", "direct", "--dir", "d"],
        130,
    ),
}


@pytest.mark.weights
@pytest.mark.usefixtures("own")
@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks into /proc for the loaded model")
@pytest.mark.parametrize(("arguments", "code"), WHAT.values(), ids=WHAT)
def test_ctrl_c_waits_for_no_call_of_the_model(tmp_path: Path, arguments: list[str], code: int) -> None:
    """Ended by its calls' own end it would take a minute, and by the interpreter's, crash."""
    (tmp_path / "book.txt").write_text("nothing happened at the mill\n" * 2_000)
    program = "from llm.cli import cli; cli()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    maps = Path(f"/proc/{process.pid}/maps")
    while str(WEIGHTS and WEIGHTS.resolve()) not in maps.read_text():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    time.sleep(2.0)  # the first prompt is being read; or, on a busy machine, the model loaded still
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert process.returncode in (code, -signal.SIGINT), told
    assert "Traceback" not in told
