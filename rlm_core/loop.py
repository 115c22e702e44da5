"""The strategy of a Recursive Language Model (arXiv 2512.24601, algorithm 1), sans-IO.

`Run.steps()` is a generator.  It yields *requests* - ask the root LM, run code, call LMs or child RLMs, use a
tool - and is sent what came of each; and it yields *events*, and is sent nothing.  It never calls a model,
starts a process, waits or looks at a clock: the tree of runs (`rlm_core.tree`) steps it, and a driver
(`drive`, `adrive`) does the work.  So the same loop serves sync and async code, `llm`, DSPy, and a replay
from the journal.

    reply = yield from Ask(view)        # typed: what comes back is named in the request's class
    yield Stepped(...)                  # an event

A failure outside is a reply (`Failed`), never thrown in: what a run has done is never lost to an exception.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from rlm_core import contract, finals, replies
from rlm_core.context import Context, ContextError
from rlm_core.contract import QUERIES, SUB_CALLS, Terms, Tool
from rlm_core.delegates import Delegates
from rlm_core.events import Asking, Event, Noted, Path, Replied, Started, Stepped, SubCalling
from rlm_core.finals import PUSHES_BACK, Judge
from rlm_core.grounding import occurs
from rlm_core.history import KEPT_SHARE, History
from rlm_core.limits import CHARS_PER_TOKEN, Budget, Refused, RunUsage, check_sub_calls
from rlm_core.lms import Completion
from rlm_core.requests import Ask, Delegate, Failed, InSandbox, Query, Recurse, Reply, Request, UseTool
from rlm_core.sandbox.protocol import Done, Execute, HostCall, LMError, Repl, Resume, Submission
from rlm_core.strategies import Strategy
from rlm_core.views import Turn, View

Status = Literal["answered", "not_found", "limit", "error", "cancelled"]

IDLE = 5  # turns in a row of the same code with the same output and variables, and no calls: it will go on so
DEFAULT_WINDOW = 32_768  # tokens; a cautious guess where a model's window is not known
CARD_SECONDS = 0.5  # that the scan for a card may take


@dataclass(frozen=True, slots=True)
class Result:
    """What a run came to.

    answer      the submitted value; the whole dict where there are several fields; None where there is none
    status      answered; not_found: the text does not hold it; limit: ended by a limit, with the best answer
                so far or None; error; cancelled
    limit       the name of the limit that ended it, "" where none did
    failure     the kind of the failed call that ended it, as in LMCallError; "" where none did
    reason      why, in a line, for people: the limit's name, the error, what NOT_FOUND was told
    unverified  the answer was typed by hand and occurs neither in the inputs nor in anything that was printed
                or returned, or no code had run when it was given
    usage       by role, depth and model;  `trajectory`: the turns;  `seconds`: wall time
    """

    answer: Any
    status: Status
    reason: str = ""
    unverified: bool = False
    usage: RunUsage = field(default_factory=RunUsage)
    trajectory: tuple[Turn, ...] = ()
    seconds: float = 0.0
    limit: str = ""
    failure: str = ""


# ---- the task ----------------------------------------------------------------------------------------------


def _some_value(values: dict[str, Any]) -> dict[str, Any]:
    """The check where nothing is known of the values: None is what code holds that has found nothing."""
    if all(value is None for value in values.values()):
        raise ValueError("it is None (NOT_FOUND is for what the text does not hold)")
    return values


@dataclass(frozen=True, slots=True)
class Task:
    """What a run is asked.  `check` may convert the submitted values; its ValueError is shown to the model,
    which goes on.  `hidden`: more values in the REPL, that the prompt need not list: the question's."""

    query: str
    inputs: Mapping[str, Context]
    fields: tuple[str, ...] = ("answer",)
    schema: str = ""  # what the values must be, in words, for the contract
    check: Callable[[dict[str, Any]], dict[str, Any]] = _some_value
    hidden: Mapping[str, Any] = field(default_factory=dict)

    @property
    def input_values(self) -> dict[str, Any]:
        return {name: context.value for name, context in self.inputs.items()}

    @property
    def values(self) -> dict[str, Any]:
        """What the REPL holds of it, by name."""
        return {**self.input_values, **self.hidden}

    @property
    def chars(self) -> int:
        """The length of its inputs."""
        return sum(context.chars for context in self.inputs.values())


