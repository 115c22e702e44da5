"""`-o dry_run true`: what a run would read and may cost, with nothing sent.  And whether a plain call would
do.

Tokens are estimates, and so is what a model will do: the figures of a depth are those of a short run, and
of one that goes on until its limits."""

from __future__ import annotations

from llm_rlm.callee import Callee
from llm_rlm.seam import Seam
from llm_rlm.settings import Settings
from rlm_core.history import FULL_SHARE
from rlm_core.lms import estimate_tokens
from rlm_core.loop import DEFAULT_WINDOW, Run
from rlm_core.views import View

PLAIN_SHARE = 0.25  # of the window: below it a plain call is usually better (arXiv 2512.24601, figure 1)
REPLY = 400  # tokens of a step's reply, or of a sub-call's
SHORT = 3  # steps of a short run
SHORT_OUTPUT = 500  # tokens that a step prints in it


def tokens(seam: Seam) -> int:
    return sum(map(estimate_tokens, seam.documents.values())) or estimate_tokens(seam.question)


def fits(seam: Seam, callee: Callee) -> bool:
    """Whether the text takes so little of the model's window that it is better asked plainly."""
    return tokens(seam) <= PLAIN_SHARE * (callee.window or DEFAULT_WINDOW)


def forecast(seam: Seam, settings: Settings, run: Run) -> str:
    """The report: plain text."""
    root, sub, limits = settings.root, settings.sub, settings.limits
    read = tokens(seam)
    chars = sum(map(len, seam.documents.values()))
    count = len(seam.documents)
    lines = [
        f"text        {chars:,} characters, about {read:,} tokens; documents: {count}",
        f"root model  {facts(root)}",
        f"sub-calls   {facts(sub)}" if sub is not root else "",
        f"strategy    {settings.strategy.name}",
        "",
        f"plain call  {_plain(root, read)}",
    ]
    first = sum(
        estimate_tokens(message["content"])
        for message in View(run.contract, run.strategy, run.card, run.task.query).messages()
    )
    window = root.window or DEFAULT_WINDOW
    short = steps(first, SHORT, REPLY + SHORT_OUTPUT, window)
    long = steps(first, limits.iterations, REPLY + limits.output_chars // 4, window)
    calls = -(-2 * read // (sub.window or DEFAULT_WINDOW))
    all_read = (read + calls * 100, calls * REPLY)
    child = (calls * short[0] + read, calls * short[1] + calls * REPLY)
    for depth, least in enumerate(((0, 0), all_read, child)):
        told = f"{priced(root, short, sub, least)} to {priced(root, long, sub, least)}"
        with_ = (
            "code alone",
            f"and all of it read once, in {calls:,} sub-calls",
            f"and {calls:,} child RLMs",
        )
        mark = " <- this run" if depth == min(limits.depth, 2) else ""
        lines.append(f"depth {depth}     {told} ({with_[depth]}){mark}")
    lines += ["", f"at most     {_limits(settings)}", "Nothing was sent."]
    return "\n".join(line for line in lines if line or line is lines[4])


def steps(first: int, count: int, each: int, window: int) -> tuple[int, int]:
    """Tokens in and out of `count` steps, each `each` tokens longer than the one before, until history is
    compacted."""
    most = max(first, int(FULL_SHARE * window))
    return sum(min(first + step * each, most) for step in range(count)), count * REPLY


def facts(callee: Callee) -> str:
    facts = callee.facts
    window = f"window {callee.window:,} tokens" if callee.window else "window not known"
    if facts.input_price is None or facts.output_price is None:
        prices = "prices not known"
    else:
        prices = (
            f"${facts.input_price * 1e6:,.2f} in and ${facts.output_price * 1e6:,.2f} out for a million "
            f"tokens ({facts.source})"
        )
    return f"{callee.model_id}: {window}, {prices}"


def _plain(callee: Callee, read: int) -> str:
    if callee.window and read > callee.window:
        return "does not fit the window"
    return priced(callee, (read, REPLY), callee, (0, 0))


def priced(root: Callee, of_root: tuple[int, int], sub: Callee, of_sub: tuple[int, int]) -> str:
    cost = 0.0
    for callee, (sent, got) in ((root, of_root), (sub, of_sub)):
        facts = callee.facts
        if facts.input_price is None or facts.output_price is None:
            return f"{sum(of_root + of_sub):,} tokens"
        cost += sent * facts.input_price + got * facts.output_price
    return f"{sum(of_root + of_sub):,} tokens, ${cost:,.2f}"


def _limits(settings: Settings) -> str:
    limits = settings.limits
    parts = [
        f"{limits.tokens:,} tokens" if limits.tokens is not None else "",
        f"${limits.cost:,.2f} where prices are known" if limits.cost is not None else "",
        f"{limits.sub_calls:,} sub-calls" if limits.sub_calls is not None else "",
        f"{limits.seconds:,.0f} s" if limits.seconds is not None else "",
    ]
    return ", ".join(filter(None, parts))
