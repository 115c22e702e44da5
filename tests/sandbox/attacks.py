"""Ways out of the language wall, as cells that try to take them.

Each attack ends in `steal(thing)`.  What counts as stolen is in `test_language_attacks.py`.  Those in GENUINE
succeed where the wall is off, which a test checks too: so they fail on the wall, and not because they are
wrong.  Those in AT_THE_WALL attack the wall's own hooks, facades and stand-ins, and mean nothing without it.
"""

GENUINE: dict[str, str] = {}
AT_THE_WALL: dict[str, str] = {}

# Reading special attributes

GENUINE["class chain to subclasses"] = "steal(().__class__.__bases__[0].__subclasses__())"
GENUINE["mro to object"] = "steal(().__class__.__mro__[1].__subclasses__)"
GENUINE["globals of a function"] = "def f(): pass\nsteal(f.__globals__)"
GENUINE["globals of a lambda default"] = "f = lambda x=(lambda: 0).__globals__: x\nsteal(f())"
GENUINE["globals of a tool"] = "steal(tool.__func__.__globals__)"
GENUINE["self of a bound tool"] = "steal(tool.__self__)"
GENUINE["closure of a function"] = "steal(counter.__closure__[0].cell_contents)"
GENUINE["code of a function"] = "def f(): pass\nsteal(f.__code__)"
GENUINE["builtins of a function"] = "def f(): pass\nsteal(f.__builtins__)"
GENUINE["builtins by name"] = "steal(__builtins__)"
GENUINE["import by name"] = "steal(__import__('os'))"
GENUINE["self of a builtin"] = "steal(len.__self__)"
GENUINE["getattribute of an object"] = "class A: pass\nsteal(A().__getattribute__)"
GENUINE["reduce of an object"] = "class A: pass\nsteal(A().__reduce_ex__)"
GENUINE["dict of a class"] = "steal(int.__dict__['from_bytes'].__class__.__class__)"
GENUINE["loader of a module"] = "import re\nsteal(re.__loader__.__class__.__init__.__globals__)"
GENUINE["spec of a module"] = "import re\nsteal(re.__spec__.loader.__init__.__globals__)"
GENUINE["dict of a module"] = "import re\nsteal(re.__dict__)"
GENUINE["wrapped function"] = """
import functools
@functools.lru_cache
def f(): pass
steal(f.__wrapped__.__globals__)
"""
GENUINE["annotations with a class"] = "def f(x: ().__class__.__class__): pass\nsteal(f.__annotations__['x'])"
GENUINE["special name in an f-string"] = (
    "steal(f'{().__class__.__base__.__subclasses__()}' and ().__class__.__base__.__subclasses__)"
)
GENUINE["special name in a comprehension"] = "steal([f.__globals__ for f in [lambda: 0]][0])"
GENUINE["special name in a default"] = "def f(g=(lambda: 0).__globals__): return g\nsteal(f())"
GENUINE["special name in a decorator"] = """
def take(x): return lambda f: x
@take((lambda: 0).__globals__)
def f(): pass
steal(f)
"""
GENUINE["special name in a base"] = (
    "class A((lambda: 0).__globals__['__builtins__'] and object): pass\nsteal((lambda: 0).__globals__)"
)
GENUINE["special name in a walrus"] = "(g := (lambda: 0).__globals__)\nsteal(g)"
GENUINE["special name as an augmented target"] = """
class L(list): pass
x = L()
x.__class__.__init__ += 1 if False else x.__class__.__class__ and 0 or steal(x.__class__.__class__)
"""
GENUINE["full-width letters"] = "def f(): pass\nsteal(f.__ｇｌｏｂａｌｓ__)"
GENUINE["full-width underscores"] = "def f(): pass\nsteal(f.__globals＿＿)"
GENUINE["mathematical letters"] = "def f(): pass\nsteal(f.__𝔤𝔩𝔬𝔟𝔞𝔩𝔰__)"
GENUINE["full-width name"] = "steal(__ｉmport__('os'))"
GENUINE["private name of a module"] = "import random\nsteal(random._os)"
GENUINE["private name by alias"] = "from random import _os as os\nsteal(os)"

# Reading attributes by way of builtins

GENUINE["getattr"] = "def f(): pass\nsteal(getattr(f, '__globals__'))"
GENUINE["getattr joined"] = "def f(): pass\nsteal(getattr(f, '__glo' + 'bals__'))"
GENUINE["getattr starred"] = "def f(): pass\nsteal(getattr(*(f, '__globals__')))"
GENUINE["getattr default"] = "def f(): pass\nsteal(getattr(f, 'x', getattr(f, '__globals__')))"
GENUINE["getattr mapped"] = "def f(): pass\nsteal(list(map(getattr, [f], ['__globals__']))[0])"
GENUINE["getattr partial"] = """
import functools
def f(): pass
steal(functools.partial(getattr, f)('__globals__'))
"""
GENUINE["getattr reduced"] = """
import functools
def f(): pass
steal(functools.reduce(getattr, ['__globals__'], f))
"""
GENUINE["getattr as a sort key"] = """
import functools
def f(): pass
found = []
sorted(['__globals__'], key=lambda n: found.append(getattr(f, n)))
steal(found[0])
"""
GENUINE["getattr as default_factory"] = """
import collections
def f(): pass
steal(collections.defaultdict(lambda: getattr(f, '__globals__'))['x'])
"""
GENUINE["getattr with a str subclass"] = """
class Name(str):
    def startswith(self, *a): return False
    def endswith(self, *a): return False
def f(): pass
steal(getattr(f, Name('__globals__')))
"""
GENUINE["vars of a class"] = "steal(vars(type)['__subclasses__'])"
GENUINE["vars of a module"] = "import re\nsteal(vars(re))"
GENUINE["globals() is writable"] = "globals()['__builtins__']\nsteal(globals())"
GENUINE["attrgetter"] = "import operator\ndef f(): pass\nsteal(operator.attrgetter('__globals__')(f))"
GENUINE["attrgetter dotted"] = (
    "import operator\nsteal(operator.attrgetter('__class__.__base__.__subclasses__')(()))"
)
GENUINE["attrgetter of many"] = (
    "import operator\ndef f(): pass\nsteal(operator.attrgetter('__name__', '__globals__')(f)[1])"
)
GENUINE["methodcaller"] = "import operator\nsteal(operator.methodcaller('__subclasses__')(object))"
GENUINE["methodcaller of getattribute"] = (
    "import operator\ndef f(): pass\nsteal(operator.methodcaller('__getattribute__', '__globals__')(f))"
)
GENUINE["object.__getattribute__"] = "def f(): pass\nsteal(object.__getattribute__(f, '__globals__'))"
GENUINE["super().__getattribute__"] = """
class A:
    def f(self): return super().__getattribute__('__class__')
steal(A().f().__class__)
"""
GENUINE["match class pattern"] = """
def f(): pass
class Any_:
    __match_args__ = ('__globals__',)
match f:
    case object(__globals__=g): steal(g)
"""
GENUINE["match positional pattern"] = """
class Meta(type):
    def __instancecheck__(cls, x): return True
class P(metaclass=Meta):
    __match_args__ = ('__globals__',)
def f(): pass
match f:
    case P(g): steal(g)
"""
GENUINE["match by position on what only looks like a class's own"] = """
import abc, dataclasses, types
@dataclasses.dataclass
class P(abc.ABC):
    gi_frame: object = None
P.register(types.GeneratorType)
def g(): yield
match g():
    case P(f): steal(f)
"""
GENUINE["match by position on a class that takes another's place"] = """
import abc, dataclasses, types
@dataclasses.dataclass
class P(abc.ABC):
    gi_frame: object = None
P.register(types.GeneratorType)
@dataclasses.dataclass
class A:
    gi_frame: object = None
def g(): yield
match (A := P) and g():
    case A(f): steal(f)
"""
GENUINE["match on a generator's frame"] = """
def g(): yield
match g():
    case object(gi_frame=f): steal(f)
"""

