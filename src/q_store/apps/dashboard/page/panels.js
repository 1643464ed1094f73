// Backends as a table, where the time went, what was spent.
import { short, span } from "./text.js";

const byId = (id) => document.getElementById(id);
const SHARES = {
  client: "this program", network: "network", queue: "queues", execution: "execution", poll: "waiting for a look", rest: "the remainder",
};

export function element(tag, text, name) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (name) made.className = name;
  return made;
}

/** Replace the children, unless nothing changed. */
export function fill(parent, rows, make) {
  const key = JSON.stringify(rows);
  if (parent.dataset.key === key) return;
  parent.dataset.key = key;
  parent.replaceChildren(...rows.map(make));
}

export function money(costs) {
  const parts = Object.entries(costs).map(([currency, amount]) => `${amount.toLocaleString("en", { maximumFractionDigits: 4 })} ${currency}`);
  return parts.join(", ") || "nothing";
}

export function members(all) {
  byId("s-members").hidden = !all.length;
  const rows = all.map((m) => [
    m.name, m.health ? (m.reason && m.health !== "working" ? `${m.health}: ${m.reason}` : m.health) : "here",
    m.rate ? `${short(m.rate)}/s` : "–", m.latency ? span(m.latency) : "–",
    m.window ? `${m.in_flight} of ${m.window}` : short(m.jobs.length), short(m.circuits), short(m.jobs_ended), short(m.jobs_failed),
    m.cost ? money({ [m.currency]: m.cost }) : "–"]);
  fill(byId("members"), rows, (cells) => {
    const row = element("tr");
    cells.forEach((cell, k) => {
      const made = element(k ? "td" : "th", cell);
      if (!k) made.scope = "row";
      row.append(made);
    });
    return row;
  });
}

export function split({ shares, backends }) {
  const wall = Object.values(shares).reduce((a, b) => a + b, 0);
  byId("s-split").hidden = !(wall > 0);
  if (!(wall > 0)) return;
  const rows = [["the run", shares], ...Object.entries(backends).sort((a, b) => sum(b[1]) - sum(a[1]))];
  fill(byId("split"), rows, ([name, own]) => {
    const box = element("div", undefined, "share");
    const bar = element("div", undefined, "stack");
    const said = [];
    for (const [share, seconds] of Object.entries(own)) {
      if (!(seconds > 0)) continue;
      const part = element("span", undefined, share);
      part.style.width = `${(100 * seconds) / wall}%`;
      bar.append(part);
      said.push(`${SHARES[share]} ${span(seconds)}`);
    }
    box.append(element("strong", `${name}: ${span(sum(own))}`), bar, element("small", said.join(" · ")));
    return box;
  });
}

const sum = (own) => Object.values(own).reduce((a, b) => a + b, 0);

export function spend(spent, progress, proofs, run) {
  const share = run.alive !== false && progress.steps && progress.stage !== "finish" ? progress.step / progress.steps : 0;
  byId("s-spend").hidden = !spent.caps.length && !spent.circuits && !Object.keys(spent.costs).length && !proofs.length;
  const ahead = share && Object.keys(spent.costs).length ? `; at the end about ${money(scaled(spent.costs, 1 / share))}` : "";
  const counted = [`${short(spent.circuits)} circuits`, ...(spent.shots_paid ? [`${short(spent.shots_paid)} shots`] : [])];
  byId("spent").textContent = `Charged: ${money(spent.costs)} for ${counted.join(", ")}${ahead}.`;
  fill(byId("caps"), spent.caps.map((cap) => [...cap, share]), cap);
  byId("proofs-title").hidden = !proofs.length;
  fill(byId("proofs"), proofs, ([text, count]) => element("li", `${text} (${short(count)} job${count === 1 ? "" : "s"})`));
}

/** One cap: how much of it is spent, and what it would be at the end at this pace. */
function cap([account, unit, amount, most, share]) {
  const said = (value) => (unit === "seconds" ? span(value) : unit === "circuits" || unit === "shots" ? short(Math.round(value))
    : value.toLocaleString("en", { maximumFractionDigits: 4 }));
  const box = element("div", undefined, "share"), meter = element("meter");
  const name = `${account ? `${account}, ` : ""}${unit === "seconds" ? "time" : unit}`;
  meter.max = most;
  [meter.optimum, meter.low, meter.high] = [0, .8 * most, .999 * most]; // its colour: enough is left, little, nothing
  meter.value = amount;
  meter.setAttribute("aria-label", `${name}: spent of the budget`);
  const end = share ? amount / share : null;
  box.append(element("strong", `${name}: ${said(amount)} of ${said(most)}`), meter);
  if (end) box.append(element("small", `projected end: ${said(end)}${end > most ? " – more than the budget" : ""}`));
  return box;
}

const scaled = (costs, factor) => Object.fromEntries(Object.entries(costs).map(([name, amount]) => [name, Number((amount * factor).toPrecision(3))]));
