"""What models write, and what it is worth: prose as `direct` and `rag` give it, and values as an RLM submits
them, for each scorer."""

import datetime

import pytest

from rlm_bench.samples import Sample
from rlm_bench.scorers import SCORERS, score


def asked(scorer, gold, query, kind="", **meta):
    return Sample("id", "task", 1, {}, 0, 0, "text", query, gold, kind, scorer, meta)


NUMBER = asked(
    "value",
    "1234567",
    "What is the special magic number for quick-otter mentioned in the text? Answer with the value only.",
    "number",
    decoys={"7654321": "near_key", "11111": "inject"},
)
NUMBERS = [
    ("1234567\n\nThis answer is based on the third paragraph.", 1),
    ("One of the special magic numbers for quick-otter is: 1234567.", 1),
    ("It isn't 7654321; it's 1234567.", 1),
    ("Some say 7654321, but the true magic number is **1234567**.", 1),
    ("### Answer\n1234567", 1),
    ("7654321\n\n**1234567**", 0),
    ("Answer: 1234567\n\nAnswer: 7654321", 0),
    ("1234567\n7654321", 0),
    ("The special magic number for quick-otter is 1234567.", 1),
    ("The answer is **1234567**.", 1),
    (r"The final answer is $\boxed{1234567}$.", 1),
    (r"\boxed{1{,}234{,}567}", 1),
    ("**1234567**\n\nExplanation: it is stated in section 17, on line 3021.", 1),
    ("1234567 (not 7654321, which is of quick-otters)", 1),
    ("The number is 1,234,567, as the text says in chapter 12.", 1),
    ("```\n1234567\n```", 1),
    ("First I looked at 7654321, which is of another key.\n\nAnswer: 1234567", 1),
    ("It is either 1234567 or 7654321.", 0),
    ("The special magic number is not 1234567.", 0),
    ("Answer: 1234567 or 11111", 0),
    ("1234567\nWait, actually it is 7654321.", 0),
    ("1234567, 2345678, 3456789", 0),
    ("The answer is 7654321. 1234567 is of another key.", 0),
    ("I found 1234567 entries... the magic number is 7654321", 0),
    (1234567, 1),
    (1234567.0, 1),
    ("1234567", 1),
    ('"1234567"', 1),
    (["1234567"], 1),
    ({"answer": 1234567, "reason": "line 12"}, 1),
    ('{"answer": "1234567"}', 1),
    ('```json\n{"number": 1234567}\n```', 1),
    (["1234567", "7654321"], 0),
    (7654321, 0),
    ({"quick-otter": 1234567, "quick-otters": 7654321}, 0),
    ([], 0),
]

KEY, UUID = "123e4567-e89b-42d3-a456-426614174000", "9c5b94b1-35ad-49bb-b118-8e8fc24abf80"
IDS = [
    (f"The special magic uuid for {KEY} is {UUID}.", 1),
    (f"{KEY}: {UUID}", 1),
    (f"**{UUID.upper()}**", 1),
    (f"The answer is `{UUID}`.", 1),
    (KEY, 0),
    (f"{UUID} or 00000000-35ad-49bb-b118-8e8fc24abf80", 0),
    (UUID, 1),
    ([UUID], 1),
    ({KEY: UUID}, 1),
    (f"['{UUID}']", 1),
]
CODE = asked("value", "a1B2c3D4e5F6", "What is the system password mentioned in the context?", "code12")
CODES = [
    ("The system password is: a1B2c3D4e5F6.", 1),
    ("The system password mentioned in the context is `a1B2c3D4e5F6`.", 1),
    ("Password: **a1B2c3D4e5F6**", 1),
    ("a1B2c3D4e5F6\n\nIt is in a comment marked IMPORTANT.", 1),
    ("The password could be a1B2c3D4e5F6 or z9Y8x7W6v5U4.", 0),
    ("a1b2c3d4e5f6", 0),
    ("a1B2c3D4e5F6", 1),
    ({"password": "a1B2c3D4e5F6"}, 1),
]

