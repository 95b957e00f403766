/**
 * The languages of the status page and how one is chosen (RFC 9110 section 12.5.4).
 *
 * @module
 */

/** Languages of the status page. */
export type Language = "en" | "fr";

/** The language asked for by `?lang=`, else the best of `Accept-Language`, else English. */
export function chooseLanguage(asked: string | undefined, accept: string | undefined): Language {
  if (asked === "fr" || asked === "en") return asked;
  let best: Language = "en";
  let bestQuality = 0;
  for (const part of (accept ?? "").slice(0, 500).split(",")) {
    const [tag = "", ...parameters] = part.trim().toLowerCase().split(/\s*;\s*/);
    const language = tag.split("-")[0];
    if (language !== "fr" && language !== "en") continue;
    const q = parameters.find((p) => p.startsWith("q="))?.slice(2);
    const quality = q === undefined ? 1 : Number(q);
    if (quality > bestQuality) [best, bestQuality] = [language, quality];
  }
  return best;
}
