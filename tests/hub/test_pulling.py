"""What was published is pulled by the libraries people use, in processes in which this package cannot be imported."""

import json

import pytest
import torch
import yaml
from peft import AutoPeftModelForCausalLM

from hf_structdistill.errors import InputError
from hf_structdistill.hub.merge import merge_adapter
from hf_structdistill.hub.students import select_student_files

from .conftest import WRITE
from .test_publishing import good

HIDDEN = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "hf_structdistill":
            raise ImportError(name + " is hidden")
sys.meta_path.insert(0, Hidden())
"""

PULL = (
    HIDDEN
    + """
import contextlib, io, json, re
import torch
from huggingface_hub import hf_hub_download
from peft import AutoPeftModelForCausalLM
from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline
tokenizer = AutoTokenizer.from_pretrained("me/adapter")
inputs = tokenizer("def total(xs):", return_tensors="pt", return_token_type_ids=False)
found = {"ids": inputs["input_ids"][0].tolist()}
models = {
    "base": AutoModelForCausalLM.from_pretrained("me/tiny-base", dtype=torch.float32),
    "adapter": AutoPeftModelForCausalLM.from_pretrained("me/adapter", dtype=torch.float32),
    "transformers": AutoModelForCausalLM.from_pretrained("me/adapter", dtype=torch.float32),
    "merged": AutoModelForCausalLM.from_pretrained("me/merged"),
}
with torch.no_grad():
    for name, model in models.items():
        found[name] = model(**inputs).logits[0, -1].float().tolist()
found["dtype"] = str(models["merged"].dtype)
found["pipeline"] = pipeline("text-generation", "me/merged")("def f", max_new_tokens=3)[0]["generated_text"]
found["snippets"] = []
for repo in ("me/adapter", "me/merged"):  # as they stand in the cards
    card = open(hf_hub_download(repo, "README.md")).read()
    (snippet,) = re.findall("```python\\n(.*?)```", card, re.DOTALL)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(snippet, {})
    found["snippets"].append(said.getvalue())
print(json.dumps(found))
"""
)


@pytest.fixture(scope="module")
def adapter(base, tmp_path_factory):
    """A LoRA adapter that changes its base's outputs, trained on a local copy of it."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from hf_structdistill.model_card import write_student_card

    from ..training import tiny

    folder = tmp_path_factory.mktemp("run") / "adapter"
    config = LoraConfig(target_modules="all-linear", r=2, init_lora_weights=False, task_type="CAUSAL_LM")
    torch.manual_seed(0)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    for name, parameter in model.named_parameters():
        parameter.data *= 0.1 if "lora_B" in name else 1.0  # random ones would drown the base
    model.save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    write_student_card(folder, base_model=str(base), quantization="4-bit (nf4)")
    return folder


def publish_all(hub, base, adapter):
    good(hub.publish("student", base, "--repo", "me/tiny-base", "--license", "mit"))
    on_hub = ("--base-model", "me/tiny-base")
    good(hub.publish("student", adapter, "--repo", "me/adapter", *on_hub))
    said = good(hub.publish("student", adapter, "--repo", "me/merged", "--merge", *on_hub))
    assert "4-bit (nf4)" in said and "outputs can change" in said


@pytest.fixture(scope="module")
def pulled(hub, base, adapter):
    publish_all(hub, base, adapter)
    return json.loads(hub.python(PULL).splitlines()[-1])


def test_students_are_pulled_without_this_package(pulled, adapter, base):
    local = AutoPeftModelForCausalLM.from_pretrained(adapter, dtype=torch.float32)
    with torch.no_grad():
        expected = local(torch.tensor([pulled["ids"]])).logits[0, -1]
    close = torch.testing.assert_close
    close(torch.tensor(pulled["adapter"]), expected)
    close(torch.tensor(pulled["transformers"]), expected)
    merged, plain = (torch.tensor(pulled[name]) for name in ("merged", "base"))
    # 8 bits of mantissa; and the adapter does something
    assert (merged - expected).norm() < 0.05 * expected.norm() < 0.25 * (plain - expected).norm()
    assert pulled["dtype"] == "torch.bfloat16"
    assert pulled["pipeline"].startswith("def f")


def test_the_merged_model_is_whole(hub, pulled):
    files = set(hub.repo("model", "me/merged")["files"])
    assert "model.safetensors" in files and not {f for f in files if f.startswith("adapter")}
    card = hub.read("model", "me/merged", "README.md")
    assert "merged into the base in bfloat16: its outputs can differ" in card


