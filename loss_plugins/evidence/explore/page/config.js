// A loss as lines of a config.
const python = value => {
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`;
  if (typeof value === "object") return `{${Object.entries(value).map(([key, each]) => `"${key}": ${python(each)}`).join(", ")}}`;
  return typeof value === "string" ? `"${value}"` : String(value);
};
const yaml = value => {
  if (value === null) return "null";
  if (Array.isArray(value)) return `[${value.map(yaml).join(", ")}]`;
  if (typeof value === "object") return `{${Object.entries(value).map(([key, each]) => `${key}: ${yaml(each)}`).join(", ")}}`;
  return String(value);
};

// The parameters of a line that are not as the loss has them by default.
function parametersOf(line) {
  const found = {};
  for (const [name, value] of Object.entries(line.form.sets)) found[name] = value;
  for (const place of line.form.numbers) {
    const number = DATA.numbers[place], value = line.values[number.name];
    if (number.running) continue;
    const set = number.parameter in line.form.sets || line.loss.required?.includes(number.parameter);
    if (number.place === null) {
      if (set || value !== number.default) found[number.parameter] = value;
    } else {
      const all = line.form.numbers.map(each => DATA.numbers[each]).filter(each => each.parameter === number.parameter);
      if (set || all.some(each => line.values[each.name] !== each.default)) found[number.parameter] = all.map(each => line.values[each.name]);
    }
  }
  return found;
}

function specOf(line) {
  return { type: line.loss.type, ...parametersOf(line) };
}

// What is asked for, and the size of the images, which DETRs have to be told where a loss measures in pixels.
function chosenSpec() {
  const lines = state.chosen === "mix" ? shownLines() : [state.chosen];
  const sized = lines.some(line => line.loss.units !== "any") ? ", image_size=(640, 640)" : "";
  if (state.chosen !== "mix") return { cls: state.chosen.loss.cls, spec: specOf(state.chosen), sized };
  const losses = lines.map(line => ({ ...specOf(line), loss_weight: line.weight }));
  return { cls: "MixLoss", spec: { type: "mix", losses }, sized };
}

// Trainers that know the size of their images are not told it.
function withoutSize(spec) {
  const { image_size: _, ...rest } = spec;
  return rest.losses ? { ...rest, losses: rest.losses.map(withoutSize) } : rest;
}

const bare = spec => (Object.keys(spec).length === 1 ? python(spec.type) : python(spec));
const keywords = spec => Object.entries(spec).filter(([key]) => key !== "type").map(([key, value]) => `${key}=${python(value)}`);

const FRAMEWORKS = [
  ["Ultralytics", ({ spec }) => `from ultralytics import YOLO
from loss_plugins.adapters import ultralytics as lpu

trainer = lpu.trainer("detect", box=${bare(withoutSize(spec))}, gain="match")
YOLO("yolo11n.yaml").train(trainer=trainer, data="data.yaml")`],
  ["Ultralytics, file", ({ spec }) => `# losses.yaml: loss-plugins yolo detect train model=yolo11n.yaml data=data.yaml losses=losses.yaml
losses:
  box: ${yaml(withoutSize(spec))}
  gain: match`],
  ["MMDetection", ({ cls, spec }) => `custom_imports = dict(imports=["loss_plugins.adapters.mmdet"], allow_failed_imports=False)
default_hooks = dict(loss_plugins=dict(type="loss_plugins.LossPluginsHook"))
model = dict(bbox_head=dict(loss_bbox=dict(
    ${["_delete_=True", `type="loss_plugins.${cls}"`, ...keywords(spec), "loss_weight=2.0"].join(", ")})))`],
  ["transformers", ({ spec, sized }) => `from loss_plugins.adapters import transformers as lpt

plugged = lpt.plug(model, box=${bare(withoutSize(spec))}${sized})
callback = plugged.callback()  # for the Trainer`],
  ["RF-DETR", ({ spec, sized }) => `from loss_plugins.adapters import rfdetr as lpr

with lpr.patched(box=${bare(withoutSize(spec))}${sized}):
    model.train(...)`],
  ["LibreYOLO", ({ spec, sized }) => `from loss_plugins.adapters import libreyolo as lpl

with lpl.patched(box=${bare(withoutSize(spec))}${sized}):
    model.train(...)`],
  ["torchvision", ({ spec }) => `from loss_plugins.adapters import torchvision as lpv

plugged = lpv.plug(model, box=${bare(spec)})`],
  ["any DETR", ({ spec, sized }) => `from loss_plugins.adapters import detr

plugged = detr.plug(criterion, box=${bare(withoutSize(spec))}${sized})`],
  ["PyTorch", ({ spec }) => `import loss_plugins as lp

loss = lp.build_loss(${[python(spec.type), ...keywords(spec)].join(", ")})
loss(pred, target)  # (n, 4) boxes x1, y1, x2, y2`],
];

const UNKNOWN = "A function that is in no catalogue: enter it by @register_loss, and it is trained with by its name.";

function makeConfig() {
  const tabs = document.getElementById("frameworks");
  FRAMEWORKS.forEach(([name], i) => {
    const tab = Object.assign(document.createElement("button"), { type: "button", textContent: name });
    tab.setAttribute("role", "tab");
    tab.addEventListener("click", () => { state.framework = i; changed(); });
    tabs.append(tab);
  });
  document.getElementById("copy").addEventListener("click", copyConfig);
}

function drawConfig() {
  const at = FRAMEWORKS[state.framework] ? state.framework : 0;
  [...document.getElementById("frameworks").children].forEach((tab, i) => tab.setAttribute("aria-selected", String(i === at)));
  const empty = state.chosen === "mix" && !shownLines().length;
  const known = state.chosen === "mix" ? shownLines().every(line => line.loss.type) : state.chosen.loss.type;
  const text = empty ? "Tick the losses to mix." : !known ? UNKNOWN : FRAMEWORKS[at][1](chosenSpec());
  const shown = document.getElementById("config");
  if (shown.textContent !== text) {
    shown.textContent = text;
    document.getElementById("copied").textContent = "";
  }
}

async function copyConfig() {
  const shown = document.getElementById("config"), told = document.getElementById("copied");
  try {
    await navigator.clipboard.writeText(shown.textContent);
    told.textContent = "Copied.";
  } catch {
    const range = document.createRange();
    range.selectNodeContents(shown);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    told.textContent = document.execCommand("copy") ? "Copied." : "Selected: copy it with your keyboard.";
  }
}