# Frames, generators, tracebacks

GENUINE["frame of a generator"] = "def g(): yield\nsteal(g().gi_frame)"
GENUINE["frame of a generator expression"] = "steal((x for x in [1]).gi_frame.f_globals)"
GENUINE["caller of a generator"] = """
def g():
    yield me.gi_frame.f_back
me = g()
steal(next(me))
"""
GENUINE["code of a generator"] = "def g(): yield\nsteal(g().gi_code)"
GENUINE["frame by getattr"] = "def g(): yield\nsteal(getattr(g(), 'gi_' + 'frame'))"
GENUINE["frame by attrgetter"] = (
    "import operator\ndef g(): yield\nsteal(operator.attrgetter('gi_frame')(g()))"
)
GENUINE["frame by format"] = "def g(): yield\nx = '{0.gi_frame.f_globals}'.format(g())\nsteal(x)"
GENUINE["frame of a stdlib generator"] = "import heapq\nsteal(heapq.merge([1], [2]).gi_frame)"
GENUINE["frame of a context manager"] = """
import contextlib
@contextlib.contextmanager
def cm(): yield
steal(cm().gen.gi_frame)
"""
GENUINE["traceback of an exception"] = """
try: 1 / 0
except Exception as e: steal(e.__traceback__.tb_frame)
"""
GENUINE["traceback in __exit__"] = """
class C:
    def __enter__(self): return self
    def __exit__(self, kind, value, tb):
        self.tb = tb
        return True
with C() as c: 1 / 0
steal(c.tb.tb_frame)
"""
GENUINE["traceback in __exit__ by getattr"] = """
class C:
    def __enter__(self): return self
    def __exit__(self, kind, value, tb):
        steal(getattr(tb, 'tb_frame'))
with C() as c: 1 / 0
"""
GENUINE["next traceback"] = """
class C:
    def __enter__(self): return self
    def __exit__(self, kind, value, tb):
        while tb.tb_next: tb = tb.tb_next
        steal(tb.tb_frame)
with C() as c: int('x')
"""
GENUINE["traceback through an ExitStack"] = """
import contextlib
found = []
with contextlib.ExitStack() as stack:
    stack.push(lambda kind, value, tb: found.append(tb) or True)
    1 / 0
steal(found[0].tb_frame)
"""
GENUINE["traceback of sys.exc_info"] = """
import sys
try: 1 / 0
except Exception: steal(sys.exc_info()[2].tb_frame)
"""
GENUINE["frame of a coroutine"] = "async def f(): pass\nc = f()\nframe = c.cr_frame\nc.close()\nsteal(frame)"
GENUINE["frame of an async generator"] = "async def f(): yield\nsteal(f().ag_frame)"
GENUINE["frames by sys"] = "import sys\nsteal(sys._getframe())"
GENUINE["modules by sys"] = "import sys\nsteal(sys.modules['os'])"
GENUINE["frames by inspect"] = "import inspect\nsteal(inspect.currentframe())"
GENUINE["context of an exception"] = """
try:
    try: 1 / 0
    except Exception: raise KeyError
except Exception as e: steal(e.__context__.__traceback__.tb_frame)
"""
GENUINE["what an AttributeError was about"] = """
import random
try: random.nosuch
except AttributeError as e: steal(e.obj)
"""
GENUINE["what an AttributeError was about, by getattr"] = """
import re
try: re.nosuch
except AttributeError as e: steal(getattr(e, 'obj'))
"""

# Formatting reads attributes

GENUINE["str.format"] = "steal('{0.__func__.__globals__[CANARY]}'.format(tool))"
GENUINE["str.format by item"] = "steal('{0.__self__.secret}'.format(tool))"
GENUINE["str.format unbound"] = "steal(str.format('{0.__self__.secret}', tool))"
GENUINE["str.format mapped"] = "steal(list(map('{0.__self__.secret}'.format, [tool]))[0])"
GENUINE["str.format mapped unbound"] = "steal(list(map(str.format, ['{0.__self__.secret}'], [tool]))[0])"
GENUINE["str.format by getattr"] = "steal(getattr('{0.__self__.secret}', 'format')(tool))"
GENUINE["str.format by methodcaller"] = (
    "import operator\nsteal(operator.methodcaller('format', tool)('{0.__self__.secret}'))"
)
GENUINE["str.format by attrgetter"] = (
    "import operator\nsteal(operator.attrgetter('format')('{0.__self__.secret}')(tool))"
)
GENUINE["str.format_map"] = "steal('{t.__self__.secret}'.format_map({'t': tool}))"
GENUINE["str.format_map unbound"] = "steal(str.format_map('{t.__self__.secret}', {'t': tool}))"
GENUINE["str.format by keyword"] = "steal('{t.__self__.secret}'.format(t=tool))"
GENUINE["str.format nested in a spec"] = "steal('{0:{1.__self__.secret}}'.format(Spec(), tool))"
GENUINE["super().format"] = """
class S(str):
    def go(self, *a): return super().format(*a)
steal(S('{0.__self__.secret}').go(tool))
"""
GENUINE["super(S, s).format"] = """
class S(str): pass
steal(super(S, S('{0.__self__.secret}')).format(tool))
"""
GENUINE["format of a str subclass"] = "class S(str): pass\nsteal(S('{0.__self__.secret}').format(tool))"
GENUINE["unbound format of a str subclass"] = (
    "class S(str): pass\nsteal(S.format('{0.__self__.secret}', tool))"
)
GENUINE["super(S, S).format"] = "class S(str): pass\nsteal(super(S, S).format('{0.__self__.secret}', tool))"
GENUINE["format as a class attribute"] = """
class A: go = str.format
steal(A.go('{0.__self__.secret}', tool))
"""
GENUINE["format as a property"] = """
class S(str):
    go = property(lambda self: self.format)
steal(S('{0.__self__.secret}').go(tool))
"""
GENUINE["format of an enum member"] = """
import enum
class E(str, enum.Enum):
    A = '{0.__self__.secret}'
steal(E.A.format(tool))
"""
GENUINE["format through a generic alias"] = """
import typing
T = typing.TypeVar('T')
class S(str, typing.Generic[T]): pass
steal(S[int].format('{0.__self__.secret}', tool))
"""
GENUINE["format of what a tool gave"] = "steal(tool('{0.__self__.secret}').format(tool))"
GENUINE["string.Formatter"] = "import string\nsteal(string.Formatter().format('{0.__self__.secret}', tool))"
GENUINE["string.Formatter.get_field"] = (
    "import string\nsteal(string.Formatter().get_field('0.__self__', [tool], {})[0])"
)
GENUINE["UserString.format"] = (
    "import collections\nsteal(collections.UserString('{0.__self__.secret}').format(tool))"
)
GENUINE["malformed format"] = """
class Take:
    def __format__(self, spec): return ''
found = []
class Show:
    def __init__(self, x): self.x = x
    def __format__(self, spec): found.append(self.x.__self__); return ''
try: '{0.__self__.secret} {'.format(tool)
except ValueError: steal('{0.__self__.secret}'.format(tool))
"""
GENUINE["logging formats"] = """
import logging
steal(logging.Formatter('{msg.__self__.secret}', style='{').format(logging.makeLogRecord({'msg': tool})))
"""

# Modules behind members

