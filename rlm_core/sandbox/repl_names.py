"""The names that a cell finds beside Python's own: `grep`, `SUBMIT`, `llm_query`, the caller's tools.

Calls to the host leave here in one form each, whatever the code wrote:

    llm_query(prompt)             args (prompt,)                kwargs {"model": name} where one was given
    llm_query_batched(prompts)    args ([prompt, ...],)         the same
    rlm_query(query)              args (query,) for the whole context, (query, context) for another
    rlm_query_batched(calls)      args ([(query,) or (query, context), ...],)
    a tool of the caller's        args and kwargs as the code gave them, made plain
    a module of the host's        args as its source gave them, made plain
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, NoReturn, TypeGuard, TypeVar

from rlm_core.sandbox import search
from rlm_core.sandbox.describe import variables
from rlm_core.sandbox.looked import Looked
from rlm_core.sandbox.plain import plain
from rlm_core.sandbox.protocol import Repl, Submission

Call = Callable[[str, tuple[Any, ...], dict[str, Any]], Any]
"""Asks the host: name, args, kwargs -> what it answers.  Raises RuntimeError with the host's words."""

HINTS = 4  # times a cell that `grep` looks for what is near to what no line holds

_REGEX_LIKE = re.compile(r"\\[dwsbDWSB]|\.[*+]|\||\[[^\]]+\]|^\^|\$$")


F = TypeVar("F", bound=Callable[..., Any])


def _named(name: str) -> Callable[[F], F]:
    """Under this name Python speaks of a function in its own errors."""

    def name_it(function: F) -> F:
        function.__qualname__ = name
        return function

    return name_it


