// Decisions on their way. Each lies in the browser's storage, with a key of its own, until the
// server has said that it is saved; a closed tab, a lost reply or a server that was started again
// loses none and doubles none.

import { body, kept, newKey, post, Trouble } from "./page.js";

const PLACE = `outbox:${body.claim}:${body.reviewer}`;
const RETRY = [500, 1000, 2000, 4000, 8000]; // ms

let letters = [];
let sending = false;
let tries = 0;
let timer = 0;
let told = () => {};

function read() {
  const found = kept.get(PLACE);
  return Array.isArray(found) ? found.filter((letter) => letter?.content?.key && letter.path) : [];
}

// Other tabs of this browser keep theirs in the same place: only one's own are replaced.
function keep(change) {
  const all = change(read());
  if (all.length) kept.set(PLACE, all);
  else kept.remove(PLACE);
}

export const waiting = () => letters.length;
export const unsent = () => letters.map((letter) => letter.content);

// `listener(event)` hears {kind: "saved" | "refused" | "waiting" | "sending", letter, data, trouble}.
export function start(listener) {
  told = listener;
  letters = read(); // what an earlier page left, and what another tab is just sending: harmless
  if (letters.length) void flush();
  addEventListener("online", () => void flush(true));
}

export function put(path, content, extra = {}) {
  const letter = { path, content: { key: newKey(), ...content }, extra };
  letters.push(letter);
  keep((all) => [...all, letter]);
  void flush();
  return letter;
}

// Take the last letter back, unless it may have reached the server.
export function takeBack(matches) {
  const last = letters.at(-1);
  if (!last || last.tried || !matches(last)) return null;
  letters.pop();
  keep((all) => all.filter((one) => one.content.key !== last.content.key));
  return last;
}

export async function flush(now = false) {
  if (sending) return;
  if (now) { clearTimeout(timer); tries = 0; }
  sending = true;
  try {
    while (letters.length) {
      const letter = letters[0];
      told({ kind: "sending", letter });
      letter.tried = true;
      let data;
      try {
        data = await post(letter.path, letter.content);
      } catch (trouble) {
        if (!(trouble instanceof Trouble)) throw trouble;
        if (trouble.passing) {
          const pause = Math.max(trouble.wait * 1000, RETRY[Math.min(tries, RETRY.length - 1)]);
          tries += 1;
          clearTimeout(timer);
          timer = setTimeout(() => void flush(), pause);
          told({ kind: "waiting", letter, trouble });
          return;
        }
        drop(letter);
        told({ kind: "refused", letter, trouble });
        continue;
      }
      tries = 0;
      drop(letter);
      told({ kind: "saved", letter, data });
    }
  } finally {
    sending = false;
  }
}

function drop(letter) {
  letters = letters.filter((one) => one !== letter);
  keep((all) => all.filter((one) => one.content.key !== letter.content.key));
}
