"""Run-time guards of the language wall."""

from __future__ import annotations
import string, types, _string
from RestrictedPython.transformer import INSPECT_ATTRIBUTES

MODNAME = "__rlm__"                       # __module__ of every class the sandboxed code makes

DUNDER_METHODS = frozenset("""__init__ __repr__ __str__ __len__ __iter__ __next__ __contains__ __getitem__ __setitem__
 __delitem__ __call__ __enter__ __exit__ __hash__ __bool__ __eq__ __ne__ __lt__ __le__ __gt__ __ge__ __add__ __radd__
 __iadd__ __sub__ __rsub__ __mul__ __rmul__ __truediv__ __floordiv__ __mod__ __neg__ __and__ __or__ __xor__ __int__
 __float__ __format__ __missing__ __post_init__ __reversed__ __abs__""".split())
# NOT: __getattr__ __getattribute__ __setattr__ __del__ __new__ __class_getitem__ __init_subclass__ __set_name__ __get__
#      __set__ __reduce*__ __getstate__ __setstate__ __copy__ __deepcopy__ __instancecheck__ __prepare__ __mro_entries__
#      __index__ __dir__ __sizeof__ __class__ __annotations__ __dict__
DUNDER_READ = DUNDER_METHODS | {"__name__", "__qualname__", "__doc__", "__class__"}
DUNDER_CLASSVARS = frozenset(["__slots__", "__doc__"])
GUARDED_PUBLIC = frozenset(["format", "format_map", "obj"])     # public names with a run-time rule
NT_ATTRS = frozenset(["_asdict", "_replace", "_fields", "_make", "_field_defaults"])


def bad_hook_name(name: str) -> bool:
    return name.startswith("_") and name.endswith("_") and name.strip("_") != ""      # _getattr_, _write_, _Exception_ ...

def is_ours(t: type) -> bool:
    try:
        return type.__getattribute__(t, "__module__") == MODNAME
    except Exception:
        return False


class SafeFormatter(string.Formatter):
    def get_field(self, field_name, args, kwargs):
        first, rest = _string.formatter_field_name_split(field_name)
        obj = self.get_value(first, args, kwargs)
        for is_attr, key in rest:
            obj = guarded_getattr(obj, key) if is_attr else obj[key]
        return obj, first


_FMT = SafeFormatter()
_STR_FORMATS = (str.format, str.format_map)


def _safe_format(s):
    def format(*args, **kwargs):
        return _FMT.vformat(s, args, kwargs)
    return format


def _safe_format_map(s):
    def format_map(mapping):
        return _FMT.vformat(s, (), mapping)
    return format_map


def _unbound_format(s, /, *args, **kwargs):
    return _FMT.vformat(s, args, kwargs)


def _unbound_format_map(s, mapping, /):
    return _FMT.vformat(s, (), mapping)


_raise = object()


def guarded_getattr(obj, name, default=_raise):
    if type(name) is not str:
        raise TypeError("attribute name must be str")
    if name[:1] == "_" and name != "_":
        t = type(obj)
        if name[:2] == "__":
            if name not in DUNDER_READ:
                raise AttributeError(f'attribute "{name}" is not available in this sandbox')
            if name == "__class__":
                return safe_type(obj)
            if isinstance(obj, Facade) and name not in ("__name__", "__doc__"):
                raise AttributeError(name)
        elif not (is_ours(t) or (isinstance(obj, type) and is_ours(obj)) or t is super or name in NT_ATTRS and issubclass(t, tuple)):
            raise AttributeError(f'attribute "{name}" is not available in this sandbox')
    elif name in INSPECT_ATTRIBUTES:
        raise AttributeError(f'attribute "{name}" is not available in this sandbox')
    elif name == "obj" and isinstance(obj, BaseException):
        raise AttributeError(name)
    v = getattr(obj, name) if default is _raise else getattr(obj, name, default)
    if name == "format" or name == "format_map":
        tv = type(v)                                       # check the RESULT, so that super().format is caught too
        if tv is types.BuiltinMethodType and isinstance(v.__self__, str):
            return (_safe_format if name == "format" else _safe_format_map)(v.__self__)
        if v is _STR_FORMATS[0] or tv is types.MethodDescriptorType and name == "format":
            return _unbound_format
        if v is _STR_FORMATS[1] or tv is types.MethodDescriptorType:
            return _unbound_format_map
    return v


def guarded_hasattr(obj, name):
    try:
        guarded_getattr(obj, name)
        return True
    except AttributeError:
        return False


def write_guard(obj):
    t = type(obj)
    if t in WRITABLE or is_ours(t) or (isinstance(obj, type) and is_ours(obj)) or (t is types.FunctionType and obj.__module__ == MODNAME):
        return obj
    raise TypeError(f"{t.__name__} object is read-only in this sandbox")


def _check_set_name(name):
    if type(name) is not str or name.startswith("__") or bad_hook_name(name) or name in INSPECT_ATTRIBUTES:
        raise AttributeError("attribute can not be set in this sandbox")


def guarded_setattr(obj, name, value):
    _check_set_name(name); setattr(write_guard(obj), name, value)


def guarded_delattr(obj, name):
    _check_set_name(name); delattr(write_guard(obj), name)


class _Opaque:
    def __init__(self, name): self.__dict__["__name__"] = name
    def __repr__(self): return f"<class '{self.__name__}'>"


class _TypeMeta(type):
    def __call__(cls, *args):
        if len(args) != 1:
            raise TypeError("type() takes 1 argument in this sandbox")
        return safe_type(args[0])
    def __instancecheck__(cls, x): return isinstance(x, type)
    def __repr__(cls): return "<class 'type'>"


class SafeType(metaclass=_TypeMeta):
    pass


SafeType.__name__ = "type"
SAFE_TYPES: set = set()
_opaque: dict = {}


def safe_type(obj):
    t = type(obj)
    if issubclass(t, type):
        return SafeType
    if t in SAFE_TYPES or is_ours(t):
        return t
    return _opaque.setdefault(t, _Opaque(t.__name__))



WRITABLE: set = set()


class Facade:
    """Read-only stand-in for a module with only the named public members."""
    __slots__ = ("_d", "_n")

    def __init__(self, name, members):
        object.__setattr__(self, "_n", name); object.__setattr__(self, "_d", members)

    def __getattribute__(self, name):
        if name == "__name__":
            return object.__getattribute__(self, "_n")
        d = object.__getattribute__(self, "_d")
        try:
            return d[name]
        except (KeyError, TypeError):
            raise AttributeError(f"module '{object.__getattribute__(self, '_n')}' has no attribute '{name}' in this sandbox") from None

    def __setattr__(self, *a): raise AttributeError("modules are read-only in this sandbox")
    __delattr__ = __setattr__
    def __dir__(self): return sorted(object.__getattribute__(self, "_d"))
    def __repr__(self): return f"<module '{object.__getattribute__(self, '_n')}'>"

