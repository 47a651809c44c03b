"""InferenceTeacher against a real HTTP server on loopback: faults, kills, limits. Nothing is patched."""

import asyncio
import io
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from hf_structdistill.errors import InputError
from hf_structdistill.problems import load_problems
from hf_structdistill.problems.prompting import format_completion
from hf_structdistill.sandbox import Verdict
from hf_structdistill.teachers import Reply, collect_traces, select_examples
from hf_structdistill.teachers.inference import InferenceTeacher, _seconds
from hf_structdistill.teachers.limits import Budget
from hf_structdistill.teachers.reading import read_reply

sys.path.insert(0, str(Path(__file__).parent))
from chat_server import request_key  # noqa: E402

PRELOAD = [
    "hf_structdistill.teachers.collect",
    "hf_structdistill.teachers.inference",
    "hf_structdistill.teachers.transport",
    "hf_structdistill.scoring",
    "huggingface_hub.inference._generated._async_client",
    "jinja2",
]


def problems(count, *, tests=False):
    """Seed problems; without tests no sandbox is needed."""
    chosen = load_problems("seed", split="train", limit=count)
    return chosen if tests else [replace(problem, tests=None) for problem in chosen]


@pytest.fixture(scope="module")
def processes():
    """Starts clients quickly: a fork server that has imported everything, and was not told to stay offline."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    offline = os.environ.pop("HF_HUB_OFFLINE", None)
    try:
        starter = context.Process(target=int)
        starter.start()
        starter.join()
        yield context
    finally:
        if offline is not None:
            os.environ["HF_HUB_OFFLINE"] = offline


@pytest.fixture
def server(tmp_path):
    """Starts chat servers; ends those it started."""
    started = []

    def start(answers=None, **options):
        folder = tmp_path / f"server{len(started)}"
        folder.mkdir()
        if answers is None:
            answers = {
                p.entry_point: {
                    "content": format_completion(p.metadata["reasoning"], p.reference),
                    "plan": p.metadata["reasoning"],
                }
                for p in load_problems("seed")
            }
        (folder / "answers.json").write_text(json.dumps(answers))
        command = [sys.executable, Path(__file__).with_name("chat_server.py")]
        for name, value in {
            "answers": folder / "answers.json",
            "log": folder / "log",
            "port-file": folder / "port",
        }.items():
            command += [f"--{name}", value]
        for name, value in options.items():
            command += [f"--{name}", str(value)]
        process = subprocess.Popen(command)
        started.append(process)
        while not (folder / "port").exists():
            assert process.poll() is None
            time.sleep(0.01)
        url = f"http://127.0.0.1:{(folder / 'port').read_text()}/v1"
        return url, folder / "log"

    yield start
    for process in started:
        process.kill()
        process.wait()


def client(channel, url, out, count, tests, options):
    """Runs in a process of its own: one collect_traces, its result or its error sent back."""
    budget = Budget(**options.pop("budget", {}))
    options = {"backoff": 0.02, "token": "x" * 10, **options}
    try:
        teacher = InferenceTeacher("test/teacher", base_url=url, budget=budget, **options)
        collected = collect_traces(problems(count, tests=tests), [teacher], out, workers=1)
        channel.send((collected, budget.tokens))
    except InputError as error:
        channel.send(error)


def run(starter, url, out, count=10, tests=False, **options):
    here, there = starter.Pipe()
    process = starter.Process(target=client, args=(there, url, str(out), count, tests, options))
    process.start()
    there.close()
    result = here.recv()
    process.join()
    if isinstance(result, Exception):
        raise result
    return result


def events(log, event):
    return [r["key"] for r in map(json.loads, log.read_text().splitlines()) if r["event"] == event]


def test_replies_are_asked_for_judged_and_counted(processes, server, tmp_path):
    url, log = server()
    collected, tokens = run(processes, url, tmp_path / "o", 6, tests=True)
    assert [trace.verdict.status for trace in collected.traces] == ["passed"] * 6
    trace = collected.traces[0]
    assert trace.teacher == "test/teacher" and trace.tokens == 50 and trace.finish_reason == "stop"
    assert dict(trace.sampling) == {"temperature": 0.2, "max_tokens": 2048, "seed": 0}
    assert "must define `" in trace.messages[0]["content"] and trace.reasoning.startswith("1.")
    assert tokens == 6 * 150 and len(events(log, "sent")) == 6


def test_passing_faults_are_met_with_another_try(processes, server, tmp_path):
    faults = "429,500,disconnect,malformed,empty,blank,429-date,other,router"
    url, log = server(faults=faults)
    collected, _ = run(processes, url, tmp_path / "o", 24)
    assert len(collected.traces) == 24 and not collected.refused
    assert all(trace.code for trace in collected.traces)
    assert set(Counter(events(log, "arrived")).values()) == {2}


def test_a_blank_reply_is_never_stored_and_thoughts_alone_are_a_reply(processes, server, tmp_path):
    first, second = problems(2)
    thinking = {"content": "", "reasoning_content": "Hm, let me", "finish_reason": "length"}
    url, log = server({first.entry_point: {"content": ""}, second.entry_point: thinking})
    for asked in (4, 7):  # three tries in each run; the reply that has thoughts is asked for once
        collected, _ = run(processes, url, tmp_path / "o", 2, retries=2)
        [(request, reason)] = collected.refused
        assert request.problem_id == first.id and "without content" in reason
        assert [(t.problem_id, t.extraction) for t in collected.traces] == [(second.id, "no_code")]
        assert len(events(log, "arrived")) == asked
    records = [json.loads(line) for line in (tmp_path / "o" / "journal.jsonl").read_text().splitlines()]
    assert [r["request"]["problem_id"] for r in records if r["kind"] == "reply"] == [second.id]


def test_several_processes_ask_for_each_reply_once(processes, server, tmp_path):
    url, log = server(faults="429,500,disconnect", latency=0.02)
    collected, tokens = run(processes, url, tmp_path / "o", 40, processes=2, concurrency=8)
    assert len(collected.traces) == 40 and not collected.refused and tokens == 40 * 150
    assert set(Counter(events(log, "sent")).values()) == {1} and len(events(log, "sent")) == 40
    again, tokens = run(processes, url, tmp_path / "o", 40, processes=2, concurrency=8)
    assert again.resumed == 40 and len(events(log, "sent")) == 40 and tokens == 40 * 150


def test_processes_that_ask_end_with_the_one_that_started_them(processes, server, tmp_path):
    url, log = server(latency=1.0)
    options = {"processes": 2, "concurrency": 4}
    _, there = processes.Pipe()
    process = processes.Process(target=client, args=(there, url, str(tmp_path / "o"), 200, False, options))
    process.start()
    while len(events(log, "arrived")) < 6:
        time.sleep(0.02)
        assert process.is_alive()
    process.kill()
    process.join()
    time.sleep(0.5)  # what was on its way has arrived, and is not answered yet
    mark = len(events(log, "arrived"))
    time.sleep(1.0)  # now it is
    assert len(events(log, "arrived")) == mark


def test_a_process_that_asks_hands_over_why_it_ended(processes, server, tmp_path):
    url, _ = server(faults="401")
    with pytest.raises(InputError, match="hf auth login"):
        run(processes, url, tmp_path / "o", 4, processes=2)


def test_how_many_processes_ask():
    assert InferenceTeacher("m/m", concurrency=31)._processes(10_000) == 1
    assert InferenceTeacher("m/m", concurrency=64)._processes(2_000) == 1
    assert InferenceTeacher("m/m", concurrency=64, processes=4)._processes(100) == 4
    limited = InferenceTeacher("m/m", concurrency=64, processes=4, budget=Budget(max_cost=1.0))
    assert limited._processes(10_000) == 1  # it is kept in one place


def test_retry_after_is_waited_for(processes, server, tmp_path):
    url, log = server(faults="429")
    collected, _ = run(processes, url, tmp_path / "o", 1, backoff=0.0)
    assert len(collected.traces) == 1
    first, second = (r["time"] for r in map(json.loads, log.read_text().splitlines()) if r["event"] == "arrived")
    assert second - first >= 0.1  # what the server said


def test_an_endpoint_that_does_not_answer_in_time(processes, server, tmp_path):
    url, log = server(latency=30)
    collected, _ = run(processes, url, tmp_path / "o", 2, retries=1, timeout=0.2)
    assert len(collected.refused) == 2 and len(events(log, "arrived")) == 4
    assert all("Timeout" in reason for _, reason in collected.refused), collected.refused


def test_connections_are_pooled_unless_the_user_set_something_up(server, monkeypatch):
    import httpx2
    from huggingface_hub import set_async_client_factory
    from huggingface_hub.utils._http import default_async_client_factory

    from hf_structdistill.teachers.transport import AiohttpTransport, PooledInferenceClient

    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    url, _ = server()

    class Own(httpx2.AsyncClient):
        """What a company behind its own certificates would use."""

    async def ask(send):
        async with PooledInferenceClient(base_url=url, token="x" * 10) as client:
            if send:
                reply = await client.chat_completion([{"role": "user", "content": "hello"}])
                assert reply.choices[0].message.content == "I cannot help with that."
            session = await client._get_async_client()
            return type(session), type(session._transport)

    assert asyncio.run(ask(send=False)) == (httpx2.AsyncClient, AiohttpTransport)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert asyncio.run(ask(send=False))[1] is not AiohttpTransport
    monkeypatch.delenv("HTTPS_PROXY")
    set_async_client_factory(Own)
    try:
        assert asyncio.run(ask(send=True))[0] is Own
    finally:
        set_async_client_factory(default_async_client_factory)


def test_what_keeps_failing_is_told_and_never_stored(processes, server, tmp_path):
    url, log = server(faults="500,always")
    collected, _ = run(processes, url, tmp_path / "o", 4, retries=2)
    assert not collected.traces and len(collected.refused) == 4
    assert all("400" in reason and "not this prompt" in reason for _, reason in collected.refused)
    records = [json.loads(line) for line in (tmp_path / "o" / "journal.jsonl").read_text().splitlines()]
    assert sorted(record["key"] for record in records) == sorted(request.key for request, _ in collected.refused)
    assert all(record["kind"] == "refusal" and "not this prompt" in record["reason"] for record in records)


def test_a_refused_token_ends_the_run_with_what_to_do(processes, server, tmp_path):
    url, _ = server(faults="401")
    with pytest.raises(InputError, match="hf auth login"):
        run(processes, url, tmp_path / "o", 4)


@pytest.mark.parametrize(
    ("arguments", "token", "words"),
    [
        ((), None, ["cannot be asked", "hf auth login"]),
        (("--provider", "nosuch"), "hf_" + "Aa1" * 11, ["cannot be asked", "'nosuch'", "'auto'"]),
        (("--base-url", "localhost:8000"), None, ["--base-url", "http://", "'localhost:8000'"]),
    ],
)
def test_what_can_never_be_sent_is_not_tried_again(tmp_path, arguments, token, words):
    common = ["--problems", "seed", "--limit", "3", "--teacher", "some/model", "--out", str(tmp_path / "o")]
    program = [sys.executable, "-c", "from hf_structdistill.cli import main; main()", "traces", *common, *arguments]
    environment = {key: value for key, value in os.environ.items() if key not in ("HF_HUB_OFFLINE", "HF_TOKEN")}
    environment |= {"HF_HOME": str(tmp_path / "home"), **({"HF_TOKEN": token} if token else {})}
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: ") and all(word in last for word in words), done.stderr
    journal = tmp_path / "o" / "journal.jsonl"
    assert not journal.exists() or not journal.read_text()  # no request was given up for good


def test_an_endpoint_that_is_not_there(processes, tmp_path):
    collected, _ = run(processes, "http://127.0.0.1:9/v1", tmp_path / "o", 2, retries=1)
    assert len(collected.refused) == 2 and "Connect" in collected.refused[0][1]


def test_thoughts_refusals_and_truncated_replies(processes, server, tmp_path):
    first, second, third, fourth = problems(4)
    code = format_completion("", first.reference)
    url, _ = server(
        {
            first.entry_point: {"content": code, "reasoning_content": "1. I think."},
            second.entry_point: {"content": "1. So\n\n```python\ndef f(", "finish_reason": "length"},
            third.entry_point: {"content": f"<think>Let me see.</think>\n{format_completion('', third.reference)}"},
        }
    )
    collected, _ = run(processes, url, tmp_path / "o", 4)
    found = {trace.problem_id: trace for trace in collected.traces}
    assert found[first.id].reasoning == "1. I think." and found[first.id].extraction == "ok"
    assert (found[second.id].extraction, found[second.id].finish_reason) == ("unclosed_fence", "length")
    assert found[third.id].reasoning == "Let me see."
    assert found[fourth.id].extraction == "no_code"


def test_content_and_thoughts_in_parts(processes, server, tmp_path):
    first, second, third, fourth = problems(4)
    code = format_completion("So:", first.reference)
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "I think."}]}
    summary = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "In short."}]}
    url, log = server(
        {
            first.entry_point: {"content": [thinking, {"type": "text", "text": code}]},
            second.entry_point: {"content": [summary, {"type": "text", "text": code[:3]}, {"text": code[3:]}]},
            third.entry_point: {"content": code, "reasoning": {"content": "Hm."}},
            fourth.entry_point: {"content": 7},
        }
    )
    collected, tokens = run(processes, url, tmp_path / "o", 4, retries=1)
    assert [trace.reasoning for trace in collected.traces] == ["I think.\n\nSo:", "In short.\n\nSo:", "Hm.\n\nSo:"]
    assert all(trace.code == first.reference for trace in collected.traces)
    [(request, reason)] = collected.refused
    assert request.problem_id == fourth.id and reason.startswith("a reply in another form: text was expected")
    assert tokens == 150 * len(events(log, "sent")) == 150 * 5  # what cannot be read is paid for, too


def test_an_error_in_the_body_of_an_answer_is_told(processes, server, tmp_path):
    url, log = server(faults="router")
    collected, tokens = run(processes, url, tmp_path / "o", 2, retries=0)
    assert {reason for _, reason in collected.refused} == {"429: provider is full"} and tokens == 0


def test_backward_replies_that_are_no_plan_are_no_examples(processes, server, tmp_path):
    asked = problems(6, tests=True)
    wrong = [
        ("<think>\nOkay, the user gave me a correct solution. I must not", "length"),
        ("1. Count the words, then", "length"),
        ("<think>I have seen it.</think>\n\n", "stop"),
        (format_completion("1. Count.", asked[3].reference), "stop"),
        ("<think>I have seen it.</think>\n1. Count.", "stop"),
        ("1. Sum.", "stop"),
    ]
    answers = [{"plan": text, "plan_finish_reason": why} for text, why in wrong]
    url, _ = server({problem.entry_point: answer for problem, answer in zip(asked, answers, strict=True)})
    collected, _ = run(processes, url, tmp_path / "o", 6, tests=True, recipes=("backward",))
    found = {trace.problem_id: trace for trace in collected.traces}
    statuses = ["unclosed_think", "cut_plan", "no_plan", "code_in_plan", "ok", "ok"]
    assert [found[problem.id].extraction for problem in asked] == statuses
    assert [found[problem.id].code is None for problem in asked] == [True] * 4 + [False] * 2
    assert collected.statuses() == {"passed": 2, **dict.fromkeys(statuses[:4], 1)}
    examples = select_examples(collected.traces, collected.problems)
    assert [example.trace.reasoning for example in examples] == ["1. Count.", "1. Sum."]
    assert all(example.rejected is None for example in examples)


def test_several_samples_and_recipes_are_different_requests(processes, server, tmp_path):
    url, log = server()
    options = {"temperatures": (0.0, 0.8), "recipes": ("forward", "backward")}
    collected, _ = run(processes, url, tmp_path / "o", 3, **options)
    assert len(collected.traces) == 12 and len({trace.key for trace in collected.traces}) == 12
    assert len(set(events(log, "sent"))) == 12
    backward = [trace for trace in collected.traces if trace.recipe == "backward"]
    reference = {problem.id: problem.reference for problem in problems(3)}
    assert all(trace.code == reference[trace.problem_id] for trace in backward)
    again, _ = run(processes, url, tmp_path / "o", 3, **options)
    assert again.resumed == 12 and len(events(log, "arrived")) == 12


def test_a_failing_attempt_is_sent_back_with_its_test(processes, server, tmp_path):
    first, second = problems(2)
    wrong = {"content": format_completion("1. Guess.", first.metadata["wrong_solution"])}
    right = {"content": format_completion("1. Think.", second.reference)}
    url, log = server({first.entry_point: wrong, second.entry_point: right})
    collected, _ = run(processes, url, tmp_path / "o", 2, tests=True, recipes=("forward", "repair"))
    found = {(trace.problem_id, trace.recipe): trace for trace in collected.traces}
    assert set(found) == {(first.id, "forward"), (second.id, "forward"), (first.id, "repair")}
    prompt = found[first.id, "repair"].messages[0]["content"]
    assert first.metadata["wrong_solution"].strip() in prompt
    assert found[first.id, "forward"].verdict.failed_test in prompt
    again, _ = run(processes, url, tmp_path / "o", 2, tests=True, recipes=("forward", "repair"))
    assert again.resumed == 3 and len(events(log, "arrived")) == 3


def test_an_attempt_cut_inside_an_emoji_is_sent_back(processes, server, tmp_path):
    [problem] = problems(1)
    cut = "```python\nx = '\ud83d'\n```\n"
    url, log = server({problem.entry_point: {"content": cut}})
    collected, tokens = run(processes, url, tmp_path / "o", 1, tests=True, recipes=("forward", "repair"))
    assert [(trace.recipe, trace.passed) for trace in collected.traces] == [("forward", False), ("repair", False)]
    assert "x = '\\ud83d'" in collected.traces[1].messages[0]["content"]
    assert len(events(log, "sent")) == 2 and tokens == 300


def test_the_bound_follows_what_the_endpoint_can_take(processes, server, tmp_path):
    url, log = server(capacity=6, latency=0.02)
    collected, _ = run(processes, url, tmp_path / "o", 120, concurrency=40, retries=30)
    assert len(collected.traces) == 120
    # without adapting, 34 of 40 requests are turned away each round
    assert len(events(log, "sent")) == 120 and len(events(log, "arrived")) <= 1.75 * 120


def test_a_budget_is_never_exceeded(processes, server, tmp_path):
    url, log = server(latency=0.01)
    options = {"budget": {"max_tokens": 5000}, "max_tokens": 60}
    collected, tokens = run(processes, url, tmp_path / "o", 60, **options)
    assert tokens <= 5000 and len(collected.traces) + len(collected.refused) == 60
    assert 15 <= len(collected.traces) <= 33
    assert all("budget" in reason for _, reason in collected.refused)
    before = len(events(log, "sent"))
    again, tokens = run(processes, url, tmp_path / "o", 60, **options)
    assert tokens <= 5000  # what earlier runs spent counts
    assert len(events(log, "sent")) - before <= 5


def test_everything_the_journal_has_of_a_teacher_counts(processes, server, tmp_path):
    wrong = {
        p.entry_point: {"content": format_completion("1. Guess.", p.metadata["wrong_solution"])} for p in problems(6)
    }
    url, log = server(wrong)
    options = {"tests": True, "recipes": ("forward", "repair"), "max_tokens": 60}
    _, tokens = run(processes, url, tmp_path / "o", 3, **options)
    assert tokens == 900  # three replies and their repairs
    budget = {"max_tokens": 1100}  # less than a request can use is left
    for more in ({}, {"temperatures": (0.9,)}, {"recipes": ("forward",)}):
        collected, tokens = run(processes, url, tmp_path / "o", 6, **{**options, **more, "budget": dict(budget)})
        assert tokens == 900 and len(events(log, "arrived")) == 6, more
        [usage] = collected.usage
        assert (usage.replies, usage.prompt_tokens, usage.completion_tokens) == (6, 600, 300), more


def test_replies_without_usage_cost_what_was_set_aside(processes, server, tmp_path):
    url, log = server(usage="none")
    options = {"budget": {"max_tokens": 3000}, "max_tokens": 60}
    collected, tokens = run(processes, url, tmp_path / "o", 8, **options)
    sent = len(events(log, "sent"))
    assert 2 <= sent == len(collected.traces) <= 4 and 2000 < tokens <= 3000
    assert collected.usage[0].counted == 0
    _, again = run(processes, url, tmp_path / "o", 8, **options)
    assert again == tokens and len(events(log, "sent")) == sent


def test_blank_replies_are_paid_for(processes, server, tmp_path):
    url, log = server({problem.entry_point: {"content": ""} for problem in problems(3)})
    options = {"budget": {"max_tokens": 1600}, "max_tokens": 60, "retries": 20}
    collected, tokens = run(processes, url, tmp_path / "o", 3, **options)
    assert not collected.traces and tokens == len(events(log, "sent")) * 150 <= 1600


def test_no_prompt_has_more_tokens_than_are_set_aside():
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = {byte: number for number, byte in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))  # the worst there is: a token a byte
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    teacher = InferenceTeacher("m/m", recipes=("forward", "backward"), max_tokens=60)
    for problem in [*problems(3), replace(problems(1)[0], prompt="Сложи [3, 14, 15, 92, 65, 35] и 数" * 20)]:
        for request in teacher.requests(problem):
            prompt, completion = teacher.most_tokens(request)
            # a chat template adds some, e.g. Llama 3.1's header with the date: 36
            assert len(tokenizer.encode(request.messages[0]["content"])) + 36 <= prompt and completion == 60


def test_a_teacher_counts_each_reply_once():
    budget = Budget(price_out=1.0)
    teacher, other = InferenceTeacher("m/m", budget=budget), InferenceTeacher("n/n", budget=budget)
    [problem] = problems(1)
    [request], [of_other] = teacher.requests(problem), other.requests(problem)
    reply = Reply("x", prompt_tokens=30, completion_tokens=70)
    for _ in range(2):  # a second run with the same teachers
        for one in (teacher, other):
            one.resume([(request, reply), (of_other, reply), (replace(request, teacher="else"), reply)])
    assert budget.tokens == 200 and not budget.uncounted


def test_killed_at_twenty_moments_nothing_is_lost_and_nothing_paid_twice(processes, server, tmp_path):
    url, log = server(latency=0.05)
    out, count, rng = tmp_path / "o", 160, random.Random(3)
    journal = out / "journal.jsonl"
    here, there = processes.Pipe()
    kills = []
    for _ in range(20):
        process = processes.Process(target=client, args=(there, url, str(out), count, False, {"concurrency": 2}))
        process.start()
        size = journal.stat().st_size if journal.exists() else 0
        while process.is_alive() and (not journal.exists() or journal.stat().st_size <= size):
            time.sleep(0.002)
        time.sleep(rng.random() * 0.15)
        assert process.is_alive(), "the run ended before it could be killed"
        process.kill()
        process.join()
        records = [json.loads(line) for line in journal.read_bytes().split(b"\n")[:-1]]
        answered = [record for record in records if record["kind"] == "reply"]
        held = {request_key(list(r["request"]["messages"]), r["request"]["sampling"]["seed"]) for r in answered}
        time.sleep(0.08)  # what was on its way to the server has arrived
        kills.append((held, len(events(log, "arrived"))))
    collected, _ = run(processes, url, out, count)
    assert len(collected.traces) == count and not collected.refused
    arrived = events(log, "arrived")
    for held, mark in kills:
        assert not held & set(arrived[mark:]), "a reply that was on disk was asked for again"
    assert [len(held) for held, _ in kills] == sorted(len(held) for held, _ in kills)
    records = Counter(json.loads(line)["key"] for line in journal.read_text().splitlines() if '"reply"' in line)
    assert set(records.values()) == {1}


def program_of(url, out, *more, teacher="test/teacher"):
    """The command line as a process, and its environment."""
    arguments = ["--problems", "seed", "--teacher", teacher, "--base-url", url, "--out", str(out), *more]
    environment = {key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"}
    environment.update(HF_ALLOW_CODE_EVAL="1", HF_TOKEN="hf_" + "Aa1" * 11, HF_DATASETS_OFFLINE="1")
    return [sys.executable, "-c", "from hf_structdistill.cli import main; main()", "traces", *arguments], environment


def command(url, out, *more, answer=None):
    program, environment = program_of(url, out, "--limit", "4", *more)
    return subprocess.run(program, env=environment, capture_output=True, text=True, input=answer, check=False)


def test_offline_a_server_on_this_machine_is_asked_and_no_other(server, tmp_path):
    url, log = server()
    for name, where, proxy in (
        ("here", url, ""),
        ("named", url.replace("127.0.0.1", "localhost"), "http://127.0.0.1:9"),
    ):
        program, environment = program_of(where, tmp_path / name, "--limit", "2", "--workers", "1")
        environment |= {"HF_HUB_OFFLINE": "1", "https_proxy": proxy}  # with a proxy the client is the plain one
        done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0 and "2/2" in done.stdout, done.stderr
    assert len(events(log, "arrived")) == 4
    for elsewhere in ("http://192.0.2.1:9/v1", "http://localhost.example/v1"):
        program, environment = program_of(elsewhere, tmp_path / "o", "--limit", "2")
        environment["HF_HUB_OFFLINE"] = "1"
        done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 2 and "HF_HUB_OFFLINE is set, which forbids asking other machines" in done.stderr


@pytest.mark.parametrize(("host", "here"), [
    ("localhost", True), ("127.0.0.1", True), ("127.8.9.1", True), ("::1", True),
    ("10.0.0.1", False), ("0.0.0.0", False), ("::2", False), ("127.0.0.1.example", False), ("huggingface.co", False),
])  # fmt: skip
def test_hosts_of_this_machine(host, here):
    from hf_structdistill.teachers.transport import _is_loopback

    assert _is_loopback(host) is here


def test_the_command_asks_an_endpoint(processes, server, tmp_path):
    url, log = server()
    out = tmp_path / "o"
    done = command(url, out, "--max-new-tokens", "99", "--temperature", "0.5", "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert "4 requests to send" in done.stderr and "4/4" in done.stdout
    card = (out / "README.md").read_text()
    assert "| test/teacher | not known | forward | `{" in card and "must define `" in card
    assert "| test/teacher | 4 of 4 | 400 | 200 | no price given |" in card
    assert "--temperature 0.5 \\\n    --max-new-tokens 99 \\\n" in card
    written = b"".join(path.read_bytes() for path in out.rglob("*") if path.is_file())
    for private in ("hf_Aa1", url, str(out), str(Path.home()), str(Path.cwd())):
        assert private.encode() not in written
        assert private == str(out) or private not in done.stdout + done.stderr
    assert command(url, out, "--max-new-tokens", "99", "--temperature", "0.5").returncode == 0
    assert len(events(log, "arrived")) == 4


def test_why_there_is_no_reply_at_all_is_told(server, tmp_path):
    url, _ = server(faults="always")
    done = command(url, tmp_path / "o")
    assert done.returncode == 2
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "found none: 400" in line and "not this prompt" in line and "(4 requests)" in line
    assert "ids such as" not in line  # they are not the matter


def test_where_a_server_keeps_its_model_is_in_no_file(processes, server, tmp_path):
    url, log = server()
    out, path = tmp_path / "o", "/srv/somebody/models/Big-70B"
    requests = tmp_path / "requests.jsonl"
    program, environment = program_of(url, out, "--limit", "2", "--workers", "1", teacher=path)
    for more in ([], ["--export-requests", str(requests)]):
        done = subprocess.run([*program, *more], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    card = (out / "README.md").read_text()
    assert "1 teacher (Big-70B)" in card and "--teacher Big-70B " in card
    written = {file.name: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    assert not [name for name, content in written.items() if b"somebody" in content]
    # the endpoint knows it by the path
    assert {json.loads(line)["model"] for line in log.read_text().splitlines() if '"model"' in line} == {path}
    assert {json.loads(line)["body"]["model"] for line in requests.read_text().splitlines()} == {path}


def test_much_money_is_asked_for_first(processes, server, tmp_path):
    url, log = server()
    prices = ("--price-in", "1000", "--price-out", "1000")
    done = command(url, tmp_path / "o", *prices, answer="")
    assert done.returncode == 2 and "Nothing was sent" in done.stderr and not log.read_text(), done.stderr
    # 2.87 at most for one request, 0.15 in fact: after one reply there is not enough left for a second
    done = command(url, tmp_path / "o", *prices, "--max-cost", "2.9", answer="")
    assert done.returncode == 0 and len(events(log, "sent")) == 1, done.stderr
    assert "budget is used up" in done.stdout
    assert command(url, tmp_path / "o", *prices, "--yes", answer="").returncode == 0
    assert len(events(log, "sent")) == 4
    # 100 prompt and 50 completion tokens a reply, at 1000 a million
    assert (
        "| 4 of 4 | 400 | 200 | 0.60 (a million tokens: 1000.0 in, 1000.0 out) |"
        in (tmp_path / "o/README.md").read_text()
    )


def test_an_interrupted_run_says_so_and_pays_for_nothing_twice(processes, server, tmp_path):
    url, log = server(latency=0.3)
    out = tmp_path / "o"
    program, environment = program_of(url, out, "--limit", "12", "--concurrency", "2", "--workers", "1")
    running = subprocess.Popen(program, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    journal = out / "journal.jsonl"
    while running.poll() is None and not (journal.exists() and journal.read_text().count('"kind": "reply"') >= 3):
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 130, errors
    assert errors.splitlines()[-1] == "interrupted; run the same command again to continue"
    assert "Traceback" not in errors
    held = {r["key"] for r in map(json.loads, journal.read_text().splitlines()) if r["kind"] == "reply"}
    mark = len(events(log, "arrived"))
    assert 3 <= len(held) < 12
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and f"{len(held)} replies were already in the journal" in done.stdout, done.stderr
    assert len(events(log, "arrived")) - mark == 12 - len(held)


def interrupted(channel, url, out, log, processes):
    """Ctrl-C while the first replies are written down and the server has sent the others."""

    def progress(stage, done, total):
        if stage == "replies" and done:
            while len(events(log, "sent")) < total:
                time.sleep(0.01)
            raise KeyboardInterrupt

    teacher = InferenceTeacher("test/teacher", base_url=url, token="x" * 10, concurrency=4, processes=processes)
    try:
        collect_traces(problems(80), [teacher], out, workers=1, progress=progress)
    except KeyboardInterrupt:
        channel.send("interrupted")


@pytest.mark.parametrize("parts", [1, 2])
def test_an_interruption_loses_no_more_than_what_is_in_flight(processes, server, tmp_path, parts):
    url, log = server(latency=0.05)
    here, there = processes.Pipe()
    process = processes.Process(target=interrupted, args=(there, url, str(tmp_path / "o"), log, parts))
    process.start()
    assert here.recv() == "interrupted"
    process.join()
    records = [json.loads(line) for line in (tmp_path / "o" / "journal.jsonl").read_text().splitlines()]
    replies = Counter(record["key"] for record in records if record["kind"] == "reply")
    # of 80 that were sent, each of the 4 in flight may not have been read yet
    assert len(replies) >= 76 and set(replies.values()) == {1}


def test_teachers_of_one_run_share_one_budget(tmp_path, capsys):
    from hf_structdistill.cli._teachers import Asking, confirm_cost, make_teachers, spent

    asking = Asking(recipes=("forward", "repair"), max_new_tokens=100, price_out=1.0, max_tokens_total=1000)
    one, other = make_teachers(["a/a", "b/b"], asking)
    assert one.budget is other.budget and one.budget.max_tokens == 1000
    one.budget.spend(Reply("", prompt_tokens=30, completion_tokens=70))
    assert spent([one, other]).startswith("100 tokens")
    # a repair shows the attempt: its own prompt and the completion of the first request, then its own completion
    [problem] = problems(1)
    [request] = one.requests(problem)
    prompt, completion = one.most_tokens(request)
    attempt = read_reply(request, problem, Reply("```python\nx = 1\n```"))
    [repair] = one.follow_up(problem, [replace(attempt, verdict=Verdict("failed", "x" * 500, "x" * 500))])
    repair_prompt = one.most_tokens(repair)[0] - len("x = 1")
    confirm_cost([problem], [one, other], tmp_path, yes=True)
    said = capsys.readouterr().err
    assert "2 requests and up to 2 repairs" in said
    assert f"at most {2 * (prompt + repair_prompt + 3 * completion):,} tokens" in said


def test_repairs_of_stored_replies_are_estimated_and_asked_for(processes, server, tmp_path, capsys, monkeypatch):
    from hf_structdistill.cli._teachers import Asking, confirm_cost, make_teachers

    asked = problems(3, tests=True)
    wrong = [format_completion("1. Guess.", problem.metadata["wrong_solution"]) for problem in asked[:2]]
    wrong.append(format_completion("1. Think.", asked[2].reference))
    url, log = server({problem.entry_point: {"content": text} for problem, text in zip(asked, wrong, strict=True)})
    journal = tmp_path / "o" / "journal.jsonl"
    run(processes, url, tmp_path / "o", 3, tests=True)
    asking = Asking(recipes=("forward", "repair"), price_out=20_000.0)

    def said(refused):
        monkeypatch.setattr("sys.stdin", io.StringIO(""))  # nobody there to answer
        try:
            confirm_cost(asked, make_teachers(["test/teacher"], asking), tmp_path / "o", yes=False)
            assert not refused
        except InputError as error:
            assert refused and "Nothing was sent" in str(error)
        return capsys.readouterr().err

    assert "0 requests and up to 2 repairs to send" in said(refused=True)
    judged = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(line for line in judged if '"kind": "reply"' in line))  # as after a kill
    assert "0 requests and up to 3 repairs to send" in said(refused=True)
    journal.write_text("".join(judged))
    run(processes, url, tmp_path / "o", 3, tests=True, recipes=("forward", "repair"))
    assert len(events(log, "arrived")) == 5
    assert "0 requests to send; they can use at most 0 tokens." in said(refused=False)


def test_retry_after_in_both_forms():
    assert _seconds("3") == 3.0 and _seconds(None) is None and _seconds("soon") is None
    for zone in (" GMT", " -0000", " +0200", ""):
        assert _seconds(f"Wed, 21 Oct 2015 07:28:00{zone}") == 0.0
        assert _seconds(f"Wed, 21 Oct 2122 07:28:00{zone}") == 120.0
    assert _seconds("999999") == 120.0
