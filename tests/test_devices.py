"""Which device computes, how exactly, and what memory it has for work."""

import pytest
import torch

from hooke_server.devices import (
    LEAST_WORK_MEMORY,
    compute_exactly,
    computes_exactly,
    find_device,
    work_memory,
)
from hooke_server.errors import InvalidArgumentError

PARTS = [torch.backends.cudnn.conv, torch.backends.cudnn.rnn, torch.backends.cuda.matmul]


def test_a_device_that_is_not_there_is_refused():
    assert find_device("cpu") == torch.device("cpu")
    assert find_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(InvalidArgumentError, match=r"no device cuda:99: torch finds \d+ GPUs"):
        find_device("cuda:99")


def test_exactness_is_for_all_that_multiplies():
    before = computes_exactly()
    try:
        for exactly in (False, True):
            compute_exactly(exactly)
            assert computes_exactly() is exactly
            found = {part.fp32_precision for part in PARTS}
            assert found == {"ieee" if exactly else "tf32"}
    finally:
        compute_exactly(before)


def test_memory_for_work_on_a_cpu_and_on_a_gpu(monkeypatch):
    assert work_memory(torch.device("cpu"), 8 << 30) == LEAST_WORK_MEMORY
    for total, expected in ((80 << 30, 36 << 30), (8 << 30, LEAST_WORK_MEMORY)):
        facts = type("Facts", (), {"total_memory": total})
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device, f=facts: f)
        assert work_memory(torch.device("cuda:0"), 8 << 30) == expected
