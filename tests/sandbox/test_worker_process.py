"""The worker where it lives: in a locked process, with the memory that it is given, under real signals."""

import pytest

from rlm_core.sandbox import Sandbox

MEMORY = 128 << 20


@pytest.fixture
def repl():
    with Sandbox(
        context="first line\nsecond LINE\n" * 1000, tools={"shout": str.upper}, memory=MEMORY
    ) as sandbox:
        yield sandbox


def test_cells_run_and_keep_state_behind_the_walls(repl):
    assert repl.execute("x = len(grep('second'))\nprint(x, shout('hi'))").output == "1000 HI\n"
    assert repl.execute("y = chunks(1000)\n''.join(y) == context, x").output == "(True, 1000)\n"
    assert repl.execute("SUBMIT(x)").submitted.values == {"answer": 1000}


def test_memory_may_run_out_time_and_again(repl):
    repl.execute("kept = 7\nhoard = []")
    for _ in range(5):
        outcome = repl.execute("while True: hoard.append(str(len(hoard)) * 50)")
        assert "MemoryError: out of memory; variables are kept" in outcome.error
        assert outcome.variables["kept"] == "int"
    assert "MemoryError" in repl.execute("big = 'x' * 10**10").error
    after = repl.execute("del hoard\nfresh = [0] * 1_000_000\nprint(kept)")
    assert (after.output, after.error, after.note) == ("7\n", None, "")


@pytest.mark.parametrize(
    "code",
    [
        "while True: pass",
        "import time\ntime.sleep(100)",
        "import re\nre.match('(a+)+$', 'a' * 50 + 'b')",
        "try:\n    while True: pass\nfinally:\n    while True: pass",
        "class Evil(Exception):\n    def __str__(self):\n        while True: pass\nraise Evil",
    ],
)
def test_what_does_not_end_is_stopped_in_time_and_state_kept(repl, code):
    repl.execute("kept = 7")
    outcome = repl.execute(code, seconds=0.3)
    assert "TimeoutError: the step ran past its limit of 0.3 s" in outcome.error
    assert outcome.variables["kept"] == "int"
    after = repl.execute("print(kept)")
    assert (after.output, after.note) == ("7\n", "")


@pytest.mark.parametrize(
    "code",
    [
        "def down(n): return down(n + 1)\ndown(0)",
        "nest = []\nfor _ in range(100_000): nest = [nest]\nrepr(nest)",
        "import json\njson.loads('[' * 100_000)",
        "import copy\nnest = []\nfor _ in range(10_000): nest = [nest]\ncopy.deepcopy(nest)",
        "def down():\n    try:\n        down()\n    finally:\n        shout('x')\ndown()",
    ],
)
def test_the_deepest_recursion_harms_nothing(repl, code):
    assert "RecursionError" in repl.execute("kept = 7\n" + code).error
    after = repl.execute("print(kept)")
    assert (after.output, after.note) == ("7\n", "")


def test_much_printed_is_little_sent(repl):
    outcome = repl.execute("for _ in range(50):\n    print('x' * 1_000_000)")
    assert len(outcome.output) < 21_000
    assert "[49,980,050 characters cut]" in outcome.output
