"""`RLM` as what it takes the place of: arguments, attributes, inputs, outputs, predictors, errors."""

from __future__ import annotations

import enum
import inspect
import threading
from types import SimpleNamespace
from typing import Any, ClassVar, Literal

import dspy
import pydantic
import pytest
from dspy.predict.rlm import RLM as Upstream
from dspy.primitives.code_interpreter import CodeExecutionError, CodeInterpreterError, FinalOutput
from dspy.utils.dummies import DummyLM
from dspy.utils.exceptions import AdapterParseError

from dspy_rlm import RLM, install
from rlm_core import ContextError, Limits
from tests.dspy.scripted import Script, code


class Mock:
    """An interpreter that answers each step with the next of its results."""

    made: ClassVar[list[Mock]] = []

    def __init__(self, results: list[Any]):
        self.tools: dict[str, Any] = {}
        self.threads: set[int] = set()
        self.results, self.calls, self.closed = list(results), [], False
        Mock.made.append(self)

    def start(self) -> None: ...

    def execute(self, code: str, variables: dict[str, Any] | None = None) -> Any:
        self.threads.add(threading.get_ident())
        self.calls.append((code, variables))
        result = self.results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result(self.tools) if callable(result) else result

    def shutdown(self) -> None:
        self.closed = True


def run(rlm: RLM, *blocks: str, answers: Any = "", **inputs: Any) -> Any:
    lm = Script(code(*blocks), answers)
    with dspy.context(lm=lm):
        prediction = rlm(**inputs)
    prediction.__dict__["lm"] = lm
    return prediction


# ---- arguments


def test_the_arguments_are_upstreams_in_order_and_default_but_for_the_sandbox() -> None:
    ours = list(inspect.signature(RLM.__init__).parameters.values())
    theirs = list(inspect.signature(Upstream.__init__).parameters.values())
    for mine, other in zip(ours, theirs, strict=False):
        assert mine.name == other.name
        assert mine.kind == other.kind
        if mine.name != "interpreter_factory":
            assert mine.default == other.default
    assert all(mine.kind is mine.KEYWORD_ONLY for mine in ours[len(theirs) :])


def test_attributes_are_what_was_given() -> None:
    def look(x: str) -> str:
        return x

    rlm = RLM("context, query -> answer", 7, 11, 500, True, [look])
    assert (rlm.max_iters, rlm.max_llm_calls, rlm.max_output_chars, rlm.verbose) == (7, 11, 500, True)
    assert list(rlm.tools) == ["look"]
    assert isinstance(rlm.tools["look"], dspy.Tool)
    assert list(rlm.signature.output_fields) == ["answer"]
    assert [name for name, _ in rlm.named_predictors()] == ["generate_action", "extract"]


@pytest.mark.parametrize(
    "name", ["llm_query", "llm_query_batched", "SUBMIT", "print", "dspy", "_dspy_x", "__dspy_y"]
)
def test_reserved_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="conflicts with built-in sandbox function"):
        RLM("context -> answer", tools=[dspy.Tool(lambda: 1, name=name)])
    if not name.startswith("_"):
        with pytest.raises(ValueError, match="Input fields conflict"):
            RLM(f"{name} -> answer")


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        ("interpreter_factory -> answer", "reserved for RLM runtime configuration"),
        ("context -> trajectory", "conflict with RLM result metadata"),
        ("context -> final_reasoning", "conflict with RLM result metadata"),
    ],
)
def test_reserved_fields_are_refused(signature: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RLM(signature)


def test_tools_are_a_list_of_callables() -> None:
    def find() -> None: ...

    with pytest.raises(TypeError, match="must be a list, not a dict"):
        RLM("context -> answer", tools={"find": find})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="must be callable"):
        RLM("context -> answer", tools=["find"])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="Duplicate tool name"):
        RLM("context -> answer", tools=[find, find])
    with pytest.raises(ValueError, match="Input fields conflict with user tools"):
        RLM("find -> answer", tools=[find])
    with pytest.raises(ValueError, match="must be a valid Python identifier"):
        RLM("context -> answer", tools=[dspy.Tool(find, name="not a name")])


