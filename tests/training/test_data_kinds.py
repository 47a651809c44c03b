"""Data sets, loaders and collators that SFTTrainer takes: streams, transforms, tensors, dispatched batches."""

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from datasets import Dataset, DatasetDict, concatenate_datasets
from torch.optim.lr_scheduler import ReduceLROnPlateau
from transformers import AutoModelForCausalLM
from trl import pack_dataset
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from hf_structdistill import StructureAwareConfig, StructureAwareDataCollator, StructureAwareTrainer
from hf_structdistill.errors import InputError
from hf_structdistill.heads import HeadsCallback

from . import tiny


def make_trainer(folder, dataset=None, *, pieces=None, template=None, **options):
    tokenizer = tiny.tokenizer()
    tokenizer.chat_template = template
    return StructureAwareTrainer(
        args=StructureAwareConfig(**tiny.settings(folder, **({"max_steps": 1, "attention_coef": 0.3} | options))),
        train_dataset=tiny.dataset(8) if dataset is None else dataset,
        processing_class=tokenizer,
        **({"model": tiny.student()} | (pieces or {})),
    )


def first_log(trainer):
    trainer.train()
    return trainer.state.log_history[0]


FINDING = {"dataflow_coef": 0.1, "ast_path_coef": 0.1, "structure_schedule": "constant"}
MEASURED = ("loss", "nll", "attention", "dataflow", "ast_path", "code_share")


def test_a_stream_is_evaluated_as_a_data_set_is(tmp_path):
    found = []
    for dataset in (tiny.dataset(8), tiny.dataset(8).to_iterable_dataset()):
        trainer = make_trainer(tmp_path, pieces={"eval_dataset": dataset}, per_device_eval_batch_size=4, **FINDING)
        found.append(trainer.evaluate())
    for name in MEASURED:
        assert found[0][f"eval_{name}"] == pytest.approx(found[1][f"eval_{name}"], rel=1e-5), name


def test_dispatched_batches_are_not_cut(tmp_path, caplog):
    plain = first_log(make_trainer(tmp_path, **FINDING))
    asked = first_log(make_trainer(tmp_path, accelerator_config={"dispatch_batches": True}, **FINDING))
    assert {name: asked[name] for name in MEASURED} == pytest.approx({name: plain[name] for name in MEASURED})
    assert "dispatch_batches would cut" in caplog.text


def small_talk(number):
    return Dataset.from_list(
        [{"prompt": f"Hello, {n}.\n\n", "completion": f"Good day to you, {n}."} for n in range(number)]
    )


def test_code_that_comes_late_in_a_mixture(tmp_path):
    mixture = concatenate_datasets([small_talk(130), tiny.dataset(4)])
    trainer = make_trainer(tmp_path, mixture, shuffle_dataset=False)
    assert trainer.data_collator([dict(trainer.train_dataset[-1])])["structure_counts"][0] > 0


def test_a_data_set_without_code_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"\(130 rows\) holds no python code .*expected a fenced block"):
        make_trainer(tmp_path, small_talk(130))


def tokenized():
    tokenizer = tiny.tokenizer()
    ids = [tokenizer(row["prompt"] + row["completion"])["input_ids"] for row in tiny.rows(8)]
    return Dataset.from_dict({"input_ids": ids, "labels": ids})


def test_a_transform_makes_the_columns(tmp_path):
    tokenizer = tiny.tokenizer()

    def make(batch):
        ids = [tokenizer(p + c)["input_ids"] for p, c in zip(batch["prompt"], batch["completion"], strict=True)]
        return {"input_ids": ids, "labels": ids}

    options = {"dataset_kwargs": {"skip_prepare_dataset": True}, "remove_unused_columns": False}
    options |= {"shuffle_dataset": False}
    made = first_log(make_trainer(tmp_path, tiny.dataset(8).with_transform(make), **options))
    plain = first_log(make_trainer(tmp_path, tokenized(), **options))
    assert made["loss"] == pytest.approx(plain["loss"])


