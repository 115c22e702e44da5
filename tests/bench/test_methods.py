import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from rlm_bench import methods, tasks, traces
from rlm_bench.methods import Outcome, Setting, Settings, perform
from rlm_bench.models import Model, ModelNotFound
from rlm_bench.samples import Sample
from rlm_core.lms import Completion, LMCallError, ScriptedLM, Usage

LOOK = "```repl\nfound = grep('special magic')\nprint(len(found), found[:1])\n```"
FIND = "```repl\nimport re\nSUBMIT(re.search(r'is: (\\d+)', found[0])[1])\n```"


def sample(**params) -> Sample:
    return tasks.get("niah").sample(**{"size": 20_000, **params})


def by(name: str, lm: ScriptedLM, given: Sample | None = None, sub: ScriptedLM | None = None) -> Outcome:
    return perform(name, given or sample(), Setting(lm, sub or lm))


def prompt_of(lm: ScriptedLM, call: int = 0) -> str:
    return lm.calls[call][-1]["content"]


@pytest.mark.parametrize(
    ("name", "kept", "lost"),
    [
        ("direct", (0.0, 1.0), 0.5),
        ("direct-head", (0.0, 0.25), 0.9),
        ("direct-tail", (0.75, 1.0), 0.1),
    ],
)
def test_direct_keeps_what_its_name_says_of_a_text_that_is_too_long(name, kept, lost):
    for pos, there in [*((pos, True) for pos in kept), (lost, False)]:
        given = sample(pos=pos)
        lm = ScriptedLM("7", window=4_000)  # of about 5,000 tokens
        outcome = by(name, lm, given)
        assert (given.answer in prompt_of(lm)) is there
        assert outcome.truncated
        assert 0.3 < outcome.coverage < 0.7
        assert "characters left out" in prompt_of(lm)


def test_direct_cuts_nothing_that_fits_and_may_refuse_to_cut():
    given = sample()
    lm = ScriptedLM("7", window=8_000)
    outcome = by("direct-error", lm, given)
    assert (outcome.status, outcome.truncated, outcome.coverage) == ("answered", False, 1.0)
    assert given.context in prompt_of(lm)
    refused = by("direct-error", ScriptedLM("7", window=4_000), given)
    assert (refused.status, refused.answer) == ("too_long", None)
    assert re.fullmatch(r"the text has [\d,]+ tokens, and [\d,]+ fit", refused.reason or "")
    assert not refused.usage.calls


def test_a_text_is_cut_by_the_tokens_that_the_model_counts():
    class Dense(ScriptedLM):
        """Whose tokens are single characters."""

        def tokens(self, text: str) -> int:
            return len(text)

    lm = Dense("7", window=8_000)
    by("direct", lm)
    assert 0.8 * 8_000 < len(prompt_of(lm)) + 1_024 <= 8_200


def test_a_prompt_that_the_model_refuses_as_too_long_is_cut_more():
    def narrow(messages):
        if len(messages[0]["content"]) > 10_000:
            return LMCallError("too many tokens", "overflow")
        return "7"

    lm = ScriptedLM(narrow, window=8_000)
    assert by("direct", lm).status == "answered"
    assert len(lm.calls) > 1


def test_rag_finds_the_needle_and_chunked_reads_every_piece():
    given = sample(size=60_000)
    lm = ScriptedLM(lambda messages: given.answer if given.answer in messages[0]["content"] else "NOTHING")
    lm.window = 4_000
    assert by("rag", lm, given).answer == given.answer
    sub = ScriptedLM(lambda messages: given.answer if given.answer in messages[0]["content"] else "NOTHING")
    sub.window = 4_000
    outcome = by("chunked", lm, given, sub)
    assert outcome.answer == given.answer
    assert outcome.usage.of("sub").calls == len(sub.calls) >= 5
    assert outcome.usage.of("root").calls == 1
    assert given.context.replace("\n", "") in "".join(
        call[0]["content"].partition("\n\n")[2].rpartition("\n\nQuestion: ")[0] for call in sub.calls
    ).replace("\n", "")


@pytest.mark.parametrize("name", ["rlm0", "rlm1", "rlm2", "dspy_rlm"])
def test_an_rlm_answers_by_code_and_its_calls_are_counted_by_role(name):
    pytest.importorskip("dspy") if name == "dspy_rlm" else None
    given = sample()
    outcome = by(name, ScriptedLM([LOOK, FIND], price=0.25), given)
    assert (outcome.answer, outcome.status) == (given.answer, "answered")
    assert outcome.usage.of("root").calls == 2
    assert outcome.usage.cost == 0.5
    assert [step["code"][:5] for step in outcome.steps] == ["found", "impor"]
    assert outcome.steps[0]["output"].startswith("1 [")


