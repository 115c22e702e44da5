"""Module facades: named members of standard modules, never modules."""

from __future__ import annotations
import types
from .guards import Facade, guarded_getattr, SAFE_TYPES

def _pub(mod, *names):
    if not names:
        names = [n for n in (getattr(mod, "__all__", None) or dir(mod)) if not n.startswith("_") and not isinstance(getattr(mod, n), types.ModuleType)]
    return {n: getattr(mod, n) for n in names if hasattr(mod, n)}


def safe_attrgetter(*names):
    def one(obj, path):
        for p in path.split("."):
            obj = guarded_getattr(obj, p)
        return obj
    for n in names:
        if type(n) is not str: raise TypeError("attribute name must be a string")
    return (lambda o: one(o, names[0])) if len(names) == 1 else (lambda o: tuple(one(o, n) for n in names))


def safe_methodcaller(name, /, *a, **k):
    return lambda o: guarded_getattr(o, name)(*a, **k)


def safe_wraps(wrapped, *_, **__):
    def deco(f):
        for n in ("__name__", "__qualname__", "__doc__"):
            try: setattr(f, n, getattr(wrapped, n))
            except Exception: pass
        return f
    return deco


ALLOW = {   # module -> public names handed out ("*" = public callables/consts that are not modules)
 "re": "compile search match fullmatch split sub subn findall finditer escape purge error IGNORECASE I MULTILINE M DOTALL S VERBOSE X ASCII A UNICODE U LOCALE L NOFLAG RegexFlag Pattern Match",
 "json": "loads dumps JSONDecodeError JSONEncoder JSONDecoder load dump",
 "math": "*", "cmath": "*", "itertools": "*", "bisect": "*", "heapq": "merge nlargest nsmallest heappush heappop heapify heapreplace heappushpop",
 "statistics": "*", "unicodedata": "*", "binascii": "hexlify unhexlify crc32 a2b_hex b2a_hex Error",
 "collections": "Counter defaultdict deque OrderedDict namedtuple ChainMap UserDict UserList",
 "collections.abc": "Iterable Iterator Mapping MutableMapping Sequence MutableSequence Set MutableSet Callable Hashable Sized Container Generator Collection",
 "functools": "reduce partial lru_cache cache cmp_to_key total_ordering cached_property",
 "datetime": "date time datetime timedelta timezone tzinfo MINYEAR MAXYEAR UTC",
 "time": "time time_ns monotonic perf_counter process_time strftime strptime gmtime localtime mktime ctime asctime struct_time",
 "random": "random randint randrange uniform choice choices sample shuffle seed gauss normalvariate triangular betavariate expovariate getrandbits Random",
 "string": "ascii_letters ascii_lowercase ascii_uppercase digits hexdigits octdigits punctuation printable whitespace capwords Template",
 "textwrap": "*", "difflib": "SequenceMatcher Differ get_close_matches ndiff unified_diff context_diff restore Match",
 "decimal": "Decimal ROUND_HALF_UP ROUND_HALF_EVEN ROUND_DOWN ROUND_UP ROUND_FLOOR ROUND_CEILING InvalidOperation getcontext localcontext DivisionByZero Context",
 "fractions": "Fraction", "hashlib": "md5 sha1 sha224 sha256 sha384 sha512 blake2b blake2s",
 "base64": "b64encode b64decode urlsafe_b64encode urlsafe_b64decode b32encode b32decode b16encode b16decode b85encode b85decode standard_b64encode standard_b64decode",
 "csv": "reader writer DictReader DictWriter QUOTE_ALL QUOTE_MINIMAL QUOTE_NONE QUOTE_NONNUMERIC Sniffer Error excel excel_tab",
 "io": "StringIO BytesIO", "html": "escape unescape", "copy": "copy deepcopy",
 "dataclasses": "dataclass field asdict astuple fields replace is_dataclass",
 "enum": "Enum IntEnum Flag IntFlag StrEnum auto unique",
 "typing": "Any List Dict Set Tuple Optional Union Callable Iterable Iterator Generator Sequence Mapping NamedTuple TypedDict Literal DefaultDict Deque Counter FrozenSet Type Final ClassVar cast Pattern Match Hashable Text",
 "abc": "ABC abstractmethod", "contextlib": "contextmanager suppress nullcontext closing ExitStack",
 "urllib.parse": "urlparse urlsplit urlunparse parse_qs parse_qsl quote quote_plus unquote unquote_plus urljoin urlencode",
 "calendar": "month_name month_abbr day_name day_abbr monthrange isleap timegm", "zlib": "crc32 adler32 compress decompress error",
 "array": "array", "types": "SimpleNamespace MappingProxyType", "numbers": "Number Integral Real Rational Complex",
 "graphlib": "TopologicalSorter CycleError", "html.parser": "HTMLParser",
}
# lazily imported helpers of the above: must be loaded before the OS filter is switched on
PRELOAD = ("_strptime encodings.idna encodings.utf_16 encodings.utf_16_le encodings.utf_16_be encodings.utf_32 encodings.latin_1 encodings.ascii encodings.cp1252 "
           "encodings.raw_unicode_escape encodings.unicode_escape encodings.hex_codec encodings.base64_codec encodings.rot_13 encodings.utf_8_sig encodings.punycode "
           "_decimal _pydecimal fractions decimal numbers stringprep unicodedata locale pprint traceback linecache tokenize _json _csv difflib heapq "
           "zlib _hashlib _random bisect operator keyword reprlib copyreg weakref inspect dis ast opcode calendar quopri sre_compile").split()
