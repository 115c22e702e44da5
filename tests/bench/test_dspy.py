import json

import pytest

dspy = pytest.importorskip("dspy")

from rlm_bench import tasks  # noqa: E402
from rlm_bench.dspy import WRONG, devset, feedback, metric  # noqa: E402
from rlm_bench.scorers import score  # noqa: E402
from rlm_bench.tasks import decoys, unanswerable  # noqa: E402


class Says(dspy.Module):
    """Answers by the example's own answer, or always the same."""

    def __init__(self, answers):
        super().__init__()
        self.answers = answers

    def forward(self, context, query):
        return dspy.Prediction(answer=self.answers[query] if isinstance(self.answers, dict) else self.answers)


def test_a_devset_is_the_tasks_samples_as_examples():
    examples = devset("niah", n=3, seed=5, size=5_000)
    assert [set(example.inputs().keys()) for example in examples] == [{"context", "query"}] * 3
    assert all(example.answer in example.context for example in examples)
    assert [example.query for example in devset("niah", n=3, seed=5, size=5_000)] == [
        example.query for example in examples
    ]
    assert examples[0].query != devset("niah", n=1, seed=6, size=5_000)[0].query
    with pytest.raises(ValueError, match="no task"):
        devset("nia")
    with pytest.raises(ValueError, match="no task"):
        metric("nia")


def test_evaluate_runs_it_on_threads_and_writes_its_json(tmp_path):
    examples = devset("niah", n=4, size=5_000)
    right = {example.query: example.answer for example in examples}
    place = tmp_path / "results.json"
    evaluate = dspy.Evaluate(
        devset=examples, metric=metric("niah"), num_threads=2, failure_score=0.0, save_as_json=str(place)
    )
    assert evaluate(Says(right)).score == 100.0
    assert len(json.loads(place.read_text())) == 4
    right[examples[0].query] = "I do not know"
    assert evaluate(Says(right)).score == 75.0


def test_what_evaluate_writes_as_json_may_have_been_a_file(tmp_path, monkeypatch):
    monkeypatch.setenv("RLM_HOME", str(tmp_path))
    examples = devset("shapes", n=5, size=5_000)
    place = tmp_path / "results.json"
    evaluate = dspy.Evaluate(devset=examples, metric=metric("shapes"), save_as_json=str(place))
    assert evaluate(Says({example.query: example.answer for example in examples})).score == 100.0
    assert len(json.loads(place.read_text())) == 5
    (text,) = (
        one.context for one in examples if one.params == {"size": 5_000} and isinstance(one.context, str)
    )
    assert examples[3].answer in text


@pytest.mark.parametrize(
    ("task", "params"),
    [
        *(("decoys", {"kind": kind}) for kind in decoys.KINDS),
        ("niah_multi", {}),
        ("vt", {"chains": 4}),
        ("multihop", {"kind": "chain"}),
        ("multihop", {"kind": "state"}),
        ("structured", {}),
        *(("unanswerable", {"kind": kind}) for kind in unanswerable.KINDS),
    ],
)
def test_feedback_says_what_each_decoy_is(task, params):
    for index in range(2):
        sample = tasks.get(task).sample(index=index, **params)
        for decoy in sample.meta["decoys"]:
            found = score(sample, [decoy] if isinstance(sample.answer, list) else decoy)
            assert found.error_class in WRONG
            told = feedback(sample, decoy, found)
            assert decoy in told
            assert WRONG[found.error_class] in told


def test_an_optimizer_is_told_what_was_wrong():
    (example,) = devset("niah", n=1, size=5_000)
    judge = metric("niah")

    def feedback(answer):
        return judge(example, dspy.Prediction(answer=answer), None, "generate_action", None)

    assert (feedback(example.answer).score, feedback(example.answer).feedback) == (1.0, "Right.")
    wrong = feedback("1234567")
    assert wrong.score == 0.0
    assert example.answer in wrong.feedback
    assert "1234567" in wrong.feedback
    assert "must be submitted" in feedback("").feedback
    assert "value alone" in feedback(f"{example.answer} or 1234567").feedback


def test_partial_credit_counts_where_the_task_knows_any():
    (example,) = devset("aggregation", n=1, size=5_000, kind="counting")
    near = dspy.Prediction(answer=str(int(example.answer) + 1))
    assert metric("aggregation")(example, near) == 0.75


def test_gepa_asks_it_for_feedback():
    examples = devset("niah", n=2, size=5_000)
    reflecting = dspy.utils.DummyLM([{"new_instruction": "Answer."}] * 9)

    class Guess(dspy.Module):
        def __init__(self):
            super().__init__()
            self.guess = dspy.Predict("context, query -> answer")

        def forward(self, context, query):
            return self.guess(context=context[:9], query=query)

    gepa = dspy.GEPA(metric=metric("niah"), max_metric_calls=8, reflection_lm=reflecting, num_threads=1)
    with dspy.context(lm=dspy.utils.DummyLM([{"answer": "1234567"}] * 40)):
        gepa.compile(Guess(), trainset=examples, valset=examples)
    shown = str(reflecting.history[0]["messages"])
    assert any(example.answer in shown for example in examples)  # the feedback says what was right


def test_questions_of_ones_own_are_a_devset_too(tmp_path):
    file = tmp_path / "mine.jsonl"
    file.write_text(json.dumps({"context": "Call me Ishmael.", "query": "Who?", "answer": "Ishmael"}))
    (example,) = devset("questions", file=file)
    assert metric("questions")(example, dspy.Prediction(answer="It is Ishmael.")) == 1.0
    assert metric("questions")(example, dspy.Prediction(answer="Ahab")) == 0.0
