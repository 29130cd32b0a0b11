// The screening itself: one record after the other, decisions out, the next records already here.

import { $, body, element, get, kept, say, sentence, Trouble, visit } from "./page.js";
import * as outbox from "./outbox.js";
import { beside } from "./beside.js";
import { onKeys } from "./keys.js";
import { DECISIONS, plain, show, showMine } from "./record.js";

const AHEAD = 8; // records that wait in the browser
const CACHE = 400; // records kept for looking back
const POLL = 3000; // ms between questions whether something has changed
const { stage, reviewer } = body;
const about = new URLSearchParams({ stage, reviewer });

const cache = new Map(); // id to record
const decided = new Map(); // id to {decision, reason}, said here and still on its way
const touched = new Map(); // id to the turn in which its decision last changed here
let turn = 0; // an answer to a question from before that turn is old
const touch = (id) => { turn += 1; touched.set(id, turn); };
const old = (id, asked) => (touched.get(id) ?? 0) > asked;
const skipped = new Set(kept.get(`skipped:${body.claim}:${reviewer}:${stage}`) ?? []);
let queue = []; // ids that come next
let trail = []; // ids that were on the screen, oldest first
let at = -1; // where in the trail the screen is
let state = null;
let etag = "";
let reading = null; // the question for records that is under way
let alive = true; // whether the server answered last time
let ended = false;
let heard = 0; // what was saved: an answer to a question from before it may tell an older state
let moving = false; // while the next record is on its way
let preparing = ""; // words for the wait until the first order is finished

const wanted = new URLSearchParams(location.search).get("record");
const current = () => (ended ? null : trail[at] ?? null);
const title = (id) => (cache.has(id) ? plain(cache.get(id).title) : `record ${id}`);

// --- what comes next -----------------------------------------------------------------------------

async function read() {
  if (reading) return reading;
  reading = (async () => {
    const had = [...cache.keys()].slice(-60);
    const asked = turn;
    const before = heard;
    const pending = outbox.unsent().map((content) => content.record).filter(Boolean);
    const without = [...new Set([...skipped, ...pending])].slice(-300);
    const query = new URLSearchParams(about);
    query.set("have", had.join(" "));
    query.set("without", without.join(" "));
    query.set("n", String(AHEAD));
    const { data } = await get(`/api/queue?${query}`);
    for (const [id, record] of Object.entries(data.records)) if (!old(id, asked)) keep(id, record);
    for (const id of data.order) { // taken back in another window
      const record = cache.get(id);
      if (!record) continue;
      if (!old(id, asked) && record.mine) record.mine = null;
      if (heard === before) record.sample = data.sample.includes(id);
    }
    queue = data.order.filter((id) => !old(id, asked) && !isDecided(id) && !skipped.has(id) && cache.has(id));
    if (heard === before) showState(data.state);
    preparing = data.preparing ?? "";
    return data;
  })();
  try {
    return await reading;
  } finally {
    reading = null;
  }
}

function keep(id, record) {
  cache.delete(id);
  cache.set(id, record);
  for (const old of cache.keys()) {
    if (cache.size <= CACHE) break;
    if (!trail.slice(-50).includes(old) && !queue.includes(old)) cache.delete(old);
    else break;
  }
}

const isDecided = (id) => decided.has(id) || Boolean(cache.get(id)?.mine);

// While the next record is on its way, or the server away, what is on the screen is not to be judged.
const between = () => $("record").getAttribute("aria-busy") === "true";
const next = (here) => queue.find((id) => id !== here && !isDecided(id) && !skipped.has(id));

// The next record. Until it is there nothing can be decided: a key never means an unseen record.
async function advance() {
  const here = current();
  const ready = next(here);
  if (ready) {
    go(ready);
    if (queue.filter((id) => !isDecided(id)).length < AHEAD / 2) void quietly(read);
    return;
  }
  moving = true;
  $("record").setAttribute("aria-busy", "true");
  try {
    await fresh();
    if (preparing) {
      $("title").textContent = preparing;
      setTimeout(() => { if (at < 0) void advance(); }, 300);
      return;
    }
    if (!next(here) && skipped.size) { // the skipped ones come round again
      forgetSkipped();
      await fresh();
      if (next(here) ?? next(null)) say("All others are done: the skipped records come again.", "quiet");
    }
    const found = next(here) ?? next(null);
    if (found) go(found);
    else end();
  } catch (trouble) {
    noAnswer(trouble);
    if (here && !isDecided(here)) $("record").removeAttribute("aria-busy");
  } finally {
    moving = false;
  }
}

