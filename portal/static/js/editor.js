/*
 * Puts the editor over a <textarea data-behaviour="editor">: after the page has painted, never before. Until then,
 * and without it, the plain textarea works. `editorOf(textarea)` resolves to the editor once it stands.
 */

// What `make editor` has built words and emoji for.
const LANGUAGES = ["en", "de"];
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
  const language = LANGUAGES.find((each) => document.documentElement.lang.startsWith(each)) ?? "en";
  const [{ mountEditor }, translations] = await Promise.all([import(`../editor/editor.js${version}`), wordsIn(language)]);
  const hadFocus = document.activeElement === textarea;
  const form = textarea.form;
  const editor = await mountEditor(textarea, {
    uploadUrl: textarea.dataset.uploadUrl,
    csrfToken: document.querySelector('meta[name="csrf-token"]')?.content,
    label: textarea.getAttribute("aria-label") || form?.querySelector(`label[for="${textarea.id}"]`)?.textContent,
    mentionFeeds: feedsOf(textarea),
    language,
    translations,
    emojiUrl: new URL(`../editor/emoji/${language}.json${version}`, import.meta.url).href,
    onChange: () => textarea.dispatchEvent(new Event("input", { bubbles: true })),
    onSend: form ? () => form.requestSubmit(form.querySelector("[data-default-submit]") ?? undefined) : undefined,
  });
  putTemplatesIn(editor, textarea);
  // A hidden required field could never be filled in by hand; the server checks.
  textarea.required = false;
  if (hadFocus) editor.focus();
  textarea.dispatchEvent(new CustomEvent("portal:editor", { bubbles: true, detail: editor }));
  return editor;
}

/* The editor's own buttons and messages; English ones are in it. */
async function wordsIn(language) {
  return language === "en" ? undefined : (await import(`../editor/words/${language}.js${version}`)).default;
}

/* "@" offers colleagues, "/" templates, each fetched once when somebody asks for the first time. */
function feedsOf(textarea) {
  const { colleagues, templateNames } = textarea.dataset;
  const feeds = [];
  if (colleagues) feeds.push(feed("@", colleagues, ({ id, name }) => `${name} ${id}`.toLowerCase(), ({ name }) => name));
  if (templateNames) feeds.push(feed("/", templateNames, ({ words }) => words, ({ id }) => id.slice(1)));
  return feeds;
}

function feed(marker, address, wordsOf, labelOf) {
  let all;
  return {
    marker,
    minimumCharacters: 0,
    dropdownLimit: 12,
    feed: async (typed) => {
      all ??= fetch(address, { credentials: "same-origin", headers: { "X-Partial": "1" } }).then((response) => (response.ok ? response.json() : []));
      const wanted = typed.toLowerCase();
      return (await all).filter((each) => wordsOf(each).includes(wanted)).map((each) => ({ ...each, text: marker + labelOf(each) }));
    },
    itemRenderer: (item) => {
      const row = document.createElement("span");
      row.textContent = labelOf(item);
      return row;
    },
  };
}

/* A template that "/" has found is not a mention: it takes the place of what was typed. */
function putTemplatesIn(editor, textarea) {
  editor.commands.get("mention")?.on(
    "execute",
    (stop, [{ marker, mention, range }]) => {
      if (marker !== "/") return;
      stop.stop();
      editor.model.change((writer) => writer.remove(range));
      textarea.dispatchEvent(new CustomEvent("portal:template", { detail: mention.url }));
    },
    { priority: "highest" },
  );
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
