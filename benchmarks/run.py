"""Runs the ratio benchmarks, each against its peer in the same run, and writes one table to docs/benchmarks.md.

python -m benchmarks.run [--only alignment scoring sandbox training_step traces] [--quick]
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from datetime import date
from importlib import metadata
from pathlib import Path

from hf_structdistill.sandbox.verify import available_cores

DOCS = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
ROWS = Path(__file__).resolve().parents[1] / "build" / "benchmarks"
SUITES = ("alignment", "scoring", "sandbox", "training_step", "traces")
QUICK = {
    "sandbox": ["--only", "humaneval"],
    "training_step": ["--rounds", "1"],
    "traces": ["--rounds", "1"],
    "scoring": ["--rounds", "1", "--long-pairs", "2"],
}
START, END = "<!-- ratios: written by `make bench` -->", "<!-- end of ratios -->"
VERSIONS = ("torch", "transformers", "trl", "tree-sitter", "tree-sitter-python")


def measure(suite: str, extra: list[str]) -> list[dict]:
    """Run one suite in its own process; keep its rows, so that a later run may measure the others only."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.json"
        subprocess.run([sys.executable, "-m", f"benchmarks.{suite}", "--json", str(file), *extra], check=True)
        rows = json.loads(file.read_text(encoding="utf-8"))
    rows = rows if isinstance(rows, list) else rows["rows"]
    ROWS.mkdir(parents=True, exist_ok=True)
    (ROWS / f"{suite}.json").write_text(json.dumps({"suite": suite, "date": str(date.today()), "rows": rows}))
    return rows


def table() -> str:
    """All rows measured so far, as Markdown."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in VERSIONS)
    cores = available_cores()
    lines = [
        f"{cores} cores ({platform.machine()}), Python {platform.python_version()}, {versions}.",
        "",
        "| suite | what | peer | aim | measured |",
        "|---|---|---|---|---|",
    ]
    for suite in SUITES:
        file = ROWS / f"{suite}.json"
        if file.is_file():
            for row in json.loads(file.read_text(encoding="utf-8"))["rows"]:
                lines.append(f"| {suite} | {row['what']} | {row['peer']} | {_aim(row)} | {_ratio(row)} |")
    return "\n".join(lines)


def _aim(row: dict) -> str:
    aim = row.get("aim")
    return "none" if aim is None else aim if isinstance(aim, str) else f"{aim:g}x"


def _ratio(row: dict) -> str:
    ratio = row.get("ratio")
    return "not measured" if ratio is None else f"**{ratio:.2f}x**"


def write(text: str) -> None:
    """Put the table between the two marks of docs/benchmarks.md."""
    page = DOCS.read_text(encoding="utf-8")
    before, rest = page.split(START)
    after = rest.split(END)[1]
    DOCS.write_text(f"{before}{START}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=SUITES, default=SUITES)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and programs")
    options = parser.parse_args()
    for suite in options.only:
        print(f"== {suite}", flush=True)
        measure(suite, QUICK.get(suite, []) if options.quick else [])
    text = table()
    write(text)
    print(text)


if __name__ == "__main__":
    main()
