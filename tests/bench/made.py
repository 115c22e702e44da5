"""Rows as a run would leave them, for what reads rows."""

from __future__ import annotations

from typing import Any

from rlm_bench.rows import Row


def row(method: str = "rlm0", right: float | None = 1.0, number: int = 0, **changes: Any) -> Row:
    """`right`: the strict score, None for an error."""
    told: dict[str, Any] = {
        "key": f"{method} {changes.get('params')} {number}",
        "run": "made",
        "task": "niah",
        "task_version": 1,
        "params": {"size": 100_000, "pos": 0.5},
        "seed": 0,
        "index": number,
        "epoch": 0,
        "method": method,
        "method_cfg_sha": method,
        "model": "made",
        "sub_model": "made",
        "sample": f"niah {changes.get('params')} {number}",
        "context_sha256": f"{number}",
        "context_chars": 99_990,
        "est_tokens": 25_000,
        "query": "What?",
        "gold": "7",
        "unanswerable": False,
        "cluster": f"{changes.get('params')} {number}",
        "meta": {},
        "answer": "7",
        "status": "answered" if right is not None else "error",
        "reason": "" if right is not None else "the server is away",
        "score": None if right is None else {"strict": right, "compat": right, "partial": None},
        "error_class": "error" if right is None else "none" if right == 1 else "wrong",
        "iterations": 2,
        "calls": {"root": 2},
        "tokens": {"root": {"in": 900, "out": 100, "cached": 0}},
        "cost_usd": None,
        "wall_s": 2.0,
        "ttfa_s": 1.0,
        "truncated": None,
        "coverage": None,
        "exec_errors": 0,
        "syntax_errors": 0,
        "unverified": False,
    }
    return Row(**{**told, **changes})


def some(method: str, right: int, of: int, **changes: Any) -> list[Row]:
    """`right` rows of `of` are right."""
    return [row(method, float(number < right), number, **changes) for number in range(of)]
