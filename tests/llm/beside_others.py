"""llm with the plugins of others, first without us and then with us: what worked before answers as before,
and every twin is there.

    python tests/llm/beside_others.py            # the newest llm
    python tests/llm/beside_others.py 0.32       # another one

Needs Python's venv module, git and a package index that pip reaches; takes a minute or two.  It is no test of
`make test`, since it installs the plugins of others into a virtual environment of its own.  No key is needed
and nothing is sent to anybody: the one model that is really called, of llm-groq, which walks
`conversation.responses`, finds a loopback server in the place of its own.  Exits with 1 where anything
differs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from scripts import FIND, SUBMIT, TEXT  # noqa: E402
from stub_server import StubServer  # noqa: E402

PLUGINS = (
    "llm-echo",
    "llm-openrouter",
    "llm-gemini",
    "llm-anthropic",
    "llm-mistral",
    "llm-groq",
    "llm-fragments-github",
)

# Names of every shape, with aliases, sync and async, and two that look like ours.
FAKES = """
import llm

NAMES = [
    "plain", "UPPER", "dotted-4.7", "vendor/model", "a/b/c", "tagged:free", "vendor/m-7b:latest",
    "under_score", "with space", "@cf/meta/llama", "ünïcode", "9-digits", "rlx", "x-rlm-y", "rlm-of-theirs",
    "local-llama",
    "very-" + "long-" * 20 + "name", "k=v", "q", "one-more",
]

class Fake(llm.Model):
    can_stream = True
    def __init__(self, name): self.model_id = name
    def execute(self, prompt, stream, response, conversation):
        before = len(conversation.responses) if conversation else 0
        yield f"{self.model_id} got {prompt.prompt!r} after {before}"

class AsyncFake(llm.AsyncModel):
    can_stream = True
    def __init__(self, name): self.model_id = name
    async def execute(self, prompt, stream, response, conversation):
        yield f"{self.model_id} got {prompt.prompt!r}, async"

@llm.hookimpl
def register_models(register):
    for number, name in enumerate(NAMES):
        aliases = (f"alias-{number}", f"al.{number}/x")
        register(Fake(name), AsyncFake(name) if number % 2 else None, aliases=aliases)

@llm.hookimpl
def register_template_loaders(register):
    register("fake", lambda name: llm.Template(name=name, model="plain", prompt="Templated $input"))
"""

COMMANDS: list[tuple[list[str], str]] = [
    (["models"], ""),
    (["models", "list", "--options"], ""),
    (["models", "--json"], ""),
    (["models", "--async"], ""),
    (["models", "--schemas"], ""),
    (["models", "--tools"], ""),
    *(
        (["models", "-q", query], "")
        for query in ("claude", "fake", "plain", "4", "o", "gemini", "local", "r")
    ),
    (["models", "-q", "groq", "-q", "llama"], ""),
    (["models", "-m", "plain", "-m", "al.3/x"], ""),
    (["aliases"], ""),
    (["aliases", "--json"], ""),
    (["aliases", "set", "mine", "vendor/model"], ""),
    (["-m", "mine", "by an alias of the user's"], ""),
    (["aliases", "remove", "mine"], ""),
    (["aliases", "set", "picked", "-q", "vendor", "-q", "7b"], ""),
    (["-m", "picked", "by an alias set by a query"], ""),
    (["tools"], ""),
    (["templates", "loaders"], ""),
    (["plugins"], ""),
    (["keys"], ""),
    *(
        (["-m", name, "hello"], "")
        for name in ("plain", "vendor/m-7b:latest", "alias-7", "rlm-of-theirs", "x-rlm-y")
    ),
    (["-m", "nosuch", "hello"], ""),
    (["-q", "vendor", "-q", "m", "hello"], ""),
    *((["-q", query, "hello"], "") for query in ("r", "l", "m", "rlm", "4.7", "nosuch")),
    (["-q", "lo", "-q", "al", "hello"], ""),
    (["-m", "UPPER", "piped"], "stdin"),
    (["-m", "UPPER", "--async", "hello"], ""),
    (["-m", "plain", "--async", "has no async version"], ""),
    (["-m", "echo", "-s", "system", "hello", "-o", "example_bool", "true"], ""),
    (["-m", "echo", "-o", "max_depth", "2", "hello"], ""),
    (["-m", "plain", "first"], ""),
    (["-c", "second"], ""),
    (["-c", "-m", "vendor/model", "third, of another model"], ""),
    (["chat", "-m", "plain"], "one\ntwo\nquit\n"),
    (["chat", "-m", "nosuch"], ""),
    (["-t", "fake:any", "input"], ""),
    (["-t", "fake:any", "-m", "UPPER"], "by stdin"),
    (["-m", "plain", "a template: $input", "--save", "kept"], ""),
    (["-t", "kept", "now"], ""),
    (["templates"], ""),
    (["models", "default", "q"], ""),
    (["by the default"], ""),
    (["models", "default"], ""),
    (["models", "options", "set", "echo", "example_bool", "true"], ""),
    (["models", "options"], ""),
    (["-m", "echo", "with a stored option"], ""),
    (["schemas"], ""),
    (["logs", "-n", "3", "-s"], ""),
    (["-m", "plain", "-f", "github:someone/something", "a folder of fragments"], ""),
    (["-m", "groq/fake-llama", "What is the magic word?"], ""),
]
OURS = {
    "Local: local",
    "Local: local-1.5b",
    "OpenAI Chat: glm-4.7",
    "RLM: rlm (any model as rlm-MODEL, for texts of any length: llm models -q rlm)",
}  # what we add to the bare list of models

EVERY_TWIN = """
import json, llm
told = []
pairs = llm.get_models_with_aliases()
from llm_rlm.family import is_twin
for pair in pairs:
    name = pair.model.model_id
    if is_twin(pair.model):
        continue
    for each in (name, *pair.aliases):
        twin = llm.get_model("rlm-" + each)
        assert twin.model_id == "rlm-" + name, each
        assert twin.base.model_id == name, each
        assert llm.get_async_model("rlm-" + each).model_id == "rlm-" + name
    fields = twin.Options.model_fields
    missing = set(pair.model.Options.model_fields) - set(fields)
    assert not missing, missing
    report = twin.prompt("How many lines?", fragments=["one line\\n" * 1000], dry_run=True).text()
    assert "Nothing was sent." in report, report
    told.append(name)
