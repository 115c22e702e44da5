"""`concurrent.futures` without threads: sub-calls handed to an executor leave as one batch.

Models write `executor.map(llm_query, prompts)` to run sub-calls side by side.  A worker has one thread, and
the host runs what is asked for together together: so a submitted `llm_query(prompt)` waits, and the first
result that is wanted sends all that wait as one `llm_query_batched(prompts)`.  Everything else runs at
once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

FIRST_COMPLETED, FIRST_EXCEPTION, ALL_COMPLETED = "FIRST_COMPLETED", "FIRST_EXCEPTION", "ALL_COMPLETED"


class Future:
    """A call that has run, or waits for the batch it will leave with."""

    def __init__(self, send: Callable[[], None] | None = None) -> None:
        self._send = send  # None once the call has run
        self._value: Any = None
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[Future], Any]] = []

    def _settle(self, value: Any = None, error: BaseException | None = None) -> None:
        self._send, self._value, self._error = None, value, error
        for callback in self._callbacks:
            callback(self)

    def result(self, timeout: float | None = None) -> Any:
        self.done()
        if self._error is not None:
            raise self._error
        return self._value

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self.done()
        return self._error

    def done(self) -> bool:
        if self._send is not None:
            self._send()
        return True

    def running(self) -> bool:
        return False

    def cancel(self) -> bool:
        return False

    def cancelled(self) -> bool:
        return False

    def add_done_callback(self, callback: Callable[[Future], Any]) -> None:
        if self._send is None:
            callback(self)
        else:
            self._callbacks.append(callback)


def as_completed(futures: Iterable[Future], timeout: float | None = None) -> Iterator[Future]:
    for future in list(futures):
        future.done()
        yield future


def wait(
    futures: Iterable[Future], timeout: float | None = None, return_when: str = ALL_COMPLETED
) -> tuple[set[Future], set[Future]]:
    return set(as_completed(futures)), set()


def members(names: Mapping[str, Any]) -> dict[str, Any]:
    """What the facade of `concurrent.futures` holds, for the cells whose namespace is `names`: `llm_query`
    and `llm_query_batched` are looked up there when they are needed."""

    class ThreadPoolExecutor:
        def __init__(self, max_workers: int | None = None, *_: Any, **__: Any) -> None:
            self._waiting: list[tuple[Future, str]] = []

        def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
            if (
                len(args) == 1
                and not kwargs
                and function is names.get("llm_query")
                and "llm_query_batched" in names
            ):
                future = Future(self._send)
                self._waiting.append((future, args[0]))
                return future
            future = Future()
            try:
                value = function(*args, **kwargs)
            except Exception as error:
                future._settle(error=error)
            else:
                future._settle(value)
            return future

        def _send(self) -> None:
            batch, self._waiting = self._waiting, []
            try:
                answers = names["llm_query_batched"]([prompt for _, prompt in batch])
            except Exception as error:
                for future, _ in batch:
                    future._settle(error=error)
            else:
                for (future, _), answer in zip(batch, answers, strict=True):
                    future._settle(answer)

        def map(
            self,
            function: Callable[..., Any],
            /,
            *iterables: Iterable[Any],
            timeout: float | None = None,
            chunksize: int = 1,
        ) -> Iterator[Any]:
            futures = [self.submit(function, *args) for args in zip(*iterables, strict=False)]
            return (future.result() for future in futures)

        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            if self._waiting:
                self._send()

        def __enter__(self) -> ThreadPoolExecutor:
            return self

        def __exit__(self, *_: object) -> None:
            self.shutdown()

    return {
        "ThreadPoolExecutor": ThreadPoolExecutor,
        "ProcessPoolExecutor": ThreadPoolExecutor,
        "Executor": ThreadPoolExecutor,
        "Future": Future,
        "TimeoutError": TimeoutError,
        "as_completed": as_completed,
        "wait": wait,
        "FIRST_COMPLETED": FIRST_COMPLETED,
        "FIRST_EXCEPTION": FIRST_EXCEPTION,
        "ALL_COMPLETED": ALL_COMPLETED,
    }
