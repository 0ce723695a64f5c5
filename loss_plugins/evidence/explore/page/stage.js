// The two boxes: drawn once, then moved; by pointer, touch and keys.
const SVG = "http://www.w3.org/2000/svg";
const CORNERS = [[0, 1], [2, 1], [2, 3], [0, 3]]; // which of x1, y1, x2, y2 a corner is made of
const LONGEST = 34;
const stage = document.getElementById("stage");
const boxes = {};

function svg(name, attributes = {}, parent = null) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  parent?.append(element);
  return element;
}

function drawGrid() {
  const grid = document.getElementById("grid");
  for (let x = 20; x < WIDTH; x += 20) {
    svg("line", { x1: x, x2: x, y1: 0, y2: HEIGHT }, grid);
    if (x % 40 === 0) svg("text", { x, y: HEIGHT - 2, "text-anchor": "middle" }, grid).textContent = x;
  }
  for (let y = 20; y < HEIGHT; y += 20) {
    svg("line", { x1: 0, x2: WIDTH, y1: y, y2: y }, grid);
    if (y % 40 === 0) svg("text", { x: 2, y: y + 2 }, grid).textContent = y;
  }
}

const bound = (value, low, high) => Math.min(Math.max(value, low), high);

function moveBox(name, dx, dy) {
  const box = state[name];
  dx = bound(dx, -box[0], Math.max(WIDTH - box[2], -box[0]));
  dy = bound(dy, -box[1], Math.max(HEIGHT - box[3], -box[1]));
  state[name] = [box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy];
  changed();
}

function moveCorner(name, [i, j], x, y) {
  const box = [...state[name]];
  box[i] = i === 0 ? bound(x, 0, box[2]) : bound(x, box[0], WIDTH);
  box[j] = j === 1 ? bound(y, 0, box[3]) : bound(y, box[1], HEIGHT);
  state[name] = box;
  changed();
}

function toStage(event) {
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(stage.getScreenCTM().inverse());
  return [at.x, at.y];
}

// Calls `move` with where the pointer is and where it and the box were at first, until it is let go.
function draggable(element, name, move) {
  element.addEventListener("touchstart", event => event.preventDefault(), { passive: false }); // a finger scrolls else
  element.addEventListener("pointerdown", event => {
    if (event.button > 0) return;
    event.preventDefault();
    event.stopPropagation();
    (element.closest("[tabindex]") || element).focus({ preventScroll: true });
    element.setPointerCapture(event.pointerId);
    const from = toStage(event), box = [...state[name]];
    const onMove = moved => move(toStage(moved), from, box);
    const onEnd = () => {
      element.removeEventListener("pointermove", onMove);
      element.removeEventListener("pointerup", onEnd);
      element.removeEventListener("pointercancel", onEnd);
    };
    element.addEventListener("pointermove", onMove);
    element.addEventListener("pointerup", onEnd);
    element.addEventListener("pointercancel", onEnd);
  });
}

