"""The folder that is written: loads offline, tells what it is, and nothing of this machine."""

import getpass
import os
import re
import socket
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from huggingface_hub import DatasetCardData
from pyarrow.parquet import read_table

from hf_structdistill.errors import InputError
from hf_structdistill.hub.dataset_card import size_category
from hf_structdistill.hub.datasets import write_trace_dataset
from hf_structdistill.problems import decontaminate, load_problems
from hf_structdistill.sandbox import Verdict
from hf_structdistill.teachers import ScriptedTeacher, Trace, TraceSet, collect_traces, select_examples

os.environ.setdefault("HF_ALLOW_CODE_EVAL", "1")
SECRET = "hf_" + "Zz9" * 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("traces")
    problems = load_problems("seed", split="train", limit=6) + load_problems("listops", split="train", limit=6)
    problems.append(replace(problems[0], id="seed/validation", split="validation"))
    problems.append(replace(problems[1], id="seed/test", split="test"))
    clean = decontaminate(problems, [replace(problems[2], id="other/2", source="other", split="test")])
    os.environ["HF_TOKEN"] = SECRET
    try:
        collected = collect_traces(clean.kept, [ScriptedTeacher()], out, workers=1)
        examples = select_examples(collected.traces, collected.problems)
        write_trace_dataset(
            out,
            collected,
            examples,
            title="Traces of a test",
            command="structdistill traces --problems seed --out traces",
            decontamination=clean,
            not_checked={"humaneval": "no file was given."},
        )
    finally:
        del os.environ["HF_TOKEN"]
    return out


def load(folder, config, split="train", cache=None):
    from datasets import load_dataset

    return load_dataset(str(folder), config, split=split, cache_dir=str(cache))


def test_every_config_loads(folder, tmp_path):
    sft = load(folder, "sft", cache=tmp_path)
    assert {"prompt", "completion", "rejected"} <= set(sft.column_names) and len(sft) == 11
    assert len(load(folder, "sft", "validation", cache=tmp_path)) == 1
    pairs = load(folder, "pairs", cache=tmp_path)
    assert {"prompt", "chosen", "rejected"} <= set(pairs.column_names) and len(pairs) == 11
    traces = load(folder, "traces", cache=tmp_path)
    assert sorted(set(traces["status"])) == ["failed", "passed"]
    assert traces[0]["messages"][0]["role"] == "user"


def test_without_a_config_it_is_the_one_to_train_on(folder, tmp_path):
    assert "completion" in load(folder, None, cache=tmp_path).column_names


def test_problems_of_a_test_split_are_traced_and_never_trained_on(folder, tmp_path):
    for config in ("sft", "pairs"):
        for split in ("train", "validation"):
            assert "seed/test" not in load(folder, config, split, cache=tmp_path)["problem_id"]
    assert "seed/test" in load(folder, "traces", cache=tmp_path)["problem_id"]


def test_the_card_tells_what_is_in_it(folder):
    card = (folder / "README.md").read_text()
    front = yaml.safe_load(card.split("---")[1])
    assert front["license"] == "apache-2.0"
    assert [config["config_name"] for config in front["configs"]] == ["sft", "pairs", "traces"]
    for expected in (
        "# Traces of a test",
        "| scripted teacher of generated problems | forward | listops | 6 | 6 | 100.0% | 1.000 | 1.000 |",
        "a very large language model, 2026",
        "passed 13, failed 13",
        "Removed: **1**",
        "licence apache-2.0",
        "## Licence and citation",
        "other/2",
        "**Not compared with HumanEval**: no file was given.",
        "structdistill traces --problems seed --out traces",
        "listops-1-seed0",
        "![Histograms of the lengths of reasoning and code](lengths.png)",
    ):
        assert expected in card, expected
    assert not re.search(r"\n{4,}|None|Undefined|[ \t]\n\|", card)
    assert (folder / "lengths.png").read_bytes().startswith(b"\x89PNG")


def test_the_front_matter_is_what_the_hub_reads(folder):
    from datasets.utils.metadata import MetadataConfigs
    from huggingface_hub import DatasetCard

    card = DatasetCard.load(folder / "README.md", ignore_metadata_errors=False)
    data = card.data.to_dict()
    assert data["license"] == "apache-2.0" and data["task_categories"] == ["text-generation"]
    assert data["size_categories"] == ["n<1K"] and "structdistill" in " ".join(data["tags"])
    configs = MetadataConfigs.from_dataset_card_data(card.data)
    assert configs.get_default_config_name() == "sft"
    named = {file["path"] for config in data["configs"] for file in config["data_files"]}
    assert named == {str(path.relative_to(folder)) for path in folder.rglob("*.parquet")}


