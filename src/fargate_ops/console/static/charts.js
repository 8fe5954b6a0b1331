// The charts of the last hours, each with a sentence and a table that say the same.

import { clock, h, table } from "./dom.js";
import { outcome } from "./sections.js";

const ROW_MINUTES = 15;
const HEIGHT = 180;
const DASH = [6, 4];

const number = (value) => value === null ? "no data" : value >= 100 || Number.isInteger(value) ? String(Math.round(value)) : value.toFixed(value >= 10 ? 1 : 2);
const known = (values) => values.filter((value) => value !== null);
const highest = (values) => known(values).length ? Math.max(...known(values)) : null;
const lowest = (values) => known(values).length ? Math.min(...known(values)) : null;
const iso = (time) => new Date(time * 1000).toISOString();

/** Percent of the minute's answers; null in a minute without answers. */
const percent = (errors, requests) => errors.map((count, index) => count === null || !requests[index] ? null : 100 * count / requests[index]);

function definitions({ series, max_connections: limit }) {
  return [
    { id: "requests", title: "Requests", unit: "a minute", lines: [["requests", series.requests]] },
    { id: "errors", title: "Errors", unit: "% of the requests", least: 1, lines: [
      ["5xx", percent(series.errors_5xx, series.requests)], ["4xx", percent(series.errors_4xx, series.requests)]] },
    { id: "latency", title: "Latency", unit: "ms", lines: [["p99", series.p99], ["p50", series.p50]] },
    series.connections && { id: "connections", title: "Database connections", unit: "open", lines: [["connections", series.connections]],
      limits: limit ? [["max_connections", limit]] : [] },
  ].filter(Boolean);
}

const SOURCES = { errors: "requests", latency: "p99" };
/** The ends of the names of alarms whose threshold is in a chart's unit (terraform/modules/monitoring). */
const ALARMS = { errors: ["error-rate", "errors-5xx"], connections: ["database-connections"] };

function limitsOf({ id, limits = [] }, alarms) {
  const lines = (ALARMS[id] ?? []).flatMap((end) => (alarms?.alarms ?? [])
    .filter(({ name, threshold }) => name.endsWith(`-${end}`) && threshold !== null).map(({ threshold }) => [`alarm ${end}`, threshold]));
  return [...limits, ...lines];
}

/** The ends of releases in the charts' time: [time, mark, words]. A release without an end stands at its start. */
function marksOf(releases, times) {
  return (releases ?? []).map((release) => [Date.parse(release.ended ?? release.started) / 1000, release])
    .filter(([time]) => time >= times[0] && time <= times.at(-1) + 60)
    .map(([time, release]) => {
      const [kind, word] = outcome(release.outcome);
      const sign = release.kind === "rollback" ? "↩" : kind === "bad" ? "✕" : kind === "back" ? "↩" : kind === "good" ? "▲" : "△";
      return [time, sign, `${release.name}, ${release.kind} ${word}`];
    });
}

const drawn = new Map();

export function traffic(value, { alarms, ledger }) {
  if (value.times.length === 0) return [h("p", {}, "No data.")];
  const marks = marksOf(ledger?.releases, value.times);
  const hours = Math.round(value.times.length * value.period_seconds / 3600);
  const figures = definitions(value).map((definition) => figure(definition, value, limitsOf(definition, alarms), marks));
  return [
    h("p", { class: "quiet" }, `The last ${hours} hours, one point a minute, in UTC. Marks: ▲ release, ✕ failed release, ↩ rollback, △ without an end. The last minute may be incomplete.`),
    h("div", { class: "charts" }, figures),
    value.no_data.connections && !value.series.connections && h("p", { class: "quiet" }, `Database connections: ${value.no_data.connections}.`),
  ];
}

function figure(definition, value, limits, marks) {
  const { id, lines, unit } = definition;
  const empty = lines.every(([, values]) => known(values).length === 0);
  const why = value.no_data[SOURCES[id] ?? id] ?? "no data";
  return h("figure", { "data-key": id, class: empty ? "empty" : null },
    h("div", { class: "head" }, h("h3", {}, definition.title, h("span", { class: "quiet" }, `, ${unit}`)),
      !empty && h("p", { class: "key", "aria-hidden": "true" },
        lines.length > 1 && lines.map(([name], index) => h("span", { class: index ? "dashed-line" : "solid-line" }, name)),
        limits.map(([name, limit]) => h("span", { class: "limit-line" }, `${name} ${number(limit)}`)))),
    !empty && h("div", { class: "chart", "data-chart": id, "aria-hidden": "true" }),
    h("figcaption", {}, empty ? `${sentenceCase(why)}: nothing is drawn.` : summary(lines, value.times)),
    !empty && h("details", {}, h("summary", {}, `${definition.title} as a table`), isOpen(id) && numbers(definition, value.times, limits, marks)));
}

/** A closed table is not filled. */
const isOpen = (id) => document.querySelector(`figure[data-key="${id}"] details`)?.open;

const sentenceCase = (text) => text[0].toUpperCase() + text.slice(1);

function summary(lines, times) {
  const parts = lines.filter(([, values]) => known(values).length).map(([name, values]) => {
    const last = values.findLastIndex((value) => value !== null);
    const peak = values.indexOf(highest(values));
    return `${lines.length > 1 ? `${name}: ` : ""}${number(values[last])} at ${clock(iso(times[last]), false)}, highest ${number(values[peak])} at ${clock(iso(times[peak]), false)}`;
  });
  const missing = times.filter((_, index) => lines.every(([, values]) => values[index] === null)).length;
  return `${parts.join("; ")}.${missing ? ` No data in ${missing} of ${times.length} minutes.` : ""}`;
}

