"""The Python of the pages on DSPy runs as it is printed, one block after the other."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dspy
import dspy.predict
import dspy.predict.rlm
import pytest

from dspy_rlm import RLM
from tests.dspy.scripted import Script, code
from tests.dspy.test_optimizers import Model

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


class Provided(Model):
    def __init__(self, name: str):
        super().__init__()


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """In a folder of its own; what a page configures ends with its test, and no provider is called."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RLM_HOME", str(tmp_path))
    monkeypatch.setattr(dspy, "LM", Provided)
    with contextlib.ExitStack() as stack, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the worked examples in an exported file
        monkeypatch.setattr(dspy, "configure", lambda **given: stack.enter_context(dspy.context(**given)))
        yield


def test_the_migration_page(
    configured: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in (dspy, dspy.predict, dspy.predict.rlm):
        monkeypatch.setattr(module, "RLM", module.RLM)  # so that `install` ends with this test
    (tmp_path / "huge.txt").write_text("Anna repaired the organ.")
    first, install, interpreter, in_repl, told = blocks("dspy-migration.md")
    names: dict[str, Any] = {"dspy": dspy}
    dspy.configure(lm=Script(code("SUBMIT(context.split()[0])")))
    exec(first, names)
    assert capsys.readouterr().out == "Anna answered 1\n"
    for block in (install, interpreter, told):
        exec(block, names)
    assert dspy.RLM is RLM

    def fields(**given: Any) -> str:
        said = "\n\n".join(f"[[ ## {name} ## ]]\n{value}" for name, value in given.items())
        return f"{said}\n\n[[ ## completed ## ]]"

    lm = Script(
        [
            *code(f"piece, pieces = context, [context]\n{in_repl}\nSUBMIT(f'{{names}} {{total}}')"),
            fields(reasoning="r", names='["Anna"]'),
            *code("SUBMIT(1)"),
        ]
    )
    with dspy.context(lm=lm):
        assert RLM("context -> answer")(context="Anna and the organ").answer == "['Anna'] 1"


def test_the_optimizing_page(configured: None, tmp_path: Path) -> None:
    text = "nothing of note\n" * 200 + "the code of anna is 5151\n"
    bootstrap, gepa, recorded = blocks("optimizing.md")
    names: dict[str, Any] = {"my_questions": [(text, "What is the code of anna?", "5151")] * 2}
    exec(bootstrap, names)
    assert names["better"].generate_action.demos
    assert (tmp_path / "mine.json").exists()
    exec(gepa, names)
    RLM("context, query -> answer", journal=tmp_path / "journal.db")(context=text, query="the code of anna")
    exec(recorded, names)
    assert names["trainset"] == []  # that run was DSPy's
