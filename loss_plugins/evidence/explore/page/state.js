const DATA = JSON.parse(document.getElementById("data").textContent);
const NODES = DATA.nodes.split(";");
const WIDTH = 240, HEIGHT = 150;
const EDGES = ["x1", "y1", "x2", "y2"];
const PRESETS = {
  overlapping: [[60, 38, 140, 92], [92, 58, 164, 118]],
  nested: [[104, 66, 146, 100], [76, 42, 176, 122]],
  touching: [[44, 46, 120, 104], [120, 46, 190, 104]],
  disjoint: [[24, 30, 74, 70], [136, 84, 214, 128]],
  equal: [[80, 44, 160, 106], [80, 44, 160, 106]],
};

// A line of the list of losses: a loss in one form, with its numbers, shown or not.
function newLine(loss) {
  const line = { loss, form: loss.forms[0], values: {}, shown: false, weight: 1 };
  setForm(line, line.form);
  return line;
}

function setForm(line, form) {
  line.form = form;
  const before = line.values;
  line.values = {};
  for (const place of form.numbers) {
    const number = DATA.numbers[place];
    line.values[number.name] = before[number.name] ?? number.default;
  }
}

function programOf(form) {
  form.program ??= new Program(NODES, DATA.operations, form.results);
  return form.program;
}

const state = { pred: [], target: [], lines: [], chosen: null, mix: false, along: "x", show: "value", framework: 0, each: false };

function row() {
  return [...state.pred, ...state.target];
}

function computed(line, at) {
  return programOf(line.form).run(at, line.values);
}

// The sum of the shown losses, each times its weight.
function mixed(at) {
  const total = [0, 0, 0, 0, 0];
  for (const line of shownLines()) computed(line, at).forEach((value, i) => { total[i] += line.weight * value; });
  return total;
}

function shownLines() {
  return state.lines.filter(line => line.shown);
}

function labelOf(line) {
  return line.form.label ? `${line.loss.name} (${line.form.label})` : line.loss.name;
}

function colourOf(line) {
  return `var(--c${shownLines().indexOf(line) % 8})`;
}

function dashOf(line) {
  return ["", "7 3", "2 3", "9 3 2 3", "12 4", "4 2", "1 4", "6 2 1 2"][shownLines().indexOf(line) % 8];
}

// --- the address ---------------------------------------------------------------------------------------------------

function lineText(line) {
  const changed = line.form.numbers.map(place => DATA.numbers[place])
    .filter(number => line.values[number.name] !== number.default)
    .map(number => `${number.name}:${line.values[number.name]}`);
  const weight = line.weight === 1 ? [] : [`*:${line.weight}`];
  return [line.loss.name, line.form.label, ...changed, ...weight].map(encodeURIComponent).join("~").replace(/~$/, "");
}

function hashOf() {
  const lines = state.lines.filter(line => line.shown || line === state.chosen);
  const parts = {
    p: state.pred.join(","),
    t: state.target.join(","),
    l: lines.map(line => (line.shown ? "" : "-") + lineText(line)).join("+"),
    c: state.chosen === "mix" ? "mix" : String(lines.indexOf(state.chosen)),
    a: state.along, s: state.show, m: state.mix ? "1" : "", e: state.each ? "1" : "", f: String(state.framework),
  };
  return "#" + Object.entries(parts).filter(([, value]) => value !== "").map(([key, value]) => `${key}=${value}`).join("&");
}

function boxFrom(text, otherwise) {
  const numbers = (text || "").split(",").map(Number);
  return numbers.length === 4 && numbers.every(Number.isFinite) ? numbers : [...otherwise];
}

function lineFrom(text) {
  const [name, label = "", ...numbers] = text.replace(/^-/, "").split("~").map(decodeURIComponent);
  const loss = DATA.losses.find(each => each.name === name);
  if (!loss || !loss.forms.length) return null;
  const line = newLine(loss);
  line.shown = !text.startsWith("-");
  setForm(line, loss.forms.find(form => form.label === label && form.results) || loss.forms[0]);
  for (const each of numbers) {
    const cut = each.lastIndexOf(":"), key = each.slice(0, cut), value = Number(each.slice(cut + 1));
    if (!Number.isFinite(value)) continue;
    if (key === "*") line.weight = value;
    else if (key in line.values) line.values[key] = value;
  }
  return line;
}

function readHash(text) {
  const parts = Object.fromEntries(text.replace(/^#/, "").split("&").map(part => part.split(/=(.*)/s).slice(0, 2)));
  state.pred = boxFrom(parts.p, PRESETS.overlapping[0]);
  state.target = boxFrom(parts.t, PRESETS.overlapping[1]);
  const wanted = parts.l === undefined ? DATA.shown.map(encodeURIComponent) : parts.l.split("+").filter(Boolean);
  const given = wanted.map(lineFrom).filter(Boolean);
  const taken = new Set();
  state.lines = [];
  for (const loss of DATA.losses.filter(each => each.forms.length)) {
    const own = given.filter(line => line.loss === loss);
    state.lines.push(...(own.length ? own : [newLine(loss)]));
    own.forEach(line => taken.add(line));
  }
  state.chosen = parts.c === "mix" ? "mix" : given[Number(parts.c)] || given[0] || state.lines[0];
  state.mix = parts.m === "1" || parts.c === "mix";
  state.each = parts.e === "1";
  state.along = ["x", "y", "d"].includes(parts.a) ? parts.a : "x";
  state.show = parts.s === "slope" ? "slope" : "value";
  state.framework = Number(parts.f) || 0;
}

let written = "";
function writeHash() {
  const hash = hashOf();
  if (hash === written) return;
  written = hash;
  try {
    history.replaceState(null, "", hash);
  } catch {
    location.replace(hash);
  }
}
