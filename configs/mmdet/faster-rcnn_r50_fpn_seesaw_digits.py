"""Faster R-CNN with Seesaw in the second stage, for long-tailed classes; boxes and proposals keep their own losses."""

_base_ = ["mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py", "./_base_/digits.py"]

custom_imports = dict(imports=["loss_plugins.adapters.mmdet"], allow_failed_imports=False)
default_hooks = dict(loss_plugins=dict(type="loss_plugins.LossPluginsHook"))

model = dict(
    # from scratch: nothing is downloaded; for real work leave this line out
    backbone=dict(init_cfg=None, frozen_stages=-1, norm_eval=False),
    roi_head=dict(
        bbox_head=dict(
            num_classes=_base_.digits_classes,
            loss_cls=dict(_delete_=True, type="loss_plugins.SeesawLoss", loss_weight=1.0),
        ),
    ),
)

train_dataloader = _base_.digits_train
val_dataloader = test_dataloader = _base_.digits_val
val_evaluator = test_evaluator = _base_.digits_evaluator
optim_wrapper = _base_.digits_optimizer
param_scheduler = _base_.digits_schedule
train_cfg = _base_.digits_loop
