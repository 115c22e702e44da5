import gzip
import json
import threading

import pytest
from bench.made import row

from rlm_bench import questions, rows, runner, tasks
from rlm_bench.methods import Settings
from rlm_bench.presets import Cell, Preset, presets
from rlm_bench.rows import Folder, Row, RowsError
from rlm_bench.runner import Job, Models, Spec, Tally, left_to_do, perform_one, plan
from rlm_bench.tasks import decoys, niah_multi, structured
from rlm_core.lms import LMCallError, ScriptedLM
from rlm_core.pool import Threads

SMALL = Preset("small", "", [Cell("niah", 3, {"pos": 0.1}), Cell("niah", 2, {"pos": 0.9})])


def test_a_plan_goes_round_by_round_so_that_what_is_broken_off_has_all_cells():
    jobs = plan(SMALL, ["rlm0", "rag"], seed=7)
    assert [(dict(job.spec.params)["pos"], job.spec.index, job.method) for job in jobs[:4]] == [
        (0.1, 0, "rlm0"),
        (0.1, 0, "rag"),
        (0.9, 0, "rlm0"),
        (0.9, 0, "rag"),
    ]
    assert len(jobs) == len(set(jobs)) == 10
    assert {job.spec.seed for job in jobs} == {7}
    assert len(plan(SMALL, ["rag"], epochs=2)) == 10


@pytest.mark.parametrize("name", presets())
def test_every_cell_of_a_preset_can_be_made(name):
    cells = [cell for cell in presets()[name].cells if cell.params.get("size", 0) <= 100_000]
    for one in cells:
        Spec.of(one.task, one.params, seed=1).sample()
    assert all(cell.n >= 1 for cell in presets()[name].cells)


def test_the_presets_are_as_large_as_their_names_say():
    sizes = {name: preset.samples for name, preset in presets().items()}
    assert sizes["positions"] == 520
    assert all(cell.n >= 5 for cell in presets()["seed"].cells)
    assert sizes["smoke"] <= 20
    for preset in (*presets().values(), presets()["quick"].with_n(3)):  # no question without its twin
        assert all(cell.n % 2 == 0 for cell in preset.cells if cell.task == "unanswerable")
    assert presets()["quick"].with_n(2).samples == 2 * len(presets()["quick"].cells)


def test_standard_asks_every_kind_that_tasks_have():
    def asked(task, name):
        default, cells = tasks.get(task).defaults[name], presets()["standard"].cells
        return {cell.params.get(name, default) for cell in cells if cell.task == task}

    assert asked("decoys", "kind") == set(decoys.KINDS)
    assert asked("structured", "format") == set(structured.FORMATS)
    assert asked("structured", "flaw") == set(structured.FLAWS)
    assert asked("multihop", "kind") == {"table", "chain", "state"}
    assert asked("niah_multi", "mode") == set(niah_multi.MODES)
    assert asked("vt", "chains") == {1, 4}
    assert 600 <= presets()["standard"].samples <= 900


def test_a_row_holds_what_was_done_and_can_be_read_again():
    models = Models(ScriptedLM(["```repl\nprint('7')\n```", "```repl\nSUBMIT('7')\n```"], price=0.5))
    made = perform_one(Job(Spec.of("niah", {"pos": 0.5}), "rlm0"), models, Settings(), "trial")
    assert (made.run, made.task, made.method, made.model) == ("trial", "niah", "rlm0", "scripted")
    assert (made.answer, made.status, made.error_class) == ("7", "answered", "wrong")
    assert made.score == {"strict": 0.0, "compat": 0.0, "partial": None}
    assert made.calls == {"root": 2}
    assert (made.cost_usd, made.iterations) == (1.0, 2)
    assert made.tokens["root"]["in"] > 100
    assert made.params["pos"] == 0.5
    assert made.trace[0]["code"] == "print('7')"
    assert made.ttfa_s <= made.wall_s
    assert "calls" not in made.trace[0]
    assert len(made.context_sha256) == 64
    assert "context" not in json.loads(made.line())
    assert Row.read(made.line()) == made


