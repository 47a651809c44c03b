"""Every objective against a slow reference in plain Python: values, gradients, and the batches that hold nothing."""

import math
from dataclasses import replace

import pytest
import torch

from hf_structdistill.losses import (
    AstPath,
    Attention,
    DataflowPointer,
    EmbeddingCosine,
    ForwardState,
    NameAttention,
    PathwayDivergence,
    ProblemSolutionAlignment,
    WeightedNLL,
    target_mask,
)

ROWS, LENGTH, WIDTH, VOCABULARY, TYPES, ANCESTORS = 2, 12, 8, 11, 5, 3


def make_batch(seed: int = 0) -> dict[str, torch.Tensor]:
    """Row 0 holds two packed examples of 7 and 5 tokens, row 1 one of 9 tokens and 3 of padding."""
    generator = torch.Generator().manual_seed(seed)
    segment_ids = torch.tensor([[0] * 7 + [1] * 5, [2] * 9 + [-1] * 3])
    labels = torch.randint(0, VOCABULARY, (ROWS, LENGTH), generator=generator)
    labels[0, :2] = labels[0, 7:9] = labels[1, :3] = labels[1, 9:] = -100
    code = (labels != -100) & (torch.rand(ROWS, LENGTH, generator=generator) < 0.7)
    ancestors = torch.randint(0, TYPES, (ROWS, LENGTH, ANCESTORS), generator=generator)
    ancestors[~code] = -100
    ancestors[0, 5, 1:] = -100  # a shallow token
    return {
        "labels": labels,
        "segment_ids": segment_ids,
        "structure_score": torch.rand(ROWS, LENGTH, generator=generator) * code,
        "code_mask": code,
        "ancestor_types": ancestors,
        "dataflow_uses": torch.tensor([[0, 4], [0, 6], [1, 5], [1, 8]]),
        "dataflow_sources": torch.tensor([[2, -1], [2, 3], [3, -1], [3, 4]]),
        "variable_positions": torch.tensor(
            [[0, 2], [0, 3], [0, 4], [0, 6], [0, 9], [1, 3], [1, 4], [1, 5], [1, 7], [1, 8]]
        ),
        # the second example repeats names of the first; nothing was mentioned before [0, 2] and [0, 9]
        "name_ids": torch.tensor([[4, 3, 1, 3, 1, 0, 3, 3, 1, 2, 0, 1], [0, 2, 1, 2, 3, 2, 2, 1, 2, 0, 0, 0]]),
        "code_starts": torch.tensor([[0, 3], [0, 9], [1, 4]]),
        "bank_rows": torch.tensor([[0, 2], [-1, -1], [3, -1]]),
        "divergence": torch.tensor([[0, 5, 1, 2], [1, 6, 3, 0]]),
    }


def make_state(batch: dict[str, torch.Tensor], seed: int = 1) -> ForwardState:
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(ROWS, LENGTH, WIDTH, generator=generator, requires_grad=True)
    head = torch.randn(VOCABULARY, WIDTH, generator=generator)
    queries, keys = (
        (hidden @ torch.randn(WIDTH, heads * 3, generator=generator)).view(ROWS, LENGTH, heads, 3).transpose(1, 2)
        for heads in (4, 2)
    )
    log_probs = torch.log_softmax(hidden[:, :-1] @ head.T, -1)
    log_probs = log_probs.gather(2, batch["labels"][:, 1:].clamp(min=0).unsqueeze(2)).squeeze(2)
    log_probs = torch.nn.functional.pad(log_probs, (1, 0)) * target_mask(batch["labels"])
    return ForwardState(
        hidden_states=hidden,
        log_probs=log_probs,
        target_mask=target_mask(batch["labels"]),
        batch=batch,
        token_logits=lambda states, ids: torch.einsum("nd,ncd->nc", states, head[ids]),
        attention=Attention(queries.contiguous(), keys.contiguous(), 0.3),
    )


def vector(state: ForwardState, row: int, position: int) -> list[float]:
    return state.hidden_states[row, position].tolist()


def project(weight: torch.Tensor, values: list[float]) -> list[float]:
    return [sum(w * v for w, v in zip(line, values, strict=True)) for line in weight.tolist()]


