import dataclasses
import re

from bench.made import row, some

from rlm_bench.compare import compared
from rlm_bench.summary import pairs


def test_two_runs_are_compared_on_what_both_have():
    before, after = some("rlm0", 4, 20), [*some("rlm0", 18, 20), row("rlm0", number=99)]
    told = compared(before, after, ("old", "new"))
    assert told.startswith("20 answers to the same samples")
    assert re.search(r"niah +rlm0 .*4/20.*18/20.* \+70 +-0 \+14 .* better", told)
    same = compared(before, before, ("old", "new"))
    assert "not told apart" in same
    assert "no sample and method in common" in compared(before, some("rag", 1, 1), ("old", "new"))


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
    assert told.startswith(
        "2 samples have other texts in new, and are left out.\n3 answers to the same samples"
    )
    assert "no sample and method in common" in compared(before, after[:2], ("old", "new"))
    one, other = [*before, *some("rag", 1, 5)], [*before, *some("direct", 1, 5)]
    assert "other texts" not in compared(one, other, ("a", "b"))
