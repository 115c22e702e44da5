import dataclasses
import re

import pytest
from bench.made import row, some
from click.testing import CliRunner

from rlm_bench.commands import bench
from rlm_bench.compare import compared
from rlm_bench.rows import RowsError
from rlm_bench.stats import fisher
from rlm_bench.summary import pairs


def test_two_runs_are_compared_on_what_both_have():
    before, after = [*some("rlm0", 4, 20), row("rlm0", None, 50)], [*some("rlm0", 18, 20), row(number=99)]
    told = compared(before, [dataclasses.replace(one, model="big") for one in after], ("old", "new"))
    assert told.startswith(
        "first: old; models: made\n  20 answers compared; left out: 0 without a counterpart, 1 errors\n"
        "second: new; models: big + made\n  20 answers compared; left out: 1 without a counterpart, 0 errors"
        "\n\nPaired: "
    )
    assert re.search(r"niah +rlm0 +20% .* of 20 +90% .* of 20 +\+70 +-0 \+14 .* better", told)
    assert "not told apart" in compared(before, before, ("old", "new"))


def test_what_has_nothing_in_common_is_not_compared():
    for other in (some("rag", 1, 1), some("rlm0", 1, 1, task="vt"), some("rlm0", 1, 9, task_version=2)):
        apart = [dataclasses.replace(one, sample=f"other {one.index}") for one in other]
        with pytest.raises(RowsError, match=r"nothing to compare: .* in old \(rlm0 on niah\) and in new"):
            compared(some("rlm0", 4, 20), apart, ("old", "new"))
    with pytest.raises(RowsError, match=r"new \(no answers on no task\)"):
        compared(some("rlm0", 4, 20), [row("rlm0", None)], ("old", "new"))


def elsewhere(rows):
    """The same of another seed."""
    return [dataclasses.replace(one, sample=f"other {one.index}", seed=1) for one in rows]


def test_other_samples_of_the_same_settings_are_compared_unpaired_and_called_so():
    told = compared(some("rlm0", 2, 20), elsewhere(some("rlm0", 19, 20)), ("old", "new"))
    assert "Unpaired: other samples" in told
    assert "Paired: " not in told
    p = fisher(2, 20, 19, 20)
    assert re.search(rf"niah +rlm0 +10% .* of 20 +95% .* of 20 +\+85 +{p:.2g} +better", told)
    few = compared(some("rlm0", 0, 2), elsewhere(some("rlm0", 2, 2)), ("old", "new"))
    assert re.search(r"\+100 .* not told apart", few)


def test_unpaired_settings_that_only_one_run_has_are_left_out_and_each_counts_alike():
    def asked(size, right, of):
        return some("rlm0", right, of, params={"size": size})

    before = [*asked(1_000, 10, 10), *asked(2_000, 0, 10), *asked(3_000, 0, 10)]
    after = [*asked(1_000, 10, 10), *asked(2_000, 0, 1)]  # stopped early: no worse for that, nor better
    told = compared(before, elsewhere(after), ("old", "new"))
    assert re.search(r"niah +rlm0 +50% .* of 20 +50% .* of 11 +\+0 ", told)
    assert "left out: 10 without a counterpart" in told


def test_several_models_and_settings_of_a_run_are_compared_each_with_its_like():
    def run(right, model="small", settings="a"):
        return some("rlm0", right, 20, model=model, sub_model=model, method_cfg_sha=settings)

    told = compared([*run(2), *run(19, "big")], [*run(2), *run(18, "big"), *run(9, "new")], ("a", "b"))
    assert re.search(r"rlm0 small +10% .* 10% ", told)
    assert re.search(r"rlm0 big +95% .* 90% ", told)
    assert "rlm0 new" not in told
    told = compared(run(2), [*run(3, settings="b"), *run(4)], ("a", "b"))
    assert re.search(r"rlm0 #a +10% .* 20% ", told)
    assert re.search(r"rlm0 +10% .* 15% ", compared(run(2), run(3, settings="b"), ("a", "b")))


def test_the_command_ends_with_an_error_where_there_is_nothing_to_compare(tmp_path):
    for name, method in (("one", "rag"), ("two", "rlm0")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "samples.jsonl").write_text(row(method).line() + "\n", "utf-8")
    done = CliRunner().invoke(bench, ["compare", str(tmp_path / "one"), str(tmp_path / "two/samples.jsonl")])
    assert done.exit_code == 1
    assert "in one (rag on niah) and in two (rlm0 on niah)" in done.stderr
    done = CliRunner().invoke(bench, ["compare", str(tmp_path / "one"), str(tmp_path / "one")])
    assert done.exit_code == 0, done.output


def test_two_runs_are_told_apart_by_tests_that_are_adjusted_for_how_many_there_are():
    def run(*rights):
        return [
            one
            for task, right in enumerate(rights)
            for one in some("rlm0", right, 20, task=f"task{task}", params={"task": task})
        ]

    (p,) = {pair.p for pair in pairs({"": [*some("a", 4, 20), *some("b", 18, 20)]}, lambda row: row.method)}
    told = compared(run(4, 10, 10, 10), run(18, 10, 10, 10), ("old", "new"))
    (line,) = re.findall("task0 .*", told)
    assert re.search(rf" {4 * p:.2g} +better", line)
    assert told.count("not told apart") == 3


def test_two_runs_are_compared_on_the_same_texts_alone():
    before = some("rlm0", 5, 5)
    after = [dataclasses.replace(one, context_sha256="of another Python") for one in before[:2]] + before[2:]
    told = compared(before, after, ("old", "new"))
    assert "2 samples have other texts in new: they are no pairs.\n" in told
    assert "3 answers compared; left out: 2 without a counterpart" in told
    assert "Unpaired: " in compared(before, after[:2], ("old", "new"))
    one, other = [*before, *some("rag", 1, 5)], [*before, *some("direct", 1, 5)]
    assert "other texts" not in compared(one, other, ("a", "b"))


def test_the_tables_fit_the_terminal():
    before, after = (
        some("rlm0", 4, 20, task="a_task_of_a_name"),
        some("rlm0", 18, 20, task="a_task_of_a_name"),
    )
    told = compared(before, after, ("old", "new"), 80)
    assert max(map(len, told.splitlines())) <= 80
    assert "median time" in told
