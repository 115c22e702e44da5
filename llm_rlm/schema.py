"""`--schema`: the answer is a JSON value that fits a JSON schema."""

from __future__ import annotations

import json
from typing import Any


def words(schema: dict[str, Any]) -> str:
    """What the contract says of it."""
    return (
        "The answer is one JSON value (made of dicts, lists, strings, numbers, booleans and None) that fits "
        f"this JSON schema: {json.dumps(schema, ensure_ascii=False)}"
    )


def checked(values: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The submitted values with the answer as JSON knows it.  Raises ValueError, which names what does not
    fit and where."""
    import jsonschema  # 60 ms

    answer = _value(values.get("answer"), schema)
    answer = json.loads(json.dumps(answer, default=str))
    validator = jsonschema.validators.validator_for(schema)(schema)
    errors = sorted(validator.iter_errors(answer), key=lambda error: list(map(str, error.absolute_path)))
    if errors:
        raise ValueError("; ".join(f"at {error.json_path}: {error.message[:300]}" for error in errors[:5]))
    return {**values, "answer": answer}


def _value(answer: Any, schema: dict[str, Any]) -> Any:
    """A text that is JSON as the value it stands for; what is no object as the one field that the schema has,
    where it has one.  Raises ValueError."""
    if schema.get("type") == "string" or not isinstance(answer, str):
        value = answer
    else:
        try:
            value = json.loads(answer)
        except ValueError:
            value = answer
    fields = schema.get("properties", {})
    if len(fields) == 1 and not isinstance(value, dict):
        ((name, field),) = fields.items()
        return {name: answer if field.get("type") == "string" else value}
    if isinstance(value, str) and schema.get("type") != "string":
        raise ValueError("it is a text, and should be a JSON value that fits the schema; submit that")
    return value