def test_the_card_explains_every_column(folder):
    from pyarrow import parquet

    explained = {line for line in (folder / "README.md").read_text().splitlines() if line.startswith("| `")}
    for path in folder.rglob("train-*.parquet"):
        for column in parquet.read_schema(path).names:
            cells = [line.split(" | ") for line in explained if f"`{column}`" in line.split(" | ")[0]]
            assert cells, f"{column} is not explained"
            assert any(path.parent.name in where or where == "all" for _, where, *_ in cells), (
                column,
                path.parent.name,
            )


def test_the_trainer_takes_it_as_it_is(folder, tmp_path):
    from hf_structdistill import StructureAwareConfig, StructureAwareTrainer
    from tests.training.tiny import settings, student, tokenizer

    options = {"structure_weight": 1.0, "divergence_coef": 0.1, "max_steps": 2, "logging_steps": 1}
    trainer = StructureAwareTrainer(
        model=student(),
        args=StructureAwareConfig(**settings(tmp_path / "student", **options)),
        train_dataset=load(folder, "sft", cache=tmp_path),
        processing_class=tokenizer(),
    )
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(losses) == 2 and all(loss > 0 for loss in losses)


def assert_nothing_private(folder, *more):
    folders = {str(folder), str(Path.cwd()), str(Path.home()) + "/"}
    private = {*folders, socket.gethostname(), SECRET, *more}
    user = getpass.getuser()
    if user not in ("root", "user"):
        private.add(user)
    for path in folder.rglob("*"):
        if path.is_file():
            rows = str(read_table(path).to_pylist()).encode() if path.suffix == ".parquet" else b""
            content = path.read_bytes() + rows
            found = [word for word in private if len(word) > 5 and word.encode() in content]
            assert not found, f"{path.name}: {found}"


def test_nothing_of_this_machine_is_in_any_file(folder):
    assert_nothing_private(folder)


class Telling(ScriptedTeacher):
    """Tells where it is, in prompts, replies, the errors of its programs, and refusals."""

    def __init__(self, told):
        super().__init__(mistakes=False)
        self.told = told

    def requests(self, problem):
        return [
            replace(request, messages=({"role": "user", "content": f"Solve it in {self.told}."},))
            for request in super().requests(problem)
        ]

    def replies(self, requests):
        home = f"'/'.join({str(Path.home()).split('/')!r})"  # a path in the verdict, and none in the code
        for batch in super().replies(requests):
            for number, (request, reply) in enumerate(batch):
                if number == 0:
                    yield [(request, replace(reply, text="", error=f"OSError: {self.told}"))]
                elif number == 1:
                    yield [(request, replace(reply, text=f"```python\nraise OSError({home} + '/x')\n```"))]
                else:
                    yield [(request, replace(reply, text=f"I am in {self.told}.\n\n{reply.text}"))]


def test_what_a_teacher_and_problems_tell_of_this_machine_is_taken_out(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "sesame-open-1234")
    monkeypatch.setenv("HOME", str(tmp_path / "home" / "me"))
    told = f"{Path.home()}/work, {Path.cwd()}/x, not /tmp or tree/root, with {SECRET} or sesame-open-1234"
    problems = load_problems("seed", split="train", limit=5)
    problems = [
        replace(problem, prompt=f"{problem.prompt}\nSee {told}.", reference=f"# {told}\n{problem.reference}")
        for problem in problems
    ]
    clean = decontaminate(problems, [replace(problems[4], id="other/4", prompt="Another.", tests=None)])
    collected = collect_traces(clean.kept, [Telling(told)], tmp_path, workers=1)
    examples = select_examples(collected.traces, collected.problems)
    write_trace_dataset(tmp_path, collected, examples, command=f"cd {told}", decontamination=clean)
    assert_nothing_private(tmp_path, "sesame")
    assert [status for status, _ in collected.statuses().most_common()] == ["passed", "error"]
    # and all of it was there to be taken out
    sft = load(tmp_path, "sft", cache=tmp_path / "cache")[0]
    traces = load(tmp_path, "traces", cache=tmp_path / "cache").to_list()
    for text in (
        sft["prompt"],
        sft["completion"],
        traces[1]["reasoning"],
        traces[1]["code"],
        str(traces[1]["messages"]),
    ):
        assert text.count("<folder>/") == 2 * text.count("<secret> or <secret>") > 0
        assert "not /tmp or tree/root" in text
    assert traces[0]["reason"] == "OSError: <folder>/x"
    assert "<folder>" in collected.refused[0][1] and "cd <folder>/work" in (tmp_path / "README.md").read_text()
    assert "<secret>" in (tmp_path / "decontamination.jsonl").read_text()


