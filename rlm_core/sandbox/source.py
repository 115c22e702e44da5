"""Reading the source of a cell, within limits that keep the parser, the policy and the compiler from
overflowing."""

from __future__ import annotations

import ast
import contextlib
import warnings
from collections.abc import Iterator

MAX_CHARACTERS = 200_000
MAX_NODES = 50_000
PLENTY = 32 << 20  # bytes; where these are left, it was not for memory
MAX_DEPTH = 180  # levels of syntax; the compiler's own recursion is a few C frames for each


def parse_cell(source: str, filename: str = "<cell>") -> ast.Module:
    """The syntax tree of a cell.  Raises SyntaxError for source that is not Python, too long, or too deeply
    nested."""
    if len(source) > MAX_CHARACTERS:
        raise SyntaxError(
            f"the code is {len(source):,} characters long: at most {MAX_CHARACTERS:,} are run at once"
        )
    with warnings.catch_warnings():  # "invalid escape sequence": would be written to the process's stderr
        warnings.simplefilter("ignore")
        try:
            with limited_nesting():
                tree = ast.parse(source, filename)
        except UnicodeEncodeError:
            raise SyntaxError("the code holds half of a surrogate pair, which is not text") from None
        except ValueError as error:  # a null character
            raise SyntaxError(str(error)) from None
    _check_size(tree)
    return tree


@contextlib.contextmanager
def limited_nesting() -> Iterator[None]:
    """Where code too deep for parser or compiler is a SyntaxError: a MemoryError may mean that, too."""
    try:
        yield
    except RecursionError:
        raise SyntaxError("the code is nested too deeply") from None
    except MemoryError:
        bytearray(PLENTY)  # raises it again if memory is what ran out
        raise SyntaxError("the code is nested too deeply") from None


def _check_size(tree: ast.Module) -> None:
    """Iterative on purpose: a tree too deep for the recursive policy must be found without recursion."""
    count = 0
    pending: list[tuple[ast.AST, int]] = [(tree, 0)]
    while pending:
        node, depth = pending.pop()
        count += 1
        if depth > MAX_DEPTH:
            raise SyntaxError("the code is nested too deeply")
        if count > MAX_NODES:
            raise SyntaxError("the code is too large: run it in parts")
        pending.extend((child, depth + 1) for child in ast.iter_child_nodes(node))
