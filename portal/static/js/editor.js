/*
 * Puts the editor over a <textarea data-behaviour="editor">: after the page has painted, never before. Until then,
 * and without it, the plain textarea works. `editorOf(textarea)` resolves to the editor once it stands.
 */

const editors = new WeakMap();
const version = new URL(import.meta.url).search;

export function attach(textarea) {
  editors.set(textarea, whenIdle().then(() => mount(textarea)));
}

export function editorOf(textarea) {
  return editors.get(textarea);
}

async function mount(textarea) {
  addStyles();
  const { mountEditor } = await import(`../editor/editor.js${version}`);
  const hadFocus = document.activeElement === textarea;
  const form = textarea.form;
  const editor = await mountEditor(textarea, {
    uploadUrl: textarea.dataset.uploadUrl,
    csrfToken: document.querySelector('meta[name="csrf-token"]')?.content,
    label: textarea.getAttribute("aria-label") || form?.querySelector(`label[for="${textarea.id}"]`)?.textContent,
    onChange: () => textarea.dispatchEvent(new Event("input", { bubbles: true })),
    onSend: form ? () => form.requestSubmit(form.querySelector("[data-default-submit]") ?? undefined) : undefined,
  });
  // A hidden required field could never be filled in by hand; the server checks.
  textarea.required = false;
  if (hadFocus) editor.focus();
  textarea.dispatchEvent(new CustomEvent("portal:editor", { bubbles: true, detail: editor }));
  return editor;
}

function addStyles() {
  if (document.querySelector("link[data-editor-styles]")) return;
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = new URL(`../editor/editor.css${version}`, import.meta.url).href;
  link.dataset.editorStyles = "";
  document.head.append(link);
}

function whenIdle() {
  return new Promise((resolve) => (window.requestIdleCallback ?? ((run) => setTimeout(run, 50)))(() => resolve()));
}
