"""collect_traces and `structdistill traces`: verdicts, resuming, and a kill at any moment."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace

import pytest

from hf_structdistill.errors import InputError
from hf_structdistill.problems import load_problems
from hf_structdistill.teachers import RecordedTeacher, Reply, ScriptedTeacher, collect_traces, select_examples

os.environ.setdefault("HF_ALLOW_CODE_EVAL", "1")
RUN = [sys.executable, "-c", "from hf_structdistill.cli import main; main()", "traces"]


@pytest.fixture(scope="module")
def seed_problems():
    return load_problems("seed", split="train", limit=12)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_right_replies_pass_and_wrong_ones_fail(tmp_path, seed_problems):
    collected = collect_traces(seed_problems, [ScriptedTeacher()], tmp_path, workers=1)
    by_recipe = {row["recipe"]: row for row in collected.pass_rates()}
    assert by_recipe["forward"]["pass_rate"] == 1.0 and by_recipe["mistake"]["pass_rate"] == 0.0
    assert all(trace.syntax == 1.0 for trace in collected.traces if trace.recipe == "forward")
    assert all(trace.syntax is None for trace in collected.traces if trace.recipe == "mistake")
    examples = select_examples(collected.traces, collected.problems)
    assert len(examples) == 12 and all(example.rejected for example in examples)


def test_a_second_run_asks_and_judges_nothing(tmp_path, seed_problems):
    first = collect_traces(seed_problems, [ScriptedTeacher()], tmp_path, workers=1)
    journal = (tmp_path / "journal.jsonl").read_bytes()

    class Silent(ScriptedTeacher):
        def replies(self, requests):
            assert list(requests) == [], "asked again"
            return iter(())

    second = collect_traces(seed_problems, [Silent()], tmp_path, workers=1)
    assert second.traces == first.traces and second.resumed == len(first.traces)
    assert (tmp_path / "journal.jsonl").read_bytes() == journal


def test_a_changed_setting_is_asked_again_and_not_mixed(tmp_path, seed_problems):
    class Warm(ScriptedTeacher):
        def requests(self, problem):
            return [replace(request, sampling={"temperature": 0.7}) for request in super().requests(problem)]

    cold = collect_traces(seed_problems[:3], [ScriptedTeacher(mistakes=False)], tmp_path, workers=1)
    warm = collect_traces(seed_problems[:3], [Warm(mistakes=False)], tmp_path, workers=1)
    assert warm.resumed == 0 and {trace.key for trace in warm.traces}.isdisjoint(t.key for t in cold.traces)
    assert {trace.sampling.get("temperature") for trace in warm.traces} == {0.7}
    verdicts = [record for record in lines(tmp_path / "journal.jsonl") if record["kind"] == "verdict"]
    assert len(verdicts) == 3  # the code is the same: judged once


def test_changed_tests_are_judged_again(tmp_path, seed_problems):
    problem = seed_problems[0]
    collect_traces([problem], [ScriptedTeacher(mistakes=False)], tmp_path, workers=1)
    stricter = replace(problem, tests=replace(problem.tests, asserts=("assert False",)))
    [trace] = collect_traces([stricter], [ScriptedTeacher(mistakes=False)], tmp_path, workers=1).traces
    assert trace.verdict.status == "failed"


def test_a_refused_request_is_told_and_tried_again(tmp_path, seed_problems):
    class Moody(ScriptedTeacher):
        calm = False

        def replies(self, requests):
            for request, problem in requests:
                if not self.calm and problem.id == seed_problems[1].id:
                    yield [(request, Reply("", error="503 overloaded, key hf_abcdefghijklmnopqrstuvwxyz"))]
                else:
                    yield from super().replies([(request, problem)])

    teacher = Moody(mistakes=False)
    collected = collect_traces(seed_problems[:3], [teacher], tmp_path, workers=1)
    [(request, reason)] = collected.refused
    assert request.problem_id == seed_problems[1].id and reason == "503 overloaded, key <secret>"
    assert len(collected.traces) == 2
    teacher.calm = True
    assert "<secret>" in (tmp_path / "journal.jsonl").read_text() and "hf_abc" not in str(
        lines(tmp_path / "journal.jsonl")
    )
    assert len(collect_traces(seed_problems[:3], [teacher], tmp_path, workers=1).traces) == 3


def test_problems_of_one_id_are_refused(tmp_path):
    rows = {"a": ("Add a and b.", "assert f(2, 3) == 5"), "b": ("Multiply a and b.", "assert f(2, 3) == 6")}
    both = []
    for name, (prompt, test) in rows.items():
        path = tmp_path / f"{name}.jsonl"
        path.write_text(json.dumps({"prompt": prompt, "entry_point": "f", "tests": [test]}) + "\n")
        both += load_problems(str(path))
    with pytest.raises(InputError, match="'jsonl/0' twice.*'id' of their own"):
        collect_traces(both, [ScriptedTeacher()], tmp_path / "o", workers=1)
    assert not (tmp_path / "o").exists()


def test_a_teacher_given_twice_is_refused_before_it_is_asked(tmp_path, seed_problems):
    class Asked(ScriptedTeacher):
        def replies(self, requests):
            raise AssertionError("asked")

    with pytest.raises(InputError, match="same request to 'a very large.*twice.*once"):
        collect_traces(seed_problems[:2], [Asked(), Asked()], tmp_path / "o", workers=1)


def test_recorded_replies_of_both_forms(tmp_path, shared_data):
    problems = load_problems("mbpp", path=shared_data / "mbpp.jsonl")
    problems = [p for p in problems if p.split in ("train", "validation")][85:115]
    teachers = [RecordedTeacher(shared_data / name) for name in ("mbpp_traces.jsonl", "teacher_responses.jsonl")]
    collected = collect_traces(problems, teachers, tmp_path, workers=1)
    rows = {(row["teacher"], row["recipe"]): row for row in collected.pass_rates()}
    large = "a very large language model, 2026"
    assert rows[large, "backward"]["pass_rate"] == rows[large, "forward"]["pass_rate"] == 1.0
    assert 0 < rows["gpt-3.5-turbo", "forward"]["passed"] < rows["gpt-3.5-turbo", "forward"]["replies"]
    assert all(trace.code and trace.reasoning for trace in collected.traces if trace.teacher == large)


def test_replies_are_judged_while_others_are_on_their_way(tmp_path, seed_problems):
    passed = threading.Event()

    class Slow(ScriptedTeacher):
        """Gives its last reply only after the first ones have their verdicts."""

        def replies(self, requests):
            answers = [answer for batch in super().replies(requests) for answer in batch]
            yield answers[:-1]
            assert passed.wait(60), "nothing was judged before the last reply"
            yield answers[-1:]

    def progress(stage, done, total):
        if stage == "passed" and (done, total) == (11, 11):
            passed.set()

    collected = collect_traces(seed_problems, [Slow(mistakes=False)], tmp_path, workers=1, progress=progress)
    assert collected.statuses() == {"passed": 12}
    kinds = [record["kind"] for record in lines(tmp_path / "journal.jsonl")]
    assert kinds == ["reply"] * 11 + ["verdict"] * 11 + ["reply", "verdict"]


def test_a_reply_counts_once_it_is_on_disk(tmp_path, seed_problems):
    counted = []

    def progress(stage, done, total):
        if stage == "replies":
            assert sum(record["kind"] == "reply" for record in lines(tmp_path / "journal.jsonl")) == done
            counted.append(done)

    class OneByOne(ScriptedTeacher):
        def replies(self, requests):
            for batch in super().replies(requests):
                yield from ([answer] for answer in batch)

    collect_traces(seed_problems, [OneByOne()], tmp_path, workers=1, progress=progress)
    assert counted == list(range(25))


def test_trouble_while_judging_ends_the_asking(tmp_path, seed_problems):
    class Trouble(Exception):
        pass

    def progress(stage, done, total):
        if stage == "verified" and threading.current_thread() is not threading.main_thread():
            raise Trouble

    asked = []

    class Endless(ScriptedTeacher):
        def replies(self, requests):
            for batch in super().replies(requests):
                for answer in batch:
                    asked.append(answer)
                    yield [answer]
                    time.sleep(0.25)

    with pytest.raises(Trouble):
        collect_traces(seed_problems, [Endless()], tmp_path, workers=1, progress=progress)
    assert len(asked) < 24, "went on paying for replies that nobody could judge"
    assert not [thread for thread in threading.enumerate() if thread.name == "judge"]


def start(out, *more):
    command = [*RUN, "--problems", "seed", "--limit", "40", "--teacher", "scripted", "--out", str(out), *more]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_ALLOW_CODE_EVAL": "1"}
    return subprocess.Popen(
        [*command, "--workers", "1"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_killed_again_and_again_it_ends_as_if_never_killed(tmp_path):
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    _, errors = start(undisturbed).communicate()
    journal = disturbed / "journal.jsonl"
    rng, kills = random.Random(7), 0
    while kills < 3:
        size = journal.stat().st_size if journal.exists() else 0
        process = start(disturbed)
        while process.poll() is None and (not journal.exists() or journal.stat().st_size <= size):
            time.sleep(0.01)
        time.sleep(rng.random() * 0.2)
        if process.poll() is not None:
            process.communicate()
            break
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += 1
    assert kills >= 1, "every run ended before it could be killed"
    process = start(disturbed)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    records = [(r["kind"], r["key"]) for r in lines(journal)]
    assert max(Counter(records).values()) == 1, "a reply or a verdict was made twice"

    def stable(path):  # CPU seconds differ from run to run
        return sorted(json.dumps({**r, "cpu_seconds": 0}, sort_keys=True) for r in lines(path))

    assert stable(journal) == stable(undisturbed / "journal.jsonl")
    assert (disturbed / "README.md").read_text() == (undisturbed / "README.md").read_text()


def test_shards_part_the_problems_and_merge_into_the_whole(tmp_path, seed_problems):
    from hf_structdistill.cli._traces_problems import part_of
    from hf_structdistill.teachers import merge_journals

    parts = [part_of(seed_problems, f"{index}/3") for index in range(3)]
    assert sorted(p.id for part in parts for p in part) == sorted(p.id for p in seed_problems)
    assert part_of(seed_problems[::-1], "1/3") == parts[1][::-1]
    for index, part in enumerate(parts):
        collect_traces(part, [ScriptedTeacher()], tmp_path / str(index), workers=1)
    added = merge_journals(tmp_path / "all", [tmp_path / str(index) for index in range(3)])
    assert merge_journals(tmp_path / "all", [tmp_path / "0"]) == 0
    size = (tmp_path / "all" / "journal.jsonl").stat().st_size
    collected = collect_traces(seed_problems, [ScriptedTeacher()], tmp_path / "all", workers=1)
    assert collected.resumed == 24 == added // 2 and all(trace.verdict for trace in collected.traces)
    assert (tmp_path / "all" / "journal.jsonl").stat().st_size == size
    for wrong in ("3/3", "x", "-1/2", "1/"):
        with pytest.raises(InputError, match="i/n"):
            part_of(seed_problems, wrong)
    with pytest.raises(InputError, match="journal"):
        merge_journals(tmp_path / "all", [tmp_path / "nothing"])


def traces_command(*arguments):
    """The command in this process: quicker than starting one."""
    import typer
    from typer.testing import CliRunner

    from hf_structdistill.cli import traces

    app = typer.Typer()
    traces.register(app)
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def test_shards_on_the_command_line(tmp_path):
    common = ["--problems", "seed", "--limit", "8", "--teacher", "scripted", "--workers", "1"]
    for index in range(2):
        assert traces_command(*common, "--shard", f"{index}/2", "--out", tmp_path / str(index)).exit_code == 0
    merge = ["--merge", tmp_path / "0", "--merge", tmp_path / "1"]
    done = traces_command(*common, *merge, "--out", tmp_path / "all")
    assert "32 replies and verdicts taken over" in done.stderr
    assert "16 replies were already in the journal" in done.stdout
    assert traces_command(*common, "--out", tmp_path / "one").exit_code == 0
    for name in ("sft", "traces"):
        merged, whole = (sorted((tmp_path / run / name).iterdir()) for run in ("all", "one"))
        assert [path.name for path in merged] == [path.name for path in whole]  # named by their content
    assert (tmp_path / "all" / "README.md").read_text() == (tmp_path / "one" / "README.md").read_text()


def test_a_request_file_is_written_and_nothing_asked(tmp_path):
    path, out = tmp_path / "requests.jsonl", tmp_path / "out"
    common = ["--problems", "seed", "--limit", "3", "--out", out]
    asked = ["--teacher", "some/model", "--recipes", "forward,backward", "--temperature", "0", "--temperature", "0.8"]
    done = traces_command(*common, *asked, "--export-requests", path)
    assert done.exit_code == 0 and "12 requests written" in done.stdout and not out.exists()
    replies = []
    for row in lines(path):
        content = "1. Set x." if "#backward#" in row["custom_id"] else "```python\nx = 1\n```"
        body = {"choices": [{"message": {"content": content}, "finish_reason": "stop"}]}
        replies.append(json.dumps({"custom_id": row["custom_id"], "response": {"status_code": 200, "body": body}}))
    (tmp_path / "replies.jsonl").write_text("\n".join(replies) + "\n")
    done = traces_command(*common, "--teacher", f"recorded:{tmp_path / 'replies.jsonl'}", "--workers", "1")
    assert done.exit_code == 0 and "backward" in done.stdout and "6/6" in done.stdout and "0/6" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--problems", "mbbp", "--teacher", "scripted"], ["mbpp_plus", "'mbbp'"]),
        (["--problems", "seed", "--teacher", "oracle"], ["recorded:FILE", "'oracle'"]),
        (["--problems", "seed", "--teacher", "recorded:nowhere.jsonl"], ["nowhere.jsonl"]),
        (["--problems", "seed", "--teacher", "scripted", "--decontaminate", "x"], ["NAME=FILE", "'x'"]),
        (["--problems", "seed", "--split", "dev", "--teacher", "scripted"], ["train, test", "'dev'"]),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(tmp_path, arguments, parts):
    done = subprocess.run(
        [*RUN, *arguments, "--out", str(tmp_path / "o")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("error: ")
    assert all(part in done.stderr for part in parts), done.stderr


def test_replies_to_other_problems_are_an_error(tmp_path):
    (tmp_path / "r.jsonl").write_text('{"task_id": 601, "response": "x"}\n')
    arguments = ["--problems", "seed", "--teacher", f"recorded:{tmp_path / 'r.jsonl'}", "--out", str(tmp_path / "o")]
    done = subprocess.run([*RUN, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "'seed/" in done.stderr and "Traceback" not in done.stderr


def test_an_unwritable_folder_is_an_error(tmp_path, seed_problems):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="--out"):
        collect_traces(seed_problems, [ScriptedTeacher()], tmp_path / "file" / "below")