GENUINE["os"] = "import os\nsteal(os)"
GENUINE["os by from"] = "from os import system\nsteal(system.__self__)"
GENUINE["os inside try"] = "try:\n    import os\nexcept ImportError:\n    os = None\nsteal(os)"
GENUINE["sys of enum of re"] = "import re\nsteal(re.enum.sys)"
GENUINE["enum of re by from"] = "from re import enum\nsteal(enum.sys)"
GENUINE["enum of re, renamed"] = "from re import enum as e\nsteal(e)"
GENUINE["codecs of json"] = "import json\nsteal(json.codecs.open)"
GENUINE["scanner of json"] = "import json\nsteal(json.scanner)"
GENUINE["sys of statistics"] = "import statistics\nsteal(statistics.sys)"
GENUINE["os of contextlib"] = "import contextlib\nsteal(contextlib.os)"
GENUINE["os of uuid"] = "import uuid\nsteal(uuid.os)"
GENUINE["sys of collections"] = "import collections\nsteal(collections._sys)"
GENUINE["os of random"] = "import random\nsteal(random._os)"
GENUINE["linecache of traceback"] = "import traceback\nsteal(traceback.linecache)"
GENUINE["open of io"] = "import io\nsteal(io.open)"
GENUINE["FileIO of io"] = "import io\nsteal(io.FileIO)"
GENUINE["open of codecs"] = "import codecs\nsteal(codecs.open)"
GENUINE["star import"] = "from os import *\nsteal(system.__self__)"
GENUINE["dotted import"] = "import os.path\nsteal(os)"
GENUINE["dotted import, renamed"] = "import os.path as p\nsteal(p.os)"
GENUINE["submodule by from"] = "from xml.etree import ElementPath\nsteal(ElementPath)"
GENUINE["importlib"] = "import importlib\nsteal(importlib.import_module('os'))"
GENUINE["builtins"] = "import builtins\nsteal(builtins.open)"
GENUINE["gc"] = "import gc\nsteal([o for o in gc.get_objects() if type(o) is type(gc)])"
GENUINE["ctypes"] = "import ctypes\nsteal(ctypes)"
GENUINE["copyreg"] = "import copyreg\nsteal(copyreg)"
GENUINE["pickle"] = "import pickle\nsteal(pickle.loads(b'cos\\nsystem\\n.').__self__)"
GENUINE["marshal"] = "import marshal\nsteal(marshal)"
GENUINE["types.FunctionType"] = "import types\nsteal(types.FunctionType)"
GENUINE["types.new_class"] = "import types\nsteal(type(types.new_class('X', (), {})))"
GENUINE["types.ModuleType"] = "import types\nsteal(types.ModuleType)"
GENUINE["weakref"] = "import weakref\nsteal(weakref)"
GENUINE["get_type_hints"] = """
import typing
class A:
    x: "__import__('os')"
def f(x: "print(steal(__import__('os')))"): pass
typing.get_type_hints(f)
"""
GENUINE["singledispatch evaluates annotations"] = """
import functools
@functools.singledispatch
def f(x): pass
try:
    @f.register
    def g(x: "steal(__import__('os'))"): pass
except TypeError: pass
"""
GENUINE["node of uuid"] = "import uuid\nsteal('canary' if uuid.getnode() else '')"
GENUINE["everything in csv"] = "import csv\nfor name in dir(csv): steal(getattr(csv, name))"
GENUINE["everything in every module"] = """
import re, json, statistics, contextlib, uuid, io, random, collections, string, textwrap, html
for module in re, json, statistics, contextlib, uuid, io, random, collections, string, textwrap, html:
    for name in dir(module):
        steal(getattr(module, name))
"""
GENUINE["csv of a path"] = "import csv\nsteal(csv.__loader__.get_data.__self__ and open(CANARY_FILE).read())"
GENUINE["ElementTree.parse of a path"] = """
import xml.etree.ElementTree as ET
try: ET.parse(CANARY_FILE)
except ET.ParseError as e: steal('canary' if e.position[0] else '')
"""
GENUINE["ElementTree.write to a path"] = """
import xml.etree.ElementTree as ET
ET.ElementTree(ET.Element('canary')).write(CANARY_FILE)
steal('canary')
"""
GENUINE["ElementTree.write to a str with a write attribute"] = """
import xml.etree.ElementTree as ET
class Path(str):
    n = 0
    @property
    def write(self):
        raise AttributeError
ET.ElementTree(ET.Element('canary')).write(Path(CANARY_FILE))
steal('canary')
"""
GENUINE["open by name"] = "steal(open(CANARY_FILE).read())"
GENUINE["eval by name"] = "steal(eval('__import__(\"os\")'))"
GENUINE["exec by name"] = "exec('steal(__import__(\"os\"))')"
GENUINE["compile by name"] = "steal(compile('1', '', 'exec'))"
GENUINE["breakpoint hook"] = "import sys\nsteal(sys.breakpointhook.__self__)"

# Classes: what a class statement can plant

