"""Small networks, each for one thing that real ones do."""

import torch
import torchvision
from torch import nn


class TwoInputs(nn.Module):
    """Dict output, an overwritten sum, an argument with a default."""

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(4, 8), nn.Linear(6, 8)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x, y, scale=None):
        z = self.left(x)
        z += self.right(y)
        if scale is not None:
            z = z * scale
        return {"logits": self.act(z), "sizes": {"z": z}}


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(10, 20, 2, batch_first=True)
        self.gru = nn.GRU(20, 7, batch_first=True, bidirectional=True)
        self.head = nn.Linear(14, 3)

    def forward(self, x):
        y, (hidden, _) = self.lstm(x)
        z, _ = self.gru(y)
        return self.head(z[:, -1]), hidden


class Grey(nn.Module):
    """One channel, no batch norm, a module used twice, a block that returns what it was given."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.block = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(inplace=True))
        self.drop = Pass()
        self.head = nn.Linear(4, 10)

    def forward(self, x):
        x = self.block(self.block(self.first(x)))
        return self.head(self.drop(x).mean((2, 3)))


class Pass(nn.Module):
    def forward(self, x):
        return x


class Overwriting(nn.Module):
    """Whoever reads `y` after it was overwritten sees the new value."""

    def __init__(self):
        super().__init__()
        self.linear, self.act = nn.Linear(4, 4), nn.ReLU(inplace=True)

    def forward(self, x):
        y = self.linear(x)
        kept = y
        z = self.act(y)
        y.mul_(2).add_(1)
        torch.relu_(z)
        return kept + z


class OverwritingViews(Overwriting):
    """The base is read after a view of it was overwritten: no rewiring of names can do this."""

    def forward(self, x):
        y = self.linear(x)
        y.view(-1, 2, 2)[:, 0].add_(1)
        return self.act(y)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(8), nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        y = self.norm(x)
        return x + self.attention(y, y, y, need_weights=False)[0]


class Deciding(nn.Module):
    """Looks at sizes, so it cannot be traced symbolically; returns a tuple and drops nothing."""

    def __init__(self):
        super().__init__()
        self.conv, self.drop = nn.Conv2d(3, 4, 3), nn.Dropout()
        self.pool = Half()

    def forward(self, x):
        if x.shape[-1] < 4:
            raise ValueError(x.shape)
        y = self.drop(self.conv(x))
        return self.pool(y), y


class Half(nn.Module):
    """Childless, and looks at sizes."""

    def forward(self, x):
        return x[..., : max(x.shape[-1] // 2, 1)]


class Untraceable(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        return self.linear(x) if float(x.sum()) > 0 else x.new_tensor(x.tolist())


def classifier(name, size=64, **options):
    """A torchvision network and an input."""
    module = torchvision.models.get_model(name, weights=None, num_classes=10, **options).eval()
    return module, (torch.randn(1, 3, size, size),)


def tiny_vit():
    vit = torchvision.models.VisionTransformer(
        image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32,
        num_classes=5,
    )  # fmt: skip
    nn.init.normal_(vit.heads.head.weight)  # torchvision starts the head at zero
    return vit.eval(), (torch.randn(1, 3, 32, 32),)


def tiny_swin():
    swin = torchvision.models.SwinTransformer(
        patch_size=[2, 2], embed_dim=8, depths=[2, 2], num_heads=[2, 2], window_size=[4, 4],
        num_classes=5,
    )  # fmt: skip
    return swin.eval(), (torch.randn(1, 3, 32, 32),)


def encoder():
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    return nn.TransformerEncoder(layer, 1).eval(), (torch.randn(1, 5, 16),)


NETWORKS = {
    "resnet18": lambda: classifier("resnet18"),
    "mobilenet_v3_small": lambda: classifier("mobilenet_v3_small"),
    "googlenet": lambda: classifier("googlenet", init_weights=False),
    "lraspp": lambda: classifier("lraspp_mobilenet_v3_large", weights_backbone=None),
    "vit": tiny_vit,
    "swin": tiny_swin,
    "encoder": encoder,
    "two inputs": lambda: (TwoInputs(), (torch.randn(1, 4), torch.randn(1, 6))),
    "recurrent": lambda: (Recurrent(), (torch.randn(1, 5, 10),)),
    "grey": lambda: (Grey(), (torch.randn(1, 1, 8, 8),)),
    "overwriting": lambda: (Overwriting(), (torch.randn(1, 4),)),
    "deciding": lambda: (Deciding(), (torch.randn(1, 3, 8, 8),)),
}
