"""Runs candidate programs against trusted tests; what a candidate does can never make its own verdict."""

from .verdict import Verdict
from .verify import verify

__all__ = ["Verdict", "verify"]
