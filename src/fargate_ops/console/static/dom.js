// Elements, times, and updates that keep the focus and what is open.

const SVG = "http://www.w3.org/2000/svg";

/** Make an element. A false or null attribute or child is left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
  return element;
}

/** A shape; the word beside it says the same. */
export function mark(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", `mark ${name}`);
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#mark-${name}`);
  svg.append(use);
  return svg;
}

export const state = (name, word) => h("span", { class: `state ${name}` }, mark(name), h("span", {}, word));

/** A table. Its cells stand below each other on a narrow screen, so its roles are explicit. */
export function table(caption, heads, rows) {
  return h("table", { role: "table" },
    h("caption", {}, caption),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads.map((head) => h("th", { scope: "col", role: "columnheader" }, head)))),
    h("tbody", { role: "rowgroup" }, rows.map(({ key, cells, ...attributes }) => h("tr", { role: "row", "data-key": key, ...attributes },
      cells.map((cell, index) => index
        ? h("td", { role: "cell", "data-head": heads[index] }, cell)
        : h("th", { scope: "row", role: "rowheader", "data-head": heads[index] }, cell))))));
}

export const command = (text) => h("span", { class: "command" }, h("code", {}, text),
  h("button", { type: "button", "data-copy": text, "aria-label": `Copy ${text}` }, "Copy"));

/** Make the children of `parent` equal to `wanted`. Elements that stay are kept, found by data-key or by their place. What
 * a chart has drawn is left alone. */
export function patch(parent, wanted) {
  const keyed = new Map([...parent.childNodes].filter((child) => child.dataset?.key).map((child) => [child.dataset.key, child]));
  wanted.forEach((want, index) => {
    const here = parent.childNodes[index];
    const have = want.dataset?.key ? keyed.get(want.dataset.key) : here;
    if (!have || !alike(have, want)) return parent.insertBefore(want, here ?? null);
    if (have !== here) parent.insertBefore(have, here ?? null);
    if (have.nodeType === Node.TEXT_NODE) {
      if (have.data !== want.data) have.data = want.data;
    } else if (have !== want) {
      attributes(have, want);
      if (!have.dataset?.chart) patch(have, [...want.childNodes]);
    }
  });
  while (parent.childNodes.length > wanted.length) parent.lastChild.remove();
}

const alike = (have, want) => have.nodeName === want.nodeName && have.dataset?.key === want.dataset?.key;

function attributes(have, want) {
  const own = have.nodeName === "DETAILS" ? ["open"] : [];
  for (const { name } of [...have.attributes]) if (!want.hasAttribute(name) && !own.includes(name)) have.removeAttribute(name);
  for (const { name, value } of want.attributes) if (have.getAttribute(name) !== value) have.setAttribute(name, value);
}

let ahead = 0;

/** Set the server's time: all ages are by its clock. */
export function setNow(iso) {
  ahead = Date.parse(iso) - performance.now();
}

export const now = () => ahead + performance.now();

export const seconds = (iso) => Math.max(0, (now() - Date.parse(iso)) / 1000);

/** 7 s, 3 min, 2 h 5 min, 3 d 4 h. */
export function duration(value) {
  const all = Math.round(value);
  if (all < 100) return `${all} s`;
  const minutes = Math.floor(all / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return hours % 24 ? `${Math.floor(hours / 24)} d ${hours % 24} h` : `${hours / 24} d`;
}

/** The time of day, with the day if that is not today. */
export function clock(iso, withSeconds = true) {
  const day = iso.slice(0, 10);
  const time = iso.slice(11, withSeconds ? 19 : 16);
  return day === new Date(now()).toISOString().slice(0, 10) ? time : `${day} ${time}`;
}

export const moment = (iso) => h("time", { datetime: iso }, clock(iso));

/** An age that `tick` keeps up to date. */
export const age = (iso) => h("span", { "data-since": iso }, duration(seconds(iso)));

export function tick() {
  for (const element of document.querySelectorAll("[data-since]")) {
    const text = duration(seconds(element.dataset.since));
    if (element.textContent !== text) element.textContent = text;
  }
}
