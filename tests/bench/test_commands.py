import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bench.made import row
from click.testing import CliRunner
from processes import descendants

from rlm_bench import corpora, rows, runner, stdlib
from rlm_bench.commands import bench
from rlm_bench.setups import Setup

ROOT = Path(__file__).parents[2]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RLM_HOME", str(tmp_path / "home"))
    return tmp_path


def said(*args: str, code: int = 0):
    done = CliRunner().invoke(bench, args)
    assert done.exit_code == code, (done.output, done.exception)
    return done


def refused(*args: str) -> str:
    """The one line that a wrong use is answered by."""
    done = said(*args, code=1)
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line.removeprefix("Error: ")


def refused_after(*args: str) -> str:
    return said(*args, code=1).stderr


def test_list_names_tasks_presets_and_methods(here):
    told = said("list").stdout
    for name in ("niah", "unanswerable", "positions", "smoke", "rlm0 rlm1 rlm2", "direct-tail", "oracle"):
        assert f"  {name}" in told


def test_gen_prints_samples_that_are_the_same_every_time(here):
    one = said("gen", "niah", "-p", "size=5000", "-p", "pos=0.9", "--n", "2").stdout
    assert one == said("gen", "niah", "-p", "size=5000", "-p", "pos=0.9", "--n", "2").stdout
    samples = [json.loads(line) for line in one.splitlines()]
    assert [sample["index"] for sample in samples] == [0, 1]
    assert samples[0]["answer"] in samples[0]["context"]
    said("gen", "niah", "-o", "one.jsonl")
    assert len((here / "one.jsonl").read_text().splitlines()) == 1


def test_smoke_runs_offline_and_its_report_can_be_made_from_its_rows_alone(here):
    done = said("run", "--preset", "smoke", "--dir", "run")
    made = rows.read(here / "run")
    assert {one.status for one in made} <= {"answered", "not_found", "budget"}
    assert {one.strict for one in made if one.method == "oracle"} == {1.0}
    assert {one.strict for one in made if one.method == "empty" and not one.unanswerable} == {0.0}
    assert any(one.strict for one in made if one.method == "rlm0")
    assert "oracle" in done.stdout
    assert "100%" in done.stdout
    config = rows.config(here / "run")
    assert config["models"] == ["scripted", "scripted"]
    assert config["versions"]["llm-rlm"]
    (here / "elsewhere").mkdir()
    (here / "run" / rows.SAMPLES).rename(here / "elsewhere" / rows.SAMPLES)
    said("report", "elsewhere")
    assert "| oracle |" in (here / "elsewhere" / "report.md").read_text()
    assert "<svg" in (here / "elsewhere" / "report.html").read_text()
    assert "have no sample" not in said("compare", "elsewhere", "elsewhere/samples.jsonl").stdout


def test_on_ray_the_rows_are_the_same(here):
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'llm-rlm[ray]'")
    what = ("--task", "niah", "--task", "shapes", "--n", "2", "--method", "rlm0", "--method", "rag")
    said("run", *what, "--dir", "threads")
    said("run", *what, "--dir", "ray", "--ray", "local")

    def made(folder):
        own = {"run", "wall_s", "ttfa_s"}
        lines = (json.loads(one.line()) for one in rows.read(here / folder))
        return {line["key"]: {name: line[name] for name in line.keys() - own} for line in lines}

    assert len(made("threads")) == 8
    assert made("threads") == made("ray")


def test_a_cluster_that_is_not_there_is_said(here):
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'llm-rlm[ray]'")
    told = refused("run", "--task", "niah", "--dir", "run", "--ray", "127.0.0.1:9")
    assert told.startswith("no Ray cluster at 127.0.0.1:9")
    assert not (here / "run").exists()


def test_a_run_that_is_whole_has_nothing_left_to_do(here):
    said("run", "--task", "niah", "--method", "oracle", "--n", "3", "--dir", "run")
    before = (here / "run" / rows.SAMPLES).read_text()
    assert "0 samples to do, 3 done" in said("run", "--resume", "run").stderr
    assert (here / "run" / rows.SAMPLES).read_text() == before


