"""The bank of solutions: one vector a program, from an encoder or a fingerprint, and refused where it does not fit."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import AutoModel, AutoTokenizer, T5Config, T5Model

from hf_structdistill import StructureAwareConfig, StructureAwareTrainer
from hf_structdistill.code_encoders import load_encoder
from hf_structdistill.errors import InputError
from hf_structdistill.solution_bank import INFO_FILE, VECTORS_FILE, SolutionBank, build_bank
from hf_structdistill.structure.fingerprint import structure_fingerprint
from hf_structdistill.supervision import all_solutions, right_solution, solution_code

from . import tiny
from .encoders import POSITIONS, save_encoder

CODES = [
    "def double(x):\n    return 2 * x\n",
    "total = 0\n",
    "def f(xs):\n" + "".join(f"    if xs[{n}] > {n}:\n        return {n}\n" for n in range(30)) + "    return None\n",
]


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory):
    return save_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def encoder(encoder_folder):
    return load_encoder(str(encoder_folder), batch_size=3)


def mean_over_windows(folder, code):
    """By hand: one window at a time, no padding, states of the code's own tokens."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    ids = tokenizer(code, add_special_tokens=False)["input_ids"]
    room = POSITIONS - 4
    states = []
    for start in range(0, len(ids), room):
        window = [0, *ids[start : start + room], 2]
        with torch.no_grad():
            states.append(model(torch.tensor([window])).last_hidden_state[0, 1:-1])
    return torch.cat(states).mean(0).numpy(), len(states)


def test_vectors_are_means_over_the_tokens_of_the_code(encoder_folder, encoder):
    found = encoder.encode(CODES)
    windows = []
    for vector, code in zip(found, CODES, strict=True):
        expected, number = mean_over_windows(encoder_folder, code)
        np.testing.assert_allclose(vector, expected, rtol=1e-4, atol=1e-5)
        windows.append(number)
    assert windows[0] == 1 < windows[2], "the long program takes several windows"


def test_of_an_encoder_decoder_the_encoder(tmp_path, encoder_folder):
    """As CodeT5 is one."""
    tokenizer = AutoTokenizer.from_pretrained(encoder_folder)
    tokenizer.save_pretrained(tmp_path)
    config = T5Config(
        vocab_size=len(tokenizer), d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, pad_token_id=1
    )
    model = T5Model(config).eval()
    model.save_pretrained(tmp_path)
    (vector,) = load_encoder(str(tmp_path)).encode(CODES[:1])
    ids = tokenizer(CODES[0], return_tensors="pt")["input_ids"]
    with torch.no_grad():
        expected = model.get_encoder()(ids).last_hidden_state[0, 1:-1].mean(0)
    np.testing.assert_allclose(vector, expected.numpy(), rtol=1e-4, atol=1e-5)


def test_a_bank_has_each_program_once_centred_and_of_norm_1(encoder):
    bank = build_bank([*CODES, CODES[0].replace("\n", "\r\n"), CODES[1] + "\n"], encoder)
    assert len(bank) == len(CODES)
    np.testing.assert_allclose(np.linalg.norm(bank.vectors, axis=1), 1, rtol=1e-5)
    raw = encoder.encode(CODES)
    raw = raw - raw.mean(axis=0)
    np.testing.assert_allclose(bank.vectors, raw / np.linalg.norm(raw, axis=1, keepdims=True), rtol=1e-3, atol=1e-5)
    assert [bank.row_of(code) for code in CODES] == [0, 1, 2]
    assert bank.row_of("x = 1") is None


def test_fingerprints_are_kept_as_they_are():
    bank = build_bank(CODES, load_encoder("fingerprint"))
    np.testing.assert_allclose(bank.vectors[0], structure_fingerprint(CODES[0]), rtol=1e-6)


