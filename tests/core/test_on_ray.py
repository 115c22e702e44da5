"""Batches on a Ray cluster: a head and two nodes, each a process of its own on this machine."""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from stub_server import Reply, StubServer

from rlm_core import RLM, OpenAIChat
from rlm_core.batch import Outcome, Row, map_runs
from rlm_core.ray_pool import Cluster, ClusterError

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'llm-rlm[ray]'")

KEY = "sk-of-nobody-51f0c2"
CPUS = 0.5
SOON = {  # a node that died is missed within a second or two, not after Ray's usual fifteen
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 300,
    "health_check_timeout_ms": 1000,
    "health_check_failure_threshold": 4,
}


def answer(body: dict[str, Any]) -> Reply:
    """The root LM's one step, and the sub-call that it makes."""
    messages = body["messages"]
    if len(messages) == 1:
        return Reply(messages[0]["content"].upper(), delay=0.05)
    return Reply("```repl\nprint(context)\nSUBMIT(llm_query(context))\n```", delay=0.05)


def make(url: str, key: str, journal: Path) -> RLM:
    return RLM(OpenAIChat("stub", base_url=url, api_key=key), journal=journal)


def rows(count: int) -> list[Row]:
    return [Row(f"r{n}", f"question q{n}q", f"text t{n}t") for n in range(count)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ray")


@pytest.fixture(scope="module")
def cluster(folder: Path) -> Iterator[Any]:
    import sys

    from ray import cloudpickle
    from ray.cluster_utils import Cluster as Nodes

    patch = pytest.MonkeyPatch()
    patch.setenv("RLM_HOME", str(folder / "home"))  # of the nodes, whose processes inherit it
    patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    patch.setenv("RAY_TQDM_PATCH_PRINT", "0")
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the nodes know nothing of the tests
    nodes = Nodes(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "include_dashboard": False, "_system_config": SOON},
    )
    yield nodes
    nodes.shutdown()
    patch.undo()


def test_a_node_that_dies_in_the_middle_loses_no_answer_and_none_is_paid_twice(cluster: Any, folder: Path):
    doomed = cluster.add_node(num_cpus=1)
    cluster.add_node(num_cpus=1)
    journal = folder / "journal.db"
    outcomes: list[Outcome] = []
    with StubServer(answer) as server:
        made = partial(make, server.url, KEY, journal)
        there = Cluster(cluster.address, CPUS)
        for outcome in map_runs(rows(200), made, "ray", workers=8, name="batch", cluster=there):
            outcomes.append(outcome)
            if len(outcomes) == 60:
                before = len(server.requests)
                cluster.remove_node(doomed, allow_graceful=False)
        asked = [json.dumps(request.body["messages"]) for request in server.requests]

    assert {outcome.id: outcome.answer for outcome in outcomes} == {
        f"r{n}": f"TEXT T{n}T" for n in range(200)
    }
    assert len(outcomes) == 200
    for outcome in outcomes[:60]:
        number = outcome.id[1:]
        assert not [t for t in asked[before:] if f"q{number}q" in t or f"text t{number}t" in t]
    repeated = sum(count - 1 for count in Counter(asked).values())
    assert repeated <= 8  # calls that were in flight on the node, and not answered

    with sqlite3.connect(journal) as db:
        assert db.execute("SELECT count(*), sum(status = 'answered') FROM runs").fetchone() == (200, 200)
        kept = {row[0] for row in db.execute("SELECT id FROM runs")}
    assert kept == {outcome.run for outcome in outcomes}
    assert not list((folder / "home" / "batch").rglob("*.db"))  # nor on the node that died: it is one disk


def test_what_a_batch_leaves_on_a_node_goes_when_it_is_finished(cluster: Any, folder: Path):
    node = cluster.add_node(num_cpus=1)
    left = folder / "home" / "batch"
    with StubServer(answer) as server:
        made = partial(make, server.url, KEY, folder / "left.db")
        there = Cluster(cluster.address, CPUS)
        asked = map_runs(rows(9), made, "ray", workers=4, name="left", cluster=there)
        next(asked)
        asked.close()
        assert list(left.rglob("*.db"))
        assert len(list(map_runs(rows(9), made, "ray", workers=4, name="left", cluster=there))) == 9
    assert not list(left.rglob("*.db"))
    cluster.remove_node(node)


def test_an_iterator_that_is_closed_ends_its_runs(cluster: Any, folder: Path):
    node = cluster.add_node(num_cpus=1)
    with StubServer(answer) as server:
        made = partial(make, server.url, KEY, folder / "closed.db")
        there = Cluster(cluster.address, CPUS)
        outcomes = map_runs(rows(100), made, "ray", workers=4, name="closed", cluster=there)
        assert len([next(outcomes) for _ in range(3)]) == 3
        outcomes.close()
        before = -1
        while before != len(server.requests):
            before = len(server.requests)
            time.sleep(1.5)
        assert before < 2 * 20  # of the 200 that all rows would take
    cluster.remove_node(node)


def test_the_print_of_whoever_calls_is_left_alone(cluster: Any):
    import builtins

    assert isinstance(builtins.print, type(len))


def test_a_key_is_in_no_log_of_ray(cluster: Any):
    """Depends on no other test, but says the most after them."""
    logs = Path(cluster.head_node.get_session_dir_path())
    assert any(logs.rglob("*.log"))
    assert not [file for file in logs.rglob("*") if file.is_file() and KEY.encode() in file.read_bytes()]


def test_one_rlm_cannot_be_sent_to_a_cluster(folder: Path):
    with pytest.raises(TypeError, match="function that makes"):
        list(map_runs(rows(1), make("http://127.0.0.1:1", KEY, folder / "j.db"), "ray"))


def test_a_cluster_that_is_not_there_is_one_line(folder: Path):
    made = partial(make, "http://127.0.0.1:1", KEY, folder / "j.db")
    with pytest.raises(ClusterError, match="no Ray cluster") as told:
        list(map_runs(rows(1), made, "ray", cluster=Cluster("127.0.0.1:9")))
    assert "\n" not in str(told.value)
