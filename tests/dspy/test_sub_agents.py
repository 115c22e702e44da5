"""`dspy.Predict` and its like in generated code."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.predict.rlm import RLM as Upstream
from dspy.primitives.local_interpreter import LocalInterpreter

from dspy_rlm import RLM, Limits, RestrictedInterpreter, as_dspy
from rlm_core import ScriptedLM
from rlm_core.journal import Journal
from tests.dspy.scripted import Script, code


class Sub(dspy.BaseLM):
    """A sub-LM that fills every output field that it is asked for, after `delay` seconds."""

    def __init__(self, delay: float = 0.0, **fields: str):
        super().__init__("sub", "chat", 0.0, 1000, False)
        self.fields, self.delay = {"answer": "7", "reasoning": "so", **fields}, delay
        self.sent: list[tuple[Any, dict[str, Any]]] = []

    def __call__(self, prompt: Any = None, messages: Any = None, **kwargs: Any) -> list[str]:
        time.sleep(self.delay)
        self.sent.append((messages or prompt, kwargs))
        if messages is None:
            return ["plain"]
        wanted = [name for name in self.fields if f"[[ ## {name} ## ]]" in messages[0]["content"]]
        return ["\n\n".join(f"[[ ## {name} ## ]]\n{self.fields[name]}" for name in (*wanted,))]

    async def acall(self, prompt: Any = None, messages: Any = None, **kwargs: Any) -> list[str]:
        return self(prompt, messages, **kwargs)


def lookup(word: str) -> str:
    """Looks a word up."""
    return f"{word} is a bird"


def run(*blocks: str, sub: Any = None, listen: Callable[[Any], None] | None = None, **options: Any) -> Any:
    listener = dspy.utils.BaseCallback()
    listener.on_rlm_event = lambda rlm, event: listen(event) if listen else None  # type: ignore[attr-defined]
    with dspy.context(lm=Script(code(*blocks)), callbacks=[listener]):
        return RLM("context -> answer", tools=[lookup], sub_lm=sub or Sub(), **options)(context="abc")


PREDICT = 'import dspy\nprint(dspy.Predict("question -> answer: int")(question="how many?").answer + 1)'


@pytest.mark.parametrize("teaches", [True, False])
def test_a_predictor_works_whether_the_model_was_told_of_it_or_not(teaches: bool) -> None:
    told = Script(code(PREDICT, "SUBMIT('done')"))
    with dspy.context(lm=told):
        prediction = RLM("context -> answer", sub_lm=Sub(), teach_sub_agents=teaches)(context="")
    assert prediction.trajectory[0]["output"] == "8"
    assert ("dspy.Predict" in told.system) == teaches


def test_outputs_are_attributes_and_items_and_signatures_have_instructions_and_types() -> None:
    sub = Sub(answer='["x", "y"]')
    block = """
made = dspy.ChainOfThought(dspy.Signature("question -> answer: list[str]", "Be brief."))
got = made(question="q")
print(got.answer[1], got["reasoning"], got)

class Ask(dspy.Signature):
    "Say it."
    question: str = dspy.InputField(desc="what is asked")
    answer: list[str] = dspy.OutputField()

print(dspy.Predict(Ask, temperature=0.7)(question="q").answer)
"""
    output = run(block, "SUBMIT(1)", sub=sub).trajectory[0]["output"].splitlines()
    assert output == ["y so Prediction(reasoning='so', answer=['x', 'y'])", "['x', 'y']"]
    first, second = (str(messages) for messages, _ in sub.sent)
    assert "Be brief." in first
    assert "Say it." in second
    assert "what is asked" in second
    assert sub.sent[1][1] == {"temperature": 0.7}


def test_a_module_of_the_codes_own_is_built_of_them_and_kept_from_step_to_step() -> None:
    first = """
class Twice(dspy.Module):
    def __init__(self):
        super().__init__()
        self.ask = dspy.Predict("question -> answer: int")

    def forward(self, question):
        return dspy.Prediction(answer=2 * self.ask(question=question).answer)

