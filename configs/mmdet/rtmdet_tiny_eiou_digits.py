"""RTMDet-tiny with EIoU, without the long mosaic schedule."""

_base_ = ["mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py", "./_base_/digits.py"]

custom_imports = dict(imports=["loss_plugins.adapters.mmdet"], allow_failed_imports=False)
default_hooks = dict(loss_plugins=dict(type="loss_plugins.LossPluginsHook"))

norm_cfg = dict(type="BN")  # one process; with several, the base's SyncBN
model = dict(
    # from scratch: nothing is downloaded; for real work leave init_cfg out
    backbone=dict(init_cfg=None, norm_cfg=norm_cfg),
    neck=dict(norm_cfg=norm_cfg),
    bbox_head=dict(
        num_classes=_base_.digits_classes,
        norm_cfg=norm_cfg,
        loss_bbox=dict(_delete_=True, type="loss_plugins.EIoULoss", loss_weight=2.0),
    ),
)

train_dataloader = _base_.digits_train
val_dataloader = test_dataloader = _base_.digits_val
val_evaluator = test_evaluator = _base_.digits_evaluator
optim_wrapper = _base_.digits_optimizer
param_scheduler = _base_.digits_schedule
train_cfg = _base_.digits_loop
