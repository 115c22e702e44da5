"""What a run is given: models, limits, strategy, sandbox.  From the options, the user's stored ones, and
defaults."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
import llm

from llm_rlm.callee import Callee
from llm_rlm.errors import no_such_model
from llm_rlm.options import of_base
from rlm_core import strategies
from rlm_core.limits import Limits
from rlm_core.strategies import Strategy

if TYPE_CHECKING:
    from llm_rlm.family import Pair, _Twin

CONCURRENCY = 16  # calls at once to a model behind an API
SMALL = 4.0  # billions of parameters, as names tell them
OVERUSES_SUB_CALLS = re.compile("qwen")  # one call for every line (arXiv 2512.24601, section 4)


@dataclass
class Settings:
    root: Callee
    sub: Callee
    limits: Limits
    strategy: Strategy
    concurrency: int
    sandbox: str  # "auto" or "weak"
    direct: str  # "auto", "never", or "" where the user has not said
    journal: str  # "full", "no-context" or "never"
    dry_run: bool

    @property
    def unpriced(self) -> list[str]:
        """Models whose prices are not known: a limit in dollars may not hold."""
        return sorted({each.model_id for each in (self.root, self.sub) if each.facts.input_price is None})


def settle(twin: _Twin, options: Any, key: str | None) -> Settings:
    """Raises llm.ModelError, whose text says what to change."""
    base = twin.pair.model
    given = of_base(options, base.Options)
    root = Callee(twin.pair, key, given)
    sub = _sub(root, options.sub_model, key, given)
    concurrency = options.concurrency or _concurrency(sub)
    try:
        strategy = strategies.load(options.strategy or profile(base))
    except strategies.StrategyError as error:
        raise llm.ModelError(f"-o strategy: {error}") from None
    return Settings(
        root,
        sub,
        _limits(options, concurrency),
        strategy,
        concurrency,
        _sandbox(options.sandbox),
        options.direct or "",
        options.journal or "full",
        bool(options.dry_run),
    )


def _limits(options: Any, concurrency: int) -> Limits:
    named = {
        "iterations": options.max_iterations,
        "depth": options.max_depth,
        "sub_calls": options.max_sub_calls,
        "tokens": options.max_tokens,
        "cost": options.max_cost,
        "seconds": options.max_seconds,
    }
    return Limits(
        concurrency=concurrency, **{name: value for name, value in named.items() if value is not None}
    )


def _sub(root: Callee, name: str | None, key: str | None, given: dict[str, Any]) -> Callee:
    """The sub-model.  A key goes only to models that use the same one; options only to the model that they
    were given for."""
    if name is None:
        return root
    pair = find_model(name)
    if pair.model.model_id == root.model_id:
        return root
    same_key = pair.model.needs_key == root.pair.model.needs_key
    return Callee(pair, key if same_key else None)


def find_model(name: str) -> Pair:
    from llm_rlm.family import is_twin, looks_like_twin

    pairs = [pair for pair in llm.get_models_with_aliases() if not is_twin(pair.model)]
    for pair in pairs:
        if name == pair.model.model_id or name in pair.aliases:
            return pair
    if looks_like_twin(name):
        raise llm.ModelError(
            f"-o sub_model {name}: sub-calls go to plain models, so name the model without rlm-; "
            "-o max_depth 2 makes sub-calls RLMs"
        )
    known = [known for pair in pairs for known in (pair.model.model_id, *pair.aliases)]
    raise llm.ModelError(f"-o sub_model: {no_such_model(name, known)}")


def _concurrency(callee: Callee) -> int:
    """Calls at once.  A model that runs in this process may not bear more than one."""
    own = getattr(callee.pair.model, "concurrency", None)
    return int(own) if own else 1 if callee.in_process else CONCURRENCY


def profile(model: Any) -> str:
    """The strategy that suits a model: its own word, else by its name."""
    own = getattr(model, "strategy", None)
    if isinstance(own, str):
        return own
    name = f"{model.model_id} {getattr(model, 'model_name', None) or ''}".lower()
    sizes = [float(size) for size in re.findall(r"(?<![a-z\d.])(\d+(?:\.\d+)?)b\b", name)]
    if sizes and max(sizes) <= SMALL:
        return "small"
    return "frugal" if OVERUSES_SUB_CALLS.search(name) else "default"


def _sandbox(given: str | None) -> str:
    """`weak` takes the user's own word: a template, which may come from anywhere, cannot say it."""
    context = click.get_current_context(silent=True)
    typed = context is None or ("sandbox", "weak") in (context.params.get("options") or ())
    if given == "weak" and not typed:
        raise llm.ModelError("sandbox weak is taken from the command line only: -o sandbox weak")
    return given or "auto"