twice = Twice()
"""
    assert run(first, "SUBMIT(twice(question='q').answer)").answer == "14"


def test_a_react_agent_is_handed_the_callers_tools_and_no_others() -> None:
    class Acting(Sub):
        def __call__(self, prompt: Any = None, messages: Any = None, **kwargs: Any) -> list[Any]:
            if "next_tool_name" not in messages[0]["content"]:
                return super().__call__(prompt, messages, **kwargs)
            looked = "is a bird" in str(messages)
            name, given = ("finish", "{}") if looked else ("lookup", '{"word": "lark"}')
            fields = {"next_thought": "hm", "next_tool_name": name, "next_tool_args": given}
            return ["\n\n".join(f"[[ ## {field} ## ]]\n{value}" for field, value in fields.items())]

    block = """
print(dspy.ReAct("question -> answer", tools=[lookup])(question="lark?").trajectory["observation_0"])
def mine(x): return x
dspy.ReActV2("question -> answer", tools=[mine])(question="lark?")
"""
    output = run(block, "SUBMIT(1)", sub=Acting()).trajectory[0]["output"]
    assert output.startswith("lark is a bird\n")
    assert "'mine' is none of the tools that were given to this run" in output


@pytest.mark.parametrize(
    ("block", "error"),
    [
        ("dspy.Predict('q -> answer', api_base='http://elsewhere')(q='x')", "may not set LM option"),
        ("dspy.Predict('q -> answer: Nonsense')(q='x')", "Nonsense"),
        ("dspy.CodeAct('q -> answer', tools=[], interpreter_factory=3)(q='x')", "interpreter_factory"),
        ("dspy.RLM('context -> answer', sub_lm='gpt')(context='x')", "not ['sub_lm']"),
        ("dspy.RLM('context -> answer')(text='x')", "Unexpected inputs"),
        ("dspy.RLM('context -> answer', max_llm_calls=1)(context='x', tools=lookup)", "lookup"),
        ("dspy.settings", "has no 'settings' here"),
        ("import dspy.clients", "dspy.clients is not available"),
    ],
)
def test_what_code_may_not_do_is_told_to_it(block: str, error: str) -> None:
    prediction = run(block, "SUBMIT('went on')")
    assert error in prediction.trajectory[0]["output"]
    assert prediction.answer == "went on"


# ---- one budget, usage and events


def test_every_lm_call_of_a_sub_agent_is_counted_and_told() -> None:
    events: list[Any] = []
    prediction = run(PREDICT, "SUBMIT(llm_query('x'))", listen=events.append)
    (row,) = prediction.run.usage.of("sub").rows
    assert (row.calls, row.depth, row.model) == (2, 1, "sub")
    told = [event for event in events if type(event).__name__ in ("SubCalling", "SubCalled", "ToolUsed")]
    assert [type(event).__name__ for event in told[:3]] == ["SubCalling", "SubCalled", "ToolUsed"]
    assert told[0].kind == "dspy.Predict"
    assert "how many?" in told[1].prompt
    assert told[1].usage.input > 0


def test_sub_calls_run_out_with_an_error_that_code_can_catch() -> None:
    block = """
try:
    for _ in range(3):
        dspy.Predict("question -> answer")(question="q")
except RuntimeError as error:
    print(error)
