"""Which members of which modules cells are given, and what to use instead of the others.

A real module is full of doors: `re.enum.sys`, `json.codecs.open`, `statistics.sys`, `random._os`,
`traceback.linecache`.  So members are listed by name, and never a module, nor what would give one.  A
member is on the list only if what *it* gives by public names is harmless too: a test walks all of it, and
calls it.
"""

from __future__ import annotations

import statistics
from typing import Any

from . import stand_ins, xml_tree
from .classes import Type

EVERYTHING = "*"  # all public functions and constants: only of modules written in C, which hold nothing else

MEMBERS: dict[str, str] = {
    "abc": "ABC abstractmethod",
    "ast": "literal_eval",
    "base64": """
        b64encode b64decode urlsafe_b64encode urlsafe_b64decode standard_b64encode standard_b64decode
        b32encode b32decode b16encode b16decode b85encode b85decode a85encode a85decode z85encode z85decode
        encodebytes decodebytes
    """,
    "binascii": "hexlify unhexlify b2a_hex a2b_hex b2a_base64 a2b_base64 crc32 Error",
    "bisect": "bisect bisect_left bisect_right insort insort_left insort_right",
    "calendar": """
        month_name month_abbr day_name day_abbr monthrange monthcalendar isleap leapdays weekday timegm
        Calendar Month Day MONDAY TUESDAY WEDNESDAY THURSDAY FRIDAY SATURDAY SUNDAY JANUARY FEBRUARY
    """,
    "cmath": EVERYTHING,
    "codecs": "encode decode",
    "collections": "Counter defaultdict deque OrderedDict",
    "collections.abc": """
        Callable Collection Container Generator Hashable ItemsView Iterable Iterator KeysView Mapping
        MappingView MutableMapping MutableSequence MutableSet Reversible Sequence Set Sized ValuesView
        Buffer
    """,
    "contextlib": """
        contextmanager suppress nullcontext closing ExitStack ContextDecorator AbstractContextManager
    """,
    "copy": "copy Error",
    "csv": """
        reader writer DictReader DictWriter Dialect Sniffer Error excel excel_tab unix_dialect
        field_size_limit QUOTE_ALL QUOTE_MINIMAL QUOTE_NONE QUOTE_NONNUMERIC QUOTE_STRINGS QUOTE_NOTNULL
    """,
    "dataclasses": """
        field fields asdict astuple replace is_dataclass KW_ONLY InitVar MISSING FrozenInstanceError
    """,
    "datetime": "date time datetime timedelta timezone tzinfo MINYEAR MAXYEAR UTC",
    "decimal": """
        Decimal Context getcontext setcontext localcontext DecimalException InvalidOperation
        DivisionByZero Overflow Underflow Inexact Rounded Clamped Subnormal FloatOperation
        DivisionUndefined BasicContext ExtendedContext IEEEContext
        ROUND_HALF_UP ROUND_HALF_EVEN ROUND_HALF_DOWN ROUND_DOWN
        ROUND_UP ROUND_FLOOR ROUND_CEILING ROUND_05UP MAX_PREC MAX_EMAX MIN_EMIN
    """,
    "difflib": """
        SequenceMatcher Differ get_close_matches ndiff unified_diff context_diff restore Match
        IS_LINE_JUNK IS_CHARACTER_JUNK
    """,
    "enum": "auto unique member nonmember",
    "fnmatch": "fnmatch fnmatchcase filter filterfalse translate",
    "fractions": "Fraction",
    "functools": "reduce partial lru_cache cache cmp_to_key cached_property",
    "graphlib": "TopologicalSorter CycleError",
    "hashlib": """
        md5 sha1 sha224 sha256 sha384 sha512 blake2b blake2s sha3_224 sha3_256 sha3_384 sha3_512 shake_128
        shake_256 new
    """,
    "heapq": """
        heappush heappop heapify heapreplace heappushpop merge nlargest nsmallest
        heappush_max heappop_max heapify_max heapreplace_max heappushpop_max
    """,
    "html": "escape unescape",
    "html.parser": "HTMLParser",
    "io": "StringIO BytesIO SEEK_SET SEEK_CUR SEEK_END",
    "itertools": EVERYTHING,
    "json": "loads dumps load dump JSONDecodeError JSONDecoder JSONEncoder",
    "json.decoder": "JSONDecodeError JSONDecoder",
    "math": EVERYTHING,
    "numbers": "Number Complex Real Rational Integral",
    "operator": """
        abs add and_ call concat contains countOf delitem eq floordiv ge getitem gt iadd iand iconcat
        ifloordiv ilshift imatmul imod imul index indexOf inv invert ior ipow irshift is_ is_none is_not
        is_not_none isub
        itemgetter itruediv ixor le length_hint lshift lt matmul mod mul ne neg not_ or_ pos pow rshift
        setitem sub truediv truth xor
    """,
    "os": "linesep sep extsep fspath",
    "os.path": """
        basename dirname join split splitext normpath isabs commonpath commonprefix normcase sep extsep
    """,
    "pprint": "pformat saferepr isreadable",
    "random": """
        Random random uniform triangular randint choice randrange sample shuffle choices normalvariate
        lognormvariate expovariate vonmisesvariate gammavariate gauss betavariate binomialvariate
        paretovariate weibullvariate getstate setstate getrandbits randbytes seed
    """,
    "re": """
        compile search match fullmatch split sub subn findall finditer escape purge error PatternError
        Pattern Match NOFLAG ASCII A IGNORECASE I LOCALE L MULTILINE M DOTALL S UNICODE U VERBOSE X
    """,
    "statistics": "NormalDist StatisticsError",
    "string": """
        ascii_letters ascii_lowercase ascii_uppercase capwords digits hexdigits octdigits printable
        punctuation whitespace Template
    """,
    "struct": "pack unpack pack_into unpack_from iter_unpack calcsize Struct error",
    "textwrap": "fill wrap shorten dedent indent TextWrapper",
    "time": """
        time time_ns monotonic monotonic_ns perf_counter perf_counter_ns process_time process_time_ns
        sleep strftime strptime gmtime localtime mktime ctime asctime struct_time timezone tzname altzone
        daylight
    """,
    "types": "MappingProxyType NoneType GeneratorType",
    "typing": """
        Any List Dict Set FrozenSet Tuple Optional Union Callable Iterable Iterator Generator Sequence
        MutableSequence Mapping MutableMapping Collection Container Hashable Sized Reversible NamedTuple
        TypedDict Literal DefaultDict OrderedDict Counter Deque Final ClassVar Annotated Required
        NotRequired cast Pattern Match Text AnyStr NoReturn Never Self LiteralString TypeAlias Concatenate
        ParamSpec TypeVar Generic Protocol runtime_checkable NewType SupportsInt SupportsFloat
        SupportsIndex SupportsAbs SupportsBytes SupportsComplex SupportsRound TYPE_CHECKING AbstractSet
        KeysView ValuesView ItemsView AsyncIterator Awaitable Coroutine AsyncGenerator AsyncIterable
        TypeGuard TypeIs ReadOnly NoDefault Unpack TypeVarTuple assert_never assert_type get_args get_origin
    """,
    "unicodedata": """
        normalize category name lookup bidirectional combining decimal decomposition digit
        east_asian_width is_normalized mirrored numeric unidata_version
    """,
    "urllib.parse": """
        urlparse urlsplit urlunparse urlunsplit parse_qs parse_qsl quote quote_plus unquote unquote_plus
        quote_from_bytes unquote_to_bytes urljoin urlencode urldefrag
    """,
    "uuid": """
        UUID uuid3 uuid4 uuid5 uuid7 uuid8 NIL MAX
        NAMESPACE_DNS NAMESPACE_URL NAMESPACE_OID NAMESPACE_X500
    """,
    "zlib": "crc32 adler32 compress decompress error",
}

