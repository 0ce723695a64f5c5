// Losses, or their slopes, while the prediction is shifted; the line shows where it is.
const plot = document.getElementById("plot");
const REACH = 120, SAMPLES = 241;

const centre = (box, axis) => (box[axis] + box[axis + 2]) / 2;

// Numbers of few digits that divide a range.
function ticks(low, high, about) {
  const rough = (high - low) / about, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(each => each * power).find(each => each >= rough);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) found.push(Number((k * step).toPrecision(12)));
  return found;
}

// The shift of the prediction as it is, and the row for any other.
function shifts() {
  const axes = { x: [0], y: [1], d: [0, 1] }[state.along];
  const here = axes.map(axis => centre(state.pred, axis) - centre(state.target, axis));
  const now = here.reduce((sum, each) => sum + each, 0) / axes.length;
  const at = shift => {
    const pred = [...state.pred];
    for (const axis of axes) { pred[axis] += shift - now; pred[axis + 2] += shift - now; }
    return [...pred, ...state.target];
  };
  const along = gradient => axes.reduce((sum, axis) => sum + gradient[axis] + gradient[axis + 2], 0);
  return { now, at, along };
}

function curves() {
  const { now, at, along } = shifts();
  const places = Array.from({ length: SAMPLES }, (_, i) => -REACH + 2 * REACH * i / (SAMPLES - 1));
  const value = results => (state.show === "slope" ? along(results.slice(1)) : results[0]);
  const found = shownLines().map(line => ({
    name: labelOf(line), colour: colourOf(line), dash: dashOf(line), values: places.map(shift => value(computed(line, at(shift)))),
  }));
  if (state.mix) found.push({ name: "mix", colour: "var(--text)", dash: "", values: places.map(shift => value(mixed(at(shift)))) });
  return { now, places, found };
}

function drawPlot() {
  const { now, places, found } = curves();
  const box = plot.getBoundingClientRect(), width = Math.max(box.width, 260), height = Math.max(box.height, 160);
  const right = 10, top = 12, bottom = 36;
  plot.setAttribute("viewBox", `0 0 ${width} ${height}`);
  plot.replaceChildren();
  const all = found.flatMap(curve => curve.values).filter(Number.isFinite);
  let low = Math.min(0, ...all), high = Math.max(0, ...all);
  if (!(high > low)) high = low + 1;
  const pad = (high - low) * 0.05;
  low -= low < 0 ? pad : 0;
  high += high > 0 ? pad : 0;
  const marks = ticks(low, high, Math.max(2, (height - top - bottom) / 42));
  const left = 34 + 6.6 * Math.max(...marks.map(mark => String(mark).length)); // beside the widest of them
  const x = shift => left + (shift + REACH) / (2 * REACH) * (width - left - right);
  const y = value => top + (high - value) / (high - low) * (height - top - bottom);
  for (const tick of marks) {
    svg("line", { class: "axis", x1: left, x2: width - right, y1: y(tick), y2: y(tick) }, plot);
    svg("text", { x: left - 7, y: y(tick) + 4, "text-anchor": "end" }, plot).textContent = tick;
  }
  for (const tick of ticks(-REACH, REACH, width / 90)) {
    svg("line", { class: "axis", x1: x(tick), x2: x(tick), y1: height - bottom, y2: height - bottom + 4 }, plot);
    svg("text", { x: x(tick), y: height - bottom + 16, "text-anchor": "middle" }, plot).textContent = tick;
  }
  svg("line", { class: "zero", x1: x(0), x2: x(0), y1: top, y2: height - bottom }, plot);
  const along = { x: "along x", y: "along y", d: "along both axes" }[state.along];
  svg("text", { x: left + (width - left - right) / 2, y: height - 4, "text-anchor": "middle" }, plot).textContent = `offset of the centres ${along}, pixels`;
  const unit = state.show === "slope" ? "slope of the loss, per pixel" : "loss";
  svg("text", { x: 11, y: top + (height - top - bottom) / 2, "text-anchor": "middle", transform: `rotate(-90 11 ${top + (height - top - bottom) / 2})` }, plot).textContent = unit;
  for (const { colour, dash, values } of found) {
    const points = values.map((value, i) => [x(places[i]), y(value)]);
    const d = points.map(([px, py], i) => (Number.isFinite(py) ? `${i && Number.isFinite(points[i - 1][1]) ? "L" : "M"}${px.toFixed(1)} ${py.toFixed(1)}` : "")).join("");
    const path = svg("path", { class: "curve", d, "stroke-dasharray": dash }, plot);
    path.style.stroke = colour;
  }
  if (Math.abs(now) <= REACH) svg("line", { class: "here", x1: x(now), x2: x(now), y1: top, y2: height - bottom }, plot);
  document.getElementById("names").replaceChildren(...found.map(({ name, colour, dash }) => {
    const key = svg("svg", { class: "swatch", viewBox: "0 0 22 8" });
    svg("path", { d: "M0 4H22", "stroke-width": 3, "stroke-dasharray": dash }, key).style.stroke = colour;
    return element("span", {}, key, name);
  }));
  plot.setAttribute("aria-label", `${unit} over the shift of the prediction ${along}: ${found.map(curve => curve.name).join(", ")}`);
}
