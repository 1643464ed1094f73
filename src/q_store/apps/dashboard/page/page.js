// The page of a run: hears what is new over one connection, which the browser makes again when it breaks.
import { draw } from "./charts.js";
import * as lanes from "./lanes.js";
import { tested } from "./tested.js";
import { element, fill, members, spend, split } from "./panels.js";
import { done, recipeFigures } from "./recipe.js";
import { clock, percent, short, span } from "./text.js";

const byId = (id) => document.getElementById(id);
let known = { curves: {} };
let due = false;
let ahead = 0; // of the clock of the server

const SLOWEST = 15; // seconds between two tries to connect again
const ANSWERS = {
  401: "This dashboard was started anew: open the link that it printed.",
  503: "Too many pages of this dashboard are open; close one.",
};
let source = null, tries = 0, again = null;

function connect() {
  source = new EventSource("events");
  source.onopen = () => { byId("link").textContent = ""; };
  source.onmessage = (event) => { tries = 0; hear(event); };
  source.onerror = lost;
}

/** Later and later: every try that fails is a line in the console of the browser. */
function lost() {
  source.close();
  if (known.over) return;
  byId("link").textContent = "connection lost, trying again";
  again = setTimeout(retry, 1000 * Math.min(SLOWEST, 2 ** tries++));
}

async function retry() {
  clearTimeout(again);
  again = null;
  const answer = await fetch("events", { method: "HEAD", cache: "no-store" }).catch(() => null);
  if (answer?.ok) return connect();
  if (answer && ANSWERS[answer.status]) byId("link").textContent = ANSWERS[answer.status];
  if (answer?.status !== 401) again = setTimeout(retry, 1000 * Math.min(SLOWEST, 2 ** tries++));
}

for (const [target, name] of [[window, "online"], [document, "visibilitychange"]]) {
  target.addEventListener(name, () => { if (again !== null && !document.hidden) retry(); });
}

function hear(event) {
  const news = JSON.parse(event.data);
  if (news.whole) known = { curves: {} };
  for (const [name, { names, at, rows }] of Object.entries(news.curves)) {
    const curve = (known.curves[name] ??= { names, rows: [] });
    curve.rows.length = at;
    curve.rows.push(...rows);
  }
  delete news.curves;
  if (news.whole) lanes.forget();
  if (news.lanes) lanes.take(news.lanes);
  delete news.lanes;
  ahead = news.now - Date.now() / 1000;
  Object.assign(known, news);
  if (!due) { due = true; requestAnimationFrame(show); }
}

function show() {
  due = false;
  const { run, progress, result, trouble, decisions, over } = known;
  if (over) source.close();
  byId("over").hidden = !over;
  byId("over").textContent = over ? `${over.training ? "The training is over" : "The dashboard was ended"}; this page stays as it was. ` +
    `It is shown again by: q-store dashboard RUN, with the folder of ${run.name}` : "";
  const broken = [];
  const part = (name, show) => { try { show(); } catch { broken.push(name); } };
  part("state", () => head(run, progress));
  part("figures", () => figures(progress, result));
  part("decisions", () => log(decisions));
  part("backends", () => members(known.members));
  part("backends in time", () => lanes.draw(known.members, run.alive === false || over ? progress.time : Date.now() / 1000 + ahead));
  part("time", () => split(known.split));
  part("confusion and images", () => tested(known.tested));
  byId("s-circuit").hidden = !run.circuit;
  if (run.circuit && !byId("circuit").src) byId("circuit").src = "circuit.svg";
  part("cost", () => spend(known.spend, known.recipe.name ? { steps: 1, step: done(known.recipe, { stage: "" }) } : progress, known.proofs, run));
  part("curves", () => draw(known.curves));
  const why = run.alive !== false && progress.status === "paused" ? progress.reason : "";
  const said = [trouble.text || why,
    trouble.damaged ? `${short(trouble.damaged)} damaged or unknown events were left out.` : "",
    broken.length ? `What the folder of the run says is damaged, so this cannot be shown: ${broken.join(", ")}.` : ""].filter(Boolean);
  byId("trouble").hidden = !said.length;
  byId("trouble").textContent = said.join(" ");
}

function standing(run, progress) {
  const status = progress.status;
  if (run.alive === false) {
    if (["completed", "failed", "paused", "stopped"].includes(status)) return status;
    return known.result.accuracy ? "completed" : status ? "interrupted" : "not running";
  }
  if (run.wanted === "stop") return "stopping";
  if (run.wanted === "pause") return status === "held" ? "held" : "pausing";
  return status || "starting";
}

