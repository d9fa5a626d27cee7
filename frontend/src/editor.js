/* The reply editor: CKEditor 5 with the plugins that a reply by mail needs, and nothing that asks the network. */

import {
  Alignment,
  AutoImage,
  AutoLink,
  Autoformat,
  BlockQuote,
  Bold,
  ClassicEditor,
  Code,
  CodeBlock,
  Emoji,
  Essentials,
  GeneralHtmlSupport,
  Heading,
  HorizontalLine,
  Image,
  ImageInsert,
  ImageResize,
  ImageToolbar,
  ImageUpload,
  Italic,
  Link,
  List,
  Mention,
  Paragraph,
  PasteFromOffice,
  RemoveFormat,
  SimpleUploadAdapter,
  Strikethrough,
  Table,
  TableColumnResize,
  TableToolbar,
  Underline,
} from "ckeditor5";
import "ckeditor5/ckeditor5.css";
import "./editor.css";
import { cleaned } from "./paste.js";

const PLUGINS = [
  Alignment, AutoImage, AutoLink, Autoformat, BlockQuote, Bold, Code, CodeBlock, Emoji, Essentials,
  GeneralHtmlSupport, Heading, HorizontalLine, Image, ImageInsert, ImageResize, ImageToolbar, ImageUpload, Italic, Link, List, Mention,
  Paragraph, PasteFromOffice, RemoveFormat, SimpleUploadAdapter, Strikethrough, Table, TableColumnResize, TableToolbar,
  Underline,
];

const TOOLBAR = [
  "bold", "italic", "underline", "link", "|",
  "bulletedList", "numberedList", "insertTable", "blockQuote", "insertImage", "emoji", "|",
  "heading", "codeBlock", "alignment", "strikethrough", "horizontalLine", "removeFormat",
];

/**
 * Put an editor in the place of a textarea and keep the textarea's value in step with it.
 *
 * options: uploadUrl and csrfToken (pictures; without them none can be put in), mentionFeeds (CKEditor's own shape),
 * placeholder, label, emojiUrl, language with its words (translations; without them English), onChange(html), onSend().
 * Resolves to the editor.
 */
export async function mountEditor(textarea, options = {}) {
  const editor = await ClassicEditor.create(textarea, {
    licenseKey: "GPL",
    plugins: PLUGINS,
    toolbar: { items: TOOLBAR, shouldNotGroupWhenFull: false },
    placeholder: options.placeholder || textarea.placeholder || "",
    label: options.label || textarea.getAttribute("aria-label") || "Text",
    image: { toolbar: ["imageTextAlternative", "|", "resizeImage:50", "resizeImage:original"], resizeUnit: "px" },
    table: { contentToolbar: ["tableColumn", "tableRow", "mergeTableCells"] },
    link: { addTargetToExternalLinks: true, defaultProtocol: "https://" },
    language: options.language || "en",
    translations: options.translations,
    // The emoji are those that every desktop has had for years: nothing to measure, and a mail's reader sees them, too.
    emoji: { definitionsUrl: options.emojiUrl, useCustomFont: true },
    mention: { feeds: options.mentionFeeds || [] },
    // What an unfilled placeholder is marked with, and the signature, survive editing.
    htmlSupport: {
      allow: [
        { name: "mark", attributes: { "data-unfilled": true } },
        { name: "div", classes: ["signature"] },
        { name: "span", classes: ["mention"], attributes: { "data-mention": true, "data-user-id": true } },
      ],
    },
    simpleUpload: options.uploadUrl
      ? { uploadUrl: options.uploadUrl, withCredentials: true, headers: { "X-CSRFToken": options.csrfToken || "" } }
      : undefined,
  });
  keepInStep(editor, textarea, options);
  cleanWhatIsPasted(editor);
  return editor;
}

function cleanWhatIsPasted(editor) {
  const nonce = document.querySelector("script[nonce]")?.nonce;
  const clean = (_event, data) => {
    if (typeof data.content === "string" && data.content) data.content = cleaned(data.content, nonce);
  };
  editor.editing.view.document.on("clipboardInput", clean, { priority: "highest" });
}

function keepInStep(editor, textarea, options) {
  editor.model.document.on("change:data", () => {
    textarea.value = editor.getData();
    options.onChange?.(textarea.value);
  });
  if (options.onSend) {
    editor.keystrokes.set("Ctrl+Enter", (_event, stop) => {
      textarea.value = editor.getData();
      stop();
      options.onSend();
    });
  }
}

/** Put HTML in at the cursor, as if it had been pasted, and leave the cursor behind it. */
export function insertHtml(editor, html) {
  const fragment = editor.data.toModel(editor.data.processor.toView(html));
  editor.model.insertContent(fragment);
  editor.editing.view.focus();
}
