"""Methods of attribution, one class for each message of the contract.

    IntegratedGradients(steps=100, baselines=[BlurBaseline()])

A parameter that is left None takes the server's default, which
`Client.techniques(kind="attribution")` tells.
"""

from __future__ import annotations

from types import ModuleType

from hooke.methods import (
    attention,
    backpropagation,
    causal_tracing,
    class_activation,
    concepts,
    gradients,
    perturbation,
)
from hooke.methods.attention import AttentionMethod, AttentionRollout, GradientAttention
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
from hooke.methods.causal_tracing import CausalTracing
from hooke.methods.class_activation import (
    AblationCam,
    ClassActivationMethod,
    EigenCam,
    GradCam,
    GradCamPlusPlus,
    HiresCam,
    LayerCam,
    ScoreCam,
)
from hooke.methods.concepts import Concept, ConceptMethod, Craft, Tcav
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
from hooke.methods.perturbation import (
    ElementFeatures,
    FeatureAblation,
    Features,
    GridFeatures,
    Hsic,
    KernelShap,
    Lime,
    Occlusion,
    PerturbationMethod,
    Rise,
    ShapleySampling,
    Sobol,
    SuperpixelFeatures,
    UnitFeatures,
)
from hooke.v1 import attribution_service_pb2 as pb

Method = (
    GradientMethod
    | BackpropagationMethod
    | ClassActivationMethod
    | PerturbationMethod
    | AttentionMethod
    | ConceptMethod
    | CausalTracing
)
"""A method with its parameters; any class of the modules here."""

_FAMILIES: tuple[ModuleType, ...] = (
    gradients,
    backpropagation,
    causal_tracing,
    class_activation,
    perturbation,
    attention,
    concepts,
)

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
    "AblationCam",
    "AttentionRollout",
    "BlurBaseline",
    "CausalTracing",
    "Concept",
    "Conductance",
    "ConstantBaseline",
    "Craft",
    "Deconvolution",
    "DeepLift",
    "EigenCam",
    "ElementFeatures",
    "FeatureAblation",
    "Features",
    "GradCam",
    "GradCamPlusPlus",
    "GradientAttention",
    "GradientShap",
    "GridFeatures",
    "GuidedBackpropagation",
    "HiresCam",
    "Hsic",
    "ImageBaseline",
    "InputXGradient",
    "IntegratedGradients",
    "InternalInfluence",
    "KernelShap",
    "LayerCam",
    "Lime",
    "MeanBaseline",
    "Method",
    "NeuronConductance",
    "NoiseBaseline",
    "Occlusion",
    "RelevancePropagation",
    "Rise",
    "Saliency",
    "ScoreCam",
    "ShapleySampling",
    "SmoothGrad",
    "Sobol",
    "SuperpixelFeatures",
    "Tcav",
    "UnitFeatures",
    "ZeroBaseline",
]