def dot(left: list[float], right: list[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


def log_sum_exp(values: list[float]) -> float:
    top = max(values)
    return top + math.log(sum(math.exp(value - top) for value in values))


def weighted_nll_reference(objective: WeightedNLL, state: ForwardState, strength: float) -> float:
    total = 0.0
    batch = state.batch
    for segment in range(int(batch["segment_ids"].max()) + 1):
        cells = [
            (r, t)
            for r in range(ROWS)
            for t in range(LENGTH)
            if batch["segment_ids"][r, t] == segment and bool(state.target_mask[r, t])
        ]
        raw = {
            cell: 1 + strength * objective.structure_weight * batch["structure_score"][cell].item() for cell in cells
        }
        code = [cell for cell in cells if batch["code_mask"][cell]]
        mean = sum(raw[cell] for cell in code) / max(len(code), 1)
        weight = {
            cell: objective.code_weight * raw[cell] / mean if cell in code else objective.reasoning_weight
            for cell in cells
        }
        scale = len(cells) / sum(weight.values()) if cells else 0
        total -= sum(scale * weight[cell] * state.log_probs[cell].item() for cell in cells)
    return total


def pointer_reference(objective: DataflowPointer, state: ForwardState) -> float:
    total, batch = 0.0, state.batch
    for (row, use), sources in zip(batch["dataflow_uses"].tolist(), batch["dataflow_sources"].tolist(), strict=True):
        query = project(objective.query.weight, vector(state, row, use - 1))
        scores = {}
        for r, position in batch["variable_positions"].tolist():
            same = batch["segment_ids"][r, position] == batch["segment_ids"][row, use]
            if same and r == row and position < use:
                key = project(objective.key.weight, vector(state, r, position))
                scores[position] = dot(query, key) / math.sqrt(objective.rank)
        total += log_sum_exp(list(scores.values())) - log_sum_exp([scores[s] for s in sources if s >= 0])
    return total


def ast_path_reference(objective: AstPath, state: ForwardState) -> float:
    total, targets = 0.0, state.batch["ancestor_types"]
    for row in range(ROWS):
        for position in range(1, LENGTH):
            trunk = project(objective.trunk.weight, vector(state, row, position - 1))
            logits = project(objective.classifiers.weight, trunk)
            for level in range(ANCESTORS):
                target = int(targets[row, position, level])
                if target >= 0:
                    part = logits[level * TYPES : (level + 1) * TYPES]
                    total += log_sum_exp(part) - part[target]
    return total


def divergence_reference(objective: PathwayDivergence, state: ForwardState) -> float:
    total = 0.0
    for row, position, right, wrong in state.batch["divergence"].tolist():
        states = state.hidden_states[row, position - 1].unsqueeze(0)
        of_right, of_wrong = state.token_logits(states, torch.tensor([[right, wrong]]))[0].tolist()
        total += math.log1p(math.exp(-(of_right - of_wrong - objective.margin)))
    return total


def alignment_reference(objective: ProblemSolutionAlignment, state: ForwardState) -> float:
    total = 0.0
    for (row, start), rows in zip(state.batch["code_starts"].tolist(), state.batch["bank_rows"].tolist(), strict=True):
        right = [index for index in rows if index >= 0]
        if not right:
            continue
        problem = project(objective.project.weight, vector(state, row, start - 1))
        norm = math.sqrt(dot(problem, problem))
        scores = [dot(problem, line) / norm / objective.temperature for line in objective.bank.tolist()]
        total += log_sum_exp(scores) - log_sum_exp([scores[index] for index in right])
    return total


def cosine_reference(objective: EmbeddingCosine, state: ForwardState) -> float:
    total, batch = 0.0, state.batch
    for (row, start), rows in zip(batch["code_starts"].tolist(), batch["bank_rows"].tolist(), strict=True):
        if rows[0] < 0:
            continue
        own = batch["segment_ids"][row, start]
        cells = [t for t in range(LENGTH) if batch["segment_ids"][row, t] == own and batch["code_mask"][row, t]]
        mean = [sum(vector(state, row, t)[i] for t in cells) / len(cells) for i in range(WIDTH)]
        guess, reference = project(objective.project.weight, mean), objective.bank[rows[0]].tolist()
        total += 1 - dot(guess, reference) / math.sqrt(dot(guess, guess) * dot(reference, reference))
    return total


def mentions(batch: dict[str, torch.Tensor], row: int, use: int) -> list[int]:
    names, segments = batch["name_ids"][row].tolist(), batch["segment_ids"][row].tolist()
    return [t for t in range(use) if names[t] == names[use] > 0 and segments[t] == segments[use]]


def attention_reference(objective: NameAttention, state: ForwardState) -> float:
    total, batch = 0.0, state.batch
    queries, keys, scaling = state.attention.queries, state.attention.keys, state.attention.scaling
    for row, use in batch["variable_positions"].tolist():
        first = use - (state.attention.window or LENGTH)
        found = [t for t in mentions(batch, row, use) if t >= first]
        parts = []
        for head in range(objective.heads or queries.size(1)) if found else ():
            query = queries[row, head, use - 1].tolist()
            group = head // (queries.size(1) // keys.size(1))
            own = batch["segment_ids"][row, use]
            scores = {
                t: scaling * dot(query, keys[row, group, t].tolist())
                for t in range(max(first, 0), use)
                if batch["segment_ids"][row, t] == own
            }
            parts.append(log_sum_exp(list(scores.values())) - log_sum_exp([scores[t] for t in found]))
        if parts and objective.heads is None:
            total -= log_sum_exp([-part for part in parts]) - math.log(len(parts))
        elif parts:
            total += sum(parts) / len(parts)
    return total


def make_bank() -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(4, 6, generator=torch.Generator().manual_seed(2)), dim=1)


def objectives():
    torch.manual_seed(3)
    return {
        "dataflow": (DataflowPointer(WIDTH, 4), pointer_reference),
        "ast_path": (AstPath(WIDTH, TYPES, ANCESTORS, 4), ast_path_reference),
        "divergence": (PathwayDivergence(0.3), divergence_reference),
        "alignment": (ProblemSolutionAlignment(WIDTH, make_bank(), 0.2), alignment_reference),
        "embedding": (EmbeddingCosine(WIDTH, make_bank()), cosine_reference),
        "attention": (NameAttention(3), attention_reference),
        "attention, shared": (NameAttention(), attention_reference),
    }


@pytest.mark.parametrize("name", list(objectives()))
def test_value_and_gradient(name):
    objective, reference = objectives()[name]
    state = make_state(make_batch())
    value = objective(state)
    assert value.item() == pytest.approx(reference(objective, state), rel=1e-4)
    looks = isinstance(objective, NameAttention)
    inputs = [state.attention.queries, state.attention.keys] if looks else [state.hidden_states]
    for tensor in inputs:
        (gradient,) = torch.autograd.grad(value, tensor, retain_graph=True)
        check_gradient(lambda: objective(state), tensor, gradient)


@pytest.mark.parametrize("beta, reasoning, code, strength", [(1.5, 1.0, 1.0, 1.0), (0.7, 0.5, 2.0, 0.4)])
def test_weighted_nll(beta, reasoning, code, strength):
    objective = WeightedNLL(beta, reasoning, code)
    state = make_state(make_batch())
    expected = weighted_nll_reference(objective, state, strength)
    assert objective(state, strength).item() == pytest.approx(expected, rel=1e-5)


def check_gradient(value, tensor, gradient, probes=6, step=1e-2):
    """Central differences at a few entries."""
    generator = torch.Generator().manual_seed(4)
    flat, flat_gradient = tensor.data.view(-1), gradient.reshape(-1)
    places = flat_gradient.abs().topk(3).indices.tolist()
    places += torch.randint(0, flat.numel(), (probes,), generator=generator).tolist()
    for place in places:
        kept = flat[place].item()
        flat[place] = kept + step
        above = value().item()
        flat[place] = kept - step
        below = value().item()
        flat[place] = kept
        assert flat_gradient[place].item() == pytest.approx((above - below) / (2 * step), abs=5e-3, rel=2e-2)


def empty(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same tokens with no code, no data flow, nothing known of the prompt."""
    return batch | {
        "structure_score": torch.zeros(ROWS, LENGTH),
        "code_mask": torch.zeros(ROWS, LENGTH, dtype=torch.bool),
        "ancestor_types": torch.full((ROWS, LENGTH, ANCESTORS), -100),
        "dataflow_uses": torch.zeros(0, 2, dtype=torch.int64),
        "dataflow_sources": torch.zeros(0, 1, dtype=torch.int64),
        "variable_positions": torch.zeros(0, 2, dtype=torch.int64),
        "code_starts": torch.zeros(0, 2, dtype=torch.int64),
        "bank_rows": torch.zeros(0, 1, dtype=torch.int64),
        "divergence": torch.zeros(0, 4, dtype=torch.int64),
    }


@pytest.mark.parametrize("name", list(objectives()))
def test_nothing_to_say_is_a_differentiable_zero(name):
    objective, _ = objectives()[name]
    batch = empty(make_batch())
    state = make_state(batch)
    value = objective(state)
    value.backward()
    assert value.item() == 0
    assert objective.count(batch) == 0
    assert torch.equal(state.hidden_states.grad, torch.zeros_like(state.hidden_states))


def test_all_masked_weighs_nothing():
    batch = make_batch()
    batch["labels"] = torch.full_like(batch["labels"], -100)
    state = make_state(batch)
    value = WeightedNLL(1.0)(state)
    value.backward()
    assert value.item() == 0
    assert torch.isfinite(state.hidden_states.grad).all()


def test_without_code_the_weights_are_one():
    batch = empty(make_batch())
    mask = target_mask(batch["labels"])
    assert torch.allclose(WeightedNLL(3.0).weights(mask, batch), mask.float())


def test_weights_move_no_mass_between_examples():
    batch = make_batch()
    mask = target_mask(batch["labels"])
    weights = WeightedNLL(2.0, reasoning_weight=0.3).weights(mask, batch)
    for segment in range(3):
        own = (batch["segment_ids"] == segment) & mask
        assert weights[own].sum().item() == pytest.approx(own.sum().item(), rel=1e-5)


@pytest.mark.parametrize("name", list(objectives()))
def test_count_is_the_number_of_items(name):
    objective, _ = objectives()[name]
    batch = make_batch()
    expected = {
        "dataflow": 4,
        "ast_path": int((batch["ancestor_types"][:, 1:] != -100).sum()),
        "divergence": 2,
        "alignment": 2,
        "embedding": 2,
        "attention": sum(bool(mentions(batch, *place)) for place in batch["variable_positions"].tolist()),
    }
    assert objective.count(batch) == expected[objective.name]


def test_pointer_ignores_other_examples():
    """Changing the states of one packed example leaves the loss of the others alone."""
    objective, _ = objectives()["dataflow"]
    state = make_state(make_batch())
    value = objective(state)
    (gradient,) = torch.autograd.grad(value, state.hidden_states)
    assert torch.equal(gradient[0, 7:], torch.zeros_like(gradient[0, 7:]))  # the second example has no use


@pytest.mark.parametrize("name", ["attention", "attention, shared"])
def test_name_attention_stays_within_the_window_of_its_layer(name):
    objective, reference = objectives()[name]
    state = make_state(make_batch())
    values = []
    for window in (1, 2, 3, 5, None):
        narrow = replace(state, attention=replace(state.attention, window=window))
        assert objective(narrow).item() == pytest.approx(reference(objective, narrow), rel=1e-4)
        values.append(objective(narrow).item())
    assert len(set(values)) > 3  # the windows cut something off


def test_name_attention_stays_within_its_example():
    objective, _ = objectives()["attention"]
    batch = make_batch()
    second = batch["variable_positions"][:, 0].eq(0) & batch["variable_positions"][:, 1].ge(7)
    batch["variable_positions"] = torch.cat([batch["variable_positions"][second], torch.tensor([[0, 11]])])
    state = make_state(batch)
    (gradient,) = torch.autograd.grad(objective(state), state.hidden_states)
    assert objective.count(batch) == 1 and gradient[0, 7:11].abs().sum() > 0
    assert gradient[0, :7].abs().sum() == 0 and gradient[1].abs().sum() == 0


def test_a_shared_task_is_asked_of_each_head_in_proportion_to_what_it_finds():
    """So a head that does something else is left to it: its share of the pull of the task is next to nothing."""
    state = make_state(make_batch())
    with torch.no_grad():
        state.attention.queries[:, 0] *= 20  # looks at one token, mostly none of the name
    queries, heads = state.attention.queries, state.attention.queries.size(1)
    pulls = [torch.autograd.grad(NameAttention(number)(state), queries)[0].norm(dim=-1) for number in (None, heads)]
    asked = pulls[1].amin(1) > 1e-9  # (B, T): states before a variable
    shares = (pulls[0] / pulls[1]).movedim(1, -1)[asked] / heads  # (M, H)
    torch.testing.assert_close(shares.sum(-1), torch.ones(len(shares)), rtol=0, atol=1e-3)
    assert len(shares) > 2 and shares.min() < 0.01 and shares.max() > 0.5