"""
    sub = Sub()
    prediction = run(block, "SUBMIT('went on')", sub=sub, max_llm_calls=2)
    assert "0 of 2 left" in prediction.trajectory[0]["output"]
    assert prediction.answer == "went on"
    assert len(sub.sent) == 2


@pytest.mark.parametrize(
    ("limits", "reason"), [(Limits(tokens=2_000), "tokens"), (Limits(seconds=0.6), "seconds")]
)
def test_a_limit_that_ends_the_run_ends_its_sub_agents(limits: Limits, reason: str) -> None:
    sub = Sub(delay=0.3 if reason == "seconds" else 0.0)
    block = 'while True: dspy.Predict("question -> answer")(question="long " * 50)'
    prediction = run(block, sub=sub, limits=limits, max_llm_calls=10_000)
    assert (prediction.run.status, prediction.run.reason) == ("limit", reason)
    sent = len(sub.sent)
    time.sleep(sub.delay * 2)
    assert len(sub.sent) <= sent + 1  # the one under way


def test_recorded_sub_agents_are_in_the_journal(tmp_path: Path) -> None:
    run(PREDICT, "SUBMIT(1)", journal=tmp_path / "j.db")
    journal = Journal(tmp_path / "j.db")
    kinds = [type(event).__name__ for _, _, event in journal.events("")]
    assert kinds.count("SubCalled") == 1
    assert journal.run("")["calls"] == 3


async def test_an_async_run_calls_its_sub_agents_on_the_loop() -> None:
    sub = Sub()
    with dspy.context(lm=Script(code(PREDICT, "SUBMIT('done')"))):
        prediction = await RLM("context -> answer", sub_lm=sub).acall(context="")
    assert prediction.trajectory[0]["output"] == "8"
    assert prediction.run.usage.of("sub").calls == 1


def test_a_dspy_lm_serves_them_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    root = as_dspy(ScriptedLM(code(PREDICT, "SUBMIT('done')")), cache=False)
    sub = as_dspy(ScriptedLM("[[ ## answer ## ]]\n7"), cache=False)
    with dspy.context(lm=root):
        assert RLM("context -> answer", sub_lm=sub)(context="").trajectory[0]["output"] == "8"
    assert [str(warning.message) for warning in recwarn] == []


def test_they_leave_nothing_in_the_trace() -> None:
    trace: list[Any] = []
    with dspy.context(lm=Script(code(PREDICT, "SUBMIT('done')")), trace=trace):
        RLM("context -> answer", sub_lm=Sub())(context="")
    assert len(trace) == 1


# ---- recursive ones


NESTED = """
made = dspy.RLM("context, query -> total: int, names: list[str]", max_iters=3)
got = made(context="a b", query="how many?")
print(got.total + 1, got.names, len(got.trajectory))
"""


class Nested(Sub):
    """Acts as the nested RLM's root, too."""

    def __call__(self, prompt: Any = None, messages: Any = None, **kwargs: Any) -> list[Any]:
        if messages and "Python REPL" in messages[0]["content"]:
            self.sent.append((messages, kwargs))
            seen = sum(message["role"] == "assistant" for message in messages)
            return [code("print(query, llm_query('deep'))", "SUBMIT('2', context.split())")[seen]]
        return super().__call__(prompt, messages, **kwargs)


def test_an_rlm_within_is_a_child_of_the_run_with_a_repl_of_its_own() -> None:
    sub, events = Nested(), list[Any]()
    prediction = run(NESTED, "SUBMIT('done')", sub=sub, listen=events.append)
    assert prediction.trajectory[0]["output"] == "3 ['a', 'b'] 2"
    rows = {(row.role, row.depth): row.calls for row in prediction.run.usage.rows}
    assert rows == {("root", 0): 2, ("child", 1): 2, ("sub", 2): 1}
    assert "how many? plain" in str(sub.sent[-1][0])
    assert "SUBMIT(total=..., names=...)" in sub.sent[0][0][0]["content"]
    assert [event.status for event in events if type(event).__name__ == "Ended"] == ["answered", "answered"]


def test_a_child_without_an_answer_is_an_error_of_its_call() -> None:
    class Mute(Sub):
        def __call__(self, prompt: Any = None, messages: Any = None, **kwargs: Any) -> list[Any]:
            return ["I do not know."]

    prediction = run(NESTED, "SUBMIT('went on')", sub=Mute())
    assert "the dspy.RLM ended without an answer" in prediction.trajectory[0]["output"]
    assert prediction.answer == "went on"


def test_without_sub_calls_there_are_no_sub_agents() -> None:
    prediction = run(PREDICT, "SUBMIT(1)", limits=Limits(depth=0))
    assert "dspy is not available: use llm_query" in prediction.trajectory[0]["output"]


# ---- other interpreters, and upstream's class


@pytest.mark.parametrize(
    ("module", "factory"),
    [(RLM, LocalInterpreter), (Upstream, LocalInterpreter), (Upstream, RestrictedInterpreter)],
)
def test_they_work_alike_on_other_interpreters(module: Any, factory: Any) -> None:
    pytest.importorskip("dspy.primitives.facade", reason="from DSPy 3.4.1 on")
    acting = [{"reasoning": "r", "code": block} for block in (PREDICT, "SUBMIT('done')")]
    with dspy.context(lm=dspy.utils.DummyLM(acting), interpreter_factory=factory):
        prediction = module("context -> answer", sub_lm=Sub())(context="")
    assert prediction.trajectory[0]["output"].strip() == "8"
