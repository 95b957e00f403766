/**
 * The least that `/etc/relais/relais.toml` says, for tests that add to it.
 *
 * @module
 */

/** A cluster with one network that has a VIP; a key of that network may follow. */
export const VOIP_TOML = `[cluster]
name = "siege"
[[networks]]
name = "voip"
master = "10.20.0.11"
slave = "10.20.0.12"
prefix = 24
vip = "10.20.0.10"
`;

/** A second network, without a VIP. */
export const DATA_TOML = `[[networks]]
name = "data"
master = "10.30.0.11"
slave = "10.30.0.12"
prefix = 24
`;
