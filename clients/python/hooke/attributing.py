"""The calls of a client that explain."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Unpack

from hooke.attributions import (
    At,
    AttributeOptions,
    Attributions,
    attribute_request,
    collect_attributions,
)
from hooke.frames import Estimate, Frame, estimate_of
from hooke.inputs import Inputs
from hooke.methods import Method

if TYPE_CHECKING:
    from hooke.connection import Connection


class Attributing:
    """Attributions, as they are found out or once all is there, and what they would cost."""

    _connection: Connection

    def attribute(
        self,
        model: str,
        inputs: Inputs,
        methods: Method | At | Sequence[Method | At] | None = None,
        **options: Unpack[AttributeOptions],
    ) -> Generator[Frame, None, None]:
        """Why the model answers so to an input, as it is found out; closing it stops the work.

        Yields a `Table` of the targets, `Progress`, for each method a `Tensor` and `Picture`s,
        and last a `Result`. Methods share passes through the network.

        Parameters
        ----------
        inputs : a picture, an array or several; see `hooke.inputs`.
        methods : one or several; by default integrated gradients.
        options : layer, unit, label, position or objective (what is explained), at (where it
            is looked for), drawings, tensors, pictures, format, seed; see `AttributeOptions`.
        """
        return self._connection.compute(attribute_request(model, inputs, methods, options))

    def attributions(
        self,
        model: str,
        inputs: Inputs,
        methods: Method | At | Sequence[Method | At] | None = None,
        **options: Unpack[AttributeOptions],
    ) -> Attributions:
        """The same, once all of it is there."""
        return collect_attributions(self.attribute(model, inputs, methods, **options))

    def attribution_estimate(
        self,
        model: str,
        inputs: Inputs,
        methods: Method | At | Sequence[Method | At] | None = None,
        **options: Unpack[AttributeOptions],
    ) -> Estimate:
        """What `attribute` would cost; everything is checked and nothing computed."""
        request = attribute_request(model, inputs, methods, options)
        request.validate_only = True
        return estimate_of(self._connection.compute(request))
