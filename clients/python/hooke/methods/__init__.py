"""Methods of attribution, one class for each message of the contract.

    IntegratedGradients(steps=100, baselines=[BlurBaseline()])

A parameter that is left None takes the server's default, which
`Client.techniques(kind="attribution")` tells.
"""

from __future__ import annotations

from types import ModuleType

from hooke.methods import backpropagation, gradients
from hooke.methods.backpropagation import (
    BackpropagationMethod,
    Deconvolution,
    DeepLift,
    GuidedBackpropagation,
    RelevancePropagation,
)
from hooke.methods.baselines import (
    BlurBaseline,
    ConstantBaseline,
    ImageBaseline,
    MeanBaseline,
    NoiseBaseline,
    ZeroBaseline,
)
from hooke.methods.gradients import (
    Conductance,
    GradientMethod,
    GradientShap,
    InputXGradient,
    IntegratedGradients,
    InternalInfluence,
    NeuronConductance,
    Saliency,
    SmoothGrad,
)
from hooke.v1 import attribution_service_pb2 as pb

Method = GradientMethod | BackpropagationMethod
"""A method with its parameters; any class of the modules here."""

_FAMILIES: tuple[ModuleType, ...] = (gradients, backpropagation)

_KNOWN: dict[str, type[Method]] = {
    name: kind for family in _FAMILIES for name, kind in vars(family).items()
}

METHODS: dict[str, type[Method]] = {
    each.name: _KNOWN[each.message_type.name]
    for each in pb.AttributionMethod.DESCRIPTOR.oneofs_by_name["technique"].fields
    if each.message_type
}
"""The classes by the names of their techniques."""

__all__ = [
    "METHODS",
    "BlurBaseline",
    "Conductance",
    "ConstantBaseline",
    "Deconvolution",
    "DeepLift",
    "GradientShap",
    "GuidedBackpropagation",
    "ImageBaseline",
    "InputXGradient",
    "IntegratedGradients",
    "InternalInfluence",
    "MeanBaseline",
    "Method",
    "NeuronConductance",
    "NoiseBaseline",
    "RelevancePropagation",
    "Saliency",
    "SmoothGrad",
    "ZeroBaseline",
]
