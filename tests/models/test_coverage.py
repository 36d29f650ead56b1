"""The torch part of the coverage matrix; `make test-all` runs it, and writes docs/coverage.md."""

import time

import pytest
import torch
import torchvision
from coverage_table import record
from eager_capture import compare, is_exported

from hooke_server.models.loaders import timm as timm_loader
from hooke_server.models.loaders import torchvision as torchvision_loader

HEAD = [
    *("architecture", "tracer", "layers", "parameters", "GMACs"),
    *("largest difference", "seconds to load"),
]

SEGMENTATION = ["lraspp_mobilenet_v3_large", "fcn_resnet50", "deeplabv3_mobilenet_v3_large"]
VIDEO = ["r3d_18", "s3d", "swin3d_t"]  # what is captured of mvit takes 10 GB
PAIRS_OF_FRAMES = ["raft_small"]
DETECTION = ["ssdlite320_mobilenet_v3_large", "retinanet_resnet50_fpn"]

TIMM = """
    resnet26d resnetv2_50 seresnext26d_32x4d ecaresnet26t gcresnet33ts res2net50_26w_4s resnest14d
    skresnet18 resnetblur50 dla34 dpn68 densenetblur121d vgg11_bn inception_v4 inception_resnet_v2
    xception41 tresnet_m efficientnet_lite0 efficientnet_b0 efficientnetv2_rw_t tf_efficientnet_b0
    mixnet_s mobilenetv3_small_050 mobilenetv4_conv_small mobilenetv4_hybrid_medium mobileone_s0
    fbnetc_100 ghostnet_100 ghostnetv2_100 tinynet_e mnasnet_small lcnet_050 hardcorenas_a
    rexnet_100 regnetx_002 regnety_002 regnetz_b16 eca_nfnet_l0 nf_resnet26 repvgg_a0 gernet_s
    hrnet_w18_small cspresnet50 cspdarknet53 ese_vovnet19b_dw selecsls42b hgnetv2_b0 starnet_s1
    convnext_atto convnextv2_atto edgenext_xx_small inception_next_tiny mambaout_femto rdnet_tiny
    poolformer_s12 caformer_s18 convmixer_768_32 mixer_s32_224 resmlp_12_224 gmlp_ti16_224
    sequencer2d_s vit_tiny_patch16_224 vit_small_r26_s32_224 vit_relpos_small_patch16_224
    vit_base_patch32_clip_224 deit_tiny_distilled_patch16_224 deit3_small_patch16_224
    beit_base_patch16_224 eva02_tiny_patch14_224 cait_xxs24_224 xcit_nano_12_p16_224
    swin_tiny_patch4_window7_224 swinv2_tiny_window8_256 swinv2_cr_tiny_ns_224 twins_pcpvt_small
    twins_svt_small pvt_v2_b0 pit_ti_224 levit_128s crossvit_tiny_240 convit_tiny coat_lite_tiny
    tnt_s_patch16_224 nest_tiny volo_d1_224 visformer_tiny mobilevit_xxs mobilevitv2_050
    coatnet_nano_rw_224 maxvit_tiny_tf_224 efficientformer_l1 efficientformerv2_s0 fastvit_t8
    repvit_m0_9 tiny_vit_5m_224 efficientvit_b0 efficientvit_m0 davit_tiny focalnet_tiny_srf
    gcvit_xxtiny mvitv2_tiny hiera_tiny_224 botnet26t_256 halonet26t lambda_resnet26t
    swiftformer_xs shvit_s1 vit_tiny_r_s16_p8_224 samvit_base_patch16_224
""".split()  # noqa: SIM905  # two names a line would take fifty

MATRIX = [
    *(f"torchvision:{name}" for name in torchvision.models.list_models(torchvision.models)),
    *(f"torchvision:{name}" for name in [*SEGMENTATION, *VIDEO, *PAIRS_OF_FRAMES, *DETECTION]),
    *(f"timm:{name}" for name in TIMM),
]


@pytest.mark.matrix
@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("default")  # of the architectures' own code
@pytest.mark.parametrize("source", MATRIX)
def test_every_layer_equals_an_independent_capture(source):
    scheme, _, name = source.partition(":")
    build = {"torchvision": torchvision_loader, "timm": timm_loader}[scheme].architecture
    architecture = build(name)
    module = architecture.module.eval()
    start = time.perf_counter()
    model = architecture.model(source, "cpu", notes=())
    seconds = time.perf_counter() - start
    generator = torch.Generator().manual_seed(1)
    # Large pictures take memory and show nothing more; what takes one size takes about 224.
    edge = min(architecture.example_shapes[0][-1], 256 if scheme == "timm" else 224)
    inputs = [
        torch.randn(model.fixed_batch or 1, *shape[1:-2], edge, edge, generator=generator)
        for shape in architecture.example_shapes
    ]
    worst = compare(model, module, inputs)
    fixed = f" (batch {model.fixed_batch})" if model.fixed_batch else ""
    cells = [
        *(source, ("export" if is_exported(model) else "symbolic") + fixed, str(len(model.layers))),
        *(f"{model.parameter_count:,}", f"{model.macs / 1e9:.4f}", f"{worst:.0e}"),
        f"{seconds:.1f}",
    ]
    record("Torch architectures", HEAD, cells)
    assert worst <= 1e-5
    own = sum(parameter.numel() for parameter in module.parameters())
    assert model.parameter_count <= own
