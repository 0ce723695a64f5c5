"""DINO with our L1 and GIoU: loss_bbox is on normalised centres and sizes, loss_iou on corners in pixels."""

_base_ = ["mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py", "./_base_/digits.py"]

custom_imports = dict(imports=["loss_plugins.adapters.mmdet"], allow_failed_imports=False)
default_hooks = dict(loss_plugins=dict(type="loss_plugins.LossPluginsHook"))

model = dict(
    num_queries=100,  # scenes of 128 pixels have 340 positions to choose from; leave out for larger pictures
    # from scratch: nothing is downloaded; for real work leave this line out
    backbone=dict(init_cfg=None, frozen_stages=-1, norm_eval=False, norm_cfg=dict(requires_grad=True)),
    bbox_head=dict(
        num_classes=_base_.digits_classes,
        loss_bbox=dict(_delete_=True, type="loss_plugins.L1Loss", loss_weight=5.0),
        loss_iou=dict(_delete_=True, type="loss_plugins.GIoULoss", loss_weight=2.0),
    ),
    test_cfg=dict(max_per_img=100),
)

train_dataloader = _base_.digits_train
val_dataloader = test_dataloader = _base_.digits_val
val_evaluator = test_evaluator = _base_.digits_evaluator
optim_wrapper = _base_.digits_optimizer
param_scheduler = _base_.digits_schedule
train_cfg = _base_.digits_loop
