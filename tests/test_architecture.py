"""The house rules of the package: rooms import one way, and the light rooms stay light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "hf_structdistill"
# In import order: a room imports only from rooms before it.
ROOMS = [
    "errors",
    "files",
    "model_names",
    "resources",
    "templates",
    "structure",
    "scoring",
    "problems",
    "sandbox",
    "teachers",
    "losses",
    "compat",
    "side_table",
    "structure_cache",
    "structure_columns",
    "data_collator",
    "training_args",
    "code_encoders",
    "solution_bank",
    "supervision",
    "heads",
    "non_finite",
    "model_card",
    "hub",
    "trainer",
    "evaluation",
    "cli",
]
LIGHT = ("structure", "scoring", "problems", "sandbox")
HEAVY = {"torch", "transformers", "trl", "peft"}


def imports(file: Path):
    """(line, absolute module name) of every import in `file`."""
    package = ["hf_structdistill", *file.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = [*base, *([node.module] if node.module else [])]
            if node.module is None or module == ["hf_structdistill"]:
                yield from ((node.lineno, ".".join([*module, alias.name])) for alias in node.names)
            else:
                yield node.lineno, ".".join(module)


FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "hf_structdistill" and len(parts) > 1 else None


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_rooms_import_one_way(file):
    own = room_of("hf_structdistill." + ".".join(file.relative_to(PACKAGE).with_suffix("").parts))
    if own == "__init__":
        return  # the front door names every room, lazily
    assert own in ROOMS, f"{own} is a new room: give it a place in ROOMS"
    for line, module in imports(file):
        other = room_of(module)
        if other in ROOMS:
            assert ROOMS.index(other) <= ROOMS.index(own), f"line {line}: {own} imports {module}"


@pytest.mark.parametrize(
    "file", [f for f in FILES if f.relative_to(PACKAGE).parts[0] in LIGHT], ids=lambda f: str(f.relative_to(PACKAGE))
)
def test_light_rooms_import_no_framework(file):
    for line, module in imports(file):
        assert module.split(".")[0] not in HEAVY, f"line {line} imports {module}"


@pytest.mark.parametrize(
    "statement",
    [
        "import hf_structdistill",
        "from hf_structdistill import structure, scoring, problems, sandbox",
        "from hf_structdistill.cli.main import _register; _register()",
    ],
)
def test_import_stays_light(statement):
    code = f"{statement}\nimport sys\nprint(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_lazy_names_resolve():
    import hf_structdistill

    for name in hf_structdistill.__all__:
        assert getattr(hf_structdistill, name).__name__ == name
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = hf_structdistill.no_such_name
