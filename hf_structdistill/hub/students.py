"""Publishing a student: which files of a training folder it is made of, and its card."""

from __future__ import annotations

import fnmatch
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi
from huggingface_hub.errors import HTTPError

from ..errors import InputError
from ..model_card import (
    CURVES_FILE,
    FACTS_FILE,
    RESULTS_FOLDER,
    read_card_facts,
    with_own_entry,
    write_student_card,
)
from ..model_names import is_hub_id
from .commit import CARD, Publication, Repository, publish_files

ADAPTER_CONFIG, CONFIG = "adapter_config.json", "config.json"
INDEX = "model.safetensors.index.json"

# What a student is made of. A list of what may go, not of what may not: nothing unknown is ever uploaded.
_WEIGHTS = ("model.safetensors", "model-*-of-*.safetensors", INDEX, "adapter_model.safetensors")
_SETTINGS = (CONFIG, ADAPTER_CONFIG, "generation_config.json")
_TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "*.model",
    "*.tiktoken",
    "tekken.json",
    "chat_template.jinja",
    "chat_template.json",
    "additional_chat_templates/*.jinja",
)
_WORDS = (CARD, CURVES_FILE, f"{RESULTS_FOLDER}/*.yaml", "LICENSE*", "NOTICE*")
_PARTS = (*_WEIGHTS, *_SETTINGS, *_TOKENIZER, *_WORDS)
_OWNED = (*_WEIGHTS, *_SETTINGS, *_TOKENIZER, CURVES_FILE)  # deleted when the student has them no longer

_REASONS = (
    ("checkpoint-*", "a training checkpoint"),
    ("training_args.bin", "a pickle, with folders of this machine"),
    ("structure_heads*", "heads of the objectives, for training only"),
    ("optimizer*", "state of the optimizer"),
    ("scheduler*", "state of the optimizer"),
    ("rng_state*", "state of the optimizer"),
    ("trainer_state.json", "state of the training"),
    (FACTS_FILE, "what the card is made from"),
    ("*.json*", "a record of the training"),
    ("*.py", "code"),
    ("*.bin", "a pickle"),
    ("*.p*t*", "a pickle"),
    ("*.pkl", "a pickle"),
)


@dataclass(frozen=True)
class StudentFiles:
    """A student's own files, and what else lies in its folder, with the reason it stays there."""

    folder: Path
    files: dict[str, Path]
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def is_adapter(self) -> bool:
        """Whether it needs a base model."""
        return ADAPTER_CONFIG in self.files

    def settings(self) -> dict[str, Any]:
        """Its adapter_config.json or config.json."""
        return _read_json(self.files[ADAPTER_CONFIG if self.is_adapter else CONFIG])


