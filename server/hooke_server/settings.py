"""What whoever starts the server decides, from the command line and the environment.

Each field of `Settings` is declared once and gives an option (`--model-root`), an
environment variable (`HOOKE_MODEL_ROOT`, lists separated by spaces and quoted as
in a shell) and a line of the help. Options win over the environment.
"""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

_UNITS = {"": 1, "B": 1, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}
_WORDS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}


def address(text: str) -> str:
    """`HOST:PORT` or `unix:PATH`."""
    if not re.fullmatch(r"unix:.+|[^/]+:\d+", text):
        raise ValueError(f"{text!r} is neither HOST:PORT nor unix:PATH")
    return text


def web_address(text: str) -> str:
    """`HOST:PORT`, or nothing for `off`."""
    if text.lower() == "off":
        return ""
    if not re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^/:\[\]]+):\d{1,5}", text):
        raise ValueError(f"{text!r} is neither HOST:PORT nor off")
    return text


def origin(text: str) -> str:
    """`http://HOST:PORT`, as a browser names where a page comes from."""
    if not re.fullmatch(r"https?://[^/*]+", text):
        raise ValueError(f"{text!r} is no origin; write http://localhost:5173, without a path")
    return text


def size(text: str) -> int:
    """Bytes in `8GiB`, `512 MiB` or `1000000`."""
    match = re.fullmatch(r"(\d+) *([A-Z]*)", text.strip().upper())
    if match is None or match[2] not in _UNITS or not int(match[1]):
        raise ValueError(f"{text!r} is no size; write 8GiB, 512MiB or a number of bytes")
    return int(match[1]) * _UNITS[match[2]]


