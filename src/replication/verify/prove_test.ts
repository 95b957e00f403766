import assert from "node:assert/strict";
import { systemClock } from "../../os/clock.ts";
import { PairFixture, putRows } from "../peer_fixture.ts";
import { SetStates } from "../set_state.ts";
import { parseReceiveCommand } from "../receive_command.ts";
import { compareFiles } from "./compare_files.ts";
import { overall, type ProofFinding, summary } from "./finding.ts";
import { proveCopies } from "./prove.ts";

const SEED = "0123456789abcdef0123456789abcdef";
const signal = AbortSignal.timeout(120_000);