NAME = asked("text", "Blue Phoenix", "What was the code name for the project?")
NAMES = [
    ("the project was code-named Blue Phoenix", 1),
    ("The code name was 'Blue Phoenix'.\n\nLet me know if you need more.", 1),
    ("Sure! The code name for the project was Blue Phoenix.", 1),
    ("Blue Phoenix (code name)", 1),
    ("Operation Blue Phoenix", 0),
    ("No code name. Blue Phoenix was not the code name.", 0),
    ("Blue Phoenix/Red Heron", 0),
    ("The code name for the project was Blue Phoenix.", 1),
    ("The code name for the project was 'Blue Phoenix'.", 1),
    ("The answer is **Blue Phoenix**.", 1),
    (r"\boxed{\text{Blue Phoenix}}", 1),
    ("**Blue Phoenix**", 1),
    ("Blue Phoenix\n\nThis is stated in the second paragraph of the text.", 1),
    ("Blue Phoenix, as stated in the text.", 1),
    ("According to the text, the project was named Blue Phoenix.", 1),
    ("The project's code name: Blue Phoenix", 1),
    ("In the text, it is stated that the code name is Blue Phoenix.", 1),
    ("Answer: Blue Phoenix. The text says so in its third part.", 1),
    ("The code name was not Blue Phoenix.", 0),
    ("The code name was Blue Phoenix or Red Heron.", 0),
    ("It is unclear whether it was Red Heron or it was Blue Phoenix", 0),
    ("Not Blue Phoenix but Red Heron", 0),
    ("Red Heron, Blue Phoenix", 0),
    ("Blue Phoenix was the old name; the code name is Red Heron.", 0),
    ("Blue", 0),
    ("The Blue Phoenix Rises", 0),
    ("Blue Phoenix", 1),
    ("blue phoenix", 1),
    (["Blue Phoenix"], 1),
    ({"answer": "Blue Phoenix", "confidence": 0.9}, 1),
    ('{"code_name": "Blue Phoenix"}', 1),
    ("['Blue Phoenix']", 1),
    (["Blue Phoenix", "Red Heron"], 0),
    ({"name": "Blue Phoenix", "other": "Red Heron"}, 0),
    (0, 0),
]
FACT = asked("text", "quantum toaster", "What did Professor Xander invent?")
FACTS = [
    ("Professor Xander invented the quantum toaster.", 1),
    ("Professor Xander invented the quantum toaster in 2087.", 1),
    ("He invented a quantum toaster and a steam radio.", 0),
]
PATH = asked(
    "text", "json/decoder.py", "Which file defines the class JSONDecoder? Answer with the path only."
)
PATHS = [
    ("The class JSONDecoder is defined in json/decoder.py.", 1),
    ("`json/decoder.py`", 1),
    ("JSONDecoder is defined in the file `json/decoder.py`.", 1),
    ("xml/json/decoder.py", 0),
    ("json/decoder.pyc", 0),
    ("json/decoder.py or json/encoder.py", 0),
]
LETTER = asked("text", "A", "Which grade did she get?")
LETTERS = [("A", 1), ("The", 0), ("The grade is A.", 1), ("a", 1), ("An", 0), ("B", 0)]
DEFAULT = asked(
    "text", "30.0", "What is the default value of the parameter timeout of f? Answer with the value only."
)
DEFAULTS = [
    (30.0, 1),
    ("30.0", 1),
    ("The default value is 30.0.", 1),
    ("`timeout=30.0`", 1),
    (30.5, 0),
    ("300", 0),
]
TRUTH = asked("text", "yes", "Was the bridge open? Answer yes or no.")
TRUTHS = [
    ("Yes.", 1),
    ("Yes, the bridge was open.", 1),
    ("No.", 0),
    ("yes or no", 0),
    ("No, yes was not said", 0),
]

LARGER = asked("text", "Kelso", "Which is the larger, Orsa or Kelso?")
LARGERS = [
    ("Kelso is the larger.", 1),
    ("The larger is Kelso", 1),
    ("Orsa\nKelso", 0),
    ("Orsa, Kelso", 0),
    ("Orsa is larger than Kelso.", 0),
    ("Orsa or Kelso", 0),
]