def test_limits_that_have_an_argument_of_their_own_are_refused() -> None:
    from dspy_rlm import Limits

    with pytest.raises(ValueError, match="give max_iters="):
        RLM("context -> answer", limits=Limits(iterations=3))
    assert RLM("context -> answer", limits=Limits(cost=1.0)).limits.cost == 1.0


# ---- inputs


def test_inputs_that_are_missing_or_not_declared() -> None:
    rlm = RLM("context, query -> answer")
    with pytest.raises(ValueError, match=r"Missing required inputs: \['query'\]"):
        rlm(context="x")
    with pytest.raises(ValueError, match=r"Unexpected inputs not declared in the signature: \['extra'\]"):
        rlm(context="x", query="y", extra="z")


def test_every_input_is_a_variable_of_its_name() -> None:
    rlm = RLM("docs: list[str], table: dict, limit: int, query -> answer")
    block = "SUBMIT(f'{docs[1]} {table[\"a\"]} {limit + 1} {query}')"
    assert run(rlm, block, docs=["x", "y"], table={"a": 5}, limit=3, query="why?").answer == "y 5 4 why?"


class Colour(enum.Enum):
    RED = "red"


class Person(pydantic.BaseModel):
    name: str
    age: int = 0


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ({1, 2}, "set {1, 2}"),
        (b"\xff\x00", "bytes b'\\xff\\x00'"),
        (None, "NoneType None"),
        (("a", 1), "tuple ('a', 1)"),
        (Person(name="Ann"), "dict {'name': 'Ann', 'age': 0}"),
        ([Person(name="Bo", age=2)], "list [{'name': 'Bo', 'age': 2}]"),
        (Colour.RED, "str 'red'"),
        (dspy.Example(a=1), "dict {'a': 1}"),
        (dspy.Image(url="https://x.org/y.png"), "dict {'url': 'https://x.org/y.png'}"),
    ],
)
def test_values_that_are_no_text_cross(value: Any, seen: str) -> None:
    assert (
        run(RLM("thing -> answer"), "SUBMIT(type(thing).__name__ + ' ' + repr(thing))", thing=value).answer
        == seen
    )


ROUND: list[Any] = [1]
ROUND.append({"again": (ROUND,)})


@pytest.mark.parametrize(("thing", "why"), [(object(), "is a object"), (ROUND, "or holds itself")])
def test_what_cannot_cross_is_refused_before_anything_is_sent(thing: Any, why: str) -> None:
    lm = Script([])
    with dspy.context(lm=lm), pytest.raises(ContextError, match=why):
        RLM("thing -> answer")(thing=thing)
    assert lm.sent == []


# ---- outputs


class Sum(dspy.Signature):
    """Add up the amounts."""

    context: str = dspy.InputField(desc="a ledger")
    total: float = dspy.OutputField(desc="the sum")
    kind: Literal["debit", "credit"] = dspy.OutputField()
    people: list[Person] = dspy.OutputField()


def test_typed_outputs_are_checked_converted_and_their_errors_fed_back() -> None:
    rlm = RLM(Sum)
    prediction = run(
        rlm,
        "SUBMIT(total='many', kind='debit', people=[])",
        "SUBMIT(total='3.5', kind='debit', people=[{'name': 'Ann'}])",
        context="...",
    )
    assert prediction.total == 3.5
    assert prediction.people == [Person(name="Ann")]
    assert "total: expected float, got str" in prediction.lm.sent[1][-1]["content"]
    assert "`total` (float): the sum" in prediction.lm.system
    assert "a ledger" in prediction.lm.system
    assert "Add up the amounts." in prediction.lm.system


def test_the_prediction_has_the_fields_the_trajectory_and_the_run() -> None:
    prediction = run(RLM("context -> answer"), "print(len(context))", "SUBMIT(context[:2])", context="abc")
    assert prediction.keys() == ["answer", "trajectory", "final_reasoning"]
    assert prediction.trajectory[0] == {"reasoning": "", "code": "print(len(context))", "output": "3"}
    assert prediction.trajectory[1]["output"] == "FINAL: {'answer': 'ab'}"
    assert prediction.run.status == "answered"
    assert prediction.run.usage.of("root").calls == 2


