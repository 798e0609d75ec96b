"""What the tests of training share."""

import pytest
import torch


@pytest.fixture
def torch_threads():
    """Set the number of threads of torch for one test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)
