/* Bundles the editor into portal/static/editor: its words and its emoji in each language of Portal, and the licences. */

import { build } from "esbuild";
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";

const target = "../portal/static/editor";
const languages = ["en", "de"];
// The version of Unicode's emoji that every desktop and telephone in use shows.
const newestEmoji = 14;
await mkdir(`${target}/emoji`, { recursive: true });
await mkdir(`${target}/words`, { recursive: true });
await build({
  entryPoints: { editor: "src/editor.js" },
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  outdir: target,
  legalComments: "none",
  loader: { ".svg": "text" },
});
await cp("node_modules/ckeditor5/LICENSE.md", `${target}/LICENSE-ckeditor5.md`);
await cp("node_modules/emojibase-data/LICENSE", `${target}/emoji/LICENSE-emojibase.txt`);
for (const language of languages) {
  await writeFile(`${target}/emoji/${language}.json`, JSON.stringify(await emojiIn(language)));
  if (language !== "en") await writeWords(language);
}
for (const name of ["editor.js", "editor.css"]) {
  const bytes = await readFile(`${target}/${name}`);
  process.stdout.write(`${name}: ${bytes.length} bytes, ${gzipSync(bytes, { level: 9 }).length} compressed\n`);
}
const { version } = JSON.parse(await readFile("node_modules/ckeditor5/package.json", "utf8"));
await writeFile(
  `${target}/README.md`,
  `# The reply editor\n\nBuilt by \`make editor\` from \`frontend/src\` and CKEditor ${version} (npm \`ckeditor5\`), used under the\n` +
    "GNU General Public License 2 or later; its licence is beside this file. Do not edit the built files.\n",
);

/* The emoji of a language in the shape that CKEditor asks for: no more than its picker and its search look at. */
async function emojiIn(language) {
  const all = JSON.parse(await readFile(`node_modules/emojibase-data/${language}/data.json`, "utf8"));
  return all
    .filter(({ group, version }) => group !== undefined && version <= newestEmoji)
    .sort((one, other) => one.order - other.order)
    .map(({ label, emoji, emoticon, group, version, tags, skins }) => ({
      emoji,
      annotation: label,
      emoticon: [emoticon].flat()[0],
      group,
      version,
      tags,
      skins: skins?.filter(({ tone }) => !Array.isArray(tone)).map(({ emoji: one, tone }) => ({ emoji: one, tone })),
    }));
}

/* The editor's own buttons and messages; the bundle holds the English ones. */
async function writeWords(language) {
  await build({
    stdin: { contents: `export { default } from "ckeditor5/translations/${language}.js";`, resolveDir: "." },
    bundle: true,
    minify: true,
    format: "esm",
    outfile: `${target}/words/${language}.js`,
    legalComments: "none",
  });
}