def test_a_dry_run_says_what_would_be_sent_and_sends_and_writes_nothing(here):
    told = said(
        "run", "--task", "niah", "-p", "size=100000", "--n", "4", "--method", "direct", "--method", "oracle",
        "--method", "chunked", "--method", "rlm1", "--dry-run",
    ).stdout  # fmt: skip
    assert "4 samples, 16 answers" in told
    assert "direct" in told
    assert "100,0" in told or "100,1" in told or "99,9" in told  # four times 25,000 tokens
    assert "no model" in told
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["run"], "say what to run: --preset smoke, or --task niah"),
        (["run", "--preset", "smok"], "no preset 'smok': there are smoke, quick"),
        (["run", "--preset", "smoke", "--task", "niah"], "give one of --preset, --task and --questions"),
        (["run", "--preset", "smoke", "-p", "size=1"], "-p, --corpus and --tokens are for --task"),
        (["run", "--preset", "smoke", "--tokens", "5000"], "-p, --corpus and --tokens are for --task"),
        (["run", "--task", "niah", "--tokens", "5000", "-p", "size=1"], "give --tokens or -p size="),
        (["run", "--task", "nia"], "no task 'nia': the tasks are niah"),
        (["run", "--task", "niah", "-p", "depth=1"], "task niah has no parameter depth"),
        (["run", "--task", "niah", "-p", "pos"], "-p pos: write NAME=VALUE"),
        (["run", "--task", "niah", "-p", "pos=2"], "pos=2: must be a share from 0 to 1"),
        (["run", "--task", "niah", "--method", "rlm9"], "no method 'rlm9': there are direct"),
        (["run", "--task", "niah", "-m", "lokal"], "there is no model 'lokal': did you mean local"),
        (["run", "--task", "niah", "--strategy", "none.json"], "no strategy or strategy file 'none.json'"),
        (["run", "--task", "niah", "-m", "scripted", "-o", "n", "1"], "scripted takes no options"),
        (["run", "--task", "niah", "--corpus", ".", "-p", "haystack=docs"], "give --corpus or -p haystack="),
        (["gen", "nia"], "no task 'nia'"),
        (["gen", "niah", "-p", "pos=[1]"], "pos=[1]: must be a number, a text, true, false or null"),
        (["gen", "niah", "-p", "pos=cut:²"], "pos='cut:²': must be a share"),
        (["gen", "codeqa", "-p", "src=5"], "5 holds no Python files"),
        (["gen", "unanswerable", "-p", "told=maybe"], "told='maybe': must be true or false"),
        (["gen", "vt", "-p", "chains=10001", "-p", "hops=1", "-p", "size=1000000"], "at most 10000"),
        (["gen", "vt", "-p", "chains=9999", "-p", "size=100000"], "9999 chains of 4 hops need"),
        (["gen", "multihop", "-p", "people=40000", "-p", "size=10000000"], "29400 people at most"),
        (["gen", "count", "-p", "many=90000", "-p", "kind=distinct"], "29400 people at most"),
        (["gen", "count", "-p", "many=90000", "-p", "kind=sum"], "many=90000: must be at most 9990"),
        (["gen", "multihop", "-p", "kind=state", "-p", "moves=1000000000"], "must be at most 454"),
        (["gen", "decoys", "-p", "kind=near_key", "-p", "count=1500", "-p", "size=1000000"], "ask for fewer"),
        (["gen", "decoys", "-p", "kind=stale", "-p", "count=1500", "-p", "size=1000000"], "at most 1399"),
        (["gen", "structured", "-p", "records=1000000"], "records=1000000: must be at most 900000"),
        (["gen", "oolong_like", "-p", "users=95"], "users=95: must be at most 94"),
        (["check", "questions"], "questions of your own are checked as they are read"),
        (["run", "--task", "questions"], "questions are those of a file: --questions FILE"),
        (["report", "."], "there is no samples.jsonl"),
        (["gen", "niah", "-o", "none/a.jsonl"], "none/a.jsonl: No such file or directory"),
        (
            ["run", "--task", "niah", "--method", "oracle", "--dir", "/dev/null/a"],
            "/dev/null/a: Not a directory",
        ),
    ],
)
def test_wrong_uses_are_one_line_that_says_what_to_do(here, args, line):
    assert line in refused(*args)


def test_the_defaults_that_list_shows_are_what_may_be_given(here):
    line = re.search(r"^  unanswerable .*", said("list").stdout, re.M)[0]
    assert "told=true" in line
    plain = json.loads(said("gen", "unanswerable").stdout)
    shown = [part for one in line.split()[1:] for part in ("-p", one)]
    assert json.loads(said("gen", "unanswerable", *shown).stdout) == plain
    for no in ("false", "False"):
        untold = json.loads(said("gen", "unanswerable", "-p", f"told={no}").stdout)
        assert "NOT_FOUND" not in untold["query"]
    assert json.loads(said("gen", "count", "-p", "many=None").stdout)["params"]["many"] is None


