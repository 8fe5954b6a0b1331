// The console: the state document of /api/events, section by section.

import { age, clock, command, duration, h, now, patch, seconds, setNow, state as mark, tick } from "./dom.js";
import { draw, redraw, traffic } from "./charts.js";
import * as sections from "./sections.js";

const SECTIONS = { serving: sections.serving, rollout: sections.rollout, traffic, alarms: sections.alarms, ledger: sections.ledger, lock: sections.lock };
/** A section that is this many readings old is called stale. */
const STALE = 3;
/** The server's stream sets its own pause before a reconnection; this one is for a stream that the browser gave up. */
const RECONNECT_MS = 5000;

const byId = (id) => document.getElementById(id);
let state = null;
let lost = null;

const values = () => Object.fromEntries(Object.entries(state.sections).map(([name, { value }]) => [name, value]));

function connect() {
  const stream = new EventSource("/api/events");
  stream.addEventListener("state", ({ data }) => {
    const before = state && values();
    state = JSON.parse(data);
    update(Object.keys(SECTIONS), before);
  });
  stream.addEventListener("delta", ({ data }) => {
    const { sections: changed, ...rest } = JSON.parse(data);
    const before = values();
    Object.assign(state, rest);
    for (const [name, part] of Object.entries(changed)) state.sections[name] = { ...state.sections[name], ...part };
    update(Object.keys(changed), before);
  });
  stream.addEventListener("error", () => {
    lost ??= new Date().toISOString();
    showConnection();
    if (stream.readyState !== EventSource.CLOSED) return;
    stream.close();
    setTimeout(connect, RECONNECT_MS);
  });
}

function update(names, before) {
  setNow(state.now);
  lost = null;
  showConnection();
  showFrame();
  const changed = new Set(names);
  // The serving section shows both versions of a rollout; the charts show releases and the alarms' thresholds.
  if (changed.has("rollout") || changed.has("ledger")) changed.add("serving");
  if (changed.has("ledger") || changed.has("alarms")) changed.add("traffic");
  for (const name of changed) show(name);
  if (before) say(sections.news(before, values()));
}

function show(name) {
  const all = values();
  const { value, error } = state.sections[name];
  patch(byId(name), [
    reading(name),
    error && problem(error, value),
    value && h("div", { class: "value", "data-key": "value" }, SECTIONS[name](value, all)),
  ].filter(Boolean));
  if (name === "traffic" && value) draw(value, all);
}

function reading(name) {
  const { at, error, interval_seconds: interval } = state.sections[name];
  const isStale = at && seconds(at) > STALE * interval;
  return h("p", { class: "read", "data-section": name },
    at ? [isStale ? mark("warning", "stale") : "read", " ", age(at), " ago"] : error ? "" : "reading …");
}

const problem = ({ message, next, since }, value) => h("div", { class: "problem", "data-key": "problem" },
  h("p", {}, value ? [mark("bad", "Cannot be read"), ` since ${clock(since)} UTC`] : mark("warning", "Not read"), `: ${message}`),
  value && h("p", {}, "What follows is from the last good reading."),
  next && h("p", { class: "next" }, "Next: ", /^make [^;]+$/.test(next) ? command(next) : next));

function showConnection() {
  document.body.classList.toggle("lost", lost !== null);
  patch(byId("connection"), [lost === null ? mark("good", "live")
    : h("span", {}, mark("bad", "connection lost"), ` at ${clock(lost)} UTC. The page shows what was true then, and reconnects by itself. If the console ended, Next: `,
      command(`make console ENV=${state?.environment ?? "local"}`))]);
}

function showFrame() {
  const { environment, region, account, url, aws_calls: calls } = state;
  const { serving, rollout, alarms } = values();
  const ringing = alarms?.alarms.filter((alarm) => alarm.state === "ALARM").length;
  const version = serving ? serving.name ?? serving.revision : "";
  document.title = [ringing && `${ringing} in ALARM`, rollout?.in_progress && "rolling out", version, `console of ${environment}`].filter(Boolean).join(" · ");
  patch(byId("title"), [document.createTextNode(environment)]);
  patch(byId("where"), [url && h("a", { href: url, rel: "noreferrer" }, url), region && h("span", {}, `${region} · account ${account}`),
    rollout?.in_progress && h("a", { href: "#rollout-title" }, mark("starting", "rolling out")),
    ringing > 0 && h("a", { href: "#alarms-title" }, mark("bad", `${ringing} in ALARM`))].filter(Boolean));
  patch(byId("footer"), [
    h("p", {}, "This page only reads: it can change nothing. Times are UTC. ", `${calls.last_minute} of at most ${calls.limit} calls to AWS in the last minute.`),
  ]);
}

function say(sentences) {
  if (sentences.length) byId("news").textContent = `${sentences.join(". ")}.`;
}

/** Ages grow also while nothing arrives, and a reading becomes stale. */
function everySecond() {
  if (!state) return;
  for (const element of document.querySelectorAll("[data-section]")) {
    patch(element, [...reading(element.dataset.section).childNodes]);
  }
  tick();
}

document.addEventListener("click", async ({ target }) => {
  const { copy } = target.dataset;
  if (copy === undefined) return;
  try {
    await navigator.clipboard.writeText(copy);
    target.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(target.previousSibling);
    target.textContent = "Selected";
  }
  say([`${target.textContent}: ${copy}`]);
  target.addEventListener("blur", () => { target.textContent = "Copy"; }, { once: true });
});

document.addEventListener("toggle", ({ target }) => {
  if (target.closest("figure")) show("traffic");
}, { capture: true });

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  redraw();
  if (state?.sections.traffic.value) draw(state.sections.traffic.value, values());
});

setInterval(everySecond, 1000);
connect();
