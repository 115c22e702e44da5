"""The names that code finds in the REPL, as code in cells uses them."""

import time

import pytest

from rlm_core import formats
from rlm_core.sandbox import interrupt
from rlm_core.sandbox.protocol import HostCall, LMError, Resume, Submission
from tests.sandbox.fake_channel import last, run

SUB_CALLS = ("llm_query", "llm_query_batched", "rlm_query", "rlm_query_batched")


def error_of(code, **options):
    return last(code, **options).error or ""


# ---- names and who owns them


def test_injected_functions_stand_anew_in_every_cell():
    def host(call):
        return "answer"

    done = last("llm_query = print\nSUBMIT = None", "print(llm_query('q'))", host=host, tools=SUB_CALLS)
    assert done.output == "answer\n"


def test_chunks_and_grep_give_way_to_a_variable_of_the_same_name():
    channel = run("chunks = chunks(2)", "print(chunks)", "del chunks", "print(chunks(3))", context="abcdef")
    assert channel.done[1].output == "['ab', 'cd', 'ef']\n"
    assert channel.done[1].variables == {"chunks": "list, 3 items"}
    assert channel.done[3].output == "['abc', 'def']\n"


def test_an_input_or_tool_wins_over_a_helper_of_its_name():
    assert last("print(grep)", inputs={"grep": "mine"}).output == "mine\n"
    channel = run("grep('x')", host=lambda call: "hosted", tools=("grep",))
    assert channel.calls == [HostCall("grep", ("x",), {})]
    assert (
        last("print(data)", context='{"a": 1}', inputs={"context": '{"a": 1}', "data": "mine"}).output
        == "mine\n"
    )


def test_helpers_that_were_not_asked_for_are_not_there():
    assert "NameError" in error_of("grep('x')", helpers=("SUBMIT",))
    assert "NameError" in error_of("llm_query('x')")


def test_without_a_context_all_inputs_are_searched():
    inputs = {"report": "one\nfound here", "question": "found?"}
    assert last("for x in grep('found'): print(x.name, x)", inputs=inputs).output == (
        "report found here\nquestion found?\n"
    )
    assert last("print(grep('found')[0].name)", inputs={"report": "found"}).output == "None\n"


def test_grep_sees_the_context_as_the_code_left_it():
    assert last("context = 'changed'", "print(grep('change'))", context="before").output == "['changed']\n"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("grep()", "grep() missing 1 required positional argument: 'pattern'"),
        ("grep('x', ignore_case=True)", "grep() got an unexpected keyword argument 'ignore_case'"),
        ("llm_query()", "llm_query() missing 1 required positional argument: 'prompt'"),
    ],
)
def test_wrong_calls_are_told_by_the_name_that_was_called(code, words):
    assert f"TypeError: {words}" in error_of(code, tools=SUB_CALLS)


NEAR = "The secret magic numbers of Kelso are told here: 4711.\nNothing else is told.\n" * 2
LONG = "hay " * 200 + "The secret magic_number is 4711. " + "hay " * 10


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            "grep('magic number of Kelso')",
            "nearest: ['The secret magic numbers of Kelso are told here: 4711.']",
        ),
        ("len(grep('NUMBER told, secretly of Kelso'))", ""),  # a word that stands nowhere
        (
            "len(grep('the KELSO number'))",
            "nearest: ['The secret magic numbers of Kelso are told here: 4711.']",
        ),
        ("grep('elsewhere')", ""),  # one word: it is not there
        ("grep('of the and')", ""),  # nothing to look for
        ("grep('Nothing magic')", ""),  # no line holds more than one of them
        ("grep(['magic number of', 'Kelso is'])", ""),
        ("grep('magic number of Kelso', text='Kelso')", ""),
        ("grep('magic number of Kelso', regex=True)", ""),
        ("grep('magic numbers of Kelso', max=0)", ""),  # it holds them
        ("grep(1815)", ""),
        ("grep(None)", ""),
    ],
)
def test_where_no_line_holds_a_phrase_grep_tells_what_is_near(call, said):
    done = last(f"print({call})", context=NEAR)
    told, _, returned = done.output.rpartition("\n")[0].rpartition("\n")
    assert returned in ("[]", "0")
    assert said in told if said else not told


def test_what_is_near_in_a_long_line_is_cut_to_what_is_around_it():
    output = last("grep('secret magic number')", context=LONG).output
    assert "The secret magic_number is 4711. hay" in output
    assert len(output) < 600