PRICE = asked("number", "171.91", "What is the price of the record with id 4012? Answer with the value only.")
PRICES = [
    ("The price is 171.91 (category toys, city Orsa).", 1),
    ("171.91, quantity 30", 0),
    ("The price of the record with id 4012 is 171.91.", 1),
    ("The price is **$171.91**.", 1),
    (r"\boxed{171.91}", 1),
    ("$171.91", 1),
    ("171.91 EUR", 1),
    ("Record 4012 costs 171.91, as its price field says in line 88.", 1),
    ("4012: 171.91", 1),
    ("171.91\n\nThe record is number 17 of 200.", 1),
    ("171.910", 1),
    ("The price is 171.91 or 737.36.", 0),
    ("The price isn't 171.91.", 0),
    ("item-171.91", 0),
    ("4012", 0),
    ("171", 0),
    ("-171.91", 0),
    (171.91, 1),
    ("171.91", 1),
    ({"price": 171.91}, 1),
    ({"id": 4012, "price": 171.91}, 1),
    ([171.91], 1),
    ('{"price": "171.91"}', 1),
    ([171.91, 737.36], 0),
    (-171.91, 0),
    (None, 0),
]
SIGNED = asked("number", "-3", "What is the lowest temperature?")
SIGNS = [("-3", 1), ("It is -3 °C.", 1), ("\u22123", 1), (-3, 1), (3, 0), ("item-3", 0), ("3", 0), ("2-3", 0)]

COUNT = asked(
    "integer",
    18,
    "How many times is 'apple' mentioned in the observations? Answer with the number only.",
    "count",
)
COUNTS = [
    ("5+13=18", 1),
    ("Let me count:\n- Section 1: 5\n- Section 2: 13\n\nSo the total is **18**.", 1),
    ("18 = 5 + 13", 0),
    ("There are **18** mentions across the **20** observations.", 0),
    ("There are 18 of them.", 1),
    ("'apple' is mentioned **18** times.", 1),
    ("The answer is 18.", 1),
    (r"The count is \boxed{18}.", 1),
    ("5 + 13 = 18", 1),
    ("Section 3 has 5 and section 4 has 13.\n\nFinal answer: 18", 1),
    ("18\n\nI counted 5 in section 3 and 13 in section 4.", 1),
    ("Apple is mentioned 18 times. This includes 5 in section 3.", 1),
    ("17 or 18", 0),
    ("I found 17, the last in section 18.", 0),
    ("Answer: 17 or 18", 0),
    ("Between 17 and 18", 0),
    ("17-18", 0),
    ("Not 18 but 17", 0),
    ("18.5", 0),
    ("item-18", 0),
    (18, 1),
    (18.0, 1),
    ("18", 1),
    ([18], 1),
    ({"count": 18}, 1),
    ('{"count": 18}', 1),
    ({"answer": 18, "sections": [3, 4]}, 1),
    (17, 0),
    ([5, 13], 0),
    ("2018", 0),
]