@dataclass
class Run:
    """One RLM: a task, a REPL, a root LM.  Children are runs of their own that share the budget."""

    task: Task
    budget: Budget
    strategy: Strategy
    tools: tuple[Tool, ...] = ()
    window: int = DEFAULT_WINDOW  # of the root LM, in tokens
    sub_window: int | None = None  # of sub-calls' model
    depth: int = 0
    path: Path = ()
    offers: frozenset[str] | None = None  # the helpers and sub-calls that its REPL can offer; None: all
    pushes_back: frozenset[str] = PUSHES_BACK  # the rules by which a submission may be pushed back
    delegates: Delegates | None = None  # sub-agents that its code may start, beside sub-calls
    own_limits: Mapping[str, int] = field(default_factory=dict)  # narrower than the budget's
    deeper: int = 0  # levels that sub-agents went beyond the limit of depth, which is on `rlm_query`

    variables: Mapping[str, str] = field(default_factory=dict)
    children: int = 0
    sub_calls: int = 0  # those of its own code
    bad_turns: int = 0
    idle_turns: int = 0
    calls: int = 0  # that its code made to the host
    before: Done | None = None  # what the last step's code came to
    running: replies.Step | None = None  # whose code is in the sandbox

    def __post_init__(self) -> None:
        self.wording = contract.WORDINGS[self.strategy.wording]
        self.limits = replace(self.budget.limits, **self.own_limits)
        self.depth_limit = self.limits.depth + self.deeper
        self.history = History(self._view)
        self.judge = Judge(self.task, self.pushes_back)
        self.card = self._card()
        self.contract = contract.render(self._terms(), self.wording)

    # ---- the algorithm

    def steps(self) -> Generator[Request[Any] | Event, Any, Result]:
        """Yields requests and events, gives the result."""
        yield Started(self.path, self.task.query, self.task.chars, self.card, self._given())
        for context in self.task.inputs.values():
            for note in context.notes:
                yield Noted(self.path, note)
        for turn in range(1, self.limits.iterations + 1):
            yield Asking(self.path, turn, self.limits.iterations)
            reply = yield from self._ask(turn)
            if isinstance(reply, Failed):
                return replace(self.result("error", reply.error), failure=reply.kind)
            result = yield from self._act(reply.step, turn)
            if result:
                return result
            if self.bad_turns >= self.limits.errors:
                if reply.step.code:
                    return (yield from self._last_ask(turn + 1, "errors", ": the same code failed as before"))
                return self.result("error", f"{self.bad_turns} replies in a row held no code to run")
            if self.idle_turns >= IDLE:
                more = f": the same code changed nothing, {IDLE} times in a row"
                return (yield from self._last_ask(turn + 1, "errors", more))
        return (yield from self._last_ask(self.limits.iterations + 1, "iterations"))

    def _ask(self, turn: int, closing: str = "") -> Generator[Request[Any] | Event, Any, Reply | Failed]:
        self.history.compact(self.window)
        reply = yield from Ask(self._view(tuple(self.history.shown), closing))
        if isinstance(reply, Failed) and reply.kind == "overflow" and self.history.shown:
            yield Noted(self.path, f"{reply.error} - history compacted, asking again")
            # the window is smaller than it was thought
            self.window = min(self.window, self.history.size // CHARS_PER_TOKEN)
            self.history.compact(self.window, 0.0, KEPT_SHARE / 2)
            reply = yield from Ask(self._view(tuple(self.history.shown), closing))
        elif isinstance(reply, Failed) and reply.kind == "broken_off":  # what was shown of it is forgotten
            yield Noted(self.path, f"{reply.error} - asking again")
            reply = yield from Ask(self._view(tuple(self.history.shown), closing))
        if isinstance(reply, Failed):
            yield Replied(self.path, turn, "", "", error=reply.error, seconds=reply.seconds)
        else:
            code, used = reply.step.code, (reply.usage, reply.model)
            yield Replied(self.path, turn, reply.text, code, *used, seconds=reply.seconds)
        return reply

    def _act(self, step: replies.Step, turn: int) -> Generator[Request[Any] | Event, Any, Result | None]:
        """One step: run the reply's code, or take its text-level final.  A result ends the run."""
        last, calls = turn >= self.limits.iterations, self.calls
        if step.code:
            done = yield from self._run_code(step)
        elif step.final:
            done = yield from self._final(step.final)
        elif self._says_again(step.prose):
            done = Done("", None, Submission("submit", {self.task.fields[0]: step.prose}, literal=True))
        else:
            self.bad_turns += 1
            told = self.wording.no_code.format(submit=contract.submit_call(self.task.fields))
            yield self._record(step, Done("", None), told, turn)
            return None
        said = ""
        if done.submitted:
            values, said = self.judge.judge(done.submitted, step.code, done.output, self.history, last)
            if values is not None:
                yield self._record(step, done, "", turn)
                return self._settled(done.submitted, values)
            yield Noted(self.path, said)
            if self.judge.misfit:  # the code's mistake, like any other
                done, said = replace(done, error=said), ""
        elif step.code:
            said = self._nudge(step.code, done)
        again = bool(step.code) and self._as_before(step.code, done)
        blind = not step.code and done.submitted is not None and done.submitted.kind == "not_found"
        self.bad_turns = self.bad_turns + 1 if (again and done.error) or blind else 0
        idle = again and self.calls == calls and self._left_as_it_was(done)
        self.idle_turns = self.idle_turns + 1 if idle else 0
        self.before = done
        yield self._record(step, done, said, turn)
        return None

    def _last_ask(
        self, turn: int, limit: str, more: str = ""
    ) -> Generator[Request[Any] | Event, Any, Result]:
        """A limit ends the steps: one last answer is asked for, with everything still in the prompt."""
        variables = ", ".join(f"{name} ({what})" for name, what in self.variables.items())
        closing = self.wording.last.format(
            submit=contract.submit_call(self.task.fields),
            query=self.task.query,
            variables=f"\nYour variables: {variables}." if variables else "",
        )
        reply = yield from self._ask(turn, closing)
        if isinstance(reply, Failed):
            return self.limited(limit, f"{more}; the last ask failed: {reply.error}")
        step = reply.step
        done = Done("", None, reply.submission)
        if not reply.submission:
            if step.code:
                done = yield from self._run_code(step)
            elif step.final:
                done = yield from self._final(step.final)
            elif step.prose and len(self.task.fields) == 1:
                done = Done("", None, Submission("submit", {self.task.fields[0]: step.prose}, literal=True))
            yield self._record(step, done, "", turn)
        if done.submitted:
            values, _ = self.judge.judge(done.submitted, step.code, done.output, self.history, last=True)
            if values is not None:
                self.judge.draft = values
                settled = self._settled(done.submitted, values)
                if settled.status == "not_found":
                    return settled
                return replace(settled, status="limit", reason=f"{limit}{more}", limit=limit)
        return self.limited(limit, more)

    def _given(self) -> str:
        """The text that a child was given."""
        context = self.task.inputs.get("context") if self.path else None
        return context.value if context is not None and isinstance(context.value, str) else ""

    # ---- a step's code, and what it asks of the host

    def _run_code(self, step: replies.Step) -> Generator[Request[Any] | Event, Any, Done]:
        self.running = step
        done = yield from self._execute(step.code)
        self.running = None
        return done

    def _execute(self, code: str) -> Generator[Request[Any] | Event, Any, Done]:
        frame = yield from InSandbox(Execute(code, self.limits.step_seconds))
        while isinstance(frame, HostCall):
            self.calls += 1
            try:
                value = yield from self._serve(frame)
            except (Refused, ContextError, TypeError, ValueError) as error:
                value = Failed(str(error))
            except LookupError:  # arguments that our own functions in the worker do not send
                value = Failed(f"{frame.name}() was called with the wrong arguments")
            if isinstance(value, Failed):
                frame = yield from InSandbox(Resume(error=value.error))
            else:
                frame = yield from InSandbox(Resume(value))
        self.variables = frame.variables or self.variables
        return frame

    def _serve(self, call: HostCall) -> Generator[Request[Any] | Event, Any, Any]:
        """What the code asked for; a `Failed` is raised there.  Refusals and wrong arguments raise here."""
        is_tool = call.name in {tool.name for tool in self.tools}
        if is_tool or (self.delegates and call.name == self.delegates.module):
            asked = UseTool(call.name, call.args, call.kwargs) if is_tool else self._delegate(call)
            value = yield from asked
            if not isinstance(value, Failed):
                self.history.returned.append(str(value))
            return value
        if call.name == "llm_query":
            if not call.args[0]:
                raise ValueError("prompt cannot be empty")
            (answer,) = yield from self._query((call.args[0],), call.kwargs.get("model"))
        elif call.name == "llm_query_batched":
            return (yield from self._query(tuple(call.args[0]), call.kwargs.get("model")))
        elif call.name == "rlm_query":
            (answer,) = yield from self._recurse((call.args,))
        else:
            return (yield from self._recurse(tuple(map(tuple, call.args[0]))))
        return Failed(str(answer).removeprefix("[ERROR] ")) if isinstance(answer, LMError) else answer

    def _query(
        self, prompts: tuple[str, ...], model: str | None
    ) -> Generator[Request[Any] | Event, Any, list[str | LMError]]:
        for prompt in prompts:
            if not isinstance(prompt, str):
                raise TypeError(f"a prompt must be a str, not {type(prompt).__name__}")
            if self.sub_window and len(prompt) > self.sub_window * CHARS_PER_TOKEN:
                raise Refused(
                    f"a prompt of {len(prompt):,} characters does not fit the model's window of about "
                    f"{self.sub_window * CHARS_PER_TOKEN:,} characters; none was sent. Send smaller pieces."
                )
        self.reserve_sub_calls(len(prompts))
        yield SubCalling(self.path, "llm_query", len(prompts))
        answers = yield from Query(prompts, model)
        return self._returned(answer.text if isinstance(answer, Completion) else answer for answer in answers)

    def _recurse(
        self, calls: tuple[tuple[Any, ...], ...]
    ) -> Generator[Request[Any] | Event, Any, list[str | LMError]]:
        """Each call is (query, context), or (query,) for the inputs of this run itself."""
        tasks = tuple(self._child_task(*call) for call in calls)
        if self.depth + 1 >= self.depth_limit:  # at the depth limit a plain call
            return (yield from self._query(tuple(map(_as_prompt, tasks)), None))
        self.reserve_sub_calls(len(tasks))
        children = tuple(map(self._child, tasks))
        yield SubCalling(self.path, "rlm_query", len(children))
        results = yield from Recurse(children)
        return self._returned(_answer(result) if isinstance(result, Result) else result for result in results)

    def _delegate(self, call: HostCall) -> Generator[Request[Any] | Event, Any, Any]:
        assert self.delegates
        kind, child = self.delegates.kind(*call.args), self.delegates.child(*call.args)
        if child is None:
            yield SubCalling(self.path, kind, 1)
            return (yield from Delegate(call.name, call.args, call.kwargs))
        self.reserve_sub_calls(1)
        run = self._child(child.task, tools=child.tools, own_limits=child.limits, deeper=self.deeper + 1)
        yield SubCalling(self.path, kind, 1)
        (result,) = yield from Recurse((run,))
        return child.value(result) if isinstance(result, Result) else result

    def reserve_sub_calls(self, count: int) -> None:
        """Counts sub-calls of this run's code.  Raises Refused."""
        check_sub_calls(self.limits.sub_calls, self.sub_calls, count)
        self.budget.reserve_sub_calls(count)
        self.sub_calls += count

    def _child_task(self, query: Any, *context: Any) -> Task:
        inputs = {"context": Context.of(context[0])} if context else self.task.inputs
        return Task(str(query), inputs)

    def _returned(self, answers: Any) -> list[str | LMError]:
        texts = [
            LMError(f"[ERROR] {answer.error}") if isinstance(answer, Failed) else answer for answer in answers
        ]
        self.history.returned.extend(text for text in texts if not isinstance(text, LMError))
        return texts

    def _child(self, task: Task, **own: Any) -> Run:
        """`own`: fields in which it is not like this run."""
        self.children += 1
        given = {
            "tools": self.tools,
            "window": self.sub_window or self.window,  # the sub-LM plays its root
            "sub_window": self.sub_window,
            "offers": self.offers,
            "pushes_back": self.pushes_back,
            "delegates": self.delegates,
            "deeper": self.deeper,
        }
        place = {"depth": self.depth + 1, "path": (*self.path, self.children)}
        return Run(task, self.budget, self.strategy, **{**given, **place, **own})

    # ---- finals

    def _says_again(self, prose: str) -> bool:
        """A bare value without code, twice, that stands in what was searched: an answer but for its form."""
        before = self.history.turns[-1] if self.history.turns else None
        return (
            len(self.task.fields) == 1
            and before is not None
            and not before.code
            and before.reasoning == prose
            and len(prose) <= finals.MAX_GROUNDED
            and any(character.isalnum() for character in prose)
            and not occurs(prose, self.task.query)
            and self.judge.verified({self.task.fields[0]: prose}, self.history)
        )

    def _final(self, final: replies.Final) -> Generator[Request[Any] | Event, Any, Done]:
        """A text-level final: the value of a variable where it names one, else its own text."""
        name = final.var or (final.value if final.value in self.variables else "")
        if name:
            return (yield from self._execute(f"FINAL_VAR({name!r})"))
        return finals.read(final, self.task.fields)

    def _settled(self, submitted: Submission, values: dict[str, Any]) -> Result:
        if submitted.kind == "not_found":
            return self.result("not_found", str(values.get("reason", "")), {})
        unverified = submitted.literal and not self.judge.verified(values, self.history)
        return replace(self.result("answered", "", values), unverified=unverified)

    # ---- what the root LM is told

    def _nudge(self, code: str, done: Done) -> str:
        """A word on a step that leads nowhere."""
        turns = self.history.turns
        if self._as_before(code, done):
            return "The same code gave the same output. Answer from it, or try something else."
        names = (*self.task.inputs, *LOOKING)
        if not any(name in turn.code for turn in (*turns, Turn("", code)) for name in names):
            return f"No code has looked into {' or '.join(f'`{name}`' for name in self.task.inputs)} yet."
        return ""

    def _as_before(self, code: str, done: Done) -> bool:
        """Whether the turn before ran the same code, and it came to the same."""
        if not self.history.turns:
            return False
        turn = self.history.turns[-1]
        same_error = (
            turn.error.split("\n")[-1] == (done.error or "").split("\n")[-1]
        )  # the rest numbers cells
        return same_error and (turn.code, turn.output) == (code, done.output)

    def _left_as_it_was(self, done: Done) -> bool:
        """Whether the variables are what they were after the step before, as far as is known of each."""
        before, known = self.before, done.fingerprints.keys() >= done.variables.keys()
        return before is not None and known and before.fingerprints == done.fingerprints

    def _record(self, step: replies.Step, done: Done, said: str, turn: int) -> Event:
        """Adds a turn to the trajectory and gives its event."""
        error = done.error or ""
        shown = "\n".join(part for part in (done.output.rstrip("\n"), error, said) if part)
        if not shown and not done.submitted:
            shown = contract.NO_OUTPUT
        left = f"; left: {left}" if (left := self.budget.left()) else ""
        place = contract.PLACE.format(turn=turn, turns=self.limits.iterations, left=left)
        shown = self.wording.after.format(shown=shown, query=self.task.query, place=place)
        reasoning = step.prose or ("" if step.code else finals.as_text(step.final))
        self.history.add(Turn(reasoning, step.code, done.output, error, shown))
        return Stepped(self.path, turn, step.code, done.output, error, shown, done.seconds, done.looked)

    def _view(self, turns: tuple[Turn, ...], closing: str = "") -> View:
        return View(self.contract, self.strategy, self.card, self.task.query, turns, closing, self.path)

    def _card(self) -> str:
        chars = self.strategy.card_chars or min(4_000, self.window * CHARS_PER_TOKEN // 10)
        share = chars // max(1, len(self.task.inputs))
        seconds = CARD_SECONDS if not self.path else CARD_SECONDS / 5  # children may be many
        own = {*self.task.inputs, *(tool.name for tool in self.tools)}
        taught = "data" in self.wording.teaches and "data" not in own
        cards = []
        for name, context in self.task.inputs.items():
            data = "data" if name == "context" and taught else None
            cards.append(f"`{name}`: {context.card(max_chars=share, seconds=seconds, data=data)}")
        return "\n\n".join(cards)

    def _terms(self) -> Terms:
        return Terms(
            inputs=tuple(self.task.inputs),
            helpers=(*self.repl.helpers, *self._sub_calls()),
            tools=self.tools,
            fields=self.task.fields,
            schema=self.task.schema,
            sub_window=self.sub_window,
            iterations=self.limits.iterations,
            step_seconds=self.limits.step_seconds,
            sub_calls=self.limits.sub_calls,
        )

    def _sub_calls(self) -> list[str]:
        """The sub-call functions worth teaching: at the depth limit an `rlm_query` is a plain call."""
        own = {*self.task.inputs, *(tool.name for tool in self.tools)}
        deeper = self.depth + 1 < self.depth_limit
        return [n for n in self.repl.tools if n in SUB_CALLS and n not in own and (deeper or n in QUERIES)]

    # ---- what the run's REPL holds

    @property
    def repl(self) -> Repl:
        """What the run's sandbox session must offer.  An input or a tool that bears a helper's name wins."""
        own = {*self.task.inputs, *(tool.name for tool in self.tools)}
        default = Repl()
        calls_lms = self.depth_limit > self.depth
        sub_calls = self._offered(SUB_CALLS) if calls_lms else ()
        delegates = self.delegates if calls_lms else None
        return Repl(
            tools=(*(tool.name for tool in self.tools), *(name for name in sub_calls if name not in own)),
            helpers=tuple(name for name in self._offered(default.helpers) if name not in own),
            fields=self.task.fields,
            ready_answer="answer" not in own,
            modules={delegates.module: delegates.source} if delegates else {},
            output_chars=self._output_chars(),
            memory=self.limits.memory,
        )

    def _offered(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if self.offers is None or name in self.offers)

    def _output_chars(self) -> int:
        most = self.strategy.output_chars or self.limits.output_chars
        return min(most, self.window * CHARS_PER_TOKEN // 8)

    def result(self, status: Status, reason: str = "", values: dict[str, Any] | None = None) -> Result:
        """The result as of now; without `values`, with the best there is: the last submission that was pushed
        back.  A step whose code still runs is the last turn, and its error says so."""
        turns = list(self.history.turns)
        if self.running:
            why = f"the run reached its limit of {reason}" if status == "limit" else reason or status
            error = f"This code was cut off before its end: {why}"
            turns.append(Turn(self.running.prose, self.running.code, error=error))
        if values is None:
            values = self.judge.draft or {}
            reason = "; ".join(filter(None, (reason, self.judge.misfit)))
        if not values:
            answer = None
        elif len(self.task.fields) == 1:
            answer = values.get(self.task.fields[0])
        else:
            answer = values
        spent = (self.budget.usage, tuple(turns), self.budget.seconds)
        return Result(answer, status, reason, False, *spent)

    def limited(self, limit: str, more: str = "") -> Result:
        """The result as of now, of a run that a limit ends.  `more`: what else there is to say of it."""
        return replace(self.result("limit", f"{limit}{more}"), limit=limit)


LOOKING = ("grep", "chunks", "data")  # helpers that look into the inputs


def _as_prompt(task: Task) -> str:
    """A child's task as the prompt of a plain call."""
    return "\n\n".join([task.query, *(str(context.value) for context in task.inputs.values())])


def _answer(result: Result) -> str | Failed:
    """A child's answer as its parent's code sees it."""
    if result.status == "not_found":
        return f"NOT_FOUND: {result.reason}"
    if result.answer is None:
        return Failed(f"the child RLM ended without an answer ({result.status}: {result.reason})")
    return result.answer if isinstance(result.answer, str) else str(result.answer)
