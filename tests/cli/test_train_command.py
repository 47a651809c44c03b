"""`structdistill train`: recipe and overrides, a run that continues, and one line for each kind of bad input."""

import json
import shutil
import subprocess
import sys

import pytest
import yaml

from ..training import tiny
from .conftest import run_command as run


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """A base model, a JSONL of traces, and a recipe that names them."""
    folder = tmp_path_factory.mktemp("train")
    tiny.student().save_pretrained(folder / "base")
    tiny.tokenizer().save_pretrained(folder / "base")
    lines = [json.dumps(row) for row in tiny.rows(8)]
    (folder / "traces.jsonl").write_text("\n".join(lines) + "\n")
    prose = [json.dumps({"prompt": "Say hello.\n\n", "completion": "Hello to you, and a good day."})] * 4
    (folder / "prose.jsonl").write_text("\n".join(prose) + "\n")
    (folder / "empty.jsonl").write_text("")
    (folder / "broken.jsonl").write_text('{"prompt": "a", "completion": "b"}\n{"prompt": \n')
    (folder / "blank.jsonl").write_text("\n\n")
    (folder / "bad.parquet").write_text("no Parquet")
    chat = [{"role": "user", "content": "Add."}, {"role": "assistant", "content": "```python\nx = 1\n```"}]
    (folder / "chat.jsonl").write_text(json.dumps({"messages": chat}) + "\n")
    for name in ("nothing", "damaged", "odd"):
        (folder / name).mkdir()
    (folder / "damaged" / "train.jsonl").write_text('{"prompt": "a", "completion": "b"}\n{"prompt": \n')
    (folder / "odd" / "config.json").write_text("{}")
    (folder / "columns.jsonl").write_text('{"question": "a", "answer": "b"}\n')
    recipe = tiny.settings(folder / "unused") | {
        "model_name_or_path": str(folder / "base"),
        "dataset_name": str(folder / "traces.jsonl"),
        "dataflow_coef": 0.1,
        "save_strategy": "steps",
        "save_steps": 2,
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return folder


def test_recipe_with_override_then_continue(material, tmp_path, monkeypatch, capsys):
    recipe, out = str(material / "recipe.yaml"), tmp_path / "student"
    code, _, err = run(
        monkeypatch, capsys, "train", "--config", recipe, "--output_dir", str(out), "--max_steps", "2"
    )  # fmt: skip
    assert code == 0, err
    assert (out / "checkpoint-2" / "structure_heads.safetensors").is_file()
    assert not list(out.glob("*heads*")), "the exported student must hold no heads"
    assert (out / "README.md").is_file()

    code, shown, err = run(
        monkeypatch, capsys, "train", "--config", recipe, "--output_dir", str(out), "--max_steps", "4"
    )  # fmt: skip
    assert code == 0, err
    assert "checkpoint-2" in shown
    state = json.loads((out / "checkpoint-4" / "trainer_state.json").read_text())
    steps = [entry["step"] for entry in state["log_history"] if "dataflow" in entry]
    assert steps == [1, 2, 3, 4]


@pytest.mark.parametrize("left", [None, '{"log_history": ['], ids=["no state", "half a state"])
def test_killed_while_a_checkpoint_was_written(material, tmp_path, monkeypatch, capsys, left):
    """transformers writes trainer_state.json last: the checkpoint before goes on, and none at all starts afresh."""
    options = ["--config", str(material / "recipe.yaml"), "--output_dir", str(tmp_path), "--max_steps", "4"]
    state = tmp_path / "checkpoint-4" / "trainer_state.json"
    assert run(monkeypatch, capsys, "train", *options)[0] == 0
    for before in ("checkpoint-2;", None):
        state.unlink() if left is None else state.write_text(left)
        if before is None:
            shutil.rmtree(tmp_path / "checkpoint-2")
        code, shown, err = run(monkeypatch, capsys, "train", *options)
        assert code == 0, err
        assert before in shown if before else "Continuing" not in shown
        assert json.loads(state.read_text())["global_step"] == 4


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["--config", "no-such.yaml"], ["no-such.yaml", "YAML"]),
        (["--config", "{recipe}", "--dataset_name", "./nowhere"], ["./nowhere", "traces"]),
        (["--config", "{recipe}", "--dataset_name", "{folder}/base/config.txt"], ["config.txt"]),
        (["--config", "{recipe}", "--model_name_or_path", "./no/model"], ["./no/model", "config.json"]),
        (["--config", "{recipe}", "--dataset_name", "{folder}/prose.jsonl"], ["no python code", "fenced"]),
        (["--config", "{recipe}", "--dataset_name", "{folder}/empty.jsonl"], ["empty.jsonl"]),
        (["--config", "{recipe}", "--dataset_name", "{folder}/broken.jsonl"], ["broken.jsonl", "JSON"]),
        (["--config", "{recipe}", "--dataset_name", "{folder}/columns.jsonl"], ["answer, question", "completion"]),
        (["--config", "{recipe}", "--output_dir", "{folder}/traces.jsonl/out"], ["traces.jsonl/out"]),
        (["--config", "{recipe}", "--dataflow_coef", "-1"], ["dataflow_coef", ">= 0", "-1"]),
        (["--config", "{recipe}", "--structure_weight", "1", "--loss_type", "dft"], ["dft", "nll"]),
        (["--dataset_name", "{folder}/traces.jsonl", "--use_cpu", "--bf16", "False"], ["model_name_or_path"]),
        (["--config", "{recipe}", "--model_name_or_path", "nosuch/model"], ["nosuch/model", "couldn't"]),
        (["--config", "{recipe}", "--model_name_or_path", "{folder}/nothing"], ["/nothing'", "config.json"]),
        (["--config", "{recipe}", "--model_name_or_path", "{folder}/odd"], ["/odd'", "Unrecognized model"]),
        (["--config", "{recipe}", "--dataset_name", "{folder}/blank.jsonl"], ["blank.jsonl", "empty"]),
        (["--config", "{recipe}", "--dataset_name", "{folder}/bad.parquet"], ["bad.parquet", "magic bytes"]),
        (["--config", "{recipe}", "--dataset_name", "{folder}/damaged"], ["/damaged'", "JSON"]),
        (["--config", "{recipe}", "--dataset_name", "{folder}/chat.jsonl"], ["chat_template is not set"]),
        (["--config", "{recipe}", "--resume_from_checkpoint", "{folder}/nothing"], ["/nothing'", "checkpoint-"]),
        (["--config", "{recipe}", "--resume_from_checkpoint", "nowhere"], ["'nowhere'", "checkpoint-"]),
        (["--config", "{recipe}", "--use_peft", "--lora_target_modules", "nosuch"], ["Target modules nosuch"]),
        (["--config", "{recipe}", "--attn_implementation", "nosuch"], ["nosuch", "eager"]),
        # packages that are not installed; no test needs them
        (["--config", "{recipe}", "--attn_implementation", "flash_attention_2"], ["FlashAttention2", "installed"]),
        (["--config", "{recipe}", "--report_to", "swanlab"], ["swanlab", "pip install"]),
        (["--config", "{recipe}", "--optim", "galore_adamw"], ["galore_torch", "pip install"]),
        (["--config", "{recipe}", "--use_liger_kernel"], ["liger-kernel", "pip install"]),
        (["--config", "{recipe}", "--deepspeed", "zero2.json"], ["'deepspeed", "not found"]),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(material, tmp_path, monkeypatch, capsys, arguments, expected):
    names = {"recipe": str(material / "recipe.yaml"), "folder": str(material)}
    given = [argument.format(**names) for argument in arguments]
    if "--output_dir" not in given:
        given += ["--output_dir", str(tmp_path / "out")]
    code, _, err = run(monkeypatch, capsys, "train", *given)
    assert code == 2
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, err[-2000:]
    for words in expected:
        assert words in lines[0]


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "--model_name_or_path", "base", "--dataset_name", "./nowhere", "--use_cpu", "--bf16", "False"],
        ["embed", "--dataset", "./nowhere", "--encoder", "fingerprint"],
    ],
)
def test_nothing_but_that_line_is_on_stderr(arguments):
    """In a process of its own: libraries speak as they are imported."""
    program = [sys.executable, "-c", "from hf_structdistill.cli import main; main()"]
    done = subprocess.run([*program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: The data set './nowhere'") and done.stderr.count("\n") == 1, done.stderr