def test_code_that_a_limit_cut_off_is_the_last_step() -> None:
    rlm = RLM("context -> answer", limits=Limits(tokens=30_000))
    prediction = run(rlm, "x = len(context)", "SUBMIT(llm_query('?'))", answers="x" * 200_000, context="abc")
    assert [step["code"] for step in prediction.trajectory] == ["x = len(context)", "SUBMIT(llm_query('?'))"]
    assert "before its end: the run reached its limit of tokens" in prediction.trajectory[-1]["output"]


def test_not_found_leaves_the_fields_none() -> None:
    prediction = run(RLM("context -> answer, page: int"), "NOT_FOUND('no such thing')", context="abc")
    assert (prediction.answer, prediction.page) == (None, None)
    assert (prediction.run.status, prediction.run.reason) == ("not_found", "no such thing")
    assert prediction.trajectory[-1]["output"] == "NOT_FOUND: no such thing"


# ---- predictors


def test_replaced_predictors_are_looked_up_each_step_and_called_with_keywords() -> None:
    rlm = RLM("context -> answer", max_iters=2)
    seen: list[dict[str, Any]] = []

    def second(**kwargs: Any) -> Any:
        return SimpleNamespace(reasoning="", code="y = 2")

    def first(**kwargs: Any) -> Any:
        seen.append(kwargs)
        rlm.generate_action = second
        return SimpleNamespace(reasoning="so", code="```python\nx = 1\n```")

    rlm.generate_action = first
    rlm.extract = lambda **kwargs: seen.append(kwargs) or SimpleNamespace(answer="extracted")
    prediction = rlm(context="abc")
    assert prediction.answer == "extracted"
    assert [step["code"] for step in prediction.trajectory] == ["x = 1", "y = 2"]
    assert prediction.final_reasoning == "Extract forced final output"
    assert {"variables_info", "repl_history", "iteration", "signature"} == set(seen[0])
    assert set(seen[1]) == {"variables_info", "repl_history"}
    assert len(seen[1]["repl_history"]) == 2


async def test_acall_is_used_where_there_is_one() -> None:
    class Acting:
        async def acall(self, **kwargs: Any) -> Any:
            return SimpleNamespace(reasoning="", code="SUBMIT(context)")

    rlm = RLM("context -> answer")
    rlm.generate_action = Acting()
    assert (await rlm.acall(context="abc")).answer == "abc"


def test_extract_answers_when_the_iterations_are_used_up() -> None:
    lm = DummyLM([{"reasoning": "r", "code": "print(1)"}, {"answer": "7"}])
    with dspy.context(lm=lm):
        prediction = RLM("context -> answer: int", max_iters=1)(context="abc")
    assert prediction.answer == 7
    assert prediction.run.status == "limit"
    assert len(prediction.trajectory) == 1


def test_no_value_of_another_type_is_ever_in_a_field() -> None:
    """All submissions are of a wrong type, and so is what `extract` says."""
    lm = Script([*code("SUBMIT('abc')", "SUBMIT(['abc'])"), "no number", "no number"])
    with dspy.context(lm=lm), pytest.raises(AdapterParseError) as raised:
        RLM("context -> n: int", max_iters=2)(context="a")
    assert raised.value.partial.n is None


def test_an_output_field_may_be_called_as_what_a_prediction_has_beside_them() -> None:
    prediction = run(RLM("context -> run, contract"), "SUBMIT('a', 'b')", context="abc")
    assert (prediction.run, prediction.contract) == ("a", "b")


# ---- tools


def add(a: int, b: int = 1) -> int:
    """Adds two numbers."""
    return a + b


async def aadd(a: int, b: int = 1) -> int:
    return a + b


@pytest.mark.parametrize("tool", [add, aadd])
@pytest.mark.parametrize("call", ["(2, 3)", "(a=2, b=3)", "(2, b=3)"])
def test_tools_sync_or_async_positional_or_by_name(tool: Any, call: str) -> None:
    rlm = RLM("context -> answer: int", tools=[tool])
    prediction = run(rlm, f"x = {tool.__name__}{call}\nSUBMIT(x)", context="")
    assert prediction.answer == 5


