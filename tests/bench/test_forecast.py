import re

from click.testing import CliRunner

from rlm_bench.commands import bench


def dollars(*args: str) -> float:
    """What a dry run of `chunked` says that it would cost."""
    asked = ("run", "--task", "niah", "-p", "size=1000000", "--n", "1", "--method", "chunked", "--dry-run")
    done = CliRunner().invoke(bench, [*asked, *args])
    assert done.exit_code == 0, (done.output, done.exception)
    return float(re.search(r"^chunked.*\$([\d.]+)", done.stdout, re.M)[1])


def test_notes_are_priced_as_the_model_that_takes_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RLM_HOME", str(tmp_path))
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    alone, dear_notes = dollars("-m", "gpt-4o-mini"), dollars("-m", "gpt-4o-mini", "--sub-model", "gpt-4o")
    cheap_notes, dear = dollars("-m", "gpt-4o", "--sub-model", "gpt-4o-mini"), dollars("-m", "gpt-4o")
    assert 10 * alone < dear  # the prices of the two
    assert alone <= cheap_notes < 2 * alone
    assert dear / 1.2 < dear_notes <= dear