class Names:
    """The injected names of one session.

    `names` is the namespace of the cells, once there is one; `submit` ends the cell, and does not return."""

    def __init__(
        self,
        repl: Repl,
        inputs: Mapping[str, Any],
        names: Mapping[str, Any],
        call: Call,
        emit: Callable[[str], None],
        submit: Callable[[Submission], NoReturn],
    ) -> None:
        self._repl, self._inputs, self._names = repl, inputs, names
        self._call, self._emit, self._submit = call, emit, submit
        self.looked = Looked(inputs)
        self.hints = HINTS
        own = {
            "grep": self.grep,
            "chunks": self.chunks,
            "SHOW_VARS": self.show_vars,
            "SUBMIT": self.submit,
            "NOT_FOUND": self.not_found,
            "FINAL": self.submit,
            "FINAL_VAR": self.final_var,
        }
        calls = {
            "llm_query": self.llm_query,
            "llm_query_batched": self.llm_query_batched,
            "rlm_query": self.rlm_query,
            "rlm_query_batched": self.rlm_query_batched,
        }
        tools: dict[str, Any] = {name: calls.get(name) or self._tool(name) for name in repl.tools}
        helpers = {name: own[name] for name in repl.helpers if name in own}
        self.injected: dict[str, Any] = {k: v for k, v in {**helpers, **tools}.items() if k not in inputs}
        """All names that are given, but for the inputs."""
        self.yielding = {name for name in ("grep", "chunks") if self.injected.get(name) == own[name]}
        """Those that give way to a variable of the code's own: `chunks = [...]` is everyday code, and the
        next cell expects the list.  The others stand anew in every cell."""

    def begin(self) -> None:
        """A cell begins."""
        self.looked.clear()
        self.hints = HINTS

    # ---- the context

    def whole(self) -> Any:
        """What the code searches: `context`, or all inputs where the caller gave them other names."""
        if "context" in self._inputs:
            return self._names["context"]
        given = {name: self._names.get(name) for name in self._inputs}
        return given.popitem()[1] if len(given) == 1 else given

    @_named("grep")
    def grep(
        self,
        pattern: Any,
        text: Any = None,
        *,
        regex: bool = False,
        case: bool = False,
        around: int = 0,
        max: int | None = None,
    ) -> list[search.Line]:
        """The lines that hold the pattern, or any of a list of patterns, in any case unless `case`.

        `text`: where to look, else in the whole context.  `around`: lines to show on either side."""
        compiled = isinstance(pattern, re.Pattern)
        patterns = list(pattern) if isinstance(pattern, (list, tuple, set, frozenset)) else [pattern]
        patterns = [p if isinstance(p, re.Pattern) else str(p) for p in patterns]
        if not patterns or "" in patterns:
            raise ValueError("grep needs something to look for: the pattern is empty")
        if text is not None and not isinstance(text, (str, list, tuple, dict)):
            raise TypeError(
                f"grep looks in a str, a list or a dict, not in a {type(text).__name__}; "
                "options go by name: grep(pattern, regex=True)"
            )
        of = [
            search.expression(p, case) if regex or isinstance(p, re.Pattern) else search.literal(p, case)
            for p in patterns
        ]
        finder = search.any_of(of)
        found: list[search.Line] = []
        where = self.whole() if text is None else text
        for name, leaf in search.leaves(where):
            room = None if max is None else max - len(found)
            lines = list(islice(search.lines(name, leaf, finder(leaf), around), room))
            self.looked.add("grep", where, name, leaf, lines)
            found += lines
            if max is not None and len(found) >= max:
                break
        if not found and not (regex or compiled) and max != 0:
            self._tell_of_nothing([str(p) for p in patterns], text is None)
        return found

    def _tell_of_nothing(self, patterns: list[str], everywhere: bool) -> None:
        """An empty list reads as "not there"; where other words would find something, it is said.  What was
        looked for is not: an answer that stands in an output counts as seen."""
        if any(map(_REGEX_LIKE.search, patterns)):
            self._emit("(grep: no line holds this as plain text; for a regular expression add regex=True)\n")
        elif len(patterns) == 1 and everywhere and self.hints:
            self.hints -= 1
            lines = search.nearest(patterns[0], list(search.leaves(self.whole())))
            if lines:
                self._emit(f"(grep: no line holds this as it stands; nearest: {lines!r})\n")

    @_named("chunks")
    def chunks(self, size: int, overlap: int = 0, text: Any = None) -> list[search.Piece]:
        """Pieces of at most `size` characters that cover all of `text`, or of the whole context."""
        if isinstance(size, (str, list, dict)):
            raise TypeError("chunks(size, overlap=0, text=context): the size comes first")
        size, overlap = int(size), int(overlap)
        if size < 1:
            raise ValueError("chunks needs a size of at least 1")
        if not 0 <= overlap < size:
            raise ValueError(f"the overlap must be less than the size: 0 to {size - 1}, not {overlap}")
        where = self.whole() if text is None else text
        found: list[search.Piece] = []
        for name, leaf in search.leaves(where):
            pieces = list(search.pieces(name, leaf, size, overlap))
            self.looked.add("chunks", where, name, leaf, pieces)
            found += pieces
        return found

    @_named("SHOW_VARS")
    def show_vars(self) -> dict[str, str]:
        """The names that the code has made, and what they are."""
        return self.variables()

    def variables(self) -> dict[str, str]:
        inputs = {name: self._names.get(name) for name in self._inputs}
        return variables(self._names, {**self.injected, **inputs})

    # ---- the end

    @_named("SUBMIT")
    def submit(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Ends the run: SUBMIT(value, ...) or SUBMIT(field=value, ...).  SUBMIT(NOT_FOUND) is understood."""
        if len(args) == 1 and args[0] is self.injected.get("NOT_FOUND") and not kwargs:
            self.not_found()
        self._submit(Submission("submit", self.fields(args, kwargs)))

    @_named("NOT_FOUND")
    def not_found(self, reason: Any = "") -> NoReturn:
        """Ends the run, saying that the text does not hold the answer."""
        self._submit(Submission("not_found", {"reason": str(reason)}))

    @_named("FINAL_VAR")
    def final_var(self, name: Any) -> NoReturn:
        """Submits the value of the variable of that name."""
        if isinstance(name, str) and (key := name.strip().strip("\"'")).isidentifier():
            known = {k: v for k, v in self._names.items() if not k.startswith("_") and k not in self.injected}
            if key not in known and not any(value is name for value in known.values()):
                made = ", ".join(self.variables()) or "none yet"
                raise NameError(f"FINAL_VAR: there is no variable {key!r}; there are: {made}")
            name = known.get(key, name)
        self.submit(name)

    def fields(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The values by field.  Raises TypeError where they do not fit the fields, or are not plain data."""
        fields = self._repl.fields
        form = f"SUBMIT({', '.join(f'{name}=...' for name in fields)})"
        if len(args) == 1 and len(fields) > 1 and isinstance(args[0], dict) and set(args[0]) == set(fields):
            return self.fields((), {**args[0], **kwargs})
        if len(args) > len(fields):
            raise TypeError(f"SUBMIT takes {len(fields)} values, not {len(args)}: {form}")
        values = dict(zip(fields, args, strict=False))
        for name, value in kwargs.items():
            if name not in fields:
                raise TypeError(f"SUBMIT has no field {name!r}: {form}")
            if name in values:
                raise TypeError(f"SUBMIT got two values for {name!r}: {form}")
            values[name] = value
        if missing := [name for name in fields if name not in values]:
            raise TypeError(f"SUBMIT needs a value for {', '.join(missing)}: {form}")
        return {name: plain(self._content(values[name]), f"SUBMIT: {name}") for name in fields}

    def _content(self, value: Any) -> Any:
        """The content of the `answer` dict, where that is what was submitted."""
        if value is not self._names.get("answer") or not is_ready_answer(value, self._repl):
            return value
        if not value.get("ready"):
            raise TypeError(
                "answer is not ready: set answer['content'], then answer['ready'] = True, or SUBMIT(value)"
            )
        return value.get("content")

    # ---- calls to the host

    def _tool(self, name: str) -> Callable[..., Any]:
        """A function of the caller's.  No `partial`: code could read the public attributes of one."""
        what = f"{name}(): an argument"

        def tool(*args: Any, **kwargs: Any) -> Any:
            return self._call(name, plain(args, what), plain(kwargs, what))

        tool.__name__ = tool.__qualname__ = name
        return tool

    def caller(self, module: str) -> Callable[..., Any]:
        """`call_host` of one of the host's modules."""

        def call_host(*args: Any) -> Any:
            return self._call(module, plain(args, f"{module}: an argument"), {})

        return call_host

    @_named("llm_query")
    def llm_query(self, prompt: Any, model: str | None = None) -> Any:
        """One sub-LM call."""
        return self._call("llm_query", (_text(prompt),), _model("llm_query", model))

    @_named("llm_query_batched")
    def llm_query_batched(self, prompts: Iterable[Any], model: str | None = None) -> list[Any]:
        """Many sub-LM calls at once; the answers in the same order."""
        batch = [_text(prompt) for prompt in _batch("llm_query_batched", prompts, "[prompt1, prompt2]")]
        return self._answers("llm_query_batched", batch, _model("llm_query_batched", model))

    @_named("rlm_query")
    def rlm_query(self, query: Any, context: Any = None) -> Any:
        """A child RLM with a REPL of its own, over `context` or over the whole context."""
        return self._call("rlm_query", self._child(query, context), {})

    @_named("rlm_query_batched")
    def rlm_query_batched(self, calls: Iterable[Any], contexts: Iterable[Any] | None = None) -> list[Any]:
        """Many children at once: [(query, context), ...], or queries and contexts."""
        asked = _batch("rlm_query_batched", calls, "[(query1, text1), (query2, text2)]")
        if contexts is not None:
            given = _batch("rlm_query_batched", contexts, "queries, contexts")
            if len(given) != len(asked):
                raise ValueError(f"rlm_query_batched: {len(asked)} queries, but {len(given)} contexts")
            asked = list(zip(asked, given, strict=True))
        return self._answers("rlm_query_batched", [self._child(*_pair(one)) for one in asked], {})

    def _child(self, query: Any, context: Any) -> tuple[Any, ...]:
        # The host has the whole context: sending it would cost what it weighs.  A str cannot have changed.
        whole = self._inputs.get("context")
        if context is None or (isinstance(context, str) and context is whole):
            context = self._names.get("context")
            if isinstance(context, str) and context is whole:
                return (_text(query),)
        return (_text(query), plain(context, "rlm_query: the context"))

    def _answers(self, name: str, batch: list[Any], kwargs: dict[str, Any]) -> list[Any]:
        if not batch:
            return []
        answers = self._call(name, (batch,), kwargs)
        if not isinstance(answers, (list, tuple)) or len(answers) != len(batch):
            raise RuntimeError(f"{name}: {len(batch)} were asked, and not as many answers came")
        return list(answers)


def is_ready_answer(value: Any, repl: Repl) -> TypeGuard[dict[str, Any]]:
    """Whether this is a dict of the form that some models were trained to end with."""
    return repl.ready_answer and isinstance(value, dict) and {"content", "ready"} <= value.keys()


def _text(prompt: Any) -> str:
    if isinstance(prompt, str):
        return prompt if type(prompt) is str else str.__str__(prompt)
    return str.__str__(str(prompt))


def _model(name: str, model: Any) -> dict[str, str]:
    if model is None:
        return {}
    if not isinstance(model, str) or len(model) > 200 or "\n" in model or " " in model:
        raise TypeError(
            f"{name}: the second argument is a model's name; put the text into the prompt: question + text"
        )
    return {"model": _text(model)}


def _batch(name: str, items: Any, form: str) -> list[Any]:
    if isinstance(items, (str, bytes, Mapping)) or not isinstance(items, Iterable):
        raise TypeError(f"{name} takes a list, not a {type(items).__name__}: {name}({form})")
    return list(items)


def _pair(one: Any) -> tuple[Any, Any]:
    """(query, context) of what code writes for it."""
    if isinstance(one, Mapping) and "query" in one:
        if extra := set(one) - {"query", "context"}:
            raise TypeError(
                f"rlm_query_batched: a call has the keys query and context, not {sorted(map(str, extra))}"
            )
        return one["query"], one.get("context")
    if isinstance(one, (list, tuple)) and 1 <= len(one) <= 2:
        return one[0], one[1] if len(one) == 2 else None
    if isinstance(one, str):
        return one, None
    raise TypeError("rlm_query_batched takes pairs: [(query1, text1), (query2, text2)]")
