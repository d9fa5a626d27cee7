/* A button that opens the dialog it names in data-dialog; the dialog closes by its buttons, Escape and the backdrop. */

export function attach(button) {
  button.addEventListener("click", () => open(document.getElementById(button.dataset.dialog)));
}

export function open(dialog) {
  if (!dialog || dialog.open) return;
  dialog.showModal();
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog || event.target.closest("[data-close]")) dialog.close();
  });
  dialog.querySelector("[data-autofocus]")?.focus();
}
