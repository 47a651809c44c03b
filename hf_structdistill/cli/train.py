"""`structdistill train`: StructureAwareTrainer from a YAML recipe and command-line overrides."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError

if TYPE_CHECKING:
    from transformers import Trainer
    from trl import ModelConfig, ScriptArguments

    from ..training_args import StructureAwareConfig

CHECKING = ("transformers", "trl", "peft")
"""Libraries that check model, data and options: an error that one of them raises is about what it was given."""

HELP = """Train a student with StructureAwareTrainer.

Options are the fields of StructureAwareConfig (which include all of TRL's SFTConfig), of TRL's ModelConfig (model,
LoRA, quantization) and of TRL's ScriptArguments (data set), on the command line or in a YAML file given by --config (a
path, or the name of a recipe that ships with the package); the command line wins. `structdistill train --help-all`
lists them.

  structdistill train --config mbpp_qlora --dataset_name traces/ --output_dir student
"""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    passes_through = {"allow_extra_args": True, "ignore_unknown_options": True}
    app.command("train", help=HELP, context_settings=passes_through)(train)


def train(
    context: typer.Context, help_all: Annotated[bool, typer.Option("--help-all", help="List every option.")] = False
) -> None:
    """Parse with TRL's parser, load the data, train, save."""
    from ._train_options import parse_arguments
    from ._training_data import read_training_set

    script, config, model = parse_arguments([*context.args, *(["--help"] if help_all else [])])
    dataset = read_training_set(
        script.dataset_name,
        script.dataset_config,
        script.dataset_train_split,
        streaming=script.dataset_streaming,
        text_field=config.dataset_text_field,
    )
    run_training(script, config, model, dataset)


def run_training(script: ScriptArguments, config: StructureAwareConfig, model: ModelConfig, dataset: Any) -> None:
    """Train, continue from the last whole checkpoint where there is one, and save the student into `output_dir`."""
    from ..compat import last_whole_checkpoint
    from ..evaluation.folder import make_folder
    from ..evaluation.generate import check_model_folder

    check_model_folder(model.model_name_or_path)
    make_folder(config.output_dir, "--output_dir")
    config.model_init_kwargs = {
        "revision": model.model_revision,
        "attn_implementation": model.attn_implementation,
        "dtype": model.dtype,
        **(config.model_init_kwargs or {}),
    }
    _use_bank(config, script.dataset_name)
    checkpoint = config.resume_from_checkpoint or last_whole_checkpoint(config.output_dir)
    if checkpoint:
        _check_checkpoint(checkpoint)
        typer.echo(f"Continuing from {checkpoint}; remove the folder to start afresh.")
    trainer = _make_trainer(config, model, dataset)
    with _told_in_one_line(model, ImportError):  # optimizers and kernels are imported where training starts
        trainer.train(resume_from_checkpoint=checkpoint)
    trainer.save_model(config.output_dir)
    on_hub = None if os.path.exists(script.dataset_name) else script.dataset_name
    trainer.create_model_card(dataset_name=on_hub)
    typer.echo(f"The student is in {config.output_dir}.")
    if config.push_to_hub:
        trainer.push_to_hub(dataset_name=on_hub)


def _make_trainer(config: StructureAwareConfig, model: ModelConfig, dataset: Any) -> Trainer:
    from trl import get_peft_config, get_quantization_config

    from ..trainer import StructureAwareTrainer

    with _told_in_one_line(model, OSError, ValueError, ImportError, RuntimeError):
        return StructureAwareTrainer(
            model=model.model_name_or_path,
            args=config,
            train_dataset=dataset,
            quantization_config=get_quantization_config(model),
            peft_config=get_peft_config(model),
        )


@contextmanager
def _told_in_one_line(model: ModelConfig, *kinds: type[Exception]) -> Iterator[None]:
    """What the libraries have against model, data or options, or lack for them; other errors are defects."""
    try:
        yield
    except kinds as error:
        *_, (frame, _) = traceback.walk_tb(error.__traceback__)
        if frame.f_globals.get("__name__", "").partition(".")[0] not in CHECKING:
            raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"'{model.model_name_or_path}' cannot be trained with these options: {reason}") from error


def _use_bank(config: StructureAwareConfig, dataset_name: str) -> None:
    """Take the bank that `structdistill embed` made of the data set, where there is one and none is named."""
    from ..solution_bank import INFO_FILE
    from ._training_data import bank_folder

    found = bank_folder(dataset_name)
    if config.alignment_bank is None and config.uses_bank and (found / INFO_FILE).is_file():
        typer.echo(f"Using the bank of solutions in {found}.")
        config.alignment_bank = str(found)


def _check_checkpoint(folder: str) -> None:
    if not os.path.isfile(os.path.join(folder, "trainer_state.json")):
        raise InputError(
            f"'{folder}' is no checkpoint (it has no trainer_state.json); expected a checkpoint-… folder. Without "
            "--resume_from_checkpoint training continues from the last one in --output_dir."
        )
