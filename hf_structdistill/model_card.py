"""The card of a student: README.md with metadata, a picture of the training curves, and `.eval_results/*.yaml`."""

from __future__ import annotations

import dataclasses
import json
import logging
import re
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from .errors import InputError
from .model_names import is_hub_id
from .templates import render_template

logger = logging.getLogger(__name__)

PAPER = "Reasoning Distillation and Structural Alignment for Improved Code Generation, 2025, arXiv 2510.17598"
CURVES_FILE = "training_curves.png"
FACTS_FILE = "card_facts.json"  # what a card was made from; stays in the folder, for `structdistill publish`
RESULTS_FOLDER = ".eval_results"
_SCORES = (("dataflow_match_macro", "Data-flow match"), ("syntax_match_macro", "Syntax match"))
# Where things lie and what opens doors are no hyper-parameters.
_PRIVATE = re.compile(
    r"(_dir|_path|_file|token|_key|run_name|hub_|report_to|project|trackio|logging_|push_to|disable_)"
)


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
    example_prompt: str = "Write a function `add(a, b)` that returns the sum of two numbers.\n\n",
    license: str | None = None,
    repo_id: str | None = None,
    quantization: str | None = None,
    merged_dtype: str | None = None,
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
        result_name: which student of an evaluation this is; by default the one called `name`, else the last.
        prompt_format: `"plain"` or `"chat"`: how a prompt must be given; `structdistill evaluate` reads it.
        repo_id: Hub id that the usage snippet names.
        quantization: what the base was held in during training ("4-bit (nf4)"), if not in 16 or 32 bits.
        merged_dtype: what an adapter was merged into its base in.
        versions: of the libraries; by default the installed ones.

    Returns:
        path of README.md. Beside it lies `card_facts.json`, from which [`read_card_facts`] gives these arguments
        again.

    Raises:
        InputError: the folder does not exist.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"Student folder '{folder}' does not exist; save the model before writing its card.")
    name = name or (repo_id or folder.resolve().name).rsplit("/", 1)[-1]
    hub_base = base_model if base_model and is_hub_id(base_model) else None
    is_adapter = (folder / "adapter_config.json").is_file()
    models = [(facts, _model_entry(facts, result_name or name)) for facts in evaluations]
    has_curves = _has_curves(folder, curves or {})
    described = [_describe_objective(objective) for objective in objectives]
    if hyperparameters is not None and not isinstance(hyperparameters, Mapping):
        hyperparameters = changed_settings(hyperparameters)
    shown_settings = _presentable(hyperparameters or {})
    shown_data = [dataset if is_hub_id(dataset) else _last_part(dataset) for dataset in datasets]
    local_base = Path(base_model).name if base_model and not hub_base else None
    facts = {
        "base_model": f"./{local_base}" if local_base else base_model,  # a bare name would read as a Hub id
        "base_revision": base_revision if hub_base else None,
        "datasets": shown_data,
        "objectives": described,
        "hyperparameters": shown_settings,
        "curves": dict(curves or {}),
        "evaluations": list(evaluations),
        "result_name": result_name,
        "prompt_format": prompt_format,
        "example_prompt": example_prompt,
        "license": license,
        "quantization": quantization,
        "versions": dict(versions or _versions()),
    }
    (folder / FACTS_FILE).write_text(json.dumps(facts, indent=1, default=str), encoding="utf-8")
    text = render_template(
        "student.md.jinja",
        metadata=_metadata(name, hub_base, datasets, models, is_adapter, prompt_format, license),
        title=name,
        repo_id=repo_id or name,
        base_model=hub_base,
        base_revision=base_revision if hub_base else None,
        local_base=local_base,
        from_scratch=base_model is None,
        quantization=quantization,
        merged_dtype=merged_dtype,
        is_adapter=is_adapter,
        datasets=[_public_name(dataset) for dataset in datasets],
        objectives=described,
        citations=list(dict.fromkeys([PAPER, *(o["citation"] for o in described if o["citation"])])),
        hyperparameters=shown_settings,
        curves_file=CURVES_FILE if has_curves else None,
        evaluations=[_evaluation_rows(facts, entry) for facts, entry in models],
        prompt_format=prompt_format,
        example_prompt=repr(example_prompt),
        versions=facts["versions"],
    )
    path = folder / "README.md"
    path.write_text(text, encoding="utf-8")
    _write_eval_results(folder, models)
    return path


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


_DERIVED = ("dataloader_pin_memory", "pad_to_multiple_of")  # TrainingArguments sets them by the hardware


