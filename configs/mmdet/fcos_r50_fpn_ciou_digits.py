"""FCOS with CIoU."""

_base_ = ["mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py", "./_base_/digits.py"]

custom_imports = dict(imports=["loss_plugins.adapters.mmdet"], allow_failed_imports=False)
default_hooks = dict(loss_plugins=dict(type="loss_plugins.LossPluginsHook"))

model = dict(
    # from scratch: nothing is downloaded; for real work leave this line out
    backbone=dict(init_cfg=None, frozen_stages=-1, norm_eval=False, norm_cfg=dict(requires_grad=True)),
    bbox_head=dict(
        num_classes=_base_.digits_classes,
        loss_bbox=dict(_delete_=True, type="loss_plugins.CIoULoss", loss_weight=1.0),
    ),
)

train_dataloader = _base_.digits_train
val_dataloader = test_dataloader = _base_.digits_val
val_evaluator = test_evaluator = _base_.digits_evaluator
optim_wrapper = _base_.digits_optimizer
param_scheduler = _base_.digits_schedule
train_cfg = _base_.digits_loop
