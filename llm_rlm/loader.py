"""`-f rlm:PATH`: a file of any kind, a folder, a glob or an archive, as attachments.

They are attachments and not fragments because llm copies a fragment's text into its log and search index,
and of an attachment keeps the path.  What they hold is read when the model is asked, so this only looks at
what there is."""

from __future__ import annotations

import click
import llm

TEXT = "text/plain"  # whatever it is, it becomes text


def load(argument: str) -> list[llm.Attachment]:
    """
    Texts for rlm- models: a file of any kind, a folder or a glob

    Example usage:
      llm -m rlm-gpt-4o -f rlm:notes/ 'Which of these mention the harbour?'
      llm -m rlm-gpt-4o -f 'rlm:src/**/*.py' 'Where is the retry logic?'
      llm -m rlm-gpt-4o -f rlm:server.log.gz 'When did the first error occur?'
    """
    from rlm_core import documents

    if not argument.strip():
        raise ValueError("name a file, a folder or a glob: -f rlm:PATH")
    listed = documents.files(argument)
    if listed.skipped:
        click.echo(f"rlm:{argument}: {listed.skipped_line()}", err=True)
    return [llm.Attachment(type=TEXT, path=path) for path in listed.paths]
