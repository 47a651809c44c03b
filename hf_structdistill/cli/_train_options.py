"""The options of `structdistill train`: a recipe, overrides, and one line for what is wrong with them."""

from __future__ import annotations

import argparse
import difflib
import os
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, get_type_hints

from ..errors import InputError
from ..resources import shipped_folder

if TYPE_CHECKING:
    from trl import ModelConfig, ScriptArguments

    from ..training_args import StructureAwareConfig

LEAST = {"learning_rate": 0, "per_device_train_batch_size": 1, "gradient_accumulation_steps": 1, "max_length": 1}


def parse_arguments(arguments: list[str]) -> tuple[ScriptArguments, StructureAwareConfig, ModelConfig]:
    """
    Recipe and command line to TRL's three groups of arguments, by TRL's parser; the command line wins.

    Raises:
        InputError: no such recipe, an option that does not exist (with the nearest that does), a value of another
            type or out of range, or options that do not fit together.
    """
    parser = _parser()
    arguments = _with_recipe(arguments, parser)
    _check_names([_name(token) for token in arguments if _is_option(token)], parser, "The option --{}")
    try:
        with warnings.catch_warnings():
            # TRL's own default is under the old name
            warnings.filterwarnings("ignore", "`gradient_checkpointing` is deprecated", FutureWarning)
            script, config, model = parser.parse_args_and_config(arguments)
    except InputError:
        raise
    except (ValueError, TypeError, ImportError) as error:  # DeepSpeed is looked for as the options are read
        raise InputError(f"The training options do not fit: {_one_line(error)}") from error
    given = {"model_name_or_path": model.model_name_or_path, "dataset_name": script.dataset_name}
    for name, value in given.items():
        if not value:
            raise InputError(f"--{name} is missing: give it on the command line or in the --config file.")
    _check_values(config)
    return script, config, model


def _check_values(config: StructureAwareConfig) -> None:
    """What would end in a traceback in the middle of training."""
    for name, least in LEAST.items():
        value = getattr(config, name)
        if value is not None and not value >= least:
            raise InputError(f"--{name} must be at least {least}; found {value}.")
    if config.eval_strategy != "no":
        raise InputError(
            f"--eval_strategy {config.eval_strategy.value} needs an evaluation set, and this command takes none; drop "
            "it, and measure the student with `structdistill evaluate`."
        )


def _parser() -> Any:
    from trl import ModelConfig, ScriptArguments, TrlParser

    from ..training_args import StructureAwareConfig

    class OneLineParser(TrlParser):
        def error(self, message: str) -> None:
            raise InputError(f"The training options do not fit: {message}")

    return OneLineParser((ScriptArguments, StructureAwareConfig, ModelConfig), prog="structdistill train")


def _with_recipe(arguments: list[str], parser: Any) -> list[str]:
    """`arguments` with the path of the recipe that --config names, as TRL's parser reads it."""
    split = [
        part for token in arguments for part in (token.split("=", 1) if token.startswith("--config=") else [token])
    ]
    if "--config" not in split:
        return split
    place = split.index("--config") + 1
    if place >= len(split):
        raise InputError(
            "--config needs the path of a YAML file, or the name of a recipe that ships with the package."
        )
    split[place] = find_recipe(split[place])
    _check_recipe(split[place], parser)
    return split


def find_recipe(name: str) -> str:
    """Path of a recipe: a YAML file, or the name of one that ships with the package (`mbpp_qlora`).

    Raises:
        InputError: neither; the message lists those that ship.
    """
    if os.path.isfile(name):
        return name
    shipped = {path.stem: path for path in shipped_folder("recipes").glob("*.yaml")}
    if name.removesuffix(".yaml") in shipped:
        return str(shipped[name.removesuffix(".yaml")])
    raise InputError(
        f"The recipe '{name}' does not exist; expected a YAML file of training options, or one of those that ship: "
        f"{', '.join(sorted(shipped))}."
    )


def _check_recipe(path: str, parser: Any) -> None:
    """TRL's parser makes the values of a recipe the defaults, and argparse looks at those only where they are text,
    and never whether they are among an option's choices."""
    recipe = _read_recipe(path)
    _check_names(recipe, parser, f"'{{}}' in the recipe '{path}'")
    actions = {action.dest: action for action in parser._actions}
    hints = {name: hint for group in parser.dataclass_types for name, hint in get_type_hints(group).items()}
    for name, value in recipe.items():
        expected = _expected_instead(actions[name], hints.get(name), value) if name in actions else None
        if expected is not None:
            raise InputError(f"'{name}' in the recipe '{path}' must be {expected}; found {value!r}.")


def _expected_instead(action: argparse.Action, hint: Any, value: Any) -> str | None:
    """What an option takes, where that is not `value`."""
    from transformers.hf_argparser import string_to_bool

    convert = action.type
    if value is None:
        return f"one {hint.__name__}" if hint in (int, float) else None
    if action.choices:
        return None if value in action.choices else f"one of {', '.join(map(repr, action.choices))}"
    if action.nargs is None and hint in (str, str | None) and not isinstance(value, str):
        return "text in quotes"
    if not callable(convert) or isinstance(value, str | dict) or action.nargs in ("+", "*"):
        return None
    try:
        convert(str(value))
    except (ValueError, TypeError, argparse.ArgumentTypeError):
        return f"one {'bool' if convert is string_to_bool else getattr(convert, '__name__', 'value')}"
    return None


def _read_recipe(path: str) -> dict[str, Any]:
    import yaml

    try:
        with open(path, encoding="utf-8") as file:
            recipe = yaml.safe_load(file)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"The recipe '{path}' is not YAML: {_one_line(error)}") from error
    if not isinstance(recipe, dict):
        raise InputError(
            f"The recipe '{path}' holds no `option: value` lines; expected a YAML file of training options."
        )
    return {str(name): value for name, value in recipe.items() if name != "env"}


def _check_names(names: Iterable[str], parser: Any, where: str) -> None:
    known = {option.lstrip("-") for option in parser._option_string_actions} | {"config"}
    for name in names:
        # argparse takes the beginning of a name too, where it is one option's alone
        if name in known or sum(option.startswith(name) for option in known) == 1:
            continue
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "`structdistill train --help-all` lists them."
        raise InputError(f"{where.format(name)} is no training option; {hint}")


def _is_option(token: str) -> bool:
    return token.startswith("--") and len(token) > 2


def _name(token: str) -> str:
    return token[2:].split("=", 1)[0]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