def test_paths_and_secrets_in_a_verdict_are_taken_out(tmp_path, monkeypatch):
    from hf_structdistill.teachers.redaction import redact

    monkeypatch.setenv("MY_API_KEY", "sesame-open-1234")
    text = f"OSError: {Path.cwd()}/x and {Path.home()}, sesame-open-1234 {SECRET}"
    cleaned = redact(text)
    assert "sesame" not in cleaned and SECRET not in cleaned and str(Path.cwd()) not in cleaned
    assert redact("a / b and /home-like 1") == "a / b and /home-like 1"


def test_a_set_in_which_nothing_passed_still_has_its_card(tmp_path):
    problem = load_problems("seed", limit=1)[0]
    trace = Trace(problem.id, "t", "", None, extraction="no_code", verdict=Verdict("error", reason="no code"))
    collected = TraceSet([trace], {problem.id: problem})
    card = write_trace_dataset(tmp_path, collected, []).read_text()
    assert "no_code 1" in card and "config_name: sft" not in card and "default: true" in card
    assert len(load(tmp_path, "traces", cache=tmp_path / "cache")) == 1


def test_writing_again_leaves_nothing_of_before(folder, tmp_path):
    problem = load_problems("seed", limit=1)[0]
    good = Trace(problem.id, "t", "Think.", problem.reference, verdict=Verdict("passed"))
    bad = replace(good, code="x = 1", verdict=Verdict("failed"))
    problem = replace(problem, split="train")
    for traces in ([good, bad], [good]):
        collected = TraceSet(traces, {problem.id: problem})
        write_trace_dataset(tmp_path, collected, select_examples(traces, collected.problems))
    assert not (tmp_path / "pairs").exists()


def write_splits(out, *splits):
    """A data set of a user's problems, one of each split, all solved; its card."""
    problem = load_problems("seed", limit=1)[0]
    problems = {split: replace(problem, id=split, split=split, source="jsonl") for split in splits}
    traces = [Trace(split, "t", "Think.", problem.reference, verdict=Verdict("passed")) for split in splits]
    return write_trace_dataset(out, TraceSet(traces, problems), select_examples(traces, problems)).read_text()


def test_rows_are_of_the_split_that_their_problems_are_for(tmp_path):
    write_splits(tmp_path, "train", "validation", "val", "dev_2", "eval", "Test", "hard", "")
    found = {
        split: load(tmp_path, "sft", split, tmp_path / "cache")["problem_id"] for split in ("train", "validation")
    }
    assert found == {"train": ["train", "hard", ""], "validation": ["validation", "val", "dev_2"]}


@pytest.mark.parametrize("splits", [("validation",), ("train",), ("train", "validation"), ("test", "validation")])
def test_the_snippet_of_the_card_loads_the_splits_that_exist(tmp_path, monkeypatch, splits):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    card = write_splits(tmp_path / "out", *splits)
    snippet = re.findall(r"```python\n(.*?)```", card, re.DOTALL)[0]
    found = {}
    exec(snippet.replace("path/or/hub-id/of/this/dataset", str(tmp_path / "out")), found)
    assert {split for split in ("train", "validation") if split in found} == {*splits} - {"test"}
    assert len(found["replies"]) == 1
    assert ("train_dataset=train" in card) == ("train" in splits)


def test_the_card_of_problems_without_split_and_licence(tmp_path):
    card = write_splits(tmp_path, "")
    assert "1 without a split; its licence is not known here" in card
    assert "The licence of the problems is not known here" in card
    assert not re.search("none split|licence unknown|under unknown", card)


def test_a_table_of_the_card_holds_any_text(tmp_path):
    problem = replace(load_problems("seed", limit=1)[0], split="train", id="set|<b>/1")
    other = "Strip <i>tags</i>\nof `a|b` *once*."
    trace = Trace(
        problem.id, "me|<b>*you*", "Think.", problem.reference, "v|1", {"note": "a|b"}, verdict=Verdict("passed")
    )
    copied = [replace(problem, id=f"x|{number}", prompt=other, metadata={}) for number in range(2)]
    clean = decontaminate([copied[0]], [replace(copied[1], source="a|b")])
    collected = TraceSet([trace], {problem.id: problem})
    card = write_trace_dataset(
        tmp_path, collected, select_examples([trace], collected.problems), decontamination=clean
    )
    tables = [block.splitlines() for block in re.split(r"\n(?!\|)", card.read_text()) if "\n|---" in block]
    for header, _, *rows in ([line for line in table if line.startswith("|")] for table in tables):
        for row in rows:
            assert len(re.findall(r"(?<!\\)\|", row)) == header.count("|"), row
            assert not re.search(r"(?<![\\`])<", re.sub("`[^`]*`", "", row)), row
    assert "| me\\|\\<b\\>\\*you\\* |" in card.read_text()
    assert "| x\\|0 | x\\|1 | text | 1.00 | `Strip <i>tags</i> of 'a\\|b' *once*.` |" in card.read_text()


