"""Strategies: picking, saving, loading."""

from __future__ import annotations

import json

import pytest

from rlm_core import strategies
from rlm_core.strategies import Example, Step, Strategy, StrategyError


def test_built_in_strategies_go_by_name():
    assert {"default", "small", "frugal"} <= set(strategies.BUILT_IN)
    assert strategies.load("small").wording == "small"


def test_a_strategy_survives_saving_and_loading(tmp_path):
    strategy = Strategy(
        "mine", "Search.", (Example("Q?", "card", (Step("", "grep('x')", "[]"), Step("FINAL(1)"))),)
    )
    path = tmp_path / "mine.json"
    strategies.save(strategy, path)
    assert strategies.load(path) == strategy
    assert strategies.load("mine", folder=tmp_path) == strategy


def test_an_unknown_name_lists_what_there_is(tmp_path):
    strategies.save(Strategy("mine", "x"), tmp_path / "mine.json")
    with pytest.raises(StrategyError, match=r"'nope'; there are: default, frugal, mine, small"):
        strategies.load("nope", folder=tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 99}', '{"format": 1, "name": "x"}', "\x00"])
def test_a_file_that_is_no_strategy_is_named(tmp_path, text):
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(StrategyError, match=r"bad\.json"):
        strategies.load(path)


def test_the_file_is_json_that_people_can_read_and_edit(tmp_path):
    strategies.save(strategies.SMALL, tmp_path / "s.json")
    data = json.loads((tmp_path / "s.json").read_text())
    assert data["examples"][0]["query"] == strategies.SMALL.examples[0].query
