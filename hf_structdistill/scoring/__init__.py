"""Scores of generated code against references: syntax match, data-flow match, CodeBLEU, pass@k. Plain functions."""

from .numbers import pass_at_k
from .program import MODES, parses
from .scores import FLOOR_SHUFFLES, codebleu, dataflow_match, score_pairs, syntax_match

__all__ = [
    "FLOOR_SHUFFLES",
    "MODES",
    "codebleu",
    "dataflow_match",
    "parses",
    "pass_at_k",
    "score_pairs",
    "syntax_match",
]
