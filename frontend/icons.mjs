/* Gathers the icons that Portal uses into one sprite, portal/static/icons.svg. */

import { cp, readFile, writeFile } from "node:fs/promises";

const names = `
  alarm-clock archive arrow-left arrow-right arrow-up arrow-up-right at-sign bell book-open building-2 calendar
  chart-column check check-check chevron-down chevron-left chevron-right chevron-up circle circle-alert clock copy
  corner-down-right corner-up-left ellipsis-vertical external-link eye file-down file-text filter flag forward globe
  hand history inbox info keyboard layers link list list-checks log-out mail mail-open menu merge message-circle
  message-square monitor moon panel-right paperclip pause pen-line phone plus refresh-cw reply reply-all rotate-ccw
  route search send settings shield shield-check sliders-horizontal split star sticky-note sun tag ticket
  trash-2 triangle-alert undo-2 upload user user-check user-plus users x zap image download
  chart=chart-column template=file-text building=building-2 escalate=arrow-up note=sticky-note trash=trash-2
  alert=triangle-alert edit=pen-line more=ellipsis-vertical email=mail web_form=globe chat=message-circle
  sms=message-square whatsapp=phone telegram=send api=zap drawer=panel-right refresh=refresh-cw
`.trim().split(/\s+/);

const symbols = await Promise.all(
  names.map(async (entry) => {
    // "name=source" gives an icon the name of what it means here.
    const [name, file = name] = entry.split("=");
    const source = await readFile(`node_modules/lucide-static/icons/${file}.svg`, "utf8");
    const inner = source.replace(/<!--.*?-->/gs, "").replace(/^[\s\S]*?<svg[^>]*>/, "").replace(/<\/svg>\s*$/, "");
    return `<symbol id="${name}" viewBox="0 0 24 24">${inner.replace(/\s+/g, " ").trim()}</symbol>`;
  }),
);
await writeFile(
  "../portal/static/icons.svg",
  `<svg xmlns="http://www.w3.org/2000/svg" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round">\n${symbols.join("\n")}\n</svg>\n`,
);
await cp("node_modules/lucide-static/LICENSE", "../portal/static/LICENSE-icons-lucide.txt");
