"""The library in a page: one question of a text too long for any window, answered by code.

python examples/library.py            # the model is scripted: no key, no network, no weights
python examples/library.py --local    # a small real model, on this machine (fetched on the first use)
"""

import sys

from make_haystack import haystack

from rlm_core import RLM, Limits, LocalLM, ScriptedLM

SCRIPT = [
    """The text is long, so I search all of it.
```repl
hits = grep("combination")
print(len(hits), hits[0])
```""",
    """That sentence holds it. I cut the value out rather than typing it.
```repl
import re
SUBMIT(re.search(r"\\d\\d-\\d\\d-\\d\\d", hits[0]).group())
```""",
]

if "--local" in sys.argv:
    rlm = RLM(LocalLM(), strategy="small", limits=Limits(iterations=6), verbose=True)
else:
    rlm = RLM(ScriptedLM(SCRIPT), verbose=True)

text = haystack(chars=1_000_000, depth=0.95, seed=1)
result = rlm.completion(context=text, query="What is the combination of the observatory safe?")

print(f"answer:  {result.answer}")
print(f"status:  {result.status}")
print(f"steps:   {len(result.trajectory)}, of which the last ran:\n{result.trajectory[-1].code}")
print(f"usage:   {result.usage.calls} calls, {result.usage.input} tokens in, {result.usage.output} out")
