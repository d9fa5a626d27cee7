/* A customer's HTML in its frame: as high as it is, in the page's theme. */

const frames = new Set();

export function attach(frame) {
  frames.add(frame);
  frame.addEventListener("load", () => fit(frame));
  if (frame.contentDocument?.readyState === "complete") fit(frame);
}

function fit(frame) {
  const document_ = frame.contentDocument;
  // A document of another origin cannot be measured; it keeps its height and scrolls.
  if (!document_?.body) return;
  paint(frame);
  const measure = () => {
    if (document_.documentElement) frame.style.blockSize = `${document_.documentElement.offsetHeight || document_.body.scrollHeight}px`;
  };
  measure();
  frame.sizes?.disconnect();
  frame.sizes = new ResizeObserver(measure);
  frame.sizes.observe(document_.documentElement);
}

function paint(frame) {
  const root = frame.contentDocument?.documentElement;
  if (root) root.dataset.theme = document.documentElement.dataset.theme || "system";
}

new MutationObserver(() => {
  for (const frame of frames) frame.isConnected ? paint(frame) : frames.delete(frame);
}).observe(document.documentElement, { attributeFilter: ["data-theme"] });
