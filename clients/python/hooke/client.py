"""The client: NumPy in, NumPy out, over one connection to a Hooke server."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Unpack

from hooke.activations import Activations, collect
from hooke.attributing import Attributing
from hooke.comparison import Comparing
from hooke.connection import Connection
from hooke.edits import Edits, edit_messages
from hooke.frames import Estimate, Frame, Picture, estimate_of
from hooke.inputs import INLINE_BYTES, Inputs, Prepared, inline, prepare, size
from hooke.messages import given_wholes, layer_name, listed, model_name, number
from hooke.places import Place, location_message, place_locations
from hooke.readout import Readout, ReadoutOptions, readouts
from hooke.recording import Recording
from hooke.techniques import Lens
from hooke.v1 import activation_service_pb2 as activation
from hooke.v1 import edit_pb2, readout_pb2, technique_service_pb2
from hooke.v1 import model_service_pb2 as pb
from hooke.v1.model_service_pb2_grpc import ModelServiceStub
from hooke.v1.technique_service_pb2_grpc import TechniqueServiceStub
from hooke.values import Layer, Model, Technique, WeightSummary
from hooke.visualization import VisualizeOptions, visualize_request

DEFAULT_ADDRESS = "localhost:50051"

_LAYER_KIND = pb.DESCRIPTOR.enum_types_by_name["LayerKind"]
_TECHNIQUE_KIND = technique_service_pb2.DESCRIPTOR.enum_types_by_name["TechniqueKind"]

Layers = str | Readout | Iterable[str | Readout]
"""Ids or patterns, which share the options of the call, or `Readout`s with their own."""


def connect(address: str = DEFAULT_ADDRESS, *, timeout: float | None = None) -> Client:
    """A client of the server at `address`; nothing is sent before the first call.

    Parameters
    ----------
    address : `host:port`, or `unix:PATH`.
    timeout : seconds that each call may take; None: any time.
    """
    return Client(address, timeout=timeout)


class Client(Comparing, Attributing):
    """A connection to a Hooke server; every method may raise a `HookeError`.

    Threads may share it. As a context manager it closes its connection at the end.
    """

    def __init__(self, address: str, *, timeout: float | None = None) -> None:
        self.address = address
        self._connection = Connection(address, timeout)
        self._models = ModelServiceStub(self._connection.channel)
        self._techniques = TechniqueServiceStub(self._connection.channel)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; what still runs on it is cancelled."""
        self._connection.close()

    def serving(self, service: str = "") -> bool:
        """Whether the server is alive, or a service or a model of it is ready."""
        return self._connection.serving(service)

    def models(self) -> list[Model]:
        """All models that the server knows, loaded or not."""
        request = pb.ListModelsRequest()
        models = []
        while True:
            page = self._connection.unary(self._models.ListModels, request)
            models += [Model.read(each) for each in page.models]
            if not page.next_page_token:
                return models
            request.page_token = page.next_page_token

    def model(self, model: str) -> Model:
        """One model; this does not load it."""
        request = pb.GetModelRequest(name=model_name(model))
        return Model.read(self._connection.unary(self._models.GetModel, request))

    def load(self, model: str, source: str) -> Model:
        """Add a model from `torchvision:NAME`, `timm:NAME` or `file:FILE` and load it."""
        request = pb.LoadModelRequest(model_id=model, source=source)
        return Model.read(self._connection.unary(self._models.LoadModel, request))

    def unload(self, model: str) -> Model:
        """Take a model out of the server's memory; it stays known."""
        request = pb.UnloadModelRequest(name=model_name(model))
        return Model.read(self._connection.unary(self._models.UnloadModel, request))

    def layers(
        self,
        model: str,
        *,
        glob: str | Sequence[str] | None = None,
        op: str | Sequence[str] | None = None,
        kind: str | Sequence[str] | None = None,
    ) -> list[Layer]:
        """The layers that fit every given condition, in the order in which they run.

        `glob` is a pattern on ids, `op` an operation (`conv2d`), `kind` one of
        `input`, `module`, `block`, `operation`; several of one condition are joined by "or".
        """
        kinds = [number(_LAYER_KIND, each, "kind") for each in listed(kind)]
        chosen = pb.LayerFilter(globs=listed(glob), ops=listed(op), kinds=kinds)
        request = pb.StreamLayersRequest(parent=model_name(model), filter=chosen)
        method = self._models.StreamLayers
        return list(self._connection.stream(method, request, lambda call: map(Layer.read, call)))

    def layer(self, model: str, layer: str) -> Layer:
        """One layer."""
        request = pb.GetLayerRequest(name=layer_name(model, layer))
        return Layer.read(self._connection.unary(self._models.GetLayer, request))

    def weights(
        self,
        model: str,
        layer: str,
        names: Sequence[str] = (),
        *,
        histogram: int | None = None,
        tensors: bool = False,
    ) -> dict[str, WeightSummary]:
        """What a layer's weights hold, by name.

        Parameters
        ----------
        names : which, or patterns; none: all.
        histogram : number of bins; None: no histogram.
        tensors : whether the arrays themselves are wanted.
        """
        request = pb.StreamWeightsRequest(
            parent=layer_name(model, layer),
            weight_globs=names,
            **given_wholes({"histogram_bins": histogram}),
            include_tensors=tensors,
        )
        return {weight.name: weight for weight in self._connection.weights(request)}

    def activations(
        self,
        model: str,
        inputs: Inputs,
        layers: Layers,
        *,
        edits: Edits = (),
        **options: Unpack[ReadoutOptions],
    ) -> Activations:
        """What layers say to an input, in one forward pass.

        Parameters
        ----------
        inputs : a picture, an array or several; see `hooke.inputs`.
        layers : ids or patterns, which share `options`, or `Readout`s.
        edits : changes to what layers yield; see `hooke.edits`.
        options : units, positions, slices, reduce, over, dtype, feature_maps; see `Readout`.
        """
        prepared, changes = prepare(inputs), edit_messages(edits, model)
        wanted = readouts(layers, options)
        if size(prepared) + sum(each.ByteSize() for each in changes) > INLINE_BYTES:
            [answer] = self._record(model, [prepared], wanted, changes)
            return answer
        request = activation.StreamActivationsRequest(
            model=model_name(model), inputs=inline(prepared), readouts=wanted, edits=changes
        )
        [answer] = collect(self._connection.compute(request))
        return answer

    def estimate(
        self,
        model: str,
        inputs: Inputs,
        layers: Layers,
        *,
        edits: Edits = (),
        **options: Unpack[ReadoutOptions],
    ) -> Estimate:
        """What `activations` would cost; everything is checked and nothing computed.

        The inputs must fit into a message; the cost of a batch is that of a part, multiplied.
        """
        prepared, changes = prepare(inputs), edit_messages(edits, model)
        total = size(prepared) + sum(each.ByteSize() for each in changes)
        if total > INLINE_BYTES:
            too_large = f"inputs and edits have {total} bytes, at most {INLINE_BYTES} fit"
            raise ValueError(f"{too_large} into an estimate; ask for a part of the batch")
        request = activation.StreamActivationsRequest(
            model=model_name(model),
            inputs=inline(prepared),
            readouts=readouts(layers, options),
            edits=changes,
            validate_only=True,
        )
        return estimate_of(self._connection.compute(request))

    def record(
        self,
        model: str,
        inputs: Iterable[Inputs],
        layers: Layers,
        *,
        edits: Edits = (),
        **options: Unpack[ReadoutOptions],
    ) -> Iterator[Activations]:
        """The answers to many inputs, each as `activations` gives it, one after another.

        `inputs` is read by another thread, a little ahead of the answers: a slow reader
        slows the server, and the server slows whoever makes the inputs. What `inputs`
        raises is raised here, after the answers to the inputs before.
        """
        changes = edit_messages(edits, model)
        return self._record(model, map(prepare, inputs), readouts(layers, options), changes)

    def _record(
        self,
        model: str,
        runs: Iterable[Prepared],
        wanted: Sequence[readout_pb2.Readout],
        changes: Sequence[edit_pb2.Edit],
    ) -> Iterator[Activations]:
        configuration = activation.RecordingConfiguration(
            model=model_name(model), readouts=wanted, edits=changes
        )
        recording = Recording(configuration, runs)
        return recording.answers(self._connection.record(recording.requests()))

    def techniques(
        self, model: str | None = None, *, kind: str | None = None, **place: Unpack[Place]
    ) -> list[Technique]:
        """All techniques; with a model, each says whether it is valid at the place there.

        `kind` is `visualization` or `attribution`.
        """
        request = technique_service_pb2.ListTechniquesRequest()
        if kind:
            request.kind = number(_TECHNIQUE_KIND, kind, "kind")
        if model is not None:
            [location] = place_locations(**place)
            request.location.CopyFrom(location_message(location, model))
        found = []
        while True:
            page = self._connection.unary(self._techniques.ListTechniques, request)
            found += [Technique.read(each) for each in page.techniques]
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    def visualize(
        self,
        model: str,
        technique: Lens | None = None,
        **options: Unpack[VisualizeOptions],
    ) -> Generator[Frame, None, None]:
        """Pictures of what places respond to, as they are made; closing it stops the work.

        Yields a `Checkpoint` where the work can go on later, `Progress`, previews, finished
        `Picture`s and `Tensor`s of each item, and last a `Result`.

        Parameters
        ----------
        technique : how; by default feature visualization with the server's defaults.
        options : layer, unit, label, position or objective; seed, previews, format,
            sprite sheet, time budget, resume_from, edits; see `VisualizeOptions`.
        """
        return self._connection.compute(visualize_request(model, technique, options))

    def picture(
        self, model: str, technique: Lens | None = None, **options: Unpack[VisualizeOptions]
    ) -> Picture:
        """The finished picture of one place, or a sprite sheet; `visualize` shows it on its way."""
        frames = self.visualize(model, technique, **options)
        pictures = [each for each in frames if isinstance(each, Picture) and each.final]
        if len(pictures) != 1:
            names = ", ".join(dict.fromkeys(each.name for each in pictures))
            raise ValueError(f"this made {len(pictures)} pictures ({names}); use visualize()")
        return pictures[0]

    def visualization_estimate(
        self, model: str, technique: Lens | None = None, **options: Unpack[VisualizeOptions]
    ) -> Estimate:
        """What `visualize` would cost; everything is checked and nothing computed."""
        request = visualize_request(model, technique, options)
        request.validate_only = True
        return estimate_of(self._connection.compute(request))
