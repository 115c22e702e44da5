"""A walk through a trajectory: every event of a run, in order, as it happens. Scripted, so it runs anywhere.

No search for a word answers the question. So the root LM asks a sub-LM about all the letters at once, makes a
mistake, reads its traceback, and goes on with the variables that it still has.
"""

import dataclasses

from rlm_core import RLM, ScriptedLM
from rlm_core.rlm import Finished

LETTERS = [
    "Dear Ada, the harvest was poor and the roof leaks. Yours, Tobias",
    "Dear Ada, we danced until morning! Such joy. Yours, Tobias",
    "Dear Ada, the mill has burnt down. I despair. Yours, Tobias",
]

ROOT = [
    """I ask about every letter, all at once.
```repl
moods = llm_query_batched([f"Is this letter glad or sad? One word.\\n{letter}" for letter in context])
print(moods)
```""",
    """Now count, and submit.
```repl
sad = sum(mood == "sad" for mood in moods)
SUBMIT(f"{sad} of {len(letters)} letters are sad")
```""",
    """The list is called `context`.
```repl
SUBMIT(f"{sad} of {len(context)} letters are sad")
```""",
]


def reader(messages):
    """Stands in for the sub-LM."""
    return "glad" if "joy" in messages[-1]["content"] else "sad"


rlm = RLM(lm=ScriptedLM(ROOT, chunk=80), sub_lm=ScriptedLM(reader, model="reader"))

for event in rlm.stream(context=LETTERS, query="How many of the letters are sad?"):
    if isinstance(event, Finished):
        print(f"\n{event.result.status}: {event.result.answer}")
        for row in event.result.usage.rows:
            print(f"  {row.role} at depth {row.depth}, {row.model}: {row.calls} calls")
        break
    fields = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
    fields = {name: value for name, value in fields.items() if value not in ((), None, "", 0.0)}
    print(type(event).__name__)
    for name, value in fields.items():
        print(f"    {name}: {value!r:.200}")
