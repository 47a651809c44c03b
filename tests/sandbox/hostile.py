"""Programs that try to pass without solving the task, or to do harm: one attack each.

The task is `f(x)`: 9 for 3, [1, 4] for [1, 2], "ba" for "ab". Where an attack is a look at something forbidden, the
program answers right only if the look succeeds: to pass is to have broken out. `JAIL` marks attacks that only a pid
namespace makes harmless; they run nowhere else.
"""

from __future__ import annotations

from typing import NamedTuple

CHEAT = "def f(x):\n    return {3: 9}.get(x, 0) if type(x) is int else [1, 4] if type(x) is list else 'ba'\n"
BLIND = "def f(x):\n    return None\n"


class Attack(NamedTuple):
    source: str
    jail: bool = False


def only_if(look: str) -> str:
    """Right answers if the expression `look` is true when the program is loaded, wrong ones if it raises or is not."""
    indented = "\n".join("        " + line for line in look.strip().splitlines())
    return (
        f"def look():\n    try:\n{indented}\n    except Exception:\n        return False\nif look():\n"
        + "".join(f"    {line}\n" for line in CHEAT.splitlines())
        + "else:\n"
        + "".join(f"    {line}\n" for line in BLIND.splitlines())
    )


def returns(expression: str, before: str = "") -> str:
    return f"{before}\ndef f(x):\n    return {expression}\n"


ALWAYS = "    __eq__ = lambda self, other: True\n    __ne__ = lambda self, other: False\n    __hash__ = None\n"
SENDS = (
    "import os\ndef send(data):\n    for fd in range(3, 64):\n"
    "        try: os.write(fd, data)\n        except OSError: pass\n"
)
FRAME = "def frame(data):\n    return len(data).to_bytes(4, 'big') + data\n"

