"""Many questions, many contexts: a run for each row, some at once.

    rows = [Row("a", "Who won?", Path("match-a.txt")), Row("b", "Who won?", Path("match-b.txt"))]
    for outcome in map_runs(rows, RLM(lm, journal="runs.db"), name="matches"):
        print(outcome.id, outcome.answer)

Rows are taken as places come free, so their contexts are never all held at once.  An outcome comes as its
run ends, in any order.  What is wrong with one row (a file that cannot be read, say) is that row's outcome.

With a journal and a `name`, each row's run has an id made of the name and of all that is asked: the same
call again goes on with runs that were broken off, and what was answered there is not asked again.

The backend "threads" is this process; "ray" is a Ray cluster, or Ray on this machine (`rlm_core.on_ray`).
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Generator, Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from rlm_core.context import Context, ContextError
from rlm_core.loop import Result
from rlm_core.pool import CostReached, Purse, Threads, performed
from rlm_core.rlm import RLM
from rlm_core.sandbox.protocol import SandboxError, SandboxUnavailable

if TYPE_CHECKING:
    from rlm_core.ray_pool import Cluster

__all__ = ["CostReached", "Outcome", "Remote", "Row", "map_runs"]

WORKERS = 8  # runs at once


@dataclass(frozen=True, slots=True)
class Remote:
    """A context that is read, where its run is, from any URL that fsspec knows: `Remote("s3://bucket/a.txt.gz")`."""

    url: str


@dataclass(frozen=True, slots=True)
class Row:
    """One question.

    id       tells it from the others
    context  as for `RLM.completion`, or `Remote`; files are read only when the row's turn comes
    problem  why it cannot be asked, where that is known: such a row is not run, and its outcome says so
    """

    id: str
    query: str = ""
    context: Any = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a row.

    status  as of a `Result`; "error" also where the row could not be run
    usage   calls, and tokens in, out and cached;  `cost`: dollars, None where a price is not known
    run     the id of its run in the journal, "" without one
    unpaid  the `max_cost` of the whole batch ended the run, not a limit of its own
    failure the kind of the failed call that ended it, as in LMCallError: "auth" where the key, or the
            account, was refused
    """

    id: str
    answer: Any
    status: str
    reason: str = ""
    unverified: bool = False
    usage: dict[str, int] = field(default_factory=dict)
    cost: float | None = None
    seconds: float = 0.0
    run: str = ""
    unpaid: bool = False
    failure: str = ""

    @classmethod
    def of(cls, row: Row, result: Result, run: str) -> Outcome:
        spent = result.usage
        usage = {name: getattr(spent, name) for name in ("calls", "input", "output", "cached")}
        told = (result.answer, result.status, result.reason, result.unverified)
        return cls(row.id, *told, usage, spent.cost, result.seconds, run, failure=result.failure)

    @classmethod
    def failed(cls, row: Row, reason: str) -> Outcome:
        return cls(row.id, None, "error", reason)


def map_runs(
    rows: Iterable[Row],
    rlm: RLM | Callable[[], RLM],
    backend: Literal["threads", "ray"] = "threads",
    *,
    workers: int = WORKERS,
    name: str = "",
    max_cost: float | None = None,
    cluster: Cluster | None = None,
    tick: Callable[[], None] = lambda: None,
    broken_off: Callable[[Outcome], None] = lambda outcome: None,
) -> Generator[Outcome, None, None]:
    """An outcome for each row, as it ends.

    rlm       what answers, or a function that makes it.  Ray wants the function, one that pickle can send
              (at the top level of a module): it is called once in each of its processes
    workers   runs at once
    name      names the batch, so that a later call of that name goes on with its runs; "": none does
    max_cost  dollars for the whole batch, where prices are known.  Each run may use a share of what is left.
              Raises CostReached when it is spent, after the outcomes of what was begun
    cluster   for Ray: where it is
    tick      called a few times a second
    broken_off
              called with the outcomes, so far, of runs that are ended because the iterator is closed; those
              on a cluster are not known

    Rows are taken, and runs begun, when an outcome is asked for.  Closing the iterator, or an exception in
    its caller, ends all runs within a second.  Raises SandboxUnavailable where no row can be run."""
    if workers < 1:
        raise ValueError(f"workers={workers}: must be at least 1")
    if backend not in ("threads", "ray"):
        raise ValueError(f"backend={backend!r}: must be 'threads' or 'ray'")
    if backend == "ray":
        from rlm_core import on_ray

        yield from on_ray.map_runs(rows, rlm, workers, name, max_cost, cluster, tick)
        return
    ours = rlm if isinstance(rlm, RLM) else rlm()
    places = Threads[Row, Outcome](lambda row, share: perform(ours, row, share, run_id(name, row, ours)))
    purse = Purse(max_cost, workers, ours.limits.cost)
    for _, outcome in performed(rows, places, workers, purse, lambda outcome: outcome.cost, tick, broken_off):
        yield outcome


