"""Small real models, and a server that has them."""

import pytest
import torch
from serving import Net, Pair, model_of, serving

from hooke_server.models.model import Model
from hooke_server.models.preprocessing import Preprocessing


@pytest.fixture(scope="session")
def net() -> Model:
    torch.manual_seed(0)
    steps = Preprocessing(resize_shorter_side=16, crop_height=16, crop_width=16)
    labels = ("cork", "flea", "ice", "moss", "mould")
    return model_of(Net(), torch.zeros(1, 3, 16, 16), preprocessing=steps, labels=labels)


@pytest.fixture(scope="session")
def pair() -> Model:
    return model_of(Pair(), torch.zeros(1, 2, 3), torch.zeros(1, 4, 3))


@pytest.fixture
async def edge(net, pair):
    async with serving({"net": net, "pair": pair}) as served:
        yield served