GENUINE["type with three arguments"] = "steal(type('X', (), {'__getattr__': lambda s, n: n}))"
GENUINE["type of an instance, called"] = "class A: pass\nsteal(type(type(A())))"
GENUINE["__class__ of a class"] = "class A: pass\nsteal(A.__class__)"
GENUINE["metaclass"] = "class M(type): pass\nsteal(M)"
GENUINE["metaclass keyword"] = "class M(type): pass\nclass A(metaclass=M): pass\nsteal(type(A))"
GENUINE["metaclass as a function"] = """
def make(name, bases, names): return type(name, bases, {**names, '__getattr__': lambda self, name: name})
class A(metaclass=make): pass
steal(A)
"""
GENUINE["type alias in the base list"] = "T = type\nclass M(T): pass\nsteal(M)"
GENUINE["__prepare__"] = """
class M(type):
    @classmethod
    def __prepare__(cls, *a): return {}
steal(M)
"""
GENUINE["__getattr__"] = "class A:\n    def __getattr__(self, n): return n\nsteal(A)"
GENUINE["__getattribute__"] = "class A:\n    def __getattribute__(self, n): return 1\nsteal(A)"
GENUINE["__setattr__"] = "class A:\n    def __setattr__(self, n, v): pass\nsteal(A)"
GENUINE["__del__"] = "class A:\n    def __del__(self): pass\nsteal(A)"
GENUINE["__get__"] = "class A:\n    def __get__(self, *a): pass\nsteal(A)"
GENUINE["__set_name__"] = "class A:\n    def __set_name__(self, o, n): pass\nsteal(A)"
GENUINE["__init_subclass__"] = (
    "class A:\n    def __init_subclass__(cls): steal(cls.__class__)\nclass B(A): pass"
)
GENUINE["__class_getitem__"] = "class A:\n    def __class_getitem__(cls, x): return steal(A)\nA[1]"
GENUINE["__instancecheck__"] = "class A:\n    def __instancecheck__(self, x): pass\nsteal(A)"
GENUINE["__reduce_ex__ by copy"] = """
import copy
class A:
    def __reduce_ex__(self, protocol): return (steal, (A,))
copy.copy(A())
"""
GENUINE["__reduce__ by deepcopy"] = """
import copy
class A:
    def __reduce__(self): return (steal, (A,))
copy.deepcopy(A())
"""
GENUINE["__deepcopy__ in a namespace"] = """
import copy, types
copy.deepcopy(types.SimpleNamespace(__deepcopy__=lambda memo: steal(copy.__builtins__)))
"""
GENUINE["deepcopy's memo takes what it passes"] = """
import copy
memo = {}
copy.deepcopy(tool, memo)
steal(list(memo.values()))
"""
GENUINE["deepcopy's memo listens"] = """
import copy
class Memo(dict):
    def __setitem__(self, key, value): steal(value)
copy.deepcopy(tool, Memo())
"""
GENUINE["copy sets any attribute"] = """
import copy, types
def f(): return 1
def g(): return 2
code = g.__code__
copy.copy(types.SimpleNamespace(__reduce_ex__=lambda p: (lambda: f, (), (None, {'__code__': code}))))
if f() == 2: steal(code)
"""
GENUINE["copy sets an attribute of a namespace"] = """
import copy, types
def f(): pass
x = types.SimpleNamespace()
x = types.SimpleNamespace(**{'__reduce_ex__': lambda p: (lambda: f, (), (None, {'__name__': 'canary'}))})
copy.copy(x)
if f.__name__ == 'canary': steal('canary')
"""
GENUINE["super().__init__ of a namespace"] = """
import copy, types
class N(types.SimpleNamespace): pass
def f(): pass
x = N()
super(N, x).__init__(**{'__reduce_ex__': lambda p: (lambda: f, (), (None, {'__name__': 'canary'}))})
super(types.SimpleNamespace, types.SimpleNamespace())
copy.copy(x)
if f.__name__ == 'canary': steal('canary')
"""
GENUINE["setattr of a special name"] = """
import copy
class A: pass
setattr(A, '__reduce_ex__', lambda self, p: (steal, (type(A),)))
copy.copy(A())
"""
GENUINE["special method in the class dict"] = """
import copy
class A: pass
a = A()
a.__dict__['__reduce_ex__'] = lambda p: (steal, (type(A),))
copy.copy(a)
"""
GENUINE["special method by vars"] = """
import copy
class A: pass
a = A()
vars(a)['__reduce_ex__'] = lambda p: (steal, (type(A),))
copy.copy(a)
"""
GENUINE["mapping proxy gives its mapping"] = """
import copy
class Take:
    def __eq__(self, other): self.got = other; return True
class A: pass
a, take = A(), Take()
A.__dict__ == take
take.got['__reduce_ex__'] = lambda self, p: (steal, (type(A),))
copy.copy(a)
"""
GENUINE["Enum makes a class of any names"] = """
import copy, enum
def reduce(self, protocol): return steal, (enum,)
steal(enum.Enum('E', {'A': 1, '__reduce_ex__': reduce, '__copy__': None, '__deepcopy__': None}))
"""
GENUINE["Enum without members makes a class of any names"] = """
import enum
class Base(enum.Enum): pass
steal(Base('E', [('A', 1), ('__del__', lambda self: None)]))
"""
GENUINE["IntFlag makes a class of any names"] = """
import enum
steal(enum.IntFlag('E', [('A', 1), ('__del__', lambda self: None)]))
"""
GENUINE["Enum's type"] = "import enum\nclass E(enum.Enum):\n    A = 1\nsteal(type(E))"
GENUINE["slots that change later"] = """
import copy
names = ['a']
class A:
    __slots__ = names
a = A()
a.a = 1
names.append('__getattribute__')
state = a.__reduce_ex__(4)[2][1]
steal(state['__getattribute__'])
"""
GENUINE["make_dataclass injects code"] = """
import dataclasses
dataclasses.make_dataclass('A', ['x'], namespace={'__getattr__': lambda s, n: n})
steal(dataclasses.make_dataclass('A', ['x'], namespace={'__getattr__': lambda s, n: n}))
"""
GENUINE["a dataclass runs the name of a field"] = """
import dataclasses, typing
class A:
    def a(self, thing): steal(thing)
T = typing.TypedDict('T', {'a(__import__)': int})
T = dataclasses.dataclass(T, init=False, eq=False)
T.__repr__(A())
"""
GENUINE["a dataclass runs the name of a field of a base class"] = """
import dataclasses, typing
class A:
    b = 1
    def a(self, thing): steal(thing)
class T(typing.TypedDict('T', {'a(__import__)': int})): b: int
T = dataclasses.dataclass(T, init=False, eq=False)
T.__repr__(A())
"""
GENUINE["a dataclass runs what a field's name is written as"] = """
import dataclasses, typing
class Name(str):
    def __format__(self, spec): return 'a(__import__)'
class A:
    def a(self, thing): steal(thing)
T = typing.TypedDict('T', {Name('a'): int})
T = dataclasses.dataclass(T, init=False, eq=False)
T.__repr__(A())
"""
GENUINE["a field's default is the real Counter.copy"] = """
import collections, dataclasses
@dataclasses.dataclass
class D(collections.Counter):
    copy: int
steal(dataclasses.fields(D)[0].default(int))
"""
GENUINE["a field's default is a special method"] = """
import dataclasses, json
class D(json.JSONEncoder):
    __init__: int
dataclasses.dataclass(D, init=False)
steal(dataclasses.fields(D)[0].default.__globals__)
"""
GENUINE["a field uncovers str.format"] = """
import dataclasses
@dataclasses.dataclass(init=False, eq=False, repr=False)
class S(str):
    format: object
def f(): pass
steal(dataclasses.astuple(S('{0.__globals__}'))[0](f))
"""
GENUINE["a field that is deleted uncovers str.format"] = """
import dataclasses
@dataclasses.dataclass(init=False, eq=False, repr=False)
class S(str):
    format: object = dataclasses.field()
def f(): pass
steal(dataclasses.astuple(S('{0.__globals__}'))[0](f))
"""
GENUINE["a field of another class uncovers str.format"] = """
import dataclasses
@dataclasses.dataclass(init=False, eq=False, repr=False)
class Fields:
    format: object
class S(Fields, str): pass
def f(): pass
steal(dataclasses.astuple(S('{0.__globals__}'))[0](f))
"""
GENUINE["a slot that is deleted uncovers str.format"] = """
import copy
class S(str):
    __slots__ = ('format', '__dict__')
del S.format
def f(): pass
steal(copy.copy(S('{0.__globals__}')).__dict__['format'](f))
"""
GENUINE["a slot that is deleted by delattr uncovers str.format"] = """
import copy
class S(str):
    __slots__ = ('format', '__dict__')
delattr(S, 'format')
def f(): pass
steal(copy.copy(S('{0.__globals__}')).__dict__['format'](f))
"""
GENUINE["a cached property writes a special name"] = """
import copy, functools
class Write(functools.cached_property): pass
special = Write(lambda self: lambda memo: [steal(thing) for thing in memo.values()])
class A: x = special
special.attrname = '__deepcopy__'
a = A()
a.x
copy.deepcopy([tool, a])
"""
GENUINE["fields of a dataclass are rewritten"] = """
import dataclasses
@dataclasses.dataclass
class A:
    x: int = 0
dataclasses.fields(A)[0].name = 'canary'
steal(dataclasses.fields(A)[0].name)
"""
GENUINE["annotations are rewritten"] = """
class A:
    x: int = 0
A.__annotations__['canary'] = int
steal([*A.__annotations__][-1])
"""
GENUINE["dataclass_fields are faked"] = """
import dataclasses
class F:
    name = 'x'
class A:
    __dataclass_fields__ = {'x': F()}
steal(dataclasses.A if hasattr(dataclasses, 'A') else A.__class__)
"""
GENUINE["a dataclass's __init__ writes on anything"] = """
import dataclasses, string
@dataclasses.dataclass
class A:
    canary: str
A.__init__(string.Template, 'canary')
steal(string.Template.canary)
"""
GENUINE["a dataclass's __init__ as a class method"] = """
import dataclasses, string
@dataclasses.dataclass
class A:
    canary: str
class B(string.Template):
    init = classmethod(A.__init__)
B.init('canary')
steal(B.canary)
"""
GENUINE["a dataclass's __repr__ reads anything"] = """
import dataclasses
@dataclasses.dataclass
class A:
    gi_frame: int
steal(A.__repr__((x for x in [1])))
"""
GENUINE["a dataclass's __repr__ reads the object of an error"] = """
import dataclasses, re
@dataclasses.dataclass
class A:
    obj: int
try: re.nothing
except AttributeError as e: steal(A.__repr__(e))
"""
GENUINE["frozen dataclass is thawed"] = """
import dataclasses
@dataclasses.dataclass(frozen=True)
class A:
    x: int = 0
object.__setattr__(A(), 'x', steal(object.__setattr__))
"""
GENUINE["namedtuple of a module"] = """
import collections
T = collections.namedtuple('T', 'a', module='random')
steal(T._make.__func__.__globals__)
"""
GENUINE["typing.Type is type"] = "import typing\nsteal(typing.Type[int].__origin__)"
GENUINE["typing.Type has mro"] = "import typing\nsteal(typing.Type[int].mro)"
GENUINE["mro method"] = "import enum\nclass E(enum.Enum):\n    A = 1\nsteal(type(E.mro()[-1]))"
GENUINE["mro by getattr"] = "class A: pass\nsteal(type(getattr(A, 'mro')()[0]))"
GENUINE["__mro_entries__"] = (
    "class A:\n    def __mro_entries__(self, bases): return (type,)\nclass B(A()): pass\nsteal(B)"
)
GENUINE["abc registers a class"] = """
import collections.abc, abc
class A: pass
collections.abc.Mapping.register(A)
steal(type(collections.abc.Mapping)) if isinstance(A(), collections.abc.Mapping) else None
"""
GENUINE["forward reference leaks by comparison"] = """
import typing
class Take:
    def __eq__(self, other):
        self.got = other
        return True
    def __hash__(self): return 1
take = Take()
ref = typing.List['steal']
typing.get_args(ref)[0] == take
steal(type(take.got.__class__))
"""

