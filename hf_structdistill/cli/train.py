"""`structdistill train`: StructureAwareTrainer from a YAML recipe and command-line overrides."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset
    from trl import ModelConfig, ScriptArguments

    from ..training_args import StructureAwareConfig

HELP = """Train a student with StructureAwareTrainer.

Options are the fields of StructureAwareConfig (which include all of TRL's SFTConfig), of TRL's ModelConfig (model,
LoRA, quantization) and of TRL's ScriptArguments (data set), on the command line or in a YAML file given by --config;
the command line wins. `structdistill train --help-all` lists them.

  structdistill train --config recipes/mbpp_qlora.yaml --dataset_name traces/ --output_dir student
"""

LAYOUTS = ({"prompt", "completion"}, {"messages"}, {"conversations"}, {"text"}, {"input_ids"})
"""What SFTTrainer can read."""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    passes_through = {"allow_extra_args": True, "ignore_unknown_options": True}
    app.command("train", help=HELP, context_settings=passes_through)(train)


def train(
    context: typer.Context, help_all: Annotated[bool, typer.Option("--help-all", help="List every option.")] = False
) -> None:
    """Parse with TRL's parser, load the data, train, save."""
    script, config, model = parse_arguments([*context.args, *(["--help"] if help_all else [])])
    dataset = load_training_set(script)
    run_training(script, config, model, dataset)


def parse_arguments(arguments: list[str]) -> tuple[ScriptArguments, StructureAwareConfig, ModelConfig]:
    """Recipe and command line to TRL's three groups of arguments."""
    from trl import ModelConfig, ScriptArguments, TrlParser

    from ..training_args import StructureAwareConfig

    _check_recipe(arguments)
    parser = TrlParser((ScriptArguments, StructureAwareConfig, ModelConfig), prog="structdistill train")
    try:
        script, config, model = parser.parse_args_and_config(arguments)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"The training options do not fit: {error}") from error
    given = {"model_name_or_path": model.model_name_or_path, "dataset_name": script.dataset_name}
    for name, value in given.items():
        if not value:
            raise InputError(f"--{name} is missing: give it on the command line or in the --config file.")
    return script, config, model


def _check_recipe(arguments: list[str]) -> None:
    if "--config" not in arguments:
        return
    place = arguments.index("--config") + 1
    if place >= len(arguments):
        raise InputError("--config needs the path of a YAML file.")
    if not os.path.isfile(arguments[place]):
        raise InputError(f"The recipe '{arguments[place]}' does not exist; expected a YAML file of training options.")


def load_training_set(script: ScriptArguments) -> Dataset:
    """The training split of a traces folder, a Hub data set, or a JSONL or Parquet file."""
    name = script.dataset_name
    dataset = _read_file(name) if os.path.isfile(name) else _read_folder_or_hub(script)
    columns = set(dataset.column_names or ())
    if columns and not any(needed <= columns for needed in LAYOUTS):
        raise InputError(
            f"The data set '{name}' has the columns {', '.join(sorted(columns))}; expected prompt and completion, or "
            "messages, or text."
        )
    if not script.dataset_streaming and len(dataset) == 0:
        raise InputError(f"The data set '{name}' has no rows; expected prompt and completion columns with rows.")
    return dataset


def _read_file(path: str) -> Dataset:
    from datasets import load_dataset
    from datasets.exceptions import DatasetGenerationError

    kind = {".jsonl": "json", ".json": "json", ".parquet": "parquet"}.get(os.path.splitext(path)[1])
    if kind is None:
        raise InputError(f"'{path}' is not a .jsonl, .json or .parquet file; convert it, or give a folder.")
    if os.path.getsize(path) == 0:
        raise InputError(f"'{path}' is empty; expected rows with prompt and completion.")
    try:
        return load_dataset(kind, data_files=path, split="train")
    except DatasetGenerationError as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise InputError(f"'{path}' could not be read as {kind}: {reason}") from error


def _read_folder_or_hub(script: ScriptArguments) -> Dataset:
    from datasets import load_dataset

    name, config = script.dataset_name, script.dataset_config
    if config is None and os.path.isdir(os.path.join(name, "sft")):
        config = "sft"  # the folder that `structdistill traces` writes
    try:
        return load_dataset(name, name=config, split=script.dataset_train_split, streaming=script.dataset_streaming)
    except (FileNotFoundError, ValueError, ConnectionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"The data set '{name}' could not be loaded ({reason}). Expected a folder written by `structdistill "
            "traces`, a .jsonl or .parquet file, or the id of a data set on the Hub."
        ) from error


def run_training(script: ScriptArguments, config: StructureAwareConfig, model: ModelConfig, dataset: Any) -> None:
    """Train, continue from the last checkpoint where there is one, and save the student into `output_dir`."""
    from transformers.trainer_utils import get_last_checkpoint
    from trl import get_peft_config, get_quantization_config

    from ..trainer import StructureAwareTrainer

    _check_model(model.model_name_or_path)
    _check_writable(config.output_dir)
    config.model_init_kwargs = {
        "revision": model.model_revision,
        "attn_implementation": model.attn_implementation,
        "dtype": model.dtype,
        **(config.model_init_kwargs or {}),
    }
    checkpoint = config.resume_from_checkpoint or get_last_checkpoint(config.output_dir)
    if checkpoint:
        typer.echo(f"Continuing from {checkpoint}; remove the folder to start afresh.")
    trainer = StructureAwareTrainer(
        model=model.model_name_or_path,
        args=config,
        train_dataset=dataset,
        quantization_config=get_quantization_config(model),
        peft_config=get_peft_config(model),
    )
    trainer.train(resume_from_checkpoint=checkpoint)
    trainer.save_model(config.output_dir)
    trainer.create_model_card(dataset_name=None if os.path.exists(script.dataset_name) else script.dataset_name)
    typer.echo(f"The student is in {config.output_dir}.")
    if config.push_to_hub:
        trainer.push_to_hub()


def _check_model(name: str) -> None:
    looks_local = name.startswith((".", "/", "~")) or name.count("/") > 1
    if looks_local and not os.path.isdir(os.path.expanduser(name)):
        raise InputError(f"The model folder '{name}' does not exist; expected a folder with config.json, or a Hub id.")


def _check_writable(folder: str) -> None:
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise InputError(f"The output folder '{folder}' cannot be created: {error.strerror}.") from error
    if not os.access(folder, os.W_OK):
        raise InputError(f"The output folder '{folder}' is not writable; choose another with --output_dir.")
