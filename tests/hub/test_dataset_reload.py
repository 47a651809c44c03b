"""A data set folder that is written anew is read anew, whatever the datasets library has in its cache."""

from datasets import load_dataset

from hf_structdistill.hub.datasets import write_trace_dataset
from hf_structdistill.problems import load_problems
from hf_structdistill.teachers import ScriptedTeacher, collect_traces, select_examples


def test_second_write_is_seen(tmp_path):
    for number in (2, 3):
        problems = load_problems("listops", split="train", limit=number)
        traces = collect_traces(problems, [ScriptedTeacher()], tmp_path / "traces", workers=1)
        write_trace_dataset(tmp_path / "traces", traces, select_examples(traces.traces, traces.problems))
        assert len(load_dataset(str(tmp_path / "traces"), "sft", split="train")) == number
