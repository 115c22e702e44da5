"""What the plugin costs llm at every start.  Counted, not timed: counts do not wobble."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import llm

from llm_rlm import family

ROOT = Path(__file__).parents[2]


def loaded(statements: str) -> set[str]:
    """The modules that a new interpreter loads by `statements` beyond those of llm's own command line."""
    code = f"""
import json, sys
sys.path.insert(0, {str(ROOT)!r})
import llm, llm.cli
from llm.plugins import pm
before = set(sys.modules)
{statements}
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


START = """
import llm_rlm
pm.is_registered(llm_rlm) or pm.register(llm_rlm)
llm_rlm.register_commands(llm.cli.cli)
models = llm.get_models()
llm.get_fragment_loaders()
assert any(model.model_id == "rlm-gpt-4o" for model in models)
"""


def test_starting_llm_loads_our_thin_modules_and_nothing_else(monkeypatch: Any) -> None:
    monkeypatch.setenv("LLM_LOAD_PLUGINS", "")  # so that `before` is llm without us
    thin = {"llm_rlm"} | {
        f"llm_rlm.{name}"
        for name in ("commands", "dollars", "family", "loader", "local_model", "map", "runs")
    }
    assert loaded(START) == thin


def test_options_are_built_only_for_the_model_that_is_used(monkeypatch: Any) -> None:
    monkeypatch.setenv("LLM_LOAD_PLUGINS", "")
    assert "llm_rlm.options" in loaded(START + "llm.get_model('rlm-gpt-4o').Options")


class Pair:
    def __init__(self, n: int):
        self.model = type("M", (), {"model_id": f"m{n}"})()
        self.async_model = None
        self.aliases = [f"alias-{n}"]


def calls_to_register(count: int) -> int:
    """Calls of functions that registering the twins of `count` models takes."""
    pairs = [Pair(n) for n in range(count)]
    registered: list[Any] = []
    calls = 0

    def profile(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        family.register(lambda *models, aliases=(): registered.append(models), pairs)
    finally:
        sys.setprofile(None)
    assert len(registered) == count + 2  # glm-4.7 and rlm
    return calls


def test_registering_a_twin_takes_a_handful_of_calls() -> None:
    calls_to_register(10)
    each = (calls_to_register(210) - calls_to_register(10)) / 200
    assert each <= 15


def test_a_hundred_models_make_no_classes() -> None:
    before = len(llm.Options.__subclasses__())
    calls_to_register(100)
    assert len(llm.Options.__subclasses__()) == before
