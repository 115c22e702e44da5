"""Cells, one after another: what they print, how they fail, how they are stopped, what they leave behind."""

import signal

import pytest

from rlm_core.sandbox import interrupt, worker
from rlm_core.sandbox.protocol import Execute, Repl, Resume
from tests.sandbox.fake_channel import FakeChannel, last, run

# ---- output and state


def test_output_comes_back():
    assert last("print('hello')\nprint('world')").output == "hello\nworld\n"


def test_a_last_bare_expression_is_shown():
    assert last("x = 20\nx + 22").output == "42\n"


def test_variables_live_from_cell_to_cell():
    assert last("x = 1", "def add(n):\n    return x + n", "print(add(2))").output == "3\n"


def test_functions_see_names_that_later_cells_bind():
    assert last("def f():\n    return n", "n = 1", "n = 2\nprint(f())").output == "2\n"


def test_an_error_keeps_what_was_printed_and_assigned_before_it():
    failed, after = run("x = 1\nprint('so far')\n1 / 0\nx = 2", "print(x)").done
    assert failed.output == "so far\n"
    assert "ZeroDivisionError" in failed.error
    assert after.output == "1\n"
    assert after.error is None


def test_inputs_are_there_and_stay_edited():
    first, second = run(
        "docs.append('c')\nname = name.upper()",
        "print(docs, name)",
        inputs={"docs": ["a", "b"], "name": "n"},
    ).done
    assert first.error is None
    assert second.output == "['a', 'b', 'c'] N\n"


def test_output_is_bounded():
    done = last("print('x' * 50_000_000)\nprint('end')", output_chars=1000)
    assert len(done.output) < 1100
    assert done.output.startswith("xxx")
    assert done.output.endswith("end\n")
    assert "[49,999,005 characters cut]" in done.output


def test_fifty_megabytes_in_small_prints_are_bounded_too():
    done = last("for i in range(50_000):\n    print('y' * 999)", output_chars=1000)
    assert len(done.output) < 1100
    assert "[49,999,000 characters cut]" in done.output


def test_seconds_do_not_count_the_host(monkeypatch):
    now, timers = 0.0, []
    monkeypatch.setattr(interrupt.time, "perf_counter", lambda: now)

    def host(call):
        nonlocal now
        now += 100.0
        timers.append(signal.getitimer(signal.ITIMER_REAL)[0])

    done = last("ask()", host=host, tools=("ask",))
    assert done.error is None
    assert (done.seconds, timers) == (0.0, [0.0])


# ---- errors


def test_a_traceback_shows_the_cell_and_nothing_of_ours():
    done = last("def half(n):\n    return 1 / n\n", "x = 1\nprint(half(0))")
    assert done.error == (
        "Traceback (most recent call last):\n"
        '  File "<cell 2>", line 2\n'
        "    print(half(0))\n"
        '  File "<cell 1>", line 2, in half\n'
        "    return 1 / n\n"
        "ZeroDivisionError: division by zero"
    )


def test_an_error_in_a_helper_is_shown_where_it_was_called():
    lines = last("x = 1\ngrep('')").error.split("\n")
    assert lines[1:3] == ['  File "<cell 1>", line 2', "    grep('')"]
    assert lines[3].startswith("ValueError: grep needs something to look for")
    assert len(lines) == 4


def test_a_syntax_error_shows_line_and_caret():
    assert last("x = 1\ny = = 2").error == (
        '  File "<cell 1>", line 2\n    y = = 2\n        ^\nSyntaxError: invalid syntax'
    )


def test_the_caret_of_a_syntax_error_in_a_long_line_is_in_sight():
    shown, caret = last("x = [" + "1, " * 1000 + "= ]").error.split("\n")[1:3]
    assert len(shown) < 250
    assert shown[caret.index("^")] == "="


def test_a_refusal_of_the_language_wall_is_an_ordinary_error():
    refused, after = run("open('/etc/passwd')", "print('alive')").done
    assert "open" in refused.error
    assert after.output == "alive\n"


def test_the_causes_of_an_error_are_shown():
    error = last("try:\n    {}['k']\nexcept KeyError as e:\n    raise ValueError('no k') from e").error
    assert error.index("KeyError: 'k'") < error.index("direct cause") < error.index("ValueError: no k")


@pytest.mark.parametrize(
    "code",
    [
        "def r(n):\n    return r(n + 1)\nr(0)",
        "def a(n):\n    return b(n)\ndef b(n):\n    return a(n)\na(0)",
        "x = []\nfor _ in range(100_000):\n    x = [x]\nprint(x)",
    ],
)
def test_deep_recursion_is_reported_and_the_worker_lives(code):
    failed, after = run(code, "print('alive')").done
    assert "RecursionError" in failed.error
    assert len(failed.error) < 3000
    assert after.output == "alive\n"


