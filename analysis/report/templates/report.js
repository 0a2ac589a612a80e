"use strict";
// The cards: a switch for the budget, tabs for the libraries, a button that copies.
function pick(group, name, value) {
  group.querySelectorAll(`[data-${name}]`).forEach(e => e.classList.toggle("off", e.dataset[name] !== value));
  group.querySelectorAll(`[data-pick-${name}]`).forEach(e =>
    e.setAttribute("aria-pressed", String(e.getAttribute(`data-pick-${name}`) === value)));
}
async function copy(button) {
  const text = button.closest(".code").querySelector("pre:not(.off)").textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Frames without the right to the clipboard, and old browsers.
    const area = document.body.appendChild(Object.assign(document.createElement("textarea"), {value: text}));
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}
document.addEventListener("click", event => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.pickBudget) {
    const card = button.closest(".card");
    pick(card, "budget", button.dataset.pickBudget);
    choose({workload: card.dataset.workload, budget: button.dataset.pickBudget});
  }
  if (button.dataset.pickLibrary) pick(button.closest(".code"), "library", button.dataset.pickLibrary);
  if (button.classList.contains("copy")) copy(button);
});
document.querySelectorAll(".card").forEach(card => pick(card, "budget", card.dataset.first));
document.querySelectorAll(".code").forEach(code => pick(code, "library", "PyTorch"));

// The charts: views over the rows that the choices pick.
async function unpacked(id) {
  const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), c => c.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
}
if (!("DecompressionStream" in window)) document.querySelector(".needs").hidden = false;
const {charts, choices, vega} = await unpacked("charts"), chosen = {baseline: "cosine", trial: null};
document.head.append(Object.assign(document.createElement("script"), {text: vega}));
const selects = Object.fromEntries([...document.querySelectorAll(".choices select")].map(s => [s.name, s]));
function options(name, values) {
  const select = selects[name];
  select.replaceChildren(...values.map(v => new Option(v, v)));
  select.closest("label").hidden = values.length < 2;
  // What was chosen stays where it is known, else the last: the largest budget.
  if (!values.map(String).includes(String(chosen[name]))) chosen[name] = name === "family" ? values[0] : values.at(-1);
  select.value = chosen[name];
}
function rowsOf(chart) {
  const parts = chart.rows[chart.picked.map(name => chosen[name]).join("\n")] || [];
  return parts.flatMap(([columns, rows]) => rows.map(row => Object.fromEntries(columns.map((c, i) => [c, row[i]]))));
}
const views = new Map();
async function draw(chart) {
  const figure = document.getElementById(`chart-${chart.name}`), rows = rowsOf(chart);
  figure.hidden = rows.length === 0;
  const heading = figure.querySelector("h3");
  heading.dataset.title ||= heading.textContent;
  heading.textContent = heading.dataset.title + (chart.picked.includes("family") ? ` (${chosen.family})` : "");
  if (figure.hidden) return;
  const signals = {...chosen, chosen: Number(chosen.budget)}, known = views.get(chart);
  const params = (chart.spec.params || []).map(param => param.name);
  if (known) {
    for (const name of params) known.signal(name, signals[name]);
    await known.data("rows", rows).runAsync();
    return;
  }
  const spec = {...chart.spec, data: {name: "rows", values: rows}, params: params.map(name => ({name, value: signals[name]}))};
  const options = {mode: "vega-lite", renderer: "svg", actions: false};
  const {view} = await vegaEmbed(figure.querySelector(".plot"), spec, options);
  views.set(chart, view);
  view.addEventListener("pointermove", (_, item) => follow((item && item.datum && item.datum.trial) || null));
}
// The trial under the pointer stands out in every chart that has it.
function follow(trial) {
  if (trial === chosen.trial) return;
  chosen.trial = trial;
  for (const [chart, view] of views)
    if ((chart.spec.params || []).some(param => param.name === "trial")) view.signal("trial", trial).runAsync();
}
async function choose(changes) {
  Object.assign(chosen, changes);
  if (!(chosen.workload in choices)) return;
  selects.workload.value = chosen.workload;
  options("budget", choices[chosen.workload].budget);
  options("family", choices[chosen.workload].family);
  for (const chart of charts) await draw(chart);
}
if (Object.keys(choices).length) {
  options("workload", Object.keys(choices));
  Object.values(selects).forEach(s => s.addEventListener("change", () => choose({[s.name]: s.value})));
  choose({workload: Object.keys(choices)[0]}).then(() => document.body.setAttribute("data-drawn", ""));
}
// A tap moves no pointer, so nothing would show.
document.addEventListener("click", ({target, clientX, clientY}) => {
  if (target.closest(".plot svg")) target.dispatchEvent(new PointerEvent("pointermove", {bubbles: true, clientX, clientY}));
});
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(d => { d.open = true; }));
