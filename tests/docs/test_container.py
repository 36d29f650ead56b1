"""What docs/how-to/container.md shows, held against Dockerfile, options and contract."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from google.protobuf import symbol_database

import hooke.v1.model_service_pb2  # noqa: F401  # registers its service
from hooke_server.settings import read_settings, size

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "container.md").read_text()
COMPOSE, POD = (
    yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.M | re.S)
)
DOCKERFILE = (ROOT / "Dockerfile").read_text()
LINES = [
    shlex.split(line)
    for text in re.findall(r"^```bash\n(.*?)^```$", PAGE, re.M | re.S)
    for line in text.replace("\\\n", " ").splitlines()
]
TARGETS = set(re.findall(r"^FROM runtime AS (\w+)$", DOCKERFILE, re.M))
USER = re.findall(r"^USER (\d+):\d+$", DOCKERFILE, re.M)
VARIABLES = dict(re.findall(r"\b(HOOKE_\w+)=(\S+)", DOCKERFILE))


@pytest.fixture
def service():
    return COMPOSE["services"]["hooke"]


@pytest.fixture
def sidecar():
    return POD["spec"]["initContainers"][0]


def settings(arguments):
    return read_settings(arguments, VARIABLES)


def seconds(text):
    return int(text.removesuffix("s"))


def test_commands_name_targets_and_options_that_exist():
    runs = [line for line in LINES if line[:2] == ["docker", "run"]]
    builds = [line for line in LINES if line[:2] == ["docker", "build"]]
    assert {line[line.index("--target") + 1] for line in builds} == TARGETS
    for line in runs:
        image = next(index for index, word in enumerate(line) if word.startswith("hooke:"))
        assert line[image].removeprefix("hooke:") in TARGETS
        settings(line[image + 1 :])


def test_published_ports_are_those_of_the_image(service, sidecar):
    ports = {
        int(address.rpartition(":")[2]) for name, address in VARIABLES.items() if "ADDRESS" in name
    }
    exposed = re.search(r"^EXPOSE (.*)$", DOCKERFILE, re.M)[1]
    assert ports == set(map(int, exposed.split()))
    assert {int(port.rpartition(":")[2]) for port in service["ports"]} == ports
    assert {port["containerPort"] for port in sidecar["ports"]} == ports


def test_limits_hold_what_the_options_allow(service, sidecar):
    composed, beside = settings(service["command"]), settings(sidecar["args"])
    limits = service["mem_limit"] + "iB", sidecar["resources"]["limits"]["memory"] + "B"
    for given, limit in zip((composed, beside), limits, strict=True):
        assert given.model_memory + given.work_memory + (1 << 30) <= size(limit)
    assert seconds(service["stop_grace_period"]) > composed.drain_seconds
    assert POD["spec"]["terminationGracePeriodSeconds"] > beside.drain_seconds


def test_probes_ask_for_what_the_server_answers(sidecar):
    probes = {
        name: sidecar[f"{name}Probe"]["grpc"] for name in ("startup", "liveness", "readiness")
    }
    grpc_port = VARIABLES["HOOKE_ADDRESS"].rpartition(":")[2]
    assert {probe["port"] for probe in probes.values()} == {int(grpc_port)}
    services = {name: probe.get("service", "") for name, probe in probes.items()}
    assert not services["startup"]
    assert not services["liveness"]
    assert symbol_database.Default().pool.FindServiceByName(services["readiness"])


def test_it_runs_as_the_image_does_and_writes_to_tmp_alone(service, sidecar):
    context = sidecar["securityContext"]
    assert set(USER) == {str(context["runAsUser"])}
    assert len(USER) == len(TARGETS)
    assert context["readOnlyRootFilesystem"]
    assert service["read_only"]
    writable = [m["mountPath"] for m in sidecar["volumeMounts"] if not m.get("readOnly")]
    assert writable == service["tmpfs"] == ["/tmp"]  # noqa: S108
