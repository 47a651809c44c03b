"""The card of a student: README.md with metadata, a picture of the training curves, and `.eval_results/*.yaml`."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import replace_text
from ..model_names import is_hub_id
from ..templates import render_template
from .curves import draw_curves
from .results import Results, evaluation_rows, index_results, own_entry, with_own_entry, write_eval_results
from .settings import changed_settings, describe_objective, presentable

logger = logging.getLogger(__name__)

PAPER = "Reasoning Distillation and Structural Alignment for Improved Code Generation, 2025, arXiv 2510.17598"
EXAMPLE_PROMPT = "Write a function `add(a, b)` that returns the sum of two numbers.\n\n"
CURVES_FILE = "training_curves.png"
FACTS_FILE = "card_facts.json"  # what a card was made from; stays in the folder, for `structdistill publish`


def write_student_card(
    folder: str | Path,
    *,
    name: str | None = None,
    base_model: str | None = None,
    base_revision: str | None = None,
    datasets: Sequence[str] = (),
    objectives: Sequence[Any] = (),
    hyperparameters: Mapping[str, Any] | Any = None,
    curves: Mapping[str, Any] | None = None,
    evaluations: Sequence[Mapping[str, Any]] = (),
    result_name: str | None = None,
    prompt_format: str = "plain",
    example_prompt: str = EXAMPLE_PROMPT,
    license: str | None = None,
    license_name: str | None = None,
    license_link: str | None = None,
    tags: Sequence[str] = (),
    repo_id: str | None = None,
    quantization: str | None = None,
    merged_dtype: str | None = None,
    training_known: bool = True,
    versions: Mapping[str, str] | None = None,
) -> Path:
    """Write README.md, the curves and the evaluation results into a student's folder.

    Args:
        folder: where the model or adapter was saved.
        name: title of the card; the folder's name by default.
        base_model: Hub id of the base. Of a local path only the last part is told, in the text; None says that the
            student was trained from scratch, "" that nothing is known.
        base_revision: commit of the base.
        datasets: Hub ids or descriptions of the training data; local paths are shortened to their last part.
        objectives: what was optimised: objects with `name`, `citation`, `get_config_dict()`, or mappings with the
            keys name, citation, config.
        hyperparameters: a mapping, or the training arguments, of which those that differ from the defaults are shown.
        curves: component -> list of (step, value), or run -> component -> list.
        evaluations: contents of results.json files, see [`evaluation.results_summary`].
        result_name: which student of the evaluations this is; by default the one with this folder's fingerprint, or
            with its name.
        prompt_format: `"plain"` or `"chat"`: how a prompt must be given; `structdistill evaluate` reads it.
        license, license_name, license_link: as in the metadata of the Hub; the latter two for the licence "other".
        tags: further ones; those of this package stand in every card.
        repo_id: Hub id that the usage snippet names.
        quantization: what the base was held in during training ("4-bit (nf4)"), if not in 16 or 32 bits.
        merged_dtype: what an adapter was merged into its base in.
        training_known: whether the training was recorded. Without that the card says nothing of it, and leaves the
            prompt format out of the metadata: `structdistill evaluate` goes by the tokenizer then, as for the folder.
        versions: of the libraries; by default the installed ones.

    Returns:
        path of README.md. Beside it lies `card_facts.json`, from which [`read_card_facts`] gives these arguments
        again.

    Raises:
        InputError: the folder does not exist, or an evaluation does not say which of its students this is.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"Student folder '{folder}' does not exist; save the model before writing its card.")
    name = name or (repo_id or folder.resolve().name).rsplit("/", 1)[-1]
    if hyperparameters is not None and not isinstance(hyperparameters, Mapping):
        hyperparameters = changed_settings(hyperparameters)
    base = _without_folders(base_model) if base_model else base_model
    facts = {
        "base_model": base,
        "base_revision": base_revision if base and is_hub_id(base) else None,
        "datasets": [_without_folders(dataset) for dataset in datasets],
        "objectives": [describe_objective(objective) for objective in objectives],
        "hyperparameters": presentable(hyperparameters or {}),
        "curves": dict(curves or {}),
        "evaluations": [with_own_entry(evaluation, folder, result_name) for evaluation in evaluations],
        "prompt_format": prompt_format,
        "example_prompt": example_prompt,
        "license": license,
        "license_name": license_name,
        "license_link": license_link,
        "tags": list(tags),
        "quantization": quantization,
        "training_known": training_known,
        "versions": dict(versions or _versions()),
    }
    has_curves = _has_curves(folder, facts["curves"])  # told by the facts of the card before
    replace_text(folder / FACTS_FILE, json.dumps(facts, indent=1, default=str))
    results = [(evaluation, own_entry(evaluation)) for evaluation in facts["evaluations"]]
    text = _render(
        folder,
        facts,
        results,
        title=name,
        repo_id=repo_id or name,
        merged_dtype=merged_dtype,
        curves_file=CURVES_FILE if has_curves else None,
    )
    path = folder / "README.md"
    path.write_text(text, encoding="utf-8")
    write_eval_results(folder, results)
    return path


