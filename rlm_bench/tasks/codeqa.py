"""Questions of real code, the interpreter's own library or the folder `src`; `ast` is the oracle.

define_where     the file that defines a class
base_of          the base of a class
subclasses       all classes that derive from a class, directly or through others
default_value    the default of a function's parameter
constant_value   the value of a constant
callers_of       the functions of a file that call another of its functions
raises_in        the exceptions that a function raises
longest_function_in  the longest function of a file
unused_import    the one name that a file imports and never uses
count_decorated  how many functions of the whole text have a decorator
choice           which of four statements about the code is true

Texts depend on the version of Python. `renamed` gives all names invented words, so that memory of the library
is no help.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from rlm_bench import code, stdlib
from rlm_bench.code import Function, Module
from rlm_bench.samples import BuildError, Sample, flat, rng
from rlm_bench.tasks.task import Draft, Params, Task, one_of, positive

DRAWS = 300  # of files, until they have what a question is about


class Asked(NamedTuple):
    """What a question is about: `file` where it is about one, and what is asked for there."""

    name: str
    file: str = ""
    part: str = ""


@dataclass(frozen=True)
class Code:
    """All the files of a context, and what is in them once."""

    modules: list[Module]

    @cached_property
    def files(self) -> dict[str, Module]:
        return {module.path: module for module in self.modules}

    @cached_property
    def named(self) -> Counter[str]:
        """Classes, functions and methods of all files, by name."""
        return sum((module.named for module in self.modules), Counter())

    @cached_property
    def classes(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """Name -> (file, bases) of top-level classes that share their name with nothing else."""
        found = ((name, (module.path, bases)) for module in self.modules for name, bases in module.classes)
        return {name: told for name, told in found if self.named[name] == 1 and len(name) > 3}

    @cached_property
    def functions(self) -> dict[str, tuple[str, Function]]:
        """The same of top-level functions."""
        found = ((one.name, (module.path, one)) for module in self.modules for one in module.functions)
        return {name: told for name, told in found if self.named[name] == 1 and len(name) > 3}

    @cached_property
    def constants(self) -> dict[str, tuple[str, str]]:
        """Name -> (file, value) of constants that no other file assigns."""
        files = Counter(name for module in self.modules for name in module.assigned)
        found = ((name, (m.path, value)) for m in self.modules for name, value in m.constants.items())
        return {name: told for name, told in found if files[name] == 1}

    @cached_property
    def decorators(self) -> Counter[str]:
        return sum((module.decorators for module in self.modules), Counter())

    @cached_property
    def derived(self) -> dict[str, set[str]]:
        """Class -> its direct subclasses, where all their names are there once."""
        found = defaultdict(set)
        for name, (_, bases) in self.classes.items():
            for base in bases:
                found[base].add(name)
        return found

    @cached_property
    def doubtful(self) -> set[str]:
        """Bases of classes whose own names are there several times."""
        return {
            base
            for module in self.modules
            for name, bases in module.classes
            if name not in self.classes
            for base in bases
        }

    def descendants(self, name: str) -> set[str]:
        found: set[str] = set()
        left = [name]
        while left:
            new = self.derived.get(left.pop(), set()) - found
            found |= new
            left += new
        return found


# ---- the questions: what can be asked of a code, in which words, and what is true


def subclasses_of(code: Code) -> Iterable[Asked]:
    for name in code.classes:
        below = code.descendants(name)
        if below and not code.doubtful & {name, *below} and name not in below:
            yield Asked(name)


def callers_in(module: Module, name: str) -> list[str]:
    return [one.name for one in module.functions if name in one.own_calls]


def called(code: Code) -> Iterable[Asked]:
    """Functions with two callers at least, none of them a method or a nested function."""
    for module in code.modules:
        for one in module.functions:
            callers = callers_in(module, one.name)
            every = [other.name for other in module.functions if one.name in other.calls]
            known = len({*callers}) == len(callers) >= 2 and one.name not in callers
            if known and callers == every and one.name not in module.method_calls:
                yield Asked(one.name, module.path)


class Question(NamedTuple):
    wording: str
    scorer: str
    candidates: Callable[[Code], Iterable[Asked]]
    answer: Callable[[Code, Asked], Any]


QUESTIONS: dict[str, Question] = {
    "define_where": Question(
        "Which file defines the class {name}? Answer with the file's path only.",
        "text",
        lambda code: map(Asked, code.classes),
        lambda code, asked: code.classes[asked.name][0],
    ),
    "base_of": Question(
        "What is the base class of the class {name}? Answer with its name only.",
        "text",
        lambda code: (
            Asked(name)
            for name, (_, bases) in code.classes.items()
            if len(bases) == 1 and bases[0] != "object"
        ),
        lambda code, asked: code.classes[asked.name][1][0],
    ),
    "subclasses": Question(
        "Which top-level classes derive from {name}, directly or through other classes? "
        "Answer with their names only, separated by commas.",
        "set",
        subclasses_of,
        lambda code, asked: sorted(code.descendants(asked.name)),
    ),
    "default_value": Question(
        "What is the default value of the parameter {part} of the function {name}? "
        "Answer with the value only.",
        "text",
        lambda code: (
            Asked(name, part=part) for name, (_, one) in code.functions.items() for part in one.defaults
        ),
        lambda code, asked: code.functions[asked.name][1].defaults[asked.part],
    ),
    "callers_of": Question(
        "Which functions of the file {file} call its function {name}? "
        "Answer with their names only, separated by commas.",
        "set",
        called,
        lambda code, asked: callers_in(code.files[asked.file], asked.name),
    ),
    "constant_value": Question(
        "Which value is assigned to the constant {name}? Answer with the value only.",
        "text",
        lambda code: map(Asked, code.constants),
        lambda code, asked: code.constants[asked.name][1],
    ),
    "raises_in": Question(
        "Which exceptions do the raise statements of the function {name} name? "
        "Answer with their names only, separated by commas.",
        "set",
        lambda code: (Asked(name) for name, (_, one) in code.functions.items() if one.raises),
        lambda code, asked: list(code.functions[asked.name][1].raises or ()),
    ),
    "longest_function_in": Question(
        "Which function or method of the file {file} has the most lines, from its def to its end? "
        "Answer with its name only.",
        "text",
        lambda code: (Asked(module.path, module.path) for module in code.modules if module.longest),
        lambda code, asked: code.files[asked.file].longest,
    ),
    "count_decorated": Question(
        "How many functions and methods in all the files together have the decorator @{name}, written just "
        "so? Nested ones count. Answer with the number only.",
        "integer",
        lambda code: (Asked(name) for name, n in sorted(code.decorators.items()) if n >= 3),
        lambda code, asked: code.decorators[asked.name],
    ),
    "unused_import": Question(
        "The file {file} imports one name that it never uses. Which? Answer with the name only.",
        "text",
        lambda code: (Asked(module.path, module.path) for module in code.modules if module.unused),
        lambda code, asked: code.files[asked.file].unused,
    ),
}


# ---- four statements


STATEMENTS = {
    "define_where": "The class {name} is defined in {value}.",
    "base_of": "The base class of {name} is {value}.",
    "default_value": "The parameter {part} of the function {name} is {value} by default.",
    "constant_value": "The constant {name} is {value}.",
}


def statements(code: Code, chance: random.Random) -> tuple[list[str], int] | None:
    """Four of one kind, and the number of the true one; None where the code has too little for them."""
    kinds = list(STATEMENTS)
    chance.shuffle(kinds)
    for kind in kinds:
        asked = list(QUESTIONS[kind].candidates(code))
        values = sorted({str(QUESTIONS[kind].answer(code, one)) for one in asked})
        if len(asked) >= 4 and len(values) >= 3:
            chosen, right = chance.sample(asked, 4), chance.randrange(4)
            made = []
            for number, one in enumerate(chosen):
                value = str(QUESTIONS[kind].answer(code, one))
                if number != right:
                    value = chance.choice([other for other in values if other != value])
                made.append(STATEMENTS[kind].format(name=one.name, part=one.part, value=value))
            return made, right
    return None


def choice_query(made: list[str]) -> str:
    listed = "\n".join(f"{number}: {statement}" for number, statement in enumerate(made))
    return f"Which one of these statements about the code is true?\n{listed}\nAnswer with its number only."


def is_true(code: Code, statement: str) -> bool:
    for kind, form in STATEMENTS.items():
        pattern = re.escape(form)
        for slot in ("name", "part", "value"):
            pattern = pattern.replace(rf"\{{{slot}\}}", rf"(?P<{slot}>\S+)")
        if told := re.fullmatch(pattern, statement):
            asked = Asked(told["name"], part=told.groupdict().get("part") or "")
            return str(QUESTIONS[kind].answer(code, asked)) == told["value"]
    raise BuildError(f"no statement of ours: {statement!r}")


# ---- samples


def build(params: Params, seed: int, index: int) -> Draft:
    kinds = (*QUESTIONS, "choice")
    size, kind = positive(params, "size", 5_000), one_of(params, "question", ("all", *kinds))
    kind = kinds[index % len(kinds)] if kind == "all" else kind
    src = params["src"]
    if not isinstance(src, str | None):
        raise ValueError(f"src={src!r}: must be a folder of Python files")
    chance = rng("codeqa", params, seed, index)
    for _ in range(DRAWS):
        files = stdlib.subset(chance, size, src, whole=True)
        if params["renamed"]:
            files = code.renamed(files, chance)
        text = code.joined(files)
        known = Code(code.modules(text))
        if kind == "choice":
            if four := statements(known, chance):
                return Draft(text, choice_query(four[0]), four[1], "choice", "choice", {"kind": kind})
        elif candidates := list(QUESTIONS[kind].candidates(known)):
            break
    else:
        raise BuildError(f"no files of {size} characters together have what {kind} asks about")
    asked, question = chance.choice(candidates), QUESTIONS[kind]
    alone = holder(known, text, kind, asked)
    return Draft(
        context=text,
        query=question.wording.format(**asked._asdict()),
        answer=question.answer(known, asked),
        answer_type="count" if question.scorer == "integer" else "name",
        scorer=question.scorer,
        meta={
            "kind": kind,
            "asked": tuple(asked),
            "keys": [key for key in asked if key],
            "needles": [alone] if text.count(alone) == 1 else [],
            "elsewhere": True,  # names are said again where they are used
        },
    )


def holder(known: Code, text: str, kind: str, asked: Asked) -> str:
    """What has the answer alone: all of a file, or a definition in it; "" where several do."""
    places: dict[str, Mapping[str, tuple[str, Any]]] = {
        "define_where": known.classes,
        "base_of": known.classes,
        "default_value": known.functions,
        "raises_in": known.functions,
        "constant_value": known.constants,
    }
    path = asked.file or (places[kind][asked.name][0] if kind in places else "")
    source = next((one for one in code.split(text) if one.path == path), None)
    if source is None:
        return ""
    if asked.file:
        return code.HEAD.format(path=path) + source.text
    return code.definition(source.text, asked.name, constant=kind == "constant_value")


def solve(sample: Sample) -> Any:
    known, kind = Code(code.modules(flat(sample.context))), sample.meta["kind"]
    if kind == "choice":
        told = re.findall(r"^\d: (.+)$", sample.query, re.M)
        true = [number for number, statement in enumerate(told) if is_true(known, statement)]
        return true[0] if len(true) == 1 else None
    try:
        return QUESTIONS[kind].answer(known, Asked(*sample.meta["asked"]))
    except KeyError:  # what is asked about is not there
        return None


# ---- what a search without a parser answers


def guess(sample: Sample) -> Any:
    text, kind = flat(sample.context), sample.meta["kind"]
    if kind == "choice":
        return 0
    name, file, part = sample.meta["asked"]
    inside = next((source.text for source in code.split(text) if source.path == file), "")
    if kind == "define_where":
        return next((s.path for s in code.split(text) if re.search(rf"\bclass {name}\b", s.text)), None)
    if kind == "subclasses":
        return re.findall(rf"class (\w+)\(.*\b{name}\b", text)
    if kind == "callers_of":
        bodies = re.split(r"^def (\w+)", inside, flags=re.M)
        return [
            f for f, body in zip(bodies[1::2], bodies[2::2], strict=True) if f"{name}(" in body and f != name
        ]
    if kind == "raises_in":
        body = re.search(rf"^def {name}\b.*?(?=^\S|\Z)", text, re.M | re.S)
        return sorted(set(re.findall(r"\braise (\w+)", body[0]))) if body else None
    if kind == "count_decorated":
        return text.count(f"@{name}\n")
    if kind == "longest_function_in":
        bodies = re.split(r"^\s*def (\w+)", inside, flags=re.M)
        return max(zip(bodies[1::2], bodies[2::2], strict=True), key=lambda one: one[1].count("\n"))[0]
    if kind == "unused_import":
        names = re.findall(r"^(?:import|from \S+ import) (\w+)", inside, re.M)
        return next((one for one in names if len(re.findall(rf"\b{one}\b", inside)) == 1), None)
    pattern = {
        "base_of": rf"class {name}\((?:\w+\.)*(\w+)",
        "default_value": rf"def {name}\([^)]*?\b{part}\s*(?::[^=,]+)?=\s*([^,)]+)",
        "constant_value": rf"^{name} = (.+)$",
    }[kind]
    found = re.search(pattern, text, re.M)
    return found[1] if found else None


TASK = Task(
    name="codeqa",
    version=3,
    defaults={"size": 30_000, "question": "all", "renamed": False, "src": None},
    build=build,
    solve=solve,
    guess=guess,
)