def test_a_file_is_written_over_only_where_there_is_a_sample(here):
    (here / "a.jsonl").write_text("precious")
    refused("gen", "nia", "-o", "a.jsonl")
    assert "0 is not in the range" in said("gen", "niah", "--n", "0", "-o", "a.jsonl", code=2).stderr
    assert (here / "a.jsonl").read_text() == "precious"


def test_a_task_that_is_named_twice_is_run_once(here):
    said("run", "--task", "niah", "--task", "niah", "--method", "oracle", "--dir", "run")
    assert len(rows.read(here / "run")) == 1


@pytest.mark.parametrize("task", ["pairs", "oolong_like", "shapes", "unanswerable"])
def test_what_gen_writes_can_be_asked_as_questions_of_ones_own(here, task):
    said("gen", task, "--n", "5", "-o", "own.jsonl")
    said("run", "--questions", "own.jsonl", "--method", "oracle", "--method", "empty", "--dir", "run")
    made = rows.read(here / "run")
    assert {(one.method, one.strict) for one in made} == {("oracle", 1.0), ("empty", 0.0)}
    own = [json.loads(line) for line in (here / "own.jsonl").read_text().splitlines()]
    assert {(one.index, one.context_sha256) for one in made} == {
        (index, one["context_sha256"]) for index, one in enumerate(own)
    }


def test_a_run_is_never_written_over_and_goes_on_with_its_own_options(here):
    said("run", "--task", "niah", "--method", "oracle", "--dir", "run")
    assert "run holds a run already: --resume run" in refused(
        "run", "--task", "niah", "--method", "empty", "--dir", "run"
    )
    assert "leave out --n" in refused("run", "--resume", "run", "--n", "3")


@pytest.mark.parametrize("config", ["[]", "{}", '{"given": {"preset": "smoke"}}', '{"given": {"model": 5}}'])
def test_a_config_that_no_run_wrote_is_said(here, config):
    (here / "run").mkdir()
    (here / "run" / rows.CONFIG).write_text(config)
    assert "config.json" in refused("run", "--resume", "run")


def test_a_report_shows_what_utf_8_cannot_hold_as_its_escape(here):
    half = dataclasses.replace(row(right=None), reason="no \ud800", params={"x": "\ud800"}, model="\ud800")
    (here / rows.SAMPLES).write_text(half.line() + "\n")
    said("report", ".")
    assert "no ?" in (here / "report.md").read_text("utf-8")


def test_sizes_may_be_given_in_tokens_and_texts_as_a_folder(here):
    (here / "texts").mkdir()
    (here / "texts" / "a.txt").write_text("".join(f"Line {number} of a book.\n" for number in range(900)))
    said(
        "run", "--task", "niah", "--corpus", "texts", "--tokens", "4000", "--method", "oracle", "--dir", "run"
    )  # fmt: skip
    (made,) = rows.read(here / "run")
    assert abs(made.est_tokens - 4_000) < 60
    assert made.params["haystack"].startswith("corpus:/")
    assert "0 samples to do, 1 done" in said("run", "--resume", "run").stderr
    sample = json.loads(said("gen", "niah", "--corpus", "texts").stdout)
    assert "of a book." in sample["context"]


def test_a_folder_of_texts_is_the_one_that_the_run_began_with(here):
    for folder in ("texts", "code"):
        (here / folder).mkdir()
    (here / "texts" / "a.txt").write_text("".join(f"Line {number} of a book.\n" for number in range(900)))
    (here / "code" / "a.py").write_text(
        "".join(f"NAME_{n} = {n}00\ndef f{n}():\n    pass\n" for n in range(99))
    )
    said("run", "--task", "niah", "--corpus", "texts", "--method", "oracle", "--dir", "run")
    said("run", "--task", "codeqa", "-p", "src=code", "-p", "question=constant_value", "--method", "oracle",
         "--dir", "other")  # fmt: skip
    before = [rows.read(here / folder)[0].params for folder in ("run", "other")]
    assert "0 samples to do, 1 done" in said("run", "--resume", "run").stderr
    for file in ("texts/a.txt", "code/a.py"):
        with (here / file).open("a") as text:
            text.write("# More.\n")
    for kept in (corpora.pieces, stdlib.files, runner._generated):  # as in a process of its own
        kept.cache_clear()
    assert "texts was changed since this run began: start another" in refused("run", "--resume", "run")
    assert "code was changed since this run began: start another" in refused("run", "--resume", "other")
    said("run", "--task", "niah", "--corpus", "texts", "--method", "oracle", "--dir", "again")
    after = rows.read(here / "again")[0].params
    assert before[0]["haystack"].rpartition("@")[0] == after["haystack"].rpartition("@")[0]
    assert before[0] != after
    assert before[1]["src"].startswith(f"{here / 'code'}@")


