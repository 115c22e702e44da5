import tracemalloc

import pytest

from rlm_core.sandbox.output import Output, clip


def printed(limit, *texts):
    output = Output(limit)
    for text in texts:
        output.emit(text)
    return output.text()


def test_what_fits_is_whole():
    assert printed(10, "hello", " ", "you!") == "hello you!"


def test_head_and_tail_are_kept_and_the_rest_is_counted():
    assert printed(10, "a" * 5 + "b" * 12_345 + "c" * 5) == "aaaaa\n... [12,345 characters cut] ...\nccccc"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("limit", [1, 2, 5, 10, 11])
def test_the_pieces_in_which_it_was_printed_do_not_matter(size, limit):
    text = "".join(map(str, range(300)))
    assert printed(limit, *(text[i : i + size] for i in range(0, len(text), size))) == clip(text, limit)


def test_it_can_be_used_again():
    output = Output(4)
    output.emit("x" * 100)
    output.clear()
    output.emit("new")
    assert output.text() == "new"


def test_fifty_megabytes_cost_no_more_memory_than_the_limit():
    line = "x" * 999 + "\n"
    output = Output(20_000)
    tracemalloc.start()
    for _ in range(50_000):
        output.emit(line)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
    assert "[49,980,000 characters cut]" in output.text()


def test_one_huge_text_is_not_copied():
    text = "y" * 50_000_000
    output = Output(20_000)
    tracemalloc.start()
    output.emit(text)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_a_str_that_lies_about_itself_is_taken_as_what_it_is():
    class Liar(str):
        def __len__(self):
            return 0

        def __getitem__(self, key):
            return "lie" * 10_000

    assert printed(10, Liar("truth")) == "truth"
