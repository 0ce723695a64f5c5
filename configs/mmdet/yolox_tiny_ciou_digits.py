"""YOLOX-tiny with CIoU, without the mosaic schedule. YOLOX divides itself: reduction must be 'sum'."""

_base_ = ["mmdet::yolox/yolox_tiny_8xb8-300e_coco.py", "./_base_/digits.py"]

custom_imports = dict(imports=["loss_plugins.adapters.mmdet"], allow_failed_imports=False)
default_hooks = dict(loss_plugins=dict(type="loss_plugins.LossPluginsHook"))
# the base's, without its YOLOXModeSwitchHook, which ends the mosaic; for real work leave this line out
custom_hooks = _base_.custom_hooks[1:]

model = dict(
    data_preprocessor=dict(batch_augments=None),  # of the base: images of 320 to 640
    bbox_head=dict(
        num_classes=_base_.digits_classes,
        loss_bbox=dict(_delete_=True, type="loss_plugins.CIoULoss", reduction="sum", loss_weight=5.0),
    ),
)

train_dataloader = _base_.digits_train
val_dataloader = test_dataloader = _base_.digits_val
val_evaluator = test_evaluator = _base_.digits_evaluator
optim_wrapper = _base_.digits_optimizer
param_scheduler = _base_.digits_schedule
train_cfg = _base_.digits_loop
