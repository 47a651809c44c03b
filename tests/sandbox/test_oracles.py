"""Comparison of an answer with the expected one, beside numpy's allclose where that applies."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_structdistill.sandbox.oracles import agree, close

NUMBERS = st.floats(allow_nan=True, allow_infinity=True) | st.integers(-(10**6), 10**6)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=5), st.sampled_from([1e-6, 1e-3, 1.0]))
def test_close_is_allclose(pairs, atol):
    answer, expected = ([pair[i] for pair in pairs] for i in (0, 1))
    assert close(answer, expected, atol) == bool(np.allclose(answer, expected, rtol=1e-7, atol=atol))
    nearby = [value + atol / 2 for value in expected]
    assert close(nearby, expected, atol) == bool(np.allclose(nearby, expected, rtol=1e-7, atol=atol))


@pytest.mark.parametrize(
    ("answer", "expected", "atol", "right"),
    [
        (1, 1.0, 0.0, True),
        (1.0000001, 1.0, 0.0, True),
        (1.001, 1.0, 0.0, False),
        (1.001, 1.0, 0.01, True),
        ((1.0, 2.0000001), (1.0, 2.0), 0.0, True),
        ([1.0, 2.0000001], (1.0, 2.0), 0.0, False),  # another type
        ([1.0], [1.0, 1.0], 0.0, False),
        ([1.0000001, 1], [1.0, 1], 0.0, False),  # not all floats, and no tolerance
        (math.nan, math.nan, 0.0, False),
        (math.inf, math.inf, 0.0, True),
        (1e6 + 0.05, 1e6, 0.0, True),  # the relative part
        (1e6 + 0.15, 1e6, 0.0, False),
        ("a", 1.0, 0.0, False),
        (None, 1.0, 0.1, False),
        ([[1.0000001]], [[1.0]], 0.1, True),
        (True, 1, 0.0, True),
        (1e-9j, 0j, 0.1, True),
    ],
)
def test_agree(answer, expected, atol, right):
    assert agree(answer, expected, (), atol, None) is right


def test_what_a_comparison_raises_is_no():
    assert not agree([[1]], [1], (), 0.0, "set_equal")
    assert not agree("x", 1, (1, 2), 0.0, "pyramid_surface")
