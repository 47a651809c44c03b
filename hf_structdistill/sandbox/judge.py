"""Runs the trusted tests of one problem against one candidate. A process of its own, so that it can be bounded.

The tests run here; of the candidate they see proxies (`remote.py`). Names that the tests use come, in this order,
from the tests themselves, from the candidate where it is asked for them (the entry point, and what the reference
defines), from what the reference imports, from Python's built-ins. A candidate that defines `sorted` or `math`
therefore does not replace the judge's.
"""

from __future__ import annotations

import builtins
import marshal
import sys
import time
import types
from collections.abc import Callable, Iterator

from .assertions import MARKS, Assertions, is_straight, marked
from .codec import BASES, crosses, size
from .oracles import ORACLES, agree
from .remote import TESTS, Candidate, CandidateGone, CandidateRaised, CannotCross, Handle, short

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ast
    from typing import Any

BUILTINS = {*dir(builtins), *MARKS}
MAX_SIZE = 2_000_000  # elements of an expected answer
TEXT = 500  # characters of a failed test's text


class Unjudgeable(Exception):
    """The trusted side is at fault: tests that do not compile or judge nothing, a reference that raises."""


def judge(task: dict[str, Any], candidate: Candidate, phase: Callable[[float], None]) -> dict[str, Any]:
    """Run the tests of `task` and say how they went. `phase` is told when the candidate is first needed,
    with the CPU seconds that the reference took (0.0 where it did not run). What does not depend on the candidate
    (compiled tests, expected answers) is kept in `task` for the next one of the same problem."""
    progress = Progress(candidate)
    candidate.interface = lambda: interface(task)
    try:
        run_to_the_end(task, candidate, progress, phase)
        if candidate.broken:
            raise CandidateGone(candidate.broken)
        if task["kind"] != "inputs":
            progress.settle()
        return {"status": "passed"}
    except CandidateGone as error:
        return progress.report("error", str(error), gone=True)
    except (CannotCross, Unjudgeable) as error:
        return progress.report("unknown", str(error))
    except Exception as error:
        if candidate.broken:  # a test swallowed the end of the candidate and went on
            return progress.report("error", candidate.broken, gone=True)
        if isinstance(error, CandidateRaised):
            return progress.report("error", error.summary)
        if isinstance(error, ImportError):
            return progress.report("unknown", f"the tests need what is not installed: {error}")
        if isinstance(error, NameError) and not isinstance(error, UnboundLocalError):
            return progress.report("error", f"NameError: {error}")
        return progress.report("failed", progress.why(error, candidate))


def run_to_the_end(
    task: dict[str, Any], candidate: Candidate, progress: Progress, phase: Callable[[float], None]
) -> None:
    """Tests may end as scripts do, by exit()."""
    try:
        RUNNERS[task["kind"]](task, candidate, progress, phase)
    except SystemExit as end:
        if candidate.calls > 1 and end.code not in (None, 0):
            raise AssertionError(f"the tests ended with exit code {short(end.code)}") from None


class Progress:
    """Which test is running, and whether any has judged."""

    def __init__(self, candidate: Candidate) -> None:
        self.assertions = Assertions(candidate)
        self.test: str | None = None
        self.call: tuple[str, tuple[Any, ...]] | None = None  # in place of `test`: most are never shown
        self.source: list[str] = []
        self.show_last = True

    def settle(self) -> None:
        """The tests are through: were there any?"""
        if not self.assertions.held:
            if self.assertions.refused:
                raise AssertionError("the tests caught it, and no other assertion held")
            raise Unjudgeable("no assertion of the tests ran")

    def report(self, status: str, reason: str, gone: bool = False) -> dict[str, Any]:
        if self.call is not None and self.test is None:
            self.test = call_text(*self.call)
        test = self.test if status != "unknown" else None
        return {
            "status": status,
            "reason": " ".join(reason.split())[:TEXT],
            "test": test[:TEXT] if test else None,
            "gone": gone,
        }

    def why(self, error: BaseException, candidate: Candidate) -> str:
        self.locate(error)
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        if isinstance(error, AssertionError) and candidate.calls > 1 and self.show_last:
            text += f" (the last answer was {short(candidate.last)})"
        return text

    def locate(self, error: BaseException) -> None:
        """The line of check() that the traceback goes through."""
        trace = error.__traceback__
        while trace is not None:
            line = trace.tb_lineno
            if trace.tb_frame.f_code.co_filename == "<check>" and 0 < line <= len(self.source):
                self.test = self.source[line - 1].strip()
            trace = trace.tb_next


