/**
 * What an agent says that it can do and be told (`action=metadata`): an XML document in the form of the OCF
 * resource agents. Only names are read from it, and only for advice (`relais doctor`, whether there is a
 * `status`): nothing of it decides.
 *
 * @module
 */

/** Names out of the metadata. */
export interface AgentMetadata {
  readonly parameters: readonly string[];
  readonly actions: readonly string[];
}

/** Names are few and short; more is no metadata. */
const NAMES_MAX = 500;

/** Null: there are no parameters or no actions in it, so it is something else. */
export function parseMetadata(xml: string): AgentMetadata | null {
  const parameters = names(xml, "parameter");
  const actions = names(xml, "action");
  return parameters.length === 0 || actions.length === 0 ? null : { parameters, actions };
}

/** Attribute `name` of every start tag `element`; such names need no entities. */
function names(xml: string, element: string): string[] {
  const tags = xml.matchAll(new RegExp(`<${element}\\s([^<>]{0,1000})>`, "g"));
  const found = [...tags].slice(0, NAMES_MAX).flatMap(([, attributes = ""]) => {
    const match = /(?:^|\s)name\s*=\s*(?:"([^"]{1,100})"|'([^']{1,100})')/.exec(attributes);
    const name = match?.[1] ?? match?.[2];
    return name === undefined ? [] : [name];
  });
  return [...new Set(found)];
}

/**
 * Parameters that are given and that the agent does not know: it ignores them in silence, or refuses to work.
 * An agent knows `-` and `_` in a name for the same (fencing.py).
 */
export function unknownParameters(
  given: Iterable<string>,
  { parameters }: Pick<AgentMetadata, "parameters">,
): string[] {
  const plain = (name: string): string => name.replaceAll("-", "_");
  const known = new Set(parameters.map(plain));
  return [...given].filter((name) => !known.has(plain(name)));
}
