"""Recorded and scripted teachers: what they ask and what they answer."""

import json
from dataclasses import replace

import pytest

from hf_structdistill.errors import InputError
from hf_structdistill.problems import load_problems
from hf_structdistill.sandbox import Verdict
from hf_structdistill.teachers import RecordedTeacher, Reply, ScriptedTeacher
from hf_structdistill.teachers.batch import write_requests
from hf_structdistill.teachers.inference import InferenceTeacher
from hf_structdistill.teachers.reading import read_reply


def replies(teacher, problems):
    asked = [(request, problem) for problem in problems for request in teacher.requests(problem)]
    return [answer for batch in teacher.replies(asked) for answer in batch]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_plans_and_replies_of_one_file(shared_data):
    problems = load_problems("mbpp", split="train", path=shared_data / "mbpp.jsonl")
    teacher = RecordedTeacher(shared_data / "mbpp_traces.jsonl")
    found = replies(teacher, problems)
    assert len(found) == 2 * 374 and teacher.unused == []
    assert {request.teacher for request, _ in found} == {"a very large language model, 2026"}
    backward, forward = found[0], found[1]
    assert (backward[0].recipe, forward[0].recipe) == ("backward", "forward")
    assert "```" not in backward[1].text and "```python" in forward[1].text
    marked = {request.problem_id for request, _ in found if request.sampling.get("unsolvable")}
    assert marked == {"mbpp/899", "mbpp/927"}


def test_replies_of_another_form(shared_data):
    problems = load_problems("mbpp", split="validation", path=shared_data / "mbpp.jsonl")
    teacher = RecordedTeacher(shared_data / "teacher_responses.jsonl")
    found = replies(teacher, problems)
    assert len(found) == 42
    request, reply = found[0]
    assert request.messages[0]["content"].startswith("'''\nWrite a python function") and "```python" in reply.text
    assert len(teacher.unused) == 111


def test_recipes_can_be_chosen(shared_data):
    problems = load_problems("mbpp", split="train", path=shared_data / "mbpp.jsonl", limit=3)
    for recipe in ("backward", "forward"):
        teacher = RecordedTeacher(shared_data / "mbpp_traces.jsonl", recipes=[recipe])
        assert [request.recipe for request, _ in replies(teacher, problems)] == [recipe] * 3
    with pytest.raises(InputError, match="sideways"):
        RecordedTeacher(shared_data / "mbpp_traces.jsonl", recipes=["sideways"])


def test_several_rows_for_one_problem_are_several_samples(tmp_path):
    path = write(tmp_path / "r.jsonl", [{"problem_id": "seed/strings/01", "response": text} for text in "abc"])
    problem = next(p for p in load_problems("seed") if p.id == "seed/strings/01")
    found = replies(RecordedTeacher(path), [problem])
    assert [(request.sample, reply.text) for request, reply in found] == [(0, "a"), (1, "b"), (2, "c")]
    assert len({request.key for request, _ in found}) == 3


@pytest.mark.parametrize(
    ("row", "part"),
    [
        ({"task_id": 1}, "'response'"),
        ({"response": "x"}, "'task_id'"),
        ({"task_id": 1, "response": 3}, "'response'"),
        ({"task_id": 1, "response": "x", "prompt": [{"role": "user", "content": "Add"}]}, "'prompt'"),
        ({"task_id": 1, "response": "x", "plan": ["step"]}, "'plan'"),
        ({"task_id": 1, "response": "x", "reasoning_content": ["step"]}, "'reasoning_content'"),
        ({"task_id": 1, "response": "x", "finish_reason": 0}, "'finish_reason'"),
        ({"task_id": 1, "response": "x", "sampling": "greedy"}, "'sampling'"),
        ({"task_id": 1, "response": "x", "usage": 5}, "'usage'"),
        ({"task_id": 1, "response": "x", "usage": {"completion_tokens": "12"}}, "'completion_tokens' in 'usage'"),
        ({"custom_id": "a/1#forward#0#0", "response": "x"}, "'response'"),
        ({"custom_id": "a/1#forward#0#0", "response": {"body": "x"}}, "'body' in 'response'"),
    ],
)
def test_a_bad_row_is_named(tmp_path, row, part):
    path = write(tmp_path / "r.jsonl", [{"task_id": 601, "response": "ok"}, row])
    with pytest.raises(InputError) as error:
        RecordedTeacher(path)
    assert part in str(error.value) and "row 2" in str(error.value)


