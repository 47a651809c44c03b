"""The fingerprint of a program: its structure as a unit vector."""

import numpy as np
import pytest

from hf_structdistill.structure.fingerprint import structure_fingerprint


@pytest.mark.parametrize("source", ["", " \n", b"\n\n"])
def test_a_program_without_any_structure_is_zero(source):
    vector = structure_fingerprint(source)
    assert vector.dtype == np.float32 and vector.shape == (256,) and not vector.any()


def test_names_and_literals_do_not_count_and_structure_does():
    first, second = "def f(x):\n    y = x\n    return len(y)\n", "def g(q):\n    r = q\n    return sum(r)\n"
    np.testing.assert_array_equal(structure_fingerprint(first), structure_fingerprint(second))
    assert np.linalg.norm(structure_fingerprint(first)) == pytest.approx(1)
    assert structure_fingerprint(first) @ structure_fingerprint("x = 1\n") < 0.9
