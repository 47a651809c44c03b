"""Puts the tables of all studies into docs/benchmarks.md, between marks that name a section of the reports.

python -m benchmarks.method.page        # after the reports of benchmarks/method/results have been made anew
"""

from __future__ import annotations

import re
from pathlib import Path

from .glance import glance

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
REPORTS = ("study1.md", "study2.md", "study3.md")
END = "<!-- end of table -->"
_MARKED = re.compile(rf"<!-- table: (?P<title>[^>]+) -->\n.*?{re.escape(END)}", re.DOTALL)


def sections(folder: Path = RESULTS) -> dict[str, str]:
    """Title -> what stands below it, of every report in the folder; and what they come to."""
    found = {"At a glance": glance(folder)}
    for name in REPORTS:
        for part in re.split(r"^### ", (folder / name).read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            title, _, body = part.partition("\n")
            found[title] = body.strip()
    return found


def filled(page: str, known: dict[str, str]) -> str:
    """`page` with the table of its section between each pair of marks; a mark that names none is an error."""
    missing = [match["title"] for match in _MARKED.finditer(page) if match["title"] not in known]
    if missing:
        raise SystemExit(f"no such section in the reports: {', '.join(missing)}; there are {', '.join(known)}")
    return _MARKED.sub(lambda match: f"<!-- table: {match['title']} -->\n\n{known[match['title']]}\n\n{END}", page)


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), sections()), encoding="utf-8")
