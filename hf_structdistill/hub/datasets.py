"""A folder of traces that `load_dataset` and StructureAwareTrainer take as it is: Parquet, card, picture."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ..errors import InputError
from ..files import encodable, replace_text
from ..problems.decontamination import Decontamination
from ..teachers import Example, Trace, TraceSet
from ..teachers.redaction import redact, redactor
from .cards import split_card
from .dataset_card import LENGTHS_FILE, REMOVALS_FILE, Facts, Part, draw_lengths, render_card

CONFIGS = ("sft", "pairs", "traces")
OWN_FILE = re.compile(r"(train|validation)(-[0-9a-f]{12}\.parquet|\.partial)")


def write_trace_dataset(
    out: str | Path,
    collected: TraceSet,
    examples: Sequence[Example],
    *,
    title: str | None = None,
    command: str | None = None,
    decontamination: Decontamination[Any] | None = None,
    not_checked: Mapping[str, str] | None = None,
    licence: str | None = None,
) -> Path:
    """Write the data set and its card into `out`, replacing an earlier one there; files of others stay.

    Folders of this machine and secrets of its environment become `<folder>` and `<secret>` in every text.

    Configs: "traces", every reply with its verdict; "sft", prompt and completion ready for TRL, with a `rejected`
    column where some reply failed; "pairs", prompt, chosen and rejected. A config without rows is left out, and rows
    of validation problems are a split "validation".

    Args:
        collected: from `teachers.collect_traces`.
        examples: from `teachers.select_examples`.
        title: of the card; by default it names the problems.
        command: how to make it again, shown in the card.
        decontamination: what was removed before; `not_checked` names benchmarks that could not be compared, and why.
        licence: of the data set; by default the licence of the problems, where they share one.

    Returns:
        the path of the card, README.md.

    Raises:
        InputError: `out` has a README.md that is not the card of such a data set, or cannot be written to.
    """
    out = Path(out)
    check_data_folder(out)
    rows = {
        "sft": [_sft_row(example) for example in examples],
        "pairs": [_pair_row(example) for example in examples if example.rejected is not None],
        "traces": [_trace_row(trace, collected) for trace in collected.traces],
    }
    removals = decontamination.removals if decontamination else []
    clean = redactor(content=True)
    with _writing_to(out):
        out.mkdir(parents=True, exist_ok=True)
        files = {name: _write_config(out, name, clean(table)) for name, table in rows.items()}
        _write_removals(out / REMOVALS_FILE, clean([vars(removal) for removal in removals]))
        draw_lengths(out / LENGTHS_FILE, examples)
        facts = Facts(collected, examples, files, title, command, decontamination, not_checked or {}, licence)
        replace_text(out / "README.md", redact(render_card(facts)))
        for name, parts in files.items():
            _drop_others(out / name, {part.file for part in parts.values()})
    return out / "README.md"


@contextlib.contextmanager
def _writing_to(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"Expected to write the data set to '{out}', found: {error}; make room there and run the same command "
            "again: the replies are in the journal."
        ) from error


def check_data_folder(out: Path) -> None:
    """Refuse a folder whose README.md is somebody's own: the card would take its place."""
    card = out / "README.md"
    if card.exists() and not _is_our_card(card):
        raise InputError(
            f"Expected '{card}' to be the card of an earlier data set here, found another text; "
            "rename it, or give another folder (--out)."
        )


def _is_our_card(card: Path) -> bool:
    try:
        data, _ = split_card(card.read_text(encoding="utf-8"))
        files = [Path(entry["path"]) for config in data.get("configs") or () for entry in config["data_files"]]
        ours = "hf-structdistill" in (data.get("tags") or ())
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError):
        return False
    return ours and all(file.parent.name in CONFIGS and OWN_FILE.fullmatch(file.name) for file in files)


def _drop_others(folder: Path, named: set[str]) -> None:
    """Delete what an earlier card named; only now, so that an interruption leaves a card and its files."""
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if OWN_FILE.fullmatch(path.name) and path.name not in named:
            path.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()