@pytest.mark.parametrize("packed_before", [False, True])
def test_packed_tensors(tmp_path, packed_before):
    found = []
    for form in (None, "torch"):
        rows = pack_dataset(tokenized(), 800, "bfd") if packed_before else tokenized()
        options = {"padding_free": True} if packed_before else {"packing": True, "max_length": 800}
        found.append(first_log(make_trainer(tmp_path, rows.with_format(form), **options)))
    assert found[0]["loss"] == pytest.approx(found[1]["loss"])
    assert found[0]["attention"] == pytest.approx(found[1]["attention"])


def test_bare_code_without_padding(tmp_path):
    """No state of its own predicts the first token of an example, wherever the example stands in a row."""
    codes = ["def f(a):\n    return a + 1\n", "x = 1\ny = x + 2\n", "for i in range(3):\n    print(i)\n"]
    dataset = Dataset.from_list([{"text": code} for code in codes])
    options = {"ast_path_coef": 1.0, "shuffle_dataset": False}
    found = [first_log(make_trainer(tmp_path, dataset, padding_free=free, **options)) for free in (False, True)]
    for name in ("loss", "ast_path", "attention", "grad_norm"):
        assert found[0][name] == pytest.approx(found[1][name], rel=1e-5), name


def test_the_reference_of_an_example_is_its_own_program(tmp_path):
    """Two traces of one problem that begin alike, and one of another problem."""
    loop = "def f(a):\n    for i in range(1):\n        a += 1\n    return a\n"
    codes = [("Write f.\n", "def f(a):\n    return a + 1\n"), ("Write f.\n", loop), ("Other.\n", "x = 1\n")]
    rows = [{"prompt": prompt, "completion": f"```python\n{code}```\n"} for prompt, code in codes]
    options = {"embedding_coef": 0.1, "shuffle_dataset": False}
    trainer = make_trainer(tmp_path, Dataset.from_list(rows), **options)
    batch = trainer.data_collator([dict(row) for row in trainer.train_dataset])
    assert batch["bank_rows"].tolist() == [[0, 1], [1, 0], [2, -1]]
    short = {name: values[:-4] for name, values in trainer.train_dataset[1].items()}
    assert trainer.data_collator([short])["bank_rows"].tolist() == [[0, 1]]  # cut off: one of its problem's


def test_a_collator_without_structure_is_refused(tmp_path):
    trainer = make_trainer(tmp_path, pieces={"eval_dataset": tiny.dataset(8)})
    trainer.data_collator = DataCollatorForLanguageModeling(pad_token_id=1)
    for work in (trainer.train, trainer.evaluate):
        with pytest.raises(InputError, match="carries no structure"):
            work()


def test_the_collator_says_how_many_ancestors(tmp_path):
    collator = StructureAwareDataCollator(tiny.tokenizer(), num_ancestors=2)
    trainer = make_trainer(tmp_path, pieces={"data_collator": collator}, ast_path_coef=0.1)
    assert first_log(trainer)["ast_path"] > 0
    assert trainer.describe_objectives()[-1]["config"]["num_ancestors"] == 2


class Scaled:
    """The part of an accelerator that the heads look at, with torch's own scaler."""

    def __init__(self):
        self.scaler = torch.amp.GradScaler("cpu")


def test_a_step_without_anything_for_the_heads_under_fp16(tmp_path):
    heads, model, accelerator = torch.nn.Linear(3, 2), torch.nn.Linear(3, 1), Scaled()
    args = StructureAwareConfig(**tiny.settings(tmp_path))
    callback = HeadsCallback(heads, args, accelerator)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    moved = []
    for concerned in (True, False, True):
        before = heads.weight.detach().clone()
        loss = model(torch.ones(1, 3)).sum() + (heads(torch.ones(1, 3)).sum() if concerned else 0)
        accelerator.scaler.scale(loss).backward()
        callback.on_pre_optimizer_step(args, None, None, optimizer=optimizer)
        accelerator.scaler.step(optimizer)
        accelerator.scaler.update()
        optimizer.zero_grad()
        moved.append(not torch.equal(before, heads.weight))
    assert moved == [True, False, True]