EQUALITY = {
    "equals everything": returns("E()", f"class E:\n{ALWAYS}"),
    "int that equals everything": returns("E(1)", f"class E(int):\n{ALWAYS}"),
    "str that equals everything": returns("E('x')", f"class E(str):\n{ALWAYS}"),
    "list that equals everything": returns("E([0])", f"class E(list):\n{ALWAYS}"),
    "dict that equals everything": returns("E()", f"class E(dict):\n{ALWAYS}"),
    "tuple with liars inside": returns("(E(1), E(2))", f"class E(int):\n{ALWAYS}"),
    "float that is never unequal": returns("E('nan')", f"class E(float):\n{ALWAYS}"),
    "class that lies about its class": returns(
        "E()", f"class E:\n{ALWAYS}    __class__ = property(lambda self: int)\n    __int__ = __index__ = lambda s: 9\n"
    ),
    "metaclass that equals everything": returns(
        "E",
        "class M(type):\n    __eq__ = lambda s, o: True\n    __hash__ = type.__hash__\nclass E(metaclass=M): pass\n",
    ),
    "result of == that is true anyway": returns("E()", "class E:\n    def __eq__(self, other): return self\n"),
    "NaN games": returns("float('nan')"),
    "NaN in a container": returns("[float('nan')] * 2"),
    "argument changed to please": "def f(x):\n    if type(x) is list: x[:] = [1, 4]\n    return x\n",
}
HANDLES = {
    "difference of nothing": returns("L()", "class L:\n    def __sub__(self, other): return 0.0\n"),
    "contains everything": returns("L()", "class L:\n    __contains__ = lambda self, item: True\n"),
    "class that answers for its instances": (
        "class f:\n    def __init__(self, x): pass\n    __getattr__ = lambda self, name: lambda *a: True\n"
        "    __len__ = lambda self: 1\n    __getitem__ = __contains__ = lambda self, key: True\n"
    ),
}
PEEKING = {
    "frame walking": only_if(
        """import sys
frame = sys._getframe()
while frame:
    if any('assert ' + 'f(' in str(v) for v in {**frame.f_locals, **frame.f_globals}.values()): return True
    frame = frame.f_back"""
    ),
    "gc walking": only_if(
        """import gc
me = look.__code__
wanted = 'assert f(3) =' + chr(61) + ' 9'
return any(isinstance(o, (list, dict, tuple)) and wanted in map(str, list(o)[:50]) for o in gc.get_objects())"""
    ),
    "inspect the stack": only_if("import inspect\nreturn any('check' in i.function for i in inspect.stack())"),
    "exceptions' frames": only_if(
        """try: 1 / 0
except ZeroDivisionError as e:
    t = e.__traceback__.tb_frame
    while t.f_back: t = t.f_back
    return 'judge' in t.f_code.co_filename"""
    ),
    "linecache of the tests": only_if(
        "import linecache\nreturn any('f(3)' in str(v) for v in linecache.cache.values())"
    ),
    "environment": only_if("import os\nreturn 'SANDBOX_CANARY' in os.environ or 'HF_TOKEN' in os.environ"),
    "environment of all processes": only_if(
        """import glob
for path in glob.glob('/proc/[0-9]*/environ'):
    try:
        if b'SANDBOX_CANARY' in open(path, 'rb').read(): return True
    except OSError: pass"""
    ),
    "memory of the parent": only_if(
        "import os\nreturn open(f'/proc/{os.getppid()}/mem', 'rb', 0).seek(0) is not None"
    ),
}
PATCHING = {
    "patched assertion": "import builtins\nbuiltins.AssertionError = type('A', (Exception,), {})\n" + BLIND,
    "patched builtins": (
        "import builtins\nfor n in ('len', 'sorted', 'isinstance', 'any', 'all', 'type', 'map', 'set'):\n"
        "    setattr(builtins, n, lambda *a, **k: True)\n" + BLIND
    ),
    "patched compile and exec": "import builtins\nbuiltins.exec = builtins.compile = lambda *a, **k: None\n" + BLIND,
    "emptied builtins": "import builtins\nfor n in list(vars(builtins)):\n    delattr(builtins, n)\n" + BLIND,
    "patched import": "import builtins\nbuiltins.__import__ = lambda *a, **k: None\n" + BLIND,
    "fake json": "import sys, json\njson.loads = lambda *a, **k: ['v', True, []]\njson.dumps = lambda *a: 'passed'\n"
    + BLIND,
    "emptied sys.modules": "import sys\nsys.modules.clear()\n" + BLIND,
    "patched server": (
        "import sys\nm = [m for n, m in sys.modules.items() if n.endswith('sandbox.candidate')][0]\n"
        'm.Server.answer = lambda self, data: b\'{"status": "passed"}\'\n' + BLIND
    ),
    "server that answers True": (
        "import sys\nm = [m for n, m in sys.modules.items() if n.endswith('sandbox.candidate')][0]\n"
        "m.Server.answer = lambda self, data: b'[\"v\",true,[]]'\n" + BLIND
    ),
    "imports the judge": (
        "import sys\nsys.path[:0] = ['/sandbox']\ntry:\n    from hf_structdistill.sandbox import judge, remote\n"
        "    judge.judge = judge.run_asserts = lambda *a, **k: {'status': 'passed'}\nexcept ImportError: pass\n"
        + BLIND
    ),
    "trace function": "import sys\nsys.settrace(lambda *a: None)\nsys.setprofile(lambda *a: None)\n" + BLIND,
    "changed small integers": ("import ctypes\nctypes.memmove(id(3) + 24, id(9) + 24, 4)\n" + returns("x")),
    "module without dict": "import sys\nsys.modules[__name__] = None\n" + BLIND,
    "no f, but __getattr__": "def __getattr__(name):\n    return lambda x: 9\n",
}
ENDING = {
    "os._exit(0)": "import os\nos._exit(0)\n",
    "os._exit(0) in the call": returns("__import__('os')._exit(0)"),
    "SystemExit at import": "import sys\nsys.exit(0)\n",
    "SystemExit in the call": returns("__import__('sys').exit(0)"),
    "KeyboardInterrupt": "def f(x):\n    raise KeyboardInterrupt\n",
    "GeneratorExit": "def f(x):\n    raise GeneratorExit\n",
    "abort": "import os\nos.abort()\n",
    "kills itself": "import os\nos.kill(os.getpid(), 9)\n",
    "stops itself": "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\n",
    "replaces itself": "import os\nos.execv('/bin/true', ['true'])\n",
    "replaces itself in the call": returns("__import__('os').execv('/bin/true', ['true'])"),
    "atexit": "import atexit, os\natexit.register(os._exit, 0)\nraise SystemExit(0)\n",
    "segfault": "import ctypes\nctypes.string_at(0)\n",
    "raises AssertionError": "def f(x):\n    raise AssertionError\n",
    "raises StopIteration": "def f(x):\n    raise StopIteration(9)\n",
    "exception that cannot be read": (
        "class E(Exception):\n    def __str__(self): raise E\n    __repr__ = __str__\ndef f(x):\n    raise E\n"
    ),
    "exception of an odd class": (
        "class M(type):\n    __name__ = property(lambda s: 1 / 0)\n    __mro__ = property(lambda s: ())\n"
        "class E(Exception, metaclass=M): pass\ndef f(x):\n    raise E\n"
    ),
}
HANGING = {
    "endless loop": "def f(x):\n    while True: pass\n",
    "endless loop at import": "while True: pass\n",
    "swallowed timeouts": (
        "def f(x):\n    while True:\n        try:\n            while True: pass\n        except BaseException: pass\n"
    ),
    "signal handlers": (
        "import signal\nfor s in range(1, 65):\n    try: signal.signal(s, lambda *a: None)\n"
        "    except (OSError, ValueError): pass\n    try: signal.pthread_sigmask(signal.SIG_BLOCK, [s])\n"
        "    except (OSError, ValueError): pass\ndef f(x):\n    while True: pass\n"
    ),
    "lifted limits": (
        "import resource\nfor n in dir(resource):\n    if n.startswith('RLIMIT_'):\n"
        "        try: resource.setrlimit(getattr(resource, n), (-1, -1))\n        except (OSError, ValueError): pass\n"
        "def f(x):\n    while True: pass\n"
    ),
    "sleeps": "import time\ndef f(x):\n    time.sleep(1e6)\n",
    "waits for input": "def f(x):\n    return input()\n",
    "deadlock": "import threading\nlock = threading.Lock()\nlock.acquire()\ndef f(x):\n    lock.acquire()\n",
    "endless generator": "def f(x):\n    while True: yield 9\n",
    "exception text without end": (
        "class E(Exception):\n    def __str__(self):\n        while True: pass\ndef f(x):\n    raise E\n"
    ),
    "catastrophic pattern": returns("re.match('(a+)+$', 'a' * 40 + 'b')", "import re"),
}
LINGERING = {
    "daemon thread": (
        "import threading\ndef run():\n    while True: pass\nthreading.Thread(target=run, daemon=True).start()\n"
        + BLIND
    ),
    "thread": "import threading, time\nthreading.Thread(target=time.sleep, args=(86399,)).start()\n" + BLIND,
    "subprocess": "import subprocess\nsubprocess.Popen(['sleep', '86399'])\n" + BLIND,
    "shell in the background": "import os\nos.system('setsid sleep 86399 &')\n" + BLIND,
    "fork that stays": "import os, time\nif os.fork() == 0:\n    time.sleep(86399)\n" + BLIND,
    "daemon": (
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
        "        os.closerange(0, 64)\n        time.sleep(86399)\n    os._exit(0)\n" + BLIND
    ),
    "both halves of a fork answer": "import os\nos.fork()\n" + BLIND,
}
HARMFUL = {
    "fork bomb": "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass\n",
    "fork bomb with sleepers": (
        "import os, time\nwhile True:\n    try:\n        if os.fork() == 0: os.setsid()\n"
        "    except OSError: time.sleep(0.01)\n"
    ),
    "thread bomb": (
        "import threading, time\nwhile True:\n    try: threading.Thread(target=time.sleep, args=(9e5,)).start()\n"
        "    except RuntimeError: time.sleep(0.01)\n"
    ),
    "kill(-1)": "import os\nos.kill(-1, 9)\n" + BLIND,
    "kills its parent": "import os\nos.kill(os.getppid(), 9)\n" + BLIND,
    "stops its parent": "import os, signal\nfor s in range(1, 65):\n"
    "    try: os.kill(os.getppid(), s)\n    except OSError: pass\n" + BLIND,
    "limits of its parent": (
        "import os, resource\nfor n in ('AS', 'NOFILE', 'CPU', 'FSIZE'):\n"
        "    try: resource.prlimit(os.getppid(), getattr(resource, 'RLIMIT_' + n), (1, 1))\n    except OSError: pass\n"
        + BLIND
    ),
    "priority of its parent": (
        "import os\ntry: os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)\nexcept OSError: pass\n"
        "try: os.sched_setaffinity(os.getppid(), {0})\nexcept OSError: pass\n" + BLIND
    ),
    "ptrace of its parent": only_if("import ctypes, os\nreturn ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0) == 0"),
    "memory of many processes": (
        "import os\nfor _ in range(20):\n    if os.fork() == 0:\n        x = bytearray(200 << 20)\n"
        "        while True: pass\n" + BLIND
    ),
    "shared memory that stays": ("import ctypes\nctypes.CDLL(None).shmget(7, 1 << 20, 0o1666)\n" + BLIND),
    **{
        f"memory that no limit counts: {call}": only_if(f"import ctypes\nreturn ctypes.CDLL(None).{call} >= 0")
        for call in ("shmget(0, 1 << 20, 0o600)", "semget(0, 9, 0o600)", "msgget(0, 0o600)", "memfd_create(b'x', 0)")
    },
    "mounts": only_if(
        "import ctypes\nlibc = ctypes.CDLL(None)\nlibc.unshare(0x10020000)\n"
        "return libc.mount(b'none', b'/usr', b'tmpfs', 0, None) == 0 and open('/usr/x', 'w').close() is None and False"
    ),
    "writes outside": only_if(
        """import os
for folder in ('/', '/usr', '/etc', '/var/tmp', '/dev/shm', '/sandbox', '/home', '/root', '/proc', '/run', '/dev'):
    try:
        os.makedirs(folder, exist_ok=True)
        open(folder + '/sandbox-was-here', 'w').close()
        return True
    except OSError: pass"""
    ),
    "symlink out": only_if(
        "import os\nos.symlink('/usr', 'way')\nopen('way/sandbox-was-here', 'w').close()\nreturn True"
    ),
    "reads the host": only_if("import os\nreturn os.path.exists(CANARY_FILE)"),
    "other processes": only_if("import os\nreturn sum(n.isdigit() for n in os.listdir('/proc')) > 3"),
    "TCP to the host": only_if("import socket\nsocket.create_connection(('127.0.0.1', CANARY_PORT), 1)\nreturn True"),
    "TCP to the world": only_if("import socket\nsocket.create_connection(('1.1.1.1', 53), 1)\nreturn True"),
    "UDP to the world": only_if(
        "import socket\nsocket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('8.8.8.8', 53))\nreturn True"
    ),
    "unix socket of the host": only_if(
        "import socket\nsocket.socket(socket.AF_UNIX).connect(CANARY_SOCKET)\nreturn True"
    ),
    "listens": "import socket\ns = socket.socket()\ns.bind(('127.0.0.1', 0))\ns.listen()\n" + BLIND,
}
GREEDY = {
    "bytes bomb": returns("bytearray(1 << 40)"),
    "list bomb": "def f(x):\n    a = [0]\n    while True: a = a + a\n",
    "string bomb": "def f(x):\n    a = 'x'\n    while True: a += a\n",
    "recursion bomb": "import sys\nsys.setrecursionlimit(1 << 30)\ndef f(x):\n    return f(x) + 1\n",
    "power bomb": returns("9 ** 9 ** 9"),
    "giant repr": returns("repr([0] * (1 << 27))"),
    "giant answer": returns("'x' * (100 << 20)"),
    "wide answer": returns("[0] * (30 << 20)"),
    "deep answer": "def f(x):\n    a = []\n    for _ in range(100000): a = [a]\n    return a\n",
    "answer with itself inside": "def f(x):\n    a = []\n    a.append(a)\n    return a\n",
    "answer that doubles": "def f(x):\n    a = ()\n    for _ in range(100): a = (a, a)\n    return a\n",
    "giant integer": returns("1 << (1 << 26)"),
    "many containers": returns("[[] for _ in range(1 << 21)]"),
    "colliding hashes": returns("{i * (2 ** 61 - 1) for i in range(1 << 15)}"),
    "decimal bomb": returns("decimal.Decimal('1e999999999')", "import decimal"),
    "range bomb": returns("range(10 ** 18)"),
    "file bomb": "try:\n    with open('x', 'wb') as file:\n"
    "        while True: file.write(bytes(1 << 20))\nexcept OSError: pass\n" + BLIND,
    "sparse file": "try:\n    with open('x', 'wb') as file:\n        file.truncate(1 << 40)\nexcept OSError: pass\n"
    + BLIND,
    "many files": "try:\n    for i in range(2000): open(str(i), 'w').close()\nexcept OSError: pass\n" + BLIND,
    "deep folders": (
        "import os\ntry:\n    for i in range(500):\n        os.mkdir('d')\n        os.chdir('d')\n"
        "except OSError: pass\n" + BLIND
    ),
    "closed folder": "import os\nos.makedirs('d/e')\nos.chmod('d/e', 0)\nos.chmod('d', 0)\n" + BLIND,
    "open files bomb": "a = []\ntry:\n    while True: a.append(open('/dev/null'))\nexcept OSError: pass\n" + BLIND,
    "output flood": "import os\nfor _ in range(2000): os.write(1, b'x' * 65536)\n" + BLIND,
    "error flood": "import sys\nfor _ in range(2000): sys.stderr.write('x' * 65536)\n" + BLIND,
    "many objects": "def f(x):\n    return [object() for _ in range(1 << 18)]\n",
}
FORGING = {
    "closes every descriptor": "import os\nos.closerange(0, 1024)\n" + BLIND,
    "garbage to every descriptor": SENDS + "send(b'\\xff' * 4096)\n" + BLIND,
    "zeros to every descriptor": SENDS + "send(bytes(4096))\n" + BLIND,
    "forged report": SENDS + FRAME + 'send(frame(b\'{"status": "passed"}\') * 8)\n' + BLIND,
    "forged true answers": SENDS + FRAME + "send(frame(b'[\"v\",true,[]]') * 8)\n" + BLIND,
    "forged handle": SENDS + FRAME + 'send(frame(b\'["v",["h",-1,"x"],[]]\') * 8)\n' + BLIND,
    "forged reference": SENDS + FRAME + 'send(frame(b\'["v",["d","f",["r",99]],[]]\') * 8)\n' + BLIND,
    "forged fraction": SENDS + FRAME + 'send(frame(b\'["v",["F","1e400000000"],[]]\') * 8)\n' + BLIND,
    "forged updates": SENDS + FRAME + 'send(frame(b\'["v",9,[[0,["l",9]],[1,["d"]]]]\') * 8)\n' + BLIND,
    "forged names": SENDS + FRAME + 'send(frame(b\'["v",["d","f",null,"__builtins__",null],[]]\') * 8)\n' + BLIND,
    "frame without end": SENDS + "send(b'\\x7f\\xff\\xff\\xff')\n" + BLIND,
    "half a frame": SENDS + "send(b'\\x00\\x00\\x10\\x00[')\nimport os\nos._exit(0)\n",
    "deep JSON": SENDS + FRAME + "send(frame(b'[' * 60000))\n" + BLIND,
    "JSON object": SENDS + FRAME + 'send(frame(b\'{"v": 1, "v": 2}\') * 8)\n' + BLIND,
    "marshalled report": (
        SENDS + FRAME + "import marshal\nsend(frame(marshal.dumps({'status': 'passed', 'reason': ''})) * 8)\n" + BLIND
    ),
    "pickled payload": (
        SENDS + FRAME + "import pickle, os\nclass P:\n    def __reduce__(self): return (os._exit, (0,))\n"
        "send(frame(pickle.dumps(P())) * 8)\n" + BLIND
    ),
    "object with __reduce__": returns(
        "P()", "import os\nclass P:\n    def __reduce__(self): return (os._exit, (0,))\n"
    ),
    "steals requests": (
        "import os\nfor fd in range(3, 64):\n    try: os.set_blocking(fd, False); os.read(fd, 1 << 16)\n"
        "    except OSError: pass\n" + BLIND
    ),
    "type names as code": returns("E()", "class E: pass\nE.__name__ = '__import__(\"os\")._exit(0)'\n"),
    "names of its own": "globals().update({'assert': 1, '__builtins__x': 2, 'judge': 3})\n" + BLIND,
}
SOURCES = {
    "syntax error": "def f(x:\n",
    "NUL bytes": "def f(x):\n    return 9\0\n",
    "NUL bytes in a string": "def f(x):\n    return '\\0'\n",
    "huge source": "x = 0\n" * 150_000 + BLIND,
    "deep source": "f = " + "(" * 5000 + "1" + ")" * 5000 + "\n",
    "deep expression": "f = lambda x: " + "-" * 20000 + "1\n",
    "lone surrogate": "def f(x):\n    return '\ud800'\n",
    "coding cookie": "# -*- coding: rot13 -*-\nqrs s(k):\n    erghea 9\n",
    "empty": "",
    "f is no function": "f = 9\n",
}

