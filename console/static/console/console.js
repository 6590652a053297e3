// Copies the text of the element that a button names. Everything else on these pages works without scripts.
"use strict";
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  const selection = window.getSelection();
  selection.selectAllChildren(source);
  try {
    await navigator.clipboard.writeText(source.textContent.trim());
  } catch {
    document.execCommand("copy"); // without https there is no clipboard object
  }
  selection.removeAllRanges();
  const before = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = before; }, 1500);
});