async def test_async_tools_are_awaited_on_the_loop() -> None:
    rlm = RLM("context -> answer: int", tools=[aadd])
    with dspy.context(lm=Script(code("x = aadd(2, 3)\nSUBMIT(x)"))):
        assert (await rlm.acall(context="")).answer == 5


def test_the_contract_names_the_tools_as_they_are_now() -> None:
    prediction = run(RLM("context -> answer", tools=[add]), "SUBMIT(1)", context="")
    assert "add(a: int, b: int = 1) -> int: Adds two numbers." in prediction.lm.system


# ---- interpreters


def factory(*results: Any) -> Any:
    return lambda: Mock(list(results))


def test_the_call_goes_before_the_constructor_before_the_settings() -> None:
    done = FinalOutput({"answer": "x"})
    ours = RLM("context -> answer")
    theirs = RLM("context -> answer", interpreter_factory=factory(FinalOutput({"answer": "constructor"})))
    with dspy.context(interpreter_factory=factory(FinalOutput({"answer": "settings"}))):
        assert run(ours, "1", context="").answer == "settings"
        assert run(theirs, "1", context="").answer == "constructor"
        assert run(theirs, "1", context="", interpreter_factory=factory(done)).answer == "x"


def test_one_interpreter_a_call_which_is_shut_down_on_every_path() -> None:
    for result in (FinalOutput({"answer": 1}), CodeInterpreterError("gone"), ValueError("bug")):
        Mock.made.clear()
        rlm = RLM("context -> answer", interpreter_factory=factory(result))
        if isinstance(result, Exception):
            with pytest.raises(type(result)) as caught:
                run(rlm, "1", context="")
            assert [step["code"] for step in caught.value.partial.trajectory] == ["1"]
        else:
            run(rlm, "1", context="")
        assert [mock.closed for mock in Mock.made] == [True]


def test_a_foreign_interpreter_goes_through_its_protocol() -> None:
    def query(tools: dict[str, Any]) -> Any:
        return [tools["llm_query"](prompt="a"), *tools["llm_query_batched"](["b", "c"])]

    results = [CodeExecutionError("NameError: x"), SyntaxError("bad"), "printed", None, query]
    rlm = RLM("context -> answer", interpreter_factory=factory(*results, FinalOutput({"answer": "z"})))
    prediction = run(rlm, *"123456", context="abc", answers=str.upper)
    outputs = [step["output"] for step in prediction.trajectory]
    assert "NameError: x" in outputs[0]
    assert outputs[0].startswith("[Error]")
    assert "bad" in outputs[1]
    assert outputs[2:5] == ["printed", "(no output - did you forget to print?)", "A\nB\nC"]
    assert prediction.answer == "z"
    assert [variables for _, variables in Mock.made[-1].calls] == [{"context": "abc"}] + [{}] * 5
    assert "grep" not in prediction.lm.system
    assert len(Mock.made[-1].threads) == 1  # as upstream's PythonInterpreter demands


def test_a_factory_that_is_none_is_refused() -> None:
    with pytest.raises(TypeError, match="interpreter_factory"):
        RLM("context -> answer", interpreter_factory=Mock([]))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="interpreter_factory"):
        RLM("context -> answer")(context="", interpreter_factory=3)  # type: ignore[arg-type]


# ---- in place of upstream's


def test_install_makes_it_dspys_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for owner in (dspy, dspy.predict, dspy.predict.rlm):
        monkeypatch.setattr(owner, "RLM", Upstream)
    install()
    assert dspy.RLM is dspy.predict.RLM is RLM


def test_set_lm_reaches_sub_calls_and_a_deep_copy_shares_the_sub_lm() -> None:
    lm = Script(code("SUBMIT(llm_query('q'))"), answers="from the set one")
    rlm = RLM("context -> answer")
    rlm.set_lm(lm)
    assert rlm(context="").answer == "from the set one"
    sub = Script([], answers="from the sub-LM")
    copied = RLM("context -> answer", sub_lm=sub).deepcopy()
    assert copied.sub_lm is sub
    assert run(copied, "SUBMIT(llm_query('q'))", context="").answer == "from the sub-LM"


def test_no_lm_at_all_is_said() -> None:
    with pytest.raises(ValueError, match="No LM is loaded"):
        RLM("context -> answer")(context="x")
