/*
 * A draft is kept on the server a few seconds after each change and on leaving. What the server has not confirmed yet is
 * kept in this browser too, so that neither a crash nor a lost connection nor a signed-out session costs a word.
 */

const LOCAL_MS = 400;
const SERVER_MS = 2500;
const csrf = () => document.querySelector('meta[name="csrf-token"]')?.content ?? "";

export class DraftKeeper {
  /* read: () => FormData of what stands there, or null when nothing does; said: (words) => void; conflict: (words) => void */
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
    return kept && kept.revision === this.revision ? kept : null;
  }

  async keep({ isLeaving = false, isForced = false } = {}) {
    clearTimeout(this.serverTimer);
    this.serverTimer = null;
    if (this.isStopped || (this.isKeeping && !isLeaving)) return;
    this.isKeeping = true;
    this.isDirty = false;
    this.keepHere();
    const body = this.read();
    if (!isForced) body.set("revision", this.revision);
    let response;
    try {
      response = await fetch(this.form.dataset.keep, {
        method: "POST",
        body,
        keepalive: isLeaving,
        credentials: "same-origin",
        headers: { "X-Partial": "1", "X-CSRFToken": csrf() },
      });
    } catch {
      return this.failed("Not connected. Your text is kept in this browser.");
    } finally {
      this.isKeeping = false;
    }
    if (response.status === 409) return this.conflict(await response.text());
    if (response.redirected || response.status === 401) {
      return this.failed("You are signed out. Your text is kept in this browser: sign in in another tab and go on.");
    }
    if (!response.ok) return this.failed("This draft could not be kept on the server. It is kept in this browser.");
    this.revision = (await response.json()).revision;
    if (this.isDirty) return this.changed();
    localStorage.removeItem(this.key);
    this.said(this.revision ? "Draft kept" : "");
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
