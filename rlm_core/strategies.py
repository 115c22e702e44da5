"""What may be optimized: the advice and the worked examples that a root LM gets beside its contract.

A strategy also names the `wording` in which the contract speaks to its kind of model; what the contract *says* is
generated from the live run and belongs to no strategy.  Strategies are saved as JSON, and never hold a context."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rlm_core.contract import WORDINGS
from rlm_core.home import home

FORMAT = 1  # of the JSON files


class StrategyError(ValueError):
    """No such strategy, or a file that is none; the text is one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Step:
    """One turn of a worked example: what the model said, the code it wrote, and what that printed."""

    reasoning: str = ""
    code: str = ""
    output: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """A worked trajectory, shown as chat before the task.  The last step ends the run, and its output is not shown."""

    query: str
    card: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Strategy:
    """name      how it is picked: `RLM(strategy=NAME)`, `llm -o strategy NAME`
    advice    how to go about it, shown after the contract
    examples  worked trajectories
    wording   how the contract speaks: "full" for strong models, "small" for small ones (see `rlm_core.contract`)
    card_chars, output_chars  the most that the card and a step's output may take, None for the run's own limits"""

    name: str
    advice: str
    examples: tuple[Example, ...] = ()
    wording: str = "full"
    card_chars: int | None = None
    output_chars: int | None = None


DEFAULT = Strategy(
    name="default",
    advice="""\
Look before you decide: print the parts of the context that show how it is built, then plan.
Search the whole text with code before you read pieces of it. Try other words when a search finds nothing.
Let code do what code does exactly: finding, counting, sorting, comparing, arithmetic.
Let sub-calls do what takes reading: meaning, judgement, summaries. Give each the question, one large piece of text, and the \
form of the answer that you want; batch them, and combine their answers in code.
In structured data match field names and their meaning; never pick a value for its size.
Keep results in variables. Before you submit, print what you are about to submit and where it stands in the text.
When the text does not hold the answer, say so; do not answer from memory and do not guess.""",
)

FRUGAL = replace(
    DEFAULT,
    name="frugal",
    advice=DEFAULT.advice
    + """
Sub-calls cost time and money. Make none for what a search or a few lines of code can settle. Batch about 200,000 characters \
into each; never make one call per line or per record.""",
)

# What the small profile shows was found by trying it on Qwen2.5-Coder-0.5B (benchmarks/local_needles.py has the score):
# - A card without samples of the text: with them the model searches for what it read there.
# - Example cards that read exactly as real ones do.
# - Counting first.  Two counts are needed, and more make it stop after one search.
# - Two searches to a block, the second for fewer words: searches are literal, and a small model seldom recovers from an
#   empty one in a later turn; it repeats the code or makes an answer up.
# - Questions that say what form the answer shall have.  Without them such a sentence ("Answer with the value only.") made the
#   model answer at once with a number of the card, and no code.
# - No `[:3]` behind a search.  The model put a bracket too many there and then gave up; long output is cut anyway.
# - Every block in the same form.  Loops over search words, and examples of more than one block, made it worse.


def _card(chars: int, lines: int) -> str:
    tokens = f"about {round(chars / 4, -4):,.0f} tokens (estimated)"
    return f"`context`: str of {chars:,} characters, {tokens}, {lines:,} lines of {chars // lines} characters on average"


def _counting(query: str, words: str, count: int, card: str) -> Example:
    return Example(
        query, card, (Step("", f'print(len(grep("{words}")))', str(count)), Step(f"FINAL({count})"))
    )


def _finding(query: str, found: dict[str, list[str]], answer: str, card: str, near: str = "") -> Example:
    """`found`: the lines by the words that they were searched by.  `near`: what `grep` tells of the first words,
    which no line holds."""
    code = "\n".join(f'print(grep("{words}"))' for words in found)
    output = "\n".join([*([f"(grep: {near})"] if near else []), *map(repr, found.values())])
    return Example(query, card, (Step("", code, output), Step(f"FINAL({answer})")))


_NUMBER, _VALUE = " Answer with the number only.", " Answer with the value only."
_HARBOUR = "The harbour office can be called at 555-0142 on weekdays."
_WINDMILL = "The windmill at Orsa: erected 1887, burnt down in 1902."
_DINNER = "The painter Hana Sato was the only one whom Mr. Lund had invited to his birthday dinner."

