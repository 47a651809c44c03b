"""`structdistill publish` against the loopback Hub: one commit, again nothing, and every failure on the way there."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pyarrow
import pytest
from pyarrow import parquet

from hf_structdistill.model_names import model_fingerprint

from ..training.test_model_card import evaluation
from .conftest import OTHER, READ, WRITE

COMMIT = r"/commit/main$"
OLD = "sft/train-0123456789ab.parquet"  # as an earlier publishing named it


def one_line(done, *words):
    """A refusal: exit code 2, one line that says the words, no token."""
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.strip().splitlines()
    for word in words:
        assert word in line
    for token in (WRITE, READ, OTHER):
        assert token not in done.stdout + done.stderr
    return line


def good(done):
    assert done.returncode == 0, done.stdout + done.stderr
    assert WRITE not in done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def student(base, tmp_path_factory):
    """A student's folder as a training leaves it, with everything that must not be published."""
    folder = tmp_path_factory.mktemp("run") / "student"
    shutil.copytree(base, folder)
    (folder / "training_args.bin").write_bytes(b"pickle")
    (folder / "optimizer.pt").write_bytes(b"pickle")
    (folder / "structure_heads.safetensors").write_bytes(b"heads")
    (folder / "training_log.json").write_text("{}")
    (folder / "checkpoint-2").mkdir()
    (folder / "checkpoint-2" / "model.safetensors").write_bytes(b"older")
    (folder / "runs").mkdir()
    (folder / "runs" / "events").write_bytes(b"events")
    return folder


@pytest.fixture
def variant(student, tmp_path):
    """The student with weights that the Hub has never seen."""
    shutil.copytree(student, tmp_path / "student")
    with (tmp_path / "student" / "model.safetensors").open("r+b") as file:
        file.seek(-8, os.SEEK_END)
        file.write(os.urandom(8))
    return tmp_path / "student"


