"""What `loss-plugins demo-mmdet` trains: ATSS with ResNet-18 from scratch, on digits; its own config inherits it."""

_base_ = ["mmdet::atss/atss_r50_fpn_1x_coco.py", "./digits.py"]

custom_imports = dict(imports=["loss_plugins.adapters.mmdet"], allow_failed_imports=False)
default_hooks = dict(loss_plugins=dict(type="loss_plugins.LossPluginsHook"), logger=dict(interval=25))

model = dict(
    backbone=dict(depth=18, init_cfg=None, frozen_stages=-1, norm_eval=False),
    neck=dict(in_channels=[64, 128, 256, 512], out_channels=64, num_outs=3),
    bbox_head=dict(
        num_classes=_base_.digits_classes,
        in_channels=64,
        feat_channels=64,
        stacked_convs=2,
        anchor_generator=dict(octave_base_scale=4, strides=[8, 16, 32]),
        loss_bbox=dict(_delete_=True, type="loss_plugins.EIoULoss", loss_weight=2.0),
    ),
)

train_dataloader = _base_.digits_train
val_dataloader = test_dataloader = _base_.digits_val
val_dataloader.batch_size = 20
val_evaluator = test_evaluator = _base_.digits_evaluator
optim_wrapper = _base_.digits_optimizer
optim_wrapper.optimizer.lr = 0.001
param_scheduler = _base_.digits_schedule
train_cfg = _base_.digits_loop
randomness = dict(seed=0)
