"""Fills the side table from a training set: wrong completions, and the rows of the bank that solve each problem."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, IterableDataset

from .code_encoders import FINGERPRINT, load_encoder
from .compat import apply_formatting, has_formatting, prepare_like_training
from .errors import InputError
from .problems.extraction import extract_code
from .solution_bank import INFO_FILE, SolutionBank, build_bank
from .structure.languages import get_language
from .structure.regions import bare_code, code_regions, has_fence

logger = logging.getLogger(__name__)

_ANNOTATED_AT_ONCE = 64


# ---- the solution of an example ------------------------------------------------------------------------------------


def solution_code(text: str, language: str = "python") -> str | None:
    """The program a text is about, or None: by `extract_code` in Python, else the longest closed block."""
    found = get_language(language)
    if found.name == "python":
        return extract_code(text).code
    encoded = text.encode("utf-8", "surrogatepass")
    if not has_fence(encoded):
        return text if bare_code(encoded, found) is not None else None
    closed = [region for region in code_regions(encoded, found.fence_names) if region.closed]
    longest = max((encoded[region.start : region.end] for region in closed), key=len, default=b"")
    return longest.decode("utf-8", "surrogatepass") if longest.strip() else None


def right_solution(row: Mapping[str, Any], language: str = "python", text_field: str = "text") -> str | None:
    """The program of a prompt-completion, conversational or plain text example: the first that it holds."""
    for text in _answers(row, text_field):
        code = solution_code(text, language)
        if code:
            return code
    return None


def wrong_solution(row: Mapping[str, Any], language: str = "python") -> str | None:
    """The program of an example's wrong completion (`rejected`), where it has one."""
    rejected = row.get("rejected")
    return right_solution({"completion": rejected}, language) if rejected else None


def all_solutions(dataset: Iterable[Mapping[str, Any]], language: str, text_field: str = "text") -> Iterator[str]:
    """The right programs of a data set, then the wrong ones."""
    wrong = []
    for row in dataset:
        if (code := right_solution(row, language, text_field)) is not None:
            yield code
        if (code := wrong_solution(row, language)) is not None:
            wrong.append(code)
    yield from wrong


def _answers(row: Mapping[str, Any], text_field: str) -> list[str]:
    if "completion" in row:
        completion = row["completion"]
        return [completion] if isinstance(completion, str) else _assistant_turns(completion)
    for name in ("messages", "conversations"):
        if name in row:
            return _assistant_turns(row[name])
    return [row[text_field]] if isinstance(row.get(text_field), str) else []


def _assistant_turns(turns: Iterable[Mapping[str, Any]]) -> list[str]:
    """Texts of the assistant's turns, in ChatML (role, content) or ShareGPT (from, value)."""
    contents = [turn.get("content", turn.get("value")) for turn in turns if _is_assistant(turn)]
    return [content for content in contents if isinstance(content, str)]


def _is_assistant(turn: Mapping[str, Any]) -> bool:
    return turn.get("role", turn.get("from")) in ("assistant", "gpt", "model")


def _problem(row: Mapping[str, Any]) -> str | None:
    """What stands for an example's problem: its prompt, or the turns before the first answer; None for plain text."""
    if "prompt" in row:
        return json.dumps(row["prompt"], sort_keys=True, default=str)
    turns = row.get("messages") or row.get("conversations")
    if not turns:
        return None
    first = next((n for n, turn in enumerate(turns) if _is_assistant(turn)), len(turns))
    return json.dumps(turns[:first], sort_keys=True, default=str)


# ---- wrong completions ---------------------------------------------------------------------------------------------


def learn_rejected(trainer: Any, dataset: Dataset | IterableDataset) -> bool:
    """
    Enter the prompts and wrong completions of the training set into the trainer's side table.

    Returns:
        False where there are none: no `prompt`, `completion` and `rejected` columns, or nothing in `rejected`.

    Raises:
        InputError: a streaming data set that has a `rejected` column: the table needs a pass over all of it; or wrong
            completions in another form (text, messages) than the right ones.
    """
    columns = _columns(dataset)
    if not {"prompt", "completion", "rejected"} <= columns or "input_ids" in columns:
        return False
    if isinstance(dataset, IterableDataset):
        raise InputError(
            "divergence_coef needs a pass over the `rejected` column before training, which a streaming data set does "
            "not allow; load it without streaming, or set divergence_coef=0.0."
        )
    kept = [number for number, rejected in enumerate(dataset["rejected"]) if rejected]
    if not kept:
        return False
    _check_same_form(dataset[kept[0]])
    wrong = dataset.select(kept).remove_columns("completion").rename_column("rejected", "completion")
    prepared = prepare_like_training(trainer, wrong, "rejected", mask_prompts=True)
    wrong_ids = dict(zip(kept, (ids for ids, _ in _examples(prepared)), strict=True))
    right = prepare_like_training(trainer, dataset, "prompts", mask_prompts=True)
    for number, (ids, labels) in enumerate(_examples(right)):
        prompt = ids[: int(np.argmax(labels != -100))]
        trainer.side_table.add_prompt(prompt, [wrong_ids[number]] if number in wrong_ids else [])
    return True


