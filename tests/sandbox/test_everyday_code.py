"""Python that models write runs behind the language wall, and means what it means without it."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from typing import Any

import pytest

from rlm_core.sandbox import namespace, policy
from tests.sandbox.cells import Cells, output, run, sections

MODEL_CODE = sections("model_code.txt")
EVERYDAY = sections("everyday.txt")


def a_context() -> str:
    lines = ["Header line ID: 17"]
    for i in range(200):
        lines.append(f"user=u{i % 5} | amount={i * 1.5} | label=spam{i % 3} | ID: {i}")
        if i % 10 == 0:
            lines.append(json.dumps({"k": i, "name": "Alice"}))
        if i % 25 == 0:
            lines.append("")
    return "\n".join([*lines, "the magic number is 4711."])


def names() -> dict[str, Any]:
    return {
        "context": a_context(),
        "llm_query": lambda prompt: f"answer to {prompt[:20]}",
        "llm_query_batched": lambda prompts: [f"answer to {prompt[:20]}" for prompt in prompts],
    }


def run_all(code: str) -> str:
    session = Cells(**names())
    return "".join(session.run(cell) for cell in code.split("%%\n"))


def test_there_are_67_cells_of_model_code() -> None:
    assert sum(code.count("%%\n") + 1 for code in MODEL_CODE.values()) == 67


@pytest.mark.parametrize("name", MODEL_CODE)
def test_model_code_runs(name: str) -> None:
    run_all(MODEL_CODE[name])  # holds its own asserts


@pytest.mark.parametrize("name", EVERYDAY)
def test_everyday_code_runs(name: str) -> None:
    run_all(EVERYDAY[name])


@pytest.mark.parametrize("name", EVERYDAY)
def test_everyday_code_prints_what_plain_python_prints(name: str) -> None:
    code = EVERYDAY[name]
    if "# here:" in code:
        pytest.skip("asks for what only the sandbox has")
    printed = io.StringIO()
    namespace: dict[str, Any] = {"__name__": "__main__", **names()}
    with contextlib.redirect_stdout(printed):
        for cell in code.split("%%\n"):
            exec(compile(cell, "<cell>", "exec", dont_inherit=True), namespace)
    assert run_all(code) == printed.getvalue()


# The last line of a cell


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("1 + 1", "2\n"),
        ("x = 5\nx", "5\n"),
        ("'text'", "'text'\n"),
        ("None", ""),
        ("print('once')", "once\n"),
        ("x = 5", ""),
        ("1\nx = 2", ""),
        ("[].append(1)", ""),
        ("def f():\n    1\nf()", ""),
        ("if True:\n    5", ""),
        ("for i in [1]: i", ""),
        ("1; 2", "2\n"),
        ("", ""),
        ("# a comment", ""),
    ],
)
def test_a_last_line_that_is_a_value_is_shown(cell: str, shown: str) -> None:
    assert output(cell) == shown


def test_a_long_text_is_shown_by_its_beginning_and_length() -> None:
    shown = output("context", context="x" * 2_000_000)
    assert len(shown) < 200_000
    assert shown.endswith("(2,000,000 characters)\n")


def test_printing_the_context_does_not_copy_it() -> None:
    context = "x" * 1_000
    printed: list[str] = []
    exec(policy.compile_cell("print(context)"), namespace.make_globals(printed.append, {"context": context}))
    assert printed[0] is context


# Batches


def batching() -> tuple[list[list[str]], dict[str, Any]]:
    sent: list[list[str]] = []

    def llm_query_batched(prompts: list[str]) -> list[str]:
        sent.append(list(prompts))
        return [prompt.upper() for prompt in prompts]

    def llm_query(prompt: str, model: str | None = None) -> str:
        sent.append([f"single {prompt}"])
        return prompt.upper()

    return sent, {"llm_query": llm_query, "llm_query_batched": llm_query_batched}


@pytest.mark.parametrize(
    "asking",
    [
        "list(pool.map(llm_query, ['a', 'b', 'c']))",
        "[f.result() for f in [pool.submit(llm_query, p) for p in 'abc']]",
        "[f.result() for f in as_completed([pool.submit(llm_query, p) for p in 'abc'])]",
        "[f.result() for f in list(as_completed({pool.submit(llm_query, p): p for p in 'abc'}))]",
        "sorted(f.result() for f in wait([pool.submit(llm_query, p) for p in 'abc'])[0])",
    ],
)
def test_an_executor_sends_sub_calls_as_one_batch(asking: str) -> None:
    sent, given = batching()
    session = run(
        "from concurrent.futures import ThreadPoolExecutor, as_completed, wait\n"
        f"with ThreadPoolExecutor(max_workers=8) as pool:\n    answers = {asking}",
        **given,
    )
    assert session["answers"] == ["A", "B", "C"]
    assert sent == [["a", "b", "c"]]


def test_what_was_submitted_is_sent_when_the_executor_ends() -> None:
    sent, given = batching()
    session = run(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor() as pool:\n    futures = [pool.submit(llm_query, p) for p in 'ab']\n"
        "answers = [f.result() for f in futures]",
        **given,
    )
    assert session["answers"] == ["A", "B"]
    assert sent == [["a", "b"]]


def test_another_function_runs_at_once_and_its_error_waits_for_the_result() -> None:
    session = run(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "def work(x):\n    return 10 // x\n"
        "pool = ThreadPoolExecutor()\n"
        "good, bad = pool.submit(work, 5), pool.submit(work, 0)\n"
        "results = [good.result(), type(bad.exception()).__name__]\n"
        "try:\n    bad.result()\nexcept ZeroDivisionError:\n    results.append('raised')\n"
    )
    assert session["results"] == [2, "ZeroDivisionError", "raised"]


def test_a_failed_batch_fails_each_of_its_futures() -> None:
    def llm_query_batched(prompts: list[str]) -> list[str]:
        raise RuntimeError("no sub-calls are left")

    session = run(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "pool = ThreadPoolExecutor()\n"
        "futures = [pool.submit(llm_query, p) for p in 'ab']\n"
        "errors = [str(f.exception()) for f in futures]",
        llm_query=lambda prompt: prompt,
        llm_query_batched=llm_query_batched,
    )
    assert session["errors"] == ["no sub-calls are left"] * 2


def test_sub_calls_are_looked_up_when_they_are_made() -> None:
    session = run("from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor()")
    sent, given = batching()
    session.names.update(given)  # as a worker does before every cell
    session.run("answers = list(pool.map(llm_query, ['a', 'b']))")
    assert sent == [["a", "b"]]


def test_two_sessions_share_nothing() -> None:
    one, two = Cells(), Cells()
    one.run("import types\nx = 1\nlen = None\ntypes.SimpleNamespace.mark = 1")
    two.run("import types\nn = len([1])\nmarked = hasattr(types.SimpleNamespace, 'mark')")
    assert "x" not in two.names
    assert two["n"] == 1
    assert two["marked"] is False


@pytest.mark.skipif(sys.version_info < (3, 12), reason="syntax of 3.12")
def test_quotes_may_be_reused_inside_f_strings() -> None:
    assert output("d = {'a': 1}\nprint(f'{d['a']}')") == "1\n"


@pytest.mark.skipif(sys.version_info < (3, 14), reason="syntax of 3.14")
def test_template_strings_run() -> None:
    assert output("x = 2\nt = t'a{x}b'\nprint(t.strings, t.interpolations[0].value)") == "('a', 'b') 2\n"
