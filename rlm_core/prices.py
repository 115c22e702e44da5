"""Windows and prices of models: from the user's own table, else from the package `genai-prices`, which is
kept up by its authors and works offline.  What neither knows is None, never 0 and never guessed.

The table is `prices.toml` in the home directory:

    ["zai-org/glm-4.7"]
    window = 204800   # tokens
    input = 0.6       # dollars per million tokens
    cached = 0.11     # input that the provider had in its cache; as `input` where it is left out
    output = 2.2

A table entry may hold a window only, or prices only; the rest is looked up as usual.  A model on a server of
one's own (a loopback address) is known by the table alone: no list price applies to it, and its window is as
large as the server was told to make it.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rlm_core.lms import Usage

if TYPE_CHECKING:
    from genai_prices.types import PriceCalculation


class PriceTableError(ValueError):
    """The user's table cannot be read; the text names the file, and what to change."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is known of a model.

    window   tokens that fit it, None if unknown
    input_price, cached_price, output_price
             dollars a token, None if unknown.  Where a price depends on the size of the prompt, that of a
             small one; `cost` knows better
    source   where window and prices come from, in words for the user
    entry    (provider, model) by which `genai-prices` knows the prices, where they are its own
    """

    window: int | None = None
    input_price: float | None = None
    cached_price: float | None = None
    output_price: float | None = None
    source: str = "unknown"
    entry: tuple[str, str] | None = None


def lookup(model: str, base_url: str | None = None, table: Path | None = None) -> ModelFacts:
    """What is known of `model`, as the API at `base_url` calls it.

    Prices depend on who runs the model, so they are taken only from the provider at `base_url`; without
    one, from the provider that the name tells ("gpt-4o", "openrouter/openai/gpt-4o").  A window belongs to
    the model itself: any provider's figure serves.  `table` is the user's, `prices.toml` in the home
    directory if None.  Raises PriceTableError.  The first call takes about 0.3 s, where `genai-prices` is
    needed."""
    own = _own(model, table)
    if own is not None and own.window is not None and own.input_price is not None:
        return own
    kept = ModelFacts() if base_url and _is_loopback(base_url) else _kept(model, base_url)
    if own is None:
        return kept
    if own.input_price is None:  # the table has the window, the package perhaps the prices
        source = f"window: {own.source}; prices: {kept.source}"
        return replace(kept, window=own.window, source=source)
    return replace(own, window=kept.window, source=f"prices: {own.source}; window: {kept.source}")


def cost(usage: Usage, facts: ModelFacts) -> float | None:
    """Dollars that `usage` costs, None where a price is not known."""
    if facts.entry is not None:
        provider, model = facts.entry
        calculation = _calculate(model, usage, provider_id=provider)
        return None if calculation is None else float(calculation.total_price)
    if facts.input_price is None or facts.output_price is None:
        return None
    cached_price = facts.input_price if facts.cached_price is None else facts.cached_price
    cached = min(usage.cached, usage.input)
    input_cost = (usage.input - cached) * facts.input_price + cached * cached_price
    return input_cost + usage.output * facts.output_price


# ---- the user's table

_FIELDS = ("window", "input", "cached", "output")


def _own(model: str, table: Path | None) -> ModelFacts | None:
    if table is None:
        from rlm_core.home import home

        table = home() / "prices.toml"
    try:
        changed = table.stat().st_mtime_ns
    except OSError:
        return None
    return _read(table, changed).get(model)


@functools.lru_cache(maxsize=4)
def _read(table: Path, changed: int) -> dict[str, ModelFacts]:
    """The table's models by name.  `changed`, its time stamp, makes an edited table another for the cache."""
    import tomllib

    try:
        entries = tomllib.loads(table.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PriceTableError(f"{table} cannot be read as TOML: {error}") from None
    return {model: _entry(model, entry, table) for model, entry in entries.items()}


def _entry(model: str, entry: Any, table: Path) -> ModelFacts:
    def wrong(what: str) -> PriceTableError:
        return PriceTableError(f"{table}, model {model!r}: {what}")

    if not isinstance(entry, dict):
        raise wrong(f'write a table, such as ["{model}"] and below it window = 200000')
    for name, value in entry.items():
        if name not in _FIELDS:
            hint = (
                " (a model's name that holds a dot or a slash needs quotes)"
                if isinstance(value, dict)
                else ""
            )
            raise wrong(f"there is no field {name!r}, only {', '.join(_FIELDS)}{hint}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise wrong(f"{name} = {value!r} must be a number, 0 or more")
    if ("input" in entry) != ("output" in entry):
        raise wrong("give both input and output, in dollars per million tokens, or neither")
    window = entry.get("window")
    if window is not None and (not isinstance(window, int) or window < 1):
        raise wrong(f"window = {window!r} must be a whole number of tokens")
    prices = {name: entry[name] / 1_000_000 for name in ("input", "cached", "output") if name in entry}
    return ModelFacts(
        window, prices.get("input"), prices.get("cached"), prices.get("output"), source=str(table)
    )


# ---- the package


def _kept(model: str, base_url: str | None) -> ModelFacts:
    """What `genai-prices` knows."""
    priced = _calculate(model, provider_api_url=base_url) if base_url else _by_name(model)
    if priced is not None and priced.model_price.input_mtok is not None:
        return _facts(priced, model)
    windowed = priced or _by_name(model) or _by_name(model.rpartition("/")[2])
    windowed = windowed or _calculate(model, provider_id="openrouter")  # other gateways use its names
    window = windowed.model.context_window if windowed else None
    if windowed is None or window is None:
        return ModelFacts()
    return ModelFacts(window, source=f"{_name(windowed)}, without a price here")


def _facts(calculation: PriceCalculation, model: str) -> ModelFacts:
    provider = calculation.provider.id
    model = model if _calculate(model, provider_id=provider) else model.partition("/")[2]

    def price(usage: Usage) -> float:
        each = _calculate(model, usage, provider_id=provider)
        assert each is not None
        return float(each.total_price / 1000)

    return ModelFacts(
        calculation.model.context_window,
        price(Usage(input=1000)),
        price(Usage(input=1000, cached=1000)),
        price(Usage(output=1000)) if calculation.model_price.output_mtok is not None else None,
        source=_name(calculation),
        entry=(provider, model) if calculation.model_price.output_mtok is not None else None,
    )


def _name(calculation: PriceCalculation) -> str:
    import genai_prices

    return f"genai-prices {genai_prices.__version__} ({calculation.provider.id}: {calculation.model.id})"


def _by_name(model: str) -> PriceCalculation | None:
    """The model of the provider that its name tells: by itself, or as the part before the first slash."""
    provider, slash, rest = model.partition("/")
    return _calculate(model) or (_calculate(rest, provider_id=provider) if slash else None)


def _calculate(model: str, usage: Usage = Usage(), **provider: Any) -> PriceCalculation | None:  # noqa: B008
    """`genai_prices.calc_price`, or None where it knows no such model.  `provider`: provider_id, or
    provider_api_url."""
    import genai_prices

    tokens = genai_prices.Usage(
        input_tokens=usage.input,
        cache_read_tokens=min(usage.cached, usage.input),  # more is refused with an exception
        output_tokens=usage.output,
    )
    try:
        return genai_prices.calc_price(tokens, model, **provider)
    except LookupError:
        return None


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host == "localhost" or host == "::1" or host.startswith("127.") or host == "0.0.0.0"
