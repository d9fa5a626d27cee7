/*
 * Choosing tickets of a list: by their boxes, with Shift for all between two, or with x where j and k have gone. What is
 * chosen outlives every refresh of the list; the bar opens what can be done with it as a dialog.
 */

import { isTyping } from "../hotkeys.js";
import { messageIn, request } from "../partial.js";
import { announce } from "../toast.js";
import { show } from "./dialog.js";
import { move } from "./list.js";
import { _ } from "../words.js";

export function attach(list) {
  const bar = list.querySelector("#bulk");
  if (!bar) return;
  const most = Number(bar.dataset.most);
  const all = bar.querySelector("[data-all]");
  const rest = bar.querySelector("[data-rest]");
  const chosen = new Set();
  let last;

  const boxes = () => [...list.querySelectorAll(".row-pick input")];
  const tell = () => {
    for (const box of boxes()) {
      box.checked = chosen.has(box.value);
      box.closest(".row-box").classList.toggle("is-picked", box.checked);
    }
    bar.classList.toggle("is-open", chosen.size > 0);
    bar.querySelector("[data-count]").textContent = chosen.size ? _("%(count)s selected", { count: chosen.size }) : "";
    const shown = boxes();
    all.checked = shown.length > 0 && shown.every((box) => box.checked);
    all.indeterminate = !all.checked && chosen.size > 0;
    const hasMore = Boolean(list.querySelector("[data-more]"));
    rest.hidden = !(all.checked && hasMore && chosen.size < most && chosen.size <= shown.length);
  };
  const choose = (wanted, isChosen) => {
    for (const box of wanted) {
      if (!isChosen) chosen.delete(box.value);
      else if (chosen.size < most) chosen.add(box.value);
      else {
        announce(_("At most %(most)s tickets can be chosen at once.", { most }));
        break;
      }
    }
    tell();
  };
  const reach = (box) => {
    const shown = boxes();
    // By its number: the row itself may have been drawn anew since.
    const [from, to] = [shown.findIndex((each) => each.value === last), shown.indexOf(box)].sort((one, other) => one - other);
    return from < 0 ? [box] : shown.slice(from, to + 1);
  };
  const boxHere = () => document.activeElement?.closest(".row-box")?.querySelector(".row-pick input");
  const extend = (event) => {
    const here = boxHere();
    move(list, event.key === "J" ? 1 : -1, event);
    choose([here, boxHere()].filter(Boolean), true);
    last = boxHere()?.value;
  };
  const chooseUnseen = async () => {
    const response = await request(rest.dataset.rest).catch(() => null);
    if (!response?.ok) return;
    const { numbers } = await response.json();
    for (const number of numbers) if (chosen.size < most) chosen.add(String(number));
    tell();
  };
  const clear = () => {
    chosen.clear();
    tell();
  };

  list.addEventListener("click", (event) => {
    const box = event.target.closest(".row-pick input");
    if (!box) return;
    choose(event.shiftKey && last ? reach(box) : [box], box.checked);
    last = box.value;
  });
  all.addEventListener("change", () => choose(boxes(), all.checked));
  bar.querySelector("[data-none]").addEventListener("click", clear);
  rest.addEventListener("click", chooseUnseen);
  bar.addEventListener("submit", (event) => {
    event.preventDefault();
    openPlan(bar, [...chosen], event.submitter);
  });
  document.addEventListener("keydown", (event) => {
    if (!list.isConnected || event.defaultPrevented || event.metaKey || event.ctrlKey || event.altKey) return;
    if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
    if (event.key === "Escape" && chosen.size) return clear();
    if (event.key === "J" || event.key === "K") return extend(event);
    if (event.key !== "x" && event.key !== "X") return;
    const box = boxHere();
    if (!box) return;
    event.preventDefault();
    choose(event.shiftKey && last ? reach(box) : [box], event.shiftKey || !chosen.has(box.value));
    last = box.value;
  });
  list.addEventListener("portal:swapped", tell);
  document.addEventListener("portal:done", (event) => event.target.matches("[data-bulk]") && clear());
  bar.dataset.ready = "";
  tell();
}

async function openPlan(bar, numbers, button) {
  if (!numbers.length) return;
  const address = new URL(bar.action, location.href);
  address.search = new URLSearchParams({ do: button.value, numbers: numbers.join(",") });
  try {
    const response = await request(address);
    const html = await response.text();
    if (!response.ok) return announce(messageIn(html) || _("That did not work. Try again."), { isError: true });
    show(button.title, html, button);
  } catch {
    /* Said by request. */
  }
}
