"""`python -m hooke_server` as a process: start, calls, signals, end."""

import json
import os
import re
import signal
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager

import grpc
import numpy as np
import pytest
import torch
from grpc_health.v1 import health_pb2, health_pb2_grpc
from torch import nn

import hooke

COMMAND = [sys.executable, "-m", "hooke_server", "--web-address", "localhost:0"]
COMMAND += ["--address", "localhost:0"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with a small exported network."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models")
    module = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3))
    exported = torch.export.export(module.eval(), (torch.zeros(1, 3, 32, 32),))
    torch.export.save(exported, folder / "Small Net.pt2")
    return folder


@contextmanager
def process(*arguments):
    """A server that has told its address; killed at the end if it did not end by itself."""
    environment = {name: v for name, v in os.environ.items() if not name.startswith("HOOKE_")}
    with subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as started:
        log = []
        reader = threading.Thread(target=lambda: log.extend(started.stderr))
        reader.start()
        started.log = log
        try:
            told = re.search(r"Hooke listens on (localhost:\d+); models: (.*)", read(started))
            started.address, started.models = told.groups()
            started.page = read(started).removeprefix("Page: ").strip()
            yield started
        finally:
            started.kill()
            reader.join()


def read(started):
    return started.stdout.readline()


def ends(started):
    return started.wait(timeout=60)


def test_a_file_under_a_root_is_served_and_each_call_is_logged(root):
    with process("--model-root", root, "--log-format", "json") as started:
        assert started.models == "small-net"
        assert re.fullmatch(r"http://localhost:\d+/", started.page)
        assert f"hooke models --address {started.address}" in read(started)
        with hooke.connect(started.address) as client:
            assert client.model("small-net").state == "UNLOADED"
            x = np.ones((1, 3, 32, 32), np.float32)
            values = client.activations("small-net", x, layers=["0"])["0"]
            assert values.shape == (1, 4, 32, 32)
            assert client.model("small-net").state == "READY"
            with pytest.raises(hooke.HookeError):
                client.layers("nothing")
        started.send_signal(signal.SIGINT)
        assert ends(started) == 0
    calls = [line for line in map(json.loads, started.log) if line["logger"] == "hooke.access"]
    told = [(call["method"].rsplit("/", 1)[1], call["code"]) for call in calls]
    assert ("StreamActivations", "OK") in told
    assert "NOT_FOUND" in {code for _, code in told}
    assert all(call["seconds"] >= 0 for call in calls)
    assert str(root) not in "".join(started.log)


class Run:
    """A visualization that is under way, and how it ended."""

    def __init__(self, address, steps):
        self.begun = threading.Event()
        self.frames = []
        self.error = None
        self.thread = threading.Thread(target=self.read, args=(address, steps))
        self.thread.start()
        assert self.begun.wait(120)

    def read(self, address, steps):
        lens = hooke.FeatureVisualization(steps=steps, size=32)
        with hooke.connect(address) as client:
            try:
                for frame in client.visualize("small-net", technique=lens, layer="2", unit=0):
                    self.frames.append(frame)
                    self.begun.set()
            except hooke.HookeError as error:
                self.error = error
            finally:
                self.begun.set()

    def join(self):
        self.thread.join(60)
        assert not self.thread.is_alive()


@contextmanager
def watched(address):
    with grpc.insecure_channel(address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        yield watch


def test_sigterm_lets_calls_end_and_tells_watchers(root):
    with process("--model-root", root, "--drain-seconds", "100") as started:
        with watched(started.address) as watch:
            run = Run(started.address, steps=512)
            started.send_signal(signal.SIGTERM)
            assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
            assert list(watch) == []
            run.join()
        assert run.error is None
        assert isinstance(run.frames[-1], hooke.Result)
        assert ends(started) == 0


def test_what_takes_longer_than_the_grace_is_cut_off(root):
    with process("--model-root", root, "--drain-seconds", "0.1") as started:
        with watched(started.address) as watch:
            run = Run(started.address, steps=4096)
            started.send_signal(signal.SIGTERM)
            assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
            run.join()
        assert run.error is not None
        assert not any(isinstance(frame, hooke.Result) for frame in run.frames)
        assert ends(started) == 0


def visualize_over_http(page):
    """A long visualization that is under way, as its response."""
    lens = {"featureVisualization": {"ascent": {"steps": 4096, "size": 32}}}
    items = [{"location": {"layer": "models/small-net/layers/2", "unit": 0}}]
    body = json.dumps({"items": items} | lens).encode()
    request = urllib.request.Request(  # noqa: S310
        f"{page}hooke.v1.VisualizationService/Visualize",
        struct.pack(">BI", 0, len(body)) + body,
        {"content-type": "application/connect+json"},
    )
    response = urllib.request.urlopen(request)  # noqa: S310
    assert response.read(1) == b"\0"
    return response


def test_sigterm_ends_streams_of_the_page_too(root):
    with process("--model-root", root, "--drain-seconds", "0.1") as started:
        with visualize_over_http(started.page) as response:
            started.send_signal(signal.SIGTERM)
            rest = response.read()
        assert b'"code": "unavailable"' in rest
        assert ends(started) == 0
    assert "Traceback" not in "".join(started.log)


def test_a_second_signal_ends_the_process_at_once(root):
    with (
        process("--model-root", root, "--drain-seconds", "100") as started,
        visualize_over_http(started.page),
    ):
        started.send_signal(signal.SIGTERM)
        while not any("draining" in line for line in started.log):
            time.sleep(0.01)
        time.sleep(0.2)
        started.send_signal(signal.SIGTERM)
        assert ends(started) == -signal.SIGTERM


def test_without_the_extra_it_serves_and_says_so():
    code = """
import sys
sys.modules["connectrpc"] = None  # as where it is not installed
from hooke_server.__main__ import main
sys.exit(main())
"""
    command = [sys.executable, "-c", code, *COMMAND[3:]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as started:
        listens, page = read(started), read(started)
        assert "Hooke listens on localhost:" in listens
        assert page == "Page: none, since connectrpc is missing: pip install 'hooke[web]'\n"
        started.terminate()
        assert ends(started) == 0


def test_a_taken_port_is_an_error_and_not_shared():
    with process() as started:
        page = started.page.removeprefix("http://").strip("/")
        for option, taken, problem, remedy in (
            ("--address", started.address, "cannot listen on", "choose another, such"),
            ("--web-address", page, "cannot serve the page on", "another web address, such"),
        ):
            again = subprocess.run(
                [*COMMAND, option, taken], capture_output=True, text=True, timeout=60
            )
            assert again.returncode == 1
            assert f"hooke: {problem} {taken}: it is taken" in again.stderr
            assert remedy in again.stderr
            assert "Traceback" not in again.stderr
        with hooke.connect(started.address) as client:
            assert client.serving()


def test_wrong_settings_end_it_at_once():
    for arguments, message in (
        (["--model", "Bad=demo:"], "'Bad' is no model id"),
        (["--device", "cuda:77"], "there is no device cuda:77"),
    ):
        ended = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60)
        assert ended.returncode == 1
        assert message in ended.stderr
        assert "Traceback" not in ended.stderr
