"""The ONNX part of the coverage matrix: exports by both exporters beside their torch twins."""

import time

import pytest
import torch
from coverage_table import record
from onnx_exports import EXPORTERS, compare_modules, export, load, randomize_normalizations

from hooke_server.models.loaders import timm as timm_loader
from hooke_server.models.loaders import torchvision as torchvision_loader

HEAD = [
    *("export", "layers", "of the twin", "the same id", "modules compared", "of another shape"),
    *("largest difference", "parity error", "seconds to load"),
]

TORCHVISION = """
    alexnet vgg11_bn resnet18 resnet50 wide_resnet50_2 resnext50_32x4d densenet121 googlenet
    inception_v3 squeezenet1_1 mobilenet_v2 mobilenet_v3_small mnasnet1_0 shufflenet_v2_x1_0
    efficientnet_b0 regnet_y_400mf convnext_tiny vit_b_32 lraspp_mobilenet_v3_large
""".split()  # noqa: SIM905

TIMM = """
    efficientnet_lite0 tf_efficientnet_b0 ghostnet_100 mobilenetv4_conv_small repvgg_a0 dla34
    hrnet_w18_small convnext_atto convnextv2_atto edgenext_xx_small poolformer_s12 mixer_s32_224
    resmlp_12_224 gmlp_ti16_224 vit_tiny_patch16_224 deit_tiny_distilled_patch16_224
    xcit_nano_12_p16_224 pit_ti_224 levit_128s mobilevit_xxs coatnet_nano_rw_224
    efficientformer_l1 repvit_m0_9 swin_tiny_patch4_window7_224
""".split()  # noqa: SIM905

NAMES_LOST = {("timm:poolformer_s12", "torchscript")}
"""The older exporter calls `head.fc` only `fc`, where `head` itself is not called."""

MATRIX = [
    *(f"torchvision:{name}" for name in TORCHVISION),
    *(f"timm:{name}" for name in TIMM),
]


@pytest.mark.matrix
@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("default")  # of the architectures' and the exporters' own code
@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("source", MATRIX)
def test_every_module_equals_an_independent_capture(tmp_path, source, exporter):
    scheme, _, name = source.partition(":")
    build = {"torchvision": torchvision_loader, "timm": timm_loader}[scheme].architecture
    architecture = build(name)
    module = randomize_normalizations(architecture.module.eval())
    twin = architecture.model(source, "cpu", notes=())
    example = torch.randn(1, *architecture.example_shapes[0][1:])
    export(tmp_path, module, example, exporter=exporter)
    start = time.perf_counter()
    model = load(tmp_path)
    seconds = time.perf_counter() - start
    inputs = [torch.randn(model.fixed_batch or 2, *example.shape[1:])]
    worst, compared, reshaped, folded = compare_modules(model, module, inputs)
    same = model.layers.keys() & twin.layers.keys()
    record(
        "ONNX exports",
        HEAD,
        [
            *(f"{source}, {exporter}", str(len(model.layers)), str(len(twin.layers))),
            *(str(len(same)), str(len(compared)), str(len(reshaped)), f"{worst:.0e}"),
            *(f"{model.parity_error:.0e}", f"{seconds:.1f}"),
        ],
    )
    assert worst <= 1e-4
    # Positions that are computed of nothing but weights are constants in a file.
    constant = ("pos_embd", "pos_embed")
    weighted = {
        i
        for i, layer in twin.layers.items()
        if layer.macs and layer.module_class and "@" not in i
        if not any(name in i for name in constant)
    }
    if (source, exporter) in NAMES_LOST:
        weighted -= {"head", "head.fc"}
    assert weighted <= {*compared, *reshaped, *folded}
    assert model.obstacle == ""