def test_cards_name_the_base(hub, pulled, adapter, base):
    card = hub.read("model", "me/adapter", "README.md")
    assert "\nbase_model: me/tiny-base\n" in card
    assert "\nlicense: mit\n" in card  # of the base
    settings = json.loads(hub.read("model", "me/adapter", "adapter_config.json"))
    assert settings["base_model_name_or_path"] == "me/tiny-base"
    # without its Hub id, the base is named in words, and no path is told
    said = good(hub.publish("student", adapter, "--repo", "me/local-base"))
    assert "--base-model" in said
    card = hub.read("model", "me/local-base", "README.md")
    assert "base_model" not in card and "It was trained from `tiny-base`, a model that is not on the Hub" in card
    assert str(base.parent) not in card + hub.read("model", "me/local-base", "adapter_config.json")


def test_the_snippets_of_the_cards_run_as_they_are(pulled):
    assert all(said.strip() for said in pulled["snippets"])


def test_strangers_see_nothing_private(hub, pulled):
    code = "from huggingface_hub import HfApi\nfrom huggingface_hub.errors import RepositoryNotFoundError\n"
    code += "try:\n    HfApi().model_info('me/adapter')\nexcept RepositoryNotFoundError:\n    print('hidden')"
    assert hub.python(code, token=None).strip() == "hidden"
    assert hub.python(code, token=WRITE).strip() == ""


def test_every_config_of_the_traces_loads(hub, traces):
    good(hub.publish("traces", traces, "--repo", "me/loaded-traces"))
    code = """
from datasets import load_dataset
for config in ("sft", "pairs", "traces"):
    rows = load_dataset("me/loaded-traces", config, split="train")
    print(config, len(rows), *rows.column_names)
print(len(load_dataset("me/loaded-traces", split="train")))
"""
    lines = hub.python(HIDDEN + code).splitlines()
    assert lines[0].startswith("sft ") and " prompt completion rejected " in lines[0]
    assert lines[1].startswith("pairs ") and " prompt chosen rejected " in lines[1]
    assert lines[2].startswith("traces ") and " messages " in lines[2]
    assert lines[3] == lines[0].split()[1]  # sft is the default


def test_metrics_load_by_id(hub):
    said = good(hub.publish("metrics", "--namespace", "me"))
    assert said.count("published:") == 4
    assert hub.repo("space", "me/dataflow_match")["sdk"] == "gradio"
    assert "hf-structdistill" in hub.read("space", "me/dataflow_match", "requirements.txt")
    assert 'evaluate.load("me/dataflow_match")' in hub.read("space", "me/dataflow_match", "README.md")
    code = """
import evaluate
same = {"predictions": ["def f(x):\\n    return x + x"], "references": ["def g(y):\\n    return y + y"]}
for name in ("dataflow_match", "syntax_match", "structural_codebleu"):
    print(evaluate.load(f"me/{name}").compute(**same)["dataflow_match" if "bleu" in name else name])
sample = {"predictions": [["def add(a, b):\\n    return a + b"]], "references": ["assert add(2, 3) == 5"]}
print(evaluate.load("me/verified_pass_at_k").compute(**sample, k=[1])["pass@1"])
"""
    assert hub.python(code, HF_ALLOW_CODE_EVAL="1").split() == ["1.0"] * 4
    assert good(hub.publish("metrics", "--namespace", "me")).count("unchanged:") == 4


def test_merging_in_shards(adapter, base, tmp_path):
    from transformers import AutoModelForCausalLM

    merge_adapter(adapter, tmp_path, dtype="float32", max_shard_size="60KB")
    shards = [name for name in select_student_files(tmp_path).files if name.startswith("model-")]
    assert len(shards) > 1
    ids = torch.arange(9).unsqueeze(0)
    with torch.no_grad():
        merged = AutoModelForCausalLM.from_pretrained(tmp_path)(ids).logits
        apart = AutoPeftModelForCausalLM.from_pretrained(adapter, dtype=torch.float32)(ids).logits
    torch.testing.assert_close(merged, apart, rtol=1e-4, atol=1e-5)


def test_a_base_that_cannot_be_merged_is_named(adapter, tmp_path):
    with pytest.raises(InputError, match="cannot be loaded .*--base-model"):
        merge_adapter(adapter, tmp_path / "out", base_model=str(tmp_path / "none"))
    with pytest.raises(InputError, match="bfloat16"):
        merge_adapter(adapter, tmp_path / "out", dtype="int8")


def test_a_licence_with_a_name_of_its_own_comes_with_it(hub, base, adapter):
    terms = {"license": "other", "license_name": "their-research", "license_link": "https://example.org/terms"}
    told = "".join(f"{key}: {value}\n" for key, value in terms.items())
    good(hub.publish("student", base, "--repo", "me/with-terms"))
    hub.commit("model", "me/with-terms", {"README.md": f"---\n{told}---\n# Base\n"})
    for more, expected in (((), terms), (("--license", "mit"), {"license": "mit"})):
        repo = f"me/under-{expected['license']}"
        good(hub.publish("student", adapter, "--repo", repo, "--base-model", "me/with-terms", *more))
        data = yaml.safe_load(hub.read("model", repo, "README.md").split("---\n")[1])
        assert {key: value for key, value in data.items() if key.startswith("license")} == expected
