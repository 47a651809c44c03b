"""The arms of the studies, and what is tried to tune each: three trials an arm, no arm more than another."""

from __future__ import annotations

from collections.abc import Iterator

from hf_structdistill.training_args import COEFFICIENTS

from .setting import Arm

# said out loud, whatever the defaults become: what the arms do not vary
OFF: dict[str, float] = {**dict.fromkeys(COEFFICIENTS, 0.0), "attention_heads": 2}
SINGLE = {
    "weighted NLL": ("structure_weight", (0.5, 1.0, 2.0)),
    "data-flow pointer": ("dataflow_coef", (0.03, 0.1, 0.3)),
    "AST path": ("ast_path_coef", (0.03, 0.1, 0.3)),
    "pathway divergence": ("divergence_coef", (0.03, 0.1, 0.3)),
    "alignment": ("alignment_coef", (0.01, 0.03, 0.1)),
    "embedding cosine (paper)": ("embedding_coef", (0.03, 0.1, 0.3)),
    "name attention": ("attention_coef", (0.03, 0.1, 0.3)),
}
ALL = "all but the cosine"
ALL_SCALES = (0.3, 1.0, 3.0)
SFT = "SFTTrainer"
ARMS = (SFT, *SINGLE, ALL)

SFT_RATES = (2e-3, 3e-3, 4.5e-3)
REJECTED = ("pathway divergence", ALL)


def candidates(name: str, rate: float) -> Iterator[tuple[Arm, float]]:
    """(arm, learning rate) of each trial: three rates for SFTTrainer, elsewhere three strengths at its best rate."""
    if name == SFT:
        yield from ((Arm(SFT), rate) for rate in SFT_RATES)
        return
    for settings in _strengths(name):
        yield Arm(name, settings, rejected=name in REJECTED), rate


def _strengths(name: str) -> Iterator[dict[str, float]]:
    if name == ALL:
        for scale in ALL_SCALES:
            yield {
                **OFF,
                "structure_weight": 0.5 * scale,
                "dataflow_coef": 0.1 * scale,
                "ast_path_coef": 0.03 * scale,
                "divergence_coef": 0.03 * scale,
                "alignment_coef": 0.03 * scale,
                "attention_coef": 0.1 * scale,
            }
        return
    setting, values = SINGLE[name]
    for value in values:
        yield {**OFF, setting: value}
