/*
 * The composer: keeps its draft, puts templates in at the cursor, uploads files, sends without leaving the page, now or
 * later, and offers to take back what was sent. Until the editor stands, the plain field does all of it.
 */

import { messageIn, request } from "../partial.js";
import { announce } from "../toast.js";
import { DraftKeeper } from "./draft.js";
import { startFiles } from "./files.js";
import { startLater } from "./later.js";
import { _ } from "../words.js";

const FIELDS = ["to", "cc", "bcc", "template", "mode", "about", "seen"];

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
    this.says = form.querySelector("[data-says]");
    this.draft = new DraftKeeper(form, {
      read: () => this.body(),
      snapshot: () => this.snapshot(),
      said: (words) => this.say(words),
      conflict: (html) => this.disagree(html),
    });
  }

  start() {
    this.files = startFiles(this.form, this.composer, () => this.panel.hidden, () => this.draft.changed());
    this.restore();
    startLater(this.form);
    this.form.addEventListener("input", () => this.draft.changed());
    this.form.addEventListener("portal:begun", ({ detail }) => this.take(detail));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send(event.submitter);
    });
    this.field.addEventListener("portal:editor", ({ detail: editor }) => {
      this.editor = editor;
      this.form.elements.format.value = "html";
      editor.model.document.on("change:data", () => this.draft.changed());
      if (this.wantsFocus) editor.focus();
    });
    this.field.addEventListener("portal:template", ({ detail: address }) => this.insertTemplate(address, false));
    this.field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        this.form.requestSubmit(this.form.querySelector("[data-default-submit]"));
      }
    });
    this.panel.addEventListener("click", (event) => {
      const template = event.target.closest("[data-template]");
      if (template) {
        this.insertTemplate(template.dataset.template, template.hasAttribute("data-offered"));
        template.closest("details")?.removeAttribute("open");
      }
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

  body(submitter) {
    this.field.value = this.html;
    const body = new FormData(this.form, submitter);
    body.delete("files");
    body.set("kind", this.form.dataset.kind);
    return body;
  }

  snapshot() {
    const values = { html: this.html, format: this.form.elements.format.value, files: this.files.kept() };
    for (const name of FIELDS) if (this.form.elements[name]) values[name] = this.form.elements[name].value;
    return values;
  }

  restore() {
    const kept = this.draft.unsaved();
    // What the server gives back after a refusal is newer than anything this browser kept.
    if (!kept || this.form.querySelector("[data-error]")) {
      if (this.draft.revision) this.say(_("Your draft is back"));
      return;
    }
    this.fill({ ...kept, html: kept.format === "html" ? kept.html : asHtml(kept.html ?? "") });
    this.draft.changed();
    this.say(_("Your draft is back"));
  }

  /* Everything that a draft holds, whether the server or this browser has kept it. */
  fill(values) {
    this.html = values.html;
    // Whatever stands in the field now is HTML, which the editor will take over.
    this.form.elements.format.value = "html";
    for (const name of FIELDS) {
      if (values[name] !== undefined && this.form.elements[name]) this.form.elements[name].value = values[name];
    }
    this.files.clear();
    this.files.restore(values.files ?? []);
    this.showMode();
  }

  /* What was begun on one message: the server has put it together with what stood in the draft. */
  take(begun) {
    this.draft.forget();
    this.draft.revision = begun.revision;
    this.fill(begun);
    this.composer.querySelector(`#tab-${begun.kind}`).click();
    this.show();
    if (begun.mode === "forward") this.form.elements.to.focus();
  }

  showMode() {
    const note = this.form.querySelector("[data-mode]");
    if (!note) return;
    const isForward = this.form.elements.mode.value === "forward";
    note.hidden = !isForward;
    for (const each of this.form.querySelectorAll("[data-only-reply]")) each.hidden = isForward;
  }

  /* Another window has kept something since: nothing is overwritten until its writer has chosen. */
  disagree(html) {
    this.draft.isStopped = true;
    const place = this.form.querySelector("[data-refusal]");
    const banner = document.createElement("div");
    banner.className = "refusal";
    banner.setAttribute("role", "alert");
    const words = document.createElement("p");
    words.className = "banner banner-warn";
    words.textContent = messageIn(html) || _("You went on with this draft in another window.");
    const choices = document.createElement("p");
    choices.className = "row-line";
    choices.append(
      choice(_("Take the newer text"), () => {
        this.draft.forget();
        location.reload();
      }),
      choice(_("Keep what stands here"), () => {
        this.draft.isStopped = false;
        banner.remove();
        this.draft.keep({ isForced: true });
      }),
    );
    banner.append(words, choices);
    place.replaceChildren(banner);
  }

  /* --- sending --- */

  async send(submitter) {
    if (this.isSending) return;
    this.isSending = true;
    const body = this.body(submitter);
    // A time that was looked at is none: only its own button sends later.
    if (!submitter?.closest("[data-later]") && !submitter?.hasAttribute("data-anyway")) body.delete("send_at");
    const buttons = [...this.form.querySelectorAll("button")];
    buttons.forEach((button) => (button.disabled = true));
    try {
      await this.draft.settle();
      const response = await request(this.form.action, { method: "POST", body });
      if (!response.ok) return this.refuse(await response.text());
      const answer = await response.json();
      this.clear();
      this.offerUndo(answer);
      document.dispatchEvent(new CustomEvent("portal:changed"));
    } catch {
      this.draft.changed();
    } finally {
      this.isSending = false;
      buttons.forEach((button) => (button.disabled = false));
    }
  }

  refuse(html) {
    this.draft.changed();
    const place = this.form.querySelector("[data-refusal]");
    if (html.includes("data-error")) place.innerHTML = html;
    else announce(messageIn(html) || _("That was not sent. Your text is still here; try again."), { isError: true });
    place.dispatchEvent(new CustomEvent("portal:swapped", { bubbles: true }));
    place.scrollIntoView({ block: "nearest" });
  }

  haveSeen(id) {
    if (id) this.form.elements.seen.value = id;
    this.form.querySelector("[data-refusal]").replaceChildren();
    this.focus();
  }

  clear() {
    this.html = "";
    this.files.clear();
    this.draft.forget();
    this.form.querySelector("[data-refusal]").replaceChildren();
    for (const name of ["cc", "bcc", "template", "about", "send_at"]) {
      if (this.form.elements[name]) this.form.elements[name].value = "";
    }
    if (this.form.elements.mode) this.form.elements.mode.value = "reply";
    for (const menu of this.form.querySelectorAll(".later-menu")) menu.removeAttribute("open");
    this.showMode();
    this.say("");
  }

  offerUndo(answer) {
    if (!answer.undo_url) return announce(answer.says);
    announce(answer.says, {
      seconds: answer.undo_seconds,
      action: {
        label: _("Undo"),
        run: async () => {
          const response = await request(answer.undo_url, { method: "POST", body: new FormData() });
          if (!response.ok) return announce(messageIn(await response.text()), { isError: true });
          // The words are the draft again: the page shows it as it shows every draft.
          location.reload();
        },
      },
    });
  }

  /* --- templates --- */

  async insertTemplate(address, wasOffered) {
    const body = new FormData();
    body.set("offered", wasOffered ? "1" : "0");
    const response = await request(address, { method: "POST", body }).catch(() => null);
    if (!response) return;
    if (!response.ok) return announce(messageIn(await response.text()), { isError: true });
    const template = await response.json();
    this.insert(template.html);
    this.form.elements.template.value = template.id;
    this.say(template.unfilled.length ? _("To be filled in by you: %(names)s", { names: template.unfilled.join(", ") }) : "");
    this.draft.changed();
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

function choice(label, run) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button";
  button.textContent = label;
  button.addEventListener("click", run);
  return button;
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
