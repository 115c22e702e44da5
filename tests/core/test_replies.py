"""What a model meant by its reply."""

import time

import pytest

from rlm_core.replies import Final, Step, read

CODE = "print(grep('magic'))"
FENCE = "```"


def fenced(label: str, code: str = CODE, mark: str = FENCE) -> str:
    return f"{mark}{label}\n{code}\n{mark}"


@pytest.mark.parametrize(
    "label", ["repl", "python", "py", "python3", "Python", "REPL", "", "{python}", " repl"]
)
def test_a_python_fence_is_code(label):
    step = read(f"Let me look.\n{fenced(label)}\nThat finds it.")
    assert step == Step("Let me look.\nThat finds it.", CODE, None)


@pytest.mark.parametrize("label", ["json", "text", "output", "bash", "sql", "javascript", "c++"])
def test_other_languages_are_not_code(label):
    reply = f"So:\n{fenced(label)}"
    assert read(reply) == Step(reply, "", None)


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        pytest.param("~~~python\nx = 1\n~~~", "x = 1", id="tildes"),
        pytest.param("```repl\r\nx = 1\r\ny = 2\r\n```\r\n", "x = 1\ny = 2", id="CRLF"),
        pytest.param(
            "1. Look:\n   ```repl\n   if x:\n       y = 1\n   ```", "if x:\n    y = 1", id="in a list"
        ),
        pytest.param("```repl\n  x = 1\n  y = 2\n```", "x = 1\ny = 2", id="indented code"),
        pytest.param("```repl\nx = 1\ny = 2", "x = 1\ny = 2", id="unclosed"),
        pytest.param('```python title="a look" {1}\nx = 1\n```', "x = 1", id="more in the info string"),
        pytest.param(
            "```repl print(grep('a'))\nx = 1\n```", "print(grep('a'))\nx = 1", id="begun on the fence"
        ),
        pytest.param("```repl print(grep('a'))```", "print(grep('a'))", id="on one line"),
        pytest.param("```print(grep('a'))```", "print(grep('a'))", id="on one line, bare"),
        pytest.param(
            "```repl\nprint(grep('a'))```\nDone.", "print(grep('a'))", id="closed on the last line of code"
        ),
        pytest.param("```repl\nx = 1\n```repl\ny = 2\n```", "x = 1\n\ny = 2", id="a forgotten close"),
        pytest.param("````repl\nx = '''\n```\n'''\n````", "x = '''\n```\n'''", id="four backticks"),
        pytest.param("```\nrepl\nx = 1\n```", "x = 1", id="the label within"),
        pytest.param("```python\npython\nx = 1\n```", "x = 1", id="the label twice"),
        pytest.param("```repl\n\n\nx = 1\n\n\n```", "x = 1", id="blank lines around"),
        pytest.param("<code>\nx = 1\n</code>", "x = 1", id="code tags"),
        pytest.param("<code>x = 1</code>", "x = 1", id="code tags on one line"),
        pytest.param(
            '<tool_call>\n{"name": "python", "arguments": {"code": "x = 1\\nprint(x)"}}\n</tool_call>',
            "x = 1\nprint(x)",
            id="a tool call",
        ),
    ],
)
def test_sloppy_fences_are_read(reply, code):
    assert read(reply).code == code


def test_all_repl_fences_run_in_order_as_one_step():
    assert read(f"{fenced('repl', 'x = 1')}\nthen\n{fenced('repl', 'y = x')}").code == "x = 1\n\ny = x"


def test_beside_a_repl_fence_a_python_one_is_an_illustration():
    step = read(f"Like\n{fenced('python', 'rm(x)')}\nso\n{fenced('repl', 'x = 1')}")
    assert step.code == "x = 1"
    assert "rm(x)" in step.prose


def test_beside_a_python_fence_a_bare_one_is_its_output():
    assert read(f"{fenced('python', 'print(x)')}\nprints\n{fenced('', 'x = 1')}").code == "print(x)"


@pytest.mark.parametrize(
    "content",
    [
        "The magic number is 7.",
        '{"magic": 7}',
        "for the record: nothing",
        "Traceback (most recent call last):\nKeyError: 'x'",
        "7",
        "",
    ],
)
def test_a_bare_fence_that_is_plainly_not_python_is_prose(content):
    assert read(fenced("", content)).code == ""


@pytest.mark.parametrize(
    "content",
    ["x = 1", "import re", "for x in y:\n    pass", "print(x)", "# look\nhits[0] = 3", "from re import sub"],
)
def test_a_bare_fence_that_looks_like_python_is_code(content):
    assert read(fenced("", content)).code == content


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(
            'prompt = """Answer as\n```json\n{}\n```\n"""\nprint(prompt)', id="a fence in a long string"
        ),
        pytest.param("p = 'as ```json'\nq = '```'\nprint(p + q)", id="a fence in a short string"),
        pytest.param("# between ```\nprint(1)", id="a fence in a comment"),
        pytest.param("s = re.sub(r'<think>.*?</think>', '', s)\nprint(s)", id="thinking tags"),
        pytest.param('s = """\n```\nFINAL(x)\n"""\nprint(s)', id="a final"),
        pytest.param("x = 'it\\'s \"\"\" here'\nprint(x)", id="quotes in quotes"),
    ],
)
def test_a_mark_inside_a_string_does_not_cut_the_code(code):
    assert read(f"So\n{fenced('repl', code)}\nand so on").code == code


