/* Tells that this person has the ticket open or writes in it, and shows who else does. */

import { _ } from "../words.js";

const TELL_MS = 20000;
const TYPING_MS = 6000;
const FORGET_MS = 50000;
/* number -> user id -> {name, isTyping, until} */
const people = new Map();

export function attach(ticket) {
  const number = ticket.dataset.number;
  let typedAt = 0;
  let told = "";
  const state = () => (Date.now() - typedAt < TYPING_MS ? "typing" : "viewing");
  const tell = (what = state()) => {
    if (what !== "left" && document.visibilityState !== "visible") return;
    told = what;
    const body = new FormData();
    body.set("state", what);
    body.set("csrf_token", document.querySelector('meta[name="csrf-token"]')?.content ?? "");
    fetch(ticket.dataset.presenceUrl, { method: "POST", body, keepalive: true, headers: { "X-Partial": "1" } }).catch(() => {});
  };
  const timer = setInterval(() => (ticket.isConnected ? tell() : leave()), TELL_MS);
  const quick = setInterval(() => ticket.isConnected && told === "typing" && state() !== told && tell(), 2000);
  const leave = () => {
    clearInterval(timer);
    clearInterval(quick);
    removeEventListener("pagehide", leave);
    tell("left");
  };
  addEventListener("pagehide", leave);
  ticket.addEventListener("input", (event) => {
    if (!event.target.closest("[data-composer]")) return;
    typedAt = Date.now();
    if (told !== "typing") tell();
  });
  ticket.addEventListener("portal:left", leave);
  seed(number);
  tell();
}

document.addEventListener("portal:live", ({ detail: hint }) => {
  if (hint.kind !== "presence") return;
  const number = String(hint.number);
  seed(number);
  const there = people.get(number);
  if (hint.is_here) there.set(String(hint.user_id), { name: hint.name, isTyping: hint.is_typing, until: Date.now() + FORGET_MS });
  else there.delete(String(hint.user_id));
  show(number);
});

setInterval(() => {
  for (const [number, there] of people) {
    const before = there.size;
    for (const [id, person] of there) if (person.until < Date.now()) there.delete(id);
    if (there.size !== before) show(number);
  }
}, 10000);

/* The server has drawn who was there when the page was made. */
function seed(number) {
  if (people.has(number)) return;
  const there = new Map();
  for (const avatar of document.querySelectorAll(`[data-present-in="${number}"] [data-user]`)) {
    const isTyping = avatar.classList.contains("is-typing");
    there.set(avatar.dataset.user, { name: avatar.dataset.name, isTyping, until: Date.now() + FORGET_MS });
  }
  people.set(number, there);
}

function show(number) {
  const there = [...people.get(number).entries()];
  for (const place of document.querySelectorAll(`[data-present-in="${number}"]`)) {
    const isBrief = place.hasAttribute("data-brief");
    place.replaceChildren(...there.flatMap(([id, person]) => drawn(id, person, isBrief)));
  }
  const ticket = document.querySelector(`[data-ticket][data-number="${number}"]`);
  const words = ticket?.querySelector("[data-writing]");
  if (!words) return;
  const writing = there.filter(([, person]) => person.isTyping).map(([, person]) => person.name.split(" ")[0]);
  words.hidden = !writing.length;
  words.textContent = !writing.length
    ? ""
    : writing.length > 1
      ? _("%(names)s are writing here right now", { names: writing.join(", ") })
      : _("%(name)s is writing here right now", { name: writing[0] });
}

function drawn(id, person, isBrief) {
  const avatar = document.createElement("span");
  avatar.className = `avatar${person.isTyping ? " is-typing" : ""}`;
  Object.assign(avatar.dataset, { user: id, name: person.name });
  const parts = person.name.split(/\s+/);
  avatar.textContent = `${parts[0]?.[0] ?? ""}${parts.length > 1 ? parts.at(-1)[0] : ""}`.toUpperCase();
  avatar.title = doing(person, person.name);
  if (isBrief) return [avatar];
  const words = document.createElement("span");
  words.textContent = doing(person, parts[0]);
  return [avatar, words];
}

function doing(person, name) {
  return person.isTyping ? _("%(name)s is writing", { name }) : _("%(name)s is viewing", { name });
}
