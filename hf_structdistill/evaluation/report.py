"""Writes the report: report.html (one self-contained file), report.md, results.json and samples.jsonl."""

from __future__ import annotations

import base64
import hashlib
import json
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ..errors import InputError
from ..files import replace_text
from ..problems.loading import BENCHMARKS
from ..problems.problem import Problem
from ..structure import LANGUAGES
from . import summary
from .by_source import HEADER, source_rows
from .compare import compare_all
from .examples import TokenExample
from .folder import make_folder
from .listing import listing, outcome, outcome_names
from .plots import Curves, curve_charts, result_plots
from .results import EvaluationResult
from .samples import json_line, problems_hash, text_hash

TEMPLATES = Path(__file__).parent / "templates"
MAX_LISTED = 1000  # problems listed in the HTML file; all of them are in samples.jsonl
SCHEMA = 1


def write_report(
    out: str | Path,
    results: Sequence[EvaluationResult],
    *,
    problems: Sequence[Problem],
    curves: Curves | None = None,
    examples: Sequence[Any] | None = None,
    title: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> dict[str, Path]:
    """Write the four files of an evaluation into the folder `out` and return their paths by name.

    Args:
        results: one a student; the first is what the others are compared with.
        problems: the problems the results are about.
        curves: what training logged: run name -> component -> list of (step, value); or, for one run or with names
            like `"run/component"`, name -> list.
        examples: [`TokenExample`]s (or mappings or objects with tokens, weights, title, prompt).
        title: heading above the headline; by default the benchmark and split of the problems.
        settings: what else results.json should say: benchmark revision, prompt, sampling, limits.

    Raises:
        InputError: no result, two results of one name, or a folder that cannot be written.
    """
    if not results:
        raise InputError("A report needs at least one result; evaluate a student first.")
    names = [result.name for result in results]
    if len(set(names)) < len(names):
        raise InputError(f"Two results have the same name ({', '.join(names)}); give each student its own name.")
    folder = make_folder(out)
    context = {
        "title": title or _title(problems),
        "source_header": HEADER,
        "source_rows": [row.cells() for row in source_rows(results, problems)] if _several_sources(problems) else [],
        "charts": curve_charts(curves or {}, names),
        "facts": {**describe(problems, settings, results), **_student_facts(results)},
        **_numbers(results),
    }
    paths = {name: folder / name for name in ("report.html", "report.md", "results.json", "samples.jsonl")}
    replace_text(paths["samples.jsonl"], "".join(sample_lines(results, problems)))
    summary = results_summary(results, problems, settings)
    replace_text(paths["results.json"], json.dumps(summary, indent=2, default=str))
    replace_text(paths["report.md"], _markdown(context, results, problems))
    replace_text(
        paths["report.html"], _html(context, results, problems, [TokenExample.coerce(e) for e in examples or ()])
    )
    return paths


def _numbers(results: Sequence[EvaluationResult]) -> dict[str, Any]:
    """The headline, tables and plots of the results."""
    comparisons = compare_all(results)
    return {
        "headline": summary.headline(results, comparisons),
        "second_line": summary.second_line(comparisons),
        "names": [result.name for result in results],
        "rows": summary.score_rows(results),
        "match_rows": summary.match_rows(results),
        "comparisons": comparisons,
        "count_rows": summary.count_rows(results),
        "cost_rows": summary.cost_rows(results),
        "detail_rows": summary.detail_rows(results),
        "plots": result_plots(results),
    }


def describe(
    problems: Sequence[Problem],
    settings: Mapping[str, Any] | None = None,
    results: Sequence[EvaluationResult] = (),
) -> dict[str, Any]:
    """What a reader needs to make the numbers again: benchmark, hashes, settings, limits and versions."""
    sources = sorted({problem.source for problem in problems if problem.source})
    single = problems[0].metadata if problems and len(sources) == 1 else {}
    limits = results[0].limits if results and all(r.limits == results[0].limits for r in results) else None
    return {
        "benchmark": " + ".join(sources) or "unnamed",
        "hub_id": BENCHMARKS[sources[0]].hub_id if len(sources) == 1 and sources[0] in BENCHMARKS else None,
        "revision": single.get("revision"),
        "content_hash": single.get("content_hash"),
        "split": " + ".join(sorted({problem.split for problem in problems if problem.split})) or None,
        "problems": len(problems),
        "problems_sha256": problems_hash(problems),
        **(settings or {}),
        "limits": limits,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Of Python, of what generates and of what scores: the grammars decide syntax match."""
    names = ["hf-structdistill", "torch", "transformers", "peft", "bitsandbytes", "tree-sitter"]
    names += [f"tree-sitter-{language}" for language in LANGUAGES]
    found = {name: _version(name) for name in names}
    return {"python": platform.python_version(), **{name: version for name, version in found.items() if version}}


def sample_lines(results: Sequence[EvaluationResult], problems: Sequence[Problem]) -> list[str]:
    """The lines of samples.jsonl: every completion with its prompt's hash, its verdict and its scores."""
    hashes = {problem.id: text_hash(problem.prompt) for problem in problems}
    return [
        json_line({"model": result.name, "prompt_hash": hashes.get(record.problem_id), **record.to_dict()})
        for result in results
        for record in result.records
    ]


def results_summary(
    results: Sequence[EvaluationResult], problems: Sequence[Problem], settings: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The contents of results.json: facts, a summary a student, and the differences to the first one."""
    return {
        "schema": SCHEMA,
        **describe(problems, settings, results),
        "models": [{**result.to_dict(), "limits": result.limits} for result in results],
        "comparisons": [c.to_dict() for c in compare_all(results)],
    }


def _html(
    context: Mapping[str, Any],
    results: Sequence[EvaluationResult],
    problems: Sequence[Problem],
    examples: Sequence[TokenExample],
) -> str:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["points"] = summary.points
    environment.filters["test"] = summary.test_text
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    # Only this very script may run: what a model wrote stays text even if escaping it failed somewhere.
    script_hash = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    names = outcome_names([result.name for result in results])
    listed = [listing(problem, results) for problem in problems[:MAX_LISTED]]
    counts = Counter(outcome(problem, results) for problem in problems)
    return environment.get_template("report.html.jinja").render(
        **context,
        style=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=script_hash,
        examples=examples,
        listed=listed,
        marked=any(answer["matched"] for item in listed for answer in item["answers"]),
        outcomes=names,
        outcome_counts=[(label, counts[key]) for key, label in names.items()],
    )


def _markdown(context: Mapping[str, Any], results: Sequence[EvaluationResult], problems: Sequence[Problem]) -> str:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["points"] = summary.points
    environment.filters["test"] = summary.test_text
    environment.filters["cell"] = lambda text: str(text).replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
    return environment.get_template("report.md.jinja").render(
        **context, listed=[listing(problem, results, marked=False) for problem in problems]
    )


def _student_facts(results: Sequence[EvaluationResult]) -> dict[str, dict[str, Any]]:
    """What is known of each student, as one entry each; a nested fact under its parts' names."""
    shown = {}
    for result in results:
        flat: dict[str, Any] = {}
        for key, value in result.facts.items():
            flat.update(value if isinstance(value, Mapping) else {key: value})
        if flat:
            shown[result.name] = flat
    return shown


def _several_sources(problems: Sequence[Problem]) -> bool:
    return len({problem.source for problem in problems}) > 1


def _title(problems: Sequence[Problem]) -> str:
    facts = [
        " + ".join(sorted({p.source for p in problems if p.source})),
        " + ".join(sorted({p.split for p in problems})),
    ]
    return " · ".join([fact for fact in facts if fact] + [f"{len(problems)} problems"])


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
