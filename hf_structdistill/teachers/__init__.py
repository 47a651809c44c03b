"""Teachers, and what becomes of their replies: journal, verdicts, selection into training examples."""

from __future__ import annotations

from .base import Reply, Request, Teacher
from .collect import TraceSet, collect_traces
from .journal import Journal, merge_journals
from .recorded import RecordedTeacher
from .scripted import ScriptedTeacher
from .selection import Example, select_examples
from .sharding import shard
from .trace import Trace
from .usage import Usage

__all__ = [
    "Example",
    "Journal",
    "RecordedTeacher",
    "Reply",
    "Request",
    "ScriptedTeacher",
    "Teacher",
    "Trace",
    "TraceSet",
    "Usage",
    "collect_traces",
    "merge_journals",
    "select_examples",
    "shard",
]
