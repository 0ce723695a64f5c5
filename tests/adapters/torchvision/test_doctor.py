"""The report of `loss-plugins doctor`, and the doors of the package."""

import json
import re
import subprocess
import sys
from importlib import import_module, metadata
from pathlib import Path

from torchvision.models.detection import fcos, rpn

from loss_plugins.adapters.torchvision import doctor

ROOT = Path(__file__).parents[3]


def test_every_head_is_tried_and_those_refused_are_named():
    report = doctor.report()
    assert report["ok"] is True
    assert report["tasks"] == list(doctor.HEADS)
    assert report["versions"]["torchvision"] == metadata.version("torchvision")
    details = {check["name"]: check["detail"] for check in report["checks"]}
    assert details["FCOS"].endswith("eiou for giou, varifocal for focal")
    assert details["RetinaNet"].endswith("eiou for l1 of offsets, varifocal for focal")
    assert {"SSD, box loss", "SSD, cls loss", "RoIHeads, cls loss"} <= set(report["refused"])
    json.dumps(report)


def test_a_torchvision_that_computes_otherwise_is_told(monkeypatch):
    stock = fcos.generalized_box_iou_loss
    monkeypatch.setattr(fcos, "generalized_box_iou_loss", lambda *given, **named: 2 * stock(*given, **named))
    report = doctor.report()
    assert report["ok"] is False
    failed = {check["name"]: check["detail"] for check in report["checks"] if not check["ok"]}
    assert list(failed) == ["FCOS"]
    assert "sought giou" in failed["FCOS"]


def test_a_first_stage_that_is_called_otherwise_is_told(monkeypatch):
    monkeypatch.setattr(rpn.RegionProposalNetwork, "compute_loss", lambda self, objectness: rpn.F)
    failed = [check["name"] for check in doctor.report()["checks"] if not check["ok"]]
    assert failed == ["Faster, Mask and Keypoint R-CNN, first stage"]


def test_other_affairs_are_left_to_others():
    assert doctor.report("runs/train") is None


def test_the_doctor_and_the_extra_are_declared():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    doctors = project.partition('[project.entry-points."loss_plugins.doctors"]')[2].partition("[project")[0]
    (module, name), *more = re.findall(r'^torchvision = "(.+):(.+)"$', doctors, re.MULTILINE)
    assert not more
    assert getattr(import_module(module), name) is doctor.report
    assert re.search(r'^torchvision = \[.*"torchvision>=0.19"\]$', project, re.MULTILINE)


def test_without_torchvision_the_package_names_the_line_that_installs_it():
    script = (
        "import importlib.util as util; find = util.find_spec\n"
        "util.find_spec = lambda name, *more: None if name == 'torchvision' else find(name, *more)\n"
        "import loss_plugins.adapters.torchvision"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 1
    assert 'needs torchvision: pip install "loss-plugins[torchvision]"' in done.stderr
