import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { sampleStatus } from "../../../tests/support/health_sample.ts";
import { chooseLanguage } from "./language.ts";
import { PAGE_HEADERS, renderPage } from "./page.ts";

Deno.test("renderPage() escapes everything that others can say", () => {
  const evil = `<img src=x onerror=alert(1)>"'&`;
  const status = sampleStatus({ alerts: [evil], unfitReasons: [evil], fit: false });
  status.node.clusterName = evil;
  status.node.why = evil;
  status.peer.addresses = [{ network: evil, address: evil }];
  for (const language of ["en", "fr"] as const) {
    const page = renderPage(status, language);
    assert.ok(!page.includes("<img"), "no tag of theirs");
    assert.ok(!page.includes("[object"), "no object printed");
    assert.ok(page.includes("&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;"));
  }
});

Deno.test("renderPage() says who serves and how old the data is, in both languages", () => {
  const english = renderPage(sampleStatus(), "en");
  assert.match(english, /<html lang="en">/);
  assert.match(english, /This node serves\./);
  assert.match(english, /3 min<\/td>/);
  assert.match(english, /href="\?lang=fr"/);
  const french = renderPage(sampleStatus(), "fr");
  assert.match(french, /<html lang="fr">/);
  assert.match(french, /Ce nœud assure le service\./);
  assert.match(french, /href="\?lang=en"/);
});

Deno.test("renderPage() shows the gate, and the shield while it is up", () => {
  const { gate, shield } = sampleStatus();
  assert.match(renderPage(sampleStatus(), "en"), /gate<\/th>\s*<td>open<\/td>/);
  assert.doesNotMatch(renderPage(sampleStatus(), "en"), /shield/);
  const status = sampleStatus({
    gate: { ...gate, open: false, installed: false, missing: ["monit.service"] },
    shield: { ...shield, up: true, since: "2026-01-31T12:00:00.000Z", endsInMs: 1000 },
  });
  const french = renderPage(status, "fr");
  assert.match(french, /barrière<\/th>\s*<td>fermée, absente de monit\.service<\/td>/);
  assert.match(french, /bouclier<\/th>\s*<td>levé depuis 2026-01-31T12:00:00\.000Z: udp:5060/);
});

Deno.test("renderPage() loads nothing, and its policy allows its own style only", () => {
  const page = renderPage(sampleStatus(), "en");
  assert.ok(!/<script|<link|<iframe|src=|url\(|https?:/i.test(page));
  const style = /<style>([\s\S]*)<\/style>/.exec(page)?.[1] ?? "";
  const hash = createHash("sha256").update(style).digest("base64");
  const policy = PAGE_HEADERS["Content-Security-Policy"] ?? "";
  assert.ok(policy.includes(`style-src 'sha256-${hash}'`));
  assert.match(policy, /default-src 'none'/);
});

Deno.test("chooseLanguage() follows ?lang=, then Accept-Language by quality, then English", () => {
  assert.equal(chooseLanguage("fr", "en"), "fr");
  assert.equal(chooseLanguage("xx", "fr-CA,en;q=0.5"), "fr");
  assert.equal(chooseLanguage(undefined, "fr;q=0.3, en-GB;q=0.9"), "en");
  assert.equal(chooseLanguage(undefined, "de, fr;q=0.1"), "fr");
  assert.equal(chooseLanguage(undefined, undefined), "en");
  assert.equal(chooseLanguage(undefined, ";;;q=,fr;q=nonsense"), "en");
});