def test_saved_and_read_back(tmp_path, encoder_folder, encoder):
    bank = build_bank(CODES, encoder)
    bank.save(tmp_path)
    again = SolutionBank.load(tmp_path)
    np.testing.assert_array_equal(again.vectors, bank.vectors)
    assert again.keys == bank.keys
    info = json.loads((tmp_path / INFO_FILE).read_text())
    assert info["number"] == 3 and info["dimension"] == 16 and info["pooling"] == "mean"
    assert info["encoder"] == encoder_folder.name, "a name, and no path of this machine"
    assert len(info["revision"]) == 40, "a hash of the folder's contents"


def test_the_revision_of_a_folder_follows_its_contents(tmp_path, encoder_folder, encoder):
    changed = tmp_path / encoder_folder.name
    shutil.copytree(encoder_folder, changed)
    assert load_encoder(str(changed)).identity == encoder.identity
    save_encoder(changed, seed=1)
    assert load_encoder(str(changed)).identity["revision"] != encoder.identity["revision"]


class CountedEncoder:
    """The fingerprint, which notes what it is asked for and stops when told to."""

    identity = {"encoder": "counted", "revision": None, "pooling": None, "language": "python"}
    centred = False

    def __init__(self, stop_at=None):
        self.asked, self.stop_at = 0, stop_at

    def encode(self, codes):
        if self.stop_at is not None and self.asked >= self.stop_at:
            raise KeyboardInterrupt
        self.asked += len(codes)
        return np.stack([structure_fingerprint(code) for code in codes])