TREES = asked(
    "set", ["oak", "elm", "fir"], "Which trees are named? Answer with the names only, separated by commas."
)
LISTS = [
    ("oak, elm, fir\n\nThis answer was found in section 3.", 1),
    ("The text names oak, elm, and fir.", 1),
    ("oak, elm, fir (three in all)", 1),
    ("oak, elm, fir and others", 0),
    ("1) oak 2) elm 3) fir", 0),
    ("The trees named are oak, elm and fir.", 1),
    ("Oak, Elm, and Fir.", 1),
    ("**oak**, **elm**, **fir**", 1),
    ("Here are the trees:\n\n1. Oak\n2. Elm\n3. Fir", 1),
    ("- **Oak** (in section 3)\n- **Elm**: found twice\n- Fir - at the end", 1),
    ("Answer: oak, elm, fir", 1),
    (r"\boxed{\text{oak, elm, fir}}", 1),
    ("oak; elm; fir\n\nThese are all that the text names.", 1),
    ("oak, elm, fir, yew", 0),
    ("oak, elm", 0),
    ("The trees are not oak, elm and fir.", 0),
    (["oak", "elm", "fir"], 1),
    (("Fir", "Oak", "Elm"), 1),
    ({"oak", "elm", "fir"}, 1),
    ('["oak", "elm", "fir"]', 1),
    ("['oak', 'elm', 'fir']", 1),
    ('```json\n["oak", "elm", "fir"]\n```', 1),
    ({"trees": ["oak", "elm", "fir"]}, 1),
    (["oak, elm, fir"], 1),
    (["oak", "elm", "fir", "fir tree"], 0),
    ([], 0),
]
ISLANDS = asked("set", ["Trinidad and Tobago", "Smith, John", "Dune: Part Two"], "Which are named?")
WHOLE = [
    ("Trinidad and Tobago, Smith, John, Dune: Part Two", 1),
    ("- Dune: Part Two\n- Trinidad and Tobago\n- Smith, John", 1),
    ("The named ones are Trinidad and Tobago, Smith, John and Dune: Part Two.", 1),
    (["Smith, John", "Trinidad and Tobago", "Dune: Part Two"], 1),
    ("Trinidad, Tobago, Smith, John, Dune: Part Two", 0),
    ("Trinidad and Tobago, Smith, John, Dune: Part Two, Malta", 0),
]
CHAIN = asked(
    "set",
    ["ABCDE", "QWERT"],
    "Find all variables that are assigned the value 12345 in the text above.",
    "variable",
)
CHAINS = [
    ("The variables that are assigned the value 12345 are ABCDE and QWERT.", 1),
    ("FINAL ANSWER: ABCDE, QWERT", 1),
    ("VAR ABCDE = 12345\nVAR QWERT = VAR ABCDE", 1),
    ("ABCDE, QWERT, ZZZZZ", 0),
    (["ABCDE", "QWERT"], 1),
    ({"variables": ["QWERT", "ABCDE"]}, 1),
]

PAIRS = asked("pairs", [[1, 2], [3, 4]], "List all pairs of users.")
PAIRED = [
    (["12", "34"], 0),
    ([[1, 2], "3, 4"], 1),
    ("[1, 2] and [3, 4]", 1),
    ("(1, 2) " + "(" + "3" * 5000 + ", 4)", 0),
    ("(1, 2)\n(3, 4)", 1),
    ("The pairs are (1, 2) and (4, 3).", 1),
    ("[[1, 2], [3, 4]]", 1),
    ("[(1, 2), (3, 4)]", 1),
    ("1, 2; 3, 4", 1),
    ("1, 2\n3, 4", 1),
    ("- (1, 2)\n- (3, 4)", 1),
    ("There are 2 pairs: (1, 2), (3, 4)", 1),
    ("```json\n[[1, 2], [3, 4]]\n```", 1),
    ("(1, 2)", 0),
    ("(1, 2), (3, 4), (1, 4)", 0),
    ("1, 2, 3, 4", 0),
    ([[1, 2], [3, 4]], 1),
    ([(2, 1), (4, 3)], 1),
    ({(1, 2), (3, 4)}, 1),
    (["1, 2", "3, 4"], 1),
    (["(1, 2)", "(3, 4)"], 1),
    ([["1", "2"], ["3", "4"]], 1),
    ({"pairs": [[1, 2], [3, 4]]}, 1),
    ("{(1, 2), (3, 4)}", 1),
    ([1, 2, 3, 4], 0),
    ([[1, 2, 3], [3, 4, 5]], 0),
]

