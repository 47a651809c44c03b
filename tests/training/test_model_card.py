"""The card of a student: valid metadata, an honest text, no paths of this machine, and a snippet that runs."""

import json
import re
from dataclasses import dataclass, field

import pytest
import yaml
from huggingface_hub import ModelCard, parse_eval_result_entries

from hf_structdistill import StructureAwareConfig
from hf_structdistill.errors import InputError
from hf_structdistill.model_card import changed_settings, read_card_facts, write_student_card
from hf_structdistill.model_names import is_hub_id, model_fingerprint


class Pointer:
    name = "dataflow_pointer"
    citation = "Guo et al. 2021, GraphCodeBERT, arXiv 2009.08366"

    def get_config_dict(self):
        return {"coef": 0.03, "rank": 32, "cache": "/home/me/cache"}


def evaluation(**facts):
    def student(name, passed):
        scores = {"strict": {"syntax_match_macro": 0.5, "dataflow_match_macro": 0.61234}, "codexglue": {}}
        return {
            "name": name,
            "pass@k": {"1": passed},
            "pass@1_interval_95": [0.2, 0.4],
            "parse_rate": 0.9,
            "counts": {"problems_judged": 90},
            "scores": scores,
        }

    comparison = {
        "base": "plain",
        "other": "student",
        "metric": "pass@1",
        "difference": 0.05,
        "low": -0.1,
        "high": 0.2,
    }
    return {
        "benchmark": "mbpp",
        "hub_id": "google-research-datasets/mbpp",
        "revision": "4bb6404fdc6cacfda99d4ac4205087b89d32030c",
        "split": "test",
        "date": "2026-11-22T12:00:00+00:00",
        "models": [student("plain", 0.25), student("student", 0.3)],
        "comparisons": [{**comparison, "distinguishable": False}],
        **facts,
    }


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "student").mkdir()
    return tmp_path / "student"


def test_metadata_is_what_the_hub_reads(folder):
    write_student_card(
        folder,
        base_model="Qwen/Qwen2.5-Coder-0.5B",
        base_revision="abc123",
        datasets=["me/traces", str(folder)],
        objectives=[Pointer()],
        evaluations=[evaluation()],
        license="apache-2.0",
    )
    data = ModelCard.load(folder / "README.md").data
    assert data.base_model == "Qwen/Qwen2.5-Coder-0.5B"
    assert data.datasets == ["me/traces"]
    assert data.library_name == "transformers"
    assert data.pipeline_tag == "text-generation"
    assert data.license == "apache-2.0"
    assert data.model_name == "student"
    found = {result.metric_type: result for result in data.eval_results}
    assert found["pass@1"].metric_value == 0.3
    assert found["pass@1"].dataset_type == "google-research-datasets/mbpp"
    assert found["dataflow_match"].metric_value == 0.6123


def test_evaluation_results_file(folder):
    write_student_card(folder, evaluations=[evaluation(), evaluation(benchmark="listops", hub_id=None)])
    assert [path.name for path in (folder / ".eval_results").iterdir()] == ["mbpp.yaml"]
    (entry,) = parse_eval_result_entries(yaml.safe_load((folder / ".eval_results" / "mbpp.yaml").read_text()))
    assert (entry.dataset_id, entry.value) == ("google-research-datasets/mbpp", 30.0)
    assert entry.dataset_revision == "4bb6404fdc6cacfda99d4ac4205087b89d32030c"
    assert "90 problems" in entry.notes


def test_scores_of_another_student_are_not_taken(folder):
    others = evaluation(models=evaluation()["models"][:1])
    with pytest.raises(InputError, match=r"called 'student'.* found 0 among plain.*result_name"):
        write_student_card(folder, evaluations=[others], name="plain")
    assert not list(folder.iterdir())
    write_student_card(folder, evaluations=[others], result_name="plain")
    assert "| pass@1 | 25.0% |" in (folder / "README.md").read_text()
    # what was said once is known from then on
    facts = read_card_facts(folder)
    write_student_card(folder.parent, **facts)
    assert "| pass@1 | 25.0% |" in (folder.parent / "README.md").read_text()


