"""`-f rlm:PATH`: a file of any kind, a folder, a glob or an archive, as attachments.

They are attachments and not fragments because llm copies a fragment's text into its log and search index,
and of an attachment keeps the path.  What they hold is read when the model is asked; here they are only
found."""

from __future__ import annotations

import os
from dataclasses import dataclass

import click
import llm

TEXT = "text/plain"  # whatever it is, it becomes text


@dataclass(repr=False)
class Found(llm.Attachment):
    """A file that was not named itself but found in a folder: passed over where it turns out to be no
    text."""


def load(argument: str) -> list[llm.Attachment]:
    """
    Texts for rlm- models: a file of any kind, a folder or a glob

    Example usage:
      llm -m rlm-gpt-4o -f rlm:notes/ 'Which of these mention the harbour?'
      llm -m rlm-gpt-4o -f 'rlm:src/**/*.py' 'Where is the retry logic?'
      llm -m rlm-gpt-4o -f rlm:server.log.gz 'When did the first error occur?'
    """
    path = os.path.abspath(os.path.expanduser(argument))
    if not argument.strip():
        raise ValueError("name a file, a folder or a glob: -f rlm:PATH")
    if os.path.lexists(path) and not os.path.isdir(path):
        return [llm.Attachment(type=TEXT, path=path)]
    files, skipped = _find(path)
    if not files:
        told = "no text was found there" if os.path.isdir(path) else "no such file or folder"
        raise ValueError(f"{told}: {skipped}" if skipped else told)
    if skipped:
        click.echo(f"rlm:{argument}: {skipped}", err=True)
    return [Found(type=TEXT, path=file) for file in files]


def _find(path: str) -> tuple[list[str], str]:
    """The texts of a folder or glob, and a line about what was skipped."""
    from rlm_core.documents import MAX_FILES, Documents
    from rlm_core.folders import split_glob, walk

    if os.path.isdir(path):
        root, pattern = path, None
    elif any(sign in path for sign in "*?["):
        root, pattern = split_glob(path)
    else:
        return [], ""
    passed = Documents()
    files = []
    for file in walk(root, pattern, passed.skipped):
        why = _why_not(file, os.path.realpath(root))
        if why:
            passed.skipped.append((os.path.relpath(file, root), why))
        else:
            files.append(file)
        if len(files) + len(passed.skipped) > MAX_FILES:
            raise ValueError(f"there are more than {MAX_FILES:,} files: give a narrower folder or glob")
    return files, passed.skipped_line()


def _why_not(file: str, root: str) -> str:
    from rlm_core.archives import is_package
    from rlm_core.decoding import HEAD, binary_kind

    target = os.path.realpath(file)
    if not os.path.isfile(target):
        return "is no file"
    if os.path.commonpath((root, target)) != root:
        return "is a link out of the folder"
    try:
        with open(file, "rb") as stream:
            head = stream.read(HEAD)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    kind = "" if is_package(head) else binary_kind(head)
    return f"is binary ({kind})" if kind else ""