function head(run, progress) {
  const now = standing(run, progress);
  document.title = `${run.name} · ${now}`;
  byId("name").textContent = run.name;
  byId("asked").textContent = [run.model, run.data, run.seed === undefined ? "" : `seed ${run.seed}`, run.recipe, run.target, run.noise]
    .filter(Boolean).join(" · ");
  const pill = byId("status");
  pill.textContent = now;
  pill.className = `pill ${now === "interrupted" ? "failed" : now}`;
  byId("controls").hidden = run.alive !== true || Boolean(known.over);
  byId("pause").textContent = run.wanted === "pause" ? "Resume" : "Pause";
  byId("pause").disabled = byId("stop").disabled = run.wanted === "stop";
}

function figures(p, result) {
  const recipe = known.recipe.name ? known.recipe : null;
  const share = recipe ? done(recipe, p) : p.steps ? Math.min(1, p.stage === "finish" ? 1 : p.step / p.steps) : 0;
  const bar = byId("bar");
  if (recipe) bar.setAttribute("aria-label", "Circuits bought, or steps done on this machine");
  bar.firstElementChild.style.width = `${100 * share}%`;
  bar.setAttribute("aria-valuenow", String(Math.round(100 * share)));
  const left = p.pace && p.steps && p.stage !== "finish" ? (p.steps - p.step) / p.pace : null;
  const rows = recipe ? recipeFigures(recipe, p, known.spend, lastOf("steps", "loss"), known.run.alive !== false) : [
    [p.stage === "finish" ? "Evaluation of the finish" : "Step", short(p.step), p.steps && p.stage !== "finish" ? `of ${short(p.steps)}` : ""],
    ["Epoch", short(p.epoch), p.epochs ? `of ${short(p.epochs)}` : ""],
    ["Loss", short(lastOf("steps", "loss") ?? p.train_loss), p.validation_loss === null ? "" : `validation ${short(p.validation_loss)}`],
    ["Validation accuracy", percent(p.validation_accuracy), p.validation_rows ? `${short(p.validation_rows)} rows` : ""],
    ...(result.accuracy || p.train_accuracy === null ? [] : [["Training accuracy", percent(p.train_accuracy), "of rows as visited"]]),
    known.run.alive === false
      ? ["Time", span(p.seconds), "of the training"]
      : ["Pace", pace(p.pace), left > 0 ? `${span(left)} left` : ""],
    ["Circuits", short(p.circuits), `${p.shots ? `${short(p.shots)} shots` : "exact values"}, of the training`],
    ["Parameters", short(p.parameters || null), ""],
  ];
  if (result.accuracy) {
    const [low, high] = result.test_interval ?? [];
    const far = result.remote;
    if (far) rows.push(["Test accuracy, measured", percent(far.test_accuracy), `95 %: ${far.test_interval.map(percent).join(" to ")}, ${short(far.test_rows)} rows`]);
    rows.push([far ? "Test accuracy, simulated" : "Test accuracy", percent(result.accuracy.test), low === undefined ? "" : `95 %: ${percent(low)} to ${percent(high)}`]);
    rows.push(["Training accuracy", percent(result.accuracy.train), "of the trained model"]);
    if (result.control !== null && result.control !== undefined) rows.push(["Classical control", percent(result.control), "test accuracy"]);
  }
  fill(byId("figures"), rows, ([name, value, note]) => {
    const [box, dd] = [element("div"), element("dd", value)];
    if (note) dd.append(element("small", note));
    box.append(element("dt", name), dd);
    return box;
  });
}

const pace = (steps) => (!steps ? "–" : steps < 1 ? `${span(1 / steps)} a step` : `${short(Math.round(steps * 10) / 10)} steps/s`);

function lastOf(curve, name) {
  const found = known.curves[curve];
  return found?.rows.length ? found.rows.at(-1)[found.names.indexOf(name) + 1] : null;
}

function log({ all, last }) {
  byId("s-decisions").hidden = !last.length;
  byId("decisions-count").textContent = all > last.length ? `The last ${last.length} of ${short(all)}.` : "";
  fill(byId("decisions"), last.toReversed(), ({ time, text }) => {
    const item = element("li");
    item.append(element("time", clock(time)), element("span", text));
    return item;
  });
}

async function want(wanted) {
  const answer = await fetch("control", {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ wanted }),
  }).catch(() => null);
  if (answer?.ok) return;
  byId("trouble").hidden = false;
  byId("trouble").textContent = answer ? (await answer.text()).trim() : "The dashboard cannot be reached; nothing was changed.";
}

byId("pause").addEventListener("click", () => want(known.run.wanted === "pause" ? "run" : "pause"));
byId("stop").addEventListener("click", () => byId("ask-stop").showModal());
byId("ask-stop").addEventListener("close", () => {
  if (byId("ask-stop").returnValue === "stop") want("stop");
  byId("ask-stop").returnValue = "";
});

setInterval(() => { // while nothing is told, time goes on all the same
  if (known.members?.length && known.run.alive && !known.over && !document.hidden && !due) lanes.draw(known.members, Date.now() / 1000 + ahead);
}, 500);

connect();
