"""Who may import whom, and what an import may cost.  Costs are counted in modules, which does not wobble."""

import ast
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MAY_NOT_IMPORT = {
    "rlm_core": {"llm", "llm_rlm", "dspy", "dspy_rlm", "rlm_bench"},
    "llm_rlm": {"dspy", "dspy_rlm", "rlm_bench"},
    "dspy_rlm": {"llm", "llm_rlm", "rlm_bench"},
    "rlm_bench": set(),
}
PACKAGES = [name for name in MAY_NOT_IMPORT if (ROOT / name / "__init__.py").exists()]
OURS = {*MAY_NOT_IMPORT}


def imported(file: Path) -> set[str]:
    """The top-level names of all modules that a source file imports, within functions too."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"), file)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            names |= {arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant)}
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_run_one_way(package):
    wrong = {
        str(file.relative_to(ROOT)): bad
        for file in (ROOT / package).rglob("*.py")
        if (bad := imported(file) & MAY_NOT_IMPORT[package])
    }
    assert not wrong


def test_imports_within_functions_and_by_name_are_seen(tmp_path):
    source = tmp_path / "m.py"
    source.write_text("def f():\n    import dspy.primitives\n    importlib.import_module('llm.models')\n")
    assert imported(source) == {"dspy", "llm"}


def loaded(first: str, then: str) -> set[str]:
    """The modules that a new interpreter loads for the statements `then`, beyond those for `first`."""
    code = f"""
import json, sys
{first}
before = set(sys.modules)
{then}
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(json.loads(done.stdout.splitlines()[-1]))


def third_party(modules: set[str]) -> set[str]:
    tops = {name.partition(".")[0] for name in modules}
    return {name for name in tops - OURS - sys.stdlib_module_names if not name.startswith("_")}


@pytest.mark.parametrize("package", PACKAGES)
def test_what_a_package_loads_keeps_the_rules(package):
    if package == "dspy_rlm" and not any(metadata.packages_distributions().get("dspy", ())):
        pytest.skip("DSPy is not installed")
    tops = {name.partition(".")[0] for name in loaded("", f"import {package}")}
    assert package in tops
    assert not tops & MAY_NOT_IMPORT[package]


def test_importing_the_core_is_cheap():
    modules = loaded("", "import rlm_core")
    assert third_party(modules) == set()
    # The dear ones of the standard library: who goes async, or reads archives, pays for it then.
    assert not modules & {"asyncio", "ssl", "http.client", "sqlite3", "tarfile", "xml.etree.ElementTree"}
    assert len(modules) < 120


def test_the_plugin_adds_next_to_nothing_to_the_start_of_llm():
    modules = loaded("import llm", "import llm_rlm")
    assert third_party(modules) == set()
    assert len(modules) <= 3


def test_the_benchmark_adds_next_to_nothing_to_the_start_of_llm():
    modules = loaded("import llm, llm_rlm", "import rlm_bench.plugin")
    assert third_party(modules) == set()
    assert modules == {"rlm_bench", "rlm_bench.plugin"}


def test_the_benchmark_brings_neither_llm_nor_dspy_before_a_method_needs_them():
    tops = {name.partition(".")[0] for name in loaded("", "import rlm_bench.runner, rlm_bench.page")}
    assert not tops & {"llm", "llm_rlm", "dspy", "dspy_rlm", "rlm"}


def test_registering_models_loads_no_runtime():
    """What llm runs at every start, whatever the command."""
    hooks = "llm_rlm.register_models(lambda *models, aliases=(): None, [])"
    modules = loaded("import llm, llm_rlm, llm.default_plugins.openai_models", hooks)
    assert third_party(modules) == set()
    assert "rlm_core.loop" not in modules