def changed_settings(args: Any) -> dict[str, Any]:
    """Fields of training arguments that differ from the declared defaults; paths, tokens and logging left out.

    The declarations are read rather than a fresh instance: making TrainingArguments resets accelerate's state, which
    breaks a training that is under way, and fails where the hardware lacks bf16. A value that the library derived
    where nothing was declared (default None) is no setting.
    """
    changed = {}
    for field in dataclasses.fields(args):
        value = _plain(getattr(args, field.name, None))
        default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        declared = _plain(default) is not None or field.name in ("bf16", "fp16", "max_length")
        if not declared or value == _plain(default) or field.name in _DERIVED or _PRIVATE.search(field.name):
            continue
        if value is None or isinstance(value, bool | int | float | str):
            changed[field.name] = value
    return changed


def _plain(value: Any) -> Any:
    return getattr(value, "value", value)  # enumerations


def describe_quantization(config: Any) -> str | None:
    """What a model's configuration says its weights are held in: "4-bit (nf4)", "8-bit"; None for 16 or 32 bits."""
    found = getattr(config, "quantization_config", None)
    if found is None:
        return None
    settings = found if isinstance(found, Mapping) else found.to_dict()
    if settings.get("load_in_4bit") or settings.get("_load_in_4bit"):
        return f"4-bit ({settings.get('bnb_4bit_quant_type', 'fp4')})"
    if settings.get("load_in_8bit") or settings.get("_load_in_8bit"):
        return "8-bit"
    return str(getattr(settings.get("quant_method"), "value", settings.get("quant_method")))


_NOT_CURVES = {"epoch", "step", "num_tokens", "learning_rate", "grad_norm", "structure_strength"}


def training_curves(log_history: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[float, float]]]:
    """Component -> list of (step, value), of what a trainer logged during training."""
    curves: dict[str, list[tuple[float, float]]] = {}
    for entry in log_history:
        if "train_runtime" in entry or "eval_runtime" in entry:
            continue
        for name, value in entry.items():
            if name not in _NOT_CURVES:
                curves.setdefault(name, []).append((entry["step"], float(value)))
    return curves


def draw_curves(curves: Mapping[str, Any], path: Path) -> bool:
    """Draw one panel a component into a PNG; False when there is nothing to draw."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels: dict[str, dict[str, list[Any]]] = {}
    for key, value in curves.items():
        if isinstance(value, Mapping):
            for component, points in value.items():
                panels.setdefault(str(component), {})[str(key)] = list(points)
        else:
            panels.setdefault(str(key), {})[""] = list(value)
    panels = {component: lines for component, lines in panels.items() if any(lines.values())}
    if not panels:
        return False
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(3.6 * columns, 2.5 * rows), dpi=110)
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, (component, lines) in zip(axes, panels.items(), strict=False):
        for run, points in lines.items():
            axis.plot([x for x, _ in points], [y for _, y in points], label=run or None, linewidth=1.3)
        axis.set_title(component, fontsize=9)
        axis.set_xlabel("step", fontsize=8)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
        if len(lines) > 1:
            axis.legend(fontsize=7, frameon=False)
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    inch = {"left": 0.6 / (3.6 * columns), "bottom": 0.5 / (2.5 * rows), "top": 1 - 0.3 / (2.5 * rows)}
    figure.subplots_adjust(right=1 - 0.15 / (3.6 * columns), wspace=0.24, hspace=0.42, **inch)
    figure.savefig(path, metadata={"Software": None})
    return True


def _metadata(
    name: str,
    base_model: str | None,
    datasets: Sequence[str],
    models: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]],
    is_adapter: bool,
    prompt_format: str,
    license: str | None,
) -> str:
    from huggingface_hub import ModelCardData

    results = [result for facts, entry in models for result in _index_results(facts, entry)]
    data = ModelCardData(
        base_model=base_model,
        datasets=[dataset for dataset in datasets if is_hub_id(dataset)] or None,
        library_name="peft" if is_adapter else "transformers",
        license=license,
        language="code",
        pipeline_tag="text-generation",
        tags=["structdistill", "trl", "sft", "distillation", "code", *(["lora"] if is_adapter else [])],
        model_name=name,
        eval_results=results or None,
        structdistill={"prompt_format": prompt_format},
    )
    return data.to_yaml()


def _index_results(facts: Mapping[str, Any], entry: Mapping[str, Any]) -> list[Any]:
    """The `model-index` entries of one evaluation."""
    from huggingface_hub import EvalResult

    where = {
        "task_type": "text-generation",
        "task_name": "Code generation",
        "dataset_type": facts.get("hub_id") or str(facts["benchmark"]),
        "dataset_name": str(facts["benchmark"]),
        "dataset_split": facts.get("split"),
        "dataset_revision": facts.get("revision"),
    }
    found = []
    for key, value in entry["pass@k"].items():
        if value is not None:
            found.append(EvalResult(metric_type=f"pass@{key}", metric_value=round(value, 4), **where))
    for key, label in _SCORES:
        value = entry["scores"].get("strict", {}).get(key)
        if value is not None:
            kind = key.removesuffix("_macro")
            found.append(EvalResult(metric_type=kind, metric_name=label, metric_value=round(value, 4), **where))
    return found


def _write_eval_results(folder: Path, models: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> None:
    """`.eval_results/<benchmark>.yaml` for the benchmarks that live on the Hub; others have no id to point to."""
    import yaml
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    for facts, entry in models:
        value = entry["pass@k"].get("1")
        if value is None or not facts.get("hub_id"):
            continue
        low, high = entry["pass@1_interval_95"]
        counts = entry["counts"]
        result = EvalResultEntry(
            dataset_id=facts["hub_id"],
            task_id="default",
            value=round(100 * value, 2),
            dataset_revision=facts.get("revision"),
            date=facts.get("date"),
            notes=f"pass@1 in percent, {counts['problems_judged']} problems of split {facts.get('split') or 'all'}, "
            f"95% interval {100 * low:.1f} to {100 * high:.1f}",
        )
        (folder / RESULTS_FOLDER).mkdir(exist_ok=True)
        path = folder / RESULTS_FOLDER / f"{re.sub(r'[^a-z0-9_]+', '_', str(facts['benchmark']).lower())}.yaml"
        path.write_text(yaml.safe_dump(eval_result_entries_to_yaml([result]), sort_keys=False), encoding="utf-8")


def _model_entry(facts: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """This student's entry of an evaluation: by name, else the last (an evaluation lists its baseline first)."""
    return next((model for model in facts["models"] if model["name"] == name), facts["models"][-1])


