"""The app in this process: models at start, readiness, names of files, addresses."""

import asyncio
import contextlib
import threading

import grpc
import pytest
import torch
from grpc_health.v1 import health_pb2, health_pb2_grpc
from torch import nn

from hooke.v1 import model_service_pb2, model_service_pb2_grpc
from hooke_server.app import App, named_files
from hooke_server.errors import InvalidArgumentError, NotFoundError, Reason
from hooke_server.models.loaders.live import load_live
from hooke_server.settings import Settings

READY = "hooke.v1.ModelService"
DEFAULTS = {"address": "127.0.0.1:0", "web_address": "", "drain_seconds": 0}


class Shelf:
    """A loader of small networks that waits until it may go on."""

    def __init__(self):
        self.allowed = threading.Event()

    def __call__(self, source, context):
        assert self.allowed.wait(30)
        if source != "small:":
            raise NotFoundError(Reason.SOURCE_NOT_FOUND, f"no source {source!r}", source=source)
        module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
        return load_live(module.eval(), torch.zeros(1, 3, 8, 8))


@pytest.fixture
def shelf(monkeypatch):
    shelf = Shelf()
    monkeypatch.setattr("hooke_server.app.load_model", shelf)
    yield shelf
    shelf.allowed.set()


@contextlib.asynccontextmanager
async def running(**settings):
    app = App(Settings(**(DEFAULTS | settings)))
    await app.start()
    try:
        async with grpc.aio.insecure_channel(app.address) as channel:
            yield app, channel
    finally:
        await app.stop()


async def health(channel, name=""):
    stub = health_pb2_grpc.HealthStub(channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))
    return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)


async def states(channel):
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    answer = await stub.ListModels(model_service_pb2.ListModelsRequest())
    return {
        model.name: model_service_pb2.ModelState.Name(model.state).removeprefix("MODEL_STATE_")
        for model in answer.models
    }


async def test_the_server_lives_at_once_and_is_ready_when_its_models_are(shelf):
    named = (("a", "small:"), ("wrong", "nothing:"))
    async with running(models=named) as (app, channel):
        stub = health_pb2_grpc.HealthStub(channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest(service=READY))
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert await health(channel) == "SERVING"
        assert await health(channel, "a") == "NOT_SERVING"
        assert set((await states(channel)).values()) <= {"LOADING", "UNLOADED"}
        shelf.allowed.set()
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        # One that failed does not keep the others from being served.
        assert await states(channel) == {"models/a": "READY", "models/wrong": "FAILED"}
        assert await health(channel, "a") == "SERVING"
        assert await health(channel, "wrong") == "NOT_SERVING"
        await app.catalog.unload("a")
        assert await health(channel, "a") == "NOT_SERVING"
        watch.cancel()


async def test_a_server_without_models_is_ready_at_once():
    async with running() as (_, channel):
        watch = health_pb2_grpc.HealthStub(channel).Watch(
            health_pb2.HealthCheckRequest(service=READY)
        )
        async with asyncio.timeout(30):
            while (await watch.read()).status != health_pb2.HealthCheckResponse.SERVING:
                pass
        assert await states(channel) == {}
        watch.cancel()


async def test_an_address_is_taken_once():
    async with running() as (app, _):
        other = App(Settings(**(DEFAULTS | {"address": app.address})))
        with pytest.raises(OSError, match=f"cannot listen on {app.address}: it is taken"):
            await other.start()


async def test_a_socket_in_the_file_system(tmp_path):
    address = f"unix:{tmp_path / 'hooke.sock'}"
    async with running(address=address) as (app, channel):
        assert app.address == address
        assert await health(channel) == "SERVING"
        with pytest.raises(OSError, match="it is taken"):
            await App(Settings(address=address)).start()
        assert await health(channel) == "SERVING"
    async with running(address=address) as (_, channel):
        assert await health(channel) == "SERVING"


def test_models_named_wrongly_are_refused():
    with pytest.raises(InvalidArgumentError, match="'Demo' is no model id"):
        App(Settings(models=(("Demo", "torchvision:resnet18"),)))


def test_a_root_that_is_no_folder_is_refused(tmp_path):
    with pytest.raises(InvalidArgumentError, match=r"there is no folder '.*nowhere' for models"):
        App(Settings(model_roots=(tmp_path / "nowhere",)))


async def test_files_that_are_models_already_are_not_offered_again(tmp_path):
    for name in ("mine.onnx", "theirs.onnx"):
        (tmp_path / name).touch()
    models = (("theirs", "torchvision:resnet18"), ("export", "file:mine.onnx?input=3x8x8"))
    app = App(Settings(models=models, model_roots=(tmp_path,)))
    sources = {entry.name: entry.source for entry in app.catalog.entries()}
    assert sources == {**dict(models), "theirs-2": "file:theirs.onnx"}


def test_files_give_models_their_names():
    files = ["resnet 50.onnx", "b/ResNet-50.pt2", "..onnx", "x/été.safetensors", "demo.pt2"]
    found = dict(named_files([*files, "a" * 99 + ".onnx"], {"demo"}))
    assert found == {
        "resnet-50": "file:resnet 50.onnx",
        "resnet-50-2": "file:b/ResNet-50.pt2",
        "model": "file:..onnx",
        "t": "file:x/été.safetensors",
        "demo-2": "file:demo.pt2",
        "a" * 56: f"file:{'a' * 99}.onnx",
    }
