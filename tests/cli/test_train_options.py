"""Recipes and overrides: TRL's parser, recipes by name, the nearest option, one line for what is wrong."""

import os

import pytest

from hf_structdistill.cli._train_options import find_recipe, parse_arguments
from hf_structdistill.errors import InputError
from hf_structdistill.resources import shipped_folder

RECIPES = sorted(path.stem for path in shipped_folder("recipes").glob("*.yaml"))
CPU = ["--use_cpu", "--bf16", "False"]


@pytest.fixture
def recipe(tmp_path):
    def write(text):
        path = tmp_path / "recipe.yaml"
        path.write_text(f"model_name_or_path: base\ndataset_name: traces\noutput_dir: out\n{text}\n")
        return str(path)

    return write


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_that_ships_parses(name):
    script, config, model = parse_arguments(["--config", name, *CPU])
    assert script.dataset_name and model.model_name_or_path
    assert config.uses_structure


def test_there_are_recipes():
    assert "mbpp_qlora" in RECIPES


@pytest.mark.parametrize("name", ["mbpp_qlora", "mbpp_qlora.yaml"])
def test_a_recipe_by_name(name):
    assert find_recipe(name) == str(shipped_folder("recipes") / "mbpp_qlora.yaml")


def test_a_file_wins_over_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mbpp_qlora").write_text("a: 1")
    assert find_recipe("mbpp_qlora") == "mbpp_qlora"


def test_overrides_of_every_kind(recipe):
    path = recipe(
        "learning_rate: 2e-4\nstructure_weight: 1\nload_in_4bit: true\nuse_peft: true\n"
        "lora_target_modules: all-linear\npacking: true\nreport_to: none\n"
        "gradient_checkpointing_kwargs:\n  use_reentrant: true\n"
        "lr_scheduler_kwargs: {num_cycles: 1}\n"
    )
    script, config, model = parse_arguments(["--config", path, *CPU])
    assert (config.learning_rate, config.structure_weight, config.packing) == (2e-4, 1, True)
    assert model.load_in_4bit and model.lora_target_modules == "all-linear"
    assert config.gradient_checkpointing_kwargs == {"use_reentrant": True}

    overrides = ["--learning_rate", "1e-3", "--structure_weight=0.25", "--load_in_4bit", "False", "--packing", "no"]
    overrides += ["--lora_target_modules", "q_proj", "v_proj", "--structure_schedule", "cosine"]
    overrides += [
        "--gradient_checkpointing_kwargs",
        '{"use_reentrant": false}',
        "--lr_scheduler_kwargs",
        '{"num_cycles": 2}',
    ]
    script, config, model = parse_arguments([f"--config={path}", *CPU, *overrides, "--dataset_name", "other"])
    assert (config.learning_rate, config.structure_weight, config.packing) == (1e-3, 0.25, False)
    assert not model.load_in_4bit and model.lora_target_modules == ["q_proj", "v_proj"]
    assert config.gradient_checkpointing_kwargs == {"use_reentrant": False}
    assert config.lr_scheduler_kwargs == {"num_cycles": 2}
    assert (config.structure_schedule, script.dataset_name) == ("cosine", "other")


def test_values_that_stand_for_none_or_several(recipe):
    """As they are in recipes that work with TRL's own scripts."""
    text = "max_length:\nlr_scheduler_type: cosine\nmodel_revision: null\nreport_to: [none]\npad_to_multiple_of: 8\n"
    text += "dtype: null\nlora_target_modules: [q_proj, v_proj]\nuse_peft: 'yes'\ndataset_num_proc: null\nfsdp: ''\n"
    script, config, model = parse_arguments(["--config", recipe(text), *CPU])
    assert (config.max_length, config.pad_to_multiple_of, config.dataset_num_proc) == (None, 8, None)
    assert (model.use_peft, model.dtype, model.lora_target_modules) == (True, None, ["q_proj", "v_proj"])


def test_environment_of_a_recipe(recipe, monkeypatch):
    monkeypatch.setenv("STRUCTDISTILL_TEST", "before")
    parse_arguments(["--config", recipe("env:\n  STRUCTDISTILL_TEST: 1"), *CPU])
    assert os.environ["STRUCTDISTILL_TEST"] == "1"


@pytest.mark.parametrize(
    "text, arguments, words",
    [
        ("dataflow_coeff: 0.1", [], ["'dataflow_coeff'", "recipe.yaml", "did you mean dataflow_coef?"]),
        ("", ["--ast_path_coefficient", "0.1"], ["--ast_path_coefficient", "did you mean ast_path_coef?"]),
        ("zzzzzzzz: 1", [], ["'zzzzzzzz'", "--help-all"]),
        ("", ["--dataflow_coef", "much"], ["dataflow_coef", "float", "much"]),
        ("dataflow_coef: much", [], ["dataflow_coef", "float", "much"]),
        ("max_steps: [1, 2]", [], ["'max_steps'", "int", "[1, 2]"]),
        ("max_steps: 1.5", [], ["'max_steps'", "int", "1.5"]),
        ("dataflow_coef: true", [], ["'dataflow_coef'", "float", "True"]),
        ("packing: 7", [], ["'packing'", "bool", "7"]),
        ("train_sampling_strategy: group_by_lenght", [], ["'train_sampling_strategy'", "'group_by_length'", "lenght"]),
        ("packing_strategy: bfd_", [], ["'packing_strategy'", "'bfd'", "'bfd_'"]),
        ("save_strategy: no", [], ["'save_strategy'", "'no'", "found False"]),
        ("resume_from_checkpoint: true", [], ["'resume_from_checkpoint'", "text", "True"]),
        ("run_name: 2024", [], ["'run_name'", "text in quotes", "2024"]),
        ("dataset_config: [sft, pairs]", [], ["'dataset_config'", "text", "pairs"]),
        ("learning_rate:", [], ["'learning_rate'", "one float", "None"]),
        ("seed:", [], ["'seed'", "one int", "None"]),
        ("", ["--structure_schedule", "quadratic"], ["structure_schedule", "quadratic", "cosine"]),
        ("a: [", [], ["not YAML", "recipe.yaml"]),
        ("alignment_coef: -1", [], ["alignment_coef", ">= 0"]),
        ("", ["--config"], ["--config needs"]),
        ("learning_rate: -1", [], ["--learning_rate", "at least 0", "-1"]),
        ("", ["--per_device_train_batch_size", "0"], ["--per_device_train_batch_size", "at least 1", "0"]),
        ("gradient_accumulation_steps: 0", [], ["--gradient_accumulation_steps", "at least 1", "0"]),
        ("max_length: 0", [], ["--max_length", "at least 1", "0"]),
        ("eval_strategy: steps", [], ["--eval_strategy steps", "structdistill evaluate"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(recipe, text, arguments, words):
    given = arguments if arguments == ["--config"] else ["--config", recipe(text), *CPU, *arguments]
    with pytest.raises(InputError) as refused:
        parse_arguments(given)
    assert "\n" not in str(refused.value)
    assert all(word in str(refused.value) for word in words), refused.value


def test_no_such_recipe_lists_those_that_ship():
    with pytest.raises(InputError, match="no_such.*mbpp_qlora"):
        parse_arguments(["--config", "no_such"])


def test_a_recipe_that_is_a_list(tmp_path):
    (tmp_path / "list.yaml").write_text("- a\n- b\n")
    with pytest.raises(InputError, match="option: value"):
        parse_arguments(["--config", str(tmp_path / "list.yaml")])