def _evaluation_rows(facts: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """One evaluation as the template shows it, the other students of the same evaluation beside it."""
    students = [entry, *(model for model in facts["models"] if model is not entry)]
    rows = []
    for key in entry["pass@k"]:
        rows.append((f"pass@{key}", [_percent(student["pass@k"].get(key)) for student in students]))
    rows.append(("pass@1, 95% interval", [_interval(student["pass@1_interval_95"]) for student in students]))
    for key, label in _SCORES:
        values = [student["scores"].get("strict", {}).get(key) for student in students]
        if any(value is not None for value in values):
            rows.append((f"{label} (strict, macro)", [_percent(value) for value in values]))
    rows.append(("parse rate", [_percent(student["parse_rate"]) for student in students]))
    rows.append(("problems judged", [str(student["counts"]["problems_judged"]) for student in students]))
    return {
        "title": " · ".join(str(part) for part in (facts["benchmark"], facts.get("split")) if part),
        "names": ["this student", *(str(student["name"]) for student in students[1:])],
        "rows": rows,
        "differences": [c for c in facts.get("comparisons", ()) if entry["name"] in (c["base"], c["other"])],
    }


def _describe_objective(objective: Any) -> dict[str, Any]:
    if isinstance(objective, Mapping):
        if "settings" in objective:
            return dict(objective)  # described before
        name, citation, config = objective["name"], objective.get("citation"), objective.get("config") or {}
    else:
        name, citation = objective.name, getattr(objective, "citation", None)
        config = objective.get_config_dict() if hasattr(objective, "get_config_dict") else {}
    settings = ", ".join(f"{key} {value}" for key, value in _presentable(config).items())
    return {"name": str(name), "citation": citation, "settings": settings}


def _presentable(settings: Mapping[str, Any]) -> dict[str, str]:
    """Settings as text, without paths of this machine and without anything that looks like a token."""
    shown = {}
    for key, value in settings.items():
        text = f"{value:g}" if isinstance(value, float) else str(value)
        if not re.search(r"(^|[\s'\"])(/|~/|[A-Za-z]:\\)|\bhf_[A-Za-z0-9]{20,}", text):
            shown[str(key)] = text.replace("|", "\\|").replace("\n", " ")
    return shown


def _public_name(dataset: str) -> str:
    return f"[{dataset}](https://huggingface.co/datasets/{dataset})" if is_hub_id(dataset) else _last_part(dataset)


def _last_part(name: str) -> str:
    """The last part of a path; a description with spaces is left as it is."""
    return name if " " in name and not name.startswith(("/", "~")) else Path(name).name


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}%"


def _interval(interval: Sequence[float]) -> str:
    return f"{100 * interval[0]:.1f}% to {100 * interval[1]:.1f}%"


def _versions() -> dict[str, str]:
    versions = {}
    for package in ("hf-structdistill", "trl", "transformers", "peft", "torch", "datasets"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            logger.debug("%s is not installed; the card leaves its version out", package)
    return versions