def _render(folder: Path, facts: Mapping[str, Any], results: Results, **given: Any) -> str:
    base = facts["base_model"]
    hub_base = base if base and is_hub_id(base) else None
    told = {
        "metadata": _metadata(folder, given["title"], results, {**facts, "base_model": hub_base}),
        "base_model": hub_base,
        "local_base": Path(base).name if base and not hub_base else None,
        "from_scratch": base is None,
        "is_adapter": _is_adapter(folder),
        "datasets": [_public_name(dataset) for dataset in facts["datasets"]],
        "citations": _citations(facts["objectives"]) if facts["training_known"] else [],
        "evaluations": [evaluation_rows(*result) for result in results],
        "example_prompt": repr(facts["example_prompt"]),
    }
    return render_template("student.md.jinja", **{**facts, **told, **given})


def _is_adapter(folder: Path) -> bool:
    return (folder / "adapter_config.json").is_file()


def _citations(objectives: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys([PAPER, *(o["citation"] for o in objectives if o["citation"])]))


def _has_curves(folder: Path, curves: Mapping[str, Any]) -> bool:
    """Draw the curves, unless the picture in `folder` shows them already: a card is written at every checkpoint."""
    drawn = read_card_facts(folder).get("curves") if (folder / CURVES_FILE).is_file() else None
    if not curves or (drawn is not None and drawn == json.loads(json.dumps(curves))):
        return bool(curves)
    return draw_curves(curves, folder / CURVES_FILE)


def read_card_facts(folder: str | Path) -> dict[str, Any]:
    """The arguments of [`write_student_card`] that the card in `folder` was written with; empty where unknown."""
    path = Path(folder) / FACTS_FILE
    if not path.is_file():
        return {}
    facts = json.loads(path.read_text(encoding="utf-8"))
    return {key: value for key, value in facts.items() if value is not None or key == "base_model"}


def _metadata(folder: Path, name: str, results: Results, facts: Mapping[str, Any]) -> str:
    from huggingface_hub import ModelCardData

    is_adapter = _is_adapter(folder)
    methods = ["trl", "sft", "distillation"] if facts["training_known"] else []
    own_tags = ["structdistill", *methods, "code", *(["lora"] if is_adapter else [])]
    data = ModelCardData(
        base_model=facts["base_model"],
        datasets=[dataset for dataset in facts["datasets"] if is_hub_id(dataset)] or None,
        library_name="peft" if is_adapter else "transformers",
        **{key: facts[key] for key in ("license", "license_name", "license_link")},
        language="code",
        pipeline_tag="text-generation",
        tags=list(dict.fromkeys([*own_tags, *facts["tags"]])),
        model_name=name,
        eval_results=[entry for result in results for entry in index_results(*result)] or None,
        structdistill={"prompt_format": facts["prompt_format"]} if facts["training_known"] else None,
    )
    return data.to_yaml()


def _public_name(dataset: str) -> str:
    if is_hub_id(dataset):
        return f"[{dataset}](https://huggingface.co/datasets/{dataset})"
    return dataset.removeprefix("./")


def _without_folders(name: str) -> str:
    """A path as its last part, told as a path still: a bare name would read as a Hub id. Others as they are."""
    is_description = " " in name and not name.startswith(("/", "~", "."))
    return name if is_hub_id(name) or is_description else f"./{Path(name).name}"


def _versions() -> dict[str, str]:
    versions = {}
    for package in ("hf-structdistill", "trl", "transformers", "peft", "torch", "datasets"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            logger.debug("%s is not installed; the card leaves its version out", package)
    return versions