def test_code_of_the_library_is_that_of_the_python_that_the_run_began_with(here):
    for task, resumes in (("codeqa", False), ("niah", True)):
        said("run", "--task", task, "--method", "oracle", "--dir", task)
        config = json.loads((here / task / rows.CONFIG).read_text())
        (here / task / rows.CONFIG).write_text(json.dumps({**config, "python": "3.9.1"}))
        if resumes:
            said("run", "--resume", task)
        else:
            assert "began with Python 3.9.1: go on with that one" in refused("run", "--resume", task)


def test_what_failed_tries_took_is_not_forgotten_when_a_run_goes_on(here):
    said("run", "--task", "niah", "--n", "2", "--method", "oracle", "--dir", "run")
    done, last = rows.read(here / "run")
    tries = [dataclasses.replace(last, status="error", score=None, cost_usd=0.4) for _ in range(3)]
    lines = "".join(f"{one.line()}\n" for one in (done, *tries))
    (here / "run" / rows.SAMPLES).write_text(lines)
    told = refused_after("run", "--resume", "run", "--max-cost", "1", "--concurrency", "2")
    again = "llm rlm bench run --resume run --concurrency 2 --max-cost DOLLARS"
    assert f"stopped: $1 is spent. Go on: {again}" in told
    assert "$1.2 were spent, more than --max-cost" in told
    assert (here / "run" / rows.SAMPLES).read_text() == lines
    said("run", "--resume", "run", "--max-cost", "2")
    assert [one.status for one in rows.read(here / "run")] == ["answered", "answered"]


def test_that_no_price_is_known_is_said_before_anything_is_sent(here, capsys):
    what = ("--task", "niah", "--method", "oracle", "-m", "local", "--max-cost", "1", "--dir", "run")
    assert "price" not in said("run", *what).stderr  # as no model is asked
    Setup.begun(here / "run").say_unpriced()
    assert "No price of local is known, so --max-cost cannot be held: give it in" in capsys.readouterr().err


def test_several_inputs_are_read_as_one_in_which_nothing_counts_twice(here):
    said("run", "--task", "niah", "--n", "3", "--method", "oracle", "--dir", "run")
    said("run", "--task", "niah", "--n", "2", "--method", "empty", "--dir", "other")
    shutil.copytree(here / "run", here / "copy")
    with (here / "copy" / rows.SAMPLES).open("a") as file:  # an error after an answer is no answer's end
        late = dataclasses.replace(rows.read(here / "run")[0], status="error", score=None)
        file.write(late.line() + "\n")
    said("report", "run", "copy", "other", "-o", "both")
    told = (here / "both" / "report.md").read_text()
    assert "3 samples of 1 tasks over 3 contexts, 5 answers" in told
    assert "| oracle | 100% [44, 100] | 3 |" in told


def test_questions_of_ones_own_are_run_like_a_task(here):
    (here / "book.txt").write_text("Call me Ishmael. " * 500)
    rows_ = [
        {"path": "book.txt", "query": "Who?", "answer": "Ishmael"},
        {"context": "Nothing is said here.", "query": "Who?", "answer": None},
        {"context": ["a 7", "b 5"], "query": "Which numbers?", "answer": ["7", "5"], "scorer": "set"},
    ]
    (here / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows_))
    both = ("--method", "oracle", "--method", "empty", "--concurrency", "1")
    told = said("run", "--questions", "own.jsonl", *both, "--dir", "run")
    made = rows.read(here / "run")
    assert [(one.method, one.strict) for one in made] == [("oracle", 1.0), ("empty", 0.0)] * 3
    assert len({one.key for one in made}) == 6
    assert {one.task for one in made} == {"questions"}
    assert "oracle" in told.stdout
    assert "0 samples to do, 6 done" in said("run", "--resume", "run").stderr
    assert (
        "3 samples, 3 answers"
        in said("run", "--questions", "own.jsonl", "--method", "oracle", "--dry-run").stdout
    )
    (here / "own.jsonl").write_text(json.dumps(rows_[0]))
    assert "own.jsonl, or a text that it names, was changed since this run began" in refused(
        "run", "--resume", "run"
    )
    (here / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows_))
    assert "0 samples to do" in said("run", "--resume", "run").stderr
    (here / "book.txt").write_text("Call me Ahab. Call me Ishmael. " * 300)
    assert "own.jsonl, or a text that it names, was changed since this run began" in refused(
        "run", "--resume", "run"
    )


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"context": "c", "query": "q"}', "line 1: needs an answer"),
        (
            '{"context": "c", "query": "q", "answer": "red", "scorer": "number"}',
            "question 1: by the scorer number",
        ),
        (
            '{"context": "c", "query": "q", "answer": "red", "scorer": "choice"}',
            "question 1: by the scorer choice",
        ),
    ],
)
def test_a_question_that_makes_no_sense_is_told_before_anything_is_sent(here, line, told):
    (here / "own.jsonl").write_text(line)
    assert told in refused("run", "--questions", "own.jsonl", "--method", "oracle")
    assert sorted(path.name for path in here.iterdir()) == ["own.jsonl"]