def test_a_huge_message_is_cut():
    error = last("raise ValueError('x' * 10_000_000)").error
    assert len(error) < 4000
    assert "characters cut" in error


@pytest.mark.parametrize("method", ["__str__", "__repr__"])
@pytest.mark.parametrize("body", ["raise ValueError('evil')", "return 1", "raise MemoryError()", "1 / 0"])
def test_an_exception_whose_text_cannot_be_made_is_still_reported(method, body):
    code = f"class Evil(Exception):\n    def {method}(self):\n        {body}\nraise Evil(Evil())"
    failed, after = run(code, "print('alive')").done
    assert failed.error
    assert after.output == "alive\n"


@pytest.mark.parametrize(
    "details",
    [
        "('<cell 1>', 1, 10**9, 'text')",
        "('<cell 1>', 1, 5, 'x', object())",
        "('<cell 1>', 'x', 'y', [], 1, 2)",
        "[1]",
    ],
)
def test_a_syntax_error_that_the_code_made_up_is_reported_too(details):
    done = last(f"x = 1\nraise SyntaxError('made up', {details})")
    assert done.error
    assert len(done.error) < 1000
    assert done.variables == {"x": "int"}


def test_an_exception_whose_text_never_ends_is_stopped():
    code = "class Evil(Exception):\n    def __str__(self):\n        while True: pass\nraise Evil()"
    failed, after = run(code, "print('alive')", seconds=0.2).done
    assert "TimeoutError" in failed.error
    assert after.output == "alive\n"


def test_a_value_whose_repr_never_ends_is_stopped():
    code = "class Evil:\n    def __repr__(self):\n        while True: pass\nEvil()"
    assert "TimeoutError" in last(code, seconds=0.2).error


@pytest.mark.parametrize("code", ["exit()", "quit()", "raise SystemExit", "raise KeyboardInterrupt"])
def test_nothing_exits(code):
    failed, after = run(code, "print('alive')").done
    assert failed.error
    assert after.output == "alive\n"


def test_running_out_of_memory_is_reported_and_state_is_kept():
    failed, after = run("x = 1\nbig = [0] * 10**15", "print(x)").done
    assert failed.error.endswith(
        "MemoryError: out of memory; variables are kept: delete what is no longer needed"
    )
    assert "line 2" in failed.error
    assert after.output == "1\n"


# ---- stopping

ENDLESS = {
    "loop": "while True:\n    pass",
    "handlers": "while True:\n    try:\n        while True: pass\n    except Exception:\n        pass",
    "bare handler": "while True:\n    try:\n        while True: pass\n    except:\n        pass",
    "finally": "def f():\n    try:\n        while True: pass\n    finally:\n        while True: pass\nf()",
    "finally that returns": (
        "def f():\n    try:\n        while True: pass\n    finally:\n        return 1\nf()\nwhile True: pass"
    ),
    "with that swallows": (
        "class Calm:\n    def __enter__(self):\n        return self\n"
        "    def __exit__(self, *a):\n        return True\n"
        "with Calm():\n    while True: pass\nwhile True: pass"
    ),
    "generator": "def g():\n    while True:\n        yield 1\nfor _ in g():\n    pass",
    "callback": "sorted([1, 2], key=lambda x: [0 for _ in iter(int, 1)])",
    "regex": "import re\nre.match(r'(a+)+$', 'a' * 40 + 'b')",
    "power": "x = 10 ** 10 ** 7\nwhile True:\n    x = x * x % 10 ** 9",
    "sleep": "import time\nwhile True:\n    time.sleep(1)",
}


@pytest.mark.parametrize("code", ENDLESS.values(), ids=ENDLESS)
def test_what_does_not_end_is_stopped_and_state_kept(code):
    _, stopped, after = run("kept = 7", Execute(code, 0.2), "print(kept)").done
    assert stopped.error.endswith("TimeoutError: the step ran past its limit of 0.2 s; variables are kept")
    assert after.output == "7\n"
    assert after.error is None


def test_the_line_at_which_it_was_stopped_is_shown():
    assert 'File "<cell 1>", line 2' in last("\nwhile True: pass", seconds=0.1).error


def test_a_stop_that_was_swallowed_is_still_reported():
    code = (
        "class Calm:\n    def __enter__(self):\n        return self\n"
        "    def __exit__(self, *a):\n        return True\n"
        "with Calm():\n    while True: pass\nprint('went on')"
    )
    done = last(code, seconds=0.1)
    assert "TimeoutError" in done.error


