/**
 * The questions of `relais init`, in English and French.
 *
 * @module
 */

/** What is asked, or said around the questions. */
export interface Words {
  readonly found: string;
  readonly cluster: string;
  readonly preset: string;
  readonly role: string;
  /** `{network}`: interface and address. */
  readonly useNetwork: string;
  readonly networkName: string;
  readonly peer: string;
  readonly vip: string;
  readonly gateway: string;
  readonly database: string;
  readonly none: string;
  readonly wrong: string;
  readonly write: string;
  readonly nothing: string;
  readonly written: string;
}

const ENGLISH: Words = {
  found: "Found here: {facts}. Enter takes what is in [brackets].",
  cluster: "Name of the pair of hosts",
  preset: "Product (xivo, wazo, none)",
  role: "Is this host the master or the slave (the master is preferred)",
  useNetwork: "Use the network of {network} (yes, no)",
  networkName: "  Name of this network",
  peer: "  Address of the other host there",
  vip: "  Virtual IP there, which phones are told (- for none)",
  gateway: "  Gateway there: witness, and default route of the VIP (- for none)",
  database: "PostgreSQL database to copy (- for none)",
  none: "none",
  wrong: "must be {rule} (got {got})",
  write: "Write this to {path} (yes, no)",
  nothing: "nothing was written",
  written: "Wrote {path}. Next, on this host: relais pair",
};

const FRENCH: Words = {
  found: "Trouvé ici : {facts}. Entrée accepte ce qui est entre [crochets].",
  cluster: "Nom de la paire d'hôtes",
  preset: "Produit (xivo, wazo, none)",
  role: "Cet hôte est-il le master ou le slave (le master est préféré)",
  useNetwork: "Utiliser le réseau de {network} (oui, non)",
  networkName: "  Nom de ce réseau",
  peer: "  Adresse de l'autre hôte sur ce réseau",
  vip: "  IP virtuelle, celle que connaissent les téléphones (- pour aucune)",
  gateway: "  Passerelle : témoin, et route par défaut de la VIP (- pour aucune)",
  database: "Base PostgreSQL à copier (- pour aucune)",
  none: "aucune",
  wrong: "doit être {rule} (reçu {got})",
  write: "Écrire ceci dans {path} (oui, non)",
  nothing: "rien n'a été écrit",
  written: "{path} est écrit. Ensuite, sur cet hôte : relais pair",
};

/** The words for a locale such as `fr_FR.UTF-8`; English for all but French. */
export function wordsFor(locale: string): Words {
  return /^fr(?:[_.@-]|$)/.test(locale) ? FRENCH : ENGLISH;
}

/** Puts values into the `{places}` of a text. */
export function fill(text: string, values: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole);
}
