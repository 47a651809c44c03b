"""`trainer.push_to_hub()` and the hub strategies: the student and its card, no heads, no pickles."""

import json
import re

import pytest

TRAIN = """
import json
import os
import sys
from peft import LoraConfig
from transformers import AutoModelForCausalLM, BitsAndBytesConfig
from hf_structdistill import StructureAwareConfig, StructureAwareTrainer
from hf_structdistill.errors import InputError
from hf_structdistill.hub.session import sign_in
from hf_structdistill.hub.students import publish_student
from tests.training import tiny

def push(folder, repo, strategy, **pieces):
    settings = tiny.settings(folder, max_steps=2, save_strategy="steps", save_steps=1, dataflow_coef=0.1)
    trainer = StructureAwareTrainer(
        args=StructureAwareConfig(push_to_hub=True, hub_strategy=strategy, hub_model_id=repo, **settings),
        train_dataset=tiny.dataset(4),
        processing_class=tiny.tokenizer(),
        **pieces,
    )
    trainer.train()
    first = trainer.push_to_hub(dataset_name="me/traces")
    second = trainer.push_to_hub(dataset_name="me/traces", blocking=False).result()
    return {"same": first.oid == second.oid, "url": first.commit_url}

place = sys.argv[1]
token = os.environ.pop("HF_TOKEN")
try:
    push(place + "/refused", "me/refused", "end", model=tiny.student())
except InputError as error:
    refused = str(error)
os.environ["HF_TOKEN"] = token
tiny.student(width=64).save_pretrained(place + "/base")
tiny.tokenizer().save_pretrained(place + "/base")
base = publish_student(place + "/base", "me/base", sign_in()).commit.commit_url
found = {"refused": refused, "base": base, "whole": push(place + "/whole", "me/pushed", "checkpoint", model="me/base")}
found["adapter"] = push(
    place + "/adapter",
    "me/pushed-adapter",
    "every_save",
    model=place + "/base",
    peft_config=LoraConfig(target_modules="all-linear", r=4, task_type="CAUSAL_LM"),
    quantization_config=BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4"),
)
merged = publish_student(place + "/adapter", "me/pushed-merged", sign_in(), merge=True)
found["merged"] = {"notes": merged.notes, "dtype": str(AutoModelForCausalLM.from_pretrained("me/pushed-merged").dtype)}
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def pushed(hub, tmp_path_factory):
    place = tmp_path_factory.mktemp("runs")
    code = f"import sys; sys.argv[1:] = [{str(place)!r}]\n{TRAIN}"
    return {"place": str(place), **json.loads(hub.python(code).splitlines()[-1])}


def test_a_whole_model_with_its_last_checkpoint(hub, pushed):
    """`hub_strategy="checkpoint"` asks for heads and optimizer, in their own folder; the student has neither."""
    assert pushed["whole"]["same"] and "/me/pushed/commit/" in pushed["whole"]["url"]
    stored = hub.repo("model", "me/pushed")
    assert stored["private"]
    assert "Training in progress, step 1" in stored["commits"] and stored["commits"][-1] == "End of training"
    top = {path for path in stored["files"] if "/" not in path}
    assert {"model.safetensors", "README.md", "training_curves.png"} < top
    assert not [path for path in top if path.endswith((".bin", ".pt")) or "heads" in path]
    assert "last-checkpoint/structure_heads.safetensors" in stored["files"]
    card = hub.read("model", "me/pushed", "README.md")
    head = re.search(r"at revision `(\w{40})`", card).group(1)
    assert "\nbase_model: me/base\n" in card and f"/me/base/commit/{head}" in pushed["base"]
    assert "\n- me/traces\n" in card and "| dataflow |" in card and 'from_pretrained("me/pushed")' in card


def test_an_adapter_of_a_base_in_4_bits(hub, pushed):
    assert pushed["adapter"]["same"]
    stored = hub.repo("model", "me/pushed-adapter")
    assert "adapter_model.safetensors" in stored["files"]
    assert not [path for path in stored["files"] if path.endswith((".bin", ".pt")) or "heads" in path or "/" in path]
    card = hub.read("model", "me/pushed-adapter", "README.md")
    assert "held in 4-bit (nf4)" in card and pushed["place"] not in card
    settings = json.loads(hub.read("model", "me/pushed-adapter", "adapter_config.json"))
    assert settings["base_model_name_or_path"] == "./base"


def test_it_is_merged_in_16_bits_with_a_warning(pushed):
    (note,) = pushed["merged"]["notes"]
    assert "4-bit (nf4)" in note and "outputs can change" in note
    assert pushed["merged"]["dtype"] == "torch.bfloat16"


def test_a_missing_token_is_said_before_the_training(pushed):
    assert "hf auth login" in pushed["refused"]