def test_files_of_others_stay(tmp_path):
    problem = replace(load_problems("seed", limit=1)[0], split="train")
    good = Trace(problem.id, "t", "Think.", problem.reference, verdict=Verdict("passed"))
    bad = replace(good, code="x = 1", verdict=Verdict("failed"))
    theirs = ("pairs/notes.txt", "sft/mine.parquet", "sft/train-mine.parquet", "traces/old/train-0123456789ab.parquet")
    for name in theirs:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("mine")
    (tmp_path / "pairs" / "train.partial").write_text("left by a kill")
    for traces in ([good, bad], [good]):
        collected = TraceSet(traces, {problem.id: problem})
        write_trace_dataset(tmp_path, collected, select_examples(traces, collected.problems))
    assert all((tmp_path / name).read_text() == "mine" for name in theirs)
    written = sorted(p.parent.name for p in tmp_path.rglob("*") if p.is_file() and p.read_bytes() != b"mine")
    assert written == sorted([tmp_path.name, tmp_path.name, "sft", "traces"])  # card and picture, one file a config
    assert [path.name for path in (tmp_path / "pairs").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    "text",
    [
        "# Mine",
        "---\ntags: [hf-structdistill]\nconfigs:\n- data_files:\n  - {split: train, path: seed/train.parquet}\n---\n",
        "---\na: [\n---\n",
        "---\ntags: 3\n---\n",
    ],
)
def test_a_readme_of_others_is_refused(tmp_path, text):
    (tmp_path / "README.md").write_text(text)
    problem = load_problems("seed", limit=1)[0]
    collected = TraceSet([Trace(problem.id, "t", "", None)], {problem.id: problem})
    with pytest.raises(InputError, match="README.md' to be the card .*--out"):
        write_trace_dataset(tmp_path, collected, [])
    assert (tmp_path / "README.md").read_text() == text and len(list(tmp_path.iterdir())) == 1


def test_a_lone_surrogate_is_written_as_its_escape(tmp_path):
    """A reply that was cut inside an emoji, and a program that chose its own error."""
    problem = replace(load_problems("seed", limit=1)[0], split="train")
    good = Trace(problem.id, "t", "Think \ud83d", problem.reference, verdict=Verdict("passed"))
    bad = replace(good, code="x = '\ud800'", verdict=Verdict("error", reason="ValueError: \ud800"))
    collected = TraceSet([good, bad], {problem.id: problem})
    card = write_trace_dataset(tmp_path, collected, select_examples([good, bad], collected.problems))
    card.read_text(encoding="utf-8")
    assert load(tmp_path, "sft", cache=tmp_path / "cache")["completion"][0].startswith(r"Think \ud83d")
    assert r"ValueError: \ud800" in load(tmp_path, "traces", cache=tmp_path / "cache")["reason"]


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path):
    write_splits(tmp_path, "train")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    (tmp_path / "pairs").write_text("mine")
    problem = replace(load_problems("seed", limit=1)[0], split="train")
    good = Trace(problem.id, "t", "Think.", problem.reference, verdict=Verdict("passed"))
    traces = [good, replace(good, code="x = 1", verdict=Verdict("failed"))]
    collected = TraceSet(traces, {problem.id: problem})
    with pytest.raises(InputError, match="write the data set to .*pairs.*in the journal"):
        write_trace_dataset(tmp_path, collected, select_examples(traces, collected.problems))
    assert all(path.read_bytes() == content for path, content in before.items())
    assert load(tmp_path, "sft", cache=tmp_path / "cache")["problem_id"] == ["train"]


def test_sizes_are_called_what_the_hub_calls_them():
    listed = set(re.findall(r"'(n[<>]1\w|\d+\w<n<\d+\w)'", DatasetCardData.__doc__))
    rows = [0, *(10**power - step for power in range(3, 13) for step in (1, 0))]
    assert {size_category(number) for number in rows} == listed and len(listed) == 11
    assert [size_category(number) for number in (999, 1000, 9_999_999, 10**12)] == [
        "n<1K",
        "1K<n<10K",
        "1M<n<10M",
        "n>1T",
    ]
