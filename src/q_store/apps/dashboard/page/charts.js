// The curves: one uPlot each, all with the same x, a cursor that moves with the arrow keys, and a legend below.
import { short } from "./text.js";

const SPECS = [
  { id: "loss", title: "Loss", lines: [
    { from: "steps", name: "loss", title: "training, by step", colour: "--c1", width: 1 },
    { from: "epochs", name: "train_loss", title: "training, by epoch", colour: "--c2" },
    { from: "epochs", name: "validation_loss", title: "validation", colour: "--c3", dash: [6, 3] }] },
  { id: "accuracy", title: "Accuracy", percent: true, lines: [
    { from: "epochs", name: "train_accuracy", title: "training, as visited", colour: "--c2" },
    { from: "epochs", name: "validation_accuracy", title: "validation", colour: "--c3", dash: [6, 3] },
    { from: "epochs", name: "trained_accuracy", title: "validation, circuit as trained", colour: "--c4", dash: [2, 3] }] },
  { id: "looks", title: "Accuracy by circuits", percent: true, across: "circuits of training", own: true, lines: [
    { from: "looks", name: "held_out", title: "held-out rows", colour: "--c3" },
    { from: "looks", name: "bought", title: "bought rows", colour: "--c2" },
    { from: "looks", name: "sure", title: "what that counts as", colour: "--c4", dash: [6, 3] }] },
  { id: "gradient", title: "Gradient norm", lines: [
    { from: "steps", name: "gradient_norm", title: "norm", colour: "--c1", band: "gradient_error" }] },
  { id: "rate", title: "Learning rate", lines: [
    { from: "steps", name: "learning_rate", title: "of the circuit", colour: "--c1" }] },
  { id: "depth", title: "Depth", whole: true, lines: [
    { from: "steps", name: "depth", title: "layers", colour: "--c1" }] },
  { id: "shots", title: "Shots of a circuit", whole: true, lines: [
    { from: "steps", name: "shots", title: "shots", colour: "--c1" }] },
];
const HEIGHT = 210;
const shown = new Map();
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Columns of a curve by name, x first. */
function columns(curve) {
  const found = { x: curve.rows.map((row) => row[0]) };
  curve.names.forEach((name, k) => { found[name] = curve.rows.map((row) => row[k + 1]); });
  return found;
}

function present(line, curves) {
  const curve = curves[line.from];
  const k = curve ? curve.names.indexOf(line.name) + 1 : 0;
  return k > 0 && curve.rows.some((row) => row[k] !== null);
}

/** uPlot wants one x for all lines: that of all points together. */
function table(lines, curves) {
  const own = {};
  for (const line of lines) own[line.from] ??= columns(curves[line.from]);
  const tables = [];
  for (const line of lines) {
    const from = own[line.from];
    const add = [from[line.name]];
    if (line.band) {
      const errors = from[line.band];
      for (const sign of [1, -1]) add.push(add[0].map((y, k) => (y === null || errors[k] === null ? null : y + sign * errors[k])));
    }
    tables.push([from.x, ...add]);
  }
  return tables.length === 1 ? tables[0] : uPlot.join(tables, tables.map((t) => t.slice(1).map(() => 0).reduce((a) => [...a, 1], [0])));
}

function series(spec, lines) {
  const all = [{}];
  for (const line of lines) {
    const stroke = () => colour(line.colour);
    all.push({ label: line.title, stroke, width: line.width ?? 2, dash: line.dash, spanGaps: true, points: spec.own ? { show: true, size: 7 } : undefined });
    if (line.band) for (let k = 0; k < 2; k++) all.push({ stroke: "transparent", spanGaps: false, points: { show: false } });
  }
  return all;
}

/** All charts have the x of all points, so that a place is the same in each; but for one that is not by steps. */
const reach = (spec) => (u, low, high) => {
  if (u.select?.width > 0) return [low, high]; // somebody enlarges a part
  const all = Object.entries(state.curves).filter(([name]) => (name === "looks") === Boolean(spec.own))
    .flatMap(([, curve]) => (curve.rows.length ? [curve.rows[0][0], curve.rows.at(-1)[0]] : []));
  return all.length ? [Math.min(...all), Math.max(...all, Math.min(...all) + 1)] : [0, 1];
};

