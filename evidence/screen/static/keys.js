// One key, one deed; never while somebody types, holds a key down, or has a dialog open.

import { keysOn } from "./page.js";

const TYPING = "input:not([type=checkbox], [type=radio], [type=button]), textarea, select, [contenteditable]";

export function onKeys(deeds) {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (!keysOn() || document.querySelector("dialog[open]") || event.target.closest?.(TYPING)) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const deed = deeds[key];
    if (!deed) return;
    if (event.shiftKey && key.length === 1 && key >= "a" && key <= "z") return;
    event.preventDefault();
    if (event.repeat && !["ArrowLeft", "ArrowRight"].includes(key)) return; // a key held down decides once
    deed(event);
  });
}
