"""From a signature and the values of a call to the task that the loop runs.

Whatever cannot reach the REPL is refused here, before anything is sent."""

from __future__ import annotations

import dataclasses
import enum
import functools
import warnings
from collections.abc import Mapping
from typing import Any

import dspy
import pydantic
from dspy.adapters.types.decision import Choice, Noul, Score
from dspy.adapters.utils import get_annotation_name, parse_value, translate_field_type
from dspy.primitives.sandbox_serializable import SandboxSerializable

from dspy_rlm.references import Reference
from rlm_core.context import TOO_DEEP, Context, ContextError
from rlm_core.loop import Result, Task

QUESTIONS = ("query", "question")
"""Inputs of these names, beside others, are the question: the prompt holds them whole."""
LONGEST_QUESTION = 4_000  # characters; a longer one is a text to look into, like any other input


def check_names(signature: type[dspy.Signature], given: Mapping[str, Any]) -> None:
    """Raises ValueError for inputs that are missing, or that the signature does not have."""
    declared = set(signature.input_fields)
    if unexpected := sorted(set(given) - declared):
        raise ValueError(f"Unexpected inputs not declared in the signature: {unexpected}")
    if missing := sorted(declared - set(given)):
        raise ValueError(f"Missing required inputs: {missing}")


def task(signature: type[dspy.Signature], given: Mapping[str, Any], rules: str = "") -> Task:
    """What a run is asked.  `rules`: what else the contract says of the REPL.  Raises ContextError for inputs
    that cannot reach the REPL."""
    asked, query = question(signature, given)
    contexts = {name: context(value) for name, value in given.items() if name != asked}
    told = "\n\n".join(part for part in (rules, schema(signature)) if part)
    check = functools.partial(checked, signature)
    hidden = {asked: query} if asked else {}
    return Task(query, contexts, tuple(signature.output_fields), told, check, hidden)


def fields_of(signature: type[dspy.Signature], result: Result) -> dict[str, Any]:
    """The output fields of what a run came to, None each where there is no answer."""
    names = list(signature.output_fields)
    answer = result.answer
    values = answer if len(names) > 1 and isinstance(answer, dict) else {names[0]: answer}
    return {name: values.get(name) for name in names}


def question(signature: type[dspy.Signature], given: Mapping[str, Any]) -> tuple[str, str]:
    """The name of the input that is the question, and its text; ("", the task in words) where none is."""
    for name in QUESTIONS:
        value = given.get(name)
        if isinstance(value, str) and len(given) > 1 and len(value) <= LONGEST_QUESTION:
            return name, value
    return "", default_instructions(signature)


def warn_of_decisions(signature: type[dspy.Signature]) -> None:
    """Says that an RLM gives no evidence for outputs that are decisions."""
    for field in signature.output_fields.values():
        annotation = field.rebuild_annotation()
        if any(kind.extract_custom_type_from_annotation(annotation) for kind in (Noul, Choice, Score)):
            warnings.warn(
                "RLM support for Noul, Choice, and Score outputs is not implemented consistently: their "
                "evidence is not decoded. Use Predict with top-level decision outputs instead.",
                UserWarning,
                stacklevel=4,
            )
            return


def default_instructions(signature: type[dspy.Signature]) -> str:
    """What DSPy says of a signature without a docstring."""
    return _default_instructions(tuple(signature.input_fields), tuple(signature.output_fields))


@functools.lru_cache(256)
def _default_instructions(inputs: tuple[str, ...], outputs: tuple[str, ...]) -> str:
    return str(dspy.Signature(f"{', '.join(inputs)} -> {', '.join(outputs)}").instructions)


def own_instructions(signature: type[dspy.Signature]) -> str:
    """The docstring that the user gave, or ""."""
    instructions = str(signature.instructions or "")
    return "" if instructions == default_instructions(signature) else instructions


