"""`structdistill embed`: the bank beside the data set, found by `structdistill train`."""

import json

import pytest

from hf_structdistill.solution_bank import SolutionBank

from ..training import tiny
from ..training.encoders import save_encoder


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    folder = tmp_path_factory.mktemp("embed")
    save_encoder(folder / "encoder")
    tiny.student().save_pretrained(folder / "base")
    tiny.tokenizer().save_pretrained(folder / "base")
    (folder / "traces.jsonl").write_text("".join(json.dumps(row) + "\n" for row in tiny.rows(4)))
    (folder / "prose.jsonl").write_text(json.dumps({"prompt": "Say hello.", "completion": "Hello to you."}) + "\n")
    return folder


def test_embed_then_train(material, run, tmp_path):
    data = material / "traces.jsonl"
    code, out, err = run("embed", "--dataset", data, "--encoder", material / "encoder")
    assert code == 0, err
    assert "8 solutions, 16 dimensions, by encoder" in out
    beside = material / "traces.jsonl.solution_bank"
    written = (beside / "solution_bank.safetensors").stat().st_mtime_ns
    assert len(SolutionBank.load(beside)) == 8

    code, out, _ = run("embed", "--dataset", data, "--encoder", material / "encoder")
    assert code == 0 and (beside / "solution_bank.safetensors").stat().st_mtime_ns == written, "nothing to do"

    settings = tiny.settings(tmp_path / "out", max_steps=1, alignment_coef=0.1)
    options = [part for name, value in settings.items() if value is not None for part in (f"--{name}", str(value))]
    options += ["--max_length", "2000", "--model_name_or_path", material / "base", "--dataset_name", data]
    code, out, err = run("train", *options)
    assert code == 0, err
    assert "Using the bank of solutions in" in out
    assert "'alignment':" in out


def test_another_encoder_makes_the_bank_again(material, run, tmp_path):
    for encoder, size in ((material / "encoder", 16), ("fingerprint", 256)):
        code, _, err = run("embed", "--dataset", material / "traces.jsonl", "--encoder", encoder, "--out", tmp_path)
        assert code == 0, err
        assert SolutionBank.load(tmp_path).vectors.shape == (8, size)


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["--dataset", "{folder}/prose.jsonl", "--encoder", "fingerprint"], ["prose.jsonl", "python code", "fenced"]),
        (["--dataset", "{folder}/nowhere.jsonl", "--encoder", "fingerprint"], ["nowhere.jsonl"]),
        (["--dataset", "{folder}/traces.jsonl", "--encoder", "{folder}/none"], ["{folder}/none", "codebert-base"]),
        (["--dataset", "{folder}/traces.jsonl", "--encoder", "fingerprint", "--revision", "main"], ["no revisions"]),
        (["--dataset", "{folder}/traces.jsonl", "--language", "cobol"], ["cobol", "python"]),
        (
            ["--dataset", "{folder}/traces.jsonl", "--encoder", "fingerprint", "--out", "{folder}/prose.jsonl"],
            ["{folder}/prose.jsonl", "--out"],
        ),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_exit_code_2(material, run, arguments, expected):
    code, _, err = run("embed", *[argument.format(folder=material) for argument in arguments])
    assert code == 2
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    for words in expected:
        assert words.format(folder=material) in line
