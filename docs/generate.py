"""Write docs/reference/ from the comments of the protos, which are the manual.

One page for each proto file. `buf` compiles the protos; a comment belongs to the
thing whose path of field numbers (`SourceCodeInfo.Location.path`) it carries.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from google.protobuf import descriptor_pb2 as pb

DOCS = Path(__file__).resolve().parent
PROTOS = DOCS.parent / "protos"
REFERENCE = DOCS / "reference"

# Numbers of the members of descriptors, of which comments' paths are made.
MESSAGE, ENUM, SERVICE = 4, 5, 6
FIELD, VALUE, METHOD = 2, 2, 2

LABELS = pb.FieldDescriptorProto.Label
TYPES = pb.FieldDescriptorProto.Type


def compiled() -> pb.FileDescriptorSet:
    """All protos with their comments."""
    buf = Path(sys.executable).with_name("buf")
    command = [str(buf), "build", "--as-file-descriptor-set", "--output", "-"]
    run = subprocess.run(command, cwd=PROTOS, check=True, capture_output=True)  # noqa: S603  # our own tool
    return pb.FileDescriptorSet.FromString(run.stdout)


class Page:
    """The page of one proto file.

    `homes` tells the page of every message and enum of the contract.
    """

    def __init__(self, file: pb.FileDescriptorProto, homes: dict[str, str]) -> None:
        self._file = file
        self._homes = homes
        self._comments = {
            tuple(each.path): each.leading_comments for each in file.source_code_info.location
        }

    def lines(self) -> Iterator[str]:
        """The page in markdown."""
        yield f"# {title(self._file)}\n"
        yield f"From `protos/{self._file.name}`, which is written by hand; this page is not.\n"
        for n, service in enumerate(self._file.service):
            yield from self._service(service, (SERVICE, n))
        for n, message in enumerate(self._file.message_type):
            yield from self._message(message, (MESSAGE, n))
        for n, enum in enumerate(self._file.enum_type):
            yield from self._enum(enum, (ENUM, n))

    def _service(self, service: pb.ServiceDescriptorProto, path: Sequence[int]) -> Iterator[str]:
        yield f"## {service.name}\n\n{self._comment(path)}\n"
        for n, method in enumerate(service.method):
            yield f"### {method.name}\n"
            asks = self._kind(method.input_type, stream=method.client_streaming)
            answers = self._kind(method.output_type, stream=method.server_streaming)
            yield f"{asks} → {answers}\n"
            yield f"{self._comment((*path, METHOD, n))}\n"

    def _message(self, message: pb.DescriptorProto, path: Sequence[int]) -> Iterator[str]:
        yield f"## {message.name}\n\n{self._comment(path)}\n"
        if not message.field:
            return
        yield "| field | number | type | |\n|---|---|---|---|"
        for n, field in enumerate(message.field):
            told = self._comment((*path, FIELD, n)).replace("\n", " ").replace("|", "\\|")
            yield f"| `{field.name}` | {field.number} | {self._type(field, message)} | {told} |"
        yield ""

    def _enum(self, enum: pb.EnumDescriptorProto, path: Sequence[int]) -> Iterator[str]:
        yield f"## {enum.name}\n\n{self._comment(path)}\n\n| value | number | |\n|---|---|---|"
        for n, value in enumerate(enum.value):
            told = self._comment((*path, VALUE, n)).replace("\n", " ")
            yield f"| `{value.name}` | {value.number} | {told} |"
        yield ""

    def _comment(self, path: Sequence[int]) -> str:
        lines = self._comments.get(tuple(path), "").rstrip().split("\n")
        return "\n".join(line.removeprefix(" ") for line in lines)

    def _type(self, field: pb.FieldDescriptorProto, message: pb.DescriptorProto) -> str:
        if field.type_name:
            name = self._kind(field.type_name)
        else:
            name = TYPES.Name(field.type).removeprefix("TYPE_").lower()
        for nested in message.nested_type:
            if field.type_name.endswith(f".{message.name}.{nested.name}"):  # a map's entry
                key, value = (self._type(each, nested) for each in nested.field)
                return f"map from {key} to {value}"
        if field.label == LABELS.LABEL_REPEATED:
            return f"repeated {name}"
        if field.proto3_optional:
            return f"optional {name}"
        if field.HasField("oneof_index"):
            return f"{name}, one of `{message.oneof_decl[field.oneof_index].name}`"
        return name

    def _kind(self, full_name: str, *, stream: bool = False) -> str:
        short = full_name.rsplit(".", 1)[-1]
        home = self._homes.get(full_name)
        link = f"[{short}]({home}#{short.lower()})" if home else f"`{full_name.lstrip('.')}`"
        return f"stream of {link}" if stream else link


def title(file: pb.FileDescriptorProto) -> str:
    """`hooke/v1/model_service.proto` is the page of Model service."""
    return Path(file.name).stem.replace("_", " ").capitalize()


def page_name(file: pb.FileDescriptorProto) -> str:
    """The page's file."""
    return f"{Path(file.name).stem}.md"


def index(files: Sequence[pb.FileDescriptorProto]) -> str:
    """The page that names the others; services first."""
    ordered = sorted(files, key=lambda file: (not file.service, file.name))
    rows = [f"- [{title(file)}]({page_name(file)}): {', '.join(names(file))}" for file in ordered]
    intro = (
        "The contract `hooke.v1`, written from its protos by `make docs`. What errors look like,"
        " and the limits of every request, stand at [ErrorReason](error_reason.md#errorreason)."
    )
    return "\n".join(["# Reference\n", f"{intro}\n", *rows, ""])


def names(file: pb.FileDescriptorProto) -> Iterator[str]:
    """What stands on the page: its calls, or where there are none its nouns."""
    for service in file.service:
        yield from (method.name for method in service.method)
    if not file.service:
        yield from nouns(file)


def nouns(file: pb.FileDescriptorProto) -> Iterator[str]:
    """The messages and enums of a file."""
    yield from (message.name for message in file.message_type)
    yield from (enum.name for enum in file.enum_type)


def pages() -> dict[str, str]:
    """Every page by its file's name."""
    files = [file for file in compiled().file if file.package == "hooke.v1"]
    homes = {f".{file.package}.{name}": page_name(file) for file in files for name in nouns(file)}
    written = {page_name(file): "\n".join(Page(file, homes).lines()) for file in files}
    return {"README.md": index(files), **written}


def main() -> None:
    """Write all pages."""
    REFERENCE.mkdir(exist_ok=True)
    for stale in REFERENCE.glob("*.md"):
        stale.unlink()
    for name, text in pages().items():
        (REFERENCE / name).write_text(text)


if __name__ == "__main__":
    main()