/** A quarter of an hour a row: the highest value, and the releases in it. */
function numbers({ title, unit, lines }, times, limits, marks) {
  const rows = [];
  for (let end = times.length; end > 0; end -= ROW_MINUTES) {
    const begin = Math.max(0, end - ROW_MINUTES);
    const inside = marks.filter(([time]) => time >= times[begin] && time < times[end - 1] + 60).map(([, , words]) => words);
    rows.push({
      key: String(times[begin]),
      cells: [`${clock(iso(times[begin]), false)}–${clock(iso(times[end - 1] + 60), false)}`,
        ...lines.flatMap(([, values]) => [number(lowest(values.slice(begin, end))), number(highest(values.slice(begin, end)))]),
        inside.join("; ")],
    });
  }
  const heads = ["minutes (UTC)", ...lines.flatMap(([name]) => [`${name}, lowest`, `${name}, highest`]), "releases"];
  const lead = limits.map(([name, limit]) => `; ${name}: ${number(limit)}`).join("");
  return table(`${title}, ${unit}${lead}`, heads, rows);
}

/** Draw into the places that `traffic` made; call it after they are in the page. */
export function draw(value, { alarms, ledger }) {
  const marks = marksOf(ledger?.releases, value.times);
  for (const definition of definitions(value)) {
    const place = document.querySelector(`[data-chart="${definition.id}"]`);
    if (!place) continue;
    const limits = limitsOf(definition, alarms);
    const data = [value.times, ...definition.lines.map(([, values]) => values)];
    const key = JSON.stringify([definition.lines.map(([name]) => name), limits]);
    const have = drawn.get(definition.id);
    if (have?.key === key && have.place === place) {
      have.marks = marks;
      have.plot.setData(data);
    } else {
      have?.plot.destroy();
      const chart = { key, place, marks };
      chart.plot = plot(place, definition, limits, data, chart);
      drawn.set(definition.id, chart);
      resized.observe(place);
    }
  }
}

/** Draw all charts anew, for another colour scheme. */
export function redraw() {
  for (const chart of drawn.values()) chart.key = null;
}

const resized = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) {
    const chart = drawn.get(target.dataset.chart);
    if (chart?.place === target && contentRect.width) chart.plot.setSize({ width: contentRect.width, height: HEIGHT });
  }
});

function plot(place, { lines, least = 0 }, limits, data, chart) {
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const [ink, quiet, grid] = ["--ink", "--quiet", "--line"].map(colour);
  const axis = { stroke: quiet, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1, size: 4 }, font: "12px system-ui, sans-serif" };
  const strokes = [colour("--first"), colour("--second")];
  return new uPlot({
    width: place.clientWidth || 300,
    height: HEIGHT,
    tzDate: (time) => uPlot.tzDate(new Date(time * 1000), "Etc/UTC"),
    legend: { show: false },
    cursor: { show: false },
    scales: { y: { range: (_, low, high) => [0, Math.max(least, (high ?? 0) * 1.1, ...limits.map(([, limit]) => limit * 1.1)) || 1] } },
    axes: [
      { ...axis, size: 26, values: [[3600, "{HH}:{mm}", null, null, null, null, null, null, 1], [60, "{HH}:{mm}", null, null, null, null, null, null, 1]] },
      { ...axis, size: 48 },
    ],
    series: [{}, ...lines.map(([name], index) => ({
      label: name, stroke: strokes[index], width: index ? 1.5 : 2, dash: index ? DASH : undefined,
      points: { size: 4, fill: strokes[index], filter: alone },
    }))],
    hooks: { draw: [(u) => { drawLimits(u, limits, ink); drawMarks(u, chart.marks, ink, quiet); }] },
  }, data, place);
}

/** A minute with data between two without would not be seen as a line: it gets a point. */
function alone(u, index, show) {
  if (show) return null;
  const values = u.data[index];
  return values.flatMap((value, at) => value !== null && (values[at - 1] ?? null) === null && (values[at + 1] ?? null) === null ? [at] : []);
}

function drawLimits(u, limits, ink) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.strokeStyle = ink;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([2, 3].map((part) => part * devicePixelRatio));
  for (const [, limit] of limits) {
    const y = Math.round(u.valToPos(limit, "y", true)) + .5;
    stroke(ctx, bbox.left, y, bbox.left + bbox.width, y);
  }
  ctx.restore();
}

function drawMarks(u, marks, ink, quiet) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.strokeStyle = quiet;
  ctx.fillStyle = ink;
  ctx.lineWidth = devicePixelRatio;
  ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.textAlign = "center";
  ctx.textBaseline = "top";
  for (const [time, sign] of marks) {
    const x = Math.round(u.valToPos(time, "x", true)) + .5;
    stroke(ctx, x, bbox.top + 13 * devicePixelRatio, x, bbox.top + bbox.height);
    ctx.fillText(sign, x, bbox.top);
  }
  ctx.restore();
}

function stroke(ctx, x1, y1, x2, y2) {
  ctx.beginPath();
  ctx.moveTo(x1, y1);
  ctx.lineTo(x2, y2);
  ctx.stroke();
}