async function fresh() { // an answer to a question that was asked before may know too little
  if (reading) await reading.catch(() => null);
  return read();
}

function go(id) {
  ended = false;
  trail = trail.slice(0, at + 1).filter((one) => one !== id);
  trail.push(id);
  at = trail.length - 1;
  // The address means the record that it opened; once that is left, a reload goes on with the list.
  if (id !== wanted && location.search.includes("record=")) history.replaceState(null, "", `/?stage=${stage}`);
  paint();
}

function paint() {
  const id = current();
  const record = cache.get(id);
  if (!record) { // seen long ago
    if (id) void quietly(() => refetch(id));
    return;
  }
  $("end").hidden = true;
  $("record").hidden = false;
  const shown = { ...record };
  if (decided.has(id)) shown.mine = { ...decided.get(id), day: "" };
  show(shown);
  $("record").removeAttribute("aria-busy");
  document.title = `${plain(record.title).slice(0, 60)} · ${document.body.dataset.claim}`;
  $("place").textContent = shown.mine ? "Looking again · " : "";
  markSample();
  if (!document.querySelector("dialog[open]")) {
    $("title").focus({ preventScroll: true });
    scrollTo(0, 0);
  }
  folded();
}

// Whether the record on the screen was drawn at random: it is to be judged like all others.
function markSample() {
  const id = current();
  const drawn = Boolean(state?.certificate?.status === "open" && cache.get(id)?.sample && !isDecided(id));
  $("sample").hidden = !drawn;
  if (drawn) $("title").setAttribute("aria-describedby", "sample"); // it is the title that is read out
  else $("title").removeAttribute("aria-describedby");
}

function end() {
  ended = true;
  $("record").hidden = true;
  $("end").hidden = false;
  const nothing = !state?.counts.records;
  $("end-title").textContent = nothing ? "There is nothing to read yet" : "You have decided on every record";
  $("end-words").replaceChildren(...endWords(nothing));
  $("end-title").focus({ preventScroll: true });
}

function endWords(nothing) {
  const words = state?.empty ? [element("p", {}, state.empty)] : [];
  if (nothing && !words.length) words.push(element("p", {}, "When a search finds records they appear here by themselves."));
  if (!nothing) {
    words.push(element("p", {}, "New records from the next search will appear here by themselves."));
    const list = (path, text) => element("li", {}, element("a", { href: `${path}?stage=${stage}` }, text));
    words.push(element("ul", {}, list("/second-look", "Look again at what may be wrongly placed"), list("/decided", "All your decisions"), list("/conflicts", "Conflicts")));
  }
  return words;
}

// --- progress ------------------------------------------------------------------------------------

function showState(found) {
  if (!found) return;
  state = found;
  const { counts } = found;
  const pending = outbox.unsent().filter((content) => content.decision).length;
  $("counts").textContent = counts.words + (pending > 1 ? ` · ${pending} on their way` : "");
  $("meter").style.setProperty("width", `${counts.records ? (100 * counts.screened) / counts.records : 0}%`);
  $("estimate").textContent = found.estimate;
  $("estimate").hidden = !found.estimate;
  if (found.quiet) say(found.quiet, "quiet");
  showCertificate(found.certificate);
}

let certificate = null; // the last attempt, as it was told before
function showCertificate(found) {
  const before = certificate;
  certificate = found;
  $("certificate").textContent = found?.words ?? "";
  $("certificate").hidden = !found;
  if (before?.status !== found?.status) queue = []; // what comes first now is another list
  markSample();
  // A verdict is said when it falls, not whenever the page is opened.
  if (found?.told && before && (before.attempt !== found.attempt || before.status !== found.status)) say(found.told, "quiet");
}

async function poll() {
  if (document.hidden && alive) return;
  const before = heard;
  try {
    const { reply, data } = await get(`/api/state?${about}`, etag ? { "if-none-match": etag } : {});
    answered();
    if (!data || heard !== before) return;
    etag = reply.headers.get("etag") ?? "";
    showState(data);
    // Another tab, another process or a new order: what waits in the browser is read again, what is
    // on the screen stays.
    await read();
    await lookAgain();
    if (!moving && !ended && (at < 0 || between())) await advance();
    else if (ended && queue.length) { say("New records have arrived.", "quiet"); await advance(); }
  } catch (trouble) {
    noAnswer(trouble);
  }
}

