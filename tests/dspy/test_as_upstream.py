"""What programs written for `dspy.RLM` rely on, asked of both classes: what is true of upstream's is true of
ours."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from importlib.util import find_spec
from typing import Any, Literal

import dspy
import pydantic
import pytest
from dspy.adapters.types.decision import Score
from dspy.predict.rlm import RLM as Upstream
from dspy.primitives.code_interpreter import CodeExecutionError, CodeInterpreterError, FinalOutput
from dspy.primitives.local_interpreter import LocalInterpreter
from dspy.primitives.sandbox_serializable import SandboxSerializable
from dspy.utils.dummies import DummyLM
from processes import eventually

from dspy_rlm import RLM

SUB_AGENTS = ("dspy", "_dspy_x") if find_spec("dspy.primitives.facade") else ()
"""Names that upstream reserves from 3.4.1 on."""


class Scripted:
    """An interpreter that gives its results in order, or what a function of code and variables gives."""

    def __init__(self, *results: Any):
        self.results, self.tools, self.ran, self.closed = list(results), dict[str, Any](), list[Any](), False

    def start(self) -> None:
        pass

    def execute(self, code: str, variables: dict[str, Any] | None = None) -> Any:
        if "_dspy" in code:  # upstream's set-up of sub-agents
            return None
        self.ran.append((code, variables))
        result = self.results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result(self.tools) if callable(result) else result

    def shutdown(self) -> None:
        self.closed = True


class Factory:
    """A factory whose interpreters give these results."""

    def __init__(self, *results: Any):
        self.results, self.made = results, list[Scripted]()

    def __call__(self) -> Scripted:
        self.made.append(Scripted(*self.results))
        return self.made[-1]


class Acting:
    """In the place of `generate_action` or `extract`: these predictions in order."""

    def __init__(self, *steps: Any):
        self.steps = list(steps)

    def __call__(self, **kwargs: Any) -> Any:
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return dspy.Prediction(**(step if isinstance(step, dict) else {"reasoning": "so", "code": step}))

    async def acall(self, **kwargs: Any) -> Any:
        return self(**kwargs)


@pytest.fixture(params=[Upstream, RLM], ids=["upstream", "ours"])
def cls(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=["forward", "aforward"])
def call(request: pytest.FixtureRequest) -> Any:
    """Calls a module, sync or async."""
    if request.param == "forward":
        return lambda rlm, **inputs: rlm(**inputs)
    return lambda rlm, **inputs: asyncio.run(rlm.acall(**inputs))


def on(cls: Any, signature: Any, *results: Any, steps: int = 0, **options: Any) -> Any:
    """A module on scripted results, whose `generate_action` has a step for each."""
    rlm = cls(signature, interpreter_factory=Factory(*results), **options)
    rlm.generate_action = Acting(*[f"step({number})" for number in range(steps or len(results))])
    return rlm


def local(cls: Any, signature: Any, **options: Any) -> Any:
    return cls(signature, interpreter_factory=LocalInterpreter, **options)


def dummy(*codes: Any) -> DummyLM:
    return DummyLM([code if isinstance(code, dict) else {"reasoning": "so", "code": code} for code in codes])


# ---- construction


def test_arguments_have_the_same_names_order_and_defaults() -> None:
    theirs = list(inspect.signature(Upstream.__init__).parameters.values())
    ours = list(inspect.signature(RLM.__init__).parameters.values())
    assert [(p.name, p.kind) for p in ours[: len(theirs)]] == [(p.name, p.kind) for p in theirs]
    assert [p.default for p in ours[1 : len(theirs) - 1]] == [p.default for p in theirs[1:-1]]
    assert all(p.kind is p.KEYWORD_ONLY for p in ours[len(theirs) :])


def test_attributes(cls: Any) -> None:
    def lookup(x: str) -> str:
        return x

    sub_lm = DummyLM([])
    rlm = cls("document, question -> summary, facts: list[str]", 5, 7, 9, True, [lookup], sub_lm)
    assert (rlm.max_iters, rlm.max_llm_calls, rlm.max_output_chars, rlm.verbose) == (5, 7, 9, True)
    assert rlm.sub_lm is sub_lm
    assert list(rlm.tools) == ["lookup"]
    assert isinstance(rlm.tools["lookup"], dspy.Tool)
    assert list(rlm.signature.input_fields) == ["document", "question"]
    assert [name for name, _ in rlm.named_predictors()] == ["generate_action", "extract"]
    action, extract = rlm.generate_action.signature, rlm.extract.signature
    assert list(action.input_fields) == ["variables_info", "repl_history", "iteration"]
    assert list(action.output_fields) == ["reasoning", "code"]
    assert list(extract.input_fields) == ["variables_info", "repl_history"]
    assert list(extract.output_fields) == ["summary", "facts"]


def tool(name: str) -> dspy.Tool:
    return dspy.Tool(lambda: "x", name=name, desc="")


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"tools": [tool("no-name")]}, ValueError, "must be a valid Python identifier"),
        ({"tools": [tool("for")]}, ValueError, "not a keyword"),
        *[
            ({"tools": [tool(name)]}, ValueError, "conflicts with built-in")
            for name in ("llm_query", "llm_query_batched", "SUBMIT", "print", *SUB_AGENTS)
        ],
        ({"tools": ["text"]}, TypeError, "must be callable"),
        ({"tools": {"x": tool("x")}}, TypeError, "tools must be a list, not a dict"),
        ({"tools": [tool("x"), tool("x")]}, ValueError, "Duplicate tool name 'x'"),
        ({"tools": [tool("context")]}, ValueError, "Input fields conflict with user tools"),
        ({"signature": "print -> answer"}, ValueError, "Input fields conflict with built-in sandbox"),
        ({"signature": "interpreter_factory -> answer"}, ValueError, "reserved for RLM runtime"),
        ({"signature": "context -> trajectory"}, ValueError, "conflict with RLM result metadata"),
        ({"signature": "context -> final_reasoning"}, ValueError, "conflict with RLM result metadata"),
        ({"interpreter_factory": Scripted()}, TypeError, "interpreter_factory"),
        ({"interpreter": Scripted()}, TypeError, "unexpected keyword argument 'interpreter'"),
    ],
)
def test_what_is_refused_at_construction(cls: Any, arguments: dict[str, Any], error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        cls(**{"signature": "context -> answer", **arguments})


def test_decisions_as_outputs_are_warned_of(cls: Any) -> None:
    with pytest.warns(UserWarning, match="Noul, Choice, and Score"):
        cls(dspy.Signature("context -> score").with_updated_fields("score", type_=Score))


# ---- a call


def test_wrong_inputs_are_refused_before_an_interpreter_is_made(cls: Any, call: Any) -> None:
    rlm = on(cls, "a, b, c -> answer", FinalOutput({"answer": "x"}))
    with pytest.raises(ValueError, match="Missing required input") as missing:
        call(rlm, a="x")
    assert "'b', 'c'" in str(missing.value)
    with pytest.raises(ValueError, match=r"Unexpected inputs not declared in the signature: \['SUBMIT'\]"):
        call(rlm, a="x", b="y", c="z", SUBMIT="w")
    assert rlm._interpreter_factory.made == []


def test_a_factory_that_gives_no_interpreter_is_said(cls: Any) -> None:
    with pytest.raises(TypeError, match="must implement CodeInterpreter, not NoneType"):
        cls("context -> answer", interpreter_factory=lambda: None)(context="x")


def test_each_call_has_an_interpreter_of_its_own_which_is_shut_down(cls: Any, call: Any) -> None:
    rlm = on(cls, "interpreter -> answer", FinalOutput({"answer": "CPython"}), steps=2)
    for _ in range(2):
        assert call(rlm, interpreter="CPython").answer == "CPython"
    assert [made.closed for made in rlm._interpreter_factory.made] == [True, True]
    assert rlm._interpreter_factory.made[0].ran[0][1] == {"interpreter": "CPython"}
    rlm.generate_action = Acting(ValueError("of the predictor's"))
    with pytest.raises(ValueError, match="of the predictor's"):
        call(rlm, interpreter="x")
    last = rlm._interpreter_factory.made[-1]
    assert eventually(lambda: last.closed)  # ours may be opening it still, on a thread


def test_the_prediction_has_the_fields_and_what_led_to_them(cls: Any, call: Any) -> None:
    rlm = on(cls, "query -> answer: int", "explored", None, ["a", "b"], FinalOutput({"answer": "42"}))
    prediction = call(rlm, query="q")
    assert prediction.answer == 42
    assert prediction.final_reasoning == "so"
    assert set(prediction.keys()) == {"answer", "trajectory", "final_reasoning"}
    assert prediction.trajectory == [
        {"reasoning": "so", "code": f"step({number})", "output": output}
        for number, output in enumerate(
            ["explored", "(no output - did you forget to print?)", "a\nb", "FINAL: {'answer': 42}"]
        )
    ]


def test_when_the_iterations_are_used_up_extract_answers(cls: Any, call: Any) -> None:
    rlm = on(cls, "query -> answer", "1", "2", max_iters=2)
    rlm.extract = Acting({"answer": "extracted"})
    prediction = call(rlm, query="q")
    assert prediction.answer == "extracted"
    assert prediction.final_reasoning == "Extract forced final output"
    assert len(prediction.trajectory) == 2


@pytest.mark.parametrize("iterations", [0, -1])
def test_without_iterations_extract_answers_at_once(cls: Any, call: Any, iterations: int) -> None:
    rlm = on(cls, "query -> answer", max_iters=iterations)
    rlm.extract = Acting({"answer": "extracted"})
    prediction = call(rlm, query="q")
    assert (prediction.answer, prediction.trajectory) == ("extracted", [])
    assert prediction.final_reasoning == "Extract forced final output"


@pytest.mark.parametrize("error", [CodeExecutionError("NameError: x"), SyntaxError("invalid syntax")])
def test_what_the_code_did_wrong_is_fed_back(cls: Any, call: Any, error: Exception) -> None:
    rlm = on(cls, "query -> answer", error, FinalOutput({"answer": "recovered"}))
    rlm.generate_action = Acting("```python\nprint(x)\n```", "2")
    prediction = call(rlm, query="q")
    assert prediction.answer == "recovered"
    assert prediction.trajectory[0]["code"] == "print(x)"
    assert prediction.trajectory[0]["output"].startswith("[Error]")


def test_what_the_interpreter_did_wrong_is_raised(cls: Any, call: Any) -> None:
    rlm = on(cls, "query -> answer", CodeInterpreterError("protocol corrupt"), max_iters=1)
    rlm.extract = Acting({"answer": "hallucinated"})
    with pytest.raises(CodeInterpreterError, match="protocol corrupt"):
        call(rlm, query="q")
    assert rlm._interpreter_factory.made[0].closed


def test_another_language_in_the_fence_costs_a_step(cls: Any) -> None:
    rlm = on(cls, "query -> answer", FinalOutput({"answer": "recovered"}))
    rlm.generate_action = Acting("```bash\nls -la\n```", "2")
    rlm._interpreter_factory.results = (SyntaxError("no Python"), *rlm._interpreter_factory.results)[
        cls is Upstream :
    ]
    prediction = rlm(query="q")
    assert prediction.answer == "recovered"
    assert prediction.trajectory[0]["output"].startswith("[Error]")


@pytest.mark.parametrize(
    "code",
    [
        "print(1)",
        "```python\nprint(1)\n```",
        "```py\nprint(1)\n```",
        "```\nprint(1)\n```",
        "I look first.\n```python\nprint(1)\n```\nThen I submit.",
        "```python\nprint(1)",
        "```\n```python\nprint(1)\n```\n```",
    ],
)
def test_fences_are_taken_off(cls: Any, code: str) -> None:
    rlm = on(cls, "query -> answer", FinalOutput({"answer": "x"}))
    rlm.generate_action = Acting(code)
    assert rlm(query="q").trajectory[0]["code"] == "print(1)"


def test_execution_instructions_reach_the_prompt(cls: Any) -> None:
    class Told(Factory):
        execution_instructions = "Use this runtime."

    lm = dummy("1")
    with dspy.context(lm=lm):
        cls("query -> answer", interpreter_factory=Told(FinalOutput({"answer": "x"})))(query="q")
    assert "Use this runtime." in str(lm.history[0]["messages"])


def test_the_factory_of_the_call_goes_before_the_constructors_before_the_settings(cls: Any) -> None:
    def giving(answer: str) -> Factory:
        return Factory(FinalOutput({"answer": answer}))

    plain, own = cls("query -> answer"), cls("query -> answer", interpreter_factory=giving("constructor"))
    with dspy.context(lm=dummy(*"111"), interpreter_factory=giving("settings")):
        assert plain(query="q").answer == "settings"
        assert own(query="q").answer == "constructor"
        assert own(query="q", interpreter_factory=giving("call")).answer == "call"


def test_verbose_logs_reasoning_and_code(cls: Any, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger(cls.__module__)
    logger.addHandler(caplog.handler)
    try:
        with caplog.at_level(logging.INFO, logger=cls.__module__):
            on(cls, "query -> answer", "seen", FinalOutput({"answer": "x"}), verbose=True)(query="q")
    finally:
        logger.removeHandler(caplog.handler)
    assert "step(0)" in caplog.text


# ---- outputs


class Person(pydantic.BaseModel):
    name: str
    age: int | None = None


class Payload(pydantic.BaseModel):
    value: int


@pytest.mark.parametrize(
    ("kind", "submitted", "value"),
    [
        (int, "42", 42),
        (int, "'42'", 42),
        (float, "3", 3.0),
        (bool, "True", True),
        (str, "7", "7"),
        (list[int], "['1', 2]", [1, 2]),
        (dict[str, str], "{'k': 'v'}", {"k": "v"}),
        (Literal["yes", "no"], "'yes'", "yes"),
        (int | None, "None", None),
        (list[str] | None, "['a']", ["a"]),
        (Person, "{'name': 'Ann', 'age': 3}", Person(name="Ann", age=3)),
        (list[Person], "[{'name': 'Bo'}]", [Person(name="Bo")]),
        (tuple[int, str], "(1, 'a')", (1, "a")),
        (Any, "{'any': [1]}", {"any": [1]}),
    ],
)
def test_outputs_are_of_their_types(cls: Any, kind: Any, submitted: str, value: Any) -> None:
    signature = dspy.Signature("query -> out").with_updated_fields("out", type_=kind)
    for factory in [LocalInterpreter] if cls is Upstream else [LocalInterpreter, None]:
        with dspy.context(lm=dummy(f"SUBMIT({submitted})"), interpreter_factory=factory):
            assert cls(signature, max_iters=1)(query="q").out == value


def test_a_value_of_the_wrong_type_is_fed_back(cls: Any) -> None:
    rlm = on(
        cls,
        "query -> answer: Literal['yes', 'no']",
        FinalOutput({"answer": "maybe"}),
        FinalOutput({}),
        FinalOutput({"answer": "yes"}),
    )
    prediction = rlm(query="q")
    assert prediction.answer == "yes"
    assert "[Type Error] answer: expected" in prediction.trajectory[0]["output"]
    assert "[Error] Missing output fields: ['answer']" in prediction.trajectory[1]["output"]


@pytest.mark.parametrize(
    "code", ["SUBMIT(name='dave', count=5)", "SUBMIT('dave', 5)", "n, c = 'dave', 5\nSUBMIT(n, c)"]
)
def test_several_outputs_by_name_or_in_order(cls: Any, code: str) -> None:
    with dspy.context(lm=dummy("SUBMIT(name='dave')", code)):
        prediction = local(cls, "query -> name, count: int")(query="q")
    assert (prediction.name, prediction.count) == ("dave", 5)


# ---- tools and sub-calls


def test_tools_are_dspy_tools_with_parsed_arguments_and_callbacks(cls: Any) -> None:
    received, told = list[Any](), list[Any]()

    def score(payload: Payload, factor: int = 2) -> int:
        received.append(payload)
        return payload.value * factor

    class Recorder(dspy.utils.BaseCallback):
        def on_tool_start(self, call_id: Any, instance: Any, inputs: Any) -> None:
            told.append(instance)

        def on_tool_end(self, call_id: Any, outputs: Any, exception: Any = None) -> None:
            told.append(outputs)

    tool = dspy.Tool(score, name="score_it")
    with dspy.context(lm=dummy("SUBMIT(score_it(payload={'value': 3}))"), callbacks=[Recorder()]):
        prediction = local(cls, "query -> answer: int", tools=[tool])(query="q")
    assert prediction.answer == 6
    assert isinstance(received[0], Payload)
    assert told == [tool, 6]


def test_a_tool_that_fails_is_an_error_of_the_code(cls: Any) -> None:
    def fails() -> str:
        raise LookupError("nothing there")

    with dspy.context(lm=dummy("fails()", "SUBMIT('went on')")):
        prediction = local(cls, "query -> answer", tools=[fails])(query="q")
    assert "nothing there" in prediction.trajectory[0]["output"]
    assert prediction.answer == "went on"


def test_sub_calls_answer_in_order_and_mark_what_failed(cls: Any, call: Any) -> None:
    def sub_lm(prompt: str) -> list[Any]:
        if prompt == "bad":
            raise dspy.LMTransportError("LM failed")
        return [{"text": prompt.upper()}]

    code = "SUBMIT(llm_query('a') + ' '.join(llm_query_batched(['b', 'bad', 'c'])))"
    with dspy.context(lm=dummy(code)):
        answer = call(local(cls, "query -> answer", sub_lm=sub_lm), query="q").answer
    assert answer.startswith("AB [ERROR] ")
    assert "LM failed" in answer
    assert answer.endswith(" C")


@pytest.mark.parametrize(
    ("sub_lm", "text"),
    [
        (lambda prompt: [{"tool_calls": []}], "Sub-LM response must contain text, got NoneType"),
        (lambda prompt: {"text": "x"}, "Sub-LM must return dspy.lm15.Response or a non-empty list"),
        (lambda prompt: 1 / 0, "division by zero"),
        (None, "No LM configured"),
    ],
)
def test_a_sub_lm_that_fails_is_an_error_of_the_code(cls: Any, sub_lm: Any, text: str, call: Any) -> None:
    rlm = local(cls, "query -> answer", sub_lm=sub_lm)
    rlm.generate_action = Acting("llm_query('a')", "SUBMIT('went on')")
    prediction = call(rlm, query="q")
    assert text in prediction.trajectory[0]["output"]
    assert prediction.answer == "went on"


def test_the_limit_of_sub_calls_is_an_error_that_code_can_catch(cls: Any) -> None:
    code = """
