/**
 * Every check, ready to be made.
 *
 * @module
 */

import { addressChecks } from "./addresses.ts";
import { arbiterChecks } from "./arbiter.ts";
import { comparisonChecks } from "./comparisons.ts";
import { daemonChecks } from "./daemon.ts";
import { toolChecks } from "./database_client_tools.ts";
import { fencingChecks } from "./fencing.ts";
import { filterToolChecks, firewallChecks } from "./firewall.ts";
import type { Check } from "./finding.ts";
import { linkChecks } from "./links.ts";
import type { Patient } from "./patient.ts";
import { rivalChecks } from "./rivals.ts";
import { serviceChecks } from "./services.ts";
import { trustChecks } from "./trust.ts";

/** All checks of the catalogue. */
export function allChecks(patient: Patient): readonly Check[] {
  const rooms = [
    daemonChecks,
    serviceChecks,
    filterToolChecks,
    comparisonChecks,
    trustChecks,
    fencingChecks,
    linkChecks,
    addressChecks,
    firewallChecks,
    toolChecks,
    rivalChecks,
    arbiterChecks,
  ];
  return rooms.flatMap((room) => room(patient));
}