def select_student_files(folder: str | Path) -> StudentFiles:
    """The files of the student in `folder`: safetensors, configuration, tokenizer, card. Nothing else, ever.

    Raises:
        InputError: no folder, no weights as safetensors, a shard is missing, or a file was not written to its end.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"Student folder '{folder}' does not exist; expected what `save_model` wrote.")
    files, left_out = {}, {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        top = name.split("/")[0]
        if path.is_file() and _matches(name, _PARTS):
            files[name] = path
        elif top not in left_out and (path.is_file() or "/" not in name) and not _is_parent(top):
            reason = next((why for pattern, why in _REASONS if fnmatch.fnmatch(top, pattern)), "not part of a student")
            left_out[top + ("/" if (folder / top).is_dir() else "")] = reason
    if ADAPTER_CONFIG in files:  # a leftover full model beside it would be loaded in its place
        for name in [name for name in files if _matches(name, (CONFIG, "model*.safetensors", INDEX))]:
            left_out[name] = "the student is the adapter"
            del files[name]
    _check_weights(folder, files, left_out)
    return StudentFiles(folder, files, left_out)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(name.count("/") == pattern.count("/") and fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _is_parent(name: str) -> bool:
    return any(pattern.startswith(f"{name}/") for pattern in _PARTS)


def _check_weights(folder: Path, files: Mapping[str, Path], left_out: Mapping[str, str]) -> None:
    found = "adapter_model.safetensors" in files if ADAPTER_CONFIG in files else False
    if CONFIG in files:
        found = "model.safetensors" in files or INDEX in files
    if not found:
        pickled = [name for name in left_out if name.endswith((".bin", ".pt", ".pth"))]
        checkpoints = sorted(name for name in left_out if name.startswith("checkpoint-"))
        instead = f"only {', '.join(pickled)}" if pickled else f"only {checkpoints[-1]}" if checkpoints else "none"
        raise InputError(
            f"Expected safetensors weights with their configuration in '{folder}', found {instead}; save the student "
            "with trainer.save_model(folder), or give the folder of a checkpoint."
        )
    if INDEX in files:
        shards = set(_read_json(files[INDEX]).get("weight_map", {}).values())
        if missing := sorted(shards - set(files)):
            raise InputError(f"'{folder}' lacks {', '.join(missing)}, which {INDEX} names; save the student again.")
    for path in files.values():
        _check_whole(path)


def _check_whole(path: Path) -> None:
    """Refuse what a save that was killed leaves behind; safetensors compares a file's size with its header."""
    from safetensors import SafetensorError, safe_open

    if path.name in (CONFIG, ADAPTER_CONFIG):
        _read_json(path)
    elif path.suffix == ".safetensors":
        try:
            with safe_open(path, framework="np"):
                pass
        except SafetensorError as error:
            raise InputError(f"The weights in '{path}' are damaged ({error}); save the student again.") from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"'{path}' is damaged: expected JSON, found {error}; save the student again.") from error
    if not isinstance(found, dict):
        raise InputError(f"'{path}' is damaged: expected a JSON object, found {found!r}; save the student again.")
    return found


def publish_student(
    folder: str | Path,
    repo_id: str,
    api: HfApi,
    *,
    merge: bool = False,
    dtype: str = "bfloat16",
    base_model: str | None = None,
    evaluations: Sequence[Mapping[str, Any]] = (),
    result_name: str | None = None,
    license: str | None = None,
    public: bool = False,
    dry_run: bool = False,
    revision: str | None = None,
    message: str | None = None,
) -> Publication:
    """Publish the student in `folder` as one commit; the same folder again makes none.

    Args:
        api: from [`sign_in`].
        merge: put the adapter into its base model, in `dtype`, and publish the whole model.
        base_model: Hub id of the base, where the adapter was trained on a local copy of it.
        evaluations: contents of results.json files; `result_name` says which student of them this is, by default
            the one with the folder's fingerprint, or with its name.
        license: for the card; by default what the card on the Hub says.
        public: open the repository after the commit; a new one is private.
        dry_run: only compare.

    Raises:
        InputError: the folder holds no student, the base cannot be found for a merge, an evaluation does not say
            which of its students this is, or the Hub refuses.
    """
    student = select_student_files(folder)
    facts = card_facts(student, base_model)
    facts["repo_id"] = repo_id
    if license is not None:
        facts |= {"license": license, "license_name": None, "license_link": None}
    elif not facts.get("license"):
        facts |= _license_of(api, facts)
    if evaluations:
        # here, where the weights are: the card is written elsewhere
        found = [with_own_entry(evaluation, student.folder, result_name) for evaluation in evaluations]
        facts |= {"evaluations": found}
    notes = _notes(student, facts, merge)
    with tempfile.TemporaryDirectory(prefix="structdistill-") as scratch:
        left_out = dict(student.left_out)
        if merge and student.is_adapter:
            from .merge import merge_adapter

            merge_adapter(student.folder, scratch, dtype=dtype, base_model=base_model)
            student = select_student_files(scratch)
            facts |= {"merged_dtype": dtype}
        files = _published_files(student, facts, Path(scratch))
        card = files.pop(CARD).read_text(encoding="utf-8")
        return publish_files(
            api,
            Repository(repo_id, revision=revision),
            files,
            card,
            owned=lambda path: _matches(path, _OWNED),
            message=message or f"Publish student {Path(folder).resolve().name}",
            public=public,
            dry_run=dry_run,
            left_out=left_out,
            notes=notes,
        )