print(llm_query_batched([]), llm_query('a'))
try:
    llm_query_batched(['b', 'c'])
except RuntimeError as error:
    print('refused')
print(llm_query('d'))
"""
    asked: list[str] = []

    def sub_lm(prompt: str) -> list[str]:
        asked.append(prompt)
        return [prompt]

    with dspy.context(lm=dummy(code, "SUBMIT('went on')")):
        prediction = local(cls, "query -> answer", sub_lm=sub_lm, max_llm_calls=2)(query="q")
    assert prediction.trajectory[0]["output"].split() == ["[]", "a", "refused", "d"]
    assert asked == ["a", "d"]


def test_sub_calls_are_made_in_the_callers_context(cls: Any, call: Any) -> None:
    marker = contextvars.ContextVar("marker", default="elsewhere")

    class Tagged(DummyLM):
        def __call__(self, prompt: Any = None, messages: Any = None, **kwargs: Any) -> Any:
            return super().__call__(messages=messages) if messages else [marker.get()]

        async def acall(self, prompt: Any = None, messages: Any = None, **kwargs: Any) -> Any:
            return self(prompt, messages, **kwargs)

    marker.set("here")
    lm = Tagged([{"reasoning": "so", "code": "SUBMIT(llm_query('a') + llm_query_batched(['b'])[0])"}])
    with dspy.context(lm=lm):
        assert call(local(cls, "query -> answer"), query="q").answer == "herehere"


# ---- inputs


class Stub(SandboxSerializable):
    def __init__(self, payload: Any):
        self.payload = payload

    def sandbox_setup(self) -> str:
        return "import json"

    def to_sandbox(self) -> Any:
        return self.payload

    def sandbox_assignment(self, var_name: str, data_expr: str) -> str:
        return f"{var_name} = {data_expr}"

    def rlm_preview(self, max_chars: int = 500) -> str:
        return "a preview of the stub"


@pytest.mark.parametrize("payload", [b"text", b"\xff\xfe", "text" * 500_000])
def test_values_that_set_themselves_up_travel_apart_from_their_code(cls: Any, payload: Any) -> None:
    rlm = on(cls, "data, query -> answer", None, FinalOutput({"answer": "done"}), steps=1)
    assert rlm(data=Stub(payload), query="q").answer == "done"
    (setup, given), (_, variables) = rlm._interpreter_factory.made[0].ran
    assert "import json" in setup
    assert "data = _raw_data" in setup
    assert len(setup) < 1_000
    assert sum(len(value) for value in given.values()) >= len(payload)
    assert variables == {"query": "q"}
    lm = dummy("SUBMIT(str(len(data)))")
    with dspy.context(lm=lm):
        assert local(cls, "data -> answer")(data=Stub(payload)).answer == str(len(payload))
    assert "a preview of the stub" in str(lm.history[0]["messages"])


def test_what_fields_mean_reaches_the_prompt(cls: Any) -> None:
    class Ask(dspy.Signature):
        """Answer as a pirate."""

        context: str = dspy.InputField(desc="a log of the captain")
        count: int = dspy.OutputField(desc="of ships", ge=0)

    lm = dummy("SUBMIT(1)")
    with dspy.context(lm=lm):
        local(cls, Ask)(context="...")
    sent = str(lm.history[0]["messages"])
    for told in ("Answer as a pirate.", "log of the captain", "of ships" if cls is RLM else "count", "int"):
        assert told in sent


# ---- saved programs


def test_state_goes_through_files_and_copies(cls: Any, tmp_path: Any) -> None:
    rlm = cls("context, query -> answer")
    rlm.generate_action.demos = [dspy.Example(variables_info="v", reasoning="r", code="c")]
    rlm.save(tmp_path / "rlm.json")
    for again in (cls("context, query -> answer"), rlm.deepcopy()):
        again.load(tmp_path / "rlm.json")
        assert again.generate_action.demos[0]["code"] == "c"
        assert again.dump_state() == rlm.dump_state()


def test_what_upstream_saved_loads_into_ours(tmp_path: Any) -> None:
    theirs = Upstream(dspy.Signature("context -> answer", "Answer as a pirate."))
    theirs.generate_action.demos = [dspy.Example(variables_info="v", reasoning="r", code="c")]
    theirs.save(tmp_path / "rlm.json")
    ours = RLM("context -> answer")
    with pytest.warns(UserWarning, match="saved by dspy.RLM"):
        ours.load(tmp_path / "rlm.json")
    told = ours.generate_action.signature.instructions
    assert "Answer as a pirate." in told
    assert "SUBMIT" not in told
    assert ours.extract.signature.instructions == theirs.extract.signature.instructions
    assert ours.generate_action.demos[0]["code"] == "c"