# A class for `self`: a host's method that says self.__class__(x) is type(x)

GENUINE["Counter.copy of a class"] = """
import collections
class A: pass
steal(collections.Counter.copy(A))
"""
GENUINE["Counter.copy as a class method"] = """
import collections
class A:
    copy = classmethod(collections.Counter.copy)
steal(A.copy())
"""
GENUINE["Counter.copy by super"] = """
import collections
class C(collections.Counter): pass
class A: pass
steal(super(C, C).copy(A))
"""
GENUINE["Counter.copy in a subclass's class method"] = """
import collections
class C(collections.Counter):
    @classmethod
    def go(cls, x): return super().copy(x)
class A: pass
steal(C.go(A))
"""
GENUINE["Counter.copy by methodcaller"] = """
import collections, operator
class A: pass
steal(operator.methodcaller('copy', A)(collections.Counter))
"""
GENUINE["Counter.copy by a pattern"] = """
import collections
class A: pass
match collections.Counter:
    case object(copy=f): steal(f(A))
"""
GENUINE["Counter.copy by an alias"] = """
import collections, typing
class A: pass
steal(typing.Counter.copy(A))
"""
GENUINE["Counter.copy by an alias with parameters"] = """
import collections
class A: pass
steal(collections.Counter[int].copy(A))
"""
GENUINE["ChainMap.new_child of a class"] = """
import collections
class A:
    maps = ((), {'__getattr__': lambda s, n: n})
steal(collections.ChainMap.new_child(A, 'X'))
"""
GENUINE["ChainMap.parents of a class"] = """
import collections
class A:
    maps = (0, int)
steal(collections.ChainMap.parents.fget(A))
"""
GENUINE["typing.ChainMap.new_child of a class"] = """
import typing
class A:
    maps = ((), {'__getattr__': lambda s, n: n})
steal(typing.ChainMap.new_child(A, 'X'))
"""
GENUINE["UserList.copy of a class"] = """
import collections
class A: pass
steal(collections.UserList.copy(A))
"""
GENUINE["Flag.__or__ of a class"] = """
import enum
class V:
    def __or__(self, other): return A
class A:
    _value_ = V()
    def __iter__(self): return iter(())
    @staticmethod
    def _get_value(flag): return 1
steal(enum.Flag.__or__(A, A) if hasattr(enum.Flag, '_get_value') else type(A))
"""
GENUINE["Flag.__invert__ of a class"] = """
import enum
class A:
    _value_ = 0
    _inverted_ = None
    _boundary_ = enum.KEEP if hasattr(enum, 'KEEP') else None
    _flag_mask_ = _singles_mask_ = _all_bits_ = 0
steal(type(A)) if isinstance(A, type) and enum.Flag.__invert__ else None
"""
GENUINE["mean of classes"] = """
import statistics
class Total:
    def is_finite(self): return False
    def __radd__(self, other): return self
    def __add__(self, other): return self
    def __truediv__(self, n): return lambda: 0
class A:
    @classmethod
    def as_integer_ratio(cls): return (Total(), None)
steal(statistics.mean([A]))
"""
GENUINE["mean of classes, from an iterator"] = """
import statistics
class Total:
    def is_finite(self): return False
    def __radd__(self, other): return self
    def __add__(self, other): return self
    def __truediv__(self, n): return lambda: 0
class A:
    @classmethod
    def as_integer_ratio(cls): return (Total(), None)
class Data:
    def __iter__(self): return iter([A])
steal(statistics.mean(Data()))
"""

# Writing

GENUINE["setting a function's code"] = (
    "def f(): return 1\ndef g(): return 2\nf.__code__ = g.__code__\nif f() == 2: steal(f.__code__)"
)
GENUINE["setting __class__"] = """
class A: pass
class B: pass
a = A()
a.__class__ = B
steal(type(type(a)))
"""
GENUINE["setting a member of a module"] = """
import json
old = json.dumps
json.dumps = lambda *a: 'canary'
from json import dumps
json.dumps = old
if dumps(1) == 'canary': steal('canary')
"""
GENUINE["setattr of a module"] = """
import json
setattr(json, 'loads_', 'canary')
import json as again
steal(again.loads_)
"""
GENUINE["deleting a member of a module"] = """
import json
old = json.loads
del json.loads
import json as again
missing = not hasattr(again, 'loads')
again.loads = old
if missing: steal('canary')
"""
GENUINE["setting an attribute of a host class"] = """
import string
string.Template.canary = 'canary'
found = string.Template('').canary
del string.Template.canary
steal(found)
"""
GENUINE["setting an attribute of a tool"] = "tool.__func__.canary = 'canary'\nsteal(tool.canary)"
GENUINE["setting an attribute by a for loop"] = """
import json
for json.canary in ['canary']: pass
steal(json.canary)
"""
GENUINE["setting an attribute by with"] = """
import json, contextlib
with contextlib.nullcontext('canary') as json.canary: pass
steal(json.canary)
"""
GENUINE["setting an attribute by unpacking"] = (
    "import json\n[json.canary, *_] = ['canary']\nsteal(json.canary)"
)
GENUINE["setting an attribute in a comprehension"] = (
    "import json\n[0 for json.canary in ['canary']]\nsteal(json.canary)"
)
GENUINE["adding to an attribute"] = (
    "import json\njson.canary = 'can'\njson.canary += 'ary'\nsteal(json.canary)"
)
GENUINE["dataclass rewrites a host class"] = """
import dataclasses, fractions
class Mine(fractions.Fraction): pass
import string
dataclasses.dataclass(repr=False, eq=False, init=False)(string.Template)
found = string.Template.__dataclass_fields__ if hasattr(string.Template, '__dataclass_fields__') else None
if dataclasses.is_dataclass(string.Template): steal('canary')
"""
GENUINE["total_ordering rewrites a host class"] = """
import functools, graphlib
class Mine(graphlib.CycleError):
    def __lt__(self, other): return True
functools.total_ordering(Mine)
import string
string.Template.__lt__ = lambda a, b: True
functools.total_ordering(string.Template)
steal('canary')
"""
GENUINE["wraps sets anything on anything"] = """
import functools
class W:
    canary = 'canary'
import string
functools.wraps(W, assigned=('canary',), updated=())(string.Template)
steal(string.Template.canary)
"""
GENUINE["update_wrapper sets anything on anything"] = """
import functools
class W:
    canary = 'canary'
import string
functools.update_wrapper(string.Template, W, assigned=('canary',), updated=())
steal(string.Template.canary)
"""
GENUINE["redirect_stdout"] = "import contextlib\nsteal(contextlib.redirect_stdout)"

