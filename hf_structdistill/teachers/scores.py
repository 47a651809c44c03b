"""Strict structural scores of passing traces against the problem's reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..problems import Problem
from .trace import Trace


def add_scores(traces: list[Trace], problems: Mapping[str, Problem]) -> list[Trace]:
    """Return the traces with `syntax` and `dataflow` set where the trace passed and the problem has a reference."""
    from ..scoring import score_pairs

    scored = [
        index
        for index, trace in enumerate(traces)
        if trace.passed and trace.code is not None and problems[trace.problem_id].reference is not None
    ]
    if not scored:
        return traces
    predictions = [traces[index].code or "" for index in scored]
    references = [problems[traces[index].problem_id].reference or "" for index in scored]
    scores = score_pairs(predictions, references, mode="strict", per_sample=True, floor_shuffles=1)
    syntax = scores["syntax"]["syntax_match_per_sample"]
    dataflow = scores["dataflow"]["dataflow_match_per_sample"]
    result = list(traces)
    for index, syntax_score, dataflow_score in zip(scored, syntax, dataflow, strict=True):
        result[index] = replace(traces[index], syntax=syntax_score, dataflow=dataflow_score)
    return result
