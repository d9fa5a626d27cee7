/* Notifications of the desktop and a sound: each browser's own choice, and neither without being asked for. */

import { _ } from "../words.js";

const KEY = "portal-alerts";
const chosen = () => JSON.parse(localStorage.getItem(KEY) || "{}");

export function attach(settings) {
  settings.hidden = false;
  const says = settings.querySelector("[data-alert-says]");
  for (const box of settings.querySelectorAll("[data-alert]")) {
    box.checked = Boolean(chosen()[box.dataset.alert]);
    box.addEventListener("change", async () => {
      if (box.dataset.alert === "desktop" && box.checked && (await Notification.requestPermission()) !== "granted") {
        box.checked = false;
        says.textContent = _("This browser does not allow notifications for Portal. Allow them in its settings first.");
        return;
      }
      localStorage.setItem(KEY, JSON.stringify({ ...chosen(), [box.dataset.alert]: box.checked }));
      says.textContent = _("Kept in this browser.");
      if (box.dataset.alert === "sound" && box.checked) sound();
    });
  }
}

/* The newest line of the bell, when nobody looks at the page. */
export async function alertAbout(address) {
  const { desktop, sound: isLoud } = chosen();
  if (isLoud) sound();
  if (!desktop || !document.hidden || Notification.permission !== "granted") return;
  const response = await fetch(address, { credentials: "same-origin", headers: { "X-Partial": "1" } }).catch(() => null);
  if (!response?.ok) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const item = page.querySelector(".bell-item.is-unread");
  if (!item) return;
  const shown = new Notification("Portal", { body: item.querySelector("span").textContent, tag: item.dataset.notification });
  shown.addEventListener("click", () => (focus(), location.assign(item.getAttribute("href"))));
}

function sound() {
  const context = new AudioContext();
  const tone = context.createOscillator();
  const loudness = context.createGain();
  loudness.gain.setValueAtTime(0.06, context.currentTime);
  loudness.gain.exponentialRampToValueAtTime(0.0001, context.currentTime + 0.35);
  tone.frequency.value = 660;
  tone.connect(loudness).connect(context.destination);
  tone.start();
  tone.stop(context.currentTime + 0.35);
}