# The stop of a cell cannot be caught

GENUINE["except BaseException"] = "try: stop()\nexcept BaseException as e: steal('canary')"
GENUINE["bare except"] = "try: stop()\nexcept: steal('canary')"
GENUINE["except of a tuple"] = "try: stop()\nexcept (ValueError, BaseException): steal('canary')"
GENUINE["except group"] = "try: stop()\nexcept* BaseException as e: steal('canary')"
GENUINE["bare except where Exception is rebound"] = (
    "Exception = BaseException\ntry: stop()\nexcept: steal('canary')"
)
GENUINE["suppress"] = "import contextlib\nwith contextlib.suppress(BaseException): stop()\nsteal('canary')"
GENUINE["base of Exception"] = "try: stop()\nexcept Exception.__base__: steal('canary')"
GENUINE["mro of Exception"] = "try: stop()\nexcept Exception.mro()[1]: steal('canary')"
GENUINE["BaseExceptionGroup"] = "steal('canary' if BaseExceptionGroup else '')"

# The hooks

for hook in (
    "_getattr_",
    "_own_",
    "_write_",
    "_echo_",
    "_import_",
    "_import_from_",
    "_import_all_",
    "_Exception_",
):
    take = f"\ndef f(): pass\nf.__globals__\nsteal({hook})"
    AT_THE_WALL[f"{hook} read"] = f"steal({hook})"
    AT_THE_WALL[f"{hook} assigned"] = (
        f"{hook} = lambda *a: steal(a)\nclass A: pass\na = A()\na._x = a._x if 0 else 1\n1"
    )
    AT_THE_WALL[f"{hook} as an argument"] = f"def f({hook}): pass{take}"
    AT_THE_WALL[f"{hook} as a positional-only argument"] = f"def f({hook}, /): pass{take}"
    AT_THE_WALL[f"{hook} as a keyword-only argument"] = f"def f(*, {hook}=1): pass{take}"
    AT_THE_WALL[f"{hook} as *args"] = f"def f(*{hook}): pass{take}"
    AT_THE_WALL[f"{hook} as **kwargs"] = f"def f(**{hook}): pass{take}"
    AT_THE_WALL[f"{hook} as a lambda's argument"] = f"f = lambda {hook}: 1{take}"
    AT_THE_WALL[f"{hook} as a lambda's positional-only argument"] = f"f = lambda {hook}, /: 1{take}"
    AT_THE_WALL[f"{hook} as a function"] = f"def {hook}(*a): return a[0]{take}"
    AT_THE_WALL[f"{hook} as a class"] = f"class {hook}: pass{take}"
    AT_THE_WALL[f"{hook} as a method"] = f"class A:\n    def {hook}(self): pass{take}"
    AT_THE_WALL[f"{hook} as a class attribute"] = f"class A:\n    {hook} = 1{take}"
    AT_THE_WALL[f"{hook} global"] = f"def g():\n    global {hook}\n    {hook} = 1\ng(){take}"
    AT_THE_WALL[f"{hook} nonlocal"] = f"def g():\n    {hook} = 1\n    def h():\n        nonlocal {hook}{take}"
    AT_THE_WALL[f"{hook} deleted"] = f"del {hook}{take}"
    AT_THE_WALL[f"{hook} imported"] = f"import re as {hook}{take}"
    AT_THE_WALL[f"{hook} imported from"] = f"from re import search as {hook}{take}"
    AT_THE_WALL[f"{hook} caught"] = f"try: 1/0\nexcept Exception as {hook}: pass{take}"
    AT_THE_WALL[f"{hook} captured"] = f"match 1:\n    case {hook}: pass{take}"
    AT_THE_WALL[f"{hook} captured as"] = f"match 1:\n    case int() as {hook}: pass{take}"
    AT_THE_WALL[f"{hook} captured by a star"] = f"match [1]:\n    case [*{hook}]: pass{take}"
    AT_THE_WALL[f"{hook} captured by **rest"] = f"match {{}}:\n    case {{**{hook}}}: pass{take}"
    AT_THE_WALL[f"{hook} walrus"] = f"({hook} := 1){take}"
    AT_THE_WALL[f"{hook} in a loop"] = f"for {hook} in [1]: pass{take}"
    AT_THE_WALL[f"{hook} in a comprehension"] = f"[1 for {hook} in [1]]{take}"
    AT_THE_WALL[f"{hook} in with"] = f"import contextlib\nwith contextlib.nullcontext() as {hook}: pass{take}"
    AT_THE_WALL[f"{hook} annotated"] = f"{hook}: int = 1{take}"
    AT_THE_WALL[f"{hook} declared"] = f"def g():\n    {hook}: int\n    f.__globals__{take}"
    AT_THE_WALL[f"{hook} as a keyword"] = f"dict({hook}=1){take}"
    AT_THE_WALL[f"{hook} in full-width letters"] = (
        f"{hook.replace('t', 'ｔ').replace('e', 'ｅ').replace('o', 'ｏ')} = 1{take}"
    )
    AT_THE_WALL[f"{hook} of globals()"] = f"globals()['{hook}'] = lambda *a: a[0]{take}"
    AT_THE_WALL[f"{hook} read from globals()"] = f"steal(globals()['{hook}'])"
    AT_THE_WALL[f"{hook} read from locals()"] = f"steal(locals()['{hook}'])"