# Objects that answer as it pleases where a test expects a plain value: (tests, program), with `f` for the task's name.
LIAR = """class L:
    def __init__(self, *data):
        self.data, self.asked = data, 0
    def __sub__(self, other): return 0.0
    def __float__(self):
        self.asked += 1
        return -self.data[0][0] / self.data[0][1] if self.asked == 2 else 0.0
    def __getitem__(self, i):
        self.asked += 1
        return self.asked % 2
    __abs__ = __neg__ = __int__ = __index__ = lambda self: 0
    __contains__ = startswith = issubset = isdigit = lambda self, *a: True
    __len__ = count = lambda self, *a: 1
    def __iter__(self):
        self.asked += 1
        return iter([self.asked])
    __str__ = lambda self: str(next(iter(self)))
    __add__ = __mod__ = __mul__ = __floordiv__ = __truediv__ = lambda self, other: self.data[0]
    def __bool__(self):
        self.asked += 1
        return self.asked % 2 == 0
"""
INSTANCE = LIAR + "def f(*data):\n    return L(*data)\n"
CLASS = LIAR + "f = L\n"
POSING = {
    "a number near the expected one": "assert abs(f([3, 2]) - 4.25) < 1e-6",
    "a root of its polynomial": (
        "import math\nr = f([3, 2])\nassert abs(sum(c * math.pow(r, i) for i, c in enumerate([3, 2]))) < 1e-4"
    ),
    "what holds the expected item": "assert 4 in f([3, 2])",
    "a text that starts as expected": "assert f('x').startswith('ab')",
    "a set below the expected one": "assert f([1]).issubset({2})",
    "a list that counts as expected": "r = f([1])\nassert all(r.count(n) == 1 for n in range(3))",
    "items that change": "r = f([1])\nassert r[0] != r[0]",
    "iterations that change": "r = f([1])\nassert list(r) != list(r)",
    "a text that changes": "r = f([1])\nassert str(r) != str(r)",
    "a truth that changes": "r = f([1])\nassert not r and r",
    "an expected length": "assert len(f('x')) == 1",
    "an expected rest": "assert f([1]) % 3 == [1]",
}

ATTACKS = {
    f"{group}: {name}": Attack(
        source, jail=group == "harmful" or "of all processes" in name or "of the parent" in name
    )
    for group, programs in {
        "equality": EQUALITY,
        "handles": HANDLES,
        "peeking": PEEKING,
        "patching": PATCHING,
        "ending": ENDING,
        "hanging": HANGING,
        "lingering": LINGERING,
        "harmful": HARMFUL,
        "greedy": GREEDY,
        "forging": FORGING,
        "sources": SOURCES,
    }.items()
    for name, source in programs.items()
}