def test_text_names_objectives_results_and_sources(folder):
    curves = {"loss": [(1, 2.0), (2, 1.5)], "dataflow_pointer": [(1, 3.0), (2, 2.5)]}
    write_student_card(folder, objectives=[Pointer()], evaluations=[evaluation()], curves=curves)
    text = (folder / "README.md").read_text()
    assert "| dataflow_pointer | coef 0.03, rank 32 | Guo et al. 2021, GraphCodeBERT, arXiv 2009.08366 |" in text
    assert text.count("arXiv 2510.17598") == 1
    assert "| pass@1 | 30.0% | 25.0% |" in text
    assert "pass@1 of student minus plain: +5.0 points, 95% interval -10.0 to +20.0: not distinguishable." in text
    assert "trained from scratch" in text
    assert "![Training curves" in text
    assert (folder / "training_curves.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_of_this_machine_is_told(folder):
    settings = {"learning_rate": 2e-4, "resume": "/home/me/run", "note": "hf_" + "a" * 34}
    write_student_card(folder, base_model=str(folder), datasets=[str(folder / "traces")], hyperparameters=settings)
    text = (folder / "README.md").read_text()
    assert ModelCard(text).data.base_model is None
    assert "not on the Hub" in text
    assert "| learning_rate | 0.0002 |" in text
    assert "Data: traces." in text
    for secret in (str(folder.parent), "/home/me", "hf_aaa"):
        assert secret not in text


def test_a_local_data_set_is_none_of_the_hub_when_the_card_is_written_again(folder):
    datasets = ["me/traces", str(folder / "mine"), "MBPP train (601 to 974)"]
    write_student_card(folder, datasets=datasets)
    first = (folder / "README.md").read_text()
    write_student_card(folder, **read_card_facts(folder))  # as publishing does
    assert (folder / "README.md").read_text() == first
    assert ModelCard(first).data.datasets == ["me/traces"]
    assert "(https://huggingface.co/datasets/me/traces), mine, MBPP train (601 to 974)." in first


def test_an_adapter_is_described_as_one(folder):
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "a/b"}))
    write_student_card(folder, base_model="a/b", prompt_format="chat", repo_id="me/student")
    card = ModelCard.load(folder / "README.md")
    assert card.data.library_name == "peft"
    assert card.data.get("structdistill") == {"prompt_format": "chat"}
    assert 'AutoPeftModelForCausalLM.from_pretrained("me/student")' in card.text
    assert "apply_chat_template" in card.text


def test_the_snippet_runs(folder, shared_student, capsys):
    import shutil

    for path in shared_student.iterdir():
        shutil.copy(path, folder)
        (folder / path.name).chmod(0o644)
    write_student_card(folder, repo_id="me/student")
    (snippet,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    snippet = snippet.replace("me/student", str(folder)).replace("max_new_tokens=256", "max_new_tokens=8")
    exec(compile(snippet, "card", "exec"), {})
    assert capsys.readouterr().out.strip()


def test_a_card_leaves_the_fingerprint_of_the_student_as_it_was(folder):
    """Or scores that were made before a card was written would count as those of other weights."""
    (folder / "config.json").write_text("{}")
    before = model_fingerprint(str(folder))
    for repository in ("me/one", "me/another"):
        write_student_card(folder, repo_id=repository, hyperparameters={"seed": len(repository)})
        assert (folder / "card_facts.json").is_file() and model_fingerprint(str(folder)) == before
    (folder / "config.json").write_text('{"hidden_size": 8}')
    assert model_fingerprint(str(folder)) != before


@dataclass
class Arguments:
    output_dir: str = "x"
    learning_rate: float = 1e-5
    warmup: float | None = None
    hub_token: str | None = None
    logging_dir: str | None = None
    betas: list[float] = field(default_factory=list)


def test_only_settings_that_differ_are_shown():
    changed = changed_settings(Arguments("somewhere", 3e-4, hub_token="secret", logging_dir="/a"))
    assert changed == {"learning_rate": 3e-4}


def test_settings_of_the_real_training_arguments(tmp_path):
    from trl import SFTConfig

    args = SFTConfig(
        output_dir=str(tmp_path), learning_rate=3e-3, max_steps=7, use_cpu=True, bf16=False, report_to="none"
    )
    assert changed_settings(args) == {"learning_rate": 3e-3, "max_steps": 7, "use_cpu": True, "bf16": False}


def test_settings_of_our_own(tmp_path):
    """None of them is taken for a path, and those without a default are told too."""
    own = {"ast_path_coef": 0.1, "structure_head_learning_rate": 1e-2, "attention_layer": -2}
    config = StructureAwareConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, report_to="none", **own)
    assert changed_settings(config) == {**own, "use_cpu": True, "bf16": False}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("gpt2", True), ("me/student", True), ("/abs/path", False), ("./here", False), ("a/b/c", False), ("", False)],
)
def test_hub_ids(name, expected):
    assert is_hub_id(name) is expected


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        write_student_card(tmp_path / "none")