def test_what_was_looked_for_is_not_printed_for_it_would_count_as_seen():
    for code in ("grep('Kelso numbers')", r"grep('Kelso \d+')"):
        output = last(code, context=NEAR).output
        assert output.startswith("(grep: no line holds this")
        assert "Kelso numbers" not in output
        assert r"Kelso \d+" not in output


def test_in_a_loop_grep_tells_what_is_near_a_few_times_and_in_the_next_cell_anew():
    loop = "for n in range(20): grep('magic number of Kelso')"
    first, second = run(loop, loop, context=NEAR).done
    assert first.output == second.output
    assert first.output.count("nearest") == 4


def test_what_is_injected_leads_to_nothing_else():
    names = ("grep", "chunks", "SUBMIT", "SHOW_VARS", "llm_query", "look_up", "grep('x')[0]", "chunks(1)[0]")
    code = "\n".join(f"print([n for n in dir({name}) if n not in dir('')])" for name in names)
    lines = last(code, context="x", tools=("llm_query", "look_up")).output.split("\n")
    assert lines == ["[]"] * 6 + ["['end', 'name', 'number', 'start']", "['end', 'name', 'start']", ""]


# ---- variables


def test_variables_are_described_by_type_and_size():
    code = """
import re, collections
from math import sqrt
class Person:
    pass
class Odd(list):
    def __len__(self): return 10**9
def f(): pass
items, text, table = [1, 2, 3], "x" * 1204, {"a": 1}
one, nothing, ann, odd, _private = (1,), None, Person(), Odd([1]), 3
n, q, counts = 1, collections.deque([1, 2]), collections.Counter("ab")
"""
    assert last(code).variables == {
        "Person": "class",
        "Odd": "class",
        "f": "function",
        "items": "list, 3 items",
        "text": "str, 1,204 characters",
        "table": "dict, 1 key",
        "one": "tuple, 1 item",
        "nothing": "None",
        "ann": "Person",
        "odd": "Odd, 1 item",
        "n": "int",
        "q": "deque, 2 items",
        "counts": "Counter, 2 keys",
    }


def test_describing_runs_no_code_of_the_cell():
    loop = "(self):\n        while True: pass\n"
    methods = ("__len__", "__repr__", "__str__", "__hash__", "__bool__", "__iter__", "__eq__")
    code = "class Evil(dict):\n" + "".join(f"    def {name}{loop}" for name in methods) + "x = Evil()"
    assert last(code, seconds=5).variables["x"] == "Evil, 0 keys"


def test_show_vars_gives_the_same():
    done = last("x = [1]", "print(SHOW_VARS())")
    assert done.output == str(done.variables) + "\n"


def test_many_variables_are_the_last_made():
    code = "\n".join(f"v{i} = {i}" for i in range(70))
    variables = last(code).variables
    assert len(variables) == 50
    assert "v69" in variables


def test_inputs_are_no_variables_but_a_variable_named_answer_is():
    assert last("context = 'x'").variables == {}
    assert last("answer = 'x'").variables == {"answer": "str, 1 character"}


# ---- SUBMIT and its kin


def test_submit_ends_the_cell_at_once_with_what_was_printed():
    done = last("print('before')\nfor i in range(3):\n    SUBMIT(i)\nprint('after')")
    assert done.output == "before\n"
    assert done.submitted == Submission("submit", {"answer": 0})
    assert done.error is None


def test_values_go_to_the_fields():
    fields = ("title", "count")
    for call in (
        "SUBMIT('t', 3)",
        "SUBMIT('t', count=3)",
        "SUBMIT(count=3, title='t')",
        "SUBMIT({'title': 't', 'count': 3})",
    ):
        assert last(call, fields=fields).submitted.values == {"title": "t", "count": 3}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("SUBMIT()", "SUBMIT needs a value for title, count: SUBMIT(title=..., count=...)"),
        ("SUBMIT('t')", "SUBMIT needs a value for count"),
        ("SUBMIT(1, 2, 3)", "SUBMIT takes 2 values, not 3"),
        ("SUBMIT(title=1, counts=2)", "SUBMIT has no field 'counts': SUBMIT(title=..., count=...)"),
        ("SUBMIT(1, title=1)", "SUBMIT got two values for 'title'"),
        ("SUBMIT(1, object())", "SUBMIT: count holds a object: turn it into plain data"),
    ],
)
def test_wrong_values_are_an_error_at_the_call_that_names_the_fields(call, words):
    done = last("x = 1\n" + call, fields=("title", "count"))
    assert done.submitted is None
    assert "line 2" in done.error
    assert words in done.error


