import random

import pytest

from rlm_bench import prose, tasks
from rlm_bench.samples import flat
from rlm_bench.scorers import score
from rlm_bench.tasks.haystacks import HAYSTACKS
from rlm_bench.tasks.placing import CUTS, DEPTHS, TENTHS

niah = tasks.get("niah")


@pytest.mark.parametrize("haystack", HAYSTACKS)
@pytest.mark.parametrize("pos", DEPTHS)
def test_the_needle_is_where_it_was_put(haystack, pos):
    sample = niah.sample(size=30_000, haystack=haystack, pos=pos)
    needle = sample.meta["needles"][0]
    text = flat(sample.context)
    begin = text.index(needle)
    assert sample.meta["positions"] == [begin / len(text)]
    assert 29_300 <= len(text) <= 30_010
    if pos == "tail":
        assert text.endswith(needle)
    elif pos == 1.0:
        assert text.rstrip().endswith(needle)
    else:
        assert begin / len(text) == pytest.approx(pos, abs=0.012)


@pytest.mark.parametrize("haystack", HAYSTACKS)
@pytest.mark.parametrize("pos", [*CUTS, *TENTHS])
def test_a_cut_falls_inside_the_needle(haystack, pos):
    sample = niah.sample(size=250_000, haystack=haystack, pos=pos)
    where, needle, text = pos.removeprefix("cut:"), sample.meta["needles"][0], flat(sample.context)
    if "/" in where:
        k, n = map(int, where.split("/"))
        cuts = [k * len(text) // n]
    else:
        cuts = list(range(int(where), len(text), int(where)))
    begin = text.index(needle)
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


def test_documents_are_a_list_each_under_its_title():
    sample = niah.sample(size=30_000, haystack="docs", pos=0.5)
    assert len(sample.context) > 5
    assert all(document.startswith("# ") for document in sample.context)
    assert sum(sample.meta["needles"][0] in document for document in sample.context) == 1


def test_no_haystack_holds_a_sentence_twice_but_noise_and_every_one_is_its_own_kind_of_text():
    texts = {name: flat(niah.sample(size=30_000, haystack=name).context) for name in HAYSTACKS}
    assert texts["noise"].count("The grass is green.") > 200
    sentences = texts["prose"].replace("\n", " ").split(". ")
    assert len(sentences) == len(set(sentences))
    assert texts["needles"].count("One of the special magic numbers for") > 300
    assert texts["json"].startswith('[\n{"id": ')
    assert texts["xml"].startswith("<?xml")
    assert "def " in texts["code"]


def test_a_folder_of_ones_own_texts_may_be_the_haystack(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "a.txt").write_text("one line\n\nanother line\n")
    (tmp_path / "b" / "c.md").write_text("a third line, äöü\n")
    (tmp_path / "d.bin").write_bytes(b"\xff\xfe no text")
    sample = niah.sample(size=2_000, haystack=f"corpus:{tmp_path}", pos="tail")
    lines = sample.context.splitlines()
    assert set(lines[:3]) == {"one line", "another line", "a third line, äöü"}
    assert lines[3] == "Part 2"
    assert sample.context.endswith(sample.meta["needles"][0])
    assert sample == niah.sample(size=2_000, haystack=f"corpus:{tmp_path}", pos="tail")
    with pytest.raises(ValueError, match="no text in it"):
        niah.sample(haystack=f"corpus:{tmp_path}/none")
    with pytest.raises(ValueError, match=r"haystack='hay': must be one of noise, .* or corpus:FOLDER"):
        niah.sample(haystack="hay")


def test_more_names_than_there_are_are_refused():
    with pytest.raises(ValueError, match="there are 39072 different names at most, not 40000"):
        prose.keys(random.Random(0), 40_000)
