"""The DETR-like models of transformers, tiny and of random weights, and batches for them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
import transformers
from torch import Tensor
from transformers import (
    BertConfig,
    ConditionalDetrConfig,
    DabDetrConfig,
    DeformableDetrConfig,
    Deimv2Config,
    DetrConfig,
    DFineConfig,
    GroundingDinoConfig,
    HGNetV2Config,
    LwDetrConfig,
    LwDetrViTConfig,
    MMGroundingDinoConfig,
    ResNetConfig,
    RfDetrConfig,
    RTDetrConfig,
    RTDetrResNetConfig,
    RTDetrV2Config,
    SwinConfig,
    TableTransformerConfig,
    YolosConfig,
)

CLASSES = 4
SIZE = 64
WIDE = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 2, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16}
HEADS = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
STILL = {"dropout": 0.0, "num_queries": 9, "num_labels": CLASSES, "auxiliary_loss": True}


def resnet(*features: str) -> ResNetConfig:
    return ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 8, 16, 16],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=list(features or ("stage4",)),
    )


def rt_resnet() -> RTDetrResNetConfig:
    return RTDetrResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 8, 16, 16],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )


def hgnet() -> HGNetV2Config:
    return HGNetV2Config(
        stem_channels=[3, 8, 8],
        stage_in_channels=[8, 8, 8, 16],
        stage_mid_channels=[4, 4, 8, 8],
        stage_out_channels=[8, 8, 16, 16],
        stage_num_blocks=[1, 1, 1, 1],
        stage_numb_of_layers=[1, 1, 1, 1],
        hidden_sizes=[8, 8, 16, 16],
        out_features=["stage2", "stage3", "stage4"],
    )


def detr(config: Any, **more: Any) -> Any:
    if more.pop("masks", False):
        stages = resnet("stage1", "stage2", "stage3", "stage4")
        more = {"backbone_config": stages, "d_model": 32, "encoder_attention_heads": 8, "decoder_attention_heads": 8}
    return config(**{"backbone_config": resnet(), **WIDE, **HEADS, **STILL, **more})


def real_time(config: Any, backbone: Any, **more: Any) -> Any:
    return config(
        backbone_config=backbone,
        encoder_hidden_dim=16,
        encoder_in_channels=[8, 16, 16],
        decoder_in_channels=[16, 16, 16],
        num_denoising=6,
        hidden_expansion=0.5,
        **WIDE,
        **HEADS,
        **STILL,
        **more,
    )


def light(config: Any, **more: Any) -> Any:
    return config(
        d_model=16,
        decoder_layers=2,
        decoder_ffn_dim=16,
        decoder_self_attention_heads=2,
        decoder_cross_attention_heads=2,
        decoder_n_points=2,
        group_detr=2,
        hidden_expansion=0.5,
        **STILL,
        **more,
    )


def lw_detr() -> LwDetrConfig:
    vit = LwDetrViTConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        mlp_ratio=2,
        image_size=SIZE,
        pretrain_image_size=SIZE,
        patch_size=16,
        num_windows=4,
        out_indices=[0, 1],
        window_block_indices=[0],
    )
    return light(LwDetrConfig, backbone_config=vit, projector_scale_factors=[1.0])  # type: ignore[no-any-return]


def rf_detr() -> RfDetrConfig:
    vit = {
        "model_type": "rf_detr_dinov2",
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "mlp_ratio": 2,
        "image_size": SIZE,
        "patch_size": 16,
        "num_windows": 2,
        "out_indices": [1, 2],
    }
    return light(RfDetrConfig, backbone_config=vit, mask_point_sample_ratio=4)  # type: ignore[no-any-return]


def grounding(config: Any) -> Any:
    swin = SwinConfig(
        image_size=SIZE, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1], window_size=2,
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    text = BertConfig(
        vocab_size=1100, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=16,
    )  # fmt: skip
    return config(
        **{**WIDE, "d_model": 32}, **HEADS, **STILL, backbone_config=swin, text_config=text, max_text_len=12,
        fusion_droppath=0.0,
    )  # fmt: skip


def yolos() -> YolosConfig:
    return YolosConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, image_size=(SIZE, SIZE),
        num_detection_tokens=9, num_labels=CLASSES, auxiliary_loss=False,
    )  # fmt: skip


def dab() -> DabDetrConfig:
    wide = {name: value for name, value in WIDE.items() if name != "d_model"}
    return DabDetrConfig(backbone_config=resnet(), hidden_size=16, **wide, **HEADS, **STILL)


CONFIGS: dict[str, Callable[[], Any]] = {
    "DetrForObjectDetection": lambda: detr(DetrConfig),
    "ConditionalDetrForObjectDetection": lambda: detr(ConditionalDetrConfig),
    "DeformableDetrForObjectDetection": lambda: detr(DeformableDetrConfig, num_feature_levels=1, d_model=32),
    "DabDetrForObjectDetection": dab,
    "TableTransformerForObjectDetection": lambda: detr(TableTransformerConfig),
    "RTDetrForObjectDetection": lambda: real_time(RTDetrConfig, rt_resnet()),
    "RTDetrV2ForObjectDetection": lambda: real_time(RTDetrV2Config, rt_resnet()),
    "DFineForObjectDetection": lambda: real_time(DFineConfig, hgnet()),
    "Deimv2ForObjectDetection": lambda: real_time(Deimv2Config, hgnet()),
    "RfDetrForObjectDetection": rf_detr,
    "LwDetrForObjectDetection": lw_detr,
    "YolosForObjectDetection": yolos,
    "GroundingDinoForObjectDetection": lambda: grounding(GroundingDinoConfig),
    "MMGroundingDinoForObjectDetection": lambda: grounding(MMGroundingDinoConfig),
    "DetrForSegmentation": lambda: detr(DetrConfig, masks=True),
    "ConditionalDetrForSegmentation": lambda: detr(ConditionalDetrConfig, masks=True),
    "RfDetrForInstanceSegmentation": rf_detr,
}


def build(name: str, seed: int = 0) -> Any:
    """A model of a class, in training mode."""
    torch.manual_seed(seed)
    return getattr(transformers, name)(CONFIGS[name]()).train()


@functools.cache
def built(name: str) -> Any:
    """One that tests share, who leave it as it was."""
    return build(name)


def batch(model: Any, images: int = 2, seed: int = 0) -> dict[str, Any]:
    """Images with objects, as the model takes them."""
    drawn = torch.Generator().manual_seed(seed)
    labels = []
    for image in range(images):
        count = 1 + (image + seed) % 3
        boxes = torch.cat(
            [0.3 + 0.4 * torch.rand(count, 2, generator=drawn), 0.1 + 0.3 * torch.rand(count, 2, generator=drawn)], 1
        )
        label: dict[str, Tensor] = {"boxes": boxes, "class_labels": torch.randint(CLASSES, (count,), generator=drawn)}
        if "Segmentation" in type(model).__name__:
            label["masks"] = (torch.rand(count, SIZE, SIZE, generator=drawn) > 0.5).float()
        labels.append(label)
    given: dict[str, Any] = {"pixel_values": torch.randn(images, 3, SIZE, SIZE, generator=drawn), "labels": labels}
    if "Grounding" in type(model).__name__:
        given["input_ids"] = torch.tensor([[101, 11, 1012, 12, 1012, 13, 1012, 14, 1012, 102]] * images)
    return given


def loss_of(model: Any, given: dict[str, Any], seed: int = 1) -> dict[str, Tensor]:
    """The losses of a batch by name, and their "total"; noise of denoising queries is the same each time."""
    torch.manual_seed(seed)
    labels = [dict(label) for label in given["labels"]]
    found = model(**{**given, "labels": labels})
    return {**found.loss_dict, "total": found.loss}