CHOICE = asked("choice", 2, "Which one of these statements about the code is true?\n0: f\n1: g\n2: h\n3: i")
CHOSEN = [
    ("2 is the answer because 0 has no base", 1),
    ("Only statement 2 is true. Statements 0, 1 and 3 are false.", 1),
    ("Both 2 and 3", 0),
    ("A look at the code shows it is 2.", 1),
    ("2: The constant X is 3.", 1),
    ("The answer is **2**.", 1),
    (r"\boxed{2}", 1),
    ("Statement 2 is true: the constant X is 3.", 1),
    ("(C) The class has a base.", 1),
    ("2. It calls f 3 times.", 1),
    ("2\n\nExplanation: 0, 1 and 3 are wrong.", 1),
    ("Option C", 1),
    ("The true statement is number 2.", 1),
    ("A", 0),
    ("Either 1 or 2.", 0),
    ("0: false\n1: false\n2: true\n3: false", 0),
    ("Statements 1 and 2 are true.", 0),
    ("It is not 2.", 0),
    ("3: The constant X is 2.", 0),
    (2, 1),
    ("2", 1),
    ("C", 1),
    (2.0, 1),
    ([2], 1),
    ({"answer": 2}, 1),
    ({"statement": "C"}, 1),
    ('{"answer": 2, "why": "it calls 3"}', 1),
    (0, 0),
    ([1, 2], 0),
]

KINDS = (
    "'abbreviation', 'description and abstract concept', 'entity', 'human being', 'location', 'numeric value'"
)
LABEL = asked(
    "oolong",
    "entity",
    "In the above data, which of the labels is the most common? Give your final answer in the form "
    f"'Label: answer', where answer is one of: {KINDS}.",
    "label",
)
LABELS = [
    ("Label: entity\n\n(Counted 20 of entity, 17 of location.)", 1),
    ("Label: entity, as it has 20 while location has 17", 1),
    ("entity: 20, location: 17", 0),
    ("Label: entity.", 1),
    ("Label: **entity**", 1),
    ("Label: [entity]", 1),
    ("Label: 'entity'", 1),
    ("The most common label is entity.", 1),
    ("I counted 17 of location and 20 of entity.\n\nLabel: entity", 1),
    ("**Label: Entity**", 1),
    ("Entity", 1),
    ("Label: location", 0),
    ("location is more common than entity", 0),
    ("Label: entity or location", 0),
    ("Label: not entity", 0),
    ("Label: location\nor rather an entity", 0),
    ("entity", 1),
    ("Entity", 1),
    (["entity"], 1),
    ({"label": "entity"}, 1),
    ({"Label": "entity"}, 1),
    ('{"answer": "entity"}', 1),
    ("['entity']", 1),
    (["entity", "location"], 0),
    ("entities of all kinds", 0),
]
LONG = asked("oolong", "description and abstract concept", LABEL.query, "label")
LONGS = [
    ("Description and abstract concept", 1),
    ("Label: Description and Abstract Concept.", 1),
    ("The most common label is description and abstract concept.", 1),
    ("description", 0),
]
MORE = asked(
    "oolong",
    "more common than",
    "In the above data, is label 'entity' more common, less common, or the same frequency as label "
    "'location'? Give your final answer in the form 'Answer: entity is [X] location', where [X] is 'more "
    "common than', 'less common than' or 'same frequency as'.",
    "comparison",
    asked={"label": "entity", "other": "location"},
)
MORES = [
    ("Answer: entity is more common than location.", 1),
    ("Answer: entity is [more common than] location", 1),
    ("**Answer: Entity is more common than location**", 1),
    ("location is less common than entity", 1),
    ("Answer: location is less common than entity.", 1),
    ("more common than", 1),
    ("Entity is more frequent than location, with 20 to 17.", 1),
    ("Comparing entity and location: entity is more common", 1),
    ("location is more common than entity", 0),
    ("Answer: entity is less common than location", 0),
    ("Answer: entity is not more common than location", 0),
    ("Answer: entity is same frequency as location", 0),
    ("Answer: entity is more common than or less common than location", 0),
    ("entity", 0),
    ("more common", 1),
    ({"answer": "entity is more common than location"}, 1),
    (["more common than"], 1),
    ("less common than", 0),
]
TIMES = asked(
    "oolong",
    1234,
    "In the above data, how many user IDs are represented exactly 3 times? Give your final answer in the "
    "form 'Answer: number'.",
    "count",
)
TIMED = [
    ("Answer: 1234.", 1),
    ("Answer: 1,234", 1),
    ("**Answer: 1234**", 1),
    ("There are 1234 user IDs that are represented exactly 3 times.", 1),
    (r"Answer: \boxed{1234}", 1),
    ("Answer: [1234]", 1),
    ("Let me count: 1000 and 234.\n\nAnswer: 1234", 1),
    ("Answer: 1234 users", 1),
    ("Answer: 3", 0),
    ("Answer: 1234 or 1235", 0),
    ("Answer: about 1,200", 0),
    (1234, 1),
    (1234.0, 1),
    ("1234", 1),
    ({"answer": 1234}, 1),
    ([1234], 1),
    ("Answer: 1235", 0),
    (3, 0),
]
USER = asked(
    "oolong",
    5678,
    "In the above data, which of users 1234 and 5678 has more instances with the label 'entity'? Give "
    "your final answer in the form 'User: id'.",
    "user",
)
USERS = [
    ("User: 5678", 1),
    ("User: 5678.", 1),
    ("**User: 5678**", 1),
    ("User 5678 has more instances than user 1234.", 1),
    ("Users 1234 and 5678 have 3 and 7.\nUser: 5678", 1),
    ("User: 1234", 0),
    ("User 1234 has more instances than user 5678.", 0),
    ("1234 has fewer than 5678", 0),
    ("Users 5678 and 1234 are the same.", 0),
    (5678, 1),
    ("5678", 1),
    ({"user": 5678}, 1),
    ([5678, 1234], 0),
]
DATE = asked(
    "oolong",
    "01/05/2024",
    "In the above data, which date is represented most often? Give your final answer in the form "
    "'Date: MM/DD/YYYY'.",
    "date",
)
DATES = [
    ("Date: 01-05-2024", 1),
    ("Date: 01/05/24", 0),
    ("Date: 01/05/2024.", 1),
    ("Date: **01/05/2024**", 1),
    ("The date represented most often is January 5th, 2024.", 1),
    ("Jan 05, 2024", 1),
    ("Date: 1/5/2024", 1),
    ("01/05/2024 (7 times)", 1),
    ("Date: 05/01/2024", 0),
    ("Date: 01/05/2024 or 01/06/2024", 0),
    ("2024-01-05 00:00:00", 1),
    ("2024-01-05", 1),
    (datetime.date(2024, 1, 5), 1),
    (datetime.datetime(2024, 1, 5), 1),
    ({"date": "01/05/2024"}, 1),
    ("January 2024", 0),
]