def _check_same_form(row: Mapping[str, Any]) -> None:
    forms = {name: "text" if isinstance(row[name], str) else "messages" for name in ("completion", "rejected")}
    if len(set(forms.values())) > 1:
        raise InputError(
            "divergence_coef compares `rejected` with `completion`: expected both as text or both as messages, found "
            f"{forms['completion']} in `completion` and {forms['rejected']} in `rejected`. Convert both columns, or "
            "set divergence_coef=0.0."
        )


# ---- the bank ------------------------------------------------------------------------------------------------------


def learn_solutions(trainer: Any, dataset: Dataset | IterableDataset) -> SolutionBank:
    """
    Open or make the bank of the training set's solutions, and enter each example's rows into the trainer's side table.

    Raises:
        InputError: a streaming data set, one without the text of its solutions, or a bank that does not fit.
    """
    args = trainer.args
    needed = {"completion", "messages", "conversations", args.dataset_text_field}
    readable = needed & _columns(dataset) or has_formatting(trainer)
    if isinstance(dataset, IterableDataset) or not readable:
        raise InputError(
            "alignment_coef and embedding_coef need a finite data set that holds its solutions as text (completion, "
            f"messages or {args.dataset_text_field}), from which the bank of embeddings is made; found "
            f"{type(dataset).__name__} with columns {sorted(_columns(dataset))}. Set both to 0.0, or load such a one."
        )
    language, text_field = args.structure_language, args.dataset_text_field
    dataset = apply_formatting(trainer, dataset)
    right, wrong, problems = [], [], []
    for example in dataset:
        right.append(right_solution(example, language, text_field))
        wrong.append(wrong_solution(example, language))
        problems.append(_problem(example))
    bank = open_bank(args, [code for code in [*right, *wrong] if code])
    rows = [bank.row_of(code) if code else None for code in right]
    solved: dict[str | None, list[int]] = defaultdict(list)
    for problem, row in zip(problems, rows, strict=True):
        if problem is not None and row is not None and row not in solved[problem]:
            solved[problem].append(row)
    prepared = prepare_like_training(trainer, dataset, "solutions")
    starts = _code_starts(trainer.data_collator, prepared)
    for (ids, start), problem, row in zip(starts, problems, rows, strict=True):
        if row is not None:
            trainer.side_table.add_solution(ids, start, row, solved[problem])
    return bank


def open_bank(args: Any, codes: list[str]) -> SolutionBank:
    """
    The bank of `codes` that `StructureAwareConfig` asks for: the one in `alignment_bank`; without that, one made by
    `alignment_encoder`, kept in `output_dir` (fingerprints are made anew, which takes a third of a millisecond each).
    A bank named by `alignment_bank` that does not exist yet is made there.
    """
    if args.alignment_bank is None and args.alignment_encoder == FINGERPRINT:
        return build_bank(codes, load_encoder(FINGERPRINT, None, args.structure_language))
    where = Path(args.alignment_bank or Path(args.output_dir) / "solution_bank")
    with args.main_process_first(local=False, desc="the bank of solutions"):
        if (where / INFO_FILE).is_file():
            try:
                return _fitting(SolutionBank.load(where), args, codes, where)
            except InputError:
                if args.alignment_bank is not None:
                    raise
        logger.warning("No bank in '%s' yet: embedding the solutions with %s.", where, args.alignment_encoder)
        encoder = load_encoder(args.alignment_encoder, args.alignment_encoder_revision, args.structure_language)
        bank = build_bank(codes, encoder, parts=where)
        bank.save(where)
        return bank


def _fitting(bank: SolutionBank, args: Any, codes: list[str], where: Path) -> SolutionBank:
    made_by, made_for = bank.info.get("encoder"), bank.info.get("language")
    asked = args.alignment_encoder
    if asked != FINGERPRINT and Path(asked).name != Path(str(made_by)).name:
        raise InputError(
            f"The bank in '{where}' was made by the encoder '{made_by}', but alignment_encoder is '{asked}'; run "
            f"`structdistill embed --encoder {asked}` again, or leave alignment_encoder out."
        )
    if made_for != args.structure_language:
        raise InputError(
            f"The bank in '{where}' holds {made_for} programs, but structure_language is '{args.structure_language}'; "
            "run `structdistill embed --language` again."
        )
    bank.check_covers(codes, str(where))
    return bank


def _code_starts(collator: Any, prepared: Dataset) -> Iterator[tuple[np.ndarray, int]]:
    """The ids of each example and where its first code token is; -1 where it holds no code."""
    batch: list[tuple[np.ndarray, np.ndarray]] = []
    for example in _examples(prepared):
        batch.append(example)
        if len(batch) == _ANNOTATED_AT_ONCE:
            yield from _annotated_starts(collator, batch)
            batch = []
    yield from _annotated_starts(collator, batch)


def _annotated_starts(collator: Any, batch: list[tuple[np.ndarray, np.ndarray]]) -> Iterator[tuple[np.ndarray, int]]:
    for (ids, _), found in zip(batch, collator.annotate(batch), strict=True):
        yield ids, found.code_start


def _columns(dataset: Dataset | IterableDataset) -> set[str]:
    return set(dataset.column_names or next(iter(dataset)))


def _examples(prepared: Dataset) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for row in prepared.select_columns(["input_ids", "labels"]):
        yield np.asarray(row["input_ids"], dtype=np.int64), np.asarray(row["labels"], dtype=np.int64)
