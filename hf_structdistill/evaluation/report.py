"""Writes the report: report.html (one self-contained file), report.md, results.json and samples.jsonl."""

from __future__ import annotations

import base64
import hashlib
import json
import platform
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ..errors import InputError
from ..problems.loading import BENCHMARKS
from ..problems.problem import Problem
from . import summary
from .by_source import HEADER, source_rows
from .charts import line_chart
from .compare import compare_results
from .examples import TokenExample
from .highlight import code_html
from .results import EvaluationResult, SampleRecord
from .samples import json_line, problems_hash, text_hash, write_text

TEMPLATES = Path(__file__).parent / "templates"
MAX_LISTED = 1000  # problems listed in the HTML file; all of them are in samples.jsonl
SCHEMA = 1

Curves = Mapping[str, Any]


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
    comparisons = [c for other in results[1:] for c in compare_results(results[0], other)]
    facts = describe(problems, settings)
    context = {
        "title": title or _title(problems),
        "headline": summary.headline(results, comparisons),
        "second_line": summary.second_line(comparisons),
        "names": names,
        "rows": summary.score_rows(results, comparisons),
        "count_rows": summary.count_rows(results),
        "detail_rows": summary.detail_rows(results),
        "source_header": HEADER,
        "source_rows": [row.cells() for row in source_rows(results, problems)] if _several_sources(problems) else [],
        "comparisons": comparisons,
        "charts": _charts(_by_component(curves or {}, names)),
        "facts": facts,
    }
    paths = {name: folder / name for name in ("report.html", "report.md", "results.json", "samples.jsonl")}
    write_text(paths["samples.jsonl"], "".join(sample_lines(results, problems)))
    write_text(paths["results.json"], json.dumps(results_summary(results, problems, settings), indent=2, default=str))
    write_text(paths["report.md"], _markdown(context, results, problems))
    write_text(
        paths["report.html"], _html(context, results, problems, [TokenExample.coerce(e) for e in examples or ()])
    )
    return paths


def make_folder(out: str | Path) -> Path:
    """Create the output folder, and make sure before hours of work that it can be written."""
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(f"Folder '{out}' cannot be written ({error.strerror}); give another --out.") from error
    return folder


def describe(problems: Sequence[Problem], settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What a reader needs to make the numbers again: benchmark, hash, settings and versions."""
    sources = sorted({problem.source for problem in problems if problem.source})
    packages = ("hf-structdistill", "torch", "transformers", "peft", "tree-sitter", "tree-sitter-python")
    return {
        "benchmark": " + ".join(sources) or "unnamed",
        "hub_id": BENCHMARKS[sources[0]].hub_id if len(sources) == 1 and sources[0] in BENCHMARKS else None,
        "revision": problems[0].metadata.get("revision") if problems and len(sources) == 1 else None,
        "split": " + ".join(sorted({problem.split for problem in problems if problem.split})) or None,
        "problems": len(problems),
        "problems_sha256": problems_hash(problems),
        **(settings or {}),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in packages}},
    }


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
        **describe(problems, settings),
        "models": [result.to_dict() for result in results],
        "comparisons": [c.to_dict() for other in results[1:] for c in compare_results(results[0], other)],
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
    environment.filters["code"] = code_html
    environment.filters["points"] = summary.points
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    # Only this very script may run: what a model wrote stays text even if escaping it failed somewhere.
    script_hash = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    listed = [_listing(problem, results) for problem in problems]
    outcomes = _outcome_names([result.name for result in results])
    counts = Counter(item["outcome"] for item in listed)
    return environment.get_template("report.html.jinja").render(
        **context,
        style=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=script_hash,
        examples=examples,
        listed=listed[:MAX_LISTED],
        outcomes=outcomes,
        outcome_counts=[(label, counts[key]) for key, label in outcomes.items()],
    )


def _markdown(context: Mapping[str, Any], results: Sequence[EvaluationResult], problems: Sequence[Problem]) -> str:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["points"] = summary.points
    environment.filters["cell"] = lambda text: str(text).replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
    return environment.get_template("report.md.jinja").render(
        **context, listed=[_listing(problem, results) for problem in problems]
    )


def _listing(problem: Problem, results: Sequence[EvaluationResult]) -> dict[str, Any]:
    """One problem as the templates see it: its text, its reference, the first sample of each student."""
    answers = []
    for result in results:
        samples = [record for record in result.by_problem().get(problem.id, ())]
        first = samples[0] if samples else None
        passed = sum(record.verdict.passed for record in samples)
        answers.append({"name": result.name, "record": first, "samples": len(samples), "passed": passed})
    return {
        "problem": problem,
        "summary": _summary_line(problem.prompt),
        "answers": answers,
        "outcome": _outcome([answer["record"] for answer in answers]),
    }


def _summary_line(prompt: str) -> str:
    """The prompt on one line: from its docstring where the prompt is code."""
    docstring = re.search(r'"""(.+?)("""|\n\s*\n|>>>|$)', prompt, re.DOTALL)
    text = docstring.group(1) if docstring and re.match(r"\s*(def|from|import|\"\"\")", prompt) else prompt
    return " ".join(text.split())[:160]


def _outcome(records: Sequence[SampleRecord | None]) -> str:
    """Key of the filter: `unknown`, `all`, `none`, `only-<index>`, or `mixed`."""
    if any(record is None or record.verdict.status == "unknown" for record in records):
        return "unknown"
    passing = [i for i, record in enumerate(records) if record is not None and record.verdict.passed]
    if len(passing) == len(records):
        return "all"
    if not passing:
        return "none"
    return f"only-{passing[0]}" if len(passing) == 1 else "mixed"


def _outcome_names(names: Sequence[str]) -> dict[str, str]:
    if len(names) == 1:
        return {"all": "Passed", "none": "Did not pass", "unknown": "Not judged"}
    only = {f"only-{i}": f"Only {name} passes" for i, name in enumerate(names)}
    mixed = {"mixed": "Several"} if len(names) > 2 else {}
    return {"all": "All pass", **only, **mixed, "none": "None passes", "unknown": "Not judged for all"}


def _by_component(curves: Curves, names: Sequence[str]) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Turn every accepted form of curves into component -> run -> points."""
    nested: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for key, value in curves.items():
        if isinstance(value, Mapping):
            for component, points in value.items():
                nested.setdefault(str(component), {})[str(key)] = [(float(x), float(y)) for x, y in points]
            continue
        run, _, component = str(key).partition("/")
        if not component or (names and run not in names):
            run, component = (names[-1] if names else "run"), str(key)
        nested.setdefault(component, {})[run] = [(float(x), float(y)) for x, y in value]
    return nested


def _charts(components: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]]) -> list[dict[str, Any]]:
    """One chart a component; a run keeps its colour over all charts."""
    runs = list(dict.fromkeys(run for lines in components.values() for run in lines))
    charts = []
    for component, lines in components.items():
        ends = [(runs.index(run), run, points[-1][1]) for run, points in lines.items() if points]
        drawn = line_chart([lines.get(run, ()) for run in runs], f"{component} by training step")
        spans = {run: (points[0], points[-1]) for run, points in lines.items() if points}
        charts.append({"name": component, "svg": drawn, "ends": ends, "spans": spans, "runs": runs})
    return charts


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
