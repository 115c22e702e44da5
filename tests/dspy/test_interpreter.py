"""`RestrictedInterpreter`: upstream's CodeInterpreter protocol, and upstream's own modules on it."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import dspy
import pytest
from dspy.predict.rlm import RLM as Upstream
from dspy.primitives.code_interpreter import (
    CodeExecutionError,
    CodeInterpreter,
    CodeInterpreterError,
    FinalOutput,
)
from dspy.utils.dummies import DummyLM

from dspy_rlm import RestrictedInterpreter


@pytest.fixture
def repl() -> Iterator[RestrictedInterpreter]:
    with RestrictedInterpreter() as interpreter:
        yield interpreter


def test_it_is_a_code_interpreter(repl: RestrictedInterpreter) -> None:
    assert isinstance(repl, CodeInterpreter)
    assert isinstance(RestrictedInterpreter.execution_instructions, str)


def test_state_stays_and_output_comes_back(repl: RestrictedInterpreter) -> None:
    assert repl.execute("x = 20") is None
    assert repl.execute("print(x + 1)\nprint('more')") == "21\nmore\n"


def test_variables_are_set_before_the_code(repl: RestrictedInterpreter) -> None:
    moment = datetime.datetime(2026, 1, 2, 3, 4)
    values = {"a": {1, 2}, "b": b"\xff", "c": moment, "d": None, "e": ("x", 1.5), "f": {"k": [1]}}
    assert repl.execute("SUBMIT(f'{sorted(a)} {b} {c:%H:%M} {d} {e} {f}')", values) == FinalOutput(
        {"output": "[1, 2] b'\\xff' 03:04 None ('x', 1.5) {'k': [1]}"}
    )
    repl.execute("a = 5", {"a": 1})
    assert repl.execute("print(a)", {"a": 1}) == "1\n"


def test_submit_takes_the_output_fields() -> None:
    with RestrictedInterpreter(output_fields=[{"name": "n", "type": "int"}, {"name": "why"}]) as repl:
        assert repl.execute("SUBMIT(n=3, why='so')") == FinalOutput({"n": 3, "why": "so"})
        assert repl.execute("SUBMIT(3, 'so')") == FinalOutput({"n": 3, "why": "so"})


def test_errors_are_of_their_kind_and_state_survives_them(repl: RestrictedInterpreter) -> None:
    repl.execute("kept = 1")
    with pytest.raises(SyntaxError):
        repl.execute("x = = 1")
    with pytest.raises(CodeExecutionError, match="ZeroDivisionError"):
        repl.execute("1 / 0")
    with pytest.raises(CodeExecutionError, match=r"(?s)seen.*NameError"):
        repl.execute("print('seen')\nnope")
    assert repl.execute("print(kept)") == "1\n"


def test_a_timeout_stops_the_code_and_keeps_the_variables() -> None:
    with RestrictedInterpreter(execution_timeout=0.3) as repl:
        repl.execute("kept = 1")
        with pytest.raises(CodeExecutionError, match="TimeoutError"):
            repl.execute("while True: pass")
        assert repl.execute("print(kept)") == "1\n"


def test_tools_sync_async_positional_named_and_changing() -> None:
    async def later(x: int, by: int = 1) -> int:
        return x + by

    def fail() -> None:
        raise LookupError("nothing there")

    with RestrictedInterpreter(tools={"later": later, "fail": fail}) as repl:
        assert repl.execute("print(later(1), later(x=1, by=2))") == "2 3\n"
        with pytest.raises(CodeExecutionError, match="nothing there"):
            repl.execute("fail()")
        repl.tools["new"] = lambda x: x * 2
        assert repl.execute("print(new(4))") == "8\n"
        repl.tools["new"] = lambda x: x * 3
        assert repl.execute("print(new(4))") == "12\n"


def test_it_is_locked(repl: RestrictedInterpreter) -> None:
    for code in ("open('/etc/passwd')", "import subprocess", "().__class__.__subclasses__()"):
        with pytest.raises((CodeExecutionError, SyntaxError)):
            repl.execute(code)


def test_after_shutdown_it_is_over() -> None:
    repl = RestrictedInterpreter()
    repl.execute("x = 1")
    repl.shutdown()
    repl.shutdown()
    with pytest.raises(CodeInterpreterError, match="shut down"):
        repl.execute("print(x)")


@pytest.mark.parametrize(("code", "variables"), [(3, None), ("1", {"no name": 1}), ("1", {"class": 1})])
def test_wrong_arguments_are_host_side_errors(repl: RestrictedInterpreter, code: Any, variables: Any) -> None:
    with pytest.raises(CodeInterpreterError):
        repl.execute(code, variables)


# ---- upstream's own modules


def test_upstreams_rlm_runs_on_it() -> None:
    def shout(text: str) -> str:
        return text.upper()

    lm = DummyLM(
        [
            {"reasoning": "r", "code": "print(shout(context))\nprint(llm_query('hey'))"},
            {"answer": "said"},
            {"reasoning": "r", "code": "SUBMIT(answer=context)"},
        ]
    )
    with dspy.context(lm=lm, interpreter_factory=RestrictedInterpreter):
        prediction = Upstream("context -> answer", tools=[shout])(context="abc")
    assert prediction.answer == "abc"
    assert prediction.trajectory[0]["output"].startswith("ABC\n[[ ## answer ## ]]\nsaid")


def double(n: int) -> int:
    """Doubles a number."""
    return 2 * n


@pytest.mark.parametrize("kind", ["ProgramOfThought", "CodeAct"])
def test_upstreams_other_coding_modules_run_on_it(kind: str) -> None:
    if not hasattr(dspy, kind):
        pytest.skip(f"this dspy has no {kind}")

    replies: list[dict[str, Any]]
    if kind == "ProgramOfThought":
        replies = [
            {"reasoning": "r", "generated_code": "```python\nSUBMIT({'answer': 6 * 7})\n```"},
            {"reasoning": "r", "answer": "42"},
        ]
        module = dspy.ProgramOfThought("question -> answer", interpreter_factory=RestrictedInterpreter)
    else:
        replies = [
            {"generated_code": "```python\nprint(double(21))\n```", "finished": "True"},
            {"reasoning": "r", "answer": "42"},
        ]
        module = dspy.CodeAct("question -> answer", tools=[double], interpreter_factory=RestrictedInterpreter)
    lm = DummyLM(replies)
    with dspy.context(lm=lm):
        assert module(question="what is it?").answer == "42"
    assert "42" in str(lm.history[-1]["messages"][-1])
