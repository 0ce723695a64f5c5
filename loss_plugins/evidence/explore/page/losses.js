// The list of losses, and the parameters of the chosen one.
const list = document.getElementById("losses");
const about = document.getElementById("chosen");

// Four digits, which are enough to see a change.
function shownNumber(value) {
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size < 1e-3 || size >= 1e5 ? value.toExponential(2) : value.toPrecision(4);
}

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function makeLosses() {
  list.replaceChildren(...state.lines.map(lineRow), mixRow(), ...DATA.losses.filter(loss => !loss.forms.length).map(greyRow));
}

function lineRow(line) {
  const tick = element("input", { type: "checkbox", checked: line.shown });
  tick.setAttribute("aria-label", `show ${line.loss.name}`);
  tick.addEventListener("change", () => {
    line.shown = tick.checked;
    changed();
  });
  const swatch = svg("svg", { class: "swatch", viewBox: "0 0 22 8", "aria-hidden": "true" });
  const stroke = svg("path", { d: "M0 4H22", "stroke-width": 3, fill: "none" }, swatch);
  const name = element("span"), form = element("span", { className: "form" });
  const choose = element("button", { type: "button", title: line.loss.summary }, swatch, name, form);
  choose.addEventListener("click", () => {
    state.chosen = line;
    changed(true);
  });
  const weight = element("input", { type: "number", step: "any", className: "weight", value: line.weight, title: "weight in the mix" });
  weight.setAttribute("aria-label", `weight of ${line.loss.name} in the mix`);
  weight.addEventListener("input", () => {
    if (!Number.isFinite(weight.valueAsNumber)) return;
    line.weight = weight.valueAsNumber;
    changed();
  });
  const value = element("td", { className: "number" }), size = element("td", { className: "number" });
  const made = element("tr", {}, element("td", {}, tick), element("td", {}, choose, weight), value, size);
  made.dataset.loss = line.loss.name;
  Object.assign(line, { made, tick, swatch, stroke, name, formName: form, valueCell: value, sizeCell: size, weightInput: weight });
  return made;
}

function mixRow() {
  const tick = element("input", { type: "checkbox", id: "mix" });
  tick.setAttribute("aria-label", "show the mix of the ticked losses");
  tick.addEventListener("change", () => {
    state.mix = tick.checked;
    if (state.mix) state.chosen = "mix";
    else if (state.chosen === "mix") state.chosen = shownLines()[0] || state.lines[0];
    changed(true);
  });
  const choose = element("button", { type: "button" }, "mix", element("span", { className: "form", textContent: "the ticked losses, weighted and added" }));
  choose.addEventListener("click", () => {
    state.chosen = "mix";
    state.mix = true;
    changed(true);
  });
  const row = element("tr", { id: "mix-row" }, element("td", {}, tick), element("td", {}, choose), element("td", { className: "number" }), element("td", { className: "number" }));
  row.dataset.loss = "mix";
  return row;
}

function greyRow(loss) {
  const tick = element("input", { type: "checkbox", disabled: true });
  tick.setAttribute("aria-label", `${loss.name} cannot be shown`);
  const why = element("td", { colSpan: 3 }, loss.name, element("p", { textContent: loss.reason }));
  return element("tr", { className: "grey" }, element("td", {}, tick), why);
}

function fillLine(line, results) {
  line.made.classList.toggle("is-shown", line.shown);
  line.made.classList.toggle("is-chosen", line === state.chosen);
  line.tick.checked = line.shown;
  line.swatch.style.display = line.shown ? "" : "none";
  line.stroke.style.stroke = line.shown ? colourOf(line) : "none";
  line.stroke.setAttribute("stroke-dasharray", line.shown ? dashOf(line) : "");
  line.name.textContent = line.loss.name;
  line.formName.textContent = line.form.label;
  line.formName.style.display = line.form.label ? "" : "none";
  line.weightInput.style.display = state.mix && line.shown ? "" : "none";
  fillNumbers(line.valueCell, line.sizeCell, results);
}

function fillNumbers(value, size, results) {
  value.textContent = shownNumber(results[0]);
  value.dataset.value = results[0];
  size.textContent = shownNumber(Math.hypot(...results.slice(1)));
  size.dataset.gradient = results.slice(1).join(",");
}

function fillMix(results) {
  const row = document.getElementById("mix-row");
  row.classList.toggle("is-shown", state.mix);
  row.classList.toggle("is-chosen", state.chosen === "mix");
  document.getElementById("mix").checked = state.mix;
  fillNumbers(row.cells[2], row.cells[3], results);
}

