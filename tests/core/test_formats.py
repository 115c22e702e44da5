import csv
import json

import pytest

from rlm_core.formats import PARSED, parse, sniff

PEOPLE = "name,age,city\nAnn,31,Rome\nBob,42,Oslo\n"
LOG = "2024-01-02 03:04:05 INFO start\n2024-01-02 03:04:06 ERROR, failed, badly\n  at line 3\n" * 5


@pytest.mark.parametrize(
    ("text", "format"),
    [
        ('{"a": 1}', "json"),
        ('  \n[1, 2, {"a": null}]\n', "json"),
        ('\ufeff{"a": 1}', "json"),
        ('{\n  "a": [\n    1\n  ]\n}', "json"),
        ("[]", "json"),
        ('{"a": 1}\n{"a": 2}\n', "jsonl"),
        ('{"a": 1}\n\n{"b": [1, 2]}', "jsonl"),
        ('{"a": 1}\r\n{"a": 2}\r\n', "jsonl"),
        ("[1, 2]\n[3, 4]\n", "jsonl"),
        (PEOPLE, "csv"),
        ("\ufeff" + PEOPLE.replace(",", ";"), "csv"),
        (PEOPLE.replace(",", "\t").replace("\n", "\r\n"), "csv"),
        ('a,b\n"x, y",1\n"two\nlines",2\n', "csv"),
        ("<?xml version='1.0'?><a/>", "xml"),
        ("<feed><entry>1</entry></feed>\n", "xml"),
        (LOG, "log"),
        ("[INFO] start\n[ERROR] failed\n", "log"),
        ("Jan 12 03:04:05 host sshd[1]: x\n" * 3, "log"),
        ('127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 2326\n' * 3, "log"),
        ("", None),
        ("   \n", None),
        ("Just a sentence.", None),
        ("Dear Ann, thank you.\nDear Bob, thank you.\nDear Cid, thank you.\n", None),
        ("He said, yes, it is.\nThen, at last, he left, smiling.\n" * 9, None),
        ("[not json at all]", None),
        ("{curly} prose with braces}", None),
        ("<!DOCTYPE html><html><body>x</body></html>", None),
        ("# Title\n\n- one\n- two\n", None),
        ("def f(a, b):\n    return a, b\n" * 20, None),
    ],
)
def test_formats_are_told_apart(text, format):
    assert sniff(text) == format


def test_a_large_text_is_told_by_its_ends():
    big = json.dumps([{"id": i, "text": "x" * 50} for i in range(20_000)])
    assert sniff(big) == "json"
    assert sniff(json.dumps({"one": "y" * 1_000_000})) == "json"
    assert sniff(big[:-1]) is None
    assert sniff("[this is prose] " * 50_000 + "]") is None
    assert sniff("\n".join(json.dumps({"id": i, "text": "x" * 50}) for i in range(20_000))) == "jsonl"
    assert sniff("id,text,n\n" + "".join(f"{i},{'x' * 50},{i}\n" for i in range(20_000))) == "csv"


def test_a_line_longer_than_what_is_looked_at_is_no_reason_to_fail():
    assert sniff("x" * 1_000_000) is None
    assert sniff("a,b," * 100_000) is None
    assert sniff('{"a": "' + "x" * 200_000 + '"}\n{"a": 1}\n') in ("json", "jsonl", None)


@pytest.mark.parametrize(
    "text", ["[" * 100_000 + "]" * 100_000, '{"a":' * 50_000 + "1" + "}" * 50_000, "[" * 50_000]
)
def test_deep_nesting_is_no_reason_to_fail(text):
    assert sniff(text) in ("json", None)


@pytest.mark.parametrize("text", ['{"a": 1}', '{"a": 1}\n{"b": 2}', PEOPLE])
def test_what_is_sniffed_as_parsable_parses_the_same_with_a_byte_order_mark(text):
    assert sniff(text) in PARSED
    assert parse(text) == parse("\ufeff" + text)


def test_json_is_parsed():
    assert parse('{"a": [1, 2.5, null, "é"]}') == {"a": [1, 2.5, None, "é"]}


def test_json_lines_are_a_list_and_a_bad_line_is_named():
    assert parse('{"a": 1}\n\n[2]\r\n{"a": "\u2028"}') == [{"a": 1}, [2], {"a": "\u2028"}]
    with pytest.raises(ValueError, match="line 3 is not JSON"):
        parse('{"a": 1}\n{"a": 2}\n{"a": \n', "jsonl")


def test_csv_is_a_list_of_dicts_by_the_header():
    assert parse(PEOPLE) == [
        {"name": "Ann", "age": "31", "city": "Rome"},
        {"name": "Bob", "age": "42", "city": "Oslo"},
    ]
    assert parse('a;b;c\r\n"x; y";"two\r\nlines";3\r\n')[0] == {"a": "x; y", "b": "two\r\nlines", "c": "3"}


def test_rows_too_short_or_too_long_lose_nothing():
    rows = parse("a,b\n1\n1,2,3,4\n\n", "csv")
    assert rows == [{"a": "1", "b": None}, {"a": "1", "b": "2", "extra": ["3", "4"]}]


def test_columns_of_the_same_name_are_kept_apart():
    assert parse("x,x,x_2\n1,2,3\n", "csv") == [{"x": "1", "x_2": "2", "x_2_2": "3"}]


def test_a_field_may_be_long_and_the_process_keeps_its_own_limit():
    before = csv.field_size_limit()
    assert len(parse(f"a,b,c\n1,{'x' * 500_000},2\n", "csv")[0]["b"]) == 500_000
    assert csv.field_size_limit() == before


@pytest.mark.parametrize(("text", "format"), [("<a/>", "xml"), ("prose", None)])
def test_other_formats_have_no_parsed_form(text, format):
    with pytest.raises(ValueError, match="no parsed form"):
        parse(text, format)