def run_asserts(
    task: dict[str, Any], candidate: Candidate, progress: Progress, phase: Callable[[float], None]
) -> None:
    if "prepared" not in task:
        straight = [is_straight(text) for text in task["asserts"]]
        pairs = zip(task["asserts"], straight, strict=True)
        codes = [compiled(text, "<assert>", marks=not plain) for text, plain in pairs]
        setup = compiled(task["setup"], "<setup>", marks=True)
        if {compiled("", "<assert>").co_code}.issuperset(code.co_code for code in codes):  # comments only
            raise Unjudgeable("the tests hold no statement")
        task["prepared"] = setup, list(zip(codes, straight, strict=True)), Names(task, [setup, *codes])
    setup, codes, names = task["prepared"]
    phase(0.0)
    namespace = {**names.resolve(candidate, names.from_candidate()), **progress.assertions.marks()}
    exec(setup, namespace)
    for text, (code, straight) in zip(task["asserts"], codes, strict=True):
        progress.test = text.strip()
        exec(code, namespace)
        if straight and code.co_names:  # `assert True` asks nothing
            progress.assertions.hold(True, code.co_names)


def run_check(task: dict[str, Any], candidate: Candidate, progress: Progress, phase: Callable[[float], None]) -> None:
    """HumanEval's form. Helpers that the tests share with the prompt are the reference's, not the candidate's."""
    entry_point = task["entry_point"]
    if not entry_point:
        raise Unjudgeable("a check(candidate) function needs the problem's entry_point")
    progress.source = task["code"].splitlines()
    if "prepared" not in task:
        task["straight"] = is_straight(task["code"], check=True)
        code = compiled(task["code"], "<check>", marks=not task["straight"])
        names = Names(task, [code])
        task["prepared"] = code, names, names.others() & names.reference_names() if names.others() else set()
    code, names, helpers = task["prepared"]
    phase(0.0)
    own = {entry_point} | names.others() - helpers
    namespace = {**names.resolve(candidate, own), **progress.assertions.marks()}
    if helpers:
        trusted = run_reference(task["reference"])
        namespace.update({name: trusted[name] for name in helpers if name in trusted})
    if entry_point not in namespace:
        raise NameError(f"name {entry_point!r} is not defined")
    exec(code, namespace)
    check = namespace.get("check")
    if not callable(check) or isinstance(check, Handle):
        raise Unjudgeable("the tests define no check(candidate) function")
    if entry_point in candidate.plain:  # inside, it has the name of the parameter
        candidate.plain.update(check.__code__.co_varnames[:1] if isinstance(check, types.FunctionType) else ())
    try:
        check(namespace[entry_point])
        if task["straight"]:
            progress.assertions.hold(True, (entry_point,))
    except BaseException as error:
        progress.locate(error)
        raise