// --- the chosen loss -----------------------------------------------------------------------------------------------

function makeChosen() {
  const line = state.chosen;
  if (line === "mix") {
    about.replaceChildren(element("h2", { textContent: "mix" }), element("p", { textContent: "The weighted sum of the ticked losses. Their weights stand beside their names." }));
    return;
  }
  const { loss } = line;
  const twin = element("button", { type: "button", textContent: "Add another", title: "the same loss once more, to compare two forms of it" });
  twin.addEventListener("click", () => {
    const other = newLine(loss);
    setForm(other, line.form);
    Object.assign(other.values, line.values);
    other.shown = line.shown = true;
    state.lines.splice(state.lines.indexOf(line) + 1, 0, other);
    state.chosen = other;
    makeLosses();
    changed(true);
  });
  const parts = [element("div", { className: "row" }, element("h2", { textContent: loss.name }), twin)];
  parts.push(element("p", { textContent: loss.summary }));
  if (loss.formula) parts.push(element("p", { className: "formula", textContent: loss.formula }));
  if (loss.source) {
    const words = `${loss.source.title}${loss.source.year ? `, ${loss.source.year}` : ""}`;
    const named = loss.source.url ? element("a", { href: loss.source.url, rel: "noreferrer", target: "_blank", textContent: words }) : words;
    parts.push(element("p", {}, named));
  }
  if (loss.forms.length > 1) parts.push(formChoice(line));
  for (const place of line.form.numbers) parts.push(numberTurn(line, DATA.numbers[place]));
  about.replaceChildren(...parts);
}

function formChoice(line) {
  const choice = element("select", { id: "form" });
  choice.setAttribute("aria-label", "form of the loss");
  const sorts = { "": choice };
  const titles = { transform: "one transform", together: "two transforms", choice: "choices", number: "numbers", dialect: "as a framework computes it" };
  line.loss.forms.forEach((form, i) => {
    const text = form.label || "as published";
    const option = element("option", { value: i, textContent: form.results ? text : `${text}: ${form.reason}`, disabled: !form.results });
    option.selected = form === line.form;
    if (!(form.sort in sorts)) {
      sorts[form.sort] = element("optgroup", { label: titles[form.sort] || form.sort });
      choice.append(sorts[form.sort]);
    }
    sorts[form.sort].append(option);
  });
  choice.addEventListener("change", () => {
    setForm(line, line.loss.forms[Number(choice.value)]);
    changed(true);
    document.getElementById("form")?.focus();
  });
  return choice;
}

// Why a number is not allowed; "": it is.
function refused(line, number, value) {
  const [low, high, openLow, openHigh] = number.limits;
  if (!Number.isFinite(value)) return "a number, please";
  const outside = (low !== null && (openLow ? value <= low : value < low)) || (high !== null && (openHigh ? value >= high : value > high));
  if (outside) return `allowed: ${number.allowed}`;
  if (number.place === null || number.gap === null) return "";
  const given = { ...line.values, [number.name]: value };
  const all = line.form.numbers.map(each => DATA.numbers[each]).filter(each => each.parameter === number.parameter).map(each => given[each.name]);
  const rising = all.every((each, i) => !i || (each > all[i - 1] && each - all[i - 1] >= number.gap));
  return rising ? "" : `allowed: ${number.allowed}`;
}

function numberTurn(line, number) {
  const id = `turn-${number.name}`;
  const label = element("label", { htmlFor: id, textContent: number.running ? `${number.name} (running)` : number.name });
  const slider = element("input", { type: "range", min: number.low, max: number.high, step: (number.high - number.low) / 1000 || 1, value: line.values[number.name] });
  slider.setAttribute("aria-label", number.name);
  const field = element("input", { type: "number", step: "any", id, value: line.values[number.name] });
  const hint = element("p", { className: "hint", textContent: number.place ? "" : [number.meaning, number.allowed && `Allowed: ${number.allowed}.`].filter(Boolean).join(" ") });
  const take = (value, other) => {
    const why = refused(line, number, value);
    field.setCustomValidity(why);
    if (why) {
      field.reportValidity();
      return;
    }
    line.values[number.name] = value;
    other.value = value;
    changed();
  };
  slider.addEventListener("input", () => take(Number(Number(slider.value).toPrecision(6)), field));
  field.addEventListener("input", () => take(field.valueAsNumber, slider));
  return element("div", { className: "turn" }, label, slider, field, ...(hint.textContent ? [hint] : []));
}