def test_a_request_file_and_the_replies_of_a_batch_api(tmp_path):
    problems = load_problems("seed", limit=3)
    asked = InferenceTeacher("m/m", recipes=("forward", "backward"), temperatures=(0.0, 0.9))
    requests = [request for problem in problems for request in asked.requests(problem)]
    assert write_requests(tmp_path / "requests.jsonl", requests) == 12
    sent = [json.loads(line) for line in (tmp_path / "requests.jsonl").read_text().splitlines()]
    assert sent[0]["body"]["model"] == "m/m" and sent[1]["body"]["temperature"] == 0.9
    answers = []
    for row in sent[:-1]:
        message = {"role": "assistant", "content": row["custom_id"], "reasoning_content": "Hm."}
        body = {"choices": [{"message": message, "finish_reason": "stop"}], "usage": {"completion_tokens": 7}}
        answers.append({"custom_id": row["custom_id"], "response": {"status_code": 200, "body": body}, "error": None})
    answers.append({"custom_id": sent[-1]["custom_id"], "response": None, "error": {"code": "expired"}})
    teacher = RecordedTeacher(write(tmp_path / "replies.jsonl", answers))
    found = replies(teacher, problems)
    assert len(found) == 11 and teacher.failed == 1
    assert all(reply.text.startswith(f"{request.problem_id}#{request.recipe}#") for request, reply in found)
    assert len({request.key for request, _ in found}) == 11 and found[0][1].completion_tokens == 7
    with pytest.raises(InputError, match="row 1.*--export-requests"):
        RecordedTeacher(write(tmp_path / "other.jsonl", [{"custom_id": "x", "response": {}}]))


def test_a_recorded_plan_that_was_cut_or_is_empty_is_told(tmp_path):
    problems = load_problems("seed", limit=3)
    usage = {"prompt_tokens": 9, "completion_tokens": 7}
    rows = [
        {"problem_id": problems[0].id, "plan": "1. Take", "finish_reason": "length", "usage": usage},
        {"problem_id": problems[1].id, "plan": ""},
        {"problem_id": problems[2].id, "plan": "1. Add.", "response": "x = 1", "finish_reason": "length"},
    ]
    found = replies(RecordedTeacher(write(tmp_path / "r.jsonl", rows), recipes=["backward"]), problems)
    asked = dict(zip([problem.id for problem in problems], problems, strict=True))
    statuses = [read_reply(request, asked[request.problem_id], reply).extraction for request, reply in found]
    assert statuses == ["cut_plan", "no_plan", "ok"]  # the last row's finish_reason is of its response
    assert found[0][1].completion_tokens == 7


def batch_row(problem, content, model=None, **more):
    body = {"choices": [{"message": {"content": content}, "finish_reason": "stop"}], "model": model}
    return {"custom_id": f"{problem.id}#forward#0", "response": {"status_code": 200, "body": body}, **more}


def test_rows_of_a_batch_are_of_the_model_they_name_and_failed_ones_are_told(tmp_path):
    problems = load_problems("seed", limit=4)
    failed = {"custom_id": f"{problems[2].id}#forward#0", "response": {"status_code": 500, "body": {}}}
    rows = [batch_row(problems[0], "x = 1", "gpt-x"), batch_row(problems[1], "x = 1", "/srv/somebody/Big-70B")]
    rows += [failed, batch_row(problems[2], " \n", "gpt-x"), batch_row(problems[3], "x = 1"), {**rows[0]}]
    rows[-1]["custom_id"] = "SEED/0#forward#0"
    path = write(tmp_path / "rep.jsonl", rows)
    teacher = RecordedTeacher(path)
    found = [(request.problem_id, request.teacher) for request, _ in replies(teacher, problems)]
    labels = ["gpt-x", "Big-70B", "recorded: rep.jsonl"]
    assert found == list(zip([problems[n].id for n in (0, 1, 3)], labels, strict=True))
    said = teacher.left_out()
    assert len(said) == 2 and "2 requests failed" in said[0] and "1 ids" in said[1] and "(SEED/0)" in said[1]
    assert {request.teacher for request, _ in replies(RecordedTeacher(path, label="me"), problems)} == {"me"}
    plain = write(tmp_path / "plain.jsonl", [{"problem_id": problems[0].id, "response": "x", "model": "gpt-x"}])
    assert [request.teacher for request, _ in replies(RecordedTeacher(plain), problems)] == ["recorded: plain.jsonl"]


