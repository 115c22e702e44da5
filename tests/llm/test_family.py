"""The rlm- family: there when it is asked for, out of the way when it is not."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
import llm
import pytest
from llm.plugins import pm

import llm_rlm
from llm_rlm import family


def ids() -> set[str]:
    return {model.model_id for model in llm.get_models()}


# ---- registered


def test_every_model_and_every_alias_has_a_twin(scripted: Any) -> None:
    scripted("base", "hi", aliases=["short", "b"])
    assert llm.get_model("rlm-base").model_id == "rlm-base"
    assert llm.get_model("rlm-short") is not None
    assert llm.get_model("rlm-b").base is not None
    assert llm.get_async_model("rlm-short").model_id == "rlm-base"
    plain = {model.model_id for model in llm.get_models() if not family.is_twin(model)}
    assert plain
    assert {f"rlm-{model_id}" for model_id in plain} | {"rlm"} | plain == ids()


def test_aliases_of_the_users_own(cli: Any, scripted: Any) -> None:
    scripted("base", "hi")
    assert cli("aliases", "set", "mine", "base").exit_code == 0
    assert cli("aliases", "set", "deep", "rlm-base").exit_code == 0
    assert llm.get_model("rlm-mine").model_id == "rlm-base"
    assert llm.get_model("deep").model_id == "rlm-base"


@pytest.mark.parametrize("order", ["before", "after"])
def test_plugins_that_load_before_and_after_us(order: str, plugin: Any, scripted: Any) -> None:
    scripted("base", "hi")
    if order == "after":
        pm.unregister(plugin)
        pm.register(plugin, "loaded again")
    else:
        name = pm.get_name(llm_rlm)
        pm.unregister(llm_rlm)
        pm.register(llm_rlm, name)
    assert "rlm-base" in ids()


def test_an_async_model_that_another_plugin_fills_in_later(plugin: Any, scripted: Any) -> None:
    scripted("base", "hi")
    model, async_model, _ = plugin.models.pop()
    plugin.add(model, None)
    pairs = llm.get_models_with_aliases()
    twin = next(pair.async_model for pair in pairs if pair.model.model_id == "rlm-base")
    next(pair for pair in pairs if pair.model.model_id == "base").async_model = async_model
    assert twin.pair.async_model is async_model


def test_a_twin_is_like_its_base(plugin: Any, scripted: Any) -> None:
    scripted("base", "hi")
    base = plugin.models[0][0]
    base.needs_key, base.key_env_var, base.attachment_types = "some", "SOME_KEY", {"image/png"}
    twin = llm.get_model("rlm-base")
    assert (twin.needs_key, twin.key_env_var) == ("some", "SOME_KEY")
    assert sorted(twin.attachment_types) == ["image/png", "text/plain"]
    assert "application/x-anything" in twin.attachment_types
    assert twin.supports_tools
    assert twin.supports_schema


def test_options_are_ours_and_the_bases(scripted: Any) -> None:
    options = llm.get_model("rlm-gpt-4o").Options
    assert {"sub_model", "max_iterations", "temperature", "seed"} <= set(options.model_fields)
    assert options(max_iterations="7", temperature="0.5").max_iterations == 7
    assert options(max_tokens=900_000).max_tokens == 900_000  # ours: the base's own is for one reply
    for name, field in options.model_fields.items():
        assert field.default is None, name
        assert field.description, name
        assert name == name.lower()


def test_rlm_alone_is_the_twin_of_the_default_model(cli: Any, scripted: Any) -> None:
    scripted("base", "hi")
    assert cli("models", "default", "base").exit_code == 0
    assert llm.get_model("rlm").base.model_id == "base"
    assert cli("models", "default", "rlm-base").exit_code == 0
    assert llm.get_model("rlm").base.model_id == "base"


@pytest.mark.parametrize("default", ["rlm", "rlm-base", "base", "b", "rlm-b"])
def test_the_default_model_may_be_a_twin(cli: Any, scripted: Any, default: str, monkeypatch: Any) -> None:
    scripted("base", "hi", aliases=["b"])
    monkeypatch.setattr(llm, "DEFAULT_MODEL", "base")
    assert cli("models", "default", default).exit_code == 0
    assert llm.get_model("rlm").base.model_id == "base"
    assert llm.get_model("rlm").pair.async_model.model_id == "base"
    assert "Nothing was sent." in cli("-m", "rlm", "-o", "dry_run", "1", "Q", input="text").stdout


def test_a_model_of_others_that_is_called_like_a_twin(cli: Any, scripted: Any) -> None:
    scripted("rlm-theirs", "hi", aliases=["rlm-t"])
    scripted("base", "hi")
    scripted("rlm-base", "from theirs")
    assert cli("-m", "rlm-base", "Q").stdout == "from theirs\n"
    assert llm.get_model("rlm-rlm-theirs").base.model_id == "rlm-theirs"
    assert llm.get_model("rlm-rlm-t").base.model_id == "rlm-theirs"
    assert family.twin_of("rlm-t") is not None
    forecast = cli("-m", "rlm-rlm-t", "-o", "sub_model", "rlm-base", "-o", "dry_run", "1", "Q", input="text")
    assert "sub-calls   rlm-base: " in forecast.stdout


# ---- glm-4.7


def test_glm_is_there_by_itself() -> None:
    base = llm.get_model("rlm-glm-4.7").base
    assert (base.model_name, base.needs_key, base.key_env_var) == (
        "zai-org/glm-4.7",
        "anannas",
        "ANANNAS_API_KEY",
    )


@pytest.mark.parametrize("declared", ["model_id: glm-4.7", "model_id: mine\n  aliases: [glm-4.7]"])
def test_a_glm_that_the_user_declared_wins(home: Path, declared: str) -> None:
    (home / "llm" / "extra-openai-models.yaml").write_text(
        f"- {declared}\n  model_name: my-glm\n  api_base: http://localhost:1/v1\n"
    )
    assert llm.get_model("rlm-glm-4.7").base.model_name == "my-glm"
    assert llm.get_model("glm-4.7").model_name == "my-glm"


# ---- out of the way


def test_a_bare_list_of_models_does_not_double(cli: Any, scripted: Any) -> None:
    scripted("base", "hi", aliases=["short"])
    for command in (["models"], ["models", "list"], ["models", "--options"], ["models", "--json"]):
        output = cli(*command).output
        assert "base" in output
        assert "rlm-base" not in output
        assert "rlm-short" not in output
    assert cli("models").output.count("llm models -q rlm") == 1  # the one line about us


def test_the_family_is_listed_when_asked_for(cli: Any, scripted: Any) -> None:
    scripted("base", "hi", aliases=["short"])
    assert "RLM: rlm-base (aliases: rlm-short)" in cli("models", "-q", "rlm").output
    assert "RLM: rlm-base" in cli("models", "-q", "RLM", "-q", "short").output
    assert "RLM: rlm-base" in cli("models", "-m", "rlm-base").output
    assert "RLM: rlm-base" in cli("models", "--async", "-q", "rlm").output
    assert "max_iterations: int" in cli("models", "-m", "rlm-base", "--options").output
    rows = json.loads(cli("models", "-q", "rlm", "--json").output)
    assert "rlm-base" in {row["model_id"] for row in rows}


@pytest.mark.parametrize("query", ["bas", "l", "m", "r"])
def test_queries_answer_as_without_us(cli: Any, scripted: Any, query: str, monkeypatch: Any) -> None:
    scripted("a-base-of-long-name-r-l-m", "hi")
    without = cli("models", "-q", query).output.splitlines()
    monkeypatch.setattr(family, "register", lambda register, model_aliases: None)
    before = cli("models", "-q", query).output.splitlines()
    assert [line for line in without if "RLM: rlm " not in line and "glm" not in line] == before


def test_picking_a_model_by_query_finds_the_base(cli: Any, scripted: Any) -> None:
    scripted("a-long-base-name", "from the base")
    scripted("rx-long-base", "from rx")
    assert cli("-q", "long-base-name", "hi").output == "from the base\n"
    assert cli("-q", "r", "-q", "long", "-q", "base", "hi").output == "from rx\n"


def test_our_own_models_are_picked_only_where_nobody_elses_answers(cli: Any, scripted: Any) -> None:
    scripted("a-local-fake", "from theirs")
    scripted("r-fake-4.7", "from theirs")
    for queries in (["local"], ["4.7"], ["l", "ocal"]):
        picked = cli(*(word for query in queries for word in ("-q", query)), "hi")
        assert picked.output == "from theirs\n", queries
    assert (
        "Nothing was sent."
        in cli("-q", "rlm", "-q", "fake-4", "-o", "dry_run", "true", "Q", input="text").output
    )


def test_aliases_are_not_doubled_in_their_list(cli: Any, scripted: Any) -> None:
    scripted("base", "hi", aliases=["short"])
    for command in (["aliases"], ["aliases", "list", "--json"]):
        output = cli(*command).output
        assert "short" in output
        assert "rlm-short" not in output


def test_a_twin_that_the_user_named_is_in_every_list(cli: Any, scripted: Any) -> None:
    scripted("base", "hi", aliases=["short"])
    assert cli("aliases", "set", "deep", "rlm-short").exit_code == 0
    assert [line.split() for line in cli("aliases").output.splitlines() if "rlm-" in line] == [
        ["deep", ":", "rlm-base"]
    ]
    assert "RLM: rlm-base (aliases: deep)\n" in cli("models").output


def test_plain_models_work_as_before(cli: Any, scripted: Any, home: Path) -> None:
    chats = scripted("base", "hello")
    assert cli("-m", "base", "-s", "Be kind.", "hi").output == "hello\n"
    assert cli("-c", "again").output == "hello\n"
    assert chats[1] == [("system", "Be kind."), ("user", "hi"), ("assistant", "hello"), ("user", "again")]
    assert "hello" in cli("chat", "-m", "base", input="hi\nquit\n").output


# ---- what goes wrong


def test_a_twin_of_no_model_tells_near_names(cli: Any, scripted: Any) -> None:
    scripted("some-base", "hi")
    for command in (["-m", "rlm-sme-base", "Q"], ["chat", "-m", "rlm-sme-base"]):
        result = cli(*command, input="text")
        assert result.exit_code == 1
        assert result.output.strip().startswith(
            "Error: there is no model 'rlm-sme-base': did you mean rlm-some-base"
        )


@pytest.mark.parametrize("name", ["latin.txt", "binary", "folder"])
def test_what_f_cannot_read_is_told_in_a_line(cli: Any, scripted: Any, tmp_path: Path, name: str) -> None:
    chats = scripted("base", "unused")
    (tmp_path / "latin.txt").write_bytes(b"x" * 3_000_000 + "Größe".encode("latin-1"))
    (tmp_path / "binary").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    (tmp_path / "folder").mkdir()
    path = str(tmp_path / name)
    for command in (["-m", "rlm-base"], ["chat", "-m", "rlm-base"]):
        result = cli(*command, "-f", path, *(["Q"] if command[0] == "-m" else []), input="Q\nquit\n")
        assert result.exit_code == 1
        assert result.stderr.startswith(f"Error: {path} is ")
        assert f"-f rlm:{path}" in result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert chats == []


def test_an_alias_that_looks_like_a_twin_is_no_error(cli: Any, scripted: Any) -> None:
    scripted("base", "hello")
    assert cli("aliases", "set", "rlm-mine", "base").exit_code == 0
    assert cli("-m", "rlm-mine", "hi").output == "hello\n"


OURS = [path.stem for path in Path(llm_rlm.__file__).parent.glob("*.py") if path.stem != "__init__"]


@pytest.mark.parametrize("broken", OURS)
def test_a_module_of_ours_that_cannot_be_imported_leaves_llm_alone(
    broken: str, cli: Any, scripted: Any, monkeypatch: Any, capsys: Any
) -> None:
    scripted("base", "hello")
    for name in OURS:  # so that each is imported anew
        monkeypatch.delattr(llm_rlm, name, raising=False)
        monkeypatch.delitem(sys.modules, f"llm_rlm.{name}", raising=False)
    monkeypatch.setitem(sys.modules, f"llm_rlm.{broken}", None)
    monkeypatch.setattr(llm_rlm, "_told", set())
    assert cli("-m", "base", "hi").stdout == "hello\n"
    assert "base" in cli("models").stdout
    assert cli("fragments", "loaders").exit_code == 0
    llm_rlm.register_commands(click.Group())
    twin = cli("-m", "rlm-base", "Q", input="text")
    assert isinstance(twin.exception, SystemExit), "told in a line, not by a traceback"


def test_our_failure_is_told_once_on_stderr(cli: Any, scripted: Any, monkeypatch: Any) -> None:
    scripted("base", "hello")
    monkeypatch.setattr(family, "register", lambda register, model_aliases: 1 / 0)
    monkeypatch.setattr(llm_rlm, "_told", set())
    result = cli("-m", "base", "hi")
    assert result.stdout == "hello\n"
    assert result.stderr == "llm-rlm: the rlm- models cannot be used: ZeroDivisionError: division by zero\n"