// Whether the record on the screen was decided elsewhere meanwhile.
async function lookAgain() {
  const id = current();
  if (!id || outbox.waiting()) return;
  const asked = turn;
  const { data } = await get(`/api/record?${about}&id=${encodeURIComponent(id)}`);
  if (old(id, asked)) return;
  const before = cache.get(id)?.mine ?? null;
  keep(id, data);
  if (current() !== id) return;
  markSample();
  if (JSON.stringify(before) !== JSON.stringify(data.mine)) {
    showMine(data.mine, data.note);
    if (data.mine) say(`In another window you have decided on this record: ${DECISIONS[data.mine.decision]}.`, "quiet");
  }
}

async function quietly(work) {
  try { await work(); answered(); } catch (trouble) { noAnswer(trouble); }
}

function answered() {
  if (!alive && !outbox.waiting()) $("trouble").hidden = true;
  alive = true;
}

function noAnswer(trouble) {
  if (!(trouble instanceof Trouble)) throw trouble;
  alive = trouble.status !== 0 && trouble.status < 500;
  const many = outbox.waiting();
  const waits = many ? ` ${many === 1 ? "One decision waits" : `${many} decisions wait`} here, not saved yet, and will be sent again.` : " Nothing is lost; what you decide now waits here.";
  $("trouble-words").textContent = sentence(trouble.words) + (trouble.passing ? waits : "");
  $("trouble").hidden = false;
}

// --- decisions -----------------------------------------------------------------------------------

function decide(decision, reason = "") {
  const id = current();
  if (!id || between()) return;
  touch(id);
  decided.set(id, { decision, reason });
  skipped.delete(id);
  outbox.put("/api/decide", { reviewer, stage, record: id, decision, reason }, { title: title(id) });
  void advance();
}

function undo() {
  const unsent = outbox.takeBack((letter) => letter.path === "/api/decide");
  if (unsent) {
    const id = unsent.content.record;
    decided.delete(id);
    touch(id);
    back(id, "Not sent, and taken back");
    return;
  }
  outbox.put("/api/undo", { reviewer, stage });
}

function back(id, words) {
  if (current() !== id) {
    trail = trail.filter((one) => one !== id);
    at = trail.length;
    trail.push(id);
    ended = false;
  }
  say(`${words}: ${title(id)}`, "status");
  paint();
}

async function undone(data) {
  if (!data.record) { say("There is no decision of yours to take back.", "status"); return; }
  const id = data.record;
  decided.delete(id);
  touch(id);
  if (data.shown) keep(id, data.shown);
  back(id, data.shown?.mine ? "Taken back, the decision before stands" : "Taken back");
}

outbox.start(({ kind, letter, data, trouble }) => {
  const { path, content } = letter;
  if (kind === "sending") {
    if (path === "/api/decide") say("Saving …", "status");
    return;
  }
  if (kind === "waiting") { say(`Not saved yet: ${outbox.waiting()} waiting.`, "status"); noAnswer(trouble); return; }
  if (kind === "refused") {
    if (content.record) { decided.delete(content.record); touch(content.record); }
    say(`Not saved. ${sentence(trouble.words)}`, "status");
    if (content.record) void quietly(async () => { await refetch(content.record); });
    return;
  }
  alive = true;
  heard += 1;
  if (!outbox.waiting()) $("trouble").hidden = true;
  showState(data.state);
  etag = "";
  if (path === "/api/decide") {
    const record = cache.get(content.record);
    if (record) record.mine = data.mine;
    touch(content.record);
    if (!outbox.unsent().some((other) => other.record === content.record)) decided.delete(content.record);
    const words = `Saved: ${DECISIONS[content.decision]}${content.reason ? `, ${content.reason}` : ""}`;
    $("status").replaceChildren(element("span", { class: "saved" }, `${words}.`), " ", element("span", { class: "what" }, letter.extra.title ?? ""));
  } else if (path === "/api/undo") void undone(data);
  else if (path === "/api/note") {
    const record = cache.get(content.record);
    if (record) record.note = data.note;
    if (current() === content.record) paintNote();
    say("Saved: your note.", "status");
  }
  if (!outbox.waiting()) void quietly(fresh);
});

async function refetch(id) {
  const asked = turn;
  const { data } = await get(`/api/record?${about}&id=${encodeURIComponent(id)}`);
  if (!old(id, asked)) keep(id, data);
  if (current() === id) paint();
  return data;
}

function paintNote() {
  const record = cache.get(current());
  const said = decided.get(current());
  showMine(said ? { ...said, day: "" } : record.mine, record.note);
}

function skip() {
  const id = current();
  if (!id || between()) return;
  if (!isDecided(id)) skipped.add(id);
  kept.set(`skipped:${body.claim}:${reviewer}:${stage}`, [...skipped].slice(-300));
  say("Skipped: it comes again at the end.", "status");
  void advance();
}

