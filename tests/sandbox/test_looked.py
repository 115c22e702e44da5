"""Where `grep` and `chunks` looked, as a cell's report tells it."""

from __future__ import annotations

from tests.sandbox.fake_channel import last

TEXT = "filler\n" * 1_000 + "the magic word\n" + "filler\n" * 1_000


def test_hits_and_pieces_are_told_with_their_places():
    assert last("x = grep('magic')", context=TEXT).looked == (("grep", "context", 7_000, 14),)
    assert last("x = chunks(500)", context=TEXT).looked == (("chunks", "context", 0, len(TEXT)),)


def test_documents_and_inputs_are_named_as_code_names_them():
    documents = {"a.txt": "one", "b": ["two", "magic"]}
    assert last("x = grep('one')", context=documents).looked == (("grep", "context['a.txt']", 0, 3),)
    assert last("x = grep('magic')", context=documents).looked == (("grep", "context['b'][1]", 0, 5),)
    assert last("x = grep('one', context['a.txt'])", context=documents).looked[0][1] == "context['a.txt']"
    inputs = {"report": "found", "notes": "found"}
    assert [span[1] for span in last("x = grep('found')", inputs=inputs).looked] == ["report", "notes"]


def test_another_text_is_none_of_the_inputs():
    assert last("x = grep('magic', 'no magic'), chunks(2, text='abc')", context=TEXT).looked == ()
    assert last("context = 'magic'\nx = grep('magic')", context=TEXT).looked == ()


def test_each_step_tells_its_own():
    assert last("x = grep('magic')", "pass", context=TEXT).looked == ()


def test_a_thousand_hits_are_a_few_spans():
    text = "magic word\n" * 100_000
    assert last("x = grep('magic')", context=text).looked == (("grep", "context", 0, len(text) - 1),)
    many = {f"{n}.txt": "magic" for n in range(5_000)}
    assert len(last("x = grep('magic')", context=many).looked) == 2_000