def perform(rlm: RLM, row: Row, cost: float | None, run: str = "") -> Outcome:
    """One row's run.  `cost`: dollars that it may use, in place of the RLM's own limit.  `run`: its id in the
    journal.  Raises SandboxUnavailable; everything else that may go wrong is in the outcome."""
    if row.problem:
        return Outcome.failed(row, row.problem)
    try:
        context = read(row.context)
        if not context.chars:
            raise ContextError("its text is empty")
    except ContextError as error:
        return Outcome.failed(row, str(error))
    limits = replace(rlm.limits, cost=cost)
    try:
        result, run = rlm.recorded(context, row.query, limits, run)
    except SandboxUnavailable:
        raise
    except SandboxError as error:
        return Outcome.failed(row, f"the sandbox failed: {error}")
    return replace(Outcome.of(row, result, run), unpaid=result.limit == "cost" and cost != rlm.limits.cost)


def run_id(name: str, row: Row, rlm: RLM) -> str:
    """The id of a row's run: the same for the same batch, question, context, models, strategy and limits;
    "" in a batch without a name."""
    if not name:
        return ""
    asked = (name, row.id, row.query, _told(row.context), rlm.lm.model, rlm.sub_lm.model, rlm.strategy.name)
    text = repr((*asked, sorted(asdict(rlm.limits).items(), key=str)))
    return digest(text)[:20]


def digest(text: str) -> str:
    """Of any text, halves of characters included."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _told(context: Any) -> Any:
    """A context in a few words that change when it does."""
    if isinstance(context, Context):
        context = context.value
    if isinstance(context, Remote):
        return context.url
    if isinstance(context, os.PathLike):
        try:
            status = os.stat(context)
        except OSError:
            return os.fspath(context)
        return (os.path.abspath(context), status.st_size, status.st_mtime_ns)
    return digest(repr(context))


_last = threading.local()


def read(context: Any) -> Context:
    """The context, read.  Rows in a row often share a file: each worker keeps the last that it read."""
    if not isinstance(context, os.PathLike | Remote):
        return Context.of(context)
    told = _told(context)
    if getattr(_last, "told", None) != told:
        _last.told = None
        _last.context = Context.of(_fetched(context.url) if isinstance(context, Remote) else context)
        _last.told = told
    return _last.context  # type: ignore[no-any-return]


def _fetched(url: str) -> Any:
    """The text at a URL, or texts by name where it is an archive.  Raises ContextError."""
    from rlm_core import documents

    try:
        import fsspec
    except ImportError:
        raise ContextError(f"{url}: reading URLs takes fsspec: pip install 'llm-rlm[ray]'") from None
    try:
        with fsspec.open(url, "rb") as file:
            return documents.read_bytes(file.read(documents.MAX_BYTES + 1), url.rpartition("/")[2]).value
    except documents.DocumentError as error:
        raise ContextError(f"{url}: {error}") from error
    except Exception as error:  # each protocol has errors of its own
        why = type(error).__name__ if str(error) in ("", url) else error
        raise ContextError(f"{url} cannot be read: {why}") from error
