"""Heads live beside the model: saved with checkpoints, restored on resume, never in the exported student."""

import pytest
import torch
from huggingface_hub import ModelCard
from peft import LoraConfig
from safetensors import safe_open
from transformers import BitsAndBytesConfig

from hf_structdistill import StructureAwareConfig, StructureAwareTrainer
from hf_structdistill.heads import HEADS_FILE
from hf_structdistill.model_card import read_card_facts, write_student_card

from . import tiny


def make_trainer(folder, **extra):
    pieces = extra.pop("pieces", {"model": tiny.student()})
    return StructureAwareTrainer(
        args=StructureAwareConfig(
            **tiny.settings(
                folder, **({"save_strategy": "steps", "save_steps": 2, "save_total_limit": 2} | tiny.ALL_ON | extra)
            )
        ),
        train_dataset=tiny.dataset(columns=tiny.WITH_REJECTED),
        processing_class=tiny.tokenizer(),
        **pieces,
    )


def all_weights(trainer):
    return torch.cat([p.detach().flatten() for p in [*trainer.model.parameters(), *trainer.objectives.parameters()]])


def test_resuming_gives_the_weights_of_an_uninterrupted_run(tmp_path):
    whole = make_trainer(tmp_path)
    whole.train()
    again = make_trainer(tmp_path)
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert again.state.global_step == whole.state.global_step == 4
    torch.testing.assert_close(all_weights(again), all_weights(whole), rtol=0, atol=0)


@pytest.mark.parametrize("alone", [False, True], ids=["whole checkpoints", "save_only_model"])
def test_the_heads_of_the_best_checkpoint_come_back_with_it(tmp_path, caplog, alone):
    """The second step, at a learning rate that ruins student and heads, is not the best."""
    evaluation = tiny.dataset(4, columns=tiny.WITH_REJECTED)
    ruin = {"learning_rate": 10.0, "lr_scheduler_type": "constant_with_warmup", "warmup_steps": 1, "max_steps": 2}
    best = {"load_best_model_at_end": True, "metric_for_best_model": "eval_loss", "save_only_model": alone}
    trainer = make_trainer(
        tmp_path, pieces={"model": tiny.student(), "eval_dataset": evaluation}, save_steps=1, eval_strategy="steps",
        eval_steps=1, **ruin, **best,
    )  # fmt: skip
    trainer.train()
    assert trainer.state.best_global_step == 1
    assert (trainer.evaluate()["eval_loss"] == pytest.approx(trainer.state.best_metric, rel=1e-6)) is not alone
    assert ("has no heads" in caplog.text) is alone


def test_heads_are_in_the_checkpoint_and_not_in_the_student(tmp_path):
    trainer = make_trainer(tmp_path, max_steps=2)
    trainer.train()
    trainer.save_model(str(tmp_path / "student"))
    with safe_open(tmp_path / "checkpoint-2" / HEADS_FILE, "pt") as heads:
        assert {name.split(".")[0] for name in heads.keys()} == {"dataflow", "ast_path", "alignment", "embedding"}
    assert not (tmp_path / "student" / HEADS_FILE).exists()
    with safe_open(tmp_path / "student" / "model.safetensors", "pt") as student:
        names = set(student.keys())
    assert names <= set(tiny.student().state_dict())


@pytest.mark.parametrize("quantized", [False, True], ids=["LoRA", "QLoRA, NF4"])
def test_adapters(tmp_path, quantized):
    """A model given as a folder, with LoRA, in 4-bit on the CPU too: heads and adapter both learn."""
    tiny.student(width=64).save_pretrained(tmp_path / "base")
    tiny.tokenizer().save_pretrained(tmp_path / "base")
    pieces = {"model": str(tmp_path / "base"), "peft_config": LoraConfig(target_modules="all-linear", r=4)}
    if quantized:
        pieces["quantization_config"] = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")
    trainer = make_trainer(tmp_path / "out", max_steps=2, pieces=pieces)
    before = {name: p.detach().clone() for name, p in trainer.objectives.named_parameters()}
    trainer.train()
    assert all(not torch.equal(before[name], p) for name, p in trainer.objectives.named_parameters())
    changed = [n for n, p in trainer.model.named_parameters() if "lora_B" in n and p.abs().max() > 0]
    assert changed
    trainer.save_model(str(tmp_path / "student"))
    assert (tmp_path / "student" / "adapter_model.safetensors").is_file()
    assert not list((tmp_path / "student").glob("*heads*"))
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    trainer.save_model()
    assert (tmp_path / "out" / "README.md").read_text(encoding="utf-8") == card and str(tmp_path) not in card
    assert not list((tmp_path / "out").glob("checkpoint-*/README.md"))


def test_conversations_find_their_code(tmp_path):
    """Chat messages through a template: structure is found, and the wrong completion is met at the right token."""
    data = tiny.conversations(8).add_column(
        "rejected", [[{"role": "assistant", "content": row["rejected"]}] for row in tiny.rows(8)]
    )
    tokenizer = tiny.tokenizer()
    tokenizer.chat_template = tiny.CHAT_TEMPLATE
    trainer = StructureAwareTrainer(
        model=tiny.student(),
        args=StructureAwareConfig(**tiny.settings(tmp_path, max_steps=1, **tiny.ALL_ON)),
        train_dataset=data,
        processing_class=tokenizer,
    )
    batch = trainer.data_collator([trainer.train_dataset[i] for i in range(8)])
    assert batch["structure_counts"][0] > 0
    assert batch["divergence"].size(0) == 8
    for row, position, right, wrong in batch["divergence"].tolist():
        assert batch["input_ids"][row, position] == right != wrong
    trainer.train()
    assert "divergence" in trainer.state.log_history[0]


def test_tags_of_ones_own_stand_in_the_card(tmp_path):
    """As SFTTrainer takes them: one, or several; and they are known to `structdistill publish` afterwards."""
    trainer = make_trainer(tmp_path, **tiny.ALL_OFF)
    for tags, expected in (("mine", ["mine"]), (["mine", "sft", "other"], ["mine", "other"])):
        trainer.create_model_card(tags=tags)
        found = ModelCard.load(tmp_path / "README.md").data.tags
        assert found[-len(expected) :] == expected and found.count("sft") == 1
        write_student_card(tmp_path, **read_card_facts(tmp_path))
        assert ModelCard.load(tmp_path / "README.md").data.tags == found