def test_an_error_of_submit_can_be_handled():
    assert last("try:\n    SUBMIT(wrong=1)\nexcept TypeError:\n    SUBMIT('right')").submitted.values == {
        "answer": "right"
    }


@pytest.mark.parametrize(
    "code",
    [
        "try:\n    SUBMIT(1)\nexcept Exception:\n    SUBMIT(2)",
        "try:\n    SUBMIT(1)\nexcept:\n    SUBMIT(2)",
        "try:\n    SUBMIT(1)\nfinally:\n    SUBMIT(2)",
        "try:\n    SUBMIT(1)\nfinally:\n    1 / 0",
        "def f():\n    try:\n        SUBMIT(1)\n    finally:\n        return\nf()\nwhile True: pass",
        "class Calm:\n    def __enter__(self): pass\n    def __exit__(self, *a): return True\n"
        "with Calm():\n    SUBMIT(1)\nwhile True: pass",
    ],
)
def test_nothing_holds_a_submission_back(code):
    began = time.monotonic()
    done = last(code, seconds=30)
    assert done.submitted.values == {"answer": 1}
    assert done.error is None
    assert time.monotonic() - began < 20


def test_plain_forms_are_submitted():
    code = """
from dataclasses import dataclass
from typing import NamedTuple
from enum import Enum
@dataclass
class Person:
    name: str
class Point(NamedTuple):
    x: int
class Colour(Enum):
    RED = "red"
SUBMIT([Person("Ann"), Point(1), Colour.RED, grep("a")[0], {1: (2, 3)}])
"""
    assert last(code, context="a line").submitted.values == {
        "answer": [{"name": "Ann"}, {"x": 1}, "red", "a line", {1: (2, 3)}]
    }


@pytest.mark.parametrize(
    ("code", "literal"),
    [
        ("SUBMIT('Paris')", True),
        ("FINAL(['a', 'b'])", True),
        ("SUBMIT(len(context))", False),
        ("answer['content'] = 'Paris'\nanswer['ready'] = True", True),
        ("answer['content'] = context[:1]\nanswer['ready'] = True", False),
        ("NOT_FOUND('nowhere')", True),
    ],
)
def test_what_was_written_out_is_told_from_what_was_computed(code, literal):
    assert last(code, context="text").submitted.literal is literal


def test_not_found_carries_its_reason():
    assert last("NOT_FOUND(f'{1 + 1} places looked at')").submitted == Submission(
        "not_found", {"reason": "2 places looked at"}
    )
    assert last("NOT_FOUND()").submitted.values == {"reason": ""}


def test_final_is_submit():
    assert last("FINAL('x')").submitted.values == {"answer": "x"}


def test_final_of_not_found_is_not_found():
    assert last("FINAL(NOT_FOUND)").submitted == Submission("not_found", {"reason": ""})


@pytest.mark.parametrize("call", ["FINAL_VAR('result')", "FINAL_VAR(' \"result\" ')", "FINAL_VAR(result)"])
def test_final_var_takes_a_name_or_the_value(call):
    assert last(f"result = ['a', 1]\n{call}").submitted.values == {"answer": ["a", 1]}


def test_final_var_takes_a_text_that_is_the_value():
    assert last("result = 'Paris' + ''\nFINAL_VAR(result)").submitted.values == {"answer": "Paris"}
    assert last("FINAL_VAR('It is in Paris.')").submitted.values == {"answer": "It is in Paris."}


def test_final_var_of_an_unknown_name_lists_the_variables():
    done = last("found, count = 1, 2\nFINAL_VAR('results')")
    assert done.submitted is None
    assert "there is no variable 'results'; there are: found, count" in done.error
    assert "none yet" in error_of("FINAL_VAR('SUBMIT')")


# ---- answer


@pytest.mark.parametrize(
    "code",
    [
        "answer['content'] = 'x'\nanswer['ready'] = True",
        "answer.update(content='x', ready=True)",
        "answer = {'content': 'x', 'ready': True}",
        "answer['content'] = 'x'\nSUBMIT(answer) if answer['ready'] else answer.update(ready=True)",
        "answer['content'] = 'x'\nanswer['ready'] = True\nSUBMIT(answer)",
        "answer['content'] = 'x'\nanswer['ready'] = True\nundefined",
    ],
)
def test_an_answer_that_is_ready_is_submitted(code):
    assert last(code).submitted.values == {"answer": "x"}