function options(spec, lines, width, moved) {
  const axis = { stroke: () => colour("--soft"), grid: { stroke: () => colour("--grid"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  const bands = lines[0].band ? [{ series: [2, 3], fill: () => colour("--c1") + "33" }] : undefined;
  return {
    width, height: HEIGHT, series: series(spec, lines), bands, legend: { show: false },
    scales: { x: { time: false, range: reach(spec) }, y: spec.percent ? { range: (u, low, high) => [Math.max(0, low - .05), Math.min(1, high + .05)] } : {} },
    axes: [{ ...axis, size: spec.across ? 46 : 30, label: spec.across, labelSize: 16, labelFont: axis.font, values: (u, ticks) => ticks.map((v) => (Number.isInteger(v) ? short(v) : "")) },
      { ...axis, size: 58, values: (u, ticks) => ticks.map((v) => number(spec, v)) }],
    cursor: { sync: spec.own ? undefined : { key: "steps" }, drag: { x: true, y: false }, points: { size: 7 } },
    hooks: { setCursor: [moved] },
  };
}

const number = (spec, value) => (value === null || value === undefined ? "–"
  : spec.percent ? `${(100 * value).toFixed(1)} %` : spec.whole ? short(Math.round(value)) : short(value));

function build(spec, lines) {
  const card = document.createElement("div");
  card.className = "card";
  card.innerHTML = `<h3></h3><div class="plot" tabindex="0" role="group"></div><ul class="legend"></ul>`;
  const [title, plot, legend] = card.children;
  title.textContent = spec.title;
  for (const line of lines) {
    const item = document.createElement("li");
    item.append(document.createElement("i"), document.createTextNode(`${line.title} `), document.createElement("span"));
    item.firstChild.style[line.dash ? "borderTopColor" : "background"] = `var(${line.colour})`;
    item.firstChild.classList.toggle("dashed", Boolean(line.dash));
    legend.append(item);
  }
  place(card, spec);
  const chart = { card, plot, legend, spec, lines, u: null };
  plot.addEventListener("keydown", (event) => keys(chart, event));
  chart.u = new uPlot(options(spec, lines, plot.clientWidth, () => tell(chart)), table(lines, state.curves), plot);
  new ResizeObserver(() => chart.u.setSize({ width: plot.clientWidth, height: HEIGHT })).observe(plot);
  return chart;
}

function place(card, spec) {
  const order = SPECS.map((each) => each.id);
  card.dataset.id = spec.id;
  const all = [...document.getElementById("charts").children];
  const next = all.find((each) => order.indexOf(each.dataset.id) > order.indexOf(spec.id));
  document.getElementById("charts").insertBefore(card, next ?? null);
}

/** The legend says the values under the cursor, else the last ones. */
function tell(chart) {
  const { u, lines, legend, spec, plot } = chart;
  if (!u) return;
  const at = u.cursor.idx;
  const words = [];
  let k = 1;
  lines.forEach((line, n) => {
    const values = u.data[k];
    const low = at ?? values.length - 1;
    let j = low;
    while (j > 0 && (values[j] === null || values[j] === undefined)) j--;
    let text = number(spec, values[j]);
    if (line.band) {
      const above = u.data[k + 1][j];
      if (above !== null && above !== undefined) text += ` ± ${short(above - values[j])}`;
    }
    legend.children[n].lastChild.textContent = text;
    words.push(`${line.title} ${text}`);
    k += line.band ? 3 : 1;
  });
  const x = u.data[0][at ?? u.data[0].length - 1];
  plot.setAttribute("aria-label", `${spec.title} at ${spec.own ? `${short(x ?? 0)} circuits` : `step ${short(x ?? 0)}`}: ${words.join(", ")}. Arrow keys move along.`);
}

function keys(chart, event) {
  const { u } = chart;
  const last = u.data[0].length - 1;
  const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20 }[event.key];
  let at = u.cursor.idx ?? last;
  if (event.key === "Escape") { u.setCursor({ left: -10, top: -10 }); u.setData(u.data); return; }
  if (event.key === "Home") at = 0; else if (event.key === "End") at = last;
  else if (step) at = Math.min(last, Math.max(0, at + step)); else return;
  event.preventDefault();
  u.setCursor({ left: u.valToPos(u.data[0][at], "x"), top: 20 });
}

const state = { curves: {} };

/** Draw what the curves are now; a curve appears with its first value. */
export function draw(curves) {
  state.curves = curves;
  for (const spec of SPECS) {
    const lines = spec.lines.filter((line) => present(line, curves));
    if (!lines.length) continue;
    let chart = shown.get(spec.id);
    if (chart && chart.lines.length !== lines.length) { chart.u.destroy(); chart.card.remove(); chart = null; }
    if (chart) chart.u.setData(table(lines, curves)); else { chart = build(spec, lines); shown.set(spec.id, chart); }
    tell(chart);
  }
  document.getElementById("empty").hidden = shown.size > 0;
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { for (const chart of shown.values()) chart.u.redraw(); });
