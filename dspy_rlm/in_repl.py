"""`dspy` as the code in a REPL has it.

This source is not imported: it runs in the sandbox, behind its language wall.  What is built here is a
description; at a call the host makes the real predictor of it and runs it (`dspy_rlm.sub_agents`)."""

from typing import Any, Callable  # noqa: UP035 - a cell's module has it here

call_host: Callable[..., Any]


class Prediction:
    """The output fields, as attributes and as items."""

    def __init__(self, **fields: Any):
        self._fields = fields
        for name, value in fields.items():
            setattr(self, name, value)

    def __getitem__(self, name: str) -> Any:
        return self._fields[name]

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def __repr__(self) -> str:
        return f"Prediction({', '.join(f'{name}={value!r}' for name, value in self._fields.items())})"

    def keys(self) -> Any:
        return self._fields.keys()

    def items(self) -> Any:
        return self._fields.items()

    def get(self, name: str, default: Any = None) -> Any:
        return self._fields.get(name, default)

    def toDict(self) -> Any:
        return dict(self._fields)


class Signature:
    """`Signature("question -> answer", "instructions")`, or the base of a class with fields."""

    def __init__(self, signature: Any, instructions: Any = None, **_: Any):
        self.signature, self.instructions = signature, instructions


class Field:
    def __init__(self, kind: str, desc: Any):
        self.kind, self.desc = kind, desc


def InputField(desc: Any = None, **_: Any) -> Any:
    return Field("input", desc)


def OutputField(desc: Any = None, **_: Any) -> Any:
    return Field("output", desc)


def Tool(func: Any, **_: Any) -> Any:
    return func


class Module:
    """A program of sub-agents: define `forward`."""

    def __init__(self, *_: Any, **__: Any):
        pass

    def forward(self, **inputs: Any) -> Any:
        raise NotImplementedError("a dspy.Module needs a forward()")

    def __call__(self, **inputs: Any) -> Any:
        return self.forward(**inputs)


class _SubAgent:
    kind = ""

    def __init__(self, signature: Any = None, **options: Any):
        self._signature = _signature(signature)
        self._options = {name: _plain(value) for name, value in options.items()}

    def __call__(self, **inputs: Any) -> Prediction:
        return Prediction(**call_host(self.kind, self._signature, self._options, inputs))  # noqa: F821


class Predict(_SubAgent):
    kind = "Predict"


class ChainOfThought(_SubAgent):
    kind = "ChainOfThought"


class ReAct(_SubAgent):
    kind = "ReAct"


class ReActV2(_SubAgent):
    kind = "ReActV2"


class CodeAct(_SubAgent):
    kind = "CodeAct"


class ProgramOfThought(_SubAgent):
    kind = "ProgramOfThought"


class RLM(_SubAgent):
    kind = "RLM"


def _plain(value: Any) -> Any:
    """Functions by name: those of the host's may be handed over, and it knows them by these."""
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return {"__dspy_tool__": value.__name__} if callable(value) else value


def _signature(signature: Any) -> Any:
    if isinstance(signature, Signature):
        return _marked(signature.signature, signature.instructions, {})
    if isinstance(signature, type) and issubclass(signature, Signature):
        return _of_class(signature)
    return signature


def _of_class(signature: Any) -> Any:
    sides: dict[str, list[str]] = {"input": [], "output": []}
    descs = {}
    for name, annotation in signature.__annotations__.items():
        field = getattr(signature, name, None)
        if not isinstance(field, Field):
            raise TypeError(f"{name}: a field of a signature is an InputField() or an OutputField()")
        sides[field.kind].append(f"{name}: {_type(annotation)}")
        if field.desc:
            descs[name] = field.desc
    return _marked(f"{', '.join(sides['input'])} -> {', '.join(sides['output'])}", signature.__doc__, descs)


def _type(annotation: Any) -> str:
    text = annotation if isinstance(annotation, str) else repr(annotation)
    if text.startswith("<class "):
        text = text.split("'")[1].split(".")[-1]
    return text.replace("typing.", "")


def _marked(signature: Any, instructions: Any, descs: Any) -> Any:
    return {"__dspy_sig__": True, "signature": signature, "instructions": instructions, "descs": descs}
