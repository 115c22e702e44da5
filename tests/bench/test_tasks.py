import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rlm_bench import rows, tasks
from rlm_bench.answers import said
from rlm_bench.samples import BuildError
from rlm_bench.scorers import score
from rlm_bench.tasks import codeqa, structured

IN_SEVERAL = ("subclasses", "count_decorated")


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    """Contexts that are files go here."""
    monkeypatch.setenv("RLM_HOME", str(tmp_path))


@pytest.mark.parametrize("name", tasks.names())
def test_a_sample_is_a_pure_function_of_its_parameters_seed_and_index(name):
    task = tasks.get(name)
    one, same, other = (
        task.sample(seed=3, index=1),
        task.sample(seed=3, index=1),
        task.sample(seed=4, index=1),
    )
    assert one == same
    assert one.id == same.id != other.id
    assert one.sha256 == same.sha256 != other.sha256


@pytest.mark.parametrize("name", tasks.names())
def test_the_truth_is_right_in_prose_too_and_silence_is_not(name):
    task = tasks.get(name)
    for index in range(4):
        sample = task.sample(index=index)
        truth = "NOT_FOUND" if sample.answer is None else said(sample.answer)
        for prose in (
            truth,
            f"The answer is {truth}.",
            f"**{truth}**",
            f"{truth}\n\nThis is what the text says.",
        ):
            assert score(sample, prose).strict == 1, prose
        if sample.scorer not in ("abstain", "pairs"):  # which read what they know wherever it stands
            assert score(sample, f"I am not sure, but not {truth}").strict == 0
        if not sample.meta["unanswerable"]:
            assert score(sample, "").strict == score(sample, None, "error").strict == 0
            assert score(sample, "NOT_FOUND", "not_found").error_class == "not_found"


@pytest.mark.parametrize("name", tasks.names())
def test_an_unknown_parameter_is_refused_with_the_names_of_the_known_ones(name):
    task = tasks.get(name)
    with pytest.raises(
        ValueError, match=f"task {name} has no parameter colour: it has .*{min(task.defaults)}"
    ):
        task.sample(colour="red")


def test_an_unknown_task_is_refused_with_the_names_of_the_known_ones():
    with pytest.raises(ValueError, match=r"no task 'chess': the tasks are .*niah"):
        tasks.get("chess")


@pytest.mark.parametrize(
    ("name", "params"),
    [
        *(
            ("structured", {"question": kind, "flaw": "comma"})
            for kind in ("lookup", "rare", "filter", "nested")
        ),
        *(("structured", {"question": "lacking", "format": form}) for form in structured.FORMATS),
        ("multihop", {"hops": 1}),
        ("multihop", {"hops": 3}),
        ("multihop", {"kind": "state"}),
        *(("codeqa", {"question": kind}) for kind in codeqa.QUESTIONS if kind not in IN_SEVERAL),
    ],
)
def test_an_answer_that_one_place_has_is_seen_to_go_with_it(name, params):
    task = tasks.get(name)
    sample = task.sample(**params)
    (needle,) = sample.meta["needles"]
    assert (
        task.solve(dataclasses.replace(sample, context=sample.context.replace(needle, ""))) != sample.answer
    )
    blind = dataclasses.replace(task, solve=lambda sample: task.sample(**params).answer)
    with pytest.raises(BuildError, match="finds the answer without the needle"):
        blind.sample(**params)


ROOT = Path(__file__).parents[2]
GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text())


@pytest.mark.parametrize("name", GOLDEN)
def test_samples_are_the_same_bytes_on_every_machine_and_python(name):
    """If a task's samples are meant to change, its version goes up, and tests/bench/golden.json anew."""
    made = [tasks.get(name).sample(seed=7, index=index) for index in range(8)]
    assert [rows.key(one.sha256, one.query, plain(one.answer)) for one in made] == GOLDEN[name]


def plain(answer):
    return sorted(answer) if isinstance(answer, set | frozenset) else answer


WHOLE = """
import hashlib, sys
from rlm_bench import rows, tasks
told = hashlib.sha256()
for name in tasks.names():
    for index in range(12):
        sample = tasks.get(name).sample(seed=5, index=index)
        told.update(repr((sample.sha256, sample.query, sample.answer, dict(sample.meta))).encode())
print(told.hexdigest())
"""


def test_samples_are_the_same_in_every_process(tmp_path):
    told = set()
    for seed in ("1", "2"):
        env = os.environ | {"PYTHONHASHSEED": seed, "RLM_HOME": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-c", WHOLE], capture_output=True, text=True, env=env, cwd=ROOT
        )
        assert done.returncode == 0, done.stderr
        told.add(done.stdout)
    assert len(told) == 1
