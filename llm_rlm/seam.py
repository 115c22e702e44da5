"""Which part of an llm prompt is the context, and which the question.

llm joins the two before a model sees them, in ways that depend on how it was called:

    < f "Q"                     one text, "<stdin> Q"
    -f f "Q"                    a fragment, and "Q"
    -a f "Q", --at - TYPE "Q"   an attachment, and "Q"
    -s "Q" < f                  the text, and Q as system prompt
    -t NAME                     the template's text around or before all this
    -c, llm chat, conversation()  earlier turns before it, in `prompt.messages`

In the command line the raw argument is still to be had from click, so the seam is exact.  Where it is not
found (a program that passes one text) the whole prompt is the context, and states its own task.

A follow-up finds the earlier context again by the record that each answer carries in its
`provider_metadata`: `{"rlm": {"context": [[name, start, end], ...], "question": Q}}`, offsets in the text
of the user's message before it."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from typing import Any

import click
import llm

from llm_rlm.loader import Found
from rlm_core import documents
from rlm_core.decoding import binary_kind
from rlm_core.documents import DocumentError

LONG = 10_000  # characters: a question is shorter, and so is an earlier message that is no context
HERE = "[the text in `context`]"

NOTHING_TO_READ = (
    "there is no text to read: {why}. Give one by stdin, with -f FILE, -f rlm:PATH (folders too) or -a FILE"
)


class BadInput(llm.ModelError):
    """The prompt cannot be worked on; the text is one line that says what to do."""


@dataclass
class Seam:
    """documents     name -> text, in order
    question      what is asked, "" where the context itself states the task
    instructions  the system prompt, where it is not the question
    earlier       (question, answer) of the turns before
    seen          name -> what only a model can look at: images and the like
    spans         [name, start, end] of the context within the text of this turn's message
    stdin         (start, end) of what came by stdin within the prompt's own text
    notes         what the user should be told: files skipped, encodings guessed"""

    documents: dict[str, str] = field(default_factory=dict)
    question: str = ""
    instructions: str = ""
    earlier: list[tuple[str, str]] = field(default_factory=list)
    seen: dict[str, llm.Attachment] = field(default_factory=dict)
    spans: list[list[Any]] = field(default_factory=list)
    stdin: tuple[int, int] | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def context(self) -> str | dict[str, str]:
        """What the REPL's `context` holds."""
        if not self.documents:
            return self.question
        return next(iter(self.documents.values())) if len(self.documents) == 1 else self.documents

    @property
    def query(self) -> str:
        """What the root model is asked."""
        if not self.seen:
            return self.asked
        names = ", ".join(map(repr, self.seen))
        told = (
            f"Attached: {names}. Code cannot see them; a model that llm_query calls can, if the prompt "
            "names them."
        )
        return "\n\n".join(filter(None, (self.asked, told)))

    @property
    def asked(self) -> str:
        """The question, with the turns before it and its instructions."""
        if not self.question and not self.instructions and not self.earlier:
            return ""
        parts = []
        if self.earlier:
            parts.append(f"Earlier in this conversation:\n{_told(self.earlier)}\n\nThe question now:")
        parts.append(self.question or "The context itself states the task.")
        if self.instructions:
            parts.append(f"Instructions: {self.instructions}")
        return "\n\n".join(parts)

    @property
    def record(self) -> dict[str, Any]:
        """What the answer carries, for follow-ups."""
        return {"rlm": {"context": self.spans, "question": self.question}}

    def add(self, name: str, text: str) -> str:
        """Adds a document under a name of its own, and gives that name."""
        own, count = name, 1
        while own in self.documents and self.documents[own] != text:
            count += 1
            own = f"{name} ({count})"
        self.documents[own] = text
        return own


def _told(turns: list[tuple[str, str]]) -> str:
    return "\n".join(f"Question: {question}\nAnswer: {answer}" for question, answer in turns)


def find(prompt: Any) -> Seam:
    """The seam of an `llm.Prompt`.  Raises BadInput; reads the attachments' files and URLs, and nothing
    else."""
    seam = Seam()
    before, text, attachments = _turns(prompt)
    _recall(seam, before)
    fragments = [str(fragment) for fragment in prompt.fragments]
    sources = [getattr(fragment, "source", None) or "" for fragment in prompt.fragments]
    names = _names([*sources, *(attachment.path or attachment.url or "" for attachment in attachments)])
    blank = []

    start = 0
    for number, (name, fragment) in enumerate(zip(names, fragments, strict=False), 1):
        name = name or f"fragment {number}"
        _check_text(fragment, name)
        if fragment.strip():
            seam.spans.append([seam.add(name, fragment), start, start + len(fragment)])
        else:
            blank.append(f"{name} is empty")
        start += len(fragment) + 1  # llm joins with newlines
    for name, attachment in zip(names[len(fragments) :], attachments, strict=True):
        why = _attach(seam, name, attachment)
        if why:
            blank.append(why)

    _check_text(text, "stdin")
    others = bool(seam.documents or seam.seen or seam.earlier)
    span, seam.question = _cut(text, others)
    if span and not seam.question and not prompt.system and others and span[1] - span[0] <= LONG:
        span, seam.question = None, text  # files to read, and what comes by stdin asks about them
    if span and text[slice(*span)].strip():
        seam.stdin = span
        seam.spans.append([seam.add("stdin", text[slice(*span)]), start + span[0], start + span[1]])
    seam.instructions = _instructions(prompt, before, seam)
    if not seam.question.strip():
        seam.question, seam.instructions = seam.instructions, ""

    _lay_aside(seam)
    if blank and len(blank) == len(names) and not seam.stdin:
        raise BadInput(NOTHING_TO_READ.format(why=blank[0]))
    if not (seam.documents or seam.seen or seam.earlier):
        _refuse_nothing(seam.question)
    return seam