def test_an_unanswerable_question_never_comes_without_its_twin(here):
    said("run", "--task", "unanswerable", "--method", "oracle", "--dir", "run")
    one, other = rows.read(here / "run")
    assert one.query == other.query
    assert one.unanswerable != other.unanswerable
    assert one.cluster == other.cluster


SLOW = ["run", "--task", "niah", "--n", "12", "--method", "rlm0", "--dir", "run"]


def started(folder: Path, *args: str) -> subprocess.Popen[str]:
    env = os.environ | {"PYTHONPATH": str(ROOT), "RLM_HOME": str(folder / "home")}
    command = [sys.executable, "-m", "rlm_bench", *args]
    return subprocess.Popen(
        command,
        cwd=folder,
        env=env,
        text=True,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )


def lines(folder: Path, least: int, process: subprocess.Popen[str]) -> bytes:
    """The run's rows, once there are so many whole ones."""
    file = folder / "run" / rows.SAMPLES
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        told = file.read_bytes() if file.exists() else b""
        if told.count(b"\n") >= least:
            return told
        time.sleep(0.01)
    raise AssertionError((process.poll(), process.communicate()))


def test_a_run_that_is_killed_loses_no_more_than_the_sample_in_flight(tmp_path):
    process = started(tmp_path, *SLOW, "--concurrency", "1")
    seen = lines(tmp_path, 2, process)
    process.kill()
    process.communicate()
    left = (tmp_path / "run" / rows.SAMPLES).read_bytes()
    assert left.startswith(seen)
    whole = left[: left.rfind(b"\n") + 1]
    (tmp_path / "run" / rows.SAMPLES).write_bytes(whole + b'{"key": "cut off he')  # as a kill in a write
    done = started(tmp_path, "run", "--resume", "run")
    _, told = done.communicate(timeout=120)
    assert done.returncode == 0, told
    count = whole.count(b"\n")
    assert f"{12 - count} samples to do, {count} done" in told
    after = (tmp_path / "run" / rows.SAMPLES).read_bytes()
    assert after.startswith(whole)
    keys = [json.loads(line)["key"] for line in after.splitlines()]
    assert len(keys) == len(set(keys)) == 12


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_ctrl_c_keeps_what_was_done_says_how_to_go_on_and_leaves_no_process(tmp_path):
    process = started(tmp_path, *SLOW, "--max-cost", "2.5")
    lines(tmp_path, 1, process)
    below = descendants(process.pid)
    assert below  # the sandbox's
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "run --resume run --max-cost 2.5" in told
    assert "Traceback" not in told
    deadline = time.monotonic() + 10  # what ends with its parent may take a moment
    while left := [one for one in below if Path(f"/proc/{one}").exists()]:
        assert time.monotonic() < deadline, left
        time.sleep(0.02)


def test_llm_has_the_group_and_loads_it_only_when_it_is_asked_for(tmp_path):
    code = """
import sys
from click.testing import CliRunner
from llm.cli import cli
heavy = {"rlm_bench.commands", "rlm_bench.tasks", "rlm_bench.runner", "rlm_core.loop"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
assert "bench" in CliRunner().invoke(cli, ["rlm", "--help"]).output
assert "rlm_bench.runner" not in sys.modules
done = CliRunner().invoke(cli, ["rlm", "bench", "--help"])
assert "compare" in done.output and "rlm_bench.commands" in sys.modules
print(CliRunner().invoke(cli, ["rlm", "bench", "gen", "niah"]).output[:6])
"""
    env = os.environ | {"LLM_USER_PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, cwd=ROOT)
    assert done.stdout.strip() == '{"id":', done.stderr
