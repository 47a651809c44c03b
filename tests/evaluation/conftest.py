import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Tiny matrices are slower on two threads, and other test processes want the second core."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def good_student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student that answers all tiny problems rightly."""
    from tiny_students import memorise

    return memorise(tmp_path_factory.mktemp("students") / "good")


@pytest.fixture(scope="session")
def worse_student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student that answers two of the four wrongly."""
    from tiny_students import memorise

    return memorise(tmp_path_factory.mktemp("students") / "worse", wrong=("total", "clamp"))
