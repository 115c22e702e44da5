import json
import re

import pytest
from click.testing import CliRunner

from rlm_bench.commands import bench


def told(*args: str) -> str:
    done = CliRunner().invoke(bench, ["run", *args, "--dry-run"])
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


def dollars(*args: str) -> float:
    """What a dry run of `chunked` says that it would cost."""
    asked = ("--task", "niah", "-p", "size=1000000", "--n", "1", "--method", "chunked")
    return float(re.search(r"^chunked.*\$([\d.]+)", told(*asked, *args), re.M)[1])


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RLM_HOME", str(tmp_path / "home"))
    return tmp_path


def test_each_question_of_a_file_is_forecast_as_itself(here):
    lines = [{"context": "a b c " * n, "query": "q", "answer": "a"} for n in (10, 10_000, 10)]
    (here / "own.jsonl").write_text("\n".join(map(json.dumps, lines)))
    tokens = re.search(r"^direct +3 +([\d,]+)", told("--questions", "own.jsonl", "--method", "direct"), re.M)
    assert 15_000 < int(tokens[1].replace(",", "")) < 16_000  # four characters a token


def test_of_a_run_that_is_begun_only_what_is_left_is_forecast(here):
    given = ["run", "--task", "niah", "--n", "3", "--method", "rlm0", "--method", "oracle", "--dir", "run"]
    assert CliRunner().invoke(bench, given).exit_code == 0
    assert "0 samples, 0 answers" in told("--resume", "run")
    samples = here / "run" / "samples.jsonl"
    samples.write_text("".join(samples.read_text().splitlines(True)[:4]))
    assert re.search(r"^\d samples, 2 answers", told("--resume", "run"))


def test_a_forecast_fetches_no_model(here, monkeypatch):
    pytest.importorskip("llm")
    monkeypatch.delenv("RLM_LOCAL_MODEL", raising=False)
    monkeypatch.setattr("rlm_core.weights._fetch", lambda *_: pytest.fail("a model is fetched"))
    table = told("--task", "niah", "-m", "local", "--tokens", "5000", "--method", "direct")
    assert re.search(r"^direct +1 +(4,9|5,0)\d\d ", table, re.M)


def test_the_columns_of_a_forecast_never_touch(here):
    table = told("--task", "niah", "-p", "size=1000000", "--n", "500", "--method", "rlm0")
    row = re.search(r"^rlm0.*", table, re.M)[0]
    assert re.split(" {2,}", row)[1] == "500"
    assert len(re.split(" {2,}", row)) == 5


def test_notes_are_priced_as_the_model_that_takes_them(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    alone, dear_notes = dollars("-m", "gpt-4o-mini"), dollars("-m", "gpt-4o-mini", "--sub-model", "gpt-4o")
    cheap_notes, dear = dollars("-m", "gpt-4o", "--sub-model", "gpt-4o-mini"), dollars("-m", "gpt-4o")
    assert 10 * alone < dear  # the prices of the two
    assert alone <= cheap_notes < 2 * alone
    assert dear / 1.2 < dear_notes <= dear
