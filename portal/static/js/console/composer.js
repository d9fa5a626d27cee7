/*
 * The composer: keeps a draft in this browser, puts templates in at the cursor, uploads files, sends without leaving
 * the page, and offers to take back what was sent. Until the editor stands, the plain field does all of it.
 */

import { messageIn, request } from "../partial.js";
import { announce } from "../toast.js";
import { startFiles } from "./files.js";

const SAVE_MS = 500;

export function attach(form) {
  const writer = new Writer(form);
  form.writer = writer;
  writer.start();
}

class Writer {
  constructor(form) {
    this.form = form;
    this.field = form.querySelector("textarea");
    this.panel = form.closest(".composer-panel");
    this.composer = form.closest("[data-composer]");
    this.key = `portal-draft-${form.dataset.draft}`;
    this.says = form.querySelector("[data-says]");
  }

  start() {
    this.files = startFiles(this.form, this.composer, () => this.panel.hidden, () => this.saveSoon());
    this.restore();
    this.form.addEventListener("input", () => this.saveSoon());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send(event.submitter);
    });
    this.field.addEventListener("portal:editor", ({ detail: editor }) => {
      this.editor = editor;
      this.form.elements.format.value = "html";
      if (this.wantsFocus) editor.focus();
    });
    this.field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        this.form.requestSubmit(this.form.querySelector("[data-default-submit]"));
      }
    });
    this.panel.addEventListener("click", (event) => {
      const template = event.target.closest("[data-template]");
      if (template) this.insertTemplate(template);
      const seen = event.target.closest("[data-seen]");
      if (seen) this.haveSeen(seen.dataset.seen);
    });
    this.composer.addEventListener("portal:tab", (event) => {
      if (event.detail.getAttribute("aria-controls") === this.panel.id) this.show();
      else this.panel.hidden = true;
    });
    if (!this.panel.hidden) this.mount();
    // Tabs are links for pages without scripts.
    for (const tab of this.composer.querySelectorAll("a[role=tab]")) tab.addEventListener("click", (event) => event.preventDefault());
  }

  /* The editor comes after the first paint, and for a note only when somebody wants to write one. */
  mount() {
    if (this.isMounting) return;
    this.isMounting = true;
    this.field.dataset.behaviour = "editor";
    this.field.dispatchEvent(new CustomEvent("portal:swapped", { bubbles: true }));
  }

  show() {
    this.panel.hidden = false;
    this.wantsFocus = true;
    this.mount();
    this.focus();
    this.composer.scrollIntoView({ block: "nearest" });
  }

  focus() {
    (this.editor ?? this.field).focus();
    if (this.editor) this.editor.editing.view.focus();
  }

  get html() {
    return this.editor ? this.editor.getData() : this.field.value;
  }

  set html(value) {
    if (this.editor) this.editor.setData(value);
    this.field.value = value;
  }

  /* --- the draft --- */

  saveSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.save(), SAVE_MS);
  }

  save() {
    const { to, cc, template, format } = this.form.elements;
    const draft = { html: this.html, format: format.value, files: this.files.kept() };
    for (const field of [to, cc]) if (field && field.value !== field.dataset.saved) draft[field.name] = field.value;
    if (template?.value) draft.template = template.value;
    const isEmpty = !this.html.trim() && !draft.files.length;
    try {
      if (isEmpty) localStorage.removeItem(this.key);
      else localStorage.setItem(this.key, JSON.stringify(draft));
      this.say(isEmpty ? "" : "Draft kept in this browser");
    } catch {
      this.say("This draft is not kept: the browser's storage is full");
    }
  }

  restore() {
    let draft;
    try {
      draft = JSON.parse(localStorage.getItem(this.key));
    } catch {
      localStorage.removeItem(this.key);
    }
    // What the server gives back after a refusal is newer than any draft.
    if (!draft || this.field.value.trim()) return;
    this.field.value = draft.format === "html" ? draft.html : asHtml(draft.html ?? "");
    for (const name of ["to", "cc", "template"]) {
      if (draft[name] !== undefined && this.form.elements[name]) this.form.elements[name].value = draft[name];
    }
    this.files.restore(draft.files ?? []);
    // Whatever stands in the field now is HTML, which the editor will take over.
    this.form.elements.format.value = "html";
    this.say("Your draft is back");
  }

  forget() {
    clearTimeout(this.timer);
    localStorage.removeItem(this.key);
  }

  /* --- sending --- */

  async send(submitter) {
    if (this.isSending) return;
    this.isSending = true;
    this.field.value = this.html;
    const body = new FormData(this.form, submitter);
    body.delete("files");
    const buttons = [...this.form.querySelectorAll("button")];
    buttons.forEach((button) => (button.disabled = true));
    const kept = this.html;
    try {
      const response = await request(this.form.action, { method: "POST", body });
      if (!response.ok) return this.refuse(await response.text());
      const answer = await response.json();
      this.clear();
      this.offerUndo(answer, kept);
      document.dispatchEvent(new CustomEvent("portal:changed"));
    } catch {
      this.save();
    } finally {
      this.isSending = false;
      buttons.forEach((button) => (button.disabled = false));
    }
  }

  refuse(html) {
    this.save();
    const place = this.form.querySelector("[data-refusal]");
    if (html.includes("data-error")) place.innerHTML = html;
    else announce(messageIn(html) || "That was not sent. Your text is still here; try again.", { isError: true });
    place.dispatchEvent(new CustomEvent("portal:swapped", { bubbles: true }));
    place.scrollIntoView({ block: "nearest" });
  }

  haveSeen(id) {
    this.form.elements.seen.value = id;
    this.form.querySelector("[data-refusal]").replaceChildren();
    this.focus();
  }

  clear() {
    this.html = "";
    this.files.clear();
    this.forget();
    this.form.querySelector("[data-refusal]").replaceChildren();
    if (this.form.elements.template) this.form.elements.template.value = "";
    this.say("");
  }

  offerUndo(answer, kept) {
    if (!answer.undo_url) return announce(answer.says);
    announce(answer.says, {
      action: {
        label: "Undo",
        run: async () => {
          const response = await request(answer.undo_url, { method: "POST", body: new FormData() });
          if (!response.ok) return announce(messageIn(await response.text()), { isError: true });
          this.html = kept;
          this.save();
          this.focus();
          document.dispatchEvent(new CustomEvent("portal:changed"));
        },
      },
    });
  }

  /* --- templates --- */

  async insertTemplate(button) {
    const body = new FormData();
    body.set("offered", button.hasAttribute("data-offered") ? "1" : "0");
    const response = await request(button.dataset.template, { method: "POST", body }).catch(() => null);
    if (!response) return;
    if (!response.ok) return announce(messageIn(await response.text()), { isError: true });
    const template = await response.json();
    this.insert(template.html);
    this.form.elements.template.value = template.id;
    button.closest("details")?.removeAttribute("open");
    this.say(template.unfilled.length ? `To be filled in by you: ${template.unfilled.join(", ")}` : "");
    this.saveSoon();
  }

  insert(html) {
    if (!this.editor) {
      this.field.setRangeText(asText(html), this.field.selectionStart, this.field.selectionEnd, "end");
      return this.field.focus();
    }
    const fragment = this.editor.data.toModel(this.editor.data.processor.toView(html));
    this.editor.model.insertContent(fragment);
    this.editor.editing.view.focus();
    this.editor.editing.view.scrollToTheSelection();
  }

  say(words) {
    if (this.says) this.says.textContent = words;
  }
}

function asHtml(text) {
  const holder = document.createElement("div");
  for (const block of text.split(/\n\s*\n/)) {
    const paragraph = document.createElement("p");
    paragraph.textContent = block;
    holder.append(paragraph);
  }
  return holder.innerHTML.replaceAll("\n", "<br>");
}

function asText(html) {
  const parsed = new DOMParser().parseFromString(html.replace(/<\/p>|<br\s*\/?>/gi, "$&\n"), "text/html");
  return parsed.body.textContent.trim();
}
