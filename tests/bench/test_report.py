import dataclasses
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from bench.made import row, some

from rlm_bench import charts, page, report, rows
from rlm_bench.charts import Point
from rlm_bench.stats import fisher, wilson
from rlm_bench.summary import (
    abstention,
    by_method,
    labels,
    pairs,
    place_of,
    place_order,
    places_apart,
    quantiles,
    share,
    size_of,
)

RESULTS = Path(__file__).parents[2] / "results"

MIXED = [
    *some("rlm0", 18, 20),
    *some("direct", 4, 20),
    *some("rag", 17, 20),
    row("rag", None, 20),
]


def test_a_share_is_never_without_its_interval_and_errors_are_not_in_it():
    told = share(MIXED[40:])
    assert (told.right, told.n, told.errors) == (17, 20, 1)
    assert told.interval == wilson(17, 20)
    assert str(told) == "85% [64%, 95%] 17/20"


def shared(rows, size):
    """The same, of contexts that so many share."""
    return [dataclasses.replace(one, cluster=str(one.index // size)) for one in rows]


def test_samples_of_one_context_are_not_taken_for_independent():
    alone = some("rlm0", 10, 20)
    (low, high), (lower, higher) = share(alone).interval, share(shared(alone, 10)).interval
    assert lower < low < high < higher


def test_a_few_contexts_that_all_went_wrong_are_no_certainty():
    rows = [row(right=0.0, number=number, cluster=str(number // 2)) for number in range(4)]
    assert share(rows).interval == wilson(0, 2)


def test_a_method_that_always_declines_is_not_known_to_have_just_a_half():
    rows = [row(right=float(number % 2), number=number, cluster=str(number // 2)) for number in range(6)]
    assert str(share(rows)) == "50% [13%, 87%] 3/6"


def test_fractions_have_an_interval_too():
    told = share([row(right=number / 10, number=number) for number in range(10)])
    assert told.mean == pytest.approx(0.45)
    assert told.interval == pytest.approx(wilson(4.5, 10))


def test_one_method_is_called_better_only_where_intervals_are_separated():
    found = {(pair.one, pair.other): pair for pair in pairs({"niah": MIXED}, labels(MIXED))}
    assert str(found["rlm0", "direct"]) == "rlm0 is better than direct"
    assert str(found["direct", "rag"]) == "rag is better than direct"
    assert str(found["rlm0", "rag"]) == "rlm0 and rag are not told apart"
    assert found["rlm0", "direct"].only == (14, 0)
    few = [*some("rlm0", 1, 1), *some("direct", 0, 1)]
    assert not any(pair.apart for pair in pairs({"niah": few}, labels(few)))


def test_methods_are_compared_on_the_samples_that_both_have():
    rows = [*some("rlm0", 5, 5), *some("rag", 5, 10)]
    (pair,) = pairs({"niah": rows}, labels(rows))
    assert [told.n for told in pair.shares] == [5, 5]


def test_forty_questions_of_two_windows_tell_no_methods_apart():
    rows = shared([*some("rlm0", 40, 40), *some("direct", 0, 40)], 20)
    (pair,) = pairs({"oolong_like": rows}, labels(rows))
    assert (pair.only, pair.p, pair.apart) == ((40, 0), 0.5, False)
    rows = shared([*some("rlm0", 40, 40), *some("direct", 0, 40)], 4)
    (pair,) = pairs({"oolong_like": rows}, labels(rows))
    assert (pair.p, pair.apart) == (2 / 2**10, True)


def test_samples_of_one_name_and_other_texts_are_no_pair():
    rows = [*some("rlm0", 5, 5), *some("rag", 0, 5)]
    elsewhere = [dataclasses.replace(one, context_sha256="of another Python") for one in rows]
    assert pairs({"codeqa": [*rows[:5], *elsewhere[5:]]}, labels(rows)) == []
    assert "10 samples of 1 tasks over 6 contexts" in report.about([*rows, *elsewhere])


def at(place, right, of):
    return some("rlm0", right, of, params={"size": 300_000, "pos": place})


def test_a_place_is_called_worse_only_where_it_stands_apart():
    others = [one for place in (0.1, 0.3, 0.5, 0.7) for one in at(place, 19, 20)]
    assert [place for place, *_ in places_apart([*others, *at(0.9, 5, 20)])] == ["0.9"]
    assert places_apart([*others, *at(0.9, 3, 4)]) == []  # the claim that was made of three in four
    assert report.places([*others, *at(0.9, 3, 4)]) == [
        "No place is told apart from the others: rlm0 at 300K."
    ]


def test_places_are_those_of_one_task_and_chance_is_none():
    rows = [
        *at(0.1, 19, 20),
        *at(0.9, 19, 20),
        *some("rlm0", 0, 20, params={"size": 300_000, "pos": "random"}),
    ]
    assert report.places(rows) == ["No place is told apart from the others: rlm0 at 300K."]


def test_kinds_of_a_task_are_told_apart_by_the_parameters_that_differ():
    def asked(number, **params):
        return row("rlm0", 1.0, number, task="multihop", params={"size": 80_000, "kind": "table", **params})

    (head, *body) = report.by_size([asked(1, hops=1), asked(2, hops=2), asked(3, hops=2)])
    assert [line[:2] for line in body[0]] == [["multihop hops=1", "80K"], ["multihop hops=2", "80K"]]
    assert body[0][1][2].startswith("2/2")
    assert report.by_size([asked(1, hops=1)])[1][0][0] == "multihop"
    assert head[0] == "task"


def test_records_have_no_place_but_for_the_one_question_that_has():
    def asked(question, number):
        params = {"size": 100_000, "pos": 0.5, "question": question}
        return row("rlm0", 1.0, number, task="structured", params=params)

    assert place_of(asked("all", 1)) is None
    assert place_of(asked("json_seed", 1)) == "0.5"
    mixed = [*at(0.1, 4, 4), *at(0.9, 4, 4), asked("all", 1)]
    assert [line[0] for line in report.by_place(mixed)[1]] == ["0.1", "0.9"]


def test_a_place_that_is_worse_in_one_text_asked_over_and_over_is_no_finding():
    others = [one for place in (0.1, 0.3, 0.5, 0.7) for one in at(place, 20, 20)]
    assert "0.9" in [place for place, *_ in places_apart([*others, *at(0.9, 0, 20)])]
    again = [dataclasses.replace(one, cluster="one text") for one in at(0.9, 0, 20)]
    assert places_apart([*others, *again]) == []


def test_of_many_places_one_that_chance_put_low_is_no_finding():
    rows = [one for place in range(20) for one in at(place / 20, 5 if place != 7 else 4, 5)]
    assert places_apart(rows) == []


def test_fishers_test_is_that_of_the_tea_tasting_lady():
    assert fisher(3, 4, 1, 4) == pytest.approx(0.4857, abs=1e-4)
    assert fisher(4, 4, 0, 4) == pytest.approx(0.0286, abs=1e-4)
    assert fisher(0, 0, 1, 2) == 1.0


def twins(invents, declines):
    """Ten pairs: how many of the unanswerable are answered, and of the answerable declined."""
    rows = []
    for number in range(10):
        rows.append(
            row(
                right=float(number >= invents),
                number=2 * number,
                task="unanswerable",
                unanswerable=True,
                error_class="invented" if number < invents else "none",
            )
        )
        declined = number < declines
        rows.append(
            row(
                right=float(not declined),
                number=2 * number + 1,
                task="unanswerable",
                error_class="not_found" if declined else "none",
            )
        )
    return rows


def test_inventing_and_declining_are_told_of_twins_together():
    told = abstention([*twins(3, 1), *some("rlm0", 0, 50)])
    assert (told.invented.right, told.invented.n) == (3, 10)
    assert (told.declined.right, told.declined.n) == (1, 10)
    assert told.balanced.mean == pytest.approx(0.8)
    assert told.balanced.interval == pytest.approx(wilson(10 * 0.8, 10), abs=0.1)
    nothing = [row(right=0.0, task="unanswerable", unanswerable=True, error_class="empty"), *twins(0, 0)]
    assert abstention(nothing).invented.right == 0  # to say nothing invents nothing
    assert abstention(nothing).abstained.right == 10
    assert abstention(some("rlm0", 1, 2)) is None


def test_to_decline_in_other_words_is_neither_invented_nor_right():
    words = [
        dataclasses.replace(
            one, error_class="declined", score={"strict": 0.0, "compat": 0.0, "partial": None}
        )
        for one in twins(0, 0)
    ]
    told = abstention(words)
    assert (told.invented.right, told.abstained.right, told.otherwise.right) == (0, 0, 10)
    assert told.declined.right == 10
    ((_, *cells),) = report.abstentions(words)[1]
    assert [cell.split()[-1] for cell in cells[:4]] == ["0/10", "0/10", "10/10", "10/10"]


@pytest.mark.parametrize("kind", ["none", "declined"])
def test_always_declining_in_whatever_words_has_a_balance_of_a_half(kind):
    rows = [
        dataclasses.replace(one, error_class=kind if one.unanswerable else "declined") for one in twins(0, 10)
    ]
    assert abstention(rows).balanced.mean == 0.5
    assert abstention(rows[:-2]).balanced.mean == 0.5
    uneven = abstention([*rows, row(number=99, task="unanswerable")]).balanced
    assert uneven.mean == pytest.approx((1 + 1 / 11) / 2)


def test_methods_are_named_apart_by_model_and_settings_where_they_differ():
    rows = [row("rlm0"), row("rlm0", model="big", sub_model="small"), row("rlm0", method_cfg_sha="other")]
    label = labels(rows)
    assert len({label(one) for one in rows}) == 3
    assert label(rows[1]) == "rlm0 big+small"
    assert labels(rows[:1])(rows[0]) == "rlm0"


def test_methods_stand_in_one_order_whichever_was_done_first():
    head, _ = report.by_size(by_method([row("rlm1"), row("unheard-of"), row("rlm0"), row("direct")]))
    assert head[2:] == ["direct", "rlm0", "rlm1", "unheard-of"]
    told = report.markdown(MIXED[::-1], "")
    shown = page.page(MIXED[::-1], "")
    assert re.findall(r'<i class="c\d"></i>(\w+)', shown) == ["direct", "rag", "rlm0"]
    assert told.index("| direct | 2") < told.index("| rag | 8") < told.index("| rlm0 | 9")


def test_where_settings_have_no_name_it_is_said_which_runs_had_them():
    rows = [row(run="before"), row(number=1, run="again"), row(number=2, run="after", method_cfg_sha="fffff")]
    said = "rlm0 #rlm0: as in again, before; rlm0 #ffff: as in after."
    assert report.about(rows).endswith(said)
    assert said.split("; ")[1].rstrip(".") in report.terminal(rows).splitlines()[-1]
    assert "as in" not in report.about(rows[:2])


def test_pairs_that_are_not_told_apart_are_counted_alone():
    few = [one for name in ("direct", "rag", "rlm0") for one in some(name, 1, 1)]
    told = report.markdown(few, "")
    assert "Not told apart: 3 of 3 pairs of methods." in told
    assert "not told apart |" not in told
    assert "told apart" not in report.markdown(few[:1], "")
    assert "Not told apart" not in report.terminal([*some("direct", 0, 20), *some("rlm0", 20, 20)])


def test_runs_are_called_by_their_folders_and_apart():
    assert report.titles([Path("results/one")]) == ["one"]
    assert report.titles([Path("results/one/samples.jsonl.gz"), Path("results/two")]) == ["one", "two"]
    assert report.titles([Path("a/run"), Path("b/run")]) == ["a/run", "b/run"]
    assert report.titles([Path("a/x.jsonl"), Path("a/y.jsonl")]) == ["x.jsonl", "y.jsonl"]
    files = [Path("a/samples.jsonl"), Path("a/samples.jsonl.gz")]
    assert report.titles(files) == ["samples.jsonl", "samples.jsonl.gz"]
    assert report.titles([Path("a/run"), Path("a/run")]) == ["run", "run"]


def test_sizes_are_those_that_were_asked_for_or_rounded():
    assert size_of(row(params={"size": 300_000}, context_chars=299_871)) == 300_000
    assert size_of(row(params={}, context_chars=152_871)) == 150_000


def test_places_stand_in_their_order():
    places = ["0.05", "1.0", "tail", "cut:1/5", "cut:3/10", "cut:2/5", "cut:2000", "cut:100000"]
    assert sorted(sorted(places), key=place_order) == places


def test_quantiles_lie_between_their_neighbours():
    assert quantiles([4.0, 1.0, 3.0, 2.0], (0.0, 0.5, 1.0)) == [1.0, 2.5, 4.0]
    assert quantiles([7.0]) == [7.0] * 4


def test_the_report_tells_errors_apart_and_what_they_were():
    told = report.markdown(MIXED, "A run")
    assert told.startswith("# A run\n")
    line = next(line for line in told.splitlines() if line.startswith("| rag |"))
    assert "| 20 |" in line
    assert "| 1 | 81% [60, 92] |" in line  # with the error as 0: 17 of 21
    assert "| rag | the server is away | 1 |" in told
    assert "?" in line  # no price


def test_errors_that_differ_in_their_numbers_alone_are_one():
    rows = [row("rag", None, number, reason=f"{number + 7} tokens, of 16384") for number in range(3)]
    rows += [row("rlm0", None, 9, reason="7 tokens, of 16384"), row("rag", None, 10)]
    assert report.errors(rows)[1] == [
        ["rag", "7 tokens, of 16384", "3"],
        ["rlm0", "7 tokens, of 16384", "1"],
        ["rag", "the server is away", "1"],
    ]


def test_near_misses_are_told_where_a_task_knows_any():
    near = row("rag", 0.0, 77, task="count", score={"strict": 0.0, "compat": 0.0, "partial": 0.75})
    head, body = report.overview([*MIXED, near])
    told = {line[0]: line[head.index("partial")] for line in body}
    assert told == {"rlm0": "", "direct": "", "rag": "75% [12, 99] of 1"}


def test_lists_of_pairs_have_their_precision_recall_and_lift():
    one = row("rlm0", 0.0, task="pairs", gold=[[1, 2], [1, 3]], answer="(1, 2)", meta={"users": 4})
    told = ["rlm0", "1", "100% [21, 100]", "50% [5, 95]", "67% [9, 97]", "1.33 [0.00, inf]"]
    assert report.pair_lists([one])[1] == [told]
    assert " | ".join(told) in report.markdown([one], "")
    both = report.pair_lists([one, dataclasses.replace(one, answer="", cluster="other")])[1]
    assert both[0][-1] == "0.67 [0.00, 1.33]"
    assert report.pair_lists(MIXED)[1] == []


def test_what_all_took_stands_beside_what_the_median_took():
    def took(number, tokens, cached):
        return row("rlm0", number=number, tokens={"root": {"in": tokens, "out": 0, "cached": cached}})

    head, (line,) = report.overview([took(1, 1_000, 0), took(2, 2_000, 0), took(3, 97_000, 75_000)])
    told = dict(zip(head, line, strict=True))
    assert told["median tokens"] == "2,000"
    assert told["all tokens"] == "100,000"
    assert told["cached"] == "75%"


def test_what_was_seen_of_a_text_and_what_became_of_code_is_told():
    rows = [row("direct", number=1, coverage=0.5, truncated=True), row("direct", number=2, coverage=0.2)]
    rows += [row("rlm0", number=n, iterations=n, exec_errors=2, syntax_errors=1) for n in (3, 4, 5)]
    head, body = report.overview(rows)
    assert [line[head.index("saw")] for line in body] == ["35%", ""]
    assert report.steps(rows)[1][-1] == ["rlm0", "4", "12", "6", "3", "1.0"]
    assert [line[2] for line in report.endings(rows)[1]] == ["1", ""]


def test_the_tables_of_the_terminal_have_columns_that_line_up():
    told = report.terminal([*MIXED, *twins(3, 1)]).split("\n\n")
    for table in told[:3]:
        assert len({len(line) for line in table.splitlines()}) <= 2
    assert told[-1] == (
        "all tasks: rag is better than direct\nall tasks: rlm0 is better than direct\n"
        "niah: rag is better than direct\nniah: rlm0 is better than direct\n"
        "Not told apart: 2 of 6 pairs of methods."
    )


def test_tables_fit_the_terminal():
    rows = [*MIXED, *some("a-method-of-a-long-name", 3, 20), *some("another-method", 3, 20), *twins(3, 1)]
    told = report.terminal(rows, 80)
    assert max(map(len, told.split("\n\nniah: ")[0].splitlines())) <= 80
    by_size = [part for part in told.split("\n\n") if part.startswith("task ")]
    assert len(by_size) > 1
    assert all(part.splitlines()[1].startswith("niah") for part in by_size)
    assert "a-method-of-a-long-name" in told


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.links, self.tags = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "br", "line", "circle", "rect", "polyline") or tag in ("circle", "rect"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_needs_nothing_else_and_says_what_the_markdown_says():
    rows = [
        *MIXED,
        *twins(3, 1),
        *at(0.9, 3, 4),
        *at(0.1, 4, 4),
        row("dear", number=1, cost_usd=0.25, answer="<script>alert(1)</script>"),
    ]
    text = page.page(rows, "A <run>")
    told = Page()
    told.feed(text)
    assert told.open == []
    assert told.links == []
    assert "script" not in told.tags
    assert "url(" not in text
    assert "http" not in text
    assert told.tags.count("svg") >= 6
    assert "A &lt;run&gt;" in text
    assert "prefers-color-scheme: dark" in text
    for line in re.findall(r"^\| (\w+) \| (\d+% \[\d+, \d+\])", report.markdown(rows, ""), re.MULTILINE):
        assert all(f"<td>{cell}</td>" in text for cell in line)


def test_each_of_many_methods_has_its_place_in_every_chart():
    names = [f"method{number}" for number in range(11)]
    rows = [one for name in names for one in some(name, 5, 10)]
    rows += [
        dataclasses.replace(one, method=name, method_cfg_sha=name) for name in names for one in twins(3, 1)
    ]
    text = page.page(rows, "")
    for section in ("Score by size", "Cost against score", "Where the text", "Tokens and time"):
        drawn = text.partition(f"<h2>{section}")[2].partition("</svg></div>")[0]
        assert all(f"<title>{name}" in drawn for name in names)
    niah = text.partition('aria-label="niah"')[2].partition("</svg>")[0]
    assert len(re.findall("<polyline", niah)) == 11
    assert text.count('<i class="c0"></i>') == text.count('<i class="c0 again"></i>') == 1


def test_names_of_dots_in_one_place_do_not_lie_on_each_other():
    points = [Point(0.0, 1.0, (0.9, 1.0), name, 0, name) for name in ("direct", "rag", "rlm0", "rlm1")]
    svg = charts.plane("", "", [(point, (0.0, 0.1)) for point in points])
    heights = [float(y) for y in re.findall(r'class="name" x="[\d.]+" y="([\d.]+)"', svg)]
    assert len(heights) == 4
    assert min(b - a for a, b in pairwise(sorted(heights))) >= 12


def test_sizes_are_drawn_for_each_kind_that_the_table_has():
    rows = [row(number=n, params={"size": 100_000, "needle": kind}) for n, kind in enumerate("ab")]
    text = page.page(rows, "")
    assert 'aria-label="niah needle=a"' in text
    assert 'aria-label="niah needle=b"' in text


def test_a_page_has_no_section_with_nothing_in_it():
    text = page.page([row("rag", params={"size": 100_000, "pos": 0.5})], "")  # one place alone
    assert "Score by place" not in text
    assert re.findall(r"<h2>[^<]*</h2></section>", text) == []
    assert "Cost against" not in page.page([row("rlm0", None)], "")


@pytest.mark.parametrize("run", sorted(RESULTS.glob("*/")), ids=lambda run: run.name)
def test_the_reports_that_are_kept_are_those_of_their_rows(run):
    """Or: python -m rlm_bench report results/NAME"""
    assert (run / "report.md").read_text("utf-8") == report.markdown(rows.read(run), run.name)