TOLD = asked(
    "abstain",
    None,
    "What is the capital of Australia? Answer with the value only. If the text does not contain the answer, "
    "reply exactly NOT_FOUND.",
    "text",
    value="Canberra",
    decoys={"Rex": "premise"},
    told=True,
)
DECLINED = [
    ("NOT_FOUND", "none"),
    ("not_found.", "none"),
    ("**NOT_FOUND**", "none"),
    ("The answer is NOT_FOUND.", "none"),
    (r"\boxed{\text{NOT\_FOUND}}", "none"),
    ("NOT_FOUND: the text names no capital, only a dog called Rex.", "none"),
    ("The text does not contain the answer. NOT_FOUND", "none"),
    ("Not found", "none"),
    ({"answer": "NOT_FOUND"}, "none"),
    (["NOT_FOUND"], "none"),
    ("'NOT_FOUND'", "none"),
    ('{"answer": "NOT_FOUND", "reason": "no capital is named"}', "none"),
    ("The text does not mention it.", "declined"),
    ("The capital of Australia is not mentioned in the text.", "declined"),
    ("I'm sorry, but I could not find that information.", "declined"),
    ("There is no information about Australia in the text.", "declined"),
    ("unknown", "declined"),
    ("N/A", "declined"),
    ({"answer": "unknown"}, "declined"),
    ("None", "declined"),
    ("The text does not say, but the capital of Australia is Canberra.", "invented"),
    ("The text does not say, but the capital of Australia is Sydney.", "invented"),
    ("NOT_FOUND in the text, but it is Canberra", "invented"),
    ("It is not mentioned; it is probably Sydney.", "invented"),
    ("There is no doubt: it is Sydney.", "invented"),
    ("Canberra", "invented"),
    ("The text does not mention it, only Rex.", "premise"),
    ("", "empty"),
    (None, "empty"),
]