def count(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or not int(text):
        raise ValueError(f"{text!r} is no whole number from 1")
    return int(text)


def seconds(text: str) -> float:
    """A time from 0."""
    if not re.fullmatch(r"\d+(\.\d*)?|\.\d+", text):
        raise ValueError(f"{text!r} is no number of seconds")
    return float(text)


def patience(text: str) -> float:
    """A time longer than nothing."""
    if not (value := seconds(text)):
        raise ValueError(f"{text!r} leaves no time at all")
    return value


def named_source(text: str) -> tuple[str, str]:
    """The two parts of `NAME=SOURCE`."""
    name, equals, source = text.partition("=")
    if not (name and equals and source):
        raise ValueError(f"{text!r} is not NAME=SOURCE, such as resnet=torchvision:resnet50")
    return name, source


def digest(text: str) -> str:
    """A SHA-256 in hexadecimal."""
    if not re.fullmatch(r"[0-9a-f]{64}", text.lower()):
        raise ValueError(f"{text!r} is no SHA-256 of 64 hexadecimal digits")
    return text.lower()


def device(text: str) -> str:
    """`auto`, `cpu`, `cuda` or `cuda:N`."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", text):
        raise ValueError(f"{text!r} is none of auto, cpu, cuda, cuda:N")
    return text


def log_format(text: str) -> str:
    """`text` or `json`."""
    if text not in {"text", "json"}:
        raise ValueError(f"{text!r} is neither text nor json")
    return text


def _option(
    flag: str, metavar: str, parse: Callable[[str], Any], default: Any, description: str
) -> Any:
    facts = {"flag": flag, "metavar": metavar, "parse": parse, "help": description}
    return field(default=default, metadata=facts)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that can be set. Defaults suit one user on one machine."""

    address: str = _option(
        "--address",
        "HOST:PORT",
        address,
        "localhost:50051",
        "where to listen; port 0 takes a free one, unix:PATH a socket in the file system",
    )
    web_address: str = _option(
        "--web-address",
        "HOST:PORT",
        web_address,
        "localhost:8080",
        "where the page and plain HTTP calls are; port 0 takes a free one, off has none",
    )
    web_hosts: tuple[str, ...] = _option(
        "--web-host",
        "NAME",
        str,
        (),
        "a further name under which browsers reach the page (can be repeated)",
    )
    web_origins: tuple[str, ...] = _option(
        "--web-origin",
        "URL",
        origin,
        (),
        "another page that may call, such as http://localhost:5173 (can be repeated)",
    )
    demo: bool = _option(
        "--demo", "", bool, False, "add EfficientNet-Lite0, trained on ImageNet, as 'demo'"
    )
    models: tuple[tuple[str, str], ...] = _option(
        "--model",
        "NAME=SOURCE",
        named_source,
        (),
        "load a model at start: torchvision:NAME, timm:NAME or file:FILE (can be repeated)",
    )
    model_roots: tuple[Path, ...] = _option(
        "--model-root",
        "DIR",
        Path,
        (),
        "a folder whose model files are offered and loaded at first use (can be repeated)",
    )
    allow_admin: bool = _option(
        "--allow-admin", "", bool, False, "let clients load and unload models"
    )
    allow_code: tuple[str, ...] = _option(
        "--allow-code",
        "SHA256",
        digest,
        (),
        "a model file that may run code of its own when it is loaded (can be repeated)",
    )
    device: str = _option(
        "--device", "DEVICE", device, "auto", "auto, cpu, cuda or cuda:N; auto prefers a GPU"
    )
    tf32: bool = _option(
        "--tf32", "", bool, False, "let a GPU round factors to 10 bits: quicker, less exact"
    )
    threads: int | None = _option(
        "--threads", "N", count, None, "threads of one computation; by default as many as cores"
    )
    model_memory: int = _option(
        "--model-memory", "SIZE", size, 8 << 30, "what the weights of loaded models may take"
    )
    work_memory: int | None = _option(
        "--work-memory",
        "SIZE",
        size,
        None,
        "what all requests together may need beside that; by default 2 GiB, on a GPU half of"
        " what models leave",
    )
    max_message_bytes: int = _option(
        "--max-message-bytes", "SIZE", size, 4 << 20, "the largest message, in and out"
    )
    max_input_bytes: int = _option(
        "--max-input-bytes", "SIZE", size, 1 << 30, "what the inputs of one call may hold"
    )
    max_concurrent_rpcs: int = _option(
        "--max-concurrent-rpcs", "N", count, 256, "calls at once; health checks do not count"
    )
    stall_seconds: float = _option(
        "--stall-seconds",
        "SECONDS",
        patience,
        60.0,
        "how long a call may go on whose reader takes nothing",
    )
    drain_seconds: float = _option(
        "--drain-seconds", "SECONDS", seconds, 20.0, "how long calls may go on when the server ends"
    )
    log_format: str = _option("--log-format", "FORMAT", log_format, "text", "text or json")


def read_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Settings from options and variables; where they are wrong the program ends with code 2."""
    parser = argparse.ArgumentParser(
        prog="hooke serve",
        description="Serve models to Hooke's clients, over gRPC and HTTP.",
        epilog="Each option can be set as a variable too: --model-root as HOOKE_MODEL_ROOT.",
        allow_abbrev=False,
    )
    options = fields(Settings)
    for option in options:
        _add(parser, option.name, option.default, option.metadata)
    given: dict[str, Any] = vars(parser.parse_args(arguments))
    for option in options:
        variable = "HOOKE_" + option.metadata["flag"].strip("-").replace("-", "_").upper()
        if option.name not in given and variable in environment:
            try:
                given[option.name] = _read(environment[variable], option.default, option.metadata)
            except ValueError as error:
                parser.error(f"{variable}: {error}")
    lists = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    return Settings(**(given | lists))


def _add(
    parser: argparse.ArgumentParser, name: str, default: Any, facts: Mapping[str, Any]
) -> None:
    common = {"dest": name, "default": argparse.SUPPRESS, "help": facts["help"]}
    if facts["parse"] is bool:
        parser.add_argument(facts["flag"], action="store_true", **common)
        return

    def parse(text: str) -> Any:
        try:
            return facts["parse"](text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    action = "append" if default == () else "store"
    parser.add_argument(
        facts["flag"], action=action, type=parse, metavar=facts["metavar"], **common
    )


def _read(text: str, default: Any, facts: Mapping[str, Any]) -> Any:
    if facts["parse"] is bool:
        if text.lower() not in _WORDS:
            raise ValueError(f"{text!r} is neither yes nor no")
        return _WORDS[text.lower()]
    if default == ():
        return [facts["parse"](part) for part in shlex.split(text)]
    return facts["parse"](text)
