"""The page of a run: what it holds, what cannot get out of it, and how it behaves in a real browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest

from rlm_core import RLM, ScriptedLM
from rlm_core.journal import About, Journal
from rlm_core.limits import Limits
from rlm_core.loop import Failed
from rlm_core.page import page
from rlm_core.sandbox.protocol import HostCall
from tests.core.browser import browser, missing
from tests.core.stage import llm_query_batched, printed, repl, stage, submitted

HOSTILE = (
    "</script><script>window.pwned = 1</script><!--<script>--><img src=x onerror='window.pwned = 1'>"
    "\u2028{{script}}&lt;\ud800\x00"
)
TEXT = "".join(f"line {n} of the text holds nothing of note\n" for n in range(4_000)) + HOSTILE


def recorded(tmp_path, prompts, name="journal.db", keep_context=True):
    """The page of a run with these sub-calls; those that say "fail" fail."""
    journal = Journal(tmp_path / name, keep_context)
    about = About("python", f"root {HOSTILE}", "sub", f"What is it? {HOSTILE}")
    recorder = journal.begin(about, {"context": TEXT}, len(TEXT))
    cells = {
        f"look = '{HOSTILE}'": [llm_query_batched(*prompts), printed(f"{TEXT[430:520]}\n{HOSTILE}")],
        "SUBMIT(x)": submitted(HOSTILE),
    }
    play = stage(
        [f"Well. {HOSTILE}\n" + repl(f"look = '{HOSTILE}'"), repl("SUBMIT(x)")],
        cells,
        context=TEXT,
        record=recorder,
        limits=Limits(sub_calls=None, tokens=None, cost=None),
        answer=lambda prompt: Failed(HOSTILE) if "fail" in prompt else f"answer to {prompt[:20]} {HOSTILE}",
    )
    play.play()
    recorder.close()
    return page(journal, journal.run(recorder.run))


def data_of(made):
    return json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', made, re.S)[1])


PROMPTS = ["short", "will fail", "Q\n" + TEXT[10_000:30_000], "Q\n" + TEXT[50_000:60_000]]


def test_the_page_holds_the_run(tmp_path):
    data = data_of(recorded(tmp_path, PROMPTS))
    first, second = data["root"]["steps"]
    assert data["run"]["status"] == "answered"
    assert [call["error"] != "" for call in first["calls"]] == [False, True, False, False]
    assert "SUBMIT(x)" in second["code"]


def test_it_knows_where_sub_calls_looked_and_what_was_printed(tmp_path):
    data = data_of(recorded(tmp_path, PROMPTS))
    first = data["root"]["steps"][0]
    assert [call["spans"] for call in first["calls"][2:]] == [
        [["context", 10_000, 20_000]],
        [["context", 50_000, 10_000]],
    ]
    assert ["context", *_place(TEXT[430:520].splitlines()[1])] in first["spans"]
    assert data["inputs"] == [["context", len(TEXT)]]


def test_it_knows_where_grep_and_chunks_looked_also_those_of_a_child(tmp_path):
    journal = Journal(tmp_path / "journal.db")
    recorder = journal.begin(About("python", "root", "sub", "Q?"), {"context": TEXT}, len(TEXT))
    own = f"Only this: {TEXT[20_000:30_000]}"
    cells = {
        "context": [
            HostCall("rlm_query", ("Q1", own)),
            printed("", looked=(("grep", "context", 500, 40), ("chunks", "context", 0, len(TEXT)))),
        ],
        "child": submitted("Bob", looked=(("grep", "context", 0, 5), ("grep", "context", 111, 20))),
        "SUBMIT(x)": submitted("4711"),
    }
    replies = [repl("context"), repl("child"), repl("SUBMIT(x)")]
    stage(replies, cells, context=TEXT, record=recorder, limits=Limits(depth=2)).play()
    recorder.close()
    step = data_of(page(journal, journal.run("")))["root"]["steps"][0]
    assert step["looked"] == [["grep", "context", 500, 40], ["chunks", "context", 0, len(TEXT)]]
    (child,) = step["children"]
    assert child["steps"][0]["looked"] == [["grep", "context", 20_100, 20]]
    assert child["text"].startswith(f"Only this: {TEXT[20_000:20_050]}")


def test_a_grandchilds_places_are_those_of_the_whole_text(tmp_path):
    """With the real sandbox: it was given a part of a part."""
    steps = {
        "Q0": ["rlm_query('Q1', 'Read: ' + context[20_000:60_000])", "SUBMIT(str(len(context)))"],
        "Q1": ["rlm_query('Q2', context[10_000:20_000])", "SUBMIT(str(len(context)))"],
        "Q2": ["print(grep('line 900 '), [\"it's\", 'so'])", "SUBMIT(str(len(context)))"],
    }

    def say(messages):
        asked = messages[1]["content"].rpartition("Question: ")[2][:2]
        return repl(steps[asked][sum(message["role"] == "assistant" for message in messages)])

    rlm = RLM(ScriptedLM(say), limits=Limits(depth=3), journal=tmp_path / "journal.db")
    assert rlm.completion(TEXT, "Q0").answer == str(len(TEXT))
    (child,) = data_of(page(rlm.journal, rlm.journal.run("")))["root"]["steps"][0]["children"]
    (grandchild,) = child["steps"][0]["children"]
    line = next(line for line in TEXT.splitlines() if line.startswith("line 900 "))
    (found,) = grandchild["steps"][0]["looked"]
    assert found[:2] == ["grep", "context"]
    assert TEXT[found[2] :][: found[3]].rstrip("\n") == line
    assert grandchild["steps"][0]["spans"] == [["context", *_place(line)]]


def _place(line):
    return TEXT.index(line), len(line)


def test_a_run_whose_context_was_not_kept_still_has_its_places(tmp_path):
    data = data_of(recorded(tmp_path, PROMPTS, keep_context=False))
    assert data["root"]["steps"][0]["calls"][2]["spans"] == [["context", 10_000, 20_000]]
    assert data["inputs"] == [["context", len(TEXT)]]


def test_long_quotations_are_not_written_out(tmp_path):
    small = len(recorded(tmp_path, ["short"]))
    assert len(recorded(tmp_path, [TEXT] * 50, "long.db")) < small + 50 * 3_000


def test_nothing_in_it_can_end_the_data_or_begin_a_script(tmp_path):
    made = recorded(tmp_path, PROMPTS)
    assert len(re.findall("<script", made)) == len(re.findall("</script", made)) == 2
    assert "<img" not in made
    assert "<!--" not in made


def test_its_policy_lets_its_own_script_run_and_no_other(tmp_path):
    made = recorded(tmp_path, PROMPTS)
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', made)[1]
    script = made.rpartition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in policy
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|Function\(", script)


# ---- in a real browser


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    if missing():
        pytest.skip(missing())
    with browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture
def show(chromium, tmp_path):
    def show(prompts):
        file = tmp_path / "run.html"
        file.write_text(recorded(tmp_path, prompts), "utf-8")
        chromium.open(file)
        return chromium

    return show


SELECTED = "document.querySelector('[aria-selected=true] .what').textContent"
DETAIL = "document.getElementById('detail').textContent"


def test_hostile_texts_are_shown_and_do_nothing(show):
    chromium = show(PROMPTS)
    for key in ("Down",) * 6:
        chromium.run("document.getElementById('tree').focus()")
        chromium.press(key)
        assert chromium.run("window.pwned === undefined")
    assert chromium.run("document.querySelectorAll('script').length") == 2
    assert chromium.run("document.querySelectorAll('img').length") == 0
    assert "<script>window.pwned = 1</script>" in chromium.run(
        "document.getElementById('answer').textContent"
    )
    assert chromium.complaints() == []


def test_it_asks_the_network_for_nothing(show):
    assert show(PROMPTS).run("performance.getEntriesByType('resource').length") == 0


def test_the_tree_is_walked_with_the_keyboard(show):
    chromium = show(PROMPTS)
    chromium.run("document.getElementById('tree').focus()")
    seen = []
    for key in ("Home", "Down", "Down", "Left", "Down", "Up", "Right", "Down"):
        chromium.press(key)
        seen.append(chromium.run(SELECTED).split("  ")[0])
    assert seen[:3] == ["The run", "Step 1", "4 sub-calls at once, 1 failed"]
    assert seen[3:6] == [seen[2], "Step 2", seen[2]]  # closed: the next row is the next step
    assert seen[7].startswith("short →")
    assert "answer to short" in chromium.run(DETAIL)


def test_code_and_output_stand_side_by_side(show):
    chromium = show(PROMPTS)
    chromium.run("document.getElementById('tree').focus()")
    chromium.press("Down")
    boxes = "[...document.querySelectorAll('.beside > div')]"
    left, right = chromium.run(f"{boxes}.map(box => [box.textContent, box.getBoundingClientRect().top])")
    assert left[0].startswith("Codelook =")
    assert right[0].startswith("Output")
    assert left[1] == right[1]


def test_search_finds_and_goes_there(show):
    chromium = show(PROMPTS)
    chromium.press("/", "answer to short", "\ue007")
    assert chromium.run("document.getElementById('matches').textContent") == "1 match"
    assert chromium.run(SELECTED).startswith("short →")
    assert chromium.run("document.querySelector('#detail mark').textContent") == "answer to short"


def test_screen_readers_are_told_names(show):
    chromium = show(PROMPTS)
    assert chromium.named("#tree") == ("tree", "Steps and calls")
    role, name = chromium.named("[role=treeitem]:nth-child(2)")
    assert (role, name.startswith("Step 1")) == ("treeitem", True)
    assert chromium.named("#time")[1].startswith("Time line of")
    assert "sent to sub-calls" in chromium.named("#strip")[1]
    assert chromium.named("#search") == ("searchbox", "Search in code, outputs, prompts and answers")


def test_it_follows_light_and_dark(show):
    chromium = show(PROMPTS)
    lightness = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]"
    chromium.dark(True)
    assert chromium.run(lightness) < 60
    chromium.dark(False)
    assert chromium.run(lightness) > 200


def test_five_thousand_sub_calls_stay_usable(show):
    chromium = show([f"prompt {n} {TEXT[:500]}" for n in range(5_000)])
    chromium.run("document.getElementById('tree').focus()")
    chromium.press("Down", "Down", "Right", "Down", "End")
    assert chromium.run("document.querySelectorAll('.row').length") < 80
    chromium.press("Up")
    assert chromium.run(SELECTED).startswith("prompt 4999 ")
    for _ in range(20):
        chromium.press("Up")
    assert chromium.run(SELECTED).startswith("prompt 4979 ")
    assert chromium.run("document.querySelectorAll('.row').length") < 80
    assert chromium.complaints() == []
