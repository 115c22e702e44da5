import subprocess
import sys

import pytest

from rlm_core.lms import Usage
from rlm_core.prices import ModelFacts, PriceTableError, cost, lookup

GATEWAY = "https://gateway.example/v1"


@pytest.fixture
def table(tmp_path):
    return tmp_path / "prices.toml"


# ---- the user's table


def test_the_users_table_is_asked_first(table):
    table.write_text('["gpt-4o"]\nwindow = 1000\ninput = 2.0\ncached = 1.0\noutput = 8\n')
    facts = lookup("gpt-4o", table=table)
    assert facts == ModelFacts(1000, 2e-6, 1e-6, 8e-6, str(table))
    assert cost(Usage(1_000_000, 500_000, 500_000), facts) == pytest.approx(1.0 + 0.5 + 4.0)


def test_the_table_lies_in_the_home_directory(table, monkeypatch):
    monkeypatch.setenv("RLM_HOME", str(table.parent))
    table.write_text("[mine]\nwindow = 5\ninput = 0\noutput = 0\n")
    assert lookup("mine").window == 5


def test_an_edited_table_is_read_again(table):
    import os

    table.write_text("[mine]\nwindow = 5\n")
    assert lookup("mine", table=table).window == 5
    table.write_text("[mine]\nwindow = 6\n")
    os.utime(table, ns=(1, 1))
    assert lookup("mine", table=table).window == 6


def test_a_price_of_nothing_is_known_and_cached_input_costs_as_other_input(table):
    table.write_text("[free]\ninput = 0\noutput = 0\n[paid]\ninput = 1\noutput = 1\n")
    assert cost(Usage(1000, 1000), lookup("free", table=table)) == 0.0
    paid = lookup("paid", table=table)
    assert cost(Usage(1000, 0, cached=1000), paid) == cost(Usage(1000, 0), paid) == pytest.approx(0.001)


def test_a_window_of_the_users_own_keeps_the_package_prices(table):
    table.write_text('["gpt-4o"]\nwindow = 1000\n')
    facts = lookup("gpt-4o", table=table)
    assert facts.window == 1000
    assert facts.input_price is not None
    assert str(table) in facts.source
    assert "genai-prices" in facts.source


def test_prices_of_the_users_own_keep_the_package_window(table):
    table.write_text('["gpt-4o"]\ninput = 1\noutput = 1\n')
    facts = lookup("gpt-4o", table=table)
    assert facts.window == 128_000
    assert cost(Usage(1_000_000, 0), facts) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[gpt", "cannot be read as TOML"),
        ("gpt = 3", "write a table"),
        ("[m]\nprice = 3", "there is no field 'price'"),
        ("[gpt-4.1]\ninput = 3", "needs quotes"),
        ("[m]\ninput = 3", "both input and output"),
        ("[m]\ninput = -3\noutput = 1", "must be a number"),
        ("[m]\ninput = '3'\noutput = 1", "must be a number"),
        ("[m]\nwindow = true", "must be a number"),
        ("[m]\nwindow = 0.5", "whole number of tokens"),
    ],
)
def test_a_table_that_is_wrong_says_where_and_what_to_write(table, text, complaint):
    table.write_text(text)
    with pytest.raises(PriceTableError, match=complaint) as caught:
        lookup("m", table=table)
    assert str(table) in str(caught.value)
    assert "\n" not in str(caught.value)


# ---- the package


@pytest.mark.parametrize(
    ("model", "base_url"),
    [
        ("gpt-4o", None),
        ("gpt-4o", "https://api.openai.com/v1"),
        ("openrouter/openai/gpt-4o", None),
        ("openai/gpt-4o", "https://openrouter.ai/api/v1"),
        ("gemini/gemini-2.5-flash", None),
        ("claude-sonnet-4-5", None),
    ],
)
def test_well_known_models_have_windows_and_prices(model, base_url, table):
    facts = lookup(model, base_url, table)
    assert facts.window >= 100_000
    assert 0 < facts.cached_price < facts.input_price < facts.output_price < 1e-3
    assert facts.source.startswith("genai-prices")
    usage = Usage(1000, 100, cached=500)
    linear = 500 * facts.input_price + 500 * facts.cached_price + 100 * facts.output_price
    assert cost(usage, facts) == pytest.approx(linear)


def test_a_price_that_grows_with_the_prompt_is_counted_so(table):
    facts = lookup("claude-sonnet-4-5", "https://api.anthropic.com", table)
    short, long = cost(Usage(100_000, 0), facts), cost(Usage(400_000, 0), facts)
    assert long > 4 * short


@pytest.mark.parametrize("model", ["zai-org/glm-4.7", "openai/gpt-4o", "anthropic/claude-sonnet-4.5"])
def test_a_gateway_serves_a_model_with_its_window_but_not_at_another_providers_price(model, table):
    facts = lookup(model, GATEWAY, table)
    assert facts.window >= 100_000
    assert facts.input_price is facts.output_price is facts.cached_price is None
    assert "without a price" in facts.source
    assert cost(Usage(1000, 1000), facts) is None


def test_an_unknown_model_is_unknown(table):
    facts = lookup("nobody/knows-it", None, table)
    assert facts == ModelFacts()
    assert facts.source == "unknown"
    assert cost(Usage(1000, 1000), facts) is None


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "[::1]:8000"])
def test_nothing_is_assumed_of_a_model_on_a_server_of_ones_own(host, table):
    assert lookup("gpt-4o", f"http://{host}/v1", table) == ModelFacts()


def test_more_cached_than_input_tokens_do_not_break_the_count(table):
    facts = lookup("gpt-4o", None, table)
    assert cost(Usage(10, 0, cached=20), facts) == pytest.approx(10 * facts.cached_price)


def test_importing_the_module_loads_no_package():
    code = "import sys, rlm_core.prices; print('genai_prices' in sys.modules, 'pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
