"""Configs and image processors of the paper's Hugging Face checkpoints: only pretrained weights need the hub.

The values are those of the checkpoints' own `config.json` and `preprocessor_config.json`; what is left out is the
default of transformers' classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import transformers

__all__ = ["ARCHITECTURES", "Architecture"]

_BILINEAR, _BICUBIC = 2, 3
_IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
_HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}


@dataclass(frozen=True)
class Architecture:
    """One checkpoint's model type, config and image processor."""

    model_type: str
    image_processor: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    processing: Mapping[str, Any] = field(default_factory=dict)

    def config(self) -> Any:
        """A new config of transformers."""
        return transformers.AutoConfig.for_model(self.model_type, **self.settings)

    def processor(self) -> Any:
        """A new image processor, on the PIL backend as for the checkpoint."""
        return getattr(transformers, f"{self.image_processor}Pil")(**self.processing)


def _classifier(model_type: str, image_processor: str, settings: dict[str, Any], **processing: Any) -> Architecture:
    """A classifier of ImageNet's 1000 classes."""
    kind = {"resnet": "ResNet", "convnextv2": "ConvNextV2", "vit": "ViT", "bit": "Bit", "dinov2": "Dinov2"}[model_type]
    declared = {"architectures": [f"{kind}ForImageClassification"], "num_labels": 1000}
    return Architecture(model_type, image_processor, settings | declared, processing)


def _resnet(layer_type: str, hidden_sizes: list[int], depths: list[int]) -> Architecture:
    """microsoft/resnet-*: converted from timm, with ConvNeXt's image processor."""
    settings = {"layer_type": layer_type, "hidden_sizes": hidden_sizes, "depths": depths}
    return _classifier("resnet", "ConvNextImageProcessor", settings, **_CONVNEXT_224)


def _clipseg(*, refined: bool) -> Architecture:
    """CIDAS/clipseg-rd64*: they differ in how the decoder enlarges its last layer, which is not read."""
    vision = {"image_size": 224, "patch_size": 16}
    settings = {"reduce_dim": 64, "use_complex_transposed_convolution": refined, "vision_config": vision}
    processing = {"size": _square(352), "resample": _BILINEAR, **_IMAGENET}
    return Architecture("clipseg", "ViTImageProcessor", settings, processing)


def _square(side: int) -> dict[str, int]:
    """A size that ignores the image's aspect."""
    return {"height": side, "width": side}


_CONVNEXT_224 = {"size": {"shortest_edge": 224}, "crop_pct": 0.875, "resample": _BICUBIC, **_IMAGENET}
_DINOV2_224 = {"size": {"shortest_edge": 256}, "crop_size": _square(224), "resample": _BICUBIC, **_IMAGENET}
_DINOV2_GIANT = {
    "hidden_size": 1536,
    "num_hidden_layers": 40,
    "num_attention_heads": 24,
    "use_swiglu_ffn": True,
    "image_size": 518,
    "patch_size": 14,
}
_CONVNEXTV2_BASE = _classifier(
    "convnextv2",
    "ConvNextImageProcessor",
    {"hidden_sizes": [128, 256, 512, 1024], "depths": [3, 3, 27, 3]},
    **_CONVNEXT_224,
)
_WIDE = [256, 512, 1024, 2048]

ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {
        "openai/clip-vit-base-patch32": Architecture(
            "clip",
            "CLIPImageProcessor",
            {"projection_dim": 512, "vision_config": {"image_size": 224, "patch_size": 32}},
        ),
        "CIDAS/clipseg-rd64": _clipseg(refined=False),
        "CIDAS/clipseg-rd64-refined": _clipseg(refined=True),
        "facebook/dinov2-giant": Architecture("dinov2", "BitImageProcessor", _DINOV2_GIANT, _DINOV2_224),
        "facebook/dinov2-giant-imagenet1k-1-layer": _classifier(
            "dinov2", "BitImageProcessor", _DINOV2_GIANT, **_DINOV2_224
        ),
        # the checkpoint's initializer_range of 1e-10 would make all random features alike
        "facebook/sam-vit-base": Architecture(
            "sam", "SamImageProcessor", {"vision_config": {"image_size": 1024, "initializer_range": 0.02}}
        ),
        "google/bit-50": _classifier(
            "bit",
            "BitImageProcessor",
            {"conv_layer": "std_conv"},
            size={"shortest_edge": 448},
            crop_size=_square(448),
            resample=_BILINEAR,
            **_HALF,
        ),
        "microsoft/resnet-18": _resnet("basic", [64, 128, 256, 512], [2, 2, 2, 2]),
        "microsoft/resnet-50": _resnet("bottleneck", _WIDE, [3, 4, 6, 3]),
        "microsoft/resnet-101": _resnet("bottleneck", _WIDE, [3, 4, 23, 3]),
        "facebook/convnextv2-base-1k-224": _CONVNEXTV2_BASE,
        "facebook/convnextv2-base-22k-224": _CONVNEXTV2_BASE,
        "google/vit-base-patch16-224": _classifier(
            "vit",
            "ViTImageProcessor",
            {"image_size": 224, "patch_size": 16},
            size=_square(224),
            resample=_BILINEAR,
            **_HALF,
        ),
        "google/vit-large-patch32-384": _classifier(
            "vit",
            "ViTImageProcessor",
            {
                "hidden_size": 1024,
                "intermediate_size": 4096,
                "num_hidden_layers": 24,
                "num_attention_heads": 16,
                "image_size": 384,
                "patch_size": 32,
            },
            size=_square(384),
            resample=_BILINEAR,
            **_HALF,
        ),
    }
)
