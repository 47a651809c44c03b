"""The journal: what append() returned from is there after a kill; a line cut short is not."""

import json
import os
import subprocess
import sys
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_structdistill.errors import InputError
from hf_structdistill.teachers import Journal


def record(key, **more):
    return {"kind": "reply", "key": key, **more}


def test_records_are_found_again(tmp_path):
    with Journal(tmp_path / "a" / "journal.jsonl") as journal:
        journal.append([record("x", text="one\u2028\nline"), record("y", text="\ud800")])
    with Journal(tmp_path / "a" / "journal.jsonl") as journal:
        assert journal.get("reply", "x")["text"] == "one\u2028\nline"
        assert journal.get("reply", "y")["text"] == "\ud800"
        assert journal.get("verdict", "x") is None


@given(cut=st.integers(0, 400))
@settings(max_examples=60, deadline=None)
def test_a_file_cut_anywhere_keeps_every_whole_record(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("cut") / "journal.jsonl"
    with Journal(path) as journal:
        journal.append(record(str(number), text="é" * number) for number in range(8))
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    survivors = whole[:cut].count(b"\n")
    with Journal(path) as journal:
        assert len(list(journal.all("reply"))) == survivors
        journal.append([record("new")])
    with Journal(path) as journal:
        assert {r["key"] for r in journal.all("reply")} == {*map(str, range(survivors)), "new"}


def test_damage_in_the_middle_is_named(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_text(json.dumps(record("x")) + "\nnot json\n" + json.dumps(record("y")) + "\n")
    with pytest.raises(InputError, match="line 2"):
        Journal(path)


def test_a_second_run_on_the_same_journal_is_refused(tmp_path):
    with Journal(tmp_path / "journal.jsonl"):
        with pytest.raises(InputError, match="another run"):
            Journal(tmp_path / "journal.jsonl")
    Journal(tmp_path / "journal.jsonl").__exit__(None, None, None)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="--out"):
        Journal(tmp_path / "file" / "journal.jsonl")


def test_what_append_returned_from_survives_a_kill(tmp_path):
    program = textwrap.dedent(
        """
        import os, signal, sys
        from pathlib import Path
        from hf_structdistill.teachers import Journal
        journal = Journal(Path(sys.argv[1]))
        for number in range(5):
            journal.append([{"kind": "reply", "key": str(number)}])
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    path = tmp_path / "journal.jsonl"
    done = subprocess.run([sys.executable, "-c", program, str(path)], env=dict(os.environ), check=False)
    assert done.returncode == -9
    with Journal(path) as journal:
        assert [r["key"] for r in journal.all("reply")] == ["0", "1", "2", "3", "4"]


def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path):
    program = textwrap.dedent(
        """
        import resource, signal, sys
        from hf_structdistill.cli import main
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop()),) * 2)
        main()
        """
    )
    arguments = ["traces", "--problems", "seed", "--limit", "40", "--teacher", "scripted", "--workers", "1"]
    command = [sys.executable, "-c", program, *arguments, "--out", str(tmp_path)]
    environment = {**os.environ, "HF_ALLOW_CODE_EVAL": "1"}
    done = subprocess.run([*command, "40000"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: ") and "journal.jsonl" in last and "make room" in last
    path = tmp_path / "journal.jsonl"
    assert path.stat().st_size == 40_000
    held = sum(b'"kind": "reply"' in line for line in path.read_bytes().split(b"\n")[:-1])
    assert held > 10
    done = subprocess.run([*command, "-1"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and f"{held} replies were already in the journal" in done.stdout, done.stderr
    assert "40 training examples" in done.stdout
