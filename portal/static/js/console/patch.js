/* Brings what the server says now into what the page shows, touching only what differs. */

/**
 * Make the keyed children of `current` (id, data-mark) those of `fresh`; what looks the same stays as it is.
 * With `keepsRest`, `fresh` is the first page of a longer list: what stands beyond it stays too.
 */
export function patchList(current, fresh, keepsRest = false) {
  const rest = new Set(keepsRest ? [...current.children].slice(fresh.children.length) : []);
  const there = new Map([...current.children].filter((each) => each.id).map((each) => [each.id, each]));
  let after = null;
  let isChanged = false;
  for (const wanted of [...fresh.children]) {
    let element = there.get(wanted.id);
    there.delete(wanted.id);
    if (!element || element.dataset.mark !== wanted.dataset.mark) {
      const place = element;
      element = document.importNode(wanted, true);
      if (place) takeThePlaceOf(place, element);
      isChanged = true;
      if (!place) element.classList.add("is-new");
    }
    const next = after ? after.nextElementSibling : current.firstElementChild;
    if (next !== element) current.insertBefore(element, next);
    after = element;
  }
  for (const gone of there.values()) {
    if (rest.has(gone)) continue;
    gone.remove();
    isChanged = true;
  }
  if (isChanged) current.dispatchEvent(new CustomEvent("portal:swapped", { bubbles: true }));
}

/* Whoever stands on what is drawn anew goes on standing there. */
function takeThePlaceOf(place, element) {
  const parts = "a, input, button";
  const at = [...place.querySelectorAll(parts)].indexOf(document.activeElement);
  place.replaceWith(element);
  if (at >= 0) element.querySelectorAll(parts)[at]?.focus({ preventScroll: true });
}

/** Replace `current` by `fresh` where they differ, unless somebody is busy in it. */
export function patchWhole(current, fresh) {
  if (!current || !fresh || current.dataset.mark === fresh.dataset.mark && fresh.dataset.mark) return current;
  const isBusy = current.contains(document.activeElement) && document.activeElement.matches("input, textarea, select");
  if (isBusy || current.querySelector("details[data-busy][open]")) return current;
  const element = document.importNode(fresh, true);
  for (const open of current.querySelectorAll("details[id][open]")) {
    const same = element.querySelector(`#${CSS.escape(open.id)}`);
    if (same) same.open = true;
  }
  current.replaceWith(element);
  element.dispatchEvent(new CustomEvent("portal:swapped", { bubbles: true }));
  return element;
}

/** The parts of an answer by their data-part. */
export function partsOf(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return new Map([...template.content.querySelectorAll("[data-part]")].map((each) => [each.dataset.part, each]));
}