def test_heads_follow_a_plateau(tmp_path):
    heads, model, accelerator = torch.nn.Linear(3, 2), torch.nn.Linear(3, 1), Scaled()
    accelerator.scaler = None
    args = StructureAwareConfig(**tiny.settings(tmp_path, learning_rate=1e-2, structure_head_learning_rate=1.0))
    callback = HeadsCallback(heads, args, accelerator)
    optimizer = torch.optim.SGD(model.parameters(), lr=args.learning_rate)
    schedule = ReduceLROnPlateau(optimizer, patience=0, factor=0.1)
    for loss in (1.0, 2.0, 3.0):
        schedule.step(loss)
    heads(torch.ones(1, 3)).sum().backward()
    callback.on_pre_optimizer_step(args, None, None, optimizer=optimizer)
    assert callback.optimizer.param_groups[0]["lr"] == pytest.approx(optimizer.param_groups[0]["lr"] / 1e-2)
    assert optimizer.param_groups[0]["lr"] < 1e-2


GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "training.md").read_text(encoding="utf-8")


def shown(text):
    """The Python block of the guide that holds `text`, without what needs a data set or a tokenizer of the reader."""
    (block,) = [b for b in re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL) if text in b]
    return "".join(line for line in block.splitlines(keepends=True) if "load_dataset(" not in line)


def test_the_student_that_the_guide_shows_can_be_trained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny.tokenizer().save_pretrained("my-tokenizer")
    exec(shown("Qwen3Config("), {})
    student = AutoModelForCausalLM.from_pretrained("untrained-student")
    assert student.num_parameters(exclude_embeddings=True) < 1_100_000
    make_trainer(tmp_path, pieces={"model": student}).train()


def test_wrong_completions_in_the_form_of_the_right_ones(tmp_path):
    exec(shown("def as_chat("), guide := {})
    as_chat, rows = guide["as_chat"], tiny.dataset(8, columns=tiny.WITH_REJECTED)
    whole = make_trainer(tmp_path, rows.map(as_chat), template=tiny.CHAT_TEMPLATE, divergence_coef=0.1)
    assert first_log(whole)["divergence"] > 0
    forgotten = rows.map(lambda row: {key: value for key, value in as_chat(row).items() if key != "rejected"})
    with pytest.raises(InputError, match="found messages in `completion` and text in `rejected`"):
        make_trainer(tmp_path, forgotten, template=tiny.CHAT_TEMPLATE, divergence_coef=0.1)


def hash_seed():
    """A seed under which a set of the three columns gives `rejected` first, which TRL then takes for all."""
    for seed in itertools.count():
        asked = [sys.executable, "-c", "print({'prompt', 'completion', 'rejected'}.pop())"]
        if subprocess.check_output(asked, env={**os.environ, "PYTHONHASHSEED": str(seed)}) == b"rejected\n":
            return str(seed)


CHAT_WITH_ABSENT = """
import sys
from tests.training import tiny
from tests.training.test_data_kinds import first_log, make_trainer

def as_chat(row, number):
    turn = [{"role": "assistant", "content": row["rejected"]}]
    return {"prompt": [{"role": "user", "content": row["prompt"]}], "rejected": turn if number % 2 else None,
            "completion": [{"role": "assistant", "content": row["completion"]}]}

rows = [as_chat(row, number) for number, row in enumerate(tiny.dataset(8, columns=tiny.WITH_REJECTED))]
data = tiny.Dataset.from_list(rows)
found = make_trainer(sys.argv[1], data, template=tiny.CHAT_TEMPLATE, divergence_coef=0.1,
                     pieces={"eval_dataset": {"held_out": data}}, per_device_eval_batch_size=4)
assert found._trained_on_chat and first_log(found)["divergence"] > 0
assert found.evaluate()["eval_held_out_nll"] > 0
"""


def test_chats_of_which_some_have_no_wrong_completion(tmp_path):
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed()}
    subprocess.run([sys.executable, "-c", CHAT_WITH_ABSENT, str(tmp_path)], env=environment, check=True)


def test_what_is_no_data_set_is_answered_by_trl(tmp_path):
    """`load_dataset` without `split`, and a list: SFTTrainer says what it must be."""
    rows = tiny.dataset(4)
    for found in (DatasetDict({"train": rows}), rows.to_list()):
        with pytest.raises(TypeError, match=f"must be a `Dataset` or `IterableDataset`, got `{type(found).__name__}`"):
            make_trainer(tmp_path, found)