@pytest.mark.parametrize(
    ("code", "sub", "share"),
    [
        ("print('done')", "", (0, 0.06)),  # the card alone
        ("print(context[:10_000])", "", (0.1, 0.3)),  # what is shown of an output has a limit
        ("llm_query(context[:len(context) // 2])", "-", (0.48, 0.56)),
        ("llm_query_batched(chunks(16_000))", "-", (0.95, 1)),
        ("for _ in range(3): llm_query(context[:20_000])", "-", (0.3, 0.39)),  # the same, thrice
    ],
)
def test_what_an_rlm_s_models_were_shown_of_the_text_is_known(code, sub, share):
    given = sample(size=60_000)
    lm = ScriptedLM([f"```repl\nfound = grep('special magic')\n{code}\n```", FIND])
    outcome = by("rlm1", lm, given, ScriptedLM(lambda _: sub))
    assert share[0] <= outcome.coverage <= share[1]


def test_a_sub_call_is_counted_apart_and_depth_0_has_none():
    ask = "```repl\nSUBMIT(llm_query('what is it? ' + context[:100]))\n```"
    sub = ScriptedLM("7")
    outcome = by("rlm1", ScriptedLM(ask), sub=sub)
    assert (outcome.answer, outcome.usage.of("sub").calls) == ("7", 1)
    without = by("rlm0", ScriptedLM(ask), sub=sub)
    assert without.usage.of("sub").calls == 0
    assert without.answer != "7"


@pytest.mark.parametrize("name", ["rlm1", "dspy_rlm", "chunked"])
def test_what_sub_calls_were_asked_and_replied_is_kept_by_its_ends(name):
    pytest.importorskip("dspy") if name == "dspy_rlm" else None
    given = sample(size=60_000)
    root = ScriptedLM("```repl\nSUBMIT(llm_query('number? ' + context[:20_000]))\n```", window=8_000)
    outcome = by(name, root, given, ScriptedLM("it is 7 " + "or so " * 900, window=8_000))
    (calls,) = (step["calls"] for step in outcome.steps if "calls" in step)
    assert len(calls) == outcome.usage.of("sub").calls
    told = calls[0]
    assert given.context[10:100] in told["prompt"]
    assert "characters left out" in told["prompt"]
    assert told["reply"].startswith("it is 7 or so")
    assert len(told["prompt"]) + len(told["reply"]) < 1_400
    assert told["model"] == "scripted"


def test_what_a_child_did_is_kept_in_the_step_that_asked_it():
    child = ["```repl\nprint(llm_query('deep'))\n```", "```repl\nSUBMIT('7')\n```"]
    root = "```repl\nSUBMIT(rlm_query('which?', 'a text'))\n```"
    outcome = by("rlm2", ScriptedLM(root), sub=ScriptedLM(child, answers="the number is 7"))
    (step,) = outcome.steps
    (told,) = step["children"]
    assert (told["query"], told["text"], told["status"], told["answer"]) == (
        "which?",
        "a text",
        "answered",
        "7",
    )
    assert [one["output"] for one in told["steps"]] == ["the number is 7\n", ""]
    assert told["steps"][0]["calls"][0]["prompt"] == "deep"


def test_a_row_keeps_no_more_than_so_many_sub_calls(monkeypatch):
    monkeypatch.setattr(traces, "MOST", 3)
    many = "```repl\nllm_query_batched(['a', 'b'])\nprint(1)\n```"
    root = ScriptedLM([many, many.replace("1", "2"), "```repl\nSUBMIT(str(len(context)))\n```"])
    outcome = by("rlm1", root, sub=ScriptedLM("-"))
    assert [len(step.get("calls", ())) for step in outcome.steps] == [2, 1, 0]
    assert outcome.usage.of("sub").calls == 4
    noted = by("chunked", ScriptedLM("7"), sample(size=60_000), ScriptedLM("7", window=2_000))
    assert len(noted.steps[0]["calls"]) == 3


@pytest.mark.parametrize("name", ["direct", "rag", "chunked", "rlm0"])
def test_when_the_first_reply_was_there_is_known(name):
    outcome = by(name, ScriptedLM([LOOK, FIND] if name == "rlm0" else "7", delay=0.01))
    assert 0.01 <= outcome.first_seconds <= outcome.seconds


@pytest.mark.parametrize("name", ["chunked", "rlm0", "dspy_rlm"])
def test_a_sample_sends_no_call_beyond_what_it_may_cost_and_is_no_wrong_answer_then(name):
    pytest.importorskip("dspy") if name == "dspy_rlm" else None
    looks = [f"```repl\nprint({number}, len(context))\n```" for number in range(30)]
    lm = ScriptedLM(looks if name != "chunked" else "7", window=4_000, price=1.0, delay=0.01)
    outcome = perform(name, sample(size=200_000), Setting(lm, lm, cost=3.0))
    assert (outcome.status, len(lm.calls), outcome.usage.cost) == ("error", 3, 3.0)
    assert outcome.reason == "the $3 that --max-cost left for this sample were spent before its answer"


def test_an_rlm_s_own_limit_of_cost_is_a_result():
    lm = ScriptedLM([f"```repl\nprint({number})\n```" for number in range(30)], price=2.0)
    outcome = perform("rlm0", sample(), Setting(lm, lm, cost=100.0))
    assert (outcome.status, outcome.usage.cost) == ("budget", 6.0)


