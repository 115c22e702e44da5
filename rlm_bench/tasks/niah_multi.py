"""Several needles (RULER's multi-key, multi-value and multi-query), and gathering up to a hundred of them.

mk      one key of k is asked for
mv      one key has k values: all are asked for
mq      k keys, all of them are asked for
gather  one key has k values, spread evenly over the whole text: nothing may be skipped
"""

from __future__ import annotations

import re
from typing import Any

from rlm_bench import prose
from rlm_bench.samples import Sample, flat, rng
from rlm_bench.tasks.haystacks import fresh, haystack, known, random_uuid, shaped
from rlm_bench.tasks.niah import NOUN, question, sentence, value_of
from rlm_bench.tasks.placing import place
from rlm_bench.tasks.task import Draft, Params, Task, one_of, positive

MODES = ("mk", "mv", "mq", "gather")
KINDS = ("number7", "uuid", "code12")


def build(params: Params, seed: int, index: int) -> Draft:
    size, mode, k = positive(params, "size", 1_000), one_of(params, "mode", MODES), positive(params, "k")
    hay_name, kind = known(params), one_of(params, "needle", KINDS)
    chance = rng("niah_multi", params, seed, index)
    length = (k + 1) * (len(sentence(kind, "serene-wandering-hourglass", value_of(kind, chance))) + 1)
    if length > size:
        raise ValueError(f"size={size}: {k} needles need {length} characters")
    hay = haystack(hay_name, chance, size - length)

    def key() -> str:
        return random_uuid(chance) if hay_name == "uuids" else prose.key(chance, 1 + (hay_name == "needles"))

    keys, values = list[str](), list[str]()
    for _ in range(1 if mode in ("mv", "gather") else k):
        keys.append(fresh(key, hay.text, *keys))
    for _ in range(k):
        values.append(fresh(lambda: value_of(kind, chance), hay.text, *values))
    if mode in ("mv", "gather"):
        keys = keys * k
    needles = [sentence(kind, key, value) for key, value in zip(keys, values, strict=True)]
    spots = [i / max(1, k - 1) if mode == "gather" else chance.random() for i in range(k)]
    text, positions = place(hay, list(zip(spots, needles, strict=True)))
    context = shaped(hay_name, text)
    meta: dict[str, Any] = {"positions": positions, "needles": needles, "keys": sorted(set(keys))}
    answer_type = "number" if kind == "number7" else kind
    if mode == "mk":
        asked = chance.randrange(k)
        others = {value: "other_key" for value in values if value != values[asked]}
        meta |= {
            "keys": [keys[asked]],
            "needles": [needles[asked]],
            "decoys": others,
            "positions": [positions[asked]],
        }
        return Draft(context, question(kind, keys[asked]), values[asked], answer_type, "value", meta)
    every, named = "" if mode == "mq" else "all ", ", ".join(dict.fromkeys(keys))
    query = (
        f"What are {every}the special magic {NOUN[kind]}s for {named} mentioned in the provided text? "
        "Answer with the values only, separated by commas."
    )
    return Draft(context, query, values, answer_type, "set", meta)


def solve(sample: Sample) -> Any:
    asked = re.search(r"magic \w+ for (.+) mentioned", sample.query)
    keys = set(asked[1].split(", ")) if asked else set()
    told = re.findall(r"special magic \w+ for (\S+) is: (\S+)\.(?!\w)", flat(sample.context))
    found = [value for key, value in told if key in keys]
    return (found[0] if found else None) if sample.scorer == "value" else found


TASK = Task(
    name="niah_multi",
    version=1,
    defaults={"size": 10_000, "mode": "mk", "k": 4, "haystack": "prose", "needle": "number7"},
    build=build,
    solve=solve,
    guess=solve,
)
