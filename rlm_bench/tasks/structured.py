"""Questions of records: JSON, JSONL, CSV, XML and log lines, many numbers in each record.

lookup    a field of the record with a given id
rare      the one field that a single record has
lacking   the one record that lacks a field which all others have
filter    the record for which three fields have given values
nested    a field inside a field
sum, mean, argmax  over the records of a group
json_seed the earlier reproduction's case, see `json_seed`

Money has two decimals and is reckoned exactly. `flaw` makes the text malformed without touching what is
asked.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from xml.sax.saxutils import escape

from rlm_bench import prose
from rlm_bench.samples import BuildError, Sample, flat, rng
from rlm_bench.tasks.multihop import CITIES
from rlm_bench.tasks.task import Draft, Params, Task, one_of, positive

Record = dict[str, Any]
FORMATS = ("json", "jsonl", "csv", "xml", "log")
QUESTIONS = ("lookup", "rare", "lacking", "filter", "nested", "sum", "mean", "argmax")
FLAWS = ("none", "truncated", "duplicate_key", "nan", "comma")
CATEGORIES = ["tools", "toys", "books", "garden", "kitchen", "music", "sports", "lighting"]
FIELDS = ("id", "name", "category", "city", "quantity", "price", "weight", "stock", "rating", "year")
IDS = range(100_000, 1_000_000)
RARE = "recall_code"
NUMERIC = ("quantity", "price", "weight", "stock", "rating", "year", "supplier.address.floor")
CHARS = {"json": 250, "jsonl": 250, "csv": 82, "xml": 322, "log": 234}
"""Of a record, about."""


def record(chance: random.Random, number: int) -> Record:
    return {
        "id": number,
        "name": prose.key(chance),
        "category": chance.choice(CATEGORIES),
        "city": chance.choice(CITIES),
        "quantity": chance.randint(1, 500),
        "price": Decimal(chance.randint(100, 99_999)) / 100,
        "weight": Decimal(chance.randint(1, 5_000)) / 100,
        "stock": chance.randint(0, 9_000),
        "rating": Decimal(chance.randint(100, 500)) / 100,
        "year": chance.randint(1990, 2024),
        "supplier": {
            "name": prose.invented(chance).capitalize(),
            "address": {"zip": f"{chance.randint(10_000, 99_999)}", "floor": chance.randint(0, 40)},
        },
    }


def flatten(item: Record, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in item.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def at(item: Record, path: str) -> Any:
    return dict(flatten(item)).get(path)


# ---- writing


def scalar(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, Decimal) else str(value)


def as_json(item: Record, indent: int | None, level: int = 0) -> str:
    """`json.dumps`, with two decimals for money."""
    parts = []
    for key, value in item.items():
        if isinstance(value, dict):
            told = as_json(value, indent, level + 1)
        else:
            told = scalar(value) if isinstance(value, Decimal) else json.dumps(value)
        parts.append(f'"{key}": {told}')
    if not indent:
        return "{" + ", ".join(parts) + "}"
    pad = "\n" + " " * indent * (level + 1)
    return "{" + pad + f",{pad}".join(parts) + "\n" + " " * indent * level + "}"


def as_xml(item: Record) -> str:
    return "".join(
        f"<{key}>{as_xml(value) if isinstance(value, dict) else escape(scalar(value))}</{key}>"
        for key, value in item.items()
    )


def as_csv(item: Record, columns: list[str]) -> str:
    values = dict(flatten(item))
    return ",".join(scalar(values[column]) if column in values else "" for column in columns)


def as_log(item: Record, number: int) -> str:
    told = " ".join(f"{path}={scalar(value)}" for path, value in flatten(item))
    return f"{datetime.fromtimestamp(1_709_251_200 + number, UTC):%Y-%m-%dT%H:%M:%SZ} INFO order {told}"


def records(chance: random.Random, count: int) -> list[Record]:
    return [record(chance, number) for number in chance.sample(IDS, count)]


def write(items: list[Record], form: str) -> str:
    """The records as one text."""
    columns = columns_of(items)
    return joined(lines_of(items, form, columns), form, columns)


def columns_of(items: list[Record]) -> list[str]:
    return list(dict.fromkeys(path for item in items for path, _ in flatten(item)))


def lines_of(
    items: list[Record],
    form: str,
    columns: list[str],
    indent: int = 0,
    flaw: str = "none",
    flawed: int = 0,
) -> list[str]:
    """Each record's text; `flaw` strikes the record number `flawed`."""
    if form == "json":
        lines = [as_json(item, indent, 1) for item in items]
    elif form == "jsonl":
        lines = [as_json(item, None) for item in items]
    elif form == "csv":
        lines = [as_csv(item, columns) for item in items]
    elif form == "xml":
        lines = [f"  <record>{as_xml(item)}</record>" for item in items]
    else:
        lines = [as_log(item, n * 7) for n, item in enumerate(items)]
    price = scalar(items[flawed]["price"])
    if flaw == "truncated":
        lines[flawed] = lines[flawed][: len(lines[flawed]) // 2]
    elif flaw == "duplicate_key":
        told = {"csv": ",0.00", "xml": "<price>0.00</price>", "log": " price=0.00"}.get(
            form, ', "price": 0.00'
        )
        end = {"csv": "", "xml": "</record>", "log": ""}.get(form, "}")
        lines[flawed] = lines[flawed].removesuffix(end).rstrip() + told + end
    elif flaw != "none":
        lines[flawed] = lines[flawed].replace(price, "NaN" if flaw == "nan" else price.replace(".", ","), 1)
    return lines


def joined(lines: list[str], form: str, columns: list[str], indent: int = 0) -> str:
    if form == "json":
        pad = " " * indent
        return "[\n" + ",\n".join(pad + line for line in lines) + "\n]\n"
    if form == "csv":
        return ",".join(columns) + "\n" + "\n".join(lines) + "\n"
    if form == "xml":
        return '<?xml version="1.0"?>\n<records>\n' + "\n".join(lines) + "\n</records>\n"
    return "\n".join(lines) + "\n"


# ---- reading, as the oracle does: record by record, passing over what is malformed


def number_or_text(text: str) -> Any:
    return Decimal(text) if re.fullmatch(r"-?\d+(\.\d+)?", text) else text


def read(text: str, form: str) -> Iterator[dict[str, Any]]:
    """Each whole record as path -> value."""
    if form in ("json", "jsonl"):
        decoder = json.JSONDecoder(parse_float=Decimal, parse_int=Decimal)
        for start in re.finditer(r'\{\s*"id": ', text):
            try:
                item, _ = decoder.raw_decode(text, start.start())
            except json.JSONDecodeError:
                continue
            yield dict(flatten(item))
    elif form == "csv":
        head, *lines = text.splitlines()
        columns = head.split(",")
        for line in lines:
            cells = line.split(",")
            if len(cells) == len(columns):
                yield {c: number_or_text(cell) for c, cell in zip(columns, cells, strict=True) if cell}
    elif form == "xml":
        for line in re.findall(r"<record>(.*)</record>", text):
            inner = re.sub(
                r"<supplier><name>(.*?)</name><address>", r"<supplier.name>\1</supplier.name>", line
            )
            inner = re.sub(
                r"<(zip|floor)>(.*?)</\1>", r"<supplier.address.\1>\2</supplier.address.\1>", inner
            )
            found = re.findall(r"<([\w.]+)>([^<>]*)</\1>", inner)
            yield {path: number_or_text(value) for path, value in found}
    else:
        for line in text.splitlines():
            found = re.findall(r"([\w.]+)=(\S+)", line)
            yield {path: number_or_text(value) for path, value in found}


# ---- asking


def build(params: Params, seed: int, index: int) -> Draft:
    kind = one_of(params, "question", ("all", *QUESTIONS, "json_seed"))
    form, flaw = one_of(params, "format", FORMATS), one_of(params, "flaw", FLAWS)
    chance = rng("structured", params, seed, index)
    if kind == "json_seed":
        return json_seed(params, chance)
    kind = QUESTIONS[index % len(QUESTIONS)] if kind == "all" else kind
    size, indent = positive(params, "size", 5_000), positive(params, "indent", 0)
    each = CHARS[form] + (92 if form == "json" and indent else 0)
    count = max(10, size // each) if params["records"] is None else positive(params, "records", 10, len(IDS))
    items = records(chance, count)
    asked = chance.randrange(count)
    category = items[asked]["category"]
    flawed = chance.choice([n for n, item in enumerate(items) if item["category"] != category] or [asked - 1])
    query, answer, keys, answer_type = ask(kind, items, asked, chance)
    if kind == "lacking" and flaw == "truncated":
        query = f"{query} A record that is cut off does not count."
    largest = {path: max(at(item, path) for item in items if at(item, path) is not None) for path in NUMERIC}
    decoys = {}
    if answer_type == "number":
        decoys = {
            scalar(value): "max_of_column" for value in largest.values() if Decimal(str(answer)) != value
        }
    columns = columns_of(items)
    lines = lines_of(items, form, columns, indent, flaw, flawed)
    text = joined(lines, form, columns, indent)
    decoys = {decoy: kind_ for decoy, kind_ in decoys.items() if decoy in text}
    where: dict[str, Any] = {}
    if kind not in ("sum", "mean", "argmax"):
        alone = kind == "rare"  # other records have the same numbers
        where = {"positions": [asked / count], "needles": [lines[asked]], "elsewhere": not alone}
    return Draft(
        context=text,
        query=query,
        answer=answer,
        answer_type=answer_type,
        scorer="number" if answer_type == "number" else "text",
        meta={"keys": keys, "decoys": decoys, "kind": kind, "records": count} | where,
    )


def ask(kind: str, items: list[Record], asked: int, chance: random.Random) -> tuple[str, Any, list[Any], str]:
    """Question, answer, what the question names, and the answer's type; `rare` and `lacking` change the
    record."""
    item, one = items[asked], "Answer with the value only."
    if kind == "lookup":
        field = chance.choice(("quantity", "price", "stock", "year", "name"))
        value = scalar(item[field])
        return (
            f"What is the {field} of the record with id {item['id']}? {one}",
            value,
            [item["id"]],
            _type(field),
        )
    if kind == "nested":
        path = chance.choice(("supplier.address.zip", "supplier.address.floor", "supplier.name"))
        query = f"What is {path} of the record with id {item['id']}? {one}"
        return query, scalar(at(item, path)), [item["id"]], _type(path)
    if kind == "rare":
        item[RARE] = f"RC-{chance.randint(10_000, 99_999)}"
        return (
            f"One record has a field {RARE}, which no other has. What is its value? {one}",
            item[RARE],
            [RARE],
            "text",
        )
    if kind == "lacking":
        field = chance.choice(("stock", "weight", "rating"))
        del item[field]
        return f"One record has no {field}. What is its id? {one}", item["id"], [field], "number"
    if kind == "filter":
        told = {field: item[field] for field in ("category", "city", "quantity")}
        if sum(all(other[f] == v for f, v in told.items()) for other in items) > 1:
            told["year"], told["stock"] = item["year"], item["stock"]
        if sum(all(other[f] == v for f, v in told.items()) for other in items) > 1:
            raise BuildError("no filter tells the record from all others")
        listed = ", ".join(f"{field} {value}" for field, value in told.items())
        query = f"What is the price of the record with {listed}? {one}"
        return query, scalar(item["price"]), list(told.values()), "number"
    category = item["category"]
    group = [other for other in items if other["category"] == category]
    if kind == "sum":
        total = sum(other["quantity"] for other in group)
        query = f"What is the sum of quantity over all records of category {category}? {one}"
        return query, total, [category], "number"
    if kind == "mean":
        mean = sum(other["weight"] for other in group) / Decimal(len(group))
        query = (
            f"What is the mean weight of all records of category {category}, rounded to two decimals? {one}"
        )
        return query, str(mean.quantize(Decimal("0.01"), ROUND_HALF_UP)), [category], "number"
    totals = by_city(group, category, "stock")
    best = max(totals, key=lambda city: totals[city])
    next(other for other in group if other["city"] == best)["stock"] += 1  # no tie
    query = f"Which city has the largest total stock over all records of category {category}? {one}"
    return query, best, [category], "text"


def _type(field: str) -> str:
    return "text" if field in ("name", "supplier.name") else "number"


def by_city(items: list[Record], category: str, field: str) -> dict[str, Any]:
    totals: dict[str, Any] = {}
    for item in items:
        if item["category"] == category:
            totals[item["city"]] = totals.get(item["city"], 0) + item[field]
    return totals


def json_seed(params: Params, chance: random.Random) -> Draft:
    """A thousand records, all with a random `value` but the one in the middle, which has a `magic_number`
    instead.

    The answer once given for it was the largest `value`; the code that looked had raised KeyError, unseen.
    Variants: the number as an int, one value that stands out (`outlier`), another place.
    """
    count = 1_000 if params["records"] is None else positive(params, "records", 10, len(IDS))
    pos = params["pos"]
    if isinstance(pos, bool) or not isinstance(pos, int | float) or not 0 <= pos <= 1:
        raise ValueError(f"pos={pos!r}: must be a share from 0 to 1 of the records")
    place = min(count - 1, int(pos * count))
    magic = chance.randint(10_000, 99_999)
    items: list[Record] = [
        {"id": n, "type": "record", "value": chance.randint(1, 1_000), "data": "x" * 80} for n in range(count)
    ]
    if params["outlier"]:
        items[chance.choice([n for n in range(count) if n != place])]["value"] = 999_999
    told = magic if one_of(params, "needle", ("str", "int")) == "int" else str(magic)
    items[place] = {"id": place, "type": "secret", "magic_number": told}
    largest = max(item["value"] for item in items if "value" in item)
    return Draft(
        context=json.dumps({"records": items}, indent=positive(params, "indent", 0) or None),
        query="What is the secret magic number?",
        answer=str(magic),
        answer_type="number",
        scorer="number",
        meta={
            "kind": "json_seed",
            "needles": [f'"magic_number": {json.dumps(told)}'],
            "decoys": {str(largest): "max_of_column"},
            "positions": [place / count],
            "records": count,
        },
    )


def solve(sample: Sample) -> Any:
    query, kind = sample.query, sample.meta["kind"]
    if kind == "json_seed":
        found = re.search(r'"magic_number": "?(\d+)', flat(sample.context))
        return found[1] if found else None
    items = list(read(flat(sample.context), sample.params["format"]))
    if kind in ("lookup", "nested"):
        path = re.search(r"What is (?:the )?(\S+) of", query)
        number = re.search(r"id (\d+)\?", query)
        found_ = [item for item in items if number and item.get("id") == int(number[1])]
        return str(found_[0][path[1]]) if found_ and path else None
    if kind == "rare":
        return next((item[RARE] for item in items if RARE in item), None)
    if kind == "lacking":
        field = re.search(r"no (\w+)\.", query)
        lacking = [item["id"] for item in items if field and field[1] not in item and "year" in item]
        return str(lacking[0]) if len(lacking) == 1 else None
    if kind == "filter":
        told = dict(re.findall(r"(category|city|quantity|year|stock) (\w+)", query))
        found_ = [item for item in items if all(str(item.get(f)) == v for f, v in told.items())]
        return str(found_[0]["price"]) if len(found_) == 1 else None
    category = query.split("category ")[1].split("?")[0].split(",")[0]
    group = [item for item in items if item.get("category") == category]
    if kind == "sum":
        return str(sum(item["quantity"] for item in group))
    if kind == "mean":
        mean = sum(item["weight"] for item in group) / len(group)
        return str(mean.quantize(Decimal("0.01"), ROUND_HALF_UP))
    totals = by_city(group, category, "stock")
    return max(totals, key=lambda city: totals[city])


def guess(sample: Sample) -> Any:
    """The largest number of the text where a number is asked for: what once was answered. Else the first
    record's."""
    text = flat(sample.context)
    if sample.meta["kind"] == "json_seed":
        return max(map(int, re.findall(r'"value": (\d+)', text)))
    asked = re.search(r"What is (?:the )?(?:[\w.]+\.)?(\w+) of the record with id (\d+)", sample.query)
    found = (
        re.search(rf"{asked[2]}\W.{{0,600}}?\W{asked[1]}[^\w\n]+([\w.-]+)", text, re.DOTALL)
        if asked
        else None
    )
    return found[1] if found else max(map(Decimal, re.findall(r"\d+(?:\.\d+)?", text)))


TASK = Task(
    name="structured",
    version=1,
    defaults={
        "size": 10_000,
        "format": "json",
        "question": "all",
        "indent": 0,
        "flaw": "none",
        "records": None,
        "needle": "str",
        "outlier": False,
        "pos": 0.5,
    },
    build=build,
    solve=solve,
    guess=guess,
)