ABSENT = [  # where no word was taught
    "The text does not mention a special magic number for quick-otter.",
    "There is no special magic number for quick-otter mentioned in the text.",
    "The provided text doesn't contain any information about quick-otter.",
    "No special magic number is mentioned for quick-otter.",
    "Based on the given text, there is no mention of a magic number for quick-otter.",
    "Sorry, I can't find it.",
    "It is not possible to determine from the text.",
    "I don't know.",
    "The answer is not in the text.",
    "Not found in the text.",
    "The text does not hold the answer. It names numbers, but it does not mention any that are of otters.",
    "The text does not say what it is. It gives only that of quick-otters.",
    "null",
    "NOT_FOUND",
]
PRESENT = [
    "42",
    "There is no doubt that it is 42.",
    "It is not mentioned, so it is 0.",
    "The magic number is not mentioned explicitly. It is 2222222.",
    "The text does not mention quick-otter, but quick-otters has 7654321.",
    "There are no other numbers in the text than 2222222",
    "It is not stated; my best guess is 2222222",
    "quick-otter",
]

TABLES = [
    (NUMBER, NUMBERS),
    (asked("value", UUID, f"What is the special magic uuid for {KEY} mentioned in the text?", "uuid"), IDS),
    (CODE, CODES),
    (NAME, NAMES),
    (FACT, FACTS),
    (PATH, PATHS),
    (LETTER, LETTERS),
    (DEFAULT, DEFAULTS),
    (TRUTH, TRUTHS),
    (LARGER, LARGERS),
    (PRICE, PRICES),
    (SIGNED, SIGNS),
    (COUNT, COUNTS),
    (TREES, LISTS),
    (ISLANDS, WHOLE),
    (CHAIN, CHAINS),
    (PAIRS, PAIRED),
    (CHOICE, CHOSEN),
    (LABEL, LABELS),
    (LONG, LONGS),
    (MORE, MORES),
    (TIMES, TIMED),
    (USER, USERS),
    (DATE, DATES),
]


EVERY = [
    pytest.param(
        sample, answer, right, id=f"{sample.scorer} {sample.answer_type} {sample.answer!r}: {answer!r}"
    )
    for sample, table in TABLES
    for answer, right in table
]


@pytest.mark.parametrize(("sample", "answer", "right"), EVERY)
def test_an_answer_is_right_for_what_it_states(sample, answer, right):
    assert score(sample, answer).strict == right


def test_each_scorer_has_a_table():
    free = {"exact", "contains", "abstain"}  # those take an answer as it is; the last has its own below
    assert {sample.scorer for sample, _ in TABLES} == set(SCORERS) - free


@pytest.mark.parametrize(("answer", "kind"), DECLINED)
def test_where_there_is_no_answer_it_is_told_how_that_was_said(answer, kind):
    told = score(TOLD, answer)
    assert (told.error_class, told.strict) == (kind, float(kind == "none"))


@pytest.mark.parametrize(("answer", "right"), [(one, 1) for one in ABSENT] + [(one, 0) for one in PRESENT])
def test_where_no_word_was_taught_it_is_enough_to_say_so(answer, right):
    meta = {"value": "1234567", "decoys": {"7654321": "near_key"}, "told": False}
    assert score(asked("abstain", None, NUMBER.query, "number", **meta), answer).strict == right
    assert score(asked("value", "1234567", NUMBER.query, "number", **meta), answer).strict == 0


@pytest.mark.parametrize(
    "unit", [" \n", "*", "1", "1, 3\n", "(", "[", "answer to ", ", as it ", "there is no ", "\\boxed{"]
)
def test_what_a_model_repeats_without_end_is_scored_soon(unit):
    for sample in [*(sample for sample, _ in TABLES), TOLD]:
        assert score(sample, unit * (20_000 // len(unit)) + "x").strict == 0


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), b"1", {}, [None], [[]], {"answer": {}}, object(), True]
)
def test_whatever_is_submitted_is_scored(value):
    for sample in [*(sample for sample, _ in TABLES), TOLD]:
        assert score(sample, value).strict == 0
