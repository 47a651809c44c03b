"""The structural objectives, one a file. Formulas and sources: docs/objectives.md."""

from .alignment import ProblemSolutionAlignment
from .ast_path import AstPath
from .base import Attention, ForwardState, Objective, target_mask
from .dataflow_pointer import DataflowPointer
from .divergence import PathwayDivergence
from .embedding_cosine import EmbeddingCosine
from .name_attention import NameAttention
from .schedules import schedule_factor
from .weighted_nll import WeightedNLL

__all__ = [
    "AstPath",
    "Attention",
    "DataflowPointer",
    "EmbeddingCosine",
    "ForwardState",
    "NameAttention",
    "Objective",
    "PathwayDivergence",
    "ProblemSolutionAlignment",
    "WeightedNLL",
    "schedule_factor",
    "target_mask",
]
