// A record from the server's JSON into the page: text nodes only, nothing is ever parsed as markup.

import { $, element } from "./page.js";

// ["text", "include" | "exclude" | ""] pieces; marks carry their kind in a class and in their shape.
export function marked(pieces) {
  return pieces.map(([text, kind]) =>
    kind === "include" || kind === "exclude"
      ? element("mark", { class: kind, title: kind === "include" ? "a word for inclusion" : "a word for exclusion" }, text)
      : document.createTextNode(text),
  );
}

export const plain = (pieces) => pieces.map(([text]) => text).join("");

function fill(place, ...children) {
  place.replaceChildren(...children);
  place.hidden = !children.length;
}

function outside(text, url) {
  if (!url.startsWith("https://")) return document.createTextNode(text);
  return element("a", { href: url, rel: "noopener noreferrer external", target: "_blank" }, text, element("span", { class: "visually-hidden" }, " (new tab)"));
}

export const DECISIONS = { include: "included", exclude: "excluded", unsure: "unsure", "not-retrieved": "full text not retrieved" };
const SIGNS = { include: "✓", exclude: "✕", unsure: "?", "not-retrieved": "–" };

export function decisionWords(decision, reason = "") {
  const span = element("span", { class: `decision ${decision}` }, element("span", { class: "sign", "aria-hidden": "true" }, SIGNS[decision] ?? ""), ` ${DECISIONS[decision] ?? decision}`);
  return reason ? [span, `: ${reason}`] : [span];
}

export function show(record) {
  fill($("title"), ...marked(record.title));
  fill($("vernacular"), ...(record.vernacular ? [record.vernacular] : []));
  fill($("authors"), ...(record.authors ? [record.authors] : ["No authors are named."]));
  fill($("journal"), ...(record.journal ? [record.journal] : []));
  fill($("language"), ...(record.language ? [`In ${record.language}.`] : []));
  fill($("kinds"), record.kinds.join(" · ") || "Type not stated");
  fill($("links"), ...record.links.map(({ text, url }) => element("li", {}, outside(text, url))));
  const notices = record.notices.map((notice) => element("p", {}, notice));
  if (record.retracted) notices.unshift(element("p", {}, element("strong", {}, "Retracted. "), "This publication was withdrawn."));
  fill($("notices"), ...notices);
  showMine(record.mine, record.note);
  fill($("abstract"), ...abstract(record));
  const facts = [];
  const fact = (name, children) => { if (children.length) facts.push(element("div", {}, element("dt", {}, name), element("dd", {}, ...children))); };
  fact("MeSH", listed(record.mesh));
  fact("Keywords", listed(record.keywords));
  fact("Registered", record.registrations.length ? [record.registrations.join(", ")] : []);
  fact("Record", [record.name]);
  fill($("facts"), ...facts);
}

export function showMine(mine, note) {
  const words = [];
  if (mine) words.push("Your decision: ", ...decisionWords(mine.decision, mine.reason), mine.day ? ` (${mine.day})` : "");
  if (note) words.push(element("span", { class: "my-note" }, element("b", {}, "Note: "), note));
  fill($("mine"), ...words);
}

function abstract(record) {
  const parts = record.sections.map(({ label, text }) => {
    const paragraph = element("p", {}, ...marked(text));
    return label ? element("section", {}, element("h2", {}, label), paragraph) : paragraph;
  });
  if (!parts.length) parts.push(element("p", { class: "none" }, "This record has no abstract."));
  for (const other of record.others) {
    parts.push(element("details", {}, element("summary", {}, `Abstract, ${other.language || other.kind}`), element("p", { lang: other.language.slice(0, 3) || "und" }, other.text)));
  }
  return parts;
}

function listed(items) {
  return items.flatMap((pieces, at) => [...(at ? [" · "] : []), ...marked(pieces)]);
}