IN_CELLS: dict[str, str] = {  # members that are written in the Python of cells, in `in_cells`
    "collections": "ChainMap UserDict UserList",
    "functools": "singledispatch",
    "logging": """
        getLogger basicConfig disable Logger Handler StreamHandler NullHandler Formatter
        log debug info warning error critical exception NOTSET DEBUG INFO WARNING WARN ERROR CRITICAL FATAL
    """,
    "pathlib": "PurePosixPath PurePath PosixPath Path",
    "threading": "Lock RLock Semaphore BoundedSemaphore",
}

WRITABLE: dict[str, str] = {  # classes whose objects have attributes that code sets: `getcontext().prec = 50`
    "decimal": "Context",
    "textwrap": "TextWrapper",
    "xml.etree.ElementTree": "Element ElementTree",
}

STAND_INS: dict[str, dict[str, Any]] = {
    "collections": {"namedtuple": stand_ins.namedtuple},
    "copy": {"deepcopy": stand_ins.deepcopy},
    "dataclasses": {"dataclass": stand_ins.dataclass},
    "enum": {
        "Enum": stand_ins.Enum,
        "IntEnum": stand_ins.IntEnum,
        "StrEnum": stand_ins.StrEnum,
        "Flag": stand_ins.Flag,
        "IntFlag": stand_ins.IntFlag,
    },
    "functools": {
        "wraps": stand_ins.wraps,
        "update_wrapper": stand_ins.update_wrapper,
        "total_ordering": stand_ins.total_ordering,
    },
    "operator": {"attrgetter": stand_ins.attrgetter, "methodcaller": stand_ins.methodcaller},
    "statistics": {
        name: stand_ins.of_values(getattr(statistics, name))
        for name in stand_ins.STATISTICS.split()
        if hasattr(statistics, name)
    },
    "typing": {
        "Type": Type,
        "final": stand_ins.unchanged,
        "override": stand_ins.unchanged,
        "overload": stand_ins.unchanged,
    },
    "xml.etree.ElementTree": {
        **xml_tree.MEMBERS,
        "fromstring": xml_tree.fromstring,
        "XML": xml_tree.fromstring,
        "fromstringlist": xml_tree.fromstringlist,
        "parse": xml_tree.parse,
        "iterparse": xml_tree.iterparse,
        "ElementTree": xml_tree.ElementTree,
        "indent": xml_tree.indent,
    },
}

