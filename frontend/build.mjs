/* Bundles the editor into portal/static/editor, with the licences of what it contains beside it. */

import { build } from "esbuild";
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";

const target = "../portal/static/editor";
await mkdir(target, { recursive: true });
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