def test_dspy_rlm_takes_any_limit_of_steps():
    pytest.importorskip("dspy")
    lm = ScriptedLM([LOOK, FIND])
    outcome = perform("dspy_rlm", sample(), Setting(lm, lm, Settings(iterations=7)))
    assert (outcome.status, len(outcome.steps)) == ("answered", 2)


def test_a_method_that_changes_its_process_does_one_sample_at_a_time(monkeypatch):
    at_work, most = [], []

    def work(given, setting, meter):
        at_work.append(1)
        most.append(len(at_work))
        time.sleep(0.01)
        at_work.pop()
        return Outcome("7")

    monkeypatch.setitem(methods.METHODS, "rlms", work)
    lm, given = ScriptedLM("7"), sample()
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: perform("rlms", given, Setting(lm, lm)), range(8)))
    assert set(most) == {1}
    assert min(one.seconds for one in made) < 0.05  # none counts what it waited for others


def test_what_a_model_does_wrong_counts_and_what_happens_to_it_does_not():
    assert by("rlm0", ScriptedLM("I would rather not.")).status == "gave_up"
    failed = by("rlm0", ScriptedLM([LMCallError("the server is away", "unreachable")]))
    assert (failed.status, failed.reason) == ("error", "the server is away")
    assert by("direct", ScriptedLM([LMCallError("the server is away", "unreachable")])).status == "error"
    stopped = perform("rlm0", sample(), Setting(ScriptedLM(LOOK), ScriptedLM(""), Settings(iterations=2)))
    assert stopped.status == "budget"
    nothing = by("rlm0", ScriptedLM([LOOK, "```repl\nNOT_FOUND('nowhere')\n```"]))
    assert (nothing.status, nothing.answer, nothing.reason) == ("not_found", None, "nowhere")


def test_a_wrong_key_ends_more_than_the_sample():
    with pytest.raises(LMCallError, match="no key"):
        by("direct", ScriptedLM([LMCallError("no key", "auth")]))


def test_a_cost_that_is_not_known_is_none_and_never_nothing():
    assert by("direct", ScriptedLM("7")).usage.cost is None
    assert by("direct", ScriptedLM(Completion("7", Usage(1, 1, cost=0.0)))).usage.cost == 0.0


def test_the_oracle_the_empty_answer_and_the_tasks_own_rule():
    given = sample()
    lm = ScriptedLM([])  # never called
    assert by("oracle", lm, given).answer == given.answer
    assert by("empty", lm, given).answer == ""
    assert by("heuristic", lm, given).answer == given.answer
    without = next(
        one
        for index in range(8)
        if (one := tasks.get("unanswerable").sample(index=index)).meta["unanswerable"]
    )
    assert by("oracle", lm, without).status == "not_found"


def test_contexts_of_any_shape_become_one_text():
    assert methods.text_of({"a.txt": "one", "b.txt": "two"}) == "# a.txt\n\none\n\n# b.txt\n\ntwo"
    assert methods.text_of(["one", "two"]) == "one\n\ntwo"
    assert methods.text_of([{"a": 1}]) == '[{"a": 1}]'


def test_a_method_is_filed_under_all_that_decides_what_it_does():
    lm = ScriptedLM("")

    def sha(name: str, **changes) -> str:
        return methods.digest(methods.config(name, Setting(lm, lm, Settings(**changes))))

    assert sha("rlm0") == sha("rlm0")
    assert sha("rlm0") != sha("rlm0", strategy="small") != sha("rlm0", iterations=5)
    assert sha("direct") == sha("direct", iterations=5)


def test_another_package_is_filed_under_its_version_and_where_it_runs_code(monkeypatch):
    lm = ScriptedLM("")
    monkeypatch.setattr(methods.shutil, "which", lambda name: None)
    told = methods.config("dspy", Setting(lm, lm))
    assert (told["version"], told["interpreter"]) == (methods.version_of("dspy"), "ours")
    monkeypatch.setattr(methods.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert methods.config("dspy", Setting(lm, lm))["interpreter"] == "deno"


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Model("no-such-model"), "there is no model 'no-such-model'"),
        (Model("rlm-local"), "name the model without rlm-"),
        (Model("local", (("temprature", "1"),)), "local takes no option 'temprature'"),
        (Model("local", (("temperature", "hot"),)), "local takes no option 'temperature'"),
    ],
)
def test_a_model_that_is_not_there_or_takes_no_such_option_is_said_in_a_line(model, said):
    with pytest.raises(ModelNotFound, match=said) as raised:
        model.lm()
    assert "\n" not in str(raised.value)


def test_a_model_of_llms_is_called_as_the_plugin_calls_it():
    lm = Model("local", (("window", 4096),)).lm()
    assert (lm.model, lm.window, lm.concurrency, lm.strategy) == ("local", 4096, 1, "small")
