"""A live module, served from inside the process."""

import json
import subprocess
import sys
import urllib.request

import google_crc32c
import grpc
import numpy as np
import pytest
import torch
from torch import nn

import hooke
import hooke_server
from hooke.v1 import model_service_pb2, model_service_pb2_grpc
from hooke_server.errors import InvalidArgumentError

EXAMPLE = torch.zeros(1, 3, 8, 8)


@pytest.fixture
def module():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True))


def test_training_changes_the_digests(module):
    x = np.ones((1, 3, 8, 8), np.float32)
    with (
        hooke_server.serve(module, EXAMPLE, name="net") as serving,
        hooke.connect(serving.address) as client,
    ):

        def digests():
            result = client.activations("net", x, layers=["0"]).result
            assert result.provenance.models[0].digest == client.model("net").digest
            return client.model("net").digest, result.plan_digest

        before = digests()
        assert digests() == before
        with torch.no_grad():
            module[0].weight.add_(1)
        changed = digests()
        assert not set(changed) & set(before)
        module.train()(EXAMPLE + 1)  # the running statistics
        assert not set(digests()) & {*before, *changed}


def test_importing_does_nothing():
    code = "import sys, hooke_server; print(sorted({'torch', 'grpc', 'hooke'} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert told.stdout == "[]\n"


def test_activations_are_the_modules_own_and_training_shows(module):
    x = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
    with (
        hooke_server.serve(module, EXAMPLE, name="net") as serving,
        hooke.connect(serving.address) as client,
    ):
        assert [model.name for model in client.models()] == ["net"]
        assert client.serving("net")
        assert [layer.id for layer in client.layers("net")][-3:] == ["0", "1", "2"]
        for _ in range(2):
            got = client.activations("net", x, layers=["0", "2"])
            with torch.no_grad():
                conv = module[0](torch.from_numpy(x))
                both = {"0": conv, "2": module.eval()[1:](conv)}
            for layer, value in both.items():
                np.testing.assert_allclose(got[layer], value.numpy(), rtol=1e-5, atol=1e-6)
            with torch.no_grad():
                module[0].weight.mul_(2)


def test_the_module_is_left_as_it_was(module):
    module.train()
    with hooke_server.serve(module, EXAMPLE):
        pass
    assert module.training
    assert module[2].inplace
    assert not any(part._forward_hooks for part in module.modules())
    assert all(parameter.requires_grad for parameter in module.parameters())


def test_closing_frees_the_address(module):
    serving = hooke_server.serve(module, EXAMPLE)
    with pytest.raises(OSError, match="it is taken"):
        hooke_server.serve(module, EXAMPLE, address=serving.address)
    serving.close()
    serving.close()
    with hooke_server.serve(module, EXAMPLE, address=serving.address) as again:
        assert again.address == serving.address


def test_the_page_is_there_where_it_is_wanted(module, monkeypatch):
    with hooke_server.serve(module, EXAMPLE) as serving:
        assert serving.page == ""
    with hooke_server.serve(module, EXAMPLE, name="net", web_address="localhost:0") as serving:
        assert f"page at {serving.page}" in repr(serving)
        query = "encoding=json&message=%7B%7D"
        url = f"{serving.page}hooke.v1.ModelService/ListModels?{query}"
        with urllib.request.urlopen(url) as answer:  # noqa: S310
            assert [model["name"] for model in json.load(answer)["models"]] == ["models/net"]
        taken = serving.page.removeprefix("http://").strip("/")
        with pytest.raises(OSError, match=r"cannot serve the page on .*: it is taken"):
            hooke_server.serve(module, EXAMPLE, web_address=taken)
    with pytest.raises(ValueError, match="neither HOST:PORT nor off"):
        hooke_server.serve(module, EXAMPLE, web_address="here")
    monkeypatch.setitem(sys.modules, "starlette", None)
    with pytest.raises(ImportError, match=r"needs starlette: pip install 'hooke\[web\]'"):
        hooke_server.serve(module, EXAMPLE, web_address="localhost:0")


def test_two_at_once(module):
    other = nn.Sequential(nn.Linear(4, 2))
    with (
        hooke_server.serve(module, EXAMPLE) as first,
        hooke_server.serve(other, torch.zeros(1, 4)) as second,
        hooke.connect(first.address) as one,
        hooke.connect(second.address) as two,
    ):
        assert one.model("model").parameter_count == 3 * 4 * 9 + 4 + 8
        assert two.model("model").parameter_count == 10


def test_what_will_not_do_is_said(module):
    with pytest.raises(InvalidArgumentError, match="'Net' is no model id"):
        hooke_server.serve(module, EXAMPLE, name="Net")
    with pytest.raises(InvalidArgumentError, match="example_input must be a tensor"):
        hooke_server.serve(module, "example")


def test_a_program_that_forgets_to_close_ends():
    code = """
import torch, hooke, hooke_server
serving = hooke_server.serve(torch.nn.Linear(4, 2), torch.zeros(1, 4))
with hooke.connect(serving.address) as client:
    print(client.serving("model"))
"""
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True, timeout=120
    )
    assert told.stdout == "True\n"
    assert told.stderr == ""


def test_a_weight_that_is_sent_is_of_one_moment_of_the_training():
    module = nn.Linear(4096, 4096)  # too large to be on its way at once
    nn.init.zeros_(module.weight)
    request = model_service_pb2.StreamWeightsRequest(
        parent="models/net/layers/linear", weight_globs=["weight"], include_tensors=True
    )
    with (
        hooke_server.serve(module, torch.zeros(1, 4096), name="net") as serving,
        grpc.insecure_channel(serving.address) as channel,
    ):
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        received = bytearray()
        for message in stub.StreamWeights(request):
            if message.HasField("summary"):
                assert (message.summary.minimum, message.summary.maximum) == (0, 0)
            if message.HasField("tensor_header"):
                nn.init.ones_(module.weight)
            received += message.tensor_chunk.data
        crc = message.tensor_trailer.crc32c
    assert len(received) == module.weight.nbytes
    assert not any(received)
    assert google_crc32c.value(bytes(received)) == crc