def test_rows_of_a_batch_whose_content_is_in_parts(tmp_path):
    problems = load_problems("seed", limit=2)
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, {"type": "text", "text": "x = 1"}]
    path = write(tmp_path / "r.jsonl", [batch_row(problem, parts) for problem in problems])
    found = replies(RecordedTeacher(path), problems)
    assert [(reply.text, reply.reasoning_content) for _, reply in found] == [("x = 1", "Hm.")] * 2
    for content in (7, [7], {"type": "text", "text": 7}):
        write(path, [batch_row(problems[0], "x"), batch_row(problems[1], content)])
        with pytest.raises(InputError, match="row 2, found another form: text was expected, int"):
            RecordedTeacher(path)


def test_rows_of_a_table_have_columns_of_each_other(tmp_path):
    problems = load_problems("seed", limit=3)
    rows = [batch_row(problems[0], "x = 0"), {"task_id": problems[1].id, "response": "x = 1"}]
    rows.append({"problem_id": problems[2].id, "response": "x = 2"})
    columns = dict.fromkeys(name for row in rows for name in row)
    path = write(tmp_path / "r.jsonl", [{**columns, **row} for row in rows])
    assert [reply.text for _, reply in replies(RecordedTeacher(path), problems)] == ["x = 0", "x = 1", "x = 2"]


def test_a_request_file_is_of_one_model(tmp_path):
    problems = load_problems("seed", limit=2)
    requests = [r for name in ("a/x", "b/y") for p in problems for r in InferenceTeacher(name).requests(p)]
    with pytest.raises(InputError, match="one model for a file, found a/x, b/y"):
        write_requests(tmp_path / "requests.jsonl", requests)
    assert not (tmp_path / "requests.jsonl").exists()


def test_replies_recorded_of_a_model_are_not_its_own_attempts():
    """A teacher that is asked may have the name of one whose replies lie in a file."""
    problem = load_problems("seed", limit=1)[0]
    teacher = InferenceTeacher("gpt-x", recipes=("forward", "repair"))
    [request] = teacher.requests(problem)
    recorded = replace(request, revision="sha256:0", sampling={"sample": 3}, sample=3)
    traces = [
        replace(read_reply(asked, problem, Reply("```python\nx = 1\n```")), verdict=Verdict("failed"))
        for asked in (recorded, request)
    ]
    [repair] = teacher.follow_up(problem, traces)
    assert repair.sample == 0


def test_keys_tell_apart_what_can_change_a_reply():
    problem = load_problems("seed", limit=1)[0]
    request = ScriptedTeacher().requests(problem)[0]
    variants = [
        replace(request, sampling={"temperature": 0.5}),
        replace(request, messages=({"role": "user", "content": "other"},)),
        replace(request, revision="other"),
        replace(request, teacher="other"),
        replace(request, recipe="backward"),
        replace(request, sample=1),
    ]
    assert len({request.key, *(variant.key for variant in variants)}) == 1 + len(variants)
    assert request.key == ScriptedTeacher().requests(problem)[0].key


def test_scripted_teacher_writes_the_reasoning_then_the_code():
    problem = load_problems("listops", split="train", limit=1)[0]
    (right, right_reply), (wrong, wrong_reply) = replies(ScriptedTeacher(), [problem])
    assert (right.recipe, wrong.recipe) == ("forward", "mistake")
    assert right_reply.text == f"{problem.metadata['reasoning']}\n\n```python\n{problem.reference}```\n"
    assert problem.metadata["wrong_solution"] in wrong_reply.text
    assert len(replies(ScriptedTeacher(mistakes=False), [problem])) == 1


def test_scripted_teacher_passes_over_what_it_does_not_know(shared_data):
    problem = load_problems("humaneval", path=shared_data / "humaneval.jsonl.gz", limit=1)[0]
    assert ScriptedTeacher().requests(problem) == []