def test_a_string_that_never_ends_does_not_swallow_the_reply():
    step = read(f"{fenced('repl', 'x = ' + chr(34) * 3)}\nNow the rest of the reply.")
    assert step.code == 'x = """'
    assert step.prose == "Now the rest of the reply."


@pytest.mark.parametrize(
    ("reply", "prose", "code"),
    [
        (f"<think>I try\n{fenced('repl', 'draft()')}\n</think>\nNow:\n{fenced('repl')}", "Now:", CODE),
        (f"<thinking>hm</thinking>{fenced('repl')}", "", CODE),
        (f"I try\n{fenced('repl', 'draft()')}\n</think>\n{fenced('repl')}", "", CODE),
        (f"<think>one</think>\n<think>two</think>\n{fenced('repl')}", "", CODE),
        (f"{fenced('repl', 'x = 1')}\n<think>more</think>\n{fenced('repl', 'y = 2')}", "", "x = 1\n\ny = 2"),
        (f"<think>I never stop\n{fenced('repl')}", "", ""),
        (f"This strips the <think> and </think> tags.\n{fenced('repl')}", None, CODE),
    ],
)
def test_thinking_is_no_part_of_the_reply(reply, prose, code):
    step = read(reply)
    assert step.code == code
    assert prose is None or step.prose == prose


def test_a_final_in_the_thoughts_does_not_count():
    assert read("<think>I could say\nFINAL(7)\n</think>\nLet me look first.").final is None
    assert read("<think>I could say\nFINAL(7)").final is None


@pytest.mark.parametrize(
    "reply",
    [
        'grep("magic")',
        'print(grep("magic"))',
        'SUBMIT("7")',
        'FINAL_VAR("total")',
        'hits = grep("magic")\nprint(hits[0])',
        'hits = grep("magic")\n\n# the first\nSUBMIT(hits[0].split(":")[1])',
        'for line in grep("magic"):\n    print(line)',
        'import re\nprint(re.findall("a", context))',
        'total = len(grep("x"))\nFINAL_VAR(total)',
        'answer["content"] = "7"\nanswer["ready"] = True',
        'SUBMIT("""Two lines\nof an answer (the second)""")',
        'print(\n    grep("a"),\n    grep("b"),\n)',
        'print(len(grep("banana")))  # how many',
    ],
)
def test_a_reply_that_is_nothing_but_python_needs_no_fence(reply):
    assert read(reply) == Step("", reply, None)


def test_a_label_before_fenceless_code_is_dropped():
    assert read('repl\ngrep("magic")').code == 'grep("magic")'


@pytest.mark.parametrize(
    "reply",
    [
        'I would call grep("magic").',
        'grep("magic") finds the lines.',
        'grep("magic") finds the lines (all of them)\nso I look there.',
        "The answer is 7.",
        "x = 7",  # sums are not calls of the REPL's
        'open("/etc/passwd")',
        'First\nprint(grep("x"))',
        'print(grep("x")',
        'print("""never closed)',
    ],
)
def test_prose_about_code_is_not_code(reply):
    assert read(reply).code == ""


def test_the_callers_own_names_may_be_called_without_a_fence():
    assert read('lookup("7")').code == ""
    assert read('lookup("7")', names={"lookup"}).code == 'lookup("7")'


@pytest.mark.parametrize(
    ("reply", "final"),
    [
        ("FINAL(7)", Final("7")),
        ('FINAL("7")', Final("7")),
        ("FINAL('it''s')", Final("it''s")),
        ("FINAL(It's Bob)", Final("It's Bob")),
        ('FINAL("""7""")', Final("7")),
        ("FINAL( 7 )\n\n", Final("7")),
        ("I have it.\nFINAL(7)", Final("7")),
        ("FINAL(a (b) c)", Final("a (b) c")),  # not up to the first ")"
        ("FINAL(f(x) = g(y), for all (x, y))", Final("f(x) = g(y), for all (x, y)")),
        ('FINAL("a :) b")', Final("a :) b")),
        ("FINAL('a :( b')", Final("a :( b")),
        ('FINAL("He said "hi" (twice).")', Final('He said "hi" (twice).')),
        (r'FINAL("say \"hi\")")', Final(r"say \"hi\")")),
        ("FINAL(one\ntwo (2)\nthree)", Final("one\ntwo (2)\nthree")),
        ("FINAL(old) was wrong.\nFINAL(new)", Final("new")),
        ("FINAL(old)\nFINAL(new)", Final("new")),
        ("FINAL(See:\n```json\n{}\n```\n)", Final("See:\n```json\n{}\n```")),
        ("FINAL()", Final("")),
        ("FINAL_VAR(total)", Final(var="total")),
        ("So:\nFINAL_VAR(total)", Final(var="total")),
        ('So:\nFINAL_VAR("total")', Final(var="total")),
        ("So:\nFINAL_VAR('total')", Final(var="total")),
        ("FINAL(total)", Final("total")),
        (f"{fenced('json', '{}')}\nFINAL(7)", Final("7")),
        ("FINAL(7)\r\n", Final("7")),
        ("Final(Cyan)", Final("Cyan")),  # as small models write it
        ("NOT_FOUND", Final("NOT_FOUND")),
        ('"NOT_FOUND".\n', Final("NOT_FOUND")),
    ],
)
def test_a_reply_without_code_may_end_in_a_final(reply, final):
    step = read(reply)
    assert step.final == final
    assert step.code == ""


