"""What a model file may ask of the server before it is believed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds for files from outside, far above any honest model.

    Attributes
    ----------
    file_bytes : size of a file, and of all that an archive holds.
    header_bytes : of a safetensors header, and of the text that describes a graph.
    entries : tensors of a checkpoint, members of an archive, nodes of a graph.
    opcodes : of a pickle, which has some thirty for each tensor.
    tensor_bytes : of one value that a graph makes from nothing or expands.
    """

    file_bytes: int = 16 << 30
    header_bytes: int = 1 << 20
    graph_bytes: int = 256 << 20
    entries: int = 100_000
    opcodes: int = 5_000_000
    tensor_bytes: int = 1 << 30
