/**
 * What the status page says, in its languages. State names, VIPs and the sentences of the decision
 * table stay as they are everywhere else (log, CLI, history), so that they can be searched for.
 *
 * @module
 */

import type { Language } from "./language.ts";

const EN = {
  language: "en",
  other: "Français",
  title: "status",
  serves: "This node serves.",
  standsBy: "This node stands by.",
  neither: "This node does not serve.",
  node: "Node",
  role: "role",
  state: "state",
  since: "since",
  why: "why",
  epoch: "epoch",
  fit: "fit to serve",
  ready: "ready for the service",
  maintenance: "maintenance",
  isolated: "isolated",
  goal: "working on",
  version: "version",
  peer: "Peer",
  verdict: "verdict",
  heard: "last heard",
  configuration: "same configuration",
  services: "Services",
  running: "running",
  healthy: "telephony check",
  links: "Links",
  network: "network",
  carrier: "carrier",
  witnesses: "witnesses",
  vips: "Virtual addresses",
  holder: "holder",
  held: "held here",
  data: "Data sets",
  set: "set",
  direction: "direction",
  age: "age",
  size: "size",
  duration: "took",
  next: "next in",
  error: "last error",
  alerts: "To look at",
  history: "History",
  at: "at",
  yes: "yes",
  no: "no",
  never: "never",
  none: "none",
  unknown: "not known",
  ago: (age: string) => `${age} ago`,
  units: ["s", "min", "h", "d"],
} as const;

type Words = Readonly<Omit<Record<keyof typeof EN, string>, "ago" | "units">> & {
  readonly ago: (age: string) => string;
  /** Seconds, minutes, hours, days. */
  readonly units: readonly [string, string, string, string];
};

const FR: Words = {
  language: "fr",
  other: "English",
  title: "état",
  serves: "Ce nœud assure le service.",
  standsBy: "Ce nœud est prêt à prendre le relais.",
  neither: "Ce nœud n'assure pas le service.",
  node: "Nœud",
  role: "rôle",
  state: "état",
  since: "depuis",
  why: "raison",
  epoch: "époque",
  fit: "apte à servir",
  ready: "prêt à recevoir le service",
  maintenance: "maintenance",
  isolated: "isolé",
  goal: "en cours",
  version: "version",
  peer: "Pair",
  verdict: "verdict",
  heard: "entendu",
  configuration: "même configuration",
  services: "Services",
  running: "en marche",
  healthy: "test de téléphonie",
  links: "Liens",
  network: "réseau",
  carrier: "porteuse",
  witnesses: "témoins",
  vips: "Adresses virtuelles",
  holder: "détenteur",
  held: "détenue ici",
  data: "Jeux de données",
  set: "jeu",
  direction: "sens",
  age: "âge",
  size: "taille",
  duration: "durée",
  next: "prochain dans",
  error: "dernière erreur",
  alerts: "À regarder",
  history: "Historique",
  at: "à",
  yes: "oui",
  no: "non",
  never: "jamais",
  none: "aucun",
  unknown: "inconnu",
  ago: (age: string) => `il y a ${age}`,
  units: ["s", "min", "h", "j"],
};

/** The words of one language. */
export const WORDS: Readonly<Record<Language, Words>> = { en: EN, fr: FR };
/** See {@linkcode WORDS}. */
export type PageWords = Words;
