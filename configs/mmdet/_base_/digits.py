"""The data of all configs here: handwritten digits, composed on first use. Yours instead: edit this file.

For a COCO-style set of your own, use type='CocoDataset' with ann_file, data_prefix=dict(img=...) and
metainfo=dict(classes=(...)), set ann_file in digits_evaluator, and num_classes in the config.
"""

digits_root = "data/digits"  # relative to where training starts
digits_classes = 10
digits_batch = 8
digits_epochs = 12

digits_load = [dict(type="LoadImageFromFile"), dict(type="LoadAnnotations", with_bbox=True)]
digits_pack = dict(
    type="PackDetInputs",
    meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
)
digits_train = dict(
    _delete_=True,
    batch_size=digits_batch,
    num_workers=0,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(
        type="loss_plugins.DigitsDataset",
        split="train",
        root=digits_root,
        pipeline=[*digits_load, dict(type="PackDetInputs")],
    ),
)
digits_val = dict(
    _delete_=True,
    batch_size=digits_batch,
    num_workers=0,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="loss_plugins.DigitsDataset",
        split="val",
        root=digits_root,
        test_mode=True,
        pipeline=[digits_load[0], dict(type="Resize", scale=(128, 128)), digits_load[1], digits_pack],
    ),
)
digits_evaluator = dict(
    _delete_=True,
    type="CocoMetric",
    ann_file=digits_root + "/annotations/val.json",
    metric="bbox",
)
digits_optimizer = dict(
    _delete_=True,
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=0.0005, weight_decay=0.0001),
    clip_grad=dict(max_norm=10),
)
digits_schedule = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(type="CosineAnnealingLR", T_max=digits_epochs, by_epoch=True, convert_to_iter_based=True),
]
digits_loop = dict(_delete_=True, type="EpochBasedTrainLoop", max_epochs=digits_epochs, val_interval=4)