print(len(told))
"""


IN_ONE_PROCESS = """
import json, sys
from click.testing import CliRunner
from llm.cli import cli
told = []
for arguments, text in json.load(sys.stdin):
    done = CliRunner().invoke(cli, arguments, input=text)
    told.append((done.exit_code, done.stdout, done.stderr + repr(done.exception or "")))
json.dump(told, sys.stdout)
"""


class Bench:
    """An environment with the plugins, a home for llm, and a repository in the place of GitHub's."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.python = folder / "venv" / "bin" / "python"
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "RLM_HOME": str(folder / "rlm"),
            "OPENROUTER_KEY": "none",
            "GROQ_API_KEY": "none",
            "NO_PROXY": "*",
            # GitHub is a repository on this machine
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.file://{folder}/repository.insteadOf",
            "GIT_CONFIG_VALUE_0": "https://github.com/someone/something.git",
        }

    def install(self, *what: str) -> None:
        pip = [str(self.python), "-m", "pip", "--disable-pip-version-check", "-q", "install"]
        subprocess.run([*pip, *what], check=True)

    def make(self, llm_version: str) -> None:
        subprocess.run([sys.executable, "-m", "venv", str(self.folder / "venv")], check=True)
        self.install(f"llm=={llm_version}" if llm_version else "llm", *PLUGINS)
        (site,) = (self.folder / "venv" / "lib").glob("python*/site-packages")
        (site / "llm_fakes.py").write_text(FAKES, "utf-8")
        told = site / "llm_fakes-1.dist-info"
        told.mkdir()
        (told / "METADATA").write_text("Metadata-Version: 2.1\nName: llm-fakes\nVersion: 1\n")
        (told / "entry_points.txt").write_text("[llm]\nfakes = llm_fakes\n")
        self._repository()

    def _repository(self) -> None:
        there = self.folder / "repository"
        there.mkdir()
        (there / "a.txt").write_text(TEXT)
        (there / "b.txt").write_text("another file\n")
        git = ["git", "-C", str(there), "-c", "user.name=a", "-c", "user.email=a@localhost"]
        for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
            subprocess.run([*git, *command], check=True)

    def home(self, name: str) -> None:
        """A fresh home for llm, with the lists of models that these plugins else fetch."""
        user = self.folder / name
        user.mkdir()
        router = {
            "id": "vendor/routed-1:free",
            "architecture": {"modality": "text->text"},
            "supported_parameters": [],
        }
        (user / "openrouter_models.json").write_text(json.dumps({"data": [router]}))
        (user / "groq_models.json").write_text(json.dumps({"models": [{"id": "fake-llama"}]}))
        self.env["LLM_USER_PATH"] = str(user)

    def llm(self, *arguments: str, input: str = "") -> tuple[int, str, str]:
        done = subprocess.run(
            [str(self.python), "-m", "llm", *arguments],
            input=input,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return done.returncode, done.stdout, done.stderr

    def all(self) -> list[tuple[int, str, str]]:
        """What all COMMANDS tell, run one after the other in one process, since most of the time would go
        into starting llm."""
        done = subprocess.run(
            [str(self.python), "-c", IN_ONE_PROCESS],
            input=json.dumps(COMMANDS),
            env=self.env,
            capture_output=True,
            text=True,
            check=True,
        )
        return [tuple(told) for told in json.loads(done.stdout)]


def without_ours(arguments: list[str], output: str) -> Any:
    """What a command told, less what it should tell of us."""
    if arguments == ["plugins"]:
        return sorted(plugin["name"] for plugin in json.loads(output) if plugin["name"] != "llm-rlm")
    if arguments[0] == "models" and "--json" in arguments:
        ids = {line.split(": ")[1].split(" (")[0] for line in OURS}
        return [model for model in json.loads(output) if model["model_id"] not in ids]
    if arguments[0] == "models":
        kept, ours = [], False
        for line in output.splitlines():
            ours = line in OURS or (ours and line.startswith(" "))  # with its options
            if not ours:
                kept.append(line)
        return kept
    return output


def compare(before: list[tuple[int, str, str]], after: list[tuple[int, str, str]]) -> int:
    wrong = 0
    for (arguments, _), was, is_ in zip(COMMANDS, before, after, strict=True):
        same = (was[0], without_ours(arguments, was[1]), was[2]) == (
            is_[0],
            without_ours(arguments, is_[1]),
            is_[2],
        )
        if arguments[0] == "logs":  # ids and times
            same = was[0] == is_[0] and len(was[1].splitlines()) == len(is_[1].splitlines())
        if not same:
            wrong += 1
            print(f"DIFFERS: llm {' '.join(arguments)}\n--- without us {was}\n--- with us {is_}")
    return wrong


REPLIES = (FIND, "```repl\nprint(len(context))\n```", SUBMIT)
TURNS = [list("su"), list("suau"), list("suauau")]  # system, user, assistant, as the server should see them
RUNS = [
    ([], TEXT),
    (["--async"], TEXT),
    (["--no-stream"], TEXT),
    (["--key", "given"], TEXT),
    (["-f", "github:someone/something"], ""),
]


def served(body: dict[str, Any]) -> str:
    turn = sum(message["role"] == "assistant" for message in body["messages"])
    return REPLIES[turn] if body["messages"][0]["role"] == "system" else "from the server"


def main() -> int:
    version = sys.argv[1] if len(sys.argv) > 1 else ""
    wrong = 0
    with tempfile.TemporaryDirectory() as folder, StubServer(served) as server:
        bench = Bench(Path(folder))
        bench.env["GROQ_BASE_URL"] = server.url.removesuffix("/v1")
        bench.make(version)
        bench.home("before")
        before = bench.all()
        bench.install(str(ROOT))
        bench.home("after")
        after = bench.all()
        wrong += compare(before, after)
        version = bench.llm("--version")[1].strip()
        print(f"{version}: {len(COMMANDS)} commands, of which {wrong} answer otherwise than without us")
        twins = subprocess.run(
            [str(bench.python), "-c", EVERY_TWIN], env=bench.env, capture_output=True, text=True
        )
        wrong += twins.returncode != 0
        print(f"twins that resolve: {twins.stdout.strip() or twins.stderr}")
        for arguments, input in RUNS:
            del server.requests[:]
            code, answer, told = bench.llm("-m", "rlm-groq/fake-llama", *arguments, "Word?", input=input)
            chats = [[message["role"][0] for message in request.messages] for request in server.requests]
            keys = {request.headers["authorization"] for request in server.requests}
            key = "Bearer given" if "--key" in arguments else "Bearer none"
            seen = (code, answer, chats, keys)
            right = seen == (0, "xyzzy\n", TURNS, {key})
            wrong += not right
            told = "right" if right else f"WRONG: {seen} {told}"
            print(f"three turns, {' '.join(arguments) or 'sync'}: {told}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