def test_the_prose_before_a_final_is_kept_apart():
    assert read("I have it.\n\nFINAL(7)").prose == "I have it."


@pytest.mark.parametrize(
    "reply",
    [
        "I will then call FINAL(answer)",
        "I will then call FINAL(answer).",
        "FINAL(7) is what I would say.",
        "FINAL(7)\nBut let me check first.",
        " FINAL(7)",
        "> FINAL(7)",
        '"FINAL(7)"',
        "`FINAL(7)`",
        "- FINAL(7)",
        "FINAL(7",
        "FINAL(a (b)",
        "FINAL 7",
        "FINAL: (7)",
        'FINAL("a") or FINAL("b")',
        "FINAL(a) or maybe (b)",
        "NOT_FINAL(7)",
        "final(7)",
        "FINALLY(7)",
        "FINAL_VAR(two words)",
        "FINAL_VAR()",
        fenced("text", "FINAL(7)"),
        "```text\nFINAL(7)",
        "```json\n{}\nFINAL(7)",
        f"{fenced('repl')}\nFINAL(7)",
        "```repl\nx = 1\nFINAL(x)",
    ],
)
def test_a_mention_of_a_final_is_not_one(reply):
    assert read(reply).final is None


def test_a_final_inside_a_runnable_fence_is_code():
    assert read("```repl\nx = 1\nFINAL(x)").code == "x = 1\nFINAL(x)"
    assert read(fenced("repl", "FINAL(x)")).code == "FINAL(x)"


@pytest.mark.parametrize("reply", [None, "", "   \n\n", "<think>hm</think>", "\r\n"])
def test_nothing_said_is_an_ordinary_reply(reply):
    assert read(reply) == Step("", "", None)


@pytest.mark.parametrize(
    "reply",
    [
        "```repl",
        "```",
        "``` ```",
        "<tool_call>",
        "<tool_call>\n[]\n</tool_call>",
        '<tool_call>{"arguments": "not json"}</tool_call>',
        '<tool_call>{"code": 7}</tool_call>',
        "</code>",
        "\ud800 FINAL(\udfff)",
        "FINAL(\x00)",
        ")",
        "))))((((",
    ],
)
def test_broken_replies_are_read_without_complaint(reply):
    assert isinstance(read(reply), Step)


def test_a_lone_surrogate_survives():
    assert read("FINAL(\ud800)").final == Final("\ud800")


HOSTILE = {
    "backticks": "`",
    "fences": "```\n",
    "fences that change": "```\n~~~\n",
    "labelled fences": "```repl\n",
    "strings that never end": "```repl\n'''\n```\n",
    "strings of both kinds": "```repl\n'''\n```\n\"\"\"\n",
    "escaped strings": "```repl\n\\'''\n```\n",
    "open parentheses": "(",
    "close parentheses": ")",
    "finals": "FINAL(\n",
    "quoted finals": 'FINAL("\n',
    "long-quoted finals": 'FINAL("""\n',
    "closed finals": 'FINAL("a")\n',
    "nested thoughts": "<think>",
    "thoughts": "<think>\n",
    "closed thoughts": "<think>a</think>\n",
    "stray ends of thoughts": "</think>\n",
    "code tags": "<code>\n",
    "tool calls": "<tool_call>[[\n",
    "nested JSON": "[",
    "spaces": " ",
    "blank lines": "\n",
    "assignments": "a, ",
    "calls": "grep(",
    "colons": "for :",
    "keywords": "import a\n",
    "quotes": "'\"",
    "backslashes": "\\",
    "brackets": "a[",
}


@pytest.mark.parametrize("around", ["%", "```repl\n%\n)", "FINAL(%)", "<tool_call>%</tool_call>"])
@pytest.mark.parametrize("unit", HOSTILE.values(), ids=HOSTILE.keys())
def test_reading_takes_time_in_proportion_to_the_reply(unit, around):
    def seconds(size: int) -> float:
        reply = around.replace("%", unit * (size // len(unit)))
        begin = time.process_time()  # its own time: what else the machine does is not counted
        read(reply)
        return time.process_time() - begin

    # Sixteen times the text takes 16 times as long if linear, 256 if quadratic.
    small = min(seconds(4_000) for _ in range(3))
    large = min(seconds(64_000) for _ in range(3))
    assert large < 80 * max(small, 0.0005)
