/**
 * Newer versions of a service's Debian package, so that an upgrade can be watched: the package that is
 * installed, with a higher version number. Its maintainer scripts run as in any upgrade.
 *
 * @module
 */

import type { LabHost } from "./lab_host.ts";

/** The hosts' own archive. */
const ARCHIVE = "/srv/lab-repo";
const DEADLINE_MS = 180_000;

/** Repacks each package under version VERSION+labN and makes the archive anew. */
const REPACK = `
cd "$1"; shift; number=$1; shift
for name; do
  deb=$(ls -1 "$name"_*.deb | tail -n 1)
  dpkg-deb -R "$deb" "/tmp/$name.d"
  version=$(sed -n 's/^Version: //p' "/tmp/$name.d/DEBIAN/control")
  # Packages of one source ask for each other's very version.
  sed -i "s|\${version%%+lab*}\\(+lab[0-9]*\\)\\?|\${version%%+lab*}+lab$number|g" "/tmp/$name.d/DEBIAN/control"
  rm -f "$name"_*.deb
  dpkg-deb --root-owner-group -Znone -b "/tmp/$name.d" "\${name}_lab$number.deb" >/dev/null
  rm -rf "/tmp/$name.d"
done
for deb in *.deb; do
  dpkg-deb -f "$deb"
  printf 'Filename: ./%s\\nSize: %s\\nSHA256: %s\\n\\n' "$deb" "$(stat -c %s "$deb")" \\
    "$(sha256sum "$deb" | cut -d' ' -f1)"
done > Packages
printf 'Date: %s\\nSHA256:\\n %s %s Packages\\n' "$(date -Ru)" \\
  "$(sha256sum Packages | cut -d' ' -f1)" "$(stat -c %s Packages)" > Release
`;

/** Packages of Asterisk that are in the hosts' own archive. */
export const ASTERISK_PACKAGES = ["asterisk", "asterisk-config", "asterisk-modules"] as const;

/**
 * Puts a newer version of Asterisk into a host's own archive: the next `apt-get upgrade` installs it.
 *
 * @param number counts upwards from call to call: the version ends in `+lab1`
 */
export async function offerNewerAsterisk(host: LabHost, number: number): Promise<void> {
  const argv = ["sh", "-euc", REPACK, "repack", ARCHIVE, String(number), ...ASTERISK_PACKAGES];
  await host.exec(argv, { deadlineMs: DEADLINE_MS });
  await host.exec(["apt-get", "update"], { deadlineMs: DEADLINE_MS });
}

/** `apt-get upgrade` of everything that is newer; keeps configuration files that were changed. */
export async function upgradeAll(host: LabHost): Promise<string> {
  const keep = ["-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"];
  const argv = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-y", ...keep, "upgrade"];
  return (await host.exec(argv, { deadlineMs: DEADLINE_MS })).stdout;
}

/** The version of a package that is installed. */
export async function installedVersion(host: LabHost, name: string): Promise<string> {
  return await host.read(["dpkg-query", "-W", "-f", "${Version}", name]);
}
