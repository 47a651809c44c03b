"""The card of a student: README.md with metadata, a picture of the training curves, and `.eval_results/*.yaml`."""

from .card import CURVES_FILE, EXAMPLE_PROMPT, FACTS_FILE, read_card_facts, write_student_card
from .curves import training_curves
from .results import RESULTS_FOLDER, with_own_entry
from .settings import changed_settings, describe_quantization

__all__ = [
    "CURVES_FILE",
    "EXAMPLE_PROMPT",
    "FACTS_FILE",
    "RESULTS_FOLDER",
    "changed_settings",
    "describe_quantization",
    "read_card_facts",
    "training_curves",
    "with_own_entry",
    "write_student_card",
]
