"""Prompt recipes: what a student is asked, where its answer ends, and how the code is read from it."""

import pytest
from tiny_students import PROBLEMS

from hf_structdistill.errors import InputError
from hf_structdistill.evaluation import bits_per_byte, generate_completions, load_student, score_completions
from hf_structdistill.evaluation.completion import Sample, read_code
from hf_structdistill.evaluation.prompts import StudentPrompt, choose_format, make_prompts
from hf_structdistill.evaluation.recipes import check_shots, load_recipe, task_and_tests
from hf_structdistill.problems import load_problems
from hf_structdistill.problems.prompting import student_prompt

DOUBLE = PROBLEMS[0]


@pytest.fixture(scope="module")
def mbpp_file(shared_data):
    return shared_data / "mbpp.jsonl"


def test_zero_shot_is_what_a_student_is_trained_on():
    prompts = make_prompts(PROBLEMS, "plain")
    assert [asked.prompt for asked in prompts] == [student_prompt(problem) for problem in PROBLEMS]
    (message,) = make_prompts(PROBLEMS[:1], "chat")[0].prompt
    assert message == {"role": "user", "content": student_prompt(DOUBLE).strip()}


def test_three_shots_are_mbpp_s_own_tasks_in_its_own_format(mbpp_file):
    recipe = load_recipe("mbpp_3shot", shots_file=mbpp_file)
    (problem,) = load_problems("mbpp", path=mbpp_file, split="test", limit=1)
    asked = recipe.render(problem)
    tasks = asked.text.split("You are an expert Python programmer, and here is your task: ")
    assert len(tasks) == 5
    assert [task.split("(")[0].split()[-1] for task in tasks[1:4]] == [
        "similar_elements",
        "is_not_prime",
        "heap_queue_largest",
    ]
    assert all(task.endswith("\n[DONE]\n\n") for task in tasks[1:4])
    assert tasks[4] == (
        "Write a python function to remove first and last occurrence of a given character from the string. "
        'Your code should pass these tests:\n\nassert remove_Occ("hello","l") == "heo"\n'
        'assert remove_Occ("abcda","a") == "bcd"\nassert remove_Occ("PHP","P") == "H"\n[BEGIN]\n'
    )
    assert (asked.reads, asked.stop, asked.format) == ("code", ("[DONE]",), "plain")
    assert recipe.facts()["shots"] == ["mbpp/2", "mbpp/3", "mbpp/4"]


def test_what_a_prompt_solves_is_not_asked(mbpp_file, tmp_path):
    recipe = load_recipe("mbpp_3shot", shots_file=mbpp_file)
    with pytest.raises(InputError, match="shows the solution of mbpp/2, mbpp/3, mbpp/4"):
        check_shots(recipe, load_problems("mbpp", path=mbpp_file, split="prompt"))
    check_shots(recipe, load_problems("mbpp", path=mbpp_file, split="test", limit=3))
    few = tmp_path / "few.jsonl"
    few.write_text("".join(mbpp_file.read_text().splitlines(keepends=True)[4:12]))
    with pytest.raises(InputError, match="MBPP's task 2"):
        load_recipe("mbpp_3shot", shots_file=few)


def test_a_base_model_continues_code(shared_data):
    recipe = load_recipe("completion")
    (problem,) = load_problems("humaneval", path=shared_data / "humaneval.jsonl.gz", limit=1)
    asked = recipe.render(problem)
    assert (asked.text, asked.reads) == (problem.prompt, "continues")
    body = problem.reference.removeprefix(problem.prompt)
    result = score_completions([problem], [Sample(body, "continues")], name="base")
    assert result.pass_at_1 == 1.0
    assert result.records[0].dataflow == 1.0
    task = recipe.render(DOUBLE)
    assert (task.text, task.reads) == ('"""\nWrite double(n).\n"""\n\n', "code")
    with pytest.raises(InputError, match="a chat message cannot"):
        make_prompts([problem], "chat", recipe)


def test_text_and_tests_of_a_task_are_told_apart(mbpp_file):
    (problem,) = load_problems("mbpp", path=mbpp_file, split="test", limit=1)
    text, tests = task_and_tests(problem)
    assert text.endswith("from the string.")
    assert tests == list(problem.tests.asserts)
    assert task_and_tests(DOUBLE) == ("Write double(n).", [])


@pytest.mark.parametrize(
    ("text", "reads", "code"),
    [
        ("def double(n):\n    return n * 2\n[DONE]\n\nYou are", "code", "def double(n):\n    return n * 2\n"),
        ("Sure.\n[BEGIN]\nx = 1\n[DONE]", "code", "x = 1\n"),
        ("def double(n:\n", "code", "def double(n:\n"),  # what does not parse is still the program
        ("Here:\n```python\nx = 1\n```\n", "code", "x = 1\n"),
        ("x = '```'\n", "code", "x = '```'\n"),
        (" \n[DONE]", "code", None),
        ("", "continues", None),
        ("I think.\n```python\nx = 1\n```", "answer", "x = 1\n"),
    ],
)
def test_code_is_read_as_the_prompt_asked_for_it(text, reads, code):
    assert read_code(text, DOUBLE, reads).code == code


def test_a_user_s_recipe_ends_and_reads_as_it_says(good_student, tmp_path):
    path = tmp_path / "mine.jinja"
    path.write_text('{% set stop = "turn" %}{% set reads = "code" %}{{ student_prompt }}\n')
    recipe = load_recipe(str(path))
    assert recipe.name == "mine.jinja"
    (asked,) = make_prompts([DOUBLE], "plain", recipe)
    assert asked.stop == ("turn",)
    model, tokenizer = load_student(good_student)
    (text,) = generate_completions(model, tokenizer, [asked.prompt], max_new_tokens=90, stop=asked.stop)
    assert text.endswith("\n    re")
    assert choose_format(str(good_student), "auto", "plain") == "plain"
    path.write_text("{{ problem.id }}")
    assert load_recipe(str(path)).facts()["sha256"] != recipe.facts()["sha256"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{% if %}", "Expected a Jinja template in 'broken.jinja'"),
        ("{{ nothing }}", "'nothing' is undefined"),
        ('{% set reads = "mind" %}x', 'to set reads to "answer", "code", "continues"; found \'mind\''),
        ('{% set format = "xml" %}x', "to set format"),
        ("{# nothing #}", "to give a text, found none"),
    ],
)
def test_a_broken_recipe_is_named_in_one_line(source, message, tmp_path):
    path = tmp_path / "broken.jinja"
    path.write_text(source)
    with pytest.raises(InputError) as caught:
        load_recipe(str(path)).render(DOUBLE)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"\(completion, mbpp_3shot, zero_shot\) or a Jinja file, found 'missing'"):
        load_recipe("missing")


def test_bits_are_measured_on_what_the_prompt_asks_for(good_student):
    model, tokenizer = load_student(good_student)
    prompts = [student_prompt(p) + f"1. I write {p.entry_point}.\n\n```python\n" for p in PROBLEMS]
    bare = bits_per_byte(model, tokenizer, PROBLEMS, prompts=[StudentPrompt(text, "code") for text in prompts])
    fenced = bits_per_byte(model, tokenizer, PROBLEMS, prompts=prompts)
    assert bare < fenced / 5  # a second fence is the last thing it expects
