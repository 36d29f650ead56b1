import operator

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from hooke_server.models.ops import op_name, snake_case

aten = torch.ops.aten


@pytest.mark.parametrize(
    ("name", "spellings"),
    [
        ("relu", [nn.ReLU, F.relu, torch.relu_, "relu_", aten.relu.default, "Relu"]),
        ("relu6", [nn.ReLU6, F.relu6]),
        ("leaky_relu", [nn.LeakyReLU, F.leaky_relu, "LeakyRelu"]),
        ("prelu", [nn.PReLU, F.prelu, "PRelu"]),
        ("gelu", [nn.GELU, F.gelu, aten.gelu.default, "Gelu"]),
        ("silu", [nn.SiLU, F.silu]),
        ("hardswish", [nn.Hardswish, F.hardswish, "HardSwish"]),
        ("conv2d", [nn.Conv2d, F.conv2d, aten.conv2d.default, aten.convolution.default, "Conv"]),
        ("conv1d", [nn.Conv1d, F.conv1d]),
        ("linear", [nn.Linear, F.linear, aten.linear.default, aten.addmm.default, "Gemm"]),
        ("matmul", [operator.matmul, torch.matmul, torch.bmm, aten.mm.default, "MatMul"]),
        ("batch_norm", [nn.BatchNorm1d, nn.BatchNorm2d, F.batch_norm, "BatchNormalization"]),
        ("batch_norm", [aten._native_batch_norm_legit_no_training.default]),
        ("layer_norm", [nn.LayerNorm, aten.native_layer_norm.default, "LayerNormalization"]),
        ("max_pool2d", [nn.MaxPool2d, aten.max_pool2d_with_indices.default, "MaxPool"]),
        ("adaptive_avg_pool2d", [nn.AdaptiveAvgPool2d, "GlobalAveragePool"]),
        ("add", [operator.add, operator.iadd, torch.add, "add_", aten.add.Tensor, "Add"]),
        ("div", [operator.truediv, operator.itruediv, torch.div, "Div"]),
        ("reshape", ["view", torch.reshape, torch.flatten, aten._unsafe_view.default, "Reshape"]),
        ("softmax", [nn.Softmax, F.softmax, aten._softmax.default, "Softmax"]),
        ("cat", [torch.cat, torch.concat, "Concat"]),
        ("clamp", [torch.clamp, torch.clip, "Clip"]),
        ("mean", [torch.mean, "mean", aten.mean.dim, "ReduceMean"]),
        ("multihead_attention", [nn.MultiheadAttention]),
        ("lstm", [nn.LSTM, "LSTM"]),
        ("dropout", [nn.Dropout, F.dropout]),
    ],
)
def test_one_operation_has_one_name(name, spellings):
    assert {op_name(spelling) for spelling in spellings} == {name}


def test_block_classes_in_snake_case():
    names = {"SwinTransformerBlock": "swin_transformer_block", "ConvNeXtStage": "convnext_stage"}
    assert {name: snake_case(name) for name in names} == names
