// A gateway that answers no pings must not count as a witness: with the real program.
import { relaisToml } from "../support/relais_config.ts";
import { FAST, untilServes } from "./situations.ts";
import { useStage } from "./stage.ts";

/** Nobody has this address. */
const SILENT = "10.20.0.253";

const toml = relaisToml({ ...FAST, data: false }).replaceAll(
  /witnesses = \[[^\]]*\]/g,
  "witnesses = []",
).replace("witnesses = []", `witnesses = ["${SILENT}"]`);

const stage = useStage({ toml });

stage.test(
  "a witness that never answered does not keep the slave from taking over",
  async ({ cluster, master, slave, client }) => {
    await master.host.crash();
    await untilServes(cluster, slave, client);
  },
);
