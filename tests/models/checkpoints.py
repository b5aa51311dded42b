"""Tiny checkpoints with random weights, and the real image processors and token grids."""

from typing import Any

IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
HALF = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
TEXT = SMALL | {
    "vocab_size": 64,
    "max_position_embeddings": 16,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
}
DINOV2 = {k: SMALL[k] for k in ("hidden_size", "num_hidden_layers", "num_attention_heads")} | {
    "use_swiglu_ffn": True,
    "image_size": 518,
    "patch_size": 14,
}


def clip() -> tuple[Any, Any]:
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    vision = SMALL | {"image_size": 224, "patch_size": 32}
    return CLIPModel(CLIPConfig(text_config=TEXT, vision_config=vision, projection_dim=16)), CLIPImageProcessor()


def clipseg() -> tuple[Any, Any]:
    from transformers import CLIPSegConfig, CLIPSegForImageSegmentation, ViTImageProcessor

    config = CLIPSegConfig(
        text_config=TEXT,
        vision_config=SMALL | {"image_size": 224, "patch_size": 16},
        projection_dim=16,
        extract_layers=[0, 1],
        reduce_dim=16,
        decoder_intermediate_size=32,
        decoder_num_attention_heads=2,
    )
    return CLIPSegForImageSegmentation(config), ViTImageProcessor(size={"height": 352, "width": 352}, **IMAGENET)


def dinov2_processor() -> Any:
    from transformers import BitImageProcessor

    return BitImageProcessor(
        size={"shortest_edge": 256}, crop_size={"height": 224, "width": 224}, resample=3, **IMAGENET
    )


def dinov2() -> tuple[Any, Any]:
    from transformers import Dinov2Config, Dinov2Model

    return Dinov2Model(Dinov2Config(**DINOV2)), dinov2_processor()


def dinov2_classifier() -> tuple[Any, Any]:
    from transformers import Dinov2Config, Dinov2ForImageClassification

    return Dinov2ForImageClassification(Dinov2Config(**DINOV2, num_labels=7)), dinov2_processor()


def bit() -> tuple[Any, Any]:
    from transformers import BitConfig, BitForImageClassification, BitImageProcessor

    config = BitConfig(
        conv_layer="std_conv",
        embedding_size=8,
        hidden_sizes=[32, 64, 96, 128],
        depths=[1] * 4,
        num_groups=4,
        num_labels=7,
    )
    processor = BitImageProcessor(
        size={"shortest_edge": 448}, crop_size={"height": 448, "width": 448}, resample=2, **HALF
    )
    return BitForImageClassification(config), processor


def sam() -> tuple[Any, Any]:
    from transformers import SamConfig, SamImageProcessor, SamModel

    config = SamConfig(
        vision_config={
            "hidden_size": 16,
            "output_channels": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 1,
            "image_size": 1024,
            "patch_size": 16,
            "window_size": 14,
            "global_attn_indexes": [],
            "mlp_dim": 32,
            "num_pos_feats": 8,
            "initializer_range": 0.02,
        },
        prompt_encoder_config={"hidden_size": 16, "image_size": 1024, "patch_size": 16, "mask_input_channels": 4},
        mask_decoder_config={
            "hidden_size": 16,
            "mlp_dim": 32,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": 16,
        },
    )
    return SamModel(config), SamImageProcessor()


def convnext_processor() -> Any:
    from transformers import ConvNextImageProcessor

    return ConvNextImageProcessor(size={"shortest_edge": 224}, crop_pct=0.875, resample=3, **IMAGENET)


def resnet() -> tuple[Any, Any]:
    from transformers import ResNetConfig, ResNetForImageClassification

    config = ResNetConfig(
        layer_type="basic", embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[2] * 4, num_labels=7
    )
    return ResNetForImageClassification(config), convnext_processor()


def resnet_bottleneck() -> tuple[Any, Any]:
    from transformers import ResNetConfig, ResNetForImageClassification

    config = ResNetConfig(
        layer_type="bottleneck", embedding_size=8, hidden_sizes=[16, 32, 48, 64], depths=[1] * 4, num_labels=7
    )
    return ResNetForImageClassification(config), convnext_processor()


def convnextv2() -> tuple[Any, Any]:
    from transformers import ConvNextV2Config, ConvNextV2ForImageClassification

    config = ConvNextV2Config(hidden_sizes=[8, 16, 24, 32], depths=[1] * 4, num_labels=7)
    return ConvNextV2ForImageClassification(config), convnext_processor()


def vit() -> tuple[Any, Any]:
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    config = ViTConfig(**SMALL, image_size=224, patch_size=16, num_labels=7)
    return ViTForImageClassification(config), ViTImageProcessor(size={"height": 224, "width": 224}, **HALF)


def vit_large() -> tuple[Any, Any]:
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    config = ViTConfig(**SMALL, image_size=384, patch_size=32, num_labels=7)
    return ViTForImageClassification(config), ViTImageProcessor(size={"height": 384, "width": 384}, **HALF)


RECIPES = {
    "clip": clip,
    "clipseg": clipseg,
    "dinov2": dinov2,
    "dinov2_classifier": dinov2_classifier,
    "bit": bit,
    "sam": sam,
    "resnet": resnet,
    "resnet_bottleneck": resnet_bottleneck,
    "convnextv2": convnextv2,
    "vit": vit,
    "vit_large": vit_large,
}
