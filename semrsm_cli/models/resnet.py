"""ResNets for small images, whose every layer can be read before and after its last ReLU (Section G.2).

The stem is a 3 x 3 convolution, and no pooling follows it: at 64 pixels `layer1`, `layer2` and `layer3` have 4096, 1024
and 256 positions. Blocks are ResNet v1.5: a bottleneck strides in its 3 x 3 convolution.

Names of layers: `stem.norm` and `stem`, then for block i of stage j `layer{j}.{i}.sum` and `layer{j}.{i}`: the first
before, the second after the ReLU.
"""

from collections import OrderedDict
from typing import Final

from torch import Tensor, nn

from semrsm_cli.models.recipe import Architecture, NetworkSpec
from semrsm_cli.models.weights import build_seeded

__all__ = ["ResNet", "build_network", "n_parameters"]

_BLOCKS: Final = {
    Architecture.resnet10: (1, 1, 1, 1),
    Architecture.resnet18: (2, 2, 2, 2),
    Architecture.resnet34: (3, 4, 6, 3),
    Architecture.resnet50: (3, 4, 6, 3),
    Architecture.resnet101: (3, 4, 23, 3),
}
_BOTTLENECK: Final = (Architecture.resnet50, Architecture.resnet101)
_EXPANSION: Final = 4


class _Sum(nn.Module):
    """The sum of a block's branches; a module, so that it can be captured."""

    def forward(self, residual: Tensor, shortcut: Tensor) -> Tensor:
        """Both branches [n, c, h, w] added."""
        return residual + shortcut


class _Block(nn.Module):
    """Two 3 x 3 convolutions, or a bottleneck around one, beside a shortcut."""

    def __init__(self, channels_in: int, width: int, *, stride: int, is_bottleneck: bool) -> None:
        super().__init__()
        channels = width * _EXPANSION if is_bottleneck else width
        if is_bottleneck:
            layers = [*_convolution(channels_in, width, 1), nn.ReLU(inplace=True)]
            layers += [*_convolution(width, width, 3, stride), nn.ReLU(inplace=True), *_convolution(width, channels, 1)]
        else:
            layers = [*_convolution(channels_in, width, 3, stride), nn.ReLU(inplace=True)]
            layers += _convolution(width, channels, 3)
        self.residual = nn.Sequential(*layers)
        is_same = stride == 1 and channels_in == channels
        self.shortcut = nn.Identity() if is_same else nn.Sequential(*_convolution(channels_in, channels, 1, stride))
        self.sum = _Sum()
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map [n, c, h, w] to the next."""
        y: Tensor = self.relu(self.sum(self.residual(x), self.shortcut(x)))
        return y


class ResNet(nn.Module):
    """A ResNet for small images.

    Args:
        architecture: How many blocks of which kind.
        n_classes: Classes to tell apart.
        width: Channels of the stem; the paper's networks have 64.
        early_downsampling: Halve the map in the stem and again in `layer1`, for images of 160 pixels and more.
    """

    def __init__(
        self, architecture: Architecture | str, *, n_classes: int, width: int = 64, early_downsampling: bool = False
    ) -> None:
        super().__init__()
        kind = Architecture(architecture)
        stride, padding = (2, 3) if early_downsampling else (1, 1)
        self.stem = nn.Sequential(
            OrderedDict(
                conv=nn.Conv2d(3, width, 3, stride, padding, bias=False),
                norm=nn.BatchNorm2d(width),
                relu=nn.ReLU(),
            )
        )
        channels = width
        for stage, n_blocks in enumerate(_BLOCKS[kind]):
            first_stride = stride if stage == 0 else 2
            blocks = []
            for i in range(n_blocks):
                step = first_stride if i == 0 else 1
                blocks.append(_Block(channels, width << stage, stride=step, is_bottleneck=kind in _BOTTLENECK))
                channels = (width << stage) * (_EXPANSION if kind in _BOTTLENECK else 1)
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.head = nn.Linear(channels, n_classes)
        self.apply(_initialise)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the stem and of every block, first to last."""
        return ("stem", *(name for name, module in self.named_modules() if isinstance(module, _Block)))

    def forward(self, x: Tensor) -> Tensor:
        """Images [n, 3, h, w] to logits [n, classes]."""
        for name, stage in self.named_children():
            if name != "head":
                x = stage(x)
        logits: Tensor = self.head(x.mean(dim=(2, 3)))  # over the whole map, where ReSi's pooling leaves out a rim
        return logits


def _convolution(channels_in: int, channels_out: int, size: int, stride: int = 1) -> list[nn.Module]:
    """A convolution that keeps the map's size but for its stride, and its normalisation."""
    return [
        nn.Conv2d(channels_in, channels_out, size, stride, padding=size // 2, bias=False),
        nn.BatchNorm2d(channels_out),
    ]


def _initialise(module: nn.Module) -> None:
    """He et al.'s weights; a block's last normalisation starts at zero, so that it starts as its shortcut."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    if isinstance(module, _Block):
        last = module.residual[-1]
        assert isinstance(last, nn.BatchNorm2d)
        nn.init.zeros_(last.weight)


def build_network(spec: NetworkSpec, *, n_classes: int, seed: int) -> ResNet:
    """The network with the first weights that belong to the seed; the caller's generator stays as it was."""
    return build_seeded(
        lambda: ResNet(
            spec.architecture, n_classes=n_classes, width=spec.width, early_downsampling=spec.early_downsampling
        ),
        seed=seed,
    )


def n_parameters(module: nn.Module) -> int:
    """Number of parameters."""
    return sum(parameter.numel() for parameter in module.parameters())