SMALL = Strategy(
    name="small",
    advice="",
    wording="small",
    card_chars=120,
    output_chars=1_500,
    examples=(
        _counting(
            f"How many lines are about a delayed train?{_NUMBER}", "delayed train", 31, _card(812_344, 9_120)
        ),
        _counting(
            f"How often is a broken window mentioned?{_NUMBER}", "broken window", 8, _card(96_200, 1_377)
        ),
        _finding(
            f"What is the phone number of the harbour office?{_NUMBER}",
            {"harbour office": [_HARBOUR], "harbour": [_HARBOUR, "The harbour was quiet."]},
            "555-0142",
            _card(420_118, 5_033),
        ),
        _finding(
            "Which opera did the blind tailor see? Answer with one word.",
            {"blind tailor": [], "opera": []},
            "NOT_FOUND",
            _card(540_229, 7_115),
        ),
        _finding(
            f"When was the windmill at Orsa built?{_VALUE}",
            {"windmill at Orsa": [_WINDMILL], "Orsa": [_WINDMILL]},
            "1887",
            _card(310_877, 3_904),
        ),
        _finding(
            f"Who came to Mr. Lund's birthday dinner?{_VALUE} If the text does not say, reply NOT_FOUND.",
            {"Lund's birthday dinner": [], "Lund": ["Mr. Lund had a cold.", _DINNER]},
            "Hana Sato",
            _card(150_030, 2_204),
            near=f"no line holds this as it stands; nearest: {[_DINNER]!r}",
        ),
    ),
)

BUILT_IN = {strategy.name: strategy for strategy in (DEFAULT, SMALL, FRUGAL)}


def load(name: str | Path | Strategy, folder: Path | None = None) -> Strategy:
    """A strategy by name (built in, or a file NAME.json in `folder`, by default where `llm rlm strategies add` keeps
    them), or from a file's path.  Raises StrategyError."""
    if isinstance(name, Strategy):
        return name
    if not isinstance(name, (str, Path)):
        raise TypeError(f"strategy={name!r}: must be a name such as 'default', a file, or a Strategy")
    if str(name) in BUILT_IN:
        return BUILT_IN[str(name)]
    folder = home() / "strategies" if folder is None else folder
    for path in (Path(name), folder / f"{name}.json"):
        if path.is_file():
            return _read(path)
    known = sorted({*BUILT_IN, *(path.stem for path in folder.glob("*.json"))})
    raise StrategyError(f"no strategy or strategy file {str(name)!r}; there are: {', '.join(known)}")


def to_dict(strategy: Strategy) -> dict[str, Any]:
    """A strategy as plain data for JSON."""
    return {"format": FORMAT, **asdict(strategy)}


def from_dict(data: dict[str, Any]) -> Strategy:
    """The strategy that `to_dict` gave.  Raises StrategyError."""
    try:
        fields = dict(data)
        if fields.pop("format") != FORMAT:
            raise StrategyError("of another version of this program; export it again")
        fields["examples"] = tuple(
            Example(example["query"], example["card"], tuple(Step(**step) for step in example["steps"]))
            for example in fields.get("examples", ())
        )
        strategy = Strategy(**fields)
        _check(strategy)
        return strategy
    except KeyError as error:
        raise StrategyError(f"not a strategy (it has no {error})") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise StrategyError(f"not a strategy ({error})") from error


def _check(strategy: Strategy) -> None:
    """Raises ValueError for what the file of a strategy may hold and a run could not use."""
    texts = [strategy.name, strategy.advice]
    for example in strategy.examples:
        texts += [example.query, example.card]
        texts += [text for step in example.steps for text in (step.reasoning, step.code, step.output)]
        if not example.steps:
            raise ValueError("an example without steps")
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("a text is no string")
    if strategy.wording not in WORDINGS:
        raise ValueError(f"wording {strategy.wording!r}: must be one of {', '.join(WORDINGS)}")
    for chars in (strategy.card_chars, strategy.output_chars):
        if chars is not None and (not isinstance(chars, int) or chars < 1):
            raise ValueError(f"{chars!r} characters: must be a whole number, 1 or more")


def save(strategy: Strategy, path: Path) -> None:
    """Writes a strategy as JSON; a folder that is missing is made.  Examples may carry private text of the runs
    they were made from."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(to_dict(strategy), indent=2, ensure_ascii=False) + "\n", "utf-8")


def _read(path: Path) -> Strategy:
    try:
        return from_dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError) as error:  # a StrategyError is a ValueError
        raise StrategyError(f"{path}: {error}") from error
