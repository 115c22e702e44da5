"""The examples run, with no network and no key."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def output_of(*command: str, **env: str) -> str:
    """What a command prints on stdout, run as a user would: in the examples' folder."""
    # `llm` is that of this Python, wherever the tests were started from.
    env = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"} | env
    done = subprocess.run(
        command, cwd=EXAMPLES, capture_output=True, text=True, env=env, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_library():
    output = output_of(sys.executable, "library.py")
    assert "answer:  41-07-93\n" in output
    assert "status:  answered\n" in output


def test_the_walk_through_a_trajectory():
    output = output_of(sys.executable, "trajectory.py")
    events = [line for line in output.splitlines() if line and not line.startswith(" ")]
    assert events[0] == "Started"
    assert events.count("SubCalled") == 3
    assert "NameError" in output  # the mistake, as its model reads it
    assert "answered: 2 of 3 letters are sad\n" in output


def test_many_texts_here_and_in_dspy():
    pytest.importorskip("dspy.evaluate", reason="DSPy is not installed: pip install 'llm-rlm[dspy]'")
    lines = output_of(sys.executable, "many.py").splitlines()
    keepers = {"north": "Ada", "south": "Bo", "east": "Cy", "west": "Dee"}
    answered = {f"map_runs  {place}: {name} (answered)" for place, name in keepers.items()}
    assert set(lines[:5]) == answered | {"map_runs  ruin: None (not_found)"}
    assert lines[5:] == [f"parallel  {name}" for name in keepers.values()] + ["evaluate  100.0"]


@pytest.mark.parametrize("depth", [0.0, 0.5, 0.95, 1.0])
def test_the_haystack_holds_one_needle_where_it_was_asked_for(tmp_path, depth):
    file = tmp_path / "text.txt"
    output_of(sys.executable, "make_haystack.py", str(file), "--chars", "20000", "--depth", str(depth))
    text = file.read_text("utf-8")
    assert len(text) == 20_000
    assert text.lower().count("observatory") == text.count("41-07-93") == 1
    assert text.index("41-07-93") / len(text) == pytest.approx(depth, abs=0.02)


def test_the_haystack_is_the_same_on_every_machine(tmp_path):
    import hashlib

    file = tmp_path / "text.txt"
    output_of(sys.executable, "make_haystack.py", str(file))
    assert (
        hashlib.sha256(file.read_bytes()).hexdigest()
        == "1b10f8b9beb2f2cb0e6ec3551a26a97c023e43113e2533588f55d3c505a42679"
    )


@pytest.mark.weights
def test_the_shell(tmp_path):
    output = output_of("bash", "shell.sh", LLM_USER_PATH=str(tmp_path))
    answers = [line for line in output.splitlines() if line and not line.startswith("#")]
    assert answers == ["41-07-93"] * 3
