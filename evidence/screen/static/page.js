// What every page has: the menu, the colour scheme, words for screen readers, a way to the server.

export const body = document.body.dataset;
export const $ = (id) => document.getElementById(id);

export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "class") made.className = value;
    else if (key in made && typeof value !== "string") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

// --- storage: absent in some private windows, and never worth a fault ---------------------------

export const kept = {
  get(key) {
    try { return JSON.parse(localStorage.getItem(key)); } catch { return null; }
  },
  set(key, value) {
    try { localStorage.setItem(key, JSON.stringify(value)); return true; } catch { return false; }
  },
  remove(key) {
    try { localStorage.removeItem(key); } catch { /* nothing was kept */ }
  },
};

// --- the server ----------------------------------------------------------------------------------

export class Trouble extends Error {
  constructor(words, { status = 0, remedy = "", wait = 0 } = {}) {
    super(words);
    Object.assign(this, { status, remedy, wait });
  }
  get words() { return this.remedy ? `${this.message}: ${this.remedy}` : this.message; }
  // Whether the same request may succeed later: no answer, overload, a server that was restarted.
  get passing() { return this.status === 0 || [401, 408, 429].includes(this.status) || this.status >= 500; }
}

const PATIENCE = 15000; // ms until a silent server counts as gone

async function ask(path, options = {}) {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), PATIENCE);
  let reply;
  try {
    reply = await fetch(path, { credentials: "same-origin", cache: "no-store", redirect: "error", ...options, signal: limit.signal });
  } catch {
    throw new Trouble("the server does not answer");
  } finally {
    clearTimeout(timer);
  }
  if (reply.status === 304) return { reply, data: null };
  let data;
  try { data = await reply.json(); } catch { throw new Trouble("the server does not answer"); }
  if (!reply.ok) {
    throw new Trouble(data.error ?? `the server answered ${reply.status}`, { status: reply.status, remedy: data.remedy, wait: Number(reply.headers.get("retry-after")) || 0 });
  }
  return { reply, data };
}

export async function get(path, headers = {}) {
  return ask(path, { headers: { accept: "application/json", ...headers } });
}

let token = null; // of writes; asked for once, and again after the server was started anew

async function writeToken(anew) {
  if (token === null || anew) token = (await get("/api/visit")).data.token;
  return token;
}

export async function post(path, content) {
  for (const anew of [false, true]) {
    const headers = { "content-type": "application/json", accept: "application/json", "x-write-token": await writeToken(anew) };
    try {
      return (await ask(path, { method: "POST", headers, body: JSON.stringify(content) })).data;
    } catch (trouble) {
      if (anew || trouble.status !== 403) throw trouble;
    }
  }
}

export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(15));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
}

export const sentence = (words) => `${words[0].toUpperCase()}${words.slice(1)}.`;

// --- words for people who listen -----------------------------------------------------------------

export function say(words, id = "live") {
  const place = $(id);
  if (place && place.textContent !== words) place.textContent = words;
}

// --- switches ------------------------------------------------------------------------------------

export const keysOn = () => kept.get("keys") !== false;
export function switchKeys(on) {
  kept.set("keys", on);
  document.documentElement.dataset.keys = on ? "on" : "off";
  for (const box of document.querySelectorAll("#keys-switch")) box.checked = on;
}

export function switchScheme(scheme) {
  try {
    if (scheme === "system") localStorage.removeItem("scheme");
    else localStorage.setItem("scheme", scheme);
  } catch { /* for this page only, then */ }
  if (scheme === "system") delete document.documentElement.dataset.scheme;
  else document.documentElement.dataset.scheme = scheme;
}

// --- dialogs: the browser keeps the focus inside and closes them on Esc --------------------------

for (const dialog of document.querySelectorAll("dialog")) {
  dialog.addEventListener("click", (event) => {
    if (event.target.closest("[data-close]")) dialog.close();
    else if (event.target === dialog) dialog.close(); // beside it
  });
}

const menu = document.querySelector(".menu-button");
menu?.addEventListener("click", () => {
  const open = menu.getAttribute("aria-expanded") !== "true";
  menu.setAttribute("aria-expanded", String(open));
});
// It closes when one leaves it, so that it never lies over what has the focus.
const leave = (place) => {
  if (menu && place instanceof Node && !menu.parentElement.contains(place)) menu.setAttribute("aria-expanded", "false");
};
document.addEventListener("pointerdown", (event) => leave(event.target));
document.addEventListener("focusin", (event) => leave(event.target));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && menu?.getAttribute("aria-expanded") === "true") {
    menu.setAttribute("aria-expanded", "false");
    menu.focus();
  }
});

switchKeys(keysOn());
for (const box of document.querySelectorAll("#keys-switch")) {
  box.addEventListener("change", () => switchKeys(box.checked));
}

// Whether the server knows this browser; the first write then has its token already.
export const visit = () => writeToken(true);
