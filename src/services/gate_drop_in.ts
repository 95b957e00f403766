/**
 * The drop-in that makes a unit depend on the gate. Pure.
 *
 * @module
 */

/** The file's name in `UNIT.d`. Numbered so that an operator's own drop-in can come after it. */
export const DROP_IN_NAME = "50-relais-gate.conf";

/** The first line of each of our files; a file without it is not ours, whatever its name is. */
export const DROP_IN_MARK = "# Made by relais: the gate.";

/**
 * The text of the drop-in. A condition, not an assertion: a start that it prevents is skipped without a
 * failure (systemd.unit(5)), so that a boot or an upgrade on the node that does not serve goes on.
 *
 * @param flag absolute path of the file that opens the gate
 */
export function dropInText(flag: string): string {
  return [
    DROP_IN_MARK,
    "# Only relais starts this unit, on the node that serves: a start is skipped unless the file exists.",
    "# To run without relais: relais cleanup --all (or delete this file; then: systemctl daemon-reload).",
    "[Unit]",
    // A % would begin a specifier.
    `ConditionPathExists=${flag.replaceAll("%", "%%")}`,
    "",
  ].join("\n");
}

/** The file was written by relais, this one or another version. */
export function isOurDropIn(text: string): boolean {
  return text.split("\n", 1)[0] === DROP_IN_MARK;
}
