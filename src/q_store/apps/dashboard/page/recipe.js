// A recipe: what it does, what it has bought of what it planned, what its looks saw.
import { money } from "./panels.js";
import { percent, short, span } from "./text.js";

const STAGES = {
  "local training": "training here", training: "training", refining: "refining", buying: "buying circuits", fitting: "fitting the readout",
  looking: "looking at held-out rows", measuring: "measuring the test rows",
};
const SEEN = "the accuracy asked for was seen";
const LOCAL = ["epochs", "finish"];
const planned = (recipe) => recipe.training + recipe.validation + recipe.test;

/** How much is done: of the circuits, or while it trains on this machine of that. */
export function done(recipe, p) {
  if (LOCAL.includes(p.stage)) return p.steps && p.stage === "epochs" ? Math.min(1, p.step / p.steps) : 1;
  return planned(recipe) ? Math.min(1, recipe.bought / planned(recipe)) : 0;
}

/** Rows of the figures at the top: name, value, note. */
export function recipeFigures(recipe, p, spent, loss, alive) {
  const look = recipe.look;
  const left = recipe.pace > 0 ? (planned(recipe) - recipe.bought) / recipe.pace : null;
  const rows = [
    ["Recipe", recipe.name, recipe.asked === "auto" ? "chosen by auto" : ""],
    ...(alive && recipe.stage ? [["Doing", STAGES[recipe.stage] ?? recipe.stage, where(recipe, p)]] : []),
    ["Circuits bought", short(recipe.bought),
      `of at most ${short(planned(recipe))}: ${short(recipe.training)} training, ${short(recipe.validation)} validation, ${short(recipe.test)} test`],
    ["Accuracy seen", look ? percent(look.accuracy) : "–", look ? rowsOf(look) : "no look yet"],
  ];
  if (recipe.accuracy !== null) rows.push(["Accuracy asked for", percent(recipe.accuracy), recipe.ended ? recipe.ended === SEEN ? "seen twice in turn" : "not seen twice in turn" : "seen twice in turn ends it"]);
  if (recipe.expected !== null) rows.push(["Expected", percent(recipe.expected), `benchmark, ${short(recipe.expected_with)} circuits`]);
  if (loss !== null) rows.push(["Loss", short(loss), p.validation_loss === null ? "" : `simulated validation ${short(p.validation_loss)}`]);
  if (p.validation_accuracy !== null) rows.push(["Simulated validation", percent(p.validation_accuracy), `${short(p.validation_rows)} rows`]);
  rows.push(["Charged", money(spent.costs), !recipe.price ? "" : `at most about ${money({ [recipe.currency]: recipe.price })}`]);
  if (alive && recipe.pace) rows.push(["Pace", `${short(recipe.pace)} circuits/s`, left > 0 ? `at most ${span(left)} left` : ""]);
  if (!alive) rows.push(["Time", span(recipe.seconds), "of the recipe"]);
  rows.push(["Parameters", short(p.parameters || null), ""]);
  return rows;
}

const rowsOf = (look) => (look.on === "bought" ? `of ${short(look.rows)} bought rows; counts as ${percent(look.sure)}` : `of ${short(look.rows)} held-out rows`);

function where(recipe, p) {
  if (p.stage === "epochs") return p.epochs ? `epoch ${short(p.epoch ?? 1)} of ${short(p.epochs)}` : "";
  if (p.stage === "finish") return `evaluation ${short(p.step)} of the finish`;
  return recipe.steps ? `step ${short(p.step)} of ${short(recipe.steps)}` : "";
}
