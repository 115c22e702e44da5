"""What the project says of itself holds: its version, its README, its wheel."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
README = (ROOT / "README.md").read_text("utf-8")


def tracked() -> list[Path]:
    """The files that git knows."""
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [file for name in listed.stdout.split("\0") if name and (file := ROOT / name).is_file()]


def test_the_version_is_written_in_one_place():
    version = PYPROJECT["project"]["version"]
    sources = [file for file in tracked() if file.suffix == ".py" and "tests" not in file.parts]
    assert not [file for file in sources if f'"{version}"' in file.read_text("utf-8")]
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.search(r"^## ([\d.]+)", changelog, re.MULTILINE)[1] == version


# In pieces, so that this file does not hold what it looks for.
FORBIDDEN = [
    "pypi" + ".org",
    "python" + "hosted",
    "registry." + "npmjs",
    "/" + "work/",
    "/root" + "/.",
    "/tmp/" + "venv",
]


def test_no_file_names_a_registrys_host_or_a_place_on_somebodys_machine():
    found = {
        f"{file.relative_to(ROOT)}: {word}"
        for file in tracked()
        for word in FORBIDDEN
        if word.encode() in file.read_bytes()
    }
    assert not found


def code_in_readme(*languages: str) -> str:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    return "\n".join(code for language, code in blocks if language in languages)


def test_the_readmes_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"\bmake (\w+)", code_in_readme("bash")))
    assert {"demo", "test"} <= targets
    assert targets <= set(re.findall(r"^(\w+):", makefile, re.MULTILINE))


def test_the_readmes_verbs_exist():
    from llm.cli import cli  # with all plugins: `bench` comes from one of its own

    verbs = set(re.findall(r"\bllm rlm (\w+)", README))
    assert verbs
    assert verbs <= set(cli.commands["rlm"].commands)


def test_the_readmes_table_of_options_is_what_cog_makes_of_the_options():
    """python -m cogapp -r README.md writes it anew."""
    from llm_rlm.options import RLMOptions

    pytest.importorskip("cogapp", reason="comes with the extra dev")
    check = [sys.executable, "-m", "cogapp", "--check", "README.md"]
    subprocess.run(check, cwd=ROOT, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    listed = set(re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE))
    assert listed == set(RLMOptions.model_fields)
    assert set(re.findall(r"-o ([a-z_]+) ", README)) <= listed  # not `map -o answers.jsonl`


def test_the_readmes_python_names_what_there_is():
    import rlm_core

    code = code_in_readme("python")
    names = re.findall(r"^from rlm_core import (.*)$", code, re.MULTILINE)
    assert names
    for name in ", ".join(names).split(", "):
        assert hasattr(rlm_core, name)
    compile(code, "README.md", "exec")


def test_the_readmes_links_lead_somewhere():
    for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", README):
        assert (ROOT / link).exists(), link


def test_the_wheel_holds_every_file_of_its_packages(tmp_path):
    pytest.importorskip("hatchling", reason="comes with the extra dev")
    files = {str(file.relative_to(ROOT)) for file in tracked()}
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    packages = {
        name.partition("/")[0] for name in packed if not name.partition("/")[0].endswith(".dist-info")
    }
    assert {"rlm_core", "llm_rlm"} <= packages
    assert {name for name in files if name.partition("/")[0] in packages} <= packed