def context(value: Any) -> Context:
    """A reference is read, None and bytes stay what they are; all else as `Context.of`, once it is plain.  Of
    what sets itself up in the REPL, the preview.  Raises ContextError."""
    if isinstance(value, Context):
        return value
    if isinstance(value, SandboxSerializable):
        value = value.rlm_preview()
    try:
        value = plain(value.read() if isinstance(value, Reference) else value)
    except RecursionError:
        raise ContextError(TOO_DEEP) from None
    if value is None or isinstance(value, bytes):
        return Context(value, len(value or b"None"))
    return Context.of(value)


def plain(value: Any) -> Any:
    """pydantic objects, dataclasses, enums, DataFrames and arrays as the plain data they stand for; the very
    same object where there is nothing to change."""
    if isinstance(value, (str, bytes, int, float, type(None))) and not isinstance(value, enum.Enum):
        return value
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, dspy.Type):  # an image: dumped, it is a marker for adapters
        return {name: plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, pydantic.BaseModel):
        return plain(value.model_dump())
    if isinstance(value, dspy.Example):
        return plain(value.toDict())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(dataclasses.asdict(value))
    if type(value).__module__.partition(".")[0] in ("pandas", "numpy", "polars"):
        return _table(value)
    if type(value) in (list, tuple) and _LEAVES.issuperset(map(type, value)):
        return value  # a long list at C's speed
    if type(value) is dict:
        made = {plain(key): plain(item) for key, item in value.items()}
        return made if any(made.get(key) is not item for key, item in value.items()) else value
    if type(value) in (list, tuple, set, frozenset):
        items = [plain(item) for item in value]
        return value if all(a is b for a, b in zip(value, items, strict=True)) else type(value)(items)
    return value


_LEAVES = frozenset({str, int, float, bool, type(None)})


def _table(value: Any) -> Any:
    """A DataFrame as a list of dicts, missing values as None; a Series or an array as a list."""
    if hasattr(value, "to_dicts"):  # polars
        return value.to_dicts()
    if hasattr(value, "notna") and hasattr(value, "columns"):
        return value.astype(object).where(value.notna(), None).to_dict("records")
    if hasattr(value, "to_list"):
        return value.to_list()
    return value.tolist() if hasattr(value, "tolist") else value


# ---- the output fields


def schema(signature: type[dspy.Signature]) -> str:
    """What the contract says of the inputs' and outputs' meanings and types, in words; "" where plain text is
    all there is to say."""
    lines = []
    described = [(name, _desc(field)) for name, field in signature.input_fields.items() if _desc(field)]
    if described:
        lines += ["The inputs:", *(f"- `{name}`: {desc}" for name, desc in described)]
    outputs = signature.output_fields
    if any(field.annotation is not str or _desc(field) for field in outputs.values()) or len(outputs) > 1:
        lines.append("SUBMIT takes:")
        lines += [f"- {_field(name, field)}" for name, field in outputs.items()]
    return "\n".join(lines)


def _field(name: str, field: Any) -> str:
    text = f"`{name}` ({get_annotation_name(field.annotation)})"
    if _desc(field):
        text += f": {_desc(field)}"
    _, _, note = translate_field_type(name, field).partition("# note: ")
    return f"{text}; {note}" if "JSON schema" in note or "one of" in note else text


def _desc(field: Any) -> str:
    extra = field.json_schema_extra or {}
    desc = extra.get("desc") or ""
    desc = "" if desc.startswith("${") else desc
    constraints = extra.get("constraints") or ""
    return "; ".join(part for part in (desc, constraints) if part)


def checked(signature: type[dspy.Signature], values: dict[str, Any]) -> dict[str, Any]:
    """The submitted values as the types of their fields.  Raises ValueError in words for the model."""
    fields = signature.output_fields
    if missing := sorted(set(fields) - set(values)):
        raise ValueError(f"[Error] Missing output fields: {missing}. Use SUBMIT({', '.join(fields)})")
    made, errors = {}, []
    for name, field in fields.items():
        annotation = field.annotation
        try:
            made[name] = parse_value(values[name], annotation)
        except (ValueError, pydantic.ValidationError) as error:
            expected = getattr(annotation, "__name__", annotation)
            errors.append(f"{name}: expected {expected}, got {type(values[name]).__name__}: {error}")
    if errors:
        raise ValueError("[Type Error] " + "; ".join(errors))
    return made
