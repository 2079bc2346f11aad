import pytest
from hf_pairs import CASES, both


@pytest.fixture(params=CASES)
def case(request):
    return request.param


@pytest.fixture
def pair(case, tmp_path):
    """(transformers' model, ours with its weights), through a folder that transformers wrote."""
    return both(case, tmp_path)