function byKeys(element, move) {
  const directions = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  element.addEventListener("keydown", event => {
    const direction = directions[event.key];
    if (!direction || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const step = event.shiftKey ? 10 : 1;
    move(direction[0] * step, direction[1] * step);
  });
}

function makeBox(name, label) {
  const group = svg("g", { class: `box ${name}`, tabindex: 0, role: "application", "aria-roledescription": "box to move" }, document.getElementById("boxes"));
  const rect = svg("rect", {}, group);
  draggable(rect, name, ([x, y], from, box) => {
    state[name] = box;
    moveBox(name, Math.round(x - from[0]), Math.round(y - from[1]));
  });
  byKeys(group, (dx, dy) => moveBox(name, dx, dy));
  const handles = CORNERS.map(([i, j], k) => {
    const handle = svg("g", { class: `corner ${name}${k % 2 ? " turned" : ""}`, tabindex: 0, role: "application", "aria-roledescription": "corner to move" }, document.getElementById("handles"));
    svg("rect", { class: "touch", x: -7, y: -7, width: 14, height: 14 }, handle);
    svg("rect", { class: "dot", x: -2.2, y: -2.2, width: 4.4, height: 4.4, rx: 1 }, handle);
    draggable(handle, name, ([x, y], from, box) => {
      moveCorner(name, [i, j], Math.round(box[i] + x - from[0]), Math.round(box[j] + y - from[1]));
    });
    byKeys(handle, (dx, dy) => moveCorner(name, [i, j], state[name][i] + dx, state[name][j] + dy));
    return handle;
  });
  boxes[name] = { group, rect, handles, label };
}

function placeBox(name) {
  const { group, rect, handles, label } = boxes[name], box = state[name];
  const place = { x: box[0], y: box[1], width: Math.max(box[2] - box[0], 0), height: Math.max(box[3] - box[1], 0) };
  for (const [key, value] of Object.entries(place)) rect.setAttribute(key, value);
  group.setAttribute("aria-label", `${label}: ${EDGES.map((edge, i) => `${edge} ${box[i]}`).join(", ")}`);
  CORNERS.forEach(([i, j], k) => {
    handles[k].setAttribute("transform", `translate(${box[i]} ${box[j]})`);
    handles[k].setAttribute("aria-label", `${label}, corner ${EDGES[i]} ${box[i]}, ${EDGES[j]} ${box[j]}`);
  });
}

// Arrows of descent on the corners of the prediction, the longest LONGEST long, of all or of each loss. Returns what
// that length stands for.
function drawArrows(shown) {
  const layer = document.getElementById("arrows");
  layer.replaceChildren();
  const steps = shown.map(({ results }) => CORNERS.map(([i, j]) => [-results[1 + i], -results[1 + j]]));
  const longest = steps.map(each => Math.max(0, ...each.map(([x, y]) => Math.hypot(x, y)).filter(Number.isFinite)));
  const most = Math.max(0, ...longest);
  if (!most) return 0;
  CORNERS.forEach(([i, j], k) => {
    const from = [state.pred[i], state.pred[j]];
    const arrows = shown.map(({ colour, width }, n) => ({ colour, width, step: steps[n][k].map(each => each / ((state.each && longest[n]) || most) * LONGEST) }));
    arrows.sort((one, other) => Math.hypot(...other.step) - Math.hypot(...one.step)); // short ones on top
    for (const { colour, width, step: [x, y] } of arrows) drawArrow(layer, from, x, y, colour, width);
  });
  return most;
}

function drawArrow(layer, from, x, y, colour, width) {
  const length = Math.hypot(x, y), angle = Math.atan2(y, x), head = Math.min(4, length * 0.45);
  if (!(length > 0.4)) return;
  const to = [from[0] + x, from[1] + y];
  const wing = turn => `${to[0] - head * Math.cos(angle + turn)} ${to[1] - head * Math.sin(angle + turn)}`;
  const path = svg("path", { d: `M${from.join(" ")}L${to.join(" ")}M${wing(0.5)}L${to.join(" ")}L${wing(-0.5)}` }, layer);
  path.style.stroke = colour;
  path.style.strokeWidth = width;
}

function makeCoordinates() {
  const body = document.getElementById("coordinates");
  for (const name of ["target", "pred"]) {
    const line = document.createElement("tr"), head = document.createElement("th");
    head.scope = "row";
    head.textContent = boxes[name].label;
    line.append(head, ...EDGES.map((edge, i) => {
      const cell = document.createElement("td"), input = document.createElement("input");
      Object.assign(input, { type: "number", step: "any", id: `${name}-${edge}` });
      input.setAttribute("aria-label", `${boxes[name].label} ${edge}`);
      input.addEventListener("input", () => {
        if (!Number.isFinite(input.valueAsNumber)) return;
        state[name] = state[name].map((value, k) => (k === i ? input.valueAsNumber : value));
        changed();
      });
      cell.append(input);
      return cell;
    }));
    body.append(line);
  }
}

function placeCoordinates() {
  for (const name of ["target", "pred"]) EDGES.forEach((edge, i) => {
    const input = document.getElementById(`${name}-${edge}`);
    if (input.valueAsNumber !== state[name][i]) input.value = state[name][i];
  });
}

function makePresets() {
  const row = document.getElementById("presets");
  for (const [name, [pred, target]] of Object.entries(PRESETS)) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: name });
    button.addEventListener("click", () => {
      state.pred = [...pred];
      state.target = [...target];
      changed();
    });
    row.append(button);
  }
}