NO_FILES = "there are no files here, the input is in `context`"
NO_NETWORK = "there is no network here"
NO_PROCESSES = "there are no processes or threads here, llm_query_batched runs in parallel"
ASK_AN_LM = "use llm_query, if it is among your functions"
INSTEAD: dict[str, str] = {  # of a module, or of a member that it lacks
    **dict.fromkeys(
        ["os", "glob", "shutil", "tempfile", "fileinput", "zipfile", "tarfile", "gzip"], NO_FILES
    ),
    **dict.fromkeys(
        ["requests", "urllib", "urllib.request", "http", "httpx", "aiohttp", "socket", "ssl"], NO_NETWORK
    ),
    **dict.fromkeys(
        ["asyncio", "threading", "multiprocessing", "subprocess", "queue", "joblib"], NO_PROCESSES
    ),
    **dict.fromkeys(["openai", "anthropic", "litellm", "dspy", "langchain", "transformers"], ASK_AN_LM),
    **dict.fromkeys(
        ["pickle", "marshal", "shelve", "dbm", "sqlite3"], "use variables, they are kept from cell to cell"
    ),
    # An array checks an index, asks an object of the cell's for its number, and writes without a second look:
    # into memory that is no longer its own, and so anywhere.
    "array": "use a list, or a bytearray",
    **dict.fromkeys(["numpy", "scipy"], "use lists, math and statistics"),
    "pandas": "use csv, collections and lists of dicts",
    **dict.fromkeys(["bs4", "lxml"], "use html.parser, xml.etree.ElementTree or re"),
    **dict.fromkeys(["defusedxml", "xml.dom", "xml.sax"], "use xml.etree.ElementTree"),
    **dict.fromkeys(["yaml", "toml", "tomllib"], "use re, or ask llm_query to turn it into JSON"),
    "regex": "use re",
    **dict.fromkeys(["tiktoken", "nltk", "spacy"], "use len, re and llm_query"),
    **dict.fromkeys(["tqdm", "rich"], "use print"),
    "zoneinfo": "use datetime.timezone(datetime.timedelta(hours=...))",
    **dict.fromkeys(
        ["inspect", "importlib", "ctypes", "gc", "builtins", "weakref", "dis"],
        "the sandbox cannot be inspected",
    ),
    "secrets": "use random",
    "timeit": "use time.perf_counter",
    "os.environ": "there is no environment here",
    "os.getenv": "there is no environment here",
    "os.cpu_count": "llm_query_batched runs in parallel",
    "sys.path": "nothing can be installed here, use the standard modules for text, data and math",
    "sys.modules": "use import",
    "sys.stdin": "nobody is there to answer, the input is in `context`",
    "ast": "ast.literal_eval reads data, and re finds text in source",
    "re.Scanner": "use re.finditer with named groups",
    "string.Formatter": "use str.format or an f-string",
    "dataclasses.make_dataclass": "write a class statement",
    "copy.replace": "use dataclasses.replace, or _replace of a named tuple",
    "typing.get_type_hints": "use __annotations__",
    "collections": "use dict, list, Counter, defaultdict, deque, OrderedDict, namedtuple or ChainMap",
    "types.FunctionType": "use callable",
    "types.LambdaType": "use callable",
    "functools.partialmethod": "define a method",
    "functools.singledispatchmethod": "use isinstance",
    "concurrent.futures": "use ThreadPoolExecutor, as_completed and wait",
}
