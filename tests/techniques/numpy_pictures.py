"""What happens to pictures, slowly and plainly in NumPy."""

import math

import numpy as np
import skimage.data
import torch


def photograph(size: int) -> torch.Tensor:
    """The face of a cat, [1, 3, size, size] in 0..1."""
    step = 256 // size
    pixels = skimage.data.chelsea()[20::step, 90::step][:size, :size]
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255


def bilinear(plane: np.ndarray, y: float, x: float) -> float:
    """The value between pixel centres; 0 outside."""
    top, left, value = math.floor(y), math.floor(x), 0.0
    for row in (top, top + 1):
        for column in (left, left + 1):
            if 0 <= row < plane.shape[0] and 0 <= column < plane.shape[1]:
                value += plane[row, column] * (1 - abs(y - row)) * (1 - abs(x - column))
    return value


def slow_rotate(plane: np.ndarray, degrees: float) -> np.ndarray:
    """Look up each target pixel where it was before the picture turned counterclockwise."""
    angle = math.radians(degrees)
    middle_y, middle_x = (plane.shape[0] - 1) / 2, (plane.shape[1] - 1) / 2
    result = np.zeros_like(plane)
    for row, column in np.ndindex(plane.shape):
        up, right = middle_y - row, column - middle_x
        old_right = math.cos(angle) * right + math.sin(angle) * up
        old_up = -math.sin(angle) * right + math.cos(angle) * up
        result[row, column] = bilinear(plane, middle_y - old_up, middle_x + old_right)
    return result


def slow_resize(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Triangles around each target pixel's centre, widened where the picture gets smaller."""

    def weights(old: int, new: int) -> np.ndarray:
        ratio = old / new
        reach = max(ratio, 1.0)
        table = np.zeros((new, old))
        for target, source in np.ndindex(new, old):
            distance = abs((source + 0.5) - (target + 0.5) * ratio) / reach
            table[target, source] = max(0.0, 1 - distance)
        return table / table.sum(1, keepdims=True)

    return weights(plane.shape[0], size[0]) @ plane @ weights(plane.shape[1], size[1]).T


def each_plane(image: torch.Tensor, function) -> np.ndarray:
    planes = image.double().numpy()
    return np.stack([[function(plane) for plane in entry] for entry in planes])


def correlated(raw: np.ndarray) -> np.ndarray:
    """Lucid's colours of [3, h, w]: its matrix over the length of its longest column."""
    matrix = np.array([[0.26, 0.09, 0.02], [0.27, 0.0, -0.05], [0.27, -0.09, 0.03]])
    matrix = matrix / max(np.sqrt((matrix**2).sum(0)))
    return np.einsum("rc,chw->rhw", matrix, raw)


def sigmoid(raw: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-raw))
