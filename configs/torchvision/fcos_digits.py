"""FCOS with MobileNetV3, from scratch, on handwritten digits: python configs/torchvision/fcos_digits.py --box eiou"""

import argparse
import math

import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torchvision.io import decode_image
from torchvision.models import mobilenet_v3_small
from torchvision.models.detection import FCOS
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN

from loss_plugins.adapters.torchvision import plug
from loss_plugins.demo.digits import make_digits

parser = argparse.ArgumentParser(description=__doc__)
options = {"box": "eiou", "cls": "focal", "folder": "runs/torchvision-digits", "epochs": 12, "train": 400, "val": 100}
for name, default in options.items():
    parser.add_argument(f"--{name}", type=type(default), default=default)
args = parser.parse_args()
torch.manual_seed(0)


def scene(coco, images, index):
    boxes = torch.tensor([each["bbox"] for each in coco.imgToAnns[index]]).float()
    boxes[:, 2:] += boxes[:, :2]
    target = {"boxes": boxes, "labels": torch.tensor([each["category_id"] for each in coco.imgToAnns[index]])}
    return decode_image(str(images / coco.imgs[index]["file_name"]), mode="RGB") / 255, target


digits = make_digits(args.folder, train=args.train, val=args.val, progress=False)
train, val = COCO(digits.train_json), COCO(digits.val_json)
data = [scene(train, digits.train_images, index) for index in train.getImgIds()]
layers = BackboneWithFPN(mobilenet_v3_small(weights=None).features, {"3": "0", "8": "1"}, [24, 48], out_channels=64)
anchors = AnchorGenerator(((8,), (16,), (32,)), ((1.0,),) * 3)
model = FCOS(layers, num_classes=10, min_size=128, max_size=128, anchor_generator=anchors, score_thresh=0.05)
optimizer = torch.optim.AdamW(model.parameters())
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, args.epochs * math.ceil(len(data) / 8))

with plug(model, box=args.box, cls=args.cls) as losses:
    for epoch in range(args.epochs):
        for batch in torch.randperm(len(data)).split(8):
            parts = model(*zip(*(data[index] for index in batch), strict=True))
            optimizer.zero_grad()
            sum(parts.values()).backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1}:", {name: round(part.item(), 3) for name, part in parts.items()}, flush=True)

found, _ = [], model.eval()
for index in val.getImgIds():
    pred = model([scene(val, digits.val_images, index)[0]])[0]
    rows = torch.cat([pred["boxes"], pred["scores"][:, None], pred["labels"][:, None]], dim=1).tolist()
    found += [[index, x1, y1, x2 - x1, y2 - y1, score, label] for x1, y1, x2, y2, score, label in rows]
evaluation = COCOeval(val, val.loadRes(torch.tensor(found).numpy()), "bbox")
evaluation.evaluate(), evaluation.accumulate(), evaluation.summarize()
print(f"{losses.report}\nmAP50 {evaluation.stats[1]:.3f}")
