// The forms of the smaller pages: a name, a password, a conflict, the colours.

import { $, body, newKey, post, say, sentence, switchScheme, Trouble } from "./page.js";

const words = (trouble) => sentence(trouble.words);

// Until the script listens the buttons rest: a form must never go its own way.
function open(form) {
  for (const button of form.querySelectorAll("button")) button.disabled = false;
}

function onSubmit(form, work) {
  if (form) open(form);
  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const outcome = form.querySelector(".outcome");
    const buttons = form.querySelectorAll("button");
    for (const button of buttons) button.disabled = true;
    try {
      await work(new FormData(form, event.submitter), outcome, event.submitter);
    } catch (trouble) {
      if (!(trouble instanceof Trouble)) throw trouble;
      if (outcome) outcome.textContent = words(trouble);
    } finally {
      for (const button of buttons) button.disabled = false;
    }
  });
}

onSubmit($("name-form"), async (data) => {
  await post("/api/name", { name: data.get("name") });
  location.assign("/");
});

onSubmit(document.querySelector("[data-leave]"), async () => {
  await post("/api/leave", {});
  location.assign("/");
});

const signIn = $("sign-in-form");
if (signIn) open(signIn);
signIn?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const outcome = signIn.querySelector(".outcome");
  const content = Object.fromEntries(new FormData(signIn));
  let reply;
  try {
    reply = await fetch("/api/sign-in", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(content) });
  } catch { outcome.textContent = "The server does not answer."; return; }
  if (reply.ok) { location.assign("/"); return; }
  const said = await reply.json().catch(() => ({}));
  outcome.textContent = words(new Trouble(said.error ?? "The server does not answer", { remedy: said.remedy }));
  $("password").value = "";
  $("password").focus();
});

for (const form of document.querySelectorAll("[data-resolve]")) {
  const key = { include: newKey(), exclude: newKey() }; // sent again after a lost reply, written once
  onSubmit(form, async (data, outcome, button) => {
    const decision = button.value;
    await post("/api/resolve", {
      reviewer: body.reviewer,
      key: key[decision],
      stage: body.stage,
      record: form.dataset.resolve,
      decision,
      reason: decision === "exclude" ? data.get("reason") : "",
      note: data.get("note"),
    });
    key[decision] = newKey();
    const done = `Resolved: ${decision === "include" ? "included" : "excluded"}.`;
    const article = form.closest("article");
    outcome.textContent = done;
    say(`${done} ${form.dataset.title}`);
    article.classList.add("settled");
    for (const control of form.querySelectorAll("input, select, button")) control.disabled = true;
    const next = document.querySelector(".case:not(.settled) [data-resolve] input");
    next?.focus();
    setTimeout(() => { for (const control of form.querySelectorAll("input, select, button")) control.disabled = true; });
  });
}

onSubmit(document.querySelector("[data-draw]"), async () => {
  const { attempt, size, target, confidence } = document.querySelector("[data-draw]").dataset;
  await post("/api/certificate", {
    reviewer: body.reviewer,
    attempt: Number(attempt),
    size: Number(size), // what was told is what is drawn, or nothing is
    target: Number(target),
    confidence: Number(confidence),
  });
  location.assign(`/progress?${new URLSearchParams({ stage: body.stage, drawn: attempt })}#certificate`);
});

let scheme = "system";
try { scheme = localStorage.getItem("scheme") ?? "system"; } catch { /* the system's */ }
for (const radio of document.querySelectorAll("#scheme input")) {
  radio.checked = radio.value === scheme;
  radio.addEventListener("change", () => switchScheme(radio.value));
}