def run_inputs(task: dict[str, Any], candidate: Candidate, progress: Progress, phase: Callable[[float], None]) -> None:
    """EvalPlus' form: the reference's answers are the expected ones; where they cannot cross, inputs are left out."""
    inputs, name, oracle = task["inputs"], task["entry_point"], task["oracle"]
    if oracle is not None and oracle not in ORACLES:
        raise Unjudgeable(f"no oracle is called {oracle!r}")
    progress.show_last = False
    if "prepared" in task:
        judged, seconds = task["prepared"]
    else:
        expected, seconds = expected_answers(task["reference"], name, inputs)
        pairs = zip(inputs, expected, strict=True)
        judged = [(a, wanted) for a, wanted in pairs if size(wanted, MAX_SIZE) < MAX_SIZE and crosses(wanted)]
        if oracle == "not_none":
            judged = [(a, wanted is not None) for a, wanted in judged]
        if not judged:
            raise Unjudgeable("no input is left to judge by")
        if not any(hasattr(wanted, "__next__") for _, wanted in judged):  # an iterator would be used up
            task["prepared"] = judged, seconds
    phase(seconds)
    found = candidate.load(task["candidate"], [name])
    if name not in found:
        raise NameError(f"name {name!r} is not defined")
    answers = candidate.call_each(found[name], [arguments for arguments, _ in judged])
    for arguments, wanted in judged:
        progress.call = name, arguments
        answer = next(answers)
        if not agree(answer, wanted, arguments, task["atol"], oracle):
            progress.test = f"{call_text(name, arguments)} == {short(wanted)}"
            raise AssertionError(f"answered {short(answer)}")


def call_text(name: str, arguments: tuple[Any, ...]) -> str:
    return f"{name}({', '.join(map(short, arguments))})"


def expected_answers(reference: str, name: str, inputs: Any) -> tuple[list[Any], float]:
    """What the reference answers, and the CPU seconds it took."""
    started = time.process_time()
    namespace = run_reference(reference)
    try:
        function = namespace[name]
        copies = marshal.loads(marshal.dumps(inputs))  # they came marshalled: this is a deep copy
        answers = [function(*arguments) for arguments in copies]
    except Exception as error:
        raise Unjudgeable(f"the reference raised {type(error).__name__}: {error}") from None
    return answers, time.process_time() - started


def run_reference(reference: str | None) -> dict[str, Any]:
    """The namespace of the trusted solution, run in this process."""
    module = types.ModuleType("reference")
    sys.modules["reference"] = module
    try:
        exec(compiled(reference or "", "<reference>"), module.__dict__)
    except Exception as error:
        raise Unjudgeable(f"the reference raised {type(error).__name__}: {error}") from None
    return module.__dict__


def interface(task: dict[str, Any]) -> set[str]:
    """Names that the reference's own classes define or inherit, and attributes that it sets; kept in `task`. Classes
    whose instances cross as plain values do not count. Empty where no reference says what objects can do."""
    if "interface" not in task:
        try:
            values = list(run_reference(task["reference"]).values())
        except Unjudgeable:
            values = []
        kinds = [kind for kind in values if isinstance(kind, type) and kind.__module__ == "reference"]
        kinds = [kind for kind in kinds if not issubclass(kind, BASES)]
        names = attributes(task["reference"]) if kinds else set()
        for kind in kinds:
            names |= {name for name in dir(kind) if getattr(kind, name, None) is not getattr(object, name, None)}
            names.update(getattr(kind, "__annotations__", ()))
        task["interface"] = names
    return task["interface"]


def attributes(source: str) -> set[str]:
    """Names of the attributes that a trusted program sets."""
    import ast

    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)]
    return {node.attr for node in nodes if isinstance(node.ctx, ast.Store)}


RUNNERS: dict[str, Callable[..., None]] = {
    "asserts": run_asserts,
    "check": run_check,
    "inputs": run_inputs,
}


