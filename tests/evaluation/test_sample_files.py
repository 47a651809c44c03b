"""Samples files of others: evalplus, bigcode-evaluation-harness, recorded replies, gzipped or in a folder."""

import gzip
import json

import pytest
from tiny_students import PROBLEMS, WRONG, answers

from hf_structdistill.errors import InputError
from hf_structdistill.evaluation import score_completions
from hf_structdistill.evaluation.sample_files import read_samples

CODES = [problem.reference for problem in PROBLEMS]


def write(path, rows):
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def rates(found):
    return score_completions(PROBLEMS, found.samples, name=found.name).pass_rates()


def test_generations_of_the_bigcode_harness_go_by_order(tmp_path):
    path = tmp_path / "generations.json"
    wrong = [WRONG.get(problem.entry_point, "x = (") for problem in PROBLEMS]
    path.write_text(json.dumps([list(pair) for pair in zip(CODES, wrong, strict=True)]))
    (found,) = read_samples(path, PROBLEMS)
    assert found.name == "generations"
    assert set(rates(found).values()) == {0.5}
    assert read_samples(path, PROBLEMS[:2], first_only=True)[0].samples == found.samples[:2]
    with pytest.raises(InputError, match=r"4 lists of generations, but 2 problems.*--split"):
        read_samples(path, PROBLEMS[:2])
    path.write_text(json.dumps([[code] for code in CODES[:3]]))
    assert [len(entry) for entry in read_samples(path, PROBLEMS)[0].samples] == [1, 1, 1, 0]


@pytest.mark.parametrize(
    "text", ['[{"task_id": "tiny/double"}]', "[[1]]", '["x = 1"]', "[[", '{"pass@1": 0.5}', "\xff"]
)
def test_what_is_no_samples_file_is_named(text, tmp_path):
    path = tmp_path / "other.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match="expected|could not be read") as caught:
        read_samples(path, PROBLEMS)
    assert "other.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_damaged_gzip_is_named(tmp_path):
    path = write(tmp_path / "samples.jsonl.gz", [{"task_id": p.id, "solution": p.reference} for p in PROBLEMS])
    packed = bytearray(path.read_bytes())
    packed[10] ^= 0xFF  # the first byte behind the header
    for content in (packed, packed[:-9]):
        path.write_bytes(content)
        with pytest.raises(InputError, match="samples.jsonl.gz' could not be read"):
            read_samples(path, PROBLEMS)


def test_evalplus_solutions_are_programs_and_several_rows_are_samples(tmp_path):
    rows = [{"task_id": p.id, "solution": p.reference} for p in PROBLEMS]
    rows += [{"task_id": p.id, "solution": "def broken(:"} for p in PROBLEMS]
    (found,) = read_samples(write(tmp_path / "samples.jsonl.gz", rows), PROBLEMS)
    assert found.name == "samples"
    result = score_completions(PROBLEMS, found.samples, name="x")
    assert set(result.pass_rates().values()) == {0.5}
    assert result.counts()["no_code"] == 0
    assert result.counts()["unparsable"] == 4


def test_recorded_replies_and_own_rows_keep_what_they_know(tmp_path):
    replies = [{"task_id": p.id, "response": a} for p, a in zip(PROBLEMS, answers(), strict=True)]
    (found,) = read_samples(write(tmp_path / "replies.jsonl", replies), PROBLEMS, name="teacher")
    assert found.name == "teacher"
    assert set(rates(found).values()) == {1.0}
    own = {"problem_id": "tiny/last", "completion": CODES[2], "reads": "code", "tokens": 7, "finish_reason": "length"}
    write(tmp_path / "samples.jsonl", [{**own, "model": "a"}, {**own, "model": "b"}])
    first, second = read_samples(tmp_path, PROBLEMS)  # a folder of results
    assert (first.name, second.name) == ("a", "b")
    assert (first.samples[2][0].reads, first.samples[2][0].tokens) == ("code", 7)
    assert [found.name for found in read_samples(tmp_path, PROBLEMS, name="run")] == ["run/a", "run/b"]
    write(tmp_path / "samples.jsonl", [{**own, "reads": "minds"}])
    with pytest.raises(InputError, match="row 1"):
        read_samples(tmp_path, PROBLEMS)
