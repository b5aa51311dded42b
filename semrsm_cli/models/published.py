"""The published weights that the presets name: how large they are, on what terms, and which files hold them."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["PUBLISHED", "PublishedWeights", "files_of_weights"]

_SHARDS = {"safetensors": "model", "bin": "pytorch_model"}
"""Files of weights by suffix, best first, and how their names begin."""


@dataclass(frozen=True)
class PublishedWeights:
    """Weights that others hand out.

    Attributes:
        preset: What `semrsm data fetch` calls them.
        n_bytes: About how many bytes are fetched.
        licence: On what terms.
    """

    preset: str
    n_bytes: int
    licence: str


PUBLISHED = {
    "CIDAS/clipseg-rd64": PublishedWeights("clipseg_rd64", 603_000_000, "Apache-2.0"),
    "CIDAS/clipseg-rd64-refined": PublishedWeights("clipseg", 603_000_000, "Apache-2.0"),
    "facebook/convnextv2-base-1k-224": PublishedWeights("convnextv2_base_1k", 355_000_000, "Apache-2.0"),
    "facebook/convnextv2-base-22k-224": PublishedWeights("convnextv2_base", 355_000_000, "Apache-2.0"),
    "facebook/dinov2-giant": PublishedWeights("dinov2_giant", 4_550_000_000, "Apache-2.0"),
    "facebook/dinov2-giant-imagenet1k-1-layer": PublishedWeights(
        "dinov2_giant_classifier", 4_560_000_000, "Apache-2.0"
    ),
    "facebook/sam-vit-base": PublishedWeights("sam", 375_000_000, "Apache-2.0"),
    "google/bit-50": PublishedWeights("bit50", 102_000_000, "Apache-2.0"),
    "google/vit-base-patch16-224": PublishedWeights("vit_b16", 346_000_000, "Apache-2.0"),
    "google/vit-large-patch32-384": PublishedWeights("vit_l32", 1_230_000_000, "Apache-2.0"),
    "microsoft/resnet-101": PublishedWeights("resnet101", 179_000_000, "Apache-2.0"),
    "microsoft/resnet-18": PublishedWeights("resnet18", 47_000_000, "Apache-2.0"),
    "microsoft/resnet-50": PublishedWeights("resnet50", 103_000_000, "Apache-2.0"),
    "openai/clip-vit-base-patch32": PublishedWeights("clip", 605_000_000, "MIT"),
    "resnet18": PublishedWeights("torchvision_resnet18", 47_000_000, "BSD-3-Clause"),
    "tf_efficientnet_lite0": PublishedWeights("efficientnet_lite0", 0, "Apache-2.0"),
    "vit_b_16": PublishedWeights("torchvision_vit_b16", 346_000_000, "BSD-3-Clause"),
}
"""By the name within their library: sizes of float32 parameters, and licences of the cards or of the code beside."""


def files_of_weights(names: Sequence[str]) -> list[str]:
    """The files of a repository that a network is read from: settings, and its weights in the best of the formats."""
    top = [name for name in names if "/" not in name]
    for suffix, stem in _SHARDS.items():
        weights = [name for name in top if name.startswith(stem) and name.endswith(f".{suffix}")]
        if weights:
            return [name for name in top if name.endswith(".json")] + weights
    return []
