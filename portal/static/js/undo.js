/*
 * What was done last and can be taken back for longer than its toast is shown. It is kept in this browser until its time
 * is over, so that the menu beside the bell has it on every page and in every tab of the same person.
 */

const NAME = "portal.undo";
const LOOK_AGAIN_MS = 5000;

/** Keep the way back: {says, label, post, fields, seconds, until}; `until` says in words how long it is open. */
export function remember(back) {
  const user = document.querySelector("[data-undo-of]")?.dataset.undoOf;
  write({ ...back, user, ends: Date.now() + back.seconds * 1000 });
}

/** It was taken back, or cannot be any more. */
export function forget(back) {
  const kept = read();
  if (kept && JSON.stringify(kept.fields) === JSON.stringify(back.fields)) write(null);
}

export function attach(menu) {
  const summary = menu.querySelector("summary");
  const button = menu.querySelector("[data-undo]");
  const show = () => {
    const kept = read();
    const isOpen = kept !== null && kept.user === menu.dataset.undoOf && kept.ends > Date.now();
    if (kept && kept.ends <= Date.now()) write(null);
    menu.hidden = !isOpen;
    // A key of something that is not there would be listed among the keys.
    if (isOpen) summary.dataset.key = "u";
    else delete summary.dataset.key;
    if (!isOpen) return (menu.open = false);
    menu.querySelector("[data-undo-says]").textContent = kept.says;
    menu.querySelector("[data-undo-until]").textContent = kept.until;
    button.textContent = kept.label;
  };
  button.addEventListener("click", async () => {
    const kept = read();
    if (!kept) return show();
    button.disabled = true;
    const { post } = await import(`./console/submit.js${new URL(import.meta.url).search}`);
    await post(kept.post, kept.fields);
    button.disabled = false;
  });
  addEventListener("storage", show);
  document.addEventListener("portal:undo", show);
  const timer = setInterval(() => (menu.isConnected ? show() : clearInterval(timer)), LOOK_AGAIN_MS);
  show();
}

function read() {
  try {
    return JSON.parse(localStorage.getItem(NAME));
  } catch {
    return null;
  }
}

function write(back) {
  try {
    if (back) localStorage.setItem(NAME, JSON.stringify(back));
    else localStorage.removeItem(NAME);
  } catch {
    /* Without a store of the browser's the toast is the way back. */
  }
  document.dispatchEvent(new CustomEvent("portal:undo"));
}