def test_after_its_time_a_cell_can_neither_call_the_host_nor_submit():
    code = "try:\n    while True: pass\nfinally:\n    {}"
    assert run(code.format("ask()"), seconds=0.1, tools=("ask",)).calls == []
    assert last(code.format("SUBMIT(1)"), seconds=0.1).submitted is None


def test_the_clock_goes_on_after_a_call():
    done = last("ask()\nwhile True: pass", tools=("ask",), seconds=0.2)
    assert "TimeoutError" in done.error


def test_the_host_may_count_more_of_a_cells_time_than_its_own_clock_does():
    done = last("ask()\nwhile True: pass", tools=("ask",), seconds=30, host=lambda call: Resume(left=0.1))
    assert done.timed_out
    assert done.seconds < 10


def test_only_a_cell_that_was_stopped_has_timed_out():
    done = run("x = 1", "1 / 0", "SUBMIT(1)", Execute("while True: pass", 0.1)).done
    assert [one.timed_out for one in done] == [False, False, False, True]


def test_a_cell_is_not_stopped_by_the_time_of_the_one_before():
    done = run(Execute("x = 1", 0.1), "import time\ntime.sleep(0.3)\nprint('slept')").done
    assert done[1].error is None
    assert done[1].output == "slept\n"


def test_the_signal_is_given_back():
    before = signal.getsignal(signal.SIGALRM)
    run("x = 1")
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


# ---- the channel


def test_the_worker_returns_when_the_host_is_gone_during_a_call():
    def gone(call):
        raise EOFError

    channel = run(
        "try:\n    ask()\nexcept Exception:\n    print('caught')", "x = 1", host=gone, tools=("ask",)
    )
    assert channel.done == []


def test_the_worker_returns_when_the_host_talks_nonsense():
    assert run("ask()", "x = 1", host=lambda call: Execute("y = 1", 1), tools=("ask",)).done == []

    channel = FakeChannel((Resume("an answer to nothing"),), host=lambda call: None)  # type: ignore[arg-type]
    worker.serve(channel, {}, Repl())
    assert channel.done == []


def test_a_call_from_the_depths_of_a_recursion_fails_before_anything_is_sent():
    code = "def down():\n    try:\n        down()\n    except RecursionError:\n        return ask()\ndown()"
    channel = run(code, "print(ask())", host=lambda call: "answered", tools=("ask",))
    assert channel.done[1].output == "answered\n"


class Choosy(FakeChannel):
    """Refuses to send what `refuse` says, as the wire does with what cannot cross."""

    def send(self, frame):
        if getattr(frame, "submitted", None) and "wrong" in str(frame.submitted):
            raise TypeError("that cannot cross")
        super().send(frame)


def test_a_submission_that_cannot_cross_is_reported():
    channel = Choosy((Execute("SUBMIT('wrong')", 1), Execute("print('alive')", 1)), host=lambda call: None)
    worker.serve(channel, {}, Repl())
    assert channel.done[0].submitted is None
    assert "that cannot cross" in channel.done[0].error
    assert channel.done[1].output == "alive\n"


# ---- modules of the host's


def test_a_module_of_the_hosts_is_there_with_and_without_an_import():
    source = "class Asker:\n    def __call__(self, x):\n        return call_host('ask', {x})\n\n_own = 1"
    channel = run(
        "from desk import Asker\nimport desk\nprint(Asker()(1), desk.Asker()(2))",
        "desk = 3",
        "print(desk.Asker()(3))\ndesk._own",
        modules={"desk": source},
        host=lambda call: sorted(call.args[1]),
    )
    assert [done.output for done in channel.done] == ["[1] [2]\n", "", "[3]\n"]
    assert "_own" in (channel.done[-1].error or "")
    assert [(call.name, call.args) for call in channel.calls] == [("desk", ("ask", {n})) for n in (1, 2, 3)]
    assert "desk" not in channel.done[-1].variables


def test_its_source_is_behind_the_language_wall():
    assert "files" in last("import desk", modules={"desk": "import shutil"}).error
    assert "__subclasses__" in last("import desk", modules={"desk": "object.__subclasses__()"}).error


def test_a_cell_cannot_reach_its_host_but_by_its_members():
    done = last("import desk\nprint(desk.call_host)", modules={"desk": "def ask(): pass"})
    assert "has no 'call_host' here" in done.error
    assert "read-only" in last("import desk\ndesk.ask = 1", modules={"desk": "def ask(): pass"}).error
