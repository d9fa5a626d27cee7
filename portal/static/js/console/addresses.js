/* Address fields: while the last address is typed, people it may mean are offered below (a combobox, WAI-ARIA 1.2). */

import { request } from "../partial.js";
import { _ } from "../words.js";

const WAIT_MS = 150;
let count = 0;

export function attach(field) {
  const list = document.createElement("ul");
  list.id = `addresses-${(count += 1)}`;
  list.className = "address-list";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", _("Addresses"));
  list.hidden = true;
  field.after(list);
  for (const [name, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id }))
    field.setAttribute(name, value);
  const offer = new Offer(field, list);
  field.addEventListener("input", () => offer.soon());
  field.addEventListener("keydown", (event) => offer.key(event));
  field.addEventListener("blur", () => setTimeout(() => offer.close(), 120));
  list.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    const option = event.target.closest("[role=option]");
    if (option) offer.take(option);
  });
}

class Offer {
  constructor(field, list) {
    Object.assign(this, { field, list, chosen: -1 });
  }

  get typed() {
    return this.field.value.split(/[,;]/).at(-1).trim();
  }

  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), WAIT_MS);
  }

  async ask() {
    const typed = this.typed;
    if (typed.length < 2) return this.close();
    const address = new URL(this.field.dataset.addresses, location.href);
    address.searchParams.set("q", typed);
    const response = await request(address.href).catch(() => null);
    if (!response?.ok || typed !== this.typed) return;
    this.show(await response.json());
  }

  show(people) {
    this.chosen = -1;
    this.list.replaceChildren(
      ...people.map(({ name, address }, index) => {
        const option = document.createElement("li");
        option.id = `${this.list.id}-${index}`;
        option.setAttribute("role", "option");
        option.setAttribute("aria-selected", "false");
        option.dataset.address = address;
        const shown = document.createElement("b");
        shown.textContent = name || address;
        option.append(shown, name ? ` ${address}` : "");
        return option;
      }),
    );
    this.list.hidden = !people.length;
    this.field.setAttribute("aria-expanded", String(Boolean(people.length)));
  }

  key(event) {
    const options = [...this.list.children];
    if (this.list.hidden || !options.length) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      this.chosen = (this.chosen + step + options.length + (this.chosen < 0 && step < 0 ? 1 : 0)) % options.length;
      options.forEach((option, index) => option.setAttribute("aria-selected", String(index === this.chosen)));
      this.field.setAttribute("aria-activedescendant", options[this.chosen].id);
    } else if ((event.key === "Enter" || event.key === "Tab") && (this.chosen >= 0 || event.key === "Enter")) {
      event.preventDefault();
      this.take(options[Math.max(0, this.chosen)]);
    } else if (event.key === "Escape") {
      event.stopPropagation();
      this.close();
    }
  }

  take(option) {
    if (this.field.hasAttribute("data-single")) {
      this.field.value = option.dataset.address;
      return this.close();
    }
    const before = this.field.value.split(/[,;]/).slice(0, -1).map((one) => one.trim()).filter(Boolean);
    this.field.value = [...before, option.dataset.address, ""].join(", ");
    this.close();
    this.field.dispatchEvent(new Event("input", { bubbles: true }));
    clearTimeout(this.timer);
  }

  close() {
    this.list.hidden = true;
    this.field.setAttribute("aria-expanded", "false");
    this.field.removeAttribute("aria-activedescendant");
  }
}
