"""DSPy's optimizers on `RLM`: whatever they make of the strategy, the live contract stays whole, and no
context gets into a prompt of theirs or a saved file."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import Any

import dspy
import pytest

from dspy_rlm import RLM, Reference, export_strategy, feedback, load_strategy, strategy_of, used_components
from rlm_core import strategies

ADVICE = "Search first, then answer at once."
FILLER = "nothing of note happened on this day\n" * 3_000
MARK = "nothing of note happened on this day\nnothing of note"


class Model(dspy.BaseLM):
    """Searches the text and answers, where it is asked as a root LM; proposes ADVICE, where an optimizer
    asks.  `fails_every` so many calls, unless it is given that advice."""

    def __init__(self) -> None:
        super().__init__("model", "chat", 0.0, 1000, False)
        self.acted: list[Any] = []
        self.proposed: list[Any] = []
        self.fails_every = 0

    def __deepcopy__(self, memo: Any) -> Model:
        return self

    def copy(self, **kwargs: Any) -> Model:
        return self

    def __call__(self, prompt: Any = None, messages: Any = None, n: int = 1, **kwargs: Any) -> list[str]:
        messages = messages or [{"role": "user", "content": prompt}]  # of GEPA's, before DSPy 3.4.1
        if messages[0]["role"] == "system" and "Python REPL" in messages[0]["content"]:
            self.acted.append(messages)
            advised = ADVICE in messages[0]["content"]
            if self.fails_every and not advised and len(self.acted) % self.fails_every == 0:
                return ["```repl\nSUBMIT(context[:3])\n```"]
            return [act(messages)] * n
        self.proposed.append(messages)
        return [propose(messages[-1]["content"])] * n


def act(messages: Any) -> str:
    question = messages[-1]["content"] if "Question" in messages[-1]["content"] else ""
    if question:
        name = re.findall(r"code of (\w+)", question)[-1]
        return f"I search.\n```repl\nhits = grep('code of {name}')\nprint(hits)\n```"
    return "There it is.\n```repl\nSUBMIT(hits[0].split()[-1])\n```"


def propose(asked: str) -> str:
    if "within ``` blocks" in asked:  # GEPA, before DSPy 3.4.1
        return f"```\n{ADVICE}\n```"
    if names := re.findall(r"`\[\[ ## (\w+) ## \]\]`", asked):
        wanted = [name for name in names if name != "completed"]
        return (
            "\n\n".join(f"[[ ## {name} ## ]]\n{_said(name)}" for name in wanted) + "\n\n[[ ## completed ## ]]"
        )
    wanted = re.findall(r"`(\w+)`", asked.rpartition("JSON object")[2])
    return json.dumps({name: _said(name) for name in wanted})


def _said(name: str) -> str:
    if name == "module_advice":
        return json.dumps({"generate_action": ADVICE})
    return "Code:" if "prefix" in name else ADVICE


def examples(count: int, seed: int = 0) -> list[dspy.Example]:
    made = []
    for number in range(seed, seed + count):
        text = f"{FILLER}the code of anna{number} is {number}{number}\n{FILLER}"
        made.append(
            dspy.Example(
                context=Reference(text),
                query=f"What is the code of anna{number}?",
                answer=f"{number}{number}",
            ).with_inputs("context", "query")
        )
    return made


def right(example: Any, prediction: Any, trace: Any = None) -> bool:
    return str(prediction.answer) == example.answer


def bootstrap(program: RLM, model: Model) -> Any:
    optimizer = dspy.BootstrapFewShot(metric=right, max_bootstrapped_demos=2, max_labeled_demos=4)
    return optimizer.compile(program, trainset=examples(4))


def copro(program: RLM, model: Model) -> Any:
    optimizer = dspy.COPRO(metric=right, breadth=2, depth=1, prompt_model=model)
    return optimizer.compile(
        program, trainset=examples(2), eval_kwargs={"num_threads": 1, "display_progress": False}
    )


def mipro(program: RLM, model: Model) -> Any:
    pytest.importorskip("optuna")
    optimizer = dspy.MIPROv2(
        metric=right,
        auto=None,
        num_candidates=2,
        max_bootstrapped_demos=1,
        max_labeled_demos=1,
        num_threads=1,
        prompt_model=model,
        task_model=model,
        verbose=False,
    )
    return optimizer.compile(
        program, trainset=examples(3), valset=examples(2, 50), num_trials=3, minibatch=False
    )


def simba(program: RLM, model: Model) -> Any:
    optimizer = dspy.SIMBA(
        metric=lambda e, p: float(right(e, p)),
        bsize=2,
        num_candidates=2,
        max_steps=1,
        max_demos=1,
        num_threads=1,
    )
    return optimizer.compile(program, trainset=examples(4))


def gepa(program: RLM, model: Model) -> Any:
    def metric(example: Any, prediction: Any) -> Any:
        return dspy.Prediction(
            score=float(right(example, prediction)), feedback=f"The right answer is {example.answer}."
        )

    optimizer = dspy.GEPA(
        metric=feedback(metric),
        max_metric_calls=12,
        reflection_lm=model,
        num_threads=1,
        reflection_minibatch_size=2,
        component_selector=used_components,
    )
    return optimizer.compile(program, trainset=examples(3), valset=examples(2, 50))


@pytest.mark.parametrize("optimize", [bootstrap, copro, mipro, simba, gepa])
def test_an_optimizer_changes_the_strategy_alone(optimize: Any, tmp_path: Path) -> None:
    model = Model()
    model.fails_every = {bootstrap: 0, simba: 5}.get(optimize, 3)
    plain = RLM("context, query -> answer", max_iters=5)
    task = examples(1, 90)[0]
    with dspy.context(lm=model):
        plain(**task.inputs())
        contract = model.acted[-1][0]["content"].removesuffix(strategies.DEFAULT.advice)
        compiled = optimize(plain, model)
        instructions = compiled.generate_action.signature.instructions
        assert optimize is bootstrap or ADVICE in instructions
        assert compiled(**task.inputs()).answer == "9090"
    assert model.acted[-1][0]["content"] == contract + instructions
    assert "SUBMIT" not in instructions
    assert MARK not in json.dumps(model.proposed)

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        export_strategy(compiled, tmp_path / "strategy.json")
    assert any("private text" in str(each.message) for each in told) == bool(compiled.generate_action.demos)
    assert MARK not in (tmp_path / "strategy.json").read_text()
    assert load_strategy(tmp_path / "strategy.json") == strategy_of(compiled, "strategy")
    compiled.save(tmp_path / "whole", save_program=True)
    assert MARK.encode() not in (tmp_path / "whole" / "program.pkl").read_bytes()
    compiled.save(tmp_path / "program.json")
    assert MARK not in (tmp_path / "program.json").read_text()
    assert (tmp_path / "program.json").stat().st_size < 40_000
    compiled.save(tmp_path / "program.pkl")
    assert MARK.encode() not in (tmp_path / "program.pkl").read_bytes()

    def lookup(word: str) -> str:
        """Looks a word up."""
        return word

    for file in ("program.json", "program.pkl"):
        other = RLM("context, query -> answer", max_iters=9, max_llm_calls=7, tools=[lookup])
        other.load(tmp_path / file, allow_pickle=True)
        with dspy.context(lm=model):
            other(**task.inputs())
            compiled(**task.inputs())
        system = next(m for m in reversed(model.acted) if "lookup" in m[0]["content"])
        assert system[0]["content"].endswith(instructions)
        assert "9 turns" in system[0]["content"]
        assert "7 sub-calls" in system[0]["content"]
        assert system[1:-2] == model.acted[-1][1:-2]  # the demos are the same chat

    for copied in (compiled.deepcopy(), dspy.load(tmp_path / "whole", allow_pickle=True)):
        assert strategy_of(copied) == strategy_of(compiled)
        with dspy.context(lm=model):
            assert copied(**task.inputs()).answer == "9090"


def test_bootstrapped_demos_are_whole_trajectories_and_are_exported(tmp_path: Path) -> None:
    model = Model()
    with dspy.context(lm=model):
        compiled = bootstrap(RLM("context, query -> answer"), model)
        with pytest.warns(UserWarning, match="private text"):
            export_strategy(compiled, tmp_path / "found.json")
        loaded = load_strategy(tmp_path / "found.json")
        again = RLM("context, query -> answer", strategy=loaded)
        compiled(**examples(1, 70)[0].inputs())
        again(**examples(1, 70)[0].inputs())
    assert [len(example.steps) for example in loaded.examples] == [2, 2]
    assert loaded.examples[0].query == "What is the code of anna0?"
    assert "print(hits)" in loaded.examples[0].steps[0].code
    assert "['the code of anna0 is 00']" in loaded.examples[0].steps[0].output
    assert model.acted[-1] == model.acted[-3]
    assert len(model.acted[-1]) == 1 + 2 * 4 + 3


def test_gepa_reads_the_whole_run_and_the_contract_and_never_reflects_on_an_unused_extract() -> None:
    model = Model()
    model.fails_every = 3
    with dspy.context(lm=model):
        gepa(RLM("context, query -> answer"), model)
    asked = [m[-1]["content"] for m in model.proposed]
    assert asked
    for prompt in asked:
        assert "Step 1. I search." in prompt
        assert "Submitted: " in prompt
        assert "The right answer is" in prompt
        assert "<contract>" in prompt
        assert "extract the final outputs" not in prompt


def test_gepa_scores_runs_without_code_as_failures_and_reads_them_where_it_is_told_to() -> None:
    class Prose(Model):
        """Writes no code, unless it is given that advice."""

        def __call__(self, prompt: Any = None, messages: Any = None, n: int = 1, **kwargs: Any) -> list[str]:
            messages = messages or [{"role": "user", "content": prompt}]
            told = str(messages)
            if "Python REPL" in messages[0]["content"] and ADVICE not in told:
                return ["I would rather talk about the weather."]
            if "new_instruction" in told:
                self.proposed.append(messages)
                asked_for_fields = "[[ ## new_instruction ## ]]" in told
                said = f"[[ ## new_instruction ## ]]\n{ADVICE}\n\n[[ ## completed ## ]]"
                return [said if asked_for_fields else json.dumps({"new_instruction": ADVICE})]
            return super().__call__(prompt, messages, n, **kwargs)

    model = Prose()
    optimizer = dspy.GEPA(
        metric=feedback(lambda example, prediction: float(right(example, prediction))),
        max_metric_calls=12,
        reflection_lm=model,
        num_threads=1,
        reflection_minibatch_size=2,
        component_selector=used_components,
        add_format_failure_as_feedback=True,
    )
    with dspy.context(lm=model):
        compiled = optimizer.compile(
            RLM("context, query -> answer"), trainset=examples(3), valset=examples(2, 50)
        )
        assert compiled.generate_action.signature.instructions == ADVICE
        assert compiled(**examples(1, 90)[0].inputs()).answer == "9090"
    assert any("rather talk about the weather" in str(messages) for messages in model.proposed)
    assert MARK not in json.dumps(model.proposed)


def test_a_program_of_upstreams_class_loads_without_its_contract(tmp_path: Path) -> None:
    class Task(dspy.Signature):
        """Find what is asked for."""

        context: str = dspy.InputField()
        query: str = dspy.InputField()
        answer: str = dspy.OutputField()

    from dspy.predict.rlm import RLM as Upstream

    Upstream(Task).save(tmp_path / "theirs.json")
    rlm = RLM(Task)
    with pytest.warns(UserWarning, match="saved by dspy.RLM"):
        rlm.load(tmp_path / "theirs.json")
    instructions = rlm.generate_action.signature.instructions
    assert instructions.startswith("Find what is asked for.")
    assert "llm_query(prompt)" not in instructions


def test_children_leave_nothing_in_the_trace() -> None:
    from dspy_rlm import Limits

    class Nested(Model):
        def __call__(self, prompt: Any = None, messages: Any = None, n: int = 1, **kwargs: Any) -> list[str]:
            child = "inner" in messages[1]["content"]
            return [
                "```repl\nSUBMIT(context)\n```" if child else "```repl\nSUBMIT(rlm_query('q', 'inner'))\n```"
            ]

    trace: list[Any] = []
    with dspy.context(lm=Nested(), trace=trace):
        RLM("context, query -> answer", limits=Limits(depth=2))(context="outer", query="q")
    assert len(trace) == 1