def test_an_answer_lives_on_until_it_is_ready_and_is_submitted_once():
    first, second, third = run("answer['content'] = 'x'", "answer['ready'] = True", "print(answer)").done
    assert first.submitted is None
    assert second.submitted.values == {"answer": "x"}
    assert third.submitted is None


def test_an_answer_that_is_ready_but_empty_is_an_error():
    done = last("answer['ready'] = True")
    assert done.submitted is None
    assert "answer['content'] is empty" in done.error


def test_submitting_an_answer_that_is_not_ready_is_an_error():
    done = last("answer['content'] = 'x'\nSUBMIT(answer)")
    assert done.submitted is None
    assert "answer is not ready" in done.error


def test_an_answer_of_the_codes_own_is_only_a_value():
    assert last("answer = {'city': 'Paris'}\nSUBMIT(answer)").submitted.values == {
        "answer": {"city": "Paris"}
    }
    assert last("answer = 42").submitted is None


def test_the_caller_can_own_answer():
    assert "NameError" in error_of("answer['ready'] = True", ready_answer=False)
    done = last("answer = {'content': 'x', 'ready': True}", ready_answer=False)
    assert done.submitted is None
    assert last("print(answer)", inputs={"answer": "mine"}).output == "mine\n"


# ---- sub-calls


def test_a_sub_call_gives_its_answer():
    channel = run("print(llm_query('hi') + '!')", host=lambda call: "hello", tools=SUB_CALLS)
    assert channel.calls == [HostCall("llm_query", ("hi",), {})]
    assert channel.done[0].output == "hello!\n"


def test_prompts_become_text_and_a_model_can_be_named():
    channel = run("llm_query(grep('a')[0])", "llm_query(42, model='m')", context="a", tools=SUB_CALLS)
    assert channel.calls == [
        HostCall("llm_query", ("a",), {}),
        HostCall("llm_query", ("42",), {"model": "m"}),
    ]
    assert {type(call.args[0]) for call in channel.calls} == {str}


def test_a_batch_keeps_order_and_failures():
    def host(call):
        return [LMError("[ERROR] no") if "2" in prompt else prompt.upper() for prompt in call.args[0]]

    code = (
        "answers = llm_query_batched(f'p{i}' for i in range(4))\n"
        "print(answers, [isinstance(a, LMError) for a in answers])"
    )
    assert last(code, host=host, tools=SUB_CALLS).output == (
        "['P0', 'P1', '[ERROR] no', 'P3'] [False, False, True, False]\n"
    )


def test_an_empty_batch_asks_nothing():
    channel = run("print(llm_query_batched([]), rlm_query_batched([]))", tools=SUB_CALLS)
    assert channel.calls == []
    assert channel.done[0].output == "[] []\n"


def test_the_hosts_errors_rise_at_the_call():
    def host(call):
        return Resume(error="the limit of 200 sub-calls is reached")

    done = last("x = 1\nllm_query('hi')", host=host, tools=SUB_CALLS)
    assert done.error == (
        "Traceback (most recent call last):\n  File \"<cell 1>\", line 2\n    llm_query('hi')\n"
        "RuntimeError: the limit of 200 sub-calls is reached"
    )
    handled = last(
        "try:\n    llm_query('hi')\nexcept Exception as e:\n    print(e)", host=host, tools=SUB_CALLS
    )
    assert handled.output == "the limit of 200 sub-calls is reached\n"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("llm_query_batched('abc')", "takes a list, not a str: llm_query_batched([prompt1, prompt2])"),
        ("llm_query_batched({'a': 1})", "takes a list, not a dict"),
        ("llm_query_batched(3)", "takes a list, not a int"),
        ("llm_query('question', 'a long text that is no model')", "the second argument is a model's name"),
        (
            "rlm_query_batched('abc')",
            "takes a list, not a str: rlm_query_batched([(query1, text1), (query2, text2)])",
        ),
        ("rlm_query_batched([(1, 2, 3)])", "takes pairs"),
        ("rlm_query_batched([{'query': 'q', 'text': 't'}])", "keys query and context"),
        ("rlm_query_batched(['a', 'b'], ['c'])", "2 queries, but 1 contexts"),
    ],
)
def test_wrong_arguments_are_a_clear_error_and_nothing_is_sent(code, words):
    channel = run(code, tools=SUB_CALLS)
    assert channel.calls == []
    assert words in channel.done[0].error


def test_answers_that_do_not_match_their_batch_are_an_error():
    assert "2 were asked" in error_of(
        "llm_query_batched(['a', 'b'])", host=lambda call: ["x"], tools=SUB_CALLS
    )


