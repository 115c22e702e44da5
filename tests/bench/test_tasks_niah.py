import pytest

from rlm_bench import tasks
from rlm_bench.scorers import score
from rlm_bench.tasks.haystacks import HAYSTACKS
from rlm_bench.tasks.placing import CUTS, DEPTHS

niah = tasks.get("niah")


@pytest.mark.parametrize("haystack", HAYSTACKS)
@pytest.mark.parametrize("pos", DEPTHS)
def test_the_needle_is_where_it_was_put(haystack, pos):
    sample = niah.sample(size=30_000, haystack=haystack, pos=pos)
    needle = sample.meta["needles"][0]
    begin = sample.context.index(needle)
    assert sample.meta["positions"] == [begin / len(sample.context)]
    assert 29_700 <= len(sample.context) <= 30_010
    if pos == "tail":
        assert sample.context.endswith(needle)
    elif pos == 1.0:
        assert sample.context.rstrip().endswith(needle)
    else:
        assert begin / len(sample.context) == pytest.approx(pos, abs=0.01)


@pytest.mark.parametrize("haystack", HAYSTACKS)
@pytest.mark.parametrize("pos", CUTS)
def test_a_cut_falls_inside_the_needle(haystack, pos):
    sample = niah.sample(size=250_000, haystack=haystack, pos=pos)
    where, needle = pos.removeprefix("cut:"), sample.meta["needles"][0]
    if "/" in where:
        k, n = map(int, where.split("/"))
        cuts = [k * len(sample.context) // n]
    else:
        cuts = list(range(int(where), len(sample.context), int(where)))
    begin = sample.context.index(needle)
    assert any(begin < cut < begin + len(needle) for cut in cuts)


@pytest.mark.parametrize("pos", ["middle", -0.1, 1.5, "cut:5/5", "cut:0", True])
def test_a_position_that_makes_no_sense_is_refused(pos):
    with pytest.raises(ValueError, match="pos="):
        niah.sample(pos=pos)


@pytest.mark.parametrize("needle", ["number7", "uuid", "word", "phrase", "code12", "number5", "fact", "code"])
def test_every_kind_of_needle_is_right_alone_or_in_a_sentence_and_wrong_when_changed_or_listed(needle):
    sample = niah.sample(needle=needle)
    gold = sample.answer
    assert score(sample, gold).strict == 1
    assert score(sample, f"The value is: {gold}.").strict == 1
    other = next(a for a in (niah.sample(needle=needle, seed=s).answer for s in range(1, 99)) if a != gold)
    assert score(sample, other).error_class == "wrong"
    listed = score(sample, f"{gold}, or {other}")
    assert (listed.strict, listed.compat, listed.error_class) == (0, 1, "extra")
    assert score(sample, gold[:-1]).strict == 0