def card_facts(student: StudentFiles, base_model: str | None = None) -> dict[str, Any]:
    """What is known of a student's training: the record beside its card, else what its configuration says."""
    facts = read_card_facts(student.folder)
    if not facts:  # nothing was recorded: not the same as trained from scratch
        facts = {"training_known": False, "prompt_format": "chat" if _is_chat(student) else "plain"}
    if student.is_adapter:
        settings = student.settings()
        facts.setdefault("base_model", settings.get("base_model_name_or_path"))
        if settings.get("revision"):
            facts.setdefault("base_revision", settings["revision"])
    else:
        facts.setdefault("base_model", "")
    if base_model is not None and base_model != facts.get("base_model"):
        facts |= {"base_model": base_model, "base_revision": None}
    return facts


def _is_chat(student: StudentFiles) -> bool:
    """Whether its tokenizer has a chat template, by which `structdistill evaluate` goes where nothing is recorded."""
    if any(name.startswith("chat_template.") for name in student.files):
        return True
    settings = student.files.get("tokenizer_config.json")
    return settings is not None and bool(_read_json(settings).get("chat_template"))


def _license_of(api: HfApi, facts: Mapping[str, Any]) -> dict[str, str]:
    """The licence of the base model, which binds what was made from it; empty where its card cannot be read."""
    base = facts.get("base_model") or ""
    if not is_hub_id(base):
        return {}
    try:
        card = api.model_info(base).card_data
    except (HTTPError, OSError):
        return {}
    told: dict[str, Any] = card.to_dict() if card else {}
    names = ("license", "license_name", "license_link") if told.get("license") == "other" else ("license",)
    return {name: told[name] for name in names if isinstance(told.get(name), str)}


def _notes(student: StudentFiles, facts: Mapping[str, Any], merge: bool) -> tuple[str, ...]:
    notes = []
    base = facts.get("base_model") or ""
    if student.is_adapter and not merge and not is_hub_id(base):
        notes.append(
            "The base of this adapter is a local folder, which nobody else has: name its Hub id by --base-model, or "
            "publish the whole model by --merge."
        )
    if student.is_adapter and merge and facts.get("quantization"):
        notes.append(
            f"The adapter was trained on a base in {facts['quantization']}; merged into the 16-bit base, outputs can "
            "change. Evaluate the merged model before you quote its scores."
        )
    if merge and not student.is_adapter:
        notes.append("This student is no adapter: there is nothing to merge.")
    return tuple(notes)


def _published_files(student: StudentFiles, facts: Mapping[str, Any], scratch: Path) -> dict[str, Path]:
    """The files, with a card and an adapter configuration written for readers elsewhere."""
    place = scratch / "card"
    place.mkdir()
    for name in (ADAPTER_CONFIG, CONFIG, CURVES_FILE, FACTS_FILE):  # what the card is made from
        if (student.folder / name).is_file():
            (place / name).write_bytes((student.folder / name).read_bytes())
    write_student_card(place, **facts)
    (place / FACTS_FILE).unlink()
    if student.is_adapter:
        settings = student.settings()
        base = facts.get("base_model") or ""
        # a path of this machine would tell too much, and lead nowhere
        settings["base_model_name_or_path"] = base if is_hub_id(base) else f"./{Path(base).name}"
        settings["revision"] = (facts.get("base_revision") or settings.get("revision")) if is_hub_id(base) else None
        (place / ADAPTER_CONFIG).write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    elif CONFIG in student.files:
        settings = student.settings()
        settings.pop("_name_or_path", None)
        (place / CONFIG).write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    own = {path.relative_to(place).as_posix(): path for path in place.rglob("*") if path.is_file()}
    return {**student.files, **own}