SAFE_SYSTEM = {"maxsize": 2**63 - 1, "float_info": __import__("sys").float_info, "version_info": __import__("sys").version_info, "version": __import__("sys").version,
               "getsizeof": __import__("sys").getsizeof, "getrecursionlimit": __import__("sys").getrecursionlimit, "maxunicode": 0x10FFFF}


def build_modules(emit):
    """emit(str) writes to the step's bounded output."""
    import importlib, sys
    for n in PRELOAD:
        try: importlib.import_module(n)
        except ImportError: pass
    mods = {}
    for name, names in ALLOW.items():
        m = importlib.import_module(name)
        mods[name] = _pub(m) if names == "*" else _pub(m, *names.split())
    op = importlib.import_module("operator")
    d = _pub(op); d.update(attrgetter=safe_attrgetter, methodcaller=safe_methodcaller)
    for n in ("setitem", "delitem", "iconcat", "call"): d.pop(n, None)
    d = {k: v for k, v in d.items() if not (k.startswith("i") and k[1:] in ("add", "sub", "mul"))} | {k: getattr(op, k) for k in ("itemgetter",)}
    mods["operator"] = d
    mods["functools"]["wraps"] = safe_wraps
    mods["functools"]["partial"] = __import__("functools").partial
    import time as _t
    mods["time"]["sleep"] = lambda s: _t.sleep(min(float(s), 5.0))
    import pprint as _pp
    mods["pprint"] = {"pformat": _pp.pformat, "pprint": lambda o, *a, **k: emit(_pp.pformat(o, *a, **{x: y for x, y in k.items() if x != "stream"}) + "\n")}
    mods["uuid"] = _pub(importlib.import_module("uuid"), "uuid4", "uuid5", "uuid3", "UUID", "NAMESPACE_DNS", "NAMESPACE_URL")
    mods["sys"] = dict(SAFE_SYSTEM)
    import traceback as _tb

    def format_exc(limit=None, chain=True):
        e = sys.exc_info()[1]
        return f"{type(e).__name__}: {e}\n" if e is not None else "NoneType: None\n"
    mods["traceback"] = {"format_exc": format_exc, "print_exc": lambda *a, **k: emit(format_exc())}
    mods["warnings"] = {"filterwarnings": lambda *a, **k: None, "simplefilter": lambda *a, **k: None, "warn": lambda m, *a, **k: emit(f"warning: {m}\n")}
    mods["__future__"] = {"annotations": None}
    for d in mods.values():
        for v in d.values():
            if isinstance(v, type):
                SAFE_TYPES.add(v)
    out = {n: Facade(n, d) for n, d in mods.items()}
    mods["collections"]["abc"] = out["collections.abc"]; mods["html"]["parser"] = out["html.parser"]
    out["urllib"] = Facade("urllib", {"parse": out["urllib.parse"]})
    return out

C_SIDE_IMPORTS = frozenset(["_strptime", "_pydatetime", "_warnings"])
_EMPTY = Facade("_", {})

def make_futures(extra):
    """concurrent.futures look-alike: no threads in the worker.  map(llm_query, xs) becomes one llm_query_batched."""
    class Future:
        def __init__(self, v, e): self._v, self._e = v, e
        def result(self, timeout=None):
            if self._e is not None: raise self._e
            return self._v
        def exception(self, timeout=None): return self._e
        def done(self): return True
        def cancel(self): return False

    class ThreadPoolExecutor:
        def __init__(self, max_workers=None, *a, **k): pass
        def __enter__(self): return self
        def __exit__(self, *a): return False
        def shutdown(self, *a, **k): pass
        def submit(self, fn, /, *a, **k):
            try: return Future(fn(*a, **k), None)
            except Exception as e: return Future(None, e)
        def map(self, fn, *its, timeout=None, chunksize=1):
            if fn is extra.get("llm_query") and len(its) == 1: return iter(extra["llm_query_batched"](list(its[0])))
            return map(fn, *its)
    return {"ThreadPoolExecutor": ThreadPoolExecutor, "Future": Future, "as_completed": lambda fs, timeout=None: iter(list(fs)),
            "wait": lambda fs, *a, **k: (set(fs), set())}
