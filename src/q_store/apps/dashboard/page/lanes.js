// The backends as lanes in time, one canvas; a line below says what is under the pointer or the arrow keys.
import { clock, short } from "./text.js";

const STATES = ["sending", "queued", "running", "failed", "paused"];
const LANE = 34, GAP = 8, AXIS = 20, NAMES = 8;
const known = { began: 0, width: 1, pieces: new Map() };
let at = null, scene = null;
const byId = (id) => document.getElementById(id);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Take in what is new. */
export function take(lanes) {
  if (lanes.all) known.pieces.clear();
  known.began = lanes.began;
  known.width = lanes.width;
  for (const [member, pieces] of Object.entries(lanes.members)) {
    if (!known.pieces.has(member)) known.pieces.set(member, new Map());
    for (const [k, ...values] of pieces) known.pieces.get(member).set(k, values);
  }
}

export function forget() { known.pieces.clear(); }

/** Draw; `now` is the right edge: the present while the run trains, else its end. */
export function draw(members, now) {
  const names = members.map((member) => member.name);
  byId("s-lanes").hidden = !names.length;
  if (!names.length) return;
  scene = { members, names, now: Math.max(now, known.began + known.width) };
  paint();
}

function paint() {
  const canvas = byId("lanes");
  const width = canvas.clientWidth, height = scene.names.length * (LANE + GAP) + AXIS;
  const ratio = devicePixelRatio || 1;
  canvas.style.height = `${height}px`;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const c = canvas.getContext("2d");
  c.scale(ratio, ratio);
  c.clearRect(0, 0, width, height);
  const span = Math.max(scene.now - known.began, known.width);
  const x = (time) => (width * (time - known.began)) / span;
  scene.x = x;
  scene.members.forEach((member, n) => lane(c, member, n * (LANE + GAP), x, width));
  axis(c, width, height, span);
  if (at !== null) {
    c.fillStyle = colour("--ink");
    c.fillRect(Math.round(x(at)), 0, 1, height - AXIS);
  }
  say();
}

function lane(c, member, top, x, width) {
  c.fillStyle = colour("--grid");
  c.fillRect(0, top, width, LANE);
  for (const [k, values] of known.pieces.get(member.name) ?? []) {
    const left = Math.floor(x(known.began + k * known.width)), right = Math.ceil(x(known.began + (k + 1) * known.width));
    piece(c, values, left, Math.max(1, right - left), top);
  }
  for (const [stage, since] of member.jobs) {
    c.fillStyle = colour(`--${stage}`);
    c.globalAlpha = 0.55;
    c.fillRect(x(since), top + LANE / 4, Math.max(2, x(scene.now) - x(since)), LANE / 2);
    c.globalAlpha = 1;
  }
  if (member.away !== null) away(c, x(member.away), Math.max(2, x(scene.now) - x(member.away)), top);
  c.font = "600 12px system-ui, sans-serif";
  const name = fitted(c, member.name, width - 8 - NAMES), text = c.measureText(name).width;
  c.fillStyle = colour("--card");
  c.globalAlpha = 0.85;
  c.fillRect(4, top + 8, text + NAMES, 18);
  c.globalAlpha = 1;
  c.fillStyle = colour("--ink");
  c.fillText(name, 4 + NAMES / 2, top + 21);
}

/** A name as far as there is room; all of it is in the table, and in the line below the lanes. */
function fitted(c, name, width) {
  if (c.measureText(name).width <= width) return name;
  let length = name.length;
  while (length > 1 && c.measureText(`${name.slice(0, length)}…`).width > width) length--;
  return `${name.slice(0, length)}…`;
}

function piece(c, [sending, queued, running, failed, paused], left, width, top) {
  const scale = LANE / Math.max(known.width, sending + queued + running);
  let bottom = top + LANE;
  for (const [name, seconds] of [["running", running], ["queued", queued], ["sending", sending]]) {
    const high = seconds * scale;
    c.fillStyle = colour(`--${name}`);
    c.fillRect(left, bottom - high, width, high);
    bottom -= high;
  }
  if (paused > 0) away(c, left, width, top);
  if (failed) {
    c.fillStyle = colour("--failed");
    c.fillRect(left, top, Math.max(3, width), LANE / 2);
  }
}

/** It does not answer: hatched, so that it is seen without colours too. */
function away(c, left, width, top) {
  c.save();
  c.beginPath();
  c.rect(left, top, width, LANE);
  c.clip();
  c.fillStyle = colour("--card");
  c.fillRect(left, top, width, LANE);
  c.strokeStyle = colour("--failed");
  c.lineWidth = 2;
  for (let from = Math.floor((left - LANE) / 8) * 8; from < left + width; from += 8) {
    c.beginPath();
    c.moveTo(from, top + LANE);
    c.lineTo(from + LANE, top);
    c.stroke();
  }
  c.restore();
}

function axis(c, width, height, span) {
  c.fillStyle = colour("--soft");
  c.font = "12px system-ui, sans-serif";
  const count = Math.max(2, Math.floor(width / 140));
  for (let k = 0; k <= count; k++) {
    c.textAlign = k === 0 ? "left" : k === count ? "right" : "center";
    c.fillText(clock(known.began + (span * k) / count), (width * k) / count, height - 5);
  }
  c.textAlign = "left";
}

function say() {
  if (at === null) { byId("lanes-say").textContent = "Point at a lane, or move with the arrow keys, to read what happened."; return; }
  const k = Math.floor((at - known.began) / known.width);
  const words = scene.members.map(({ name, away: since }) => {
    if (since !== null && at >= since) return `${name}: does not answer`;
    const values = known.pieces.get(name)?.get(k) ?? [0, 0, 0, 0, 0];
    const parts = STATES.map((state, n) => [state, values[n]]).filter(([, value]) => value > 0)
      .map(([state, value]) => (state === "failed" ? `${short(value)} failed`
        : state === "paused" ? "did not answer" : `${state} ${short(value / known.width)}`));
    return `${name}: ${parts.join(", ") || "idle"}`;
  });
  byId("lanes-say").textContent = `${clock(at)} (jobs at a time) – ${words.join("; ")}`;
}

byId("lanes").addEventListener("pointermove", (event) => {
  if (!scene) return;
  const box = byId("lanes").getBoundingClientRect();
  at = known.began + ((event.clientX - box.left) / box.width) * (scene.now - known.began);
  paint();
});
byId("lanes").addEventListener("pointerleave", () => { at = null; if (scene) paint(); });
byId("lanes").addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20 }[event.key];
  if (event.key === "Escape") at = null;
  else if (event.key === "Home") at = known.began;
  else if (event.key === "End") at = scene.now;
  else if (step) at = Math.min(scene.now, Math.max(known.began, (at ?? scene.now) + step * known.width));
  else return;
  event.preventDefault();
  paint();
});
new ResizeObserver(() => { if (scene) paint(); }).observe(byId("lanes").parentElement);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (scene) paint(); });
