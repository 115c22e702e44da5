"""Many texts from Python: `rlm_core.map_runs`, and DSPy's own `dspy.Parallel` and `dspy.Evaluate` beside it.

python examples/many.py    # the model is scripted: no key, no network, no weights
"""

import dspy

import dspy_rlm
from rlm_core import RLM, Row, ScriptedLM, map_runs

STEP = """```repl
hits = grep("keeper is")
SUBMIT(hits[0].split()[-1]) if hits else NOT_FOUND("no line names a keeper")
```"""
QUESTION = "Who keeps the light?"
KEEPERS = {"north": "Ada", "south": "Bo", "east": "Cy", "west": "Dee"}
TEXTS = {place: "a quiet night\n" * 1_000 + f"the keeper is {name}\n" for place, name in KEEPERS.items()}
RUIN = "nobody has been here for years\n" * 1_000

# A run for each row, four at once. With `backend="ray"` and a function that makes the RLM: on a cluster.
rows = [Row(place, QUESTION, text) for place, text in {**TEXTS, "ruin": RUIN}.items()]
for outcome in map_runs(rows, RLM(ScriptedLM(STEP)), workers=4):
    print(f"map_runs  {outcome.id}: {outcome.answer} ({outcome.status})")

# The same texts and the same kind of runs, as DSPy does many things at once.
module = dspy_rlm.RLM("context, query -> answer")
examples = [
    dspy.Example(context=text, query=QUESTION, answer=KEEPERS[place]).with_inputs("context", "query")
    for place, text in TEXTS.items()
]
with dspy.context(lm=dspy_rlm.as_dspy(ScriptedLM(STEP), cache=False)):
    parallel = dspy.Parallel(num_threads=4, disable_progress_bar=True)
    for prediction in parallel([(module, example) for example in examples]):
        print(f"parallel  {prediction.answer}")
    evaluate = dspy.Evaluate(devset=examples, metric=dspy.evaluate.answer_exact_match, num_threads=4)
    print(f"evaluate  {evaluate(module).score}")