def test_a_child_gets_its_text_and_the_whole_context_is_not_sent_back():
    asked = (
        "rlm_query('q', context[:2])",
        "rlm_query('q')",
        "rlm_query('q', context)",
        "rlm_query('q', ['a', 'b'])",
    )
    channel = run("\n".join(asked), context="text", tools=SUB_CALLS)
    assert [call.args for call in channel.calls] == [("q", "te"), ("q",), ("q",), ("q", ["a", "b"])]


def test_a_child_gets_the_context_as_the_code_left_it():
    channel = run("context = 'changed'\nrlm_query('q')", context="text", tools=SUB_CALLS)
    assert channel.calls[0].args == ("q", "changed")
    channel = run("context.append('b')\nrlm_query('q')", context=["a"], tools=SUB_CALLS)
    assert channel.calls[0].args == ("q", ["a", "b"])


@pytest.mark.parametrize(
    "code",
    [
        "rlm_query_batched([('q1', 'a'), ['q2', 'b'], 'q3'])",
        "rlm_query_batched([dict(query='q1', context='a'), dict(query='q2', context='b'), dict(query='q3')])",
        "rlm_query_batched(['q1', 'q2', 'q3'], ['a', 'b', None])",
    ],
)
def test_children_can_be_asked_for_in_several_forms(code):
    channel = run(code, context="text", host=lambda call: ["1", "2", "3"], tools=SUB_CALLS)
    assert channel.calls == [HostCall("rlm_query_batched", ([("q1", "a"), ("q2", "b"), ("q3",)],), {})]


def test_a_tool_gets_its_arguments_as_plain_data():
    code = "print(look_up({1, 2}, (3, 'x'), key=[grep('t')[0]]))"
    channel = run(code, context="text", host=lambda call: {"found": 1}, tools=("look_up",))
    assert channel.calls == [HostCall("look_up", ({1, 2}, (3, "x")), {"key": ["text"]})]
    assert channel.done[0].output == "{'found': 1}\n"


def test_a_tool_refuses_what_cannot_cross_at_the_call():
    done = last("x = 1\nlook_up(print)", tools=("look_up",))
    assert "line 2" in done.error
    assert "look_up(): an argument holds a" in done.error


# ---- data


def test_data_is_the_parsed_context():
    assert last("print(data['a'][1])", context='{"a": [1, 2]}').output == "2\n"
    assert last("print([r['b'] for r in data])", context="a,b\n1,2\n3,4\n").output == "['2', '4']\n"
    assert last("print(len(data))", context='{"a": 1}\n{"a": 2}\n').output == "2\n"


def test_data_is_there_only_where_the_text_parses():
    assert "NameError" in error_of("print(data)", context="plain prose")
    assert "NameError" in error_of("print(data)", context=["a", "list"])


def test_data_that_does_not_parse_after_all_says_why():
    text = '{"a": [' + "1, " * 50_000 + "oops]}"
    error = error_of("print(data)", context=text)
    assert "data: context does not parse as JSON" in error


def test_data_is_parsed_in_the_time_of_the_cell_that_reads_it(monkeypatch):
    now = 0.0

    def parse(*given):
        nonlocal now
        now += 7.0
        return parsed(*given)

    parsed = formats.parse
    monkeypatch.setattr(formats, "parse", parse)
    monkeypatch.setattr(interrupt.time, "perf_counter", lambda: now)
    done = run("x = 1", "y = data[0]", "z = data[1]", context="[1, 2]").done
    assert [cell.seconds for cell in done] == [0.0, 7.0, 0.0]


def test_a_variable_named_data_is_the_codes_own():
    text = '{"a": 1}'
    assert last("data = [1]\nprint(data)", context=text).output == "[1]\n"
    assert last("data = [1]", "print(data)", context=text).output == "[1]\n"
    assert last("def f(data):\n    return data\nprint(f(3))", context=text).output == "3\n"
    assert last("data['a'] = 2", "print(data)", context=text).output == "{'a': 2}\n"
    assert last("data = data['a']", "print(data)", context=text).output == "1\n"


def test_data_read_only_in_a_function_is_there():
    assert last("def f():\n    return data['a']", "print(f())", context='{"a": 1}').output == "1\n"


def test_an_answer_that_cannot_be_looked_at_is_an_error_of_the_cell():
    done = last("class Odd(dict):\n    def keys(self): raise OSError('odd')\nanswer = Odd()")
    assert "OSError: odd" in done.error