def _lay_aside(seam: Seam) -> None:
    """What is too long for the root model's prompt becomes a text to look into."""
    if len(seam.question) > LONG:
        alone = not seam.documents
        name = seam.add("question", seam.question)
        seam.question = "" if alone else f"It is long: it is the text {name!r}. Read it first."
    if len(seam.instructions) > LONG:
        name = seam.add("instructions", seam.instructions)
        seam.instructions = f"They are long: they are the text {name!r}."
    size = 0
    for index, (question, answer) in reversed(list(enumerate(seam.earlier))):
        size += len(question) + len(answer)
        if size > 2 * LONG:
            older, seam.earlier = seam.earlier[: index + 1], seam.earlier[index + 1 :]
            seam.add("earlier conversation", _told(older))
            return
    if seam.earlier and not (seam.documents or seam.seen):  # another model's turns, and what was read there
        seam.add("earlier conversation", _told(seam.earlier))


# ---- the parts of a prompt


def _turns(prompt: Any) -> tuple[list[Any], str, list[llm.Attachment]]:
    """The messages before this turn, and this turn's own text and attachments."""
    explicit = getattr(prompt, "_explicit_messages", None)
    before, text, attachments = list(explicit or ()), prompt._prompt or "", list(prompt.attachments)
    if text or prompt.fragments or attachments:
        return before[:-1], text, attachments
    while before and before[-1].role != "user":  # a program that passes nothing but messages
        before.pop()
    if before:
        last = before.pop()
        text = _text(last)
        attachments = [part.attachment for part in last.parts if getattr(part, "attachment", None)]
    return before, text, attachments


def _text(message: Any) -> str:
    return "".join(part.text for part in message.parts if type(part).__name__ == "TextPart")


def _recall(seam: Seam, messages: list[Any]) -> None:
    """The context and the questions of earlier turns."""
    user = None
    for message in messages:
        if message.role == "user":
            user = message
        elif message.role == "assistant" and user is not None:
            asked, answer = _text(user), _text(message)
            record = _record(message)
            if record:
                for name, start, end in record["context"]:
                    seam.add(name, asked[start:end])
                question = record["question"]
            elif len(asked) > LONG:  # a turn of another model
                seam.add("earlier message", asked)
                question = "(about the text `earlier message`)"
            else:
                question = asked
            held = [part.attachment for part in user.parts if getattr(part, "attachment", None)]
            for name, attachment in zip(_names([a.path or a.url or "" for a in held]), held, strict=True):
                try:
                    _attach(seam, name, attachment)
                except BadInput as error:
                    seam.notes.append(f"of an earlier turn, and left out: {error}")
            if len(answer) > LONG:
                answer = f"(in the text {seam.add('earlier answer', answer)!r})"
            if answer:
                seam.earlier.append((question, answer))
            user = None


def _record(message: Any) -> dict[str, Any] | None:
    for part in message.parts:
        record = (part.provider_metadata or {}).get("rlm")
        if isinstance(record, dict) and isinstance(record.get("context"), list):
            return {"context": record["context"], "question": str(record.get("question", ""))}
    return None


def _instructions(prompt: Any, before: list[Any], seam: Seam) -> str:
    """This turn's system prompt, or else the conversation's, if that was not the question of an earlier
    turn."""
    if prompt.system:
        return str(prompt.system)
    asked = {question for question, _ in seam.earlier}
    given = [text for message in before if message.role == "system" and (text := _text(message)) not in asked]
    return "\n\n".join(given)


