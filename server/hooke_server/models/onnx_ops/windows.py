"""Where sliding windows lie: kernels, strides and paddings of convolutions and pools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hooke_server.models.onnx_ops.table import Ints, integers


@dataclass(frozen=True)
class Windows:
    """Windows over the spatial axes of a tensor, one number per axis in each list.

    Attributes
    ----------
    kernel, stride, dilation : as in torch.
    begin, end : padding before and after.
    spill : what windows may read beyond the padding, when lengths are rounded up.
    """

    kernel: list[int]
    stride: list[int]
    dilation: list[int]
    begin: list[int]
    end: list[int]
    spill: list[int]

    @property
    def symmetric(self) -> bool:
        """Whether torch's own padding says it all."""
        return self.begin == self.end and not any(self.spill) and min(self.begin, default=0) >= 0

    @property
    def poolable(self) -> bool:
        """Whether a torch pool takes the padding: at most half a window."""
        halves = (pad <= kernel // 2 for pad, kernel in zip(self.begin, self.kernel, strict=True))
        return self.symmetric and all(halves)

    @property
    def around(self) -> list[int]:
        """Padding with the spill, in the order of `F.pad`."""
        axes = zip(self.begin, self.end, self.spill, strict=True)
        return [width for b, e, s in reversed(list(axes)) for width in (b, e + s)]

    @property
    def within(self) -> list[int]:
        """Padding without the spill, in the order of `F.pad`."""
        axes = zip(self.begin, self.end, strict=True)
        return [width for b, e in reversed(list(axes)) for width in (b, e)]


def windows(
    lengths: Sequence[int],
    kernel: Sequence[int],
    *,
    strides: Ints = None,
    pads: Ints = None,
    dilations: Ints = None,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
) -> Windows:
    """The windows a node's attributes describe over axes of these lengths."""
    rank = len(kernel)
    stride = integers(strides) or [1] * rank
    dilation = integers(dilations) or [1] * rank
    given = integers(pads) or [0] * 2 * rank
    begin, end = given[:rank], given[rank:]
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    if auto_pad == "VALID":
        begin, end = [0] * rank, [0] * rank
    elif auto_pad.startswith("SAME"):
        axes = list(zip(lengths, reach, stride, strict=True))
        total = [max((-(-n // s) - 1) * s + r - n, 0) for n, r, s in axes]
        small, large = [t // 2 for t in total], [t - t // 2 for t in total]
        begin, end = (small, large) if auto_pad == "SAME_UPPER" else (large, small)
    spill = [0] * rank
    if ceil_mode:
        for i, (n, r, s) in enumerate(zip(lengths, reach, stride, strict=True)):
            padded = n + begin[i] + end[i]
            steps = -(-(padded - r) // s)
            if steps * s >= n + begin[i]:
                # A window that would begin in the end's padding is none.
                steps -= 1
            spill[i] = max(steps * s + r - padded, 0)
    return Windows(list(kernel), stride, dilation, begin, end, spill)