function forgetSkipped() {
  skipped.clear();
  kept.remove(`skipped:${body.claim}:${reviewer}:${stage}`);
}

function step(by) {
  if (ended && by < 0) { ended = false; at = trail.length - 1; paint(); return; }
  if (trail[at + by]) { at += by; paint(); }
  else if (by > 0) {
    const ahead = queue.find((id) => !isDecided(id) && !skipped.has(id) && !trail.includes(id));
    if (ahead) go(ahead);
    else say("This is as far as one can look ahead: decide, or skip.", "status");
  } else say("This is the first record that you have seen here.", "status");
}

// --- dialogs -------------------------------------------------------------------------------------

const reasons = $("reasons-dialog");

function exclude() {
  if (!current() || between()) return;
  $("reason-text").value = "";
  reasons.showModal();
  (reasons.querySelector("#no-reason") ?? reasons.querySelector("[data-reason]")).focus();
}

function excluded(reason) {
  reasons.close();
  decide("exclude", reason);
}

for (const button of reasons.querySelectorAll("[data-reason]")) button.addEventListener("click", () => excluded(button.dataset.reason));
$("no-reason")?.addEventListener("click", () => excluded(""));
$("not-retrieved")?.addEventListener("click", () => { reasons.close(); decide("not-retrieved"); });
$("reason-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const words = $("reason-text").value.trim();
  if (words) excluded(words);
});
reasons.addEventListener("keydown", (event) => {
  if (event.target.id === "reason-text" || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const buttons = [...reasons.querySelectorAll("[data-reason]")];
  if (/^[1-9]$/.test(event.key) && buttons[event.key - 1]) { event.preventDefault(); excluded(buttons[event.key - 1].dataset.reason); }
  else if (event.key === "0") { event.preventDefault(); $("reason-text").focus(); }
  else if (event.key.toLowerCase() === "e" && $("no-reason")) { event.preventDefault(); excluded(""); }
  else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    const all = [...reasons.querySelectorAll("button, input")];
    const here = all.indexOf(document.activeElement);
    all[(here + (event.key === "ArrowDown" ? 1 : -1) + all.length) % all.length].focus();
  }
});

function note() {
  const record = cache.get(current());
  if (!record) return;
  $("note-text").value = record.note ?? "";
  $("note-dialog").showModal();
  $("note-text").focus();
}
$("note-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const id = current();
  $("note-dialog").close();
  if (id) outbox.put("/api/note", { reviewer, stage, record: id, note: $("note-text").value.trim() });
});
$("note-text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("note-form").requestSubmit();
});
const help = () => $("help-dialog").showModal();
for (const dialog of document.querySelectorAll("dialog")) {
  dialog.addEventListener("close", () => { if (current()) $("title").focus({ preventScroll: true }); });
}

// --- beside the record ---------------------------------------------------------------------------

const { fold, folded } = beside({
  current,
  quietly,
  async reread() { // other words are marked: what the browser holds is out of date
    const here = current();
    cache.clear();
    await read();
    if (here) await refetch(here);
  },
});

// --- keys and buttons ----------------------------------------------------------------------------

const deeds = {
  include: () => decide("include"),
  unsure: () => decide("unsure"),
  exclude,
  undo,
  note,
  skip,
  help,
  back: () => step(-1),
  forward: () => step(1),
};
for (const button of document.querySelectorAll("[data-do]")) button.addEventListener("click", () => deeds[button.dataset.do]());
$("retry").addEventListener("click", () => { void outbox.flush(true); void poll(); });

onKeys({
  i: deeds.include,
  e: exclude,
  u: deeds.unsure,
  z: undo,
  n: note,
  s: skip,
  "?": help,
  "/": () => { location.href = `/records?stage=${stage}#q`; },
  w: () => fold("why"),
  r: () => fold("similar"),
  h: () => fold("words"),
  c: () => fold("criteria"),
  o: () => document.querySelector("#links a")?.click(),
  ArrowLeft: deeds.back,
  ArrowRight: deeds.forward,
});

// --- begin ---------------------------------------------------------------------------------------

if (matchMedia("(max-width: 60rem)").matches) $("criteria").open = false;

await quietly(visit);
await quietly(read);
if (wanted) {
  try { await refetch(wanted); go(wanted); } catch (trouble) { say(sentence(trouble.words), "quiet"); await advance(); }
} else await advance();
if (at < 0 && !ended) $("title").textContent = "The records have not arrived yet";
setInterval(() => void poll(), POLL);
document.addEventListener("visibilitychange", () => { if (!document.hidden) void poll(); });
addEventListener("pageshow", (event) => { if (event.persisted) void poll(); });
