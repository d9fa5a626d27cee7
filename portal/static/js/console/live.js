/*
 * Hints from the server that something has changed, as events of the document: "portal:live" with the hint, and
 * "portal:catch-up" when hints may have been missed. One tab of a browser holds the stream and tells the others,
 * because a browser allows only a few connections to a host.
 */

import { _ } from "../words.js";

const SILENCE_MS = 40000;
const LONGEST_WAIT_MS = 30000;

const channel = new BroadcastChannel("portal-live");
const banner = document.querySelector("[data-live-status]");
let wait = 1000;
let isAway = false;
let hasHeard = false;

export function attach(element) {
  if (attach.isDone) return;
  attach.isDone = true;
  channel.onmessage = (event) => take(event.data);
  // The lock is free again when the tab that holds the stream closes; another then takes over.
  navigator.locks.request("portal-live", () => new Promise(() => listen(element.dataset.live)));
  addEventListener("offline", () => take({ kind: "away" }));
}

function listen(address) {
  const source = new EventSource(address);
  let watchdog;
  const rest = () => {
    clearTimeout(watchdog);
    watchdog = setTimeout(again, SILENCE_MS);
  };
  const again = () => {
    clearTimeout(watchdog);
    removeEventListener("online", again);
    source.close();
    tell({ kind: "away" });
    setTimeout(() => listen(address), wait);
    wait = Math.min(wait * 2, LONGEST_WAIT_MS) * (0.75 + Math.random() / 2);
  };
  source.addEventListener("hello", () => {
    wait = 1000;
    rest();
    tell({ kind: "back" });
    // What happened between the making of this page and now was heard by nobody.
    if (!hasHeard) document.dispatchEvent(new CustomEvent("portal:catch-up"));
    hasHeard = true;
  });
  // A connection may live through what looked like an absence; its next sign of life ends that.
  source.addEventListener("beat", () => {
    rest();
    tell({ kind: "back" });
  });
  // The server is there and hears nothing itself: it says so, and "hello" when it does again.
  source.addEventListener("away", () => {
    rest();
    tell({ kind: "away" });
  });
  source.addEventListener("message", (event) => {
    rest();
    tell(JSON.parse(event.data));
  });
  source.addEventListener("error", again);
  addEventListener("online", again);
  rest();
}

function tell(hint) {
  channel.postMessage(hint);
  take(hint);
}

function take(hint) {
  if (hint.kind === "away") return show(true);
  if (hint.kind === "back") {
    if (!isAway) return;
    document.dispatchEvent(new CustomEvent("portal:catch-up"));
    return show(false);
  }
  document.dispatchEvent(new CustomEvent("portal:live", { detail: hint }));
}

/* The stream ends by itself now and then; only an absence that lasts is worth a word. */
let patience;
function show(nowAway) {
  clearTimeout(patience);
  if (nowAway) {
    isAway = true;
    patience = setTimeout(() => say(_("You are offline or the server is away. Trying again…")), 4000);
    return;
  }
  if (banner && !banner.hidden) {
    say(_("You were away, catching up…"));
    patience = setTimeout(() => (banner.hidden = true), 2500);
  }
  isAway = false;
}

function say(words) {
  if (!banner) return;
  banner.textContent = words;
  banner.hidden = false;
}