def _attach(seam: Seam, name: str, attachment: llm.Attachment) -> str:
    """Text to the documents, what only a model can look at to `seen`.  Gives why there is nothing in it, or
    ""."""
    type_ = attachment.resolve_type() or ""
    if type_.startswith(("image/", "audio/", "video/")):
        seam.seen[name or f"attachment {len(seam.seen) + 1}"] = attachment
        return ""
    try:
        if attachment.path:
            found = documents.read(attachment.path)
        else:
            found = documents.read_bytes(attachment.content_bytes(), name or "stdin")
    except DocumentError as error:
        if not isinstance(attachment, Found):
            raise BadInput(str(error)) from None
        seam.notes.append(f"skipped: {error}")
        return str(error)
    except Exception as error:  # whatever fetching a URL may raise
        raise BadInput(f"{attachment.url or name} cannot be read: {error}") from error
    for inner, text in found.texts.items():
        seam.add((name or inner) if found.single else f"{name}/{inner}", text)
    if found.skipped:
        seam.notes.append(f"{name}: {found.skipped_line()}")
    for inner, encoding in found.encodings.items():
        seam.notes.append(f"{name if found.single else inner} was read as {encoding}, which is a guess")
    return "" if any(map(str.strip, found.texts.values())) else f"{name} is empty"


def _names(sources: list[str]) -> list[str]:
    """Short names: paths from the folder that they share."""
    folders = [os.path.dirname(source) for source in sources if os.path.isabs(source)]
    shared = os.path.commonpath(folders) if folders else ""
    return [os.path.relpath(source, shared) if os.path.isabs(source) else source for source in sources]


# ---- the seam within the text


def _cut(text: str, others: bool) -> tuple[tuple[int, int] | None, str]:
    """(start, end) of the context within `text`, and the question.  `others`: there is context beside it."""
    if not text:
        return None, ""
    params = _command_line()
    if params is None:
        return (None, text) if others else ((0, len(text)), "")
    try:
        around, asked = _framing(params)
        inner = _between(text, around)
        end = _end_of_stdin(inner, asked)
    except Exception:  # click's parameters or llm's templates are not as we know them
        return (None, text) if others else ((0, len(text)), "")
    if around == ("", ""):
        return ((0, end) if end else None), asked
    if not end:  # a template around the argument
        if others:
            return None, text
        end, asked = len(inner), ""
    start = len(around[0])
    question = f"{around[0]}{HERE}{' ' + asked if asked else ''}{around[-1]}"
    return (start, start + end), question


def _command_line() -> dict[str, Any] | None:
    """The parameters of `llm prompt`, where that is what runs."""
    context = click.get_current_context(silent=True)
    if context is None or context.command.name != "prompt" or "prompt" not in context.params:
        return None
    return context.params


def _end_of_stdin(text: str, asked: str) -> int:
    """How much of "<stdin> <asked>" is stdin."""
    if not asked:
        return len(text)
    if text == asked:
        return 0
    if not text.endswith(f" {asked}"):
        raise ValueError("the argument is not the end of the prompt")
    return len(text) - len(asked) - 1


def _framing(params: dict[str, Any]) -> tuple[tuple[str, ...], str]:
    """What the templates put around their `$input`, and what follows stdin in it (or after it, without
    `$input`)."""
    argument, names = params["prompt"], params.get("template") or ()
    if not names:
        return ("", ""), argument or ""
    from llm.cli import _apply_template, load_template

    templates = [load_template(name) for name in ([names] if isinstance(names, str) else names)]

    def apply(text: str | None) -> str:
        given, system = dict(params.get("param") or ()), params.get("system")
        for template in templates:
            text, system = _apply_template(template, text, given, system)
        return text or ""

    if not any("input" in template.vars() for template in templates):
        return ("", ""), apply(argument)
    mark = "\0input\0"
    return tuple(apply(mark).split(mark)), argument or ""


def _between(text: str, around: tuple[str, ...]) -> str:
    """What stands in the gaps of `around`, the same in each."""
    gaps = len(around) - 1
    size, rest = divmod(len(text) - sum(map(len, around)), gaps)
    inner = text[len(around[0]) : len(around[0]) + size]
    if rest or inner.join(around) != text:
        raise ValueError("the prompt is not what the template makes")
    return inner


# ---- refusals


def _check_text(text: str, name: str) -> None:
    """Refuses what is no text, before anything is paid for: llm could not log it."""
    if text.isascii():
        raw = text[:8_000].encode()
    else:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            kind = binary_kind(text[:8_000].encode("utf-8", "surrogateescape"))
            what = f"is binary ({kind})" if kind else "is not UTF-8"
            raise BadInput(
                f"{name} {what} (at character {error.start:,}): give the file by name, -f rlm:FILE, "
                "which knows many encodings and formats"
            ) from None
        raw = text[:8_000].encode()
    if kind := binary_kind(raw):
        raise BadInput(f"{name} is binary ({kind}), not text: give the file by name, -f rlm:FILE")


def _refuse_nothing(question: str) -> None:
    if not question.strip():
        raise BadInput(
            "there is no question and no text: give both, as in llm -m rlm-MODEL -f FILE 'question'"
        )
    if _command_line() is not None and _stdin_was_read():
        raise BadInput(NOTHING_TO_READ.format(why="stdin was empty"))


def _stdin_was_read() -> bool:
    """Whether stdin was anything but a terminal, which llm leaves alone."""
    return sys.stdin is None or not sys.stdin.isatty()