@pytest.mark.parametrize("xet", [{}, {"HF_HUB_DISABLE_XET": "1"}], ids=["xet", "lfs"])
def test_one_commit_and_then_none(hub, variant, xet):
    student = variant
    name = f"me/once-{len(xet)}"
    hub.log()
    listed = good(hub.publish("student", student, "--repo", name, "--dry-run"))
    assert not [r for r in hub.log() if r["method"] in ("POST", "PUT")]
    said = good(hub.publish("student", student, "--repo", name, **xet))
    used = {r["path"].split("/")[1] for r in hub.log() if r["method"] in ("POST", "PUT")}
    assert ("_cas" in used, "_storage" in used) == (not xet, bool(xet))
    stored = hub.repo("model", name)
    assert stored["private"] and stored["commits"] == ["initial commit", "Publish student student"]
    own = {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert set(stored["files"]) == {".gitattributes", "README.md", *own}
    for text in (listed, said):
        assert "upload     model.safetensors" in text
        for left in ("training_args.bin", "optimizer.pt", "structure_heads", "checkpoint-2/", "runs/", "training_log"):
            assert f"left out   {left}" in text
    assert "unchanged" in good(hub.publish("student", student, "--repo", name, **xet)).splitlines()[-1]
    assert len(hub.repo("model", name)["commits"]) == 2
    opened = good(hub.publish("student", student, "--repo", name, "--public"))
    assert "(public)" in opened and not hub.repo("model", name)["private"]
    assert len(hub.repo("model", name)["commits"]) == 2


@pytest.mark.parametrize(
    ("token", "repo", "words"),
    [
        (None, "me/x", ["hf auth login", "found none"]),
        (READ, "me/x", ["hf auth login", "only read"]),
        ("hf_" + "z" * 34, "me/x", ["hf auth login", "not accept"]),
        (OTHER, "me/x", ["hf auth login", "may not write to 'me/x'"]),
        (WRITE, "me/not@name", ["NAMESPACE/NAME"]),
    ],
    ids=["none", "read-only", "unknown", "somebody else's", "bad name"],
)
def test_refusals_are_one_line(hub, student, token, repo, words):
    one_line(hub.publish("student", student, "--repo", repo, token=token), *words)


def test_a_token_from_another_variable(hub, student):
    arguments = ("student", student, "--repo", "me/other-variable", "--token-from-env", "MY_TOKEN", "--dry-run")
    good(hub.publish(*arguments, token=None, MY_TOKEN=WRITE))
    one_line(hub.publish(*arguments, token=WRITE), "MY_TOKEN")


def test_nobody_there(hub, student):
    done = hub.publish("student", student, "--repo", "me/x", HF_ENDPOINT="http://127.0.0.1:9")
    one_line(done, "http://127.0.0.1:9", "does not answer")


FAILURES = {
    "before the commit": [
        ("POST", "/preupload/", "status", {"status": 500}),
        ("PUT", "/_storage/", "disconnect", {}),
    ],
    "of the commit": [
        ("POST", COMMIT, "disconnect", {}),
        ("POST", COMMIT, "status", {"status": 503, "headers": {"Retry-After": "0"}}),
        ("POST", COMMIT, "status", {"status": 429, "headers": {"Retry-After": "1"}}),
        ("POST", COMMIT, "status", {"status": 409, "headers": {"Retry-After": "0"}}),
    ],
    "answer of the commit lost": [("POST", COMMIT, "answer_lost", {})],
    "of Xet": [
        ("GET", "/xet-write-token/", "status", {"status": 500}),
        ("POST", "/_cas/v1/xorbs/", "status", {"status": 500}),
    ],
}


@pytest.mark.parametrize("name", FAILURES)
def test_passing_failures_end_in_one_commit(hub, variant, name):
    """Each failure once, one after the other, within one publishing."""
    repo = f"me/failure-{list(FAILURES).index(name)}"
    for method, path, kind, facts in FAILURES[name]:
        hub.fail(method, path, kind, **facts)
    good(hub.publish("student", variant, "--repo", repo, **({} if "Xet" in name else {"HF_HUB_DISABLE_XET": "1"})))
    assert hub.pending() == []
    assert hub.repo("model", repo)["commits"] == ["initial commit", "Publish student student"]


def test_a_failure_that_lasts_is_said_in_one_line(hub, student):
    hub.fail("POST", "/me/lasting/commit/main", status=403, times=1)
    one_line(hub.publish("student", student, "--repo", "me/lasting"), "may not write")
    hub.fail("POST", "/me/lasting/commit/main", status=429, headers={"Retry-After": "3600"}, times=1)
    one_line(hub.publish("student", student, "--repo", "me/lasting"), "status 429")
    assert hub.repo("model", "me/lasting")["commits"] == ["initial commit"]


def test_a_moved_head_is_read_again(hub, traces):
    good(hub.publish("traces", traces, "--repo", "me/moving"))
    mine = "# My traces\n\nMy own words.\n"
    race = {"kind": "dataset", "id": "me/moving", "files": {"README.md": mine, OLD: "x"}}
    hub.commit(**race)  # the card must be written again; meanwhile it moves once more
    race["files"] = {"README.md": mine + "More of them.\n", "notes.txt": "keep"}
    hub.fail("POST", "/me/moving/commit/main", "race", commit=race)
    said = good(hub.publish("traces", traces, "--repo", "me/moving"))
    stored = hub.repo("dataset", "me/moving")
    assert stored["commits"][-2:] == ["by hand", "Publish traces traces"]
    assert f"delete     {OLD}" in said and OLD not in stored["files"]
    assert "notes.txt" in stored["files"]
    card = hub.read("dataset", "me/moving", "README.md")
    assert "My own words.\nMore of them." in card
    assert card.count("structdistill: begin pass-rates") == 1


@pytest.mark.parametrize("xet", [{}, {"HF_HUB_DISABLE_XET": "1"}], ids=["xet", "lfs"])
def test_killed_in_mid_upload(hub, student, variant, xet):
    """kill -9: the previous revision stays; the same command finishes the work."""
    repo, upload = f"me/killed-{len(xet)}", ("PUT", "/_storage/") if xet else ("POST", "/_cas/v1/xorbs/")
    good(hub.publish("student", student, "--repo", repo, **xet))
    before = hub.repo("model", repo)
    hub.fail(*upload, "pause", seconds=10)
    command = [sys.executable, "-c", "from hf_structdistill.cli import main; main()", "publish", "student"]
    process = subprocess.Popen(
        [*command, str(variant), "--repo", repo], env=hub.environment(**xet), stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while hub.pending():  # until the upload is under way
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert hub.repo("model", repo) == before
    good(hub.publish("student", variant, "--repo", repo, **xet))
    assert len(hub.repo("model", repo)["commits"]) == len(before["commits"]) + 1


def test_only_safetensors(hub, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    one_line(hub.publish("student", tmp_path, "--repo", "me/x"), "safetensors", "pytorch_model.bin")


def test_a_missing_shard_is_named(hub, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-00001-of-00002.safetensors"}}')
    one_line(hub.publish("student", tmp_path, "--repo", "me/x"), "model-00001-of-00002.safetensors")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_student_that_was_saved_by_half_is_refused(hub, student, tmp_path, name):
    """As a save that is killed, or a full disk, leaves it."""
    shutil.copytree(student, tmp_path / "student")
    os.truncate(tmp_path / "student" / name, (student / name).stat().st_size // 2)
    one_line(hub.publish("student", tmp_path / "student", "--repo", "me/half"), name, "damaged", "save the student")
    assert not any("me/half" in request["path"] for request in hub.log())


def test_a_token_in_a_file_is_never_sent(hub, student, tmp_path):
    shutil.copytree(student, tmp_path / "student")
    (tmp_path / "student" / "tokenizer_config.json").write_text(f'{{"auth": "{WRITE}"}}')
    one_line(hub.publish("student", tmp_path / "student", "--repo", "me/leak"), "tokenizer_config.json")


@pytest.mark.parametrize("config", ["sft", "traces"])
def test_a_token_in_a_row_is_never_sent(hub, traces, tmp_path, config):
    """In a column of text or in a message; the bytes of the file do not show it."""
    shutil.copytree(traces, tmp_path / "traces")
    (path,) = (tmp_path / "traces" / config).glob("train-*.parquet")
    table = parquet.read_table(path)
    rows = table.to_pylist()
    if config == "sft":
        rows[-1]["completion"] += f" {WRITE}"
    else:
        rows[-1]["messages"][0]["content"] += f" {WRITE}"
    parquet.write_table(pyarrow.Table.from_pylist(rows * 9, schema=table.schema), path, compression="zstd")
    assert WRITE.encode() not in path.read_bytes()
    one_line(hub.publish("traces", tmp_path / "traces", "--repo", "me/leak"), path.name, "renew the token")


def test_leftovers_of_another_kind_of_student_go(hub, student, tmp_path):
    """After an adapter, a whole model: an adapter_config.json left there would be loaded on top of it."""
    good(hub.publish("student", student, "--repo", "me/kinds"))
    stale = {"adapter_config.json": "{}", "adapter_model.safetensors": "x", "LICENSE": "mine", "demo.py": "mine"}
    hub.commit("model", "me/kinds", stale)
    said = good(hub.publish("student", student, "--repo", "me/kinds"))
    assert "delete     adapter_config.json" in said and "delete     adapter_model.safetensors" in said
    assert {"LICENSE", "demo.py"} < set(hub.repo("model", "me/kinds")["files"])


@pytest.mark.parametrize("template", [None, "{{ messages[0].content }}"])
def test_a_student_that_was_trained_elsewhere(hub, student, tmp_path, template):
    """Its card claims nothing about a training that nobody recorded, and its prompts go by the tokenizer."""
    shutil.copytree(student, tmp_path / "student")
    if template is not None:
        (tmp_path / "student" / "chat_template.jinja").write_text(template)
    repo = f"me/elsewhere-{template is not None}"
    good(hub.publish("student", tmp_path / "student", "--repo", repo))
    text = hub.read("model", repo, "README.md")
    for claim in ("trained with", "reasoning", "2510.17598", "Sources", "torch ", "prompt_format", "- trl", "- sft"):
        assert claim not in text, claim
    assert "do not say how it was trained" in text
    assert ("apply_chat_template" in text) is (template is not None)


def test_traces_folder(hub, traces, tmp_path):
    said = good(hub.publish("traces", traces, "--repo", "me/traces"))
    assert "left out   journal" in said
    stored = hub.repo("dataset", "me/traces")
    assert stored["private"] and not [path for path in stored["files"] if "journal" in path]
    assert 'load_dataset("me/traces", "sft", split="train")' in hub.read("dataset", "me/traces", "README.md")
    one_line(hub.publish("traces", tmp_path, "--repo", "me/x"), "README.md")


@pytest.mark.parametrize(
    "metadata",
    [
        "license: mit",
        "a: [",
        "configs: all",
        "configs: [{config_name: a}]",
        "configs: [{data_files: 'data/*.parquet'}]",
    ],
)
def test_a_folder_of_another_data_set_is_refused(hub, tmp_path, metadata):
    (tmp_path / "README.md").write_text(f"---\n{metadata}\n---\n# Mine\n")
    one_line(hub.publish("traces", tmp_path, "--repo", "me/x"), "structdistill traces", "README.md")


def test_parquet_files_of_others_stay(hub, traces):
    good(hub.publish("traces", traces, "--repo", "me/shared"))
    theirs = ("sft/mine.parquet", "pairs/more/train-0123456789ab.parquet", "data/train-0123456789ab.parquet")
    hub.commit("dataset", "me/shared", {name: "mine" for name in (*theirs, OLD)})
    said = good(hub.publish("traces", traces, "--repo", "me/shared"))
    assert [line.split()[1] for line in said.splitlines() if line.startswith("  delete")] == [OLD]
    assert set(theirs) < set(hub.repo("dataset", "me/shared")["files"])


def test_results_go_into_the_card_and_beside_it(hub, student, tmp_path):
    (tmp_path / "results.json").write_text(json.dumps(evaluation()))
    good(hub.publish("student", student, "--repo", "me/evaluated", "--results", tmp_path / "results.json"))
    card = hub.read("model", "me/evaluated", "README.md")
    assert "model-index:" in card and "| pass@1 | 30.0% | 25.0% |" in card
    assert "id: google-research-datasets/mbpp" in hub.read("model", "me/evaluated", ".eval_results/mbpp.yaml")
    (tmp_path / "other.json").write_text("{}")
    one_line(hub.publish("student", student, "--repo", "me/x", "--results", tmp_path / "other.json"), "results.json")
    unknown = ("--results", tmp_path / "results.json", "--result-name", "nobody")
    one_line(hub.publish("student", student, "--repo", "me/x", *unknown), "plain, student", "nobody")


def write_results(path, *students):
    """A results.json of students given as name, pass@1 and more facts."""
    pattern = evaluation()["models"][0]
    models = [{**pattern, "name": name, "pass@k": {"1": passed}, **more} for name, passed, more in students]
    path.write_text(json.dumps(evaluation(models=models, comparisons=[])))
    return path


@pytest.mark.parametrize("by", ["name", "model", "fingerprint", "result name"])
def test_a_student_gets_its_own_scores_whatever_the_repository_is_called(hub, student, tmp_path, by):
    own = {
        "name": ("student", 0.3, {}),
        "model": ("run/student", 0.3, {"model": "student"}),
        "fingerprint": ("first", 0.3, {"fingerprint": model_fingerprint(str(student))}),
        "result name": ("first", 0.3, {}),
    }[by]
    other = [("student", 0.5, {"fingerprint": "0" * 16})] if by == "fingerprint" else []
    path = write_results(tmp_path / "results.json", ("plain", 0.25, {}), own, *other, ("ours", 1.0, {}))
    chosen = ("--result-name", "first") if by == "result name" else ()
    good(hub.publish("student", student, "--repo", "me/ours", "--results", path, *chosen))
    card = hub.read("model", "me/ours", "README.md")
    assert "| pass@1 | 30.0% | 25.0% |" in card and card.count("value: 0.3\n") == 1
    assert "value: 30.0\n" in hub.read("model", "me/ours", ".eval_results/mbpp.yaml")


STRANGERS = {
    "other students": ([("plain", 0.2, {}), ("ours", 1.0, {})], ["'student'", "found 0 among plain, ours"]),
    "one other student": ([("x", 1.0, {})], ["found 0 among x"]),
    "two that fit": ([(f"{run}/student", 1.0, {"model": "student"}) for run in "ab"], ["found 2 among a/student"]),
    "trained on since": ([("student", 1.0, {"fingerprint": "0" * 16})], ["has changed", "evaluate it again"]),
}


@pytest.mark.parametrize("case", STRANGERS)
def test_scores_of_another_student_are_never_taken(hub, student, tmp_path, case):
    students, words = STRANGERS[case]
    path = write_results(tmp_path / "results.json", *students)
    refused = hub.publish("student", student, "--repo", "me/strangers", "--results", path)
    one_line(refused, "results of mbpp", "--result-name", *words)