def _sft_row(example: Example) -> dict[str, Any]:
    trace = example.trace
    return {
        "split": example.problem.role,
        "prompt": example.prompt,
        "completion": example.completion,
        "rejected": example.rejected,
        "problem_id": example.problem.id,
        "source": example.problem.source,
        "teacher": trace.teacher,
        "recipe": trace.recipe,
        "role": example.role,
        "syntax_match": trace.syntax,
        "dataflow_match": trace.dataflow,
    }


def _pair_row(example: Example) -> dict[str, Any]:
    return {
        "split": example.problem.role,
        "prompt": example.prompt,
        "chosen": example.completion,
        "rejected": example.rejected,
        "problem_id": example.problem.id,
        "teacher": example.trace.teacher,
    }


def _trace_row(trace: Trace, collected: TraceSet) -> dict[str, Any]:
    problem = collected.problems[trace.problem_id]
    verdict = trace.verdict
    return {
        "split": problem.role,
        "problem_id": trace.problem_id,
        "problem_split": problem.split,
        "source": problem.source,
        "teacher": trace.teacher,
        "revision": trace.revision,
        "recipe": trace.recipe,
        "sampling": json.dumps(dict(trace.sampling), sort_keys=True),
        "sample": trace.sample,
        "messages": [dict(message) for message in trace.messages],
        "reasoning": trace.reasoning,
        "code": trace.code,
        "extraction": trace.extraction,
        "status": verdict.status if verdict else "unknown",
        "failed_test": verdict.failed_test if verdict else None,
        "reason": verdict.reason if verdict else None,
        "syntax_match": trace.syntax,
        "dataflow_match": trace.dataflow,
        "tokens": trace.tokens,
        "finish_reason": trace.finish_reason,
        "key": trace.key,
    }


def _write_config(out: Path, name: str, rows: list[dict[str, Any]]) -> dict[str, Part]:
    """Write one config: its parts by split."""
    splits: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        row = dict(row)
        split = "validation" if row.pop("split") == "validation" else "train"
        splits.setdefault(split, []).append(row)
    named = [split for split in ("train", "validation") if split in splits]
    return {split: Part(_write_parquet(out / name, split, splits[split]), len(splits[split])) for split in named}


def _write_parquet(folder: Path, split: str, rows: list[dict[str, Any]]) -> str:
    """Write one file, named by its content; returns the name.

    datasets 5.2 keys its cache of a local folder by the configs in the card, not by the files' times or sizes: under a
    constant name or a pattern, loading a folder that was written anew gives the old rows.
    """
    import pyarrow
    from pyarrow import parquet

    # a program's own words about its failure, and a reply cut inside an emoji, need not be text that Arrow takes
    table = pyarrow.Table.from_pylist([encodable(row) for row in rows], schema=_schema(rows[0]))
    folder.mkdir(exist_ok=True)
    partial = folder / f"{split}.partial"
    parquet.write_table(table, partial)
    content = hashlib.sha256(partial.read_bytes()).hexdigest()[:12]
    name = f"{split}-{content}.parquet"
    os.replace(partial, folder / name)
    return name


def _schema(row: Mapping[str, Any]) -> Any:
    # said out loud: a column that happens to be all null must not become of type null
    import pyarrow

    special = {
        "sample": pyarrow.int64(),
        "tokens": pyarrow.int64(),
        "syntax_match": pyarrow.float64(),
        "dataflow_match": pyarrow.float64(),
        "messages": pyarrow.list_(pyarrow.struct([("role", pyarrow.string()), ("content", pyarrow.string())])),
    }
    return pyarrow.schema([(name, special.get(name, pyarrow.string())) for name in row])


def _write_removals(path: Path, removals: Sequence[Mapping[str, Any]]) -> None:
    if not removals:
        path.unlink(missing_ok=True)
        return
    replace_text(path, "".join(json.dumps(removal, ensure_ascii=False) + "\n" for removal in removals))
