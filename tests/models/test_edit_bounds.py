"""What an edit that does not fit the value that comes is told, when only the run can tell."""

import pytest
import torch

from hooke_server.errors import OutOfRangeError, Reason
from hooke_server.models.edit_operations import Where, scaled


@pytest.mark.parametrize(
    ("region", "reason"),
    [
        (((4,), (), ()), Reason.UNIT_OUT_OF_RANGE),
        (((), ((0, 5),), ()), Reason.POSITION_OUT_OF_RANGE),
        (((), (), (2,)), Reason.POSITION_OUT_OF_RANGE),
    ],
)
def test_the_reason_names_what_is_beyond(region, reason):
    where = Where("conv", 1, (2, 3), (None, None), (region,))
    with pytest.raises(OutOfRangeError) as caught:
        scaled(torch.ones(2, 4, 5, 5), where, 2.0)
    assert caught.value.reason is reason
