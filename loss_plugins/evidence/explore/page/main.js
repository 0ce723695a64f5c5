// Everything that is shown, once a frame at most.
let waiting = false, anew = true;

function changed(chosenToo = false) {
  anew ||= chosenToo;
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; draw(); });
}

function draw() {
  const at = row();
  placeBox("target");
  placeBox("pred");
  placeCoordinates();
  const arrows = [];
  for (const line of state.lines) {
    const results = computed(line, at);
    fillLine(line, results);
    if (line.shown) arrows.push({ results, colour: colourOf(line), width: line === state.chosen ? 1.9 : 1.2 });
  }
  const sum = mixed(at);
  fillMix(sum);
  if (state.mix) arrows.push({ results: sum, colour: "var(--text)", width: 1.9 });
  const longest = drawArrows(arrows);
  document.getElementById("scale").textContent = !longest ? "no gradient" : state.each ? "" : `longest arrow: ${shownNumber(longest)} per pixel`;
  document.getElementById("each").checked = state.each;
  const iou = DATA.losses.find(loss => loss.name === "iou");
  document.getElementById("overlap").textContent = iou?.forms.length ? `IoU ${(1 - programOf(iou.forms[0]).run(at, {})[0]).toFixed(3)}` : "";
  document.getElementById("along").value = state.along;
  document.getElementById("show").value = state.show;
  if (anew) makeChosen();
  anew = false;
  drawPlot();
  drawConfig();
  writeHash();
}

function start() {
  readHash(location.hash);
  makeLosses();
  anew = true;
  draw();
}

drawGrid();
makeBox("target", "target");
makeBox("pred", "prediction");
makeCoordinates();
makePresets();
makeConfig();
for (const name of ["along", "show"]) document.getElementById(name).addEventListener("change", event => {
  state[name] = event.target.value;
  changed();
});
document.getElementById("each").addEventListener("change", event => {
  state.each = event.target.checked;
  changed();
});
addEventListener("hashchange", () => { if (location.hash !== written) start(); });
new ResizeObserver(() => changed()).observe(plot);
start();

// For the console: explore.evaluate("ciou", "inner_ratio", {inner_ratio: 0.8}, [[x1, y1, x2, y2, tx1, ty1, tx2, ty2]]).
globalThis.explore = {
  losses: () => DATA.losses.map(({ name, reason }) => ({ name, reason })),
  forms: name => DATA.losses.find(loss => loss.name === name).forms
    .map(form => ({ ...form, numbers: form.numbers.map(place => DATA.numbers[place]) })),
  operations: () => [DATA.operations, Object.keys(COMPUTE)],
  evaluate(name, label, numbers, rows) {
    const line = newLine(DATA.losses.find(loss => loss.name === name));
    setForm(line, line.loss.forms.find(form => form.label === label));
    Object.assign(line.values, numbers);
    return rows.map(each => computed(line, each));
  },
};
