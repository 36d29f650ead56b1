"""What a technique is pointed at: items of requests, and the models that they lie in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from google.protobuf.message import Message

from hooke.v1 import edit_pb2, location_pb2
from hooke_server.errors import invalid
from hooke_server.models.model import Model
from hooke_server.rpc.codec.locations import read_site
from hooke_server.rpc.names import parse_model, parse_place
from hooke_server.techniques.targets import Site

UnitSelection = location_pb2.UnitSelection

MAX_ITEMS = 4096
"""Items of a request, each unit of a selection counted."""


@dataclass(frozen=True)
class Places:
    """The models that a request names, in the order in which it names them."""

    names: Sequence[str]
    models: Sequence[Model]

    def site(self, location: location_pb2.Location, field: str) -> Site:
        """The place, found to exist."""
        number = self.names.index(parse_place(location.layer, f"{field}.layer")[0])
        return replace(read_site(self.models[number], location, field), model=number)

    def units(self, selection: UnitSelection, field: str) -> list[Site]:
        """The places of a selection."""
        whole = self.site(location_pb2.Location(layer=selection.layer), field)
        count = self.models[whole.model].layer(whole.layer).unit_count
        units = list(selection.units) or range(count)
        if len(set(units)) < len(units):
            raise invalid("each unit can be named once", f"{field}.units")
        if not units:
            raise invalid(f"layer {whole.layer!r} has no units", f"{field}.layer")
        if len(units) > MAX_ITEMS:
            raise invalid(f"at most {MAX_ITEMS} units are shown at once", f"{field}.units")
        place = location_pb2.Location(layer=selection.layer)
        sites = []
        for index, unit in enumerate(units):
            place.unit = unit
            sites.append(self.site(place, f"{field}.units[{index}]"))
        return sites


def model_ids(request: Message) -> list[str]:
    """Ids of all models that a request's places lie in, in order, each once."""
    found = (parse_place(name, path)[0] for name, path in _places(request, ""))
    return list(dict.fromkeys(found))


def only_model(request: Message, name: str, field: str = "model") -> str:
    """The id of a request's model, where all its places lie in it."""
    model = parse_model(name, field)
    for place, path in _places(request, ""):
        if parse_place(place, path)[0] != model:
            raise invalid(f"all places of this request lie in {name!r}, not {place!r}", path)
    return model


def _places(message: Message, path: str) -> Iterator[tuple[str, str]]:
    """The names of layers in all locations and selections but those of edits."""
    if isinstance(message, edit_pb2.Edit):
        return
    if isinstance(message, location_pb2.Location | UnitSelection):
        yield message.layer, f"{path}layer"
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.is_repeated:
            for index, each in enumerate(value):
                yield from _places(each, f"{path}{field.name}[{index}].")
        else:
            yield from _places(value, f"{path}{field.name}.")
