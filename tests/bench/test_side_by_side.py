"""The measuring of peers, with this project as the only candidate."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator

import pytest

from benchmarks.peers.__main__ import CHILDREN, LOOK, SUB_CALLS, about, main
from benchmarks.peers.candidates import CANDIDATES, OURS
from benchmarks.peers.measures import Child, Failed, Job, Peer, _result, snippets
from benchmarks.peers.table import Row, table


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    with Peer(OURS, sys.executable, 60) as made:
        yield made


def test_a_run_is_timed_and_its_answer_checked(peer: Peer) -> None:
    found = peer.run(about(LOOK, 10_000))
    assert 0 < found["seconds"] < 60
    with pytest.raises(Failed, match=about(LOOK, 10_000).expected):
        peer.run(dataclasses.replace(about(LOOK, 10_000), expected="elsewhere"))


def test_sub_calls_and_children_are_made(peer: Peer) -> None:
    peer.run(dataclasses.replace(SUB_CALLS, delay=0.0))
    peer.run(dataclasses.replace(CHILDREN, count=2, expected="2"))


def test_the_time_of_an_iteration_is_that_between_two_requests(peer: Peer) -> None:
    slow = Job(("x = 1", *["import time; time.sleep(0.2)"] * 3, "x = 2"), "x", "2")
    assert 0.2 <= peer.run(slow)["step"] < peer.run(slow)["seconds"]


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_counts_what_a_run_holds_in_all_its_processes(peer: Peer) -> None:
    found = peer.run_with_memory(about(LOOK, 30_000_000))
    assert 25e6 < found["held"] <= found["peak"] + 5e6


def test_a_candidate_that_hangs_is_ended(peer: Peer) -> None:
    peer.run(about(LOOK, 100))
    held = peer._warm
    assert held is not None
    held.seconds = 2
    with pytest.raises(Failed, match="too slow"):
        peer.run(Job(("while True: pass",), "1", "1"))
    assert held.process.poll() is not None
    assert peer.run(about(LOOK, 100))["seconds"] < 60  # another process goes on


def test_a_candidate_that_dies_is_told() -> None:
    with (
        Child(OURS, sys.executable, 60, measure="import", imports="import os; os._exit(7)") as child,
        pytest.raises(Failed, match=r"crashed \(7\)"),
    ):
        child.line()


def test_a_candidate_reaches_nothing_but_this_machine() -> None:
    reach = "import socket\ntry:\n    socket.create_connection(('192.0.2.1', 80), 1)\n"
    refused = (
        "except PermissionError as error:\n    assert 'not this machine' in str(error)\nelse:\n    1 / 0"
    )
    with Child(OURS, sys.executable, 60, measure="import", imports=reach + refused) as child:
        assert child.line()["seconds"] < 60


def test_snippets_are_accepted_when_they_mean_what_they_mean_in_python(peer: Peer) -> None:
    chosen = {
        "good": "result = sorted({'b', 'a'})",
        "not for a sandbox": "import os.path\nresult = open(os.path.__file__).read()[:9]",
        "good as well": "class A:\n    x = 1\nresult = A().x",
    }
    assert peer.refused(chosen) == ["not for a sandbox"]


def test_there_are_64_everyday_snippets_and_plain_python_runs_them() -> None:
    found = snippets()
    assert len(found) == 64
    assert all(_result(code).startswith("result: ") for code in found.values())


def test_a_table_shows_ratios_failures_and_who_is_ahead() -> None:
    slower = Row("a run", "s", {OURS: [1.0, 3.0, 1.0], "rlms": [0.5, 0.4, 9.0]}, loads=[2.0, 4.0])
    alone = Row("children", "s", {OURS: [1.0]}, {"rlms": "too slow"}, [2.0])
    shown = table([slower, alone], [OURS, "rlms"]).splitlines()
    assert shown[2] == "| a run, s | 1.000 (1.000) | 0.500 (0.400) 0.5× | 2.0 to 4.0 |"
    assert shown[3] == "| children, s | 1.000 (1.000) | too slow | 2.0 to 2.0 |"
    assert shown[-1] == "a run: rlms is ahead of llm-rlm"


def test_every_candidate_says_what_it_is_installed_by() -> None:
    assert {candidate.package for candidate in CANDIDATES.values()} == set(CANDIDATES)


def test_rows_that_there_are_not_are_refused_before_anything_is_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["peers", "--rows", "nope"])
    monkeypatch.setattr(
        "benchmarks.peers.__main__.python_of", lambda name: pytest.fail(f"{name} is installed")
    )
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 2
    assert "--rows nope: the rows are" in capsys.readouterr().err
