"""The operations that a program from outside may call: pure functions of tensors and numbers.

Not among them: what reads or writes files or foreign memory (`from_file`, `save`,
`set_`, `as_strided`, `empty`), what draws random numbers, and what depends on the
values of tensors (`item`, `nonzero`), whose shapes nobody can know beforehand.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

import torch

from hooke_server.models.limits import shown, unsupported
from hooke_server.models.recurrent import RECURRENT

ALLOWED = frozenset(
    """
    conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution linear
    addmm mm bmm matmul addbmm baddbmm einsum bilinear dot mv outer
    scaled_dot_product_attention _native_multi_head_attention
    batch_norm layer_norm group_norm instance_norm rms_norm native_layer_norm native_group_norm
    _native_batch_norm_legit_no_training local_response_norm _weight_norm
    max_pool1d max_pool2d max_pool3d max_pool2d_with_indices avg_pool1d avg_pool2d avg_pool3d
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d
    adaptive_max_pool2d _adaptive_avg_pool2d _adaptive_avg_pool3d
    relu relu6 leaky_relu prelu rrelu elu selu celu gelu silu mish sigmoid log_sigmoid tanh
    hardswish hardsigmoid hardtanh softplus softshrink hardshrink threshold glu softmax
    log_softmax _softmax _log_softmax softmin
    dropout feature_dropout alpha_dropout feature_alpha_dropout native_dropout
    add sub mul div rsub pow neg abs exp expm1 log log1p log2 sqrt rsqrt square reciprocal sign
    sin cos tan sinh cosh asin acos atan atan2 erf erfc floor ceil round trunc fmod remainder
    floor_divide maximum minimum clamp clamp_min clamp_max lerp addcmul addcdiv logical_and
    logical_or logical_not logical_xor bitwise_and bitwise_or bitwise_not eq ne lt le gt ge where
    masked_fill isnan isinf nan_to_num logaddexp logsumexp cumsum cumprod
    sum mean var std var_mean std_mean amax amin max min prod any all norm linalg_vector_norm
    argmax argmin sort argsort topk
    view reshape _unsafe_view _reshape_alias flatten unflatten squeeze unsqueeze transpose t
    permute movedim swapaxes expand expand_as view_as reshape_as repeat repeat_interleave tile
    contiguous clone detach alias lift_fresh_copy to _to_copy type_as chunk split
    split_with_sizes unbind cat concat stack hstack vstack narrow slice select index gather scatter
    scatter_add index_select index_put take_along_dim slice_scatter select_scatter flip roll rot90
    tril triu diagonal diag_embed unfold im2col col2im pixel_shuffle pixel_unshuffle
    channel_shuffle embedding one_hot fill zero copy
    pad constant_pad_nd reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d
    upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_bilinear2d upsample_linear1d
    upsample_bicubic2d upsample_trilinear3d _upsample_nearest_exact2d _upsample_bilinear2d_aa
    grid_sampler grid_sampler_2d affine_grid_generator cosine_similarity pairwise_distance cdist
    zeros ones full arange linspace eye scalar_tensor zeros_like ones_like full_like new_zeros
    new_ones new_full meshgrid broadcast_tensors sym_size sym_numel
    """.split()  # noqa: SIM905  # two hundred quotes would hide the words
)

OPERATORS: dict[str, Callable[..., Any]] = {
    f"_operator.{name}": getattr(operator, name)
    for name in ("add", "sub", "mul", "floordiv", "truediv", "mod", "neg", "getitem")
}

IGNORED = re.compile(
    r"torch\.ops\.aten\.(_assert_\w+|sym_constrain_range\w*|_assert_tensor_metadata)\.\w+"
)
"""Assertions, of which the graph needs none: inputs are checked before they come to it."""

WITHOUT_GRADIENT = frozenset({"_native_multi_head_attention"})

LOOPS = {"chunk": 1, "split": 1, "unbind": 1} | dict.fromkeys(
    ("lstm", "gru", "rnn_tanh", "rnn_relu"), 100
)
"""Operations that take an axis apart even where there is no data, and how long a step takes."""


def find_operation(target: str) -> Callable[..., Any]:
    """The operation that a program calls so.

    Raises
    ------
    FailedPreconditionError : MODEL_UNSUPPORTED, if it is none of the allowed ones.
    """
    if target in OPERATORS:
        return OPERATORS[target]
    if target in RECURRENT:
        return RECURRENT[target]
    match = re.fullmatch(r"torch\.ops\.aten\.(\w+?)(_?)\.([A-Za-z0-9_]+)", target)
    if match and match[1] in ALLOWED and "out" not in match[3]:
        packet = getattr(torch.ops.aten, match[1] + match[2], None)
        found: Callable[..., Any] | None = getattr(packet, match[3], None)
        if isinstance(found, torch._ops.OpOverload):
            return found
    raise unsupported(
        f"the program calls {shown(target)}, which is none of the operations that are run here"
    )


def name_of(operation: Callable[..., Any]) -> str:
    """`relu_` for `aten.relu_.default`; a plain function's own name."""
    packet = getattr(operation, "overloadpacket", operation)
    return str(packet.__name__)


def writes(operation: Callable[..., Any]) -> bool:
    """Whether an operation overwrites its first argument."""
    schema = getattr(operation, "_schema", None)
    return bool(schema and schema.is_mutable)


def twin(operation: Callable[..., Any]) -> Callable[..., Any]:
    """The operation that returns a new tensor where `operation` overwrites one."""
    # Operations are callables with a name of their own, which torch does not type.
    overload = str(operation._overloadname)  # type: ignore[attr-defined]
    return find_operation(f"torch.ops.aten.{name_of(operation).rstrip('_')}.{overload}")
