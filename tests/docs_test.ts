// The documentation holds together: every link inside the repository leads somewhere.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../", import.meta.url));

function* pages(folder = ""): Generator<string> {
  for (const entry of Deno.readDirSync(join(ROOT, folder))) {
    const path = join(folder, entry.name);
    if (entry.isDirectory && (folder !== "" || entry.name === "docs")) yield* pages(path);
    else if (entry.isFile && entry.name.endsWith(".md")) yield path;
  }
}

/** GitHub's anchor of a heading. */
function anchor(heading: string): string {
  const plain = heading.replaceAll(/[`*_]|\[|\]\(.*?\)|\]/g, "").trim().toLowerCase();
  return plain.replaceAll(/[^\p{L}\p{N}\s-]/gu, "").replaceAll(/\s/g, "-");
}

const PAGES = [...pages()].sort();

Deno.test("there is documentation to judge", () => {
  assert.ok(PAGES.includes("README.md") && PAGES.includes("docs/README.md"));
});

for (const page of PAGES) {
  Deno.test(`${page}: every link inside the repository leads somewhere`, () => {
    const text = Deno.readTextFileSync(join(ROOT, page));
    const wrong = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] ?? "")
      .filter((link) => !/^[a-z]+:/.test(link))
      .filter((link) => {
        const [file = "", fragment] = link.split("#");
        const target = file === "" ? page : join(dirname(page), file);
        if (!existsSync(join(ROOT, target))) return true;
        if (fragment === undefined) return false;
        const headings = Deno.readTextFileSync(join(ROOT, target)).match(/^#+ .*$/gm) ?? [];
        return !headings.some((heading) => anchor(heading.replace(/^#+ /, "")) === fragment);
      });
    assert.deepEqual(wrong, []);
  });
}

Deno.test("docs/README.md names every page of docs", () => {
  const index = Deno.readTextFileSync(join(ROOT, "docs/README.md"));
  const missing = PAGES.filter((page) => page.startsWith("docs/") && page !== "docs/README.md")
    .filter((page) => !index.includes(`](${page.slice("docs/".length)})`));
  assert.deepEqual(missing, []);
});

/** What the sections of a README have in common in every language, one for each heading. */
function outline(name: string): unknown[] {
  const text = Deno.readTextFileSync(join(ROOT, name))
    // The figures stand in one of them only.
    .replace(/<!-- FIGURES[^]*?<!-- \/FIGURES -->/, "");
  return text.split(/^(?=#+ )/m).map((section) => ({
    level: /^#+/.exec(section)?.[0],
    points: section.match(/^- /gm)?.length ?? 0,
    rows: section.match(/^\|/gm)?.length ?? 0,
    blocks: [...section.matchAll(/^```(\w*)\n/gm)].map(([, language]) => language),
    links: [...section.matchAll(/\]\((?!README)([^)]+)\)/g)].map(([, target]) => target).sort(),
  }));
}

Deno.test("README.fr.md is in step with README.md, section by section", () => {
  assert.deepEqual(outline("README.fr.md"), outline("README.md"));
});