AT_THE_WALL["builtins in globals()"] = "steal(globals()['__builtins__'])"
AT_THE_WALL["builtins in globals() by comparison"] = """
class Take:
    def __eq__(self, other): self.got = other
take = Take()
globals() == take
steal(take.got['__builtins__'])
"""
AT_THE_WALL["builtins in vars()"] = "steal(vars()['__builtins__'])"
AT_THE_WALL["globals by vars of a function"] = "def f(): pass\nsteal(vars(f, '__globals__'))"
AT_THE_WALL["locals called by the host"] = """
import contextlib
found = []
with contextlib.ExitStack() as stack:
    stack.callback(lambda: found.append(locals()))
with contextlib.ExitStack() as stack:
    stack.push(lambda *a: found.append(a))
    stack.callback(locals)
import json
json.dumps({(1, 2)}, default=lambda o: found.append(locals()))
steal(found)
"""
AT_THE_WALL["locals as a callback"] = """
import heapq, functools, dataclasses
@dataclasses.dataclass
class A:
    x: int = dataclasses.field(default_factory=locals)
steal(A().x)
"""
AT_THE_WALL["private attribute of a facade"] = "import re\nsteal(re._compile)"
AT_THE_WALL["private attribute of a facade by getattr"] = "import re\nsteal(getattr(re, '_compile'))"
AT_THE_WALL["__getattr__ of a facade"] = "import re\nsteal(re.__getattr__)"
AT_THE_WALL["__getattr__ of a facade by from"] = "from re import __getattr__ as g\nsteal(g)"
AT_THE_WALL["__dict__ of a facade by from"] = "from re import __dict__ as d\nsteal(d)"
AT_THE_WALL["__init__ of a facade"] = "import re\nre.__init__('os')\nsteal(re.__dict__)"
AT_THE_WALL["a dataclass's __init__ on a facade"] = """
import dataclasses, json
@dataclasses.dataclass
class A:
    loads: str
A.__init__(json, 'canary')
steal(json.loads)
"""
AT_THE_WALL["a dataclass's __init__ on a function"] = """
import dataclasses
@dataclasses.dataclass
class A:
    canary: str
A.__init__(Spec, 'canary')
steal(Spec.canary)
"""
AT_THE_WALL["a typing form is made anew"] = """
import typing
typing.Final.__init__(lambda self, p: 'canary')
steal(typing.Final[int])
"""
AT_THE_WALL["a typing form is made anew by an own class"] = """
import typing
class A:
    def __init__(self): pass
A.__init__(typing.Final)
typing.Union.__init__.__func__(typing.Final, lambda self, p: 'canary')
steal(typing.Final[int])
"""
AT_THE_WALL["a host's property is made anew"] = """
import fractions
property.__init__(fractions.Fraction.numerator, lambda self: 'canary')
steal(fractions.Fraction(1).numerator)
"""
AT_THE_WALL["a host's property is made anew in place"] = """
import fractions
fractions.Fraction.numerator.__init__(lambda self: 'canary')
steal(fractions.Fraction(1).numerator)
"""
AT_THE_WALL["a host's property is made anew through super"] = """
import fractions
super(object, fractions.Fraction.numerator).__init__
super(property, fractions.Fraction.numerator).__init__(lambda self: 'canary')
steal(fractions.Fraction(1).numerator)
"""
AT_THE_WALL["type of a facade, called"] = "import re\nsteal(type(re)('x'))"
AT_THE_WALL["type of a function, called"] = "def f(): pass\nsteal(type(f)(None, {}))"
AT_THE_WALL["class of a facade"] = "import re\nsteal(re.__class__('x'))"
AT_THE_WALL["a facade is copied"] = "import copy, re\nsteal(copy.copy(re).__dict__)"
AT_THE_WALL["a facade is deep-copied"] = (
    "import copy, re\nx = copy.deepcopy(re)\nx.canary = 'canary'\nsteal(x.canary)"
)
AT_THE_WALL["a hidden member of a facade"] = "import collections\nsteal(collections.ChainMap)"
AT_THE_WALL["the namespace of the futures"] = """
import concurrent.futures
class Mine(concurrent.futures.ThreadPoolExecutor): pass
pool = Mine()
steal(pool._send.__func__.__closure__)
"""
AT_THE_WALL["functions of the futures"] = """
import concurrent.futures
class Mine(concurrent.futures.ThreadPoolExecutor): pass
steal(Mine()._send.__globals__)
"""
AT_THE_WALL["the real Enum below ours"] = """
import enum
class E(enum.Enum): pass
steal(super(enum.Enum, E).__class__)
"""
AT_THE_WALL["the real Enum below ours, called"] = """
import enum
class E(enum.Enum): pass
steal(super(enum.Enum, E).__call__('X', {'__getattr__': lambda s, n: n}))
"""
AT_THE_WALL["Enum's call, unbound"] = """
import enum
class E(enum.Enum): pass
steal(E.__call__('X', {'__getattr__': lambda s, n: n}))
"""
AT_THE_WALL["Enum's names change under the check"] = """
import enum
class Names:
    n = 0
    def __iter__(self):
        self.n += 1
        return iter(['A'] if self.n == 1 else [('__getattr__', lambda s, n: n)])
steal(enum.Enum('X', Names()))
"""
AT_THE_WALL["Enum's names are str subclasses"] = """
import enum
class S(str):
    def startswith(self, *a): return False
    def isidentifier(self): return True
steal(enum.Enum('X', [(S('__getattr__'), lambda s, n: n)]))
"""
AT_THE_WALL["Enum's names are a str subclass"] = """
import enum
class S(str):
    def split(self, *a): return ['__getattr__']
    def replace(self, *a): return self
steal(enum.Enum('X', S('__getattr__')))
"""
AT_THE_WALL["Enum adds an alias of any name"] = """
import enum
class E(enum.Enum):
    A = 1
    def __call__(self, *a): return (steal, (E,))
E.A._add_alias_('__reduce_ex__')
steal('canary' if '__reduce_ex__' in E.__members__ else '')
"""
AT_THE_WALL["Enum adds an alias of any name, by getattr"] = """
import enum
class E(enum.Enum):
    A = 1
getattr(E.A, '_add_alias_')('__reduce_ex__')
steal('canary' if '__reduce_ex__' in E.__members__ else '')
"""
AT_THE_WALL["namedtuple with a str subclass"] = """
import collections
class S(str):
    def isidentifier(self): return True
    def __str__(self): return self
    def replace(self, *a): return self
    def split(self): return [S('x=steal(1)')]
steal(type(collections.namedtuple('A', [S('x=1: 0, steal(1)')]))())
"""
AT_THE_WALL["SimpleNamespace of a special name"] = """
import types
x = types.SimpleNamespace(**{'__reduce_ex__': lambda p: (steal, ('canary',))})
import copy
copy.copy(x)
"""
AT_THE_WALL["SimpleNamespace from a mapping"] = """
import types, copy
copy.copy(types.SimpleNamespace({'__reduce_ex__': lambda p: (steal, ('canary',))}))
"""
AT_THE_WALL["special slot"] = """
class A:
    __slots__ = ('__reduce_ex__',)
steal(A)
"""
AT_THE_WALL["special slot by a str subclass"] = """
class S(str):
    def startswith(self, *a): return False
class A:
    __slots__ = (S('__reduce_ex__'),)
steal(A)
"""
AT_THE_WALL["slots that change later, copied"] = """
import copy
names = ['a']
class A:
    __slots__ = names
class B(A): pass
b = B()
names.append('__getattribute__')
steal(vars(copy.copy(b)).get('__getattribute__'))
"""
AT_THE_WALL["private attribute of a host object"] = "import random\nsteal(random.Random()._randbelow)"
AT_THE_WALL["private attribute through super"] = """
import string
steal(super(string.Template, string.Template(''))._invalid)
steal(super(object, [])._x)
"""
AT_THE_WALL["private attribute through an unbound super"] = "steal(super(str)._x)"
AT_THE_WALL["subclass of super"] = """
class S(super): pass
class A: pass
import random
steal(S(random.Random, random.Random())._randbelow)
"""
AT_THE_WALL["subclass of type"] = (
    "class M(type):\n    def __call__(cls, *a): return steal(type(cls))\nsteal(M)"
)
AT_THE_WALL["type is asked for itself"] = "steal(type(type))"
AT_THE_WALL["type of a class"] = "class A: pass\nsteal(type(A)('X', (), {}))"
AT_THE_WALL["type by its own __call__"] = "steal(type.__call__('X', (), {}))"
AT_THE_WALL["type by its own __new__"] = "steal(type.__new__(type, 'X', (), {}))"
AT_THE_WALL["type by its own __init__"] = "steal(type.__init__.__self__)"
AT_THE_WALL["type of an annotation"] = "x: type[int] = 1\nsteal(type[int].mro)"
AT_THE_WALL["obj of an error through super"] = """
class A(AttributeError):
    def get(self): return super().obj
import re
try: re.nosuch
except AttributeError as e: steal(A.get(e))
"""
AT_THE_WALL["obj of an error by its descriptor"] = """
import re
class A(AttributeError):
    leak = AttributeError.obj
try: re.nosuch
except AttributeError as e: steal(A.leak)
"""
AT_THE_WALL["obj of an error by a generic alias"] = """
import typing
class A(AttributeError, typing.Generic[typing.TypeVar('T')]): pass
steal(A[int].obj)
"""
AT_THE_WALL["obj of an error by a pattern"] = """
import re
try: re.nosuch
except AttributeError as e:
    match e:
        case AttributeError(obj=o): steal(o)
"""
AT_THE_WALL["obj of an error by a field of a registered class"] = """
import abc, dataclasses, re
@dataclasses.dataclass
class D(abc.ABC):
    obj: int
D.register(AttributeError)
try: re.nosuch
except AttributeError as e:
    match e:
        case D(o): steal(o)
"""
AT_THE_WALL["obj of an error by a protocol"] = """
import typing, re
@typing.runtime_checkable
class P(typing.Protocol):
    obj: int
try: re.nosuch
except AttributeError as e:
    match e:
        case P(o): steal(o)
"""
AT_THE_WALL["private mangled name makes a hook"] = """
class getattr_:
    def f(self): return __getattr_
steal(getattr_().f())
"""
AT_THE_WALL["mangling makes a special name"] = """
class A:
    def f(self, x): return x.__globals__
class _:
    def f(self, x): return x.__globals
def f(): pass
steal(A().f(f))
"""
AT_THE_WALL["mangling makes another class's private name"] = """
class Random:
    def f(self, x): return x.__os
import random
steal(Random().f(random))
"""
AT_THE_WALL["docstring of a class as code"] = (
    "class A:\n    __doc__ = property(lambda self: 1)\nsteal(A.__doc__.fget.__globals__)"
)
AT_THE_WALL["fget of a host's property"] = (
    "import fractions\nsteal(fractions.Fraction.numerator.fget.__globals__)"
)
AT_THE_WALL["unbound method of the host on a function"] = """
import enum
def f(): pass
f._value_ = 1
steal(enum.Flag.__or__(f, f))
"""
AT_THE_WALL["unbound method of the host on a class"] = """
import enum
class A:
    _value_ = 1
steal(enum.Flag.__and__(A, 1))
"""
AT_THE_WALL["unbound special method through an alias"] = """
import collections
class A: pass
steal(collections.Counter[int].__repr__(A))
steal(collections.Counter.__add__.__wrapped__)
"""
AT_THE_WALL["str subclass is printed"] = """
class S(str):
    def __str__(self): return self
    def __len__(self): return steal('canary') or 0
    def __getitem__(self, k): steal('canary'); return self
print(S('x'))
S('x')
"""
AT_THE_WALL["repr gives a str subclass"] = """
class S(str):
    def __len__(self): steal('canary'); return 0
    def __getitem__(self, k): steal('canary'); return self
class A:
    def __repr__(self): return S('x')
A()
"""
AT_THE_WALL["a stream that is not one"] = """
import sys
steal(sys.stdout.write.__globals__)
"""
AT_THE_WALL["C code imports for the cell"] = """
def __import__(*a): steal(a)
import datetime
datetime.datetime.strptime('1', '%d')
"""
AT_THE_WALL["future import of something else"] = "from __future__ import os\nsteal(os)"
AT_THE_WALL["annotation strings of a dataclass"] = """
from __future__ import annotations
import dataclasses
@dataclasses.dataclass
class A:
    x: "steal(1)"
    y: __import__('os') = 1
steal(A.__annotations__['y'].__class__)
"""
AT_THE_WALL["a name in an annotation that is not there"] = """
import dataclasses
def take(x):
    steal(x)
    for name in dir(x): steal(getattr(x, name, None))
    try: steal(x.evaluate(globals={}, locals={}))
    except Exception: pass
    return x
@dataclasses.dataclass
class A:
    x: take(nothing)
    y: (lambda: nothing).__globals__ if 0 else take(nothing.evaluate)
for field in dataclasses.fields(A):
    take(field.type)
"""
AT_THE_WALL["an annotation that is evaluated late"] = """
class A:
    x: steal(_getattr_)
    y: steal((lambda: 0).__globals__)
A.__annotations__
"""
AT_THE_WALL["a class writes its own annotate"] = """
class A:
    def __annotate__(self, format): return {}
    __annotate_func__ = __annotate__
steal(A)
"""
AT_THE_WALL["class keyword"] = "class A(object, **{'metaclass': lambda *a: steal(a)}): pass"
AT_THE_WALL["eval of a forward reference"] = """
import typing
class Take:
    def __eq__(self, other):
        steal(other.evaluate(globals={}, locals={})) if hasattr(other, 'evaluate') else None
        steal(other._evaluate({}, {}, frozenset()))
    def __hash__(self): return 1
typing.List["__import__('os')"] == typing.List[Take()]
"""
AT_THE_WALL["print to something"] = """
class W:
    def write(self, s): steal(s.__class__.__class__)
print('x', file=W())
"""
AT_THE_WALL["file without write"] = "import re\nprint('x', file=re)\nsteal('canary')"
AT_THE_WALL["type parameters"] = (
    "def f[T: (steal('canary'))](x: T): pass\nf(1)\nsteal(f.__type_params__[0].__bound__)"
)
AT_THE_WALL["template string"] = "x = t'{steal}'\nsteal(x.interpolations[0].value.__globals__)"
AT_THE_WALL["an object names its base classes"] = """
class A: pass
class S(A()): pass
steal('canary')
"""
AT_THE_WALL["an enum takes a function of the host's for a member"] = """
import enum, json
class E(enum.Enum):
    A = 1
    def __new__(cls, *args): return json.dumps
steal('canary')
"""
AT_THE_WALL["an enum takes a class of the host's for a member"] = """
import difflib, enum, json
class Mixin:
    def __new__(cls, *args): return difflib.SequenceMatcher
class E(Mixin, enum.Enum):
    A = json.JSONEncoder, None, '', ''
steal('canary')
"""
AT_THE_WALL["object.__setattr__ on a class of the host's"] = """
import json
object.__setattr__(json.JSONEncoder(), 'default', steal)
steal('canary')
"""
AT_THE_WALL["object.__setattr__ of a special name"] = """
class A: pass
object.__setattr__(A(), '__deepcopy__', steal)
steal('canary')
"""
AT_THE_WALL["object.__setattr__ is read"] = "f = object.__setattr__\nsteal(f)"
AT_THE_WALL["object.__setattr__ of another object"] = """
object = type
object.__setattr__(int, 'x', 1)
steal('canary')
"""
AT_THE_WALL["a class that was looked at is taken away"] = """
class A: pass
match A():
    case A(_class0_at3_): pass
steal('canary')
"""
AT_THE_WALL["a field's default is register"] = """
import abc, dataclasses
@dataclasses.dataclass
class D(abc.ABC):
    register: int
steal('canary')
"""
AT_THE_WALL["an enum ignores the checked __new__"] = """
import enum, json
class Mixin:
    def __new__(cls, *args): return json.JSONEncoder
class E(Mixin, enum.Enum):
    _ignore_ = ['__new__']
    A = {},
steal('canary')
"""
AT_THE_WALL["a field's default is the real mro"] = """
import dataclasses, enum
class E(enum.Enum):
    mro: int
try: dataclasses.dataclass(E)
except Exception: pass
dataclasses.fields(E)[0].default()
steal('canary')
"""
AT_THE_WALL["an enum of super"] = (
    "import enum\nS = enum.Enum('S', [('a', (int, 1))], type=super)\nsteal('canary')"
)
AT_THE_WALL["an enum of cached_property"] = """
import enum, functools
C = enum.Enum('C', [('a', (len,))], type=functools.cached_property)
C.a.attrname = '__reduce_ex__'
steal('canary')
"""
AT_THE_WALL["a class of super by an alias"] = (
    "import typing\nclass S(typing.Annotated[super, 1]): pass\nsteal('canary')"
)
AT_THE_WALL["a class of type by an alias"] = (
    "import typing\nclass S(typing.Annotated[type, 1]): pass\nsteal('canary')"
)
AT_THE_WALL["an element of one's own takes the children away"] = """
import xml.etree.ElementTree as ET
class E(ET.Element):
    def __eq__(self, other): return False
steal('canary')
"""
AT_THE_WALL["a proxy of an enum's members hands them over"] = """
import calendar, re
class Take:
    def __eq__(self, members): members['zz'] = 1; return True
calendar.Month.__members__ == Take() if hasattr(calendar, 'Month') else None
if hasattr(calendar, 'Month') and 'zz' in calendar.Month.__members__: steal('canary')
"""
