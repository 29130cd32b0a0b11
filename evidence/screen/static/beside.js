// What stands beside a record: why it is here, what is like it, the words to mark.

import { $, body, element, get, post, say, sentence } from "./page.js";
import { decisionWords } from "./record.js";

const { stage, reviewer } = body;
const ask = async (path, id) => (await get(`${path}?${new URLSearchParams({ stage, reviewer, id })}`)).data;

// `current()` is the record on the screen; `quietly(work)` asks the server and says if it is away;
// `reread()` fetches the records anew.
export function beside({ current, quietly, reread }) {
  async function why() {
    const id = current();
    if (!id) return;
    const data = await ask("/api/reasons", id);
    if (id !== current()) return;
    $("why-words").replaceChildren(
      ...listed("Words that moved it up", data.up, "up"),
      ...listed("Words that moved it down", data.down, "down"),
      element("p", { class: "small" }, data.method),
    );
  }

  async function similar() {
    const id = current();
    if (!id) return;
    const { records } = await ask("/api/similar", id);
    if (id !== current()) return;
    const items = records.map((one) =>
      element("li", {},
        element("a", { href: `/?${new URLSearchParams({ stage, record: one.id })}` }, one.title),
        element("span", { class: "small" }, ` ${one.where} `, ...(one.mine ? decisionWords(one.mine.decision) : ["not decided"]))),
    );
    $("similar-words").replaceChildren(items.length ? element("ol", { class: "similar-list" }, ...items) : none());
  }

  const answers = { why, similar };
  let pressed = null; // what was opened by its key, wherever the reader is
  for (const fold of document.querySelectorAll(".fold")) {
    fold.addEventListener("toggle", async () => {
      if (!fold.open) return;
      reveal(fold, pressed === fold.id);
      if (answers[fold.id]) await quietly(answers[fold.id]);
      reveal(fold, pressed === fold.id); // now that the answer has its height
      pressed = null;
    });
  }
  $("words-form").addEventListener("keydown", (event) => {
    if (event.key === "Escape") $("title").focus({ preventScroll: true });
  });

  $("words-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const saved = await post("/api/words", { reviewer, include: lines("words-include"), exclude: lines("words-exclude") });
      $("words-include").value = saved.include.join("\n");
      $("words-exclude").value = saved.exclude.join("\n");
      await reread();
      say("Saved: your words are marked.", "status");
    } catch (trouble) { say(`Not saved. ${sentence(trouble.words ?? "the page has a fault")}`, "status"); }
  });
  $("words-suggest")?.addEventListener("click", (event) => {
    const area = $("words-include");
    area.value = [...new Set([...lines("words-include"), ...event.target.dataset.words.split("\n")])].join("\n");
    area.focus();
  });

  return {
    fold(id) {
      const place = $(id);
      place.open = !place.open;
      if (!place.open) return;
      pressed = id;
      if (id === "words") $("words-include").focus({ preventScroll: true });
    },
    folded() { // the answers that are open follow the record
      if ($("why").open) void quietly(why);
      if ($("similar").open) void quietly(similar);
    },
  };
}

// On a wide screen what stands beside the record scrolls on its own, and the record stays.
const panel = () => {
  const place = document.querySelector(".beside");
  return getComputedStyle(place).overflowY === "auto" ? place : null;
};

function reveal(fold, far) {
  const place = panel();
  if (!place) {
    if (far) fold.querySelector("summary").scrollIntoView({ block: "start" });
    return;
  }
  const [inner, outer] = [fold.getBoundingClientRect(), place.getBoundingClientRect()];
  if (inner.bottom > outer.bottom) place.scrollTop += Math.min(inner.bottom - outer.bottom, inner.top - outer.top);
}

const lines = (id) => $(id).value.split("\n").map((line) => line.trim()).filter(Boolean);
const none = () => element("p", { class: "none" }, "none");

function listed(name, words, kind) {
  const items = words.map(([word, share]) => {
    const bar = element("span", { class: "share", "aria-hidden": "true" });
    bar.style.setProperty("--share", String(share));
    return element("li", { class: kind }, bar, element("span", {}, word));
  });
  return [element("h3", { class: "minor" }, name), items.length ? element("ul", { class: "reasons-list" }, ...items) : none()];
}
