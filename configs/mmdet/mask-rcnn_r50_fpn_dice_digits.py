"""Mask R-CNN with Dice on its masks; boxes and classes keep their own losses."""

_base_ = ["mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py", "./_base_/digits.py"]

custom_imports = dict(imports=["loss_plugins.adapters.mmdet"], allow_failed_imports=False)
default_hooks = dict(loss_plugins=dict(type="loss_plugins.LossPluginsHook"))

model = dict(
    # from scratch: nothing is downloaded; for real work leave this line out
    backbone=dict(init_cfg=None, frozen_stages=-1, norm_eval=False),
    roi_head=dict(
        bbox_head=dict(num_classes=_base_.digits_classes),
        mask_head=dict(
            num_classes=_base_.digits_classes,
            loss_mask=dict(_delete_=True, type="loss_plugins.DiceLoss", loss_weight=1.0),
        ),
    ),
    # scenes have at most eight digits; leave both out for larger pictures
    train_cfg=dict(rcnn=dict(sampler=dict(num=64))),
    test_cfg=dict(rcnn=dict(max_per_img=10)),
)

train_dataloader = _base_.digits_train
train_dataloader.dataset.pipeline[1].with_mask = True
val_dataloader = test_dataloader = _base_.digits_val
val_dataloader.dataset.pipeline[2].with_mask = True
val_evaluator = test_evaluator = _base_.digits_evaluator
val_evaluator.metric = ["bbox", "segm"]
optim_wrapper = _base_.digits_optimizer
param_scheduler = _base_.digits_schedule
train_cfg = _base_.digits_loop