@pytest.mark.parametrize("method", ["direct", "rag", "chunked", "rlm0"])
def test_half_of_a_surrogate_pair_that_a_model_says_or_a_text_holds_is_kept_as_it_is(method, tmp_path):
    half = "7 \ud800"
    said = "```repl\nprint(context)\nSUBMIT(context)\n```" if method == "rlm0" else half
    (tmp_path / "own.jsonl").write_text(json.dumps({"context": half, "query": f"{half}?", "answer": "7"}))
    own = questions.reference(tmp_path / "own.jsonl")
    made = perform_one(Job(Spec.of("questions", own), method), Models(ScriptedLM(said)))
    with Folder(tmp_path / "run") as folder:
        folder.configure({"given": {"query": half}})
        folder.append(made)
    (there,) = rows.read(tmp_path / "run")
    assert there == made
    assert (there.answer, there.query) == (half, f"{half}?")
    assert rows.config(tmp_path / "run")["given"] == {"query": half}


def test_an_error_has_no_score():
    failing = Models(ScriptedLM(LMCallError("away", "unreachable")))
    made = perform_one(Job(Spec.of("niah", {}), "direct"), failing)
    assert (made.status, made.score, made.reason) == ("error", None, "away")


def test_a_key_is_of_the_sample_the_method_and_the_models():
    def key(method="rlm0", model="a", cfg="x", **params):
        job = Job(Spec.of("niah", params), method)
        return runner.key_of(job, Models(ScriptedLM("", model=model)), cfg)

    assert key() == key() == key(pos=0.5)  # which is the default
    assert len({key(), key("rag"), key(model="b"), key(cfg="y"), key(pos=0.1)}) == 5
    assert key("oracle", model="a") == key("oracle", model="b")


# ---- a run's folder


def test_a_last_line_that_a_crash_cut_off_is_dropped_and_written_anew(tmp_path):
    with Folder(tmp_path) as folder:
        folder.append(row(number=1))
        folder.append(row(number=2))
    file = tmp_path / rows.SAMPLES
    whole = file.read_bytes()
    file.write_bytes(whole[:-40])
    assert [one.index for one in rows.read(tmp_path)] == [1]
    with Folder(tmp_path) as folder:
        folder.append(row(number=2))
    assert file.read_bytes() == whole


def test_a_last_line_that_lacks_no_more_than_its_end_is_kept(tmp_path):
    with Folder(tmp_path) as folder:
        folder.append(row(number=1))
        folder.append(row(number=2))
    file = tmp_path / rows.SAMPLES
    file.write_bytes(file.read_bytes().removesuffix(b"\n"))
    assert [one.index for one in rows.read(tmp_path)] == [1, 2]
    with Folder(tmp_path) as folder:
        folder.append(row(number=3))
    assert [one.index for one in rows.read(tmp_path)] == [1, 2, 3]


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\x00",
        b"[]",
        b"{}",
        *(
            json.dumps({**json.loads(row().line()), name: value}).encode()
            for name, value in [
                ("params", None),
                ("tokens", None),
                ("wall_s", "1"),
                ("score", "x"),
                ("key", []),
            ]
        ),
    ],
)
def test_a_line_that_is_no_row_is_named_and_what_to_do_with_it(tmp_path, line):
    file = tmp_path / rows.SAMPLES
    file.write_bytes(b"\n".join([row(number=1).line().encode(), line, row(number=2).line().encode(), b""]))
    with pytest.raises(RowsError, match=r"line 2: .*Delete this line; .*--resume"):
        rows.read(tmp_path)


def test_a_file_that_is_cut_off_or_not_packed_is_said(tmp_path):
    file = tmp_path / f"{rows.SAMPLES}.gz"
    whole = gzip.compress(b"".join(f"{row(number=number).line()}\n".encode() for number in range(9)))
    for there in (whole[:-40], gzip.decompress(whole), whole[:100] + b"\xff" * 50 + whole[150:]):
        file.write_bytes(there)
        with pytest.raises(RowsError, match="damaged or no gzip file"):
            rows.read(file)


def test_runs_that_begin_in_the_same_second_have_folders_of_their_own(tmp_path):
    made = [rows.new(tmp_path / "runs" / "now-niah") for _ in range(3)]
    assert [place.name for place in made] == ["now-niah", "now-niah-2", "now-niah-3"]
    assert all(place.is_dir() for place in made)


