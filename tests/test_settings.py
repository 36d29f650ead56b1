"""Settings from options and variables."""

from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from hooke_server.settings import Settings, read_settings

SHA = "ab" * 32


def test_defaults_suit_one_user_on_one_machine():
    settings = read_settings([], {})
    assert settings == Settings()
    assert settings.address == "localhost:50051"
    assert not settings.allow_admin
    assert settings.models == ()
    with pytest.raises(FrozenInstanceError):
        settings.demo = True


def test_every_option():
    given = read_settings(
        [
            *("--address", "unix:/run/hooke.sock", "--demo"),
            *("--web-address", "[::1]:0", "--web-host", "lab", "--web-host", "lab.example"),
            *("--web-origin", "http://localhost:5173"),
            *("--model", "a=torchvision:resnet18", "--model", "b=timm:x?checkpoint=f=1.pth"),
            *("--model-root", "/models", "--model-root", "more"),
            *("--allow-admin", "--allow-code", SHA.upper(), "--device", "cuda:1", "--tf32"),
            *("--threads", "3", "--model-memory", "2GiB", "--work-memory", "512 mib"),
            *("--max-message-bytes", "8MiB", "--max-input-bytes", "1000"),
            *("--max-concurrent-rpcs", "7", "--stall-seconds", "9", "--drain-seconds", "1.5"),
            *("--log-format", "json"),
        ],
        {},
    )
    assert given == Settings(
        address="unix:/run/hooke.sock",
        web_address="[::1]:0",
        web_hosts=("lab", "lab.example"),
        web_origins=("http://localhost:5173",),
        demo=True,
        models=(("a", "torchvision:resnet18"), ("b", "timm:x?checkpoint=f=1.pth")),
        model_roots=(Path("/models"), Path("more")),
        allow_admin=True,
        allow_code=(SHA,),
        device="cuda:1",
        tf32=True,
        threads=3,
        model_memory=2 << 30,
        work_memory=512 << 20,
        max_message_bytes=8 << 20,
        max_input_bytes=1000,
        max_concurrent_rpcs=7,
        stall_seconds=9.0,
        drain_seconds=1.5,
        log_format="json",
    )
    default = Settings()
    assert all(getattr(given, f.name) != getattr(default, f.name) for f in fields(Settings))


def test_the_environment_says_the_same():
    environment = {
        "HOOKE_ADDRESS": "0.0.0.0:1",
        "HOOKE_DEMO": "yes",
        "HOOKE_ALLOW_ADMIN": "0",
        "HOOKE_MODEL": "a=torchvision:resnet18 'b=file:with space.onnx'",
        "HOOKE_MODEL_ROOT": "/models",
        "HOOKE_WORK_MEMORY": "1GiB",
    }
    assert read_settings([], environment) == Settings(
        address="0.0.0.0:1",
        demo=True,
        models=(("a", "torchvision:resnet18"), ("b", "file:with space.onnx")),
        model_roots=(Path("/models"),),
        work_memory=1 << 30,
    )


def test_options_win_over_the_environment():
    environment = {"HOOKE_ADDRESS": "localhost:1", "HOOKE_MODEL": "a=x:y"}
    given = read_settings(["--address", "localhost:2", "--model", "b=x:y"], environment)
    assert given == Settings(address="localhost:2", models=(("b", "x:y"),))


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--address", "localhost", "neither HOST:PORT nor unix:PATH"),
        ("--web-address", "8080", "neither HOST:PORT nor off"),
        ("--web-address", "http://localhost:8080", "neither HOST:PORT nor off"),
        ("--web-address", "::1:8080", "neither HOST:PORT nor off"),
        ("--web-origin", "localhost:5173", "is no origin"),
        ("--web-origin", "http://localhost:5173/page", "is no origin"),
        ("--web-origin", "https://*", "is no origin"),
        ("--model", "resnet", "is not NAME=SOURCE"),
        ("--allow-code", "abc", "is no SHA-256"),
        ("--device", "tpu", "none of auto, cpu, cuda"),
        ("--threads", "0", "no whole number from 1"),
        ("--model-memory", "8 apples", "is no size"),
        ("--work-memory", "0", "is no size"),
        ("--drain-seconds", "-1", "is no number of seconds"),
        ("--stall-seconds", "0", "leaves no time at all"),
        ("--log-format", "xml", "neither text nor json"),
    ],
)
def test_what_is_wrong_is_said(option, value, message, capsys):
    with pytest.raises(SystemExit) as ended:
        read_settings([f"{option}={value}"], {})
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    variable = "HOOKE_" + option[2:].replace("-", "_").upper()
    with pytest.raises(SystemExit):
        read_settings([], {variable: value})
    told = capsys.readouterr().err
    assert message in told
    assert variable in told


@pytest.mark.parametrize("off", ["off", "OFF"])
def test_the_page_can_be_off(off):
    assert Settings().web_address == "localhost:8080"
    assert read_settings([f"--web-address={off}"], {}).web_address == ""
    assert read_settings([], {"HOOKE_WEB_ADDRESS": off}).web_address == ""


def test_a_wrong_yes_or_no_is_said(capsys):
    with pytest.raises(SystemExit):
        read_settings([], {"HOOKE_DEMO": "maybe"})
    assert "HOOKE_DEMO: 'maybe' is neither yes nor no" in capsys.readouterr().err
