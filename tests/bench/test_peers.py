"""The peers' own engines over our models; skipped where a package is not installed."""

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rlm_bench import tasks
from rlm_bench.methods import MethodFailed, Outcome, Setting, Settings, perform
from rlm_core.lms import LMCallError, ScriptedLM


def sample(**params):
    return tasks.get("niah").sample(**{"size": 20_000, **params})


FIND = "import re\nfound = re.search(r'magic numbers for \\S+ is: (\\d+)', context)[1]"


def by(name: str, lm: ScriptedLM, sub: ScriptedLM | None = None, **settings) -> Outcome:
    return perform(name, sample(), Setting(lm, sub or lm, Settings(**settings)))


# ---- the official package


READY = "```repl\nanswer['content'] = found\nanswer['ready'] = True\n```"


@pytest.fixture
def official():
    pytest.importorskip("rlm.core.rlm", reason="needs the package rlms")


def test_the_official_package_answers_over_our_model_and_its_calls_are_counted(official):
    lm = ScriptedLM([f"```repl\n{FIND}\nprint(found)\n```", READY], price=0.25)
    outcome = by("rlms", lm)
    assert (outcome.status, outcome.answer) == ("answered", sample().answer)
    assert outcome.usage.of("root").calls == 2
    assert outcome.usage.cost == 0.5
    assert sample().query in str(lm.calls[0])


def test_the_official_packages_sub_calls_go_to_the_sub_model(official):
    sub = ScriptedLM("seven")
    ask = "```repl\nfound = llm_query('which? ' + context[:50])\nprint(found)\n```"
    root = ScriptedLM([ask, READY])
    outcome = by("rlms", root, sub)
    assert outcome.answer == "seven"
    assert outcome.usage.of("sub").calls == 1
    assert outcome.usage.of("root").calls == 2


def test_the_official_package_ends_at_the_limit_of_iterations(official):
    outcome = by("rlms", ScriptedLM("```repl\nprint(1)\n```"), iterations=3)
    assert outcome.usage.of("root").calls == 4  # the last asks for an answer
    assert outcome.status == "answered"


def test_the_official_packages_limit_of_time_is_a_timeout(official):
    slow = ScriptedLM("```repl\nprint(1)\n```", delay=0.05)
    outcome = by("rlms", slow, seconds=0.12)
    assert outcome.status == "timeout"
    assert "0.1s limit" in outcome.reason


def test_a_server_that_is_away_is_an_error_of_the_official_package_too(official):
    outcome = by("rlms", ScriptedLM(LMCallError("the server is away", "unreachable")))
    assert (outcome.status, outcome.reason) == ("error", "the server is away")


def test_the_official_package_asks_by_turns_as_llms_models_are_asked(official):
    lm = ScriptedLM("```repl\nprint(1)\n```")
    by("rlms", lm, iterations=2)
    for call in lm.calls:
        roles = [message["role"] for message in call if message["role"] != "system"]
        assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]


def test_the_official_package_changes_its_process_for_one_sample_at_a_time(official):
    found, cwd = f"```repl\n{FIND}\nimport time; time.sleep(0.02); print(found)\n```", Path.cwd()
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda _: by("rlms", ScriptedLM([found, READY])), range(6)))
    assert {(one.status, one.answer) for one in made} == {("answered", sample().answer)}
    assert Path.cwd() == cwd


def test_what_the_official_package_raises_is_an_error_of_the_sample(official, monkeypatch):
    from rlm_bench import peers

    def lost(*args, **kwargs):
        raise FileNotFoundError("its folder is gone")

    monkeypatch.setattr(peers.official.RLM, "completion", lost)
    outcome = by("rlms", ScriptedLM("7"))
    assert (outcome.status, outcome.reason) == ("error", "FileNotFoundError: its folder is gone")


def test_without_the_official_package_its_method_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "rlm.utils.exceptions", None)
    with pytest.raises(MethodFailed, match="pip install rlms"):
        by("rlms", ScriptedLM("7"))


# ---- upstream's dspy.RLM


@pytest.fixture
def dspy(monkeypatch):
    """In our sandbox: Deno fetches what upstream's own interpreter needs."""
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name, *args: None if name == "deno" else which(name, *args))
    return pytest.importorskip("dspy")


def said(code: str) -> str:
    return (
        f"[[ ## reasoning ## ]]\nI look.\n\n[[ ## code ## ]]\n```python\n{code}\n```\n\n[[ ## completed ## ]]"
    )


def test_upstreams_module_answers_over_our_model_and_its_calls_are_counted(dspy):
    lm = ScriptedLM([said(f"{FIND}\nprint(found)"), said("SUBMIT(found)")])
    outcome = by("dspy", lm)
    assert (outcome.status, outcome.answer) == ("answered", sample().answer)
    assert outcome.usage.of("root").calls == 2
    assert "magic" in outcome.steps[0]["code"]


def test_upstreams_sub_calls_go_to_the_sub_model(dspy):
    sub = ScriptedLM("seven")
    outcome = by("dspy", ScriptedLM([said("SUBMIT(llm_query('which?'))")]), sub)
    assert outcome.answer == "seven"
    assert outcome.usage.of("sub").calls == 1


def test_what_upstream_cannot_read_is_the_models_failure_and_an_outage_is_not(dspy):
    assert by("dspy", ScriptedLM("no fields at all"), iterations=2).status == "gave_up"
    outcome = by("dspy", ScriptedLM(LMCallError("the server is away", "unreachable")))
    assert outcome.status == "error"
    assert "the server is away" in outcome.reason