def test_one_process_at_a_time_writes(tmp_path):
    with Folder(tmp_path), pytest.raises(RowsError, match="another process"), Folder(tmp_path):
        pass


def test_a_sample_that_was_tried_again_stands_for_itself(tmp_path):
    with Folder(tmp_path) as folder:
        folder.append(row(right=None))
        folder.append(row(right=1.0))
    assert [one.status for one in rows.read(tmp_path)] == ["answered"]


def test_what_is_no_run_is_said(tmp_path):
    with pytest.raises(RowsError, match=r"no samples\.jsonl"):
        rows.read(tmp_path)
    with pytest.raises(RowsError, match=r"config\.json"):
        rows.config(tmp_path)
    (tmp_path / rows.SAMPLES).write_text('{"key": 1}\n')
    with pytest.raises(RowsError, match="line 1"):
        rows.read(tmp_path)


def test_only_what_has_no_score_yet_is_left_to_do():
    jobs = [Job(Spec.of("niah", {}, index=index), "rlm0") for index in range(3)]
    done = [row(number=0, key="0"), row(right=None, number=1, key="1")]
    left = left_to_do(jobs, done, lambda job: str(job.spec.index))
    assert [job.spec.index for job in left] == [1, 2]


# ---- many jobs


def go(jobs, perform, **options):
    kept, tally = [], Tally(len(jobs))
    runner.run(jobs, Threads(perform), kept.append, tally, **options)
    return kept, tally


JOBS = [Job(Spec.of("niah", {}, index=index), "rlm0") for index in range(30)]


def test_all_jobs_are_done_once_some_at_once():
    barrier = threading.Barrier(3, timeout=60)

    def perform(job, cost):
        if job.spec.index < 3:
            barrier.wait()  # three are at work together
        return row(number=job.spec.index)

    kept, tally = go(JOBS, perform, concurrency=3)
    assert sorted(one.index for one in kept) == list(range(30))
    assert (tally.done, tally.stopped, tally.working) == (30, "", {})


def test_no_job_is_begun_once_the_money_is_spent():
    allowed = []

    def perform(job, cost):
        allowed.append(cost)
        return row(number=job.spec.index, cost_usd=1.0)

    kept, tally = go(JOBS, perform, max_cost=3.5)
    assert len(kept) == 4
    assert allowed == [3.5, 2.5, 1.5, 0.5]
    assert tally.stopped == "$3.5 is spent"


def test_what_fails_again_and_again_is_given_up():
    kept, tally = go(JOBS, lambda job, cost: row(right=None, number=job.spec.index))
    assert len(kept) == tally.errors == runner.ERRORS_IN_A_ROW
    assert "the server is away" in tally.stopped


def test_what_fails_again_and_again_beside_what_does_not_is_given_up_too():
    jobs = [Job(one.spec, method) for one in JOBS for method in ("rlm0", "direct")]
    kept, tally = go(jobs, lambda job, cost: row(job.method, None if job.method == "direct" else 1.0))
    assert len(kept) == 2 * tally.errors == 2 * runner.ERRORS_IN_A_ROW
    assert "10 samples in a row failed by direct" in tally.stopped


def test_a_text_that_is_too_long_is_a_result_and_not_tried_again():
    lm = Models(ScriptedLM("7", window=2_000))
    jobs = [Job(Spec.of("niah", {}, index=index), "direct-error") for index in range(12)]
    kept, tally = go(jobs, lambda job, cost: perform_one(job, lm))
    assert (len(kept), tally.errors, tally.stopped) == (12, 0, "")
    assert {(one.status, one.strict, one.error_class) for one in kept} == {("too_long", 0.0, "empty")}
    keys = {job: one.key for job, one in zip(jobs, kept, strict=True)}
    assert list(left_to_do(jobs, kept, keys.__getitem__)) == []


def test_what_would_fail_for_every_job_is_raised_and_what_was_done_is_kept():
    kept = []

    def perform(job, cost):
        if job.spec.index == 2:
            raise LMCallError("no key", "auth")
        return row(number=job.spec.index)

    with pytest.raises(LMCallError, match="no key"):
        runner.run(JOBS, Threads(perform), kept.append, Tally(30))
    assert [one.index for one in kept] == [0, 1]
