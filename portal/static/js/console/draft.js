/*
 * A draft is kept on the server a few seconds after each change and on leaving. What the server has not confirmed yet is
 * kept in this browser too, so that neither a crash nor a lost connection nor a signed-out session costs a word.
 */

import { _ } from "../words.js";

const LOCAL_MS = 400;
const SERVER_MS = 2500;
/* A name for this window, which a reload keeps and a second window does not have. */
const WINDOW = (sessionStorage.portalWindow ??= crypto.randomUUID?.() ?? String(Math.random()).slice(2));
const csrf = () => document.querySelector('meta[name="csrf-token"]')?.content ?? "";

export class DraftKeeper {
  /* read: () => FormData of what stands there; snapshot: () => the same as plain values; said, conflict: (words) => void */
  constructor(form, { read, snapshot, said, conflict }) {
    Object.assign(this, { form, read, snapshot, said, conflict });
    this.key = `portal-draft-${form.dataset.draft}`;
    this.revision = Number(form.dataset.revision);
    addEventListener("pagehide", () => this.isDirty && this.keep({ isLeaving: true }));
    addEventListener("visibilitychange", () => document.hidden && this.isDirty && this.keep({ isLeaving: true }));
  }

  changed() {
    if (!this.form.isConnected) return;
    this.isDirty = true;
    clearTimeout(this.localTimer);
    this.localTimer = setTimeout(() => this.keepHere(), LOCAL_MS);
    this.serverTimer ??= setTimeout(() => this.keep(), SERVER_MS);
  }

  keepHere() {
    if (!this.isDirty) return;
    try {
      localStorage.setItem(this.key, JSON.stringify({ ...this.snapshot(), revision: this.revision }));
    } catch {
      /* The browser's storage is full; the server has it in a moment. */
    }
  }

  /* What this browser kept and the server never got; null when there is nothing, or another window is ahead. */
  unsaved() {
    let kept = null;
    try {
      kept = JSON.parse(localStorage.getItem(this.key));
    } catch {
      localStorage.removeItem(this.key);
    }
    if (!kept) return null;
    // This window's own words are newer than what the server has of it; another window may be ahead.
    const isOurs = !this.revision || this.form.dataset.window === WINDOW;
    return isOurs || kept.revision === this.revision ? kept : null;
  }

  async keep({ isLeaving = false, isForced = false } = {}) {
    clearTimeout(this.serverTimer);
    this.serverTimer = null;
    if (this.isStopped || (this.isKeeping && !isLeaving)) return;
    this.isKeeping = true;
    this.keepHere();
    this.isDirty = false;
    const body = this.read();
    body.set("window", WINDOW);
    if (!isForced) body.set("revision", this.revision);
    let response;
    try {
      this.onItsWay = fetch(this.form.dataset.keep, {
        method: "POST",
        body,
        keepalive: isLeaving,
        credentials: "same-origin",
        headers: { "X-Partial": "1", "X-CSRFToken": csrf() },
      });
      response = await this.onItsWay;
    } catch {
      return this.failed(_("Not connected. Your text is kept in this browser."));
    } finally {
      this.isKeeping = false;
    }
    if (response.status === 409) return this.conflict(await response.text());
    if (response.redirected || response.status === 401) {
      return this.failed(_("You are signed out. Your text is kept in this browser: sign in in another tab and go on."));
    }
    if (!response.ok) return this.failed(_("This draft could not be kept on the server. It is kept in this browser."));
    this.revision = (await response.json()).revision;
    if (this.isDirty) return this.changed();
    localStorage.removeItem(this.key);
    this.said(this.revision ? _("Draft kept") : "");
  }

  /* Before it is sent: a saving that arrives after that would bring the draft back to life. */
  async settle() {
    clearTimeout(this.localTimer);
    clearTimeout(this.serverTimer);
    this.serverTimer = null;
    await this.onItsWay?.catch(() => null);
  }

  failed(words) {
    this.isDirty = true;
    this.keepHere();
    this.said(words);
    this.serverTimer ??= setTimeout(() => this.keep(), SERVER_MS * 4);
  }

  /* Sent: there is no draft any more, here or there. */
  forget() {
    clearTimeout(this.localTimer);
    clearTimeout(this.serverTimer);
    this.serverTimer = null;
    this.isDirty = false;
    this.revision = 0;
    localStorage.removeItem(this.key);
  }
}