def compiled(source: str, filename: str, marks: bool = False) -> types.CodeType:
    """Trusted source, compiled; what is wrong with it is not the candidate's fault."""
    try:
        return compile(marked(source, filename) if marks else source, filename, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise Unjudgeable(f"the tests do not compile: {error}") from None


class Names:
    """Where the names that the tests use, and do not define, come from."""

    def __init__(self, task: dict[str, Any], codes: list[types.CodeType]):
        self.task = task
        self.entry_point: str | None = task["entry_point"]
        self.free = set().union(*map(mentioned, codes))
        if not self.free - BUILTINS <= {self.entry_point, "check", "candidate", "METADATA"}:
            self.free = unbound(codes)
        self._reference: tuple[set[str], dict[str, ast.stmt]] | None = None

    def others(self) -> set[str]:
        """Free names besides the entry point and Python's, less what the judge imports itself."""
        plain = self.free - BUILTINS - {self.entry_point, "check", "candidate", "METADATA"}
        return plain - self.imported() if plain else plain

    def from_candidate(self) -> set[str]:
        """Names to ask the candidate for: never one that the reference imports, and a built-in only by design."""
        wanted = self.others() | (self.free & {self.entry_point})
        if self.entry_point and not self.others():
            return wanted
        return wanted | (self.free & self.reference_names())

    def resolve(self, candidate: Candidate, wanted: set[str]) -> dict[str, Any]:
        """Load the candidate and fill the namespace that the tests run in."""
        namespace: dict[str, Any] = {"__name__": TESTS, "__builtins__": builtins}
        found = candidate.load(self.task["candidate"], sorted(wanted))
        for name in self.free - BUILTINS - set(found):
            if name in self._imports():
                import ast

                exec(compile(ast.Module([self._imports()[name]], []), "<imports>", "exec"), namespace)
            elif name in sys.stdlib_module_names and name not in wanted:
                namespace[name] = __import__(name)
        namespace.update(found)
        return namespace

    def reference_names(self) -> set[str]:
        """Functions, classes and values that the reference defines at its top level."""
        return self._parse()[0]

    def imported(self) -> set[str]:
        """Names that the reference imports, and the standard library's: the judge has its own."""
        return set(self._imports()) | (sys.stdlib_module_names - self.reference_names())

    def _imports(self) -> dict[str, ast.stmt]:
        return self._parse()[1]

    def _parse(self) -> tuple[set[str], dict[str, ast.stmt]]:
        if self._reference is None:
            import ast

            self._reference = set(), {}
            for statement in statements(self.task["reference"]):
                if isinstance(statement, (ast.Import, ast.ImportFrom)):
                    for alias in statement.names:
                        single = ast.Import([alias]) if isinstance(statement, ast.Import) else statement
                        name = (alias.asname or alias.name).split(".")[0]
                        self._reference[1][name] = ast.copy_location(single, statement)
                elif isinstance(statement, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
                    self._reference[0].add(statement.name)
                elif isinstance(statement, ast.Assign):
                    self._reference[0].update(t.id for t in statement.targets if isinstance(t, ast.Name))
        return self._reference


def statements(source: str | None) -> Iterator[ast.stmt]:
    """Top-level statements of a trusted program; none where it does not parse."""
    import ast

    try:
        yield from ast.parse(source or "").body
    except (SyntaxError, ValueError):
        return


def mentioned(code: types.CodeType) -> set[str]:
    """Every name in compiled code, attributes included: fast, and often all that is needed."""
    inner = (mentioned(constant) for constant in code.co_consts if isinstance(constant, types.CodeType))
    return set(code.co_names).union(*inner)


def unbound(codes: list[types.CodeType]) -> set[str]:
    """Global names that the code reads and its top level does not bind."""
    import dis

    used: set[str] = set()
    stored: set[str] = set()
    ahead = [(code, True) for code in codes]
    while ahead:
        code, top = ahead.pop()
        for instruction in dis.get_instructions(code):
            if instruction.opname in ("LOAD_NAME", "LOAD_GLOBAL"):
                used.add(instruction.argval)
            elif instruction.opname == "STORE_GLOBAL" or (top and instruction.opname == "STORE_NAME"):
                stored.add(instruction.argval)
        ahead += [(constant, False) for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return used - stored