def test_the_revision_of_an_encoder_on_the_hub_is_its_commit(tmp_path, encoder_folder):
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--me--encoder"
    shutil.copytree(encoder_folder, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    script = (
        "import sys\nfrom hf_structdistill.code_encoders import load_encoder\n"
        "sys.stdout.write(str(load_encoder('me/encoder').identity))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"HF_HUB_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"'encoder': 'me/encoder', 'revision': '{commit}'" in shown.stdout


def test_an_interrupted_run_continues(tmp_path):
    codes = [f"value_{n} = {[n] * (n % 7)}\n" for n in range(600)]
    first = CountedEncoder(stop_at=500)
    with pytest.raises(KeyboardInterrupt):
        build_bank(codes, first, parts=tmp_path)
    second = CountedEncoder()
    bank = build_bank(codes, second, parts=tmp_path)
    assert first.asked == 512 and second.asked == 600 - 512
    np.testing.assert_array_equal(bank.vectors, build_bank(codes, CountedEncoder()).vectors)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["missing", "cut", "description", "mixed"])
def test_a_damaged_bank_is_said_to_be(tmp_path, damage):
    build_bank(CODES, load_encoder("fingerprint")).save(tmp_path)
    vectors, info = tmp_path / VECTORS_FILE, tmp_path / INFO_FILE
    if damage == "missing":
        info.unlink()
    elif damage == "cut":
        vectors.write_bytes(vectors.read_bytes()[:-100])
    elif damage == "description":
        info.write_text("{")
    else:
        info.write_text(info.read_text().replace('"number": 3', '"number": 4'))
    with pytest.raises(InputError, match="structdistill embed"):
        SolutionBank.load(tmp_path)


def test_what_cannot_be_an_encoder(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="could not be loaded.*fingerprint"):
        load_encoder(str(tmp_path / "empty"))
    with pytest.raises(InputError, match="no revisions"):
        load_encoder("fingerprint", "main")


def test_the_solution_of_an_example():
    java = "Use a loop.\n\n```java\nclass A { int f(int x) { return x; } }\n```\nand ```java\n"
    assert solution_code(java, "java") == "class A { int f(int x) { return x; } }\n"
    assert solution_code("Say hello.", "java") is None
    turns = [
        {"role": "user", "content": "```python\nx = 1\n```"},
        {"role": "assistant", "content": "Which one?"},
        {"role": "assistant", "content": "```python\ny = 2\n```"},
    ]
    assert right_solution({"messages": turns}) == "y = 2\n"
    assert right_solution({"text": "def f():\n    return 1\n"}) == "def f():\n    return 1\n"
    assert right_solution({"code": "x = 1"}) is None
    assert len(set(all_solutions(tiny.dataset(4, columns=tiny.WITH_REJECTED), "python"))) == 8


# ---- in the trainer ------------------------------------------------------------------------------------------------


def make_trainer(folder, data=None, **settings):
    on = {"alignment_coef": 0.1, "embedding_coef": 0.1}
    return StructureAwareTrainer(
        model=tiny.student(),
        args=StructureAwareConfig(**tiny.settings(folder, max_steps=1, **on, **settings)),
        train_dataset=data or tiny.dataset(4, columns=tiny.WITH_REJECTED),
        processing_class=tiny.tokenizer(),
    )


def bank_of(trainer):
    return trainer.objectives["alignment"].bank.numpy()


def test_each_example_meets_its_own_solution(tmp_path):
    """The bank's row of an example is the vector of its own code; another right solution of its problem is one too."""
    rows = [{name: row[name] for name in ("prompt", "completion")} for row in tiny.rows(4)]
    rows.append(
        {"prompt": rows[0]["prompt"], "completion": "Shorter.\n\n```python\ndef other(x):\n    return x\n```\n"}
    )
    trainer = make_trainer(tmp_path, Dataset.from_list(rows))
    batch = trainer.data_collator([dict(row) for row in trainer.train_dataset])
    vectors = [structure_fingerprint(right_solution(row)) for row in rows]
    for known, expected in zip(batch["bank_rows"], vectors, strict=True):
        np.testing.assert_allclose(bank_of(trainer)[known[0]], expected, rtol=1e-6)
    assert batch["bank_rows"][0].tolist() == batch["bank_rows"][4].tolist()[::-1]
    assert (batch["bank_rows"][1:4, 1] == -1).all()


def test_an_encoder_is_run_on_first_use_and_its_bank_kept(tmp_path, encoder_folder):
    first = make_trainer(tmp_path, alignment_encoder=str(encoder_folder))
    first.train()
    logs = first.state.log_history[0]
    assert logs["alignment"] > 0 and 0 < logs["embedding"] < 2
    written = (tmp_path / "solution_bank" / VECTORS_FILE).stat().st_mtime_ns
    again = make_trainer(tmp_path, alignment_encoder=str(encoder_folder))
    assert (tmp_path / "solution_bank" / VECTORS_FILE).stat().st_mtime_ns == written
    np.testing.assert_array_equal(bank_of(again), bank_of(first))
    assert bank_of(first).shape == (8, 16), "right and wrong solutions"
    make_trainer(tmp_path, tiny.dataset(6), alignment_encoder=str(encoder_folder))
    assert len(SolutionBank.load(tmp_path / "solution_bank")) == 6, "for other data it is made again"


def test_a_given_bank_must_fit(tmp_path, encoder_folder, encoder):
    codes = list(all_solutions(tiny.dataset(4, columns=tiny.WITH_REJECTED), "python"))
    folder = tmp_path / "bank"
    build_bank([*codes, "unrelated = 1\n"], encoder).save(folder)
    assert bank_of(make_trainer(tmp_path, alignment_bank=str(folder))).shape == (9, 16)
    with pytest.raises(InputError, match="lacks 4 of the 12 solutions.*structdistill embed"):
        make_trainer(tmp_path, tiny.dataset(6, columns=tiny.WITH_REJECTED), alignment_bank=str(folder))
    with pytest.raises(InputError, match="made by the encoder.*alignment_encoder"):
        make_trainer(tmp_path, alignment_bank=str(folder), alignment_encoder="someone/else")
    info = json.loads((folder / INFO_FILE).read_text())
    (folder / INFO_FILE).write_text(json.dumps({**info, "language": "java"}))
    with pytest.raises(InputError, match="java programs.*structure_language"):
        make_trainer(tmp_path, alignment_bank=str(folder))


def test_no_solution_with_code(tmp_path):
    prose = Dataset.from_dict({"prompt": ["Say hello.\n\n"], "completion": ["Hello, and a good day to you."]})
    with pytest.raises(InputError, match="holds code.*empty"):
        make_trainer(tmp_path, prose)
