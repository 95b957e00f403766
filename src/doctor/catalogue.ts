/**
 * Every check of `relais doctor`: what it is about, why it matters, how a bad finding is mended in
 * general (a finding may know better). docs/doctor.md has the same list; a test compares them.
 *
 * @module
 */

/** Groups in the order in which they are shown. */
export const GROUPS = [
  "daemon",
  "tools",
  "versions",
  "clock",
  "trust",
  "fencing",
  "links",
  "addresses",
  "firewall",
  "database",
  "telephony",
  "disk",
  "services",
  "rivals",
  "arbiter",
] as const;
/** See the list of the same name. */
export type Group = typeof GROUPS[number];

interface Entry {
  readonly group: Group;
  /** One sentence. */
  readonly why: string;
  readonly mend: string;
}

/** Id → what it means. */
export const CATALOGUE = {
  "daemon.running": {
    group: "daemon",
    why: "Without its daemon this host neither serves nor stands by.",
    mend: "systemctl start relais",
  },
  "daemon.unit": {
    group: "daemon",
    why: "A daemon that systemd does not start at boot is missing after the next power cut.",
    mend: "systemctl enable --now relais.service",
  },
  "daemon.watchdog": {
    group: "daemon",
    why: "Only a watchdog notices a daemon that lives and does nothing.",
    mend: "put WatchdogSec= back: systemctl revert relais.service && systemctl restart relais",
  },
  "daemon.state": {
    group: "daemon",
    why: "A node that is failed, isolated, unfit or in maintenance is no protection.",
    mend: "relais status",
  },
  "daemon.peer": {
    group: "daemon",
    why: "What the daemon does not hear of its peer, it cannot replace.",
    mend: "run relais doctor on the other host",
  },
  "daemon.copies": {
    group: "daemon",
    why: "The age of a copy is what a takeover loses.",
    mend: "relais sync",
  },
  "tools.installed": {
    group: "tools",
    why: "The system's own tools do the work; what is missing is not done.",
    mend: "apt install the packages that are named",
  },
  "tools.nft": {
    group: "tools",
    why: "The shield that keeps phones waiting while services start is an nftables rule.",
    mend: "apt install nftables; modprobe nf_tables",
  },
  "tools.conntrack": {
    group: "tools",
    why: "Stale connection tracking sends a phone's packets to where the VIP was.",
    mend: "apt install conntrack; modprobe nf_conntrack",
  },
  "versions.relais": {
    group: "versions",
    why: "Two versions may not understand each other's data or messages.",
    mend: "install the same package on both hosts",
  },
  "versions.asterisk": {
    group: "versions",
    why: "An astdb and a configuration of another version may not work here.",
    mend: "install the same version of asterisk on both hosts",
  },
  "versions.database": {
    group: "versions",
    why: "An older PostgreSQL cannot take in what a newer one dumped.",
    mend: "install the same major version of PostgreSQL on both hosts",
  },
  "clock.synchronised": {
    group: "clock",
    why: "Registrations of phones carry an absolute time of expiry.",
    mend: "apt install chrony",
  },
  "clock.offset": {
    group: "clock",
    why: "With clocks apart, copied registrations expire too early or too late.",
    mend: "chronyc makestep, on the host whose clock is wrong",
  },
  "clock.zone": {
    group: "clock",
    why: "The failback window and the times in the dial plan are local times.",
    mend: "timedatectl set-timezone ZONE",
  },
  "trust.config": {
    group: "trust",
    why: "With different configurations no data travels and no move is agreed.",
    mend: "copy relais.toml to the other host and restart relais there",
  },
  "trust.key": {
    group: "trust",
    why: "Without a private cluster key the hosts cannot authenticate what they say.",
    mend: "relais keygen, then copy the file to the other host, mode 600",
  },
  "trust.same_key": {
    group: "trust",
    why: "With different keys each host refuses the other's messages.",
    mend: "copy cluster.key from one host to the other, mode 600, and restart relais there",
  },
  "trust.ssh_key": {
    group: "trust",
    why: "Copies travel through ssh with this key; ssh refuses one that others can read.",
    mend: "relais pair",
  },
  "trust.known_hosts": {
    group: "trust",
    why: "A copy goes only to a host whose key is pinned, on every address that it may use.",
    mend: "relais pair",
  },
  "trust.ssh": {
    group: "trust",
    why: "No copy arrives where ssh does not, or where the forced command does not answer.",
    mend: "relais pair",
  },
  "trust.ssh_back": {
    group: "trust",
    why: "At hand-back and after a takeover the copies go the other way.",
    mend: "relais pair",
  },
  "fencing.agent": {
    group: "fencing",
    why:
      "The agent is what cuts the other host's power; relais runs none that others could change.",
    mend: "apt install fence-agents; chown root and chmod go-w",
  },
  "fencing.parameters": {
    group: "fencing",
    why: "An agent leaves out what it does not know, and reads no file that others can read.",
    mend: "correct [fencing] in relais.toml: the agent's own -o metadata lists its parameters",
  },
  "fencing.device": {
    group: "fencing",
    why: "A device that does not answer is found now, or at the moment of need.",
    mend: "relais fence test; mend the device, its network or the password",
  },
  "fencing.witness": {
    group: "fencing",
    why:
      "A host without a witness cannot know that it is cut off: it would switch off the one that serves.",
    mend: "name witnesses of a network in relais.toml, such as its gateway",
  },
  "links.interface": {
    group: "links",
    why: "A network whose interface or own address is missing carries neither signals nor VIPs.",
    mend: "ip link set IFACE up; check the host's own address",
  },
  "links.mtu": {
    group: "links",
    why: "With different MTUs large packets vanish while ping works.",
    mend: "ip link set IFACE mtu 1500, on both hosts",
  },
  "links.ping": {
    group: "links",
    why: "Ping is one of the two signs of life: without it a silent link looks dead sooner.",
    mend: "check cable, switch and the firewall of both hosts",
  },
  "links.health": {
    group: "links",
    why: "The health page is the other sign of life, and carries what the hosts agree on.",
    mend: "check that relais runs there and that its firewall lets http_port in",
  },
  "links.witness": {
    group: "links",
    why: "Without a witness a host cannot tell a dead peer from its own cut cable.",
    mend: "correct witnesses in relais.toml, or let that address answer ping",
  },
  "addresses.holder": {
    group: "addresses",
    why: "Two machines that hold one VIP take the calls from each other.",
    mend: "find the machine by its MAC and take the address off it",
  },
  "addresses.configured": {
    group: "addresses",
    why: "A VIP that the system configures itself is held on both hosts after a boot.",
    mend: "remove the VIP from the file that is named",
  },
  "addresses.networkd": {
    group: "addresses",
    why: "systemd-networkd removes addresses and routes that it did not make when it restarts.",
    mend: "[Network] KeepConfiguration=yes in the .network file; " +
      "[Network] ManageForeignRoutes=no in networkd.conf; networkctl reload",
  },
  "addresses.networkmanager": {
    group: "addresses",
    why: "NetworkManager removes foreign addresses when it activates a connection again.",
    mend: "nmcli device set IFACE managed no, and ifupdown or networkd for the host's address",
  },
  "addresses.ifupdown": {
    group: "addresses",
    why: "ifdown flushes every address of the interface, ours too.",
    mend: "apt purge ifplugd netplug",
  },
  "addresses.dhcp": {
    group: "addresses",
    why: "A DHCP client may change the host's address, by which relais knows the host.",
    mend: "give the host a static address",
  },
  "addresses.rp_filter": {
    group: "addresses",
    why:
      "Strict reverse path filtering drops packets that come in on another network than answers leave by.",
    mend: "sysctl -w net.ipv4.conf.IFACE.rp_filter=2 net.ipv4.conf.all.rp_filter=2",
  },
  "addresses.arp": {
    group: "addresses",
    why: "Some ARP settings keep this host from answering for a VIP, or answer with a wrong MAC.",
    mend: "sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2",
  },
  "firewall.health": {
    group: "firewall",
    why: "The peer reads the health page of this host: if it cannot, this host looks ill.",
    mend: "accept tcp dport http_port from the peer",
  },
  "firewall.ping": {
    group: "firewall",
    why: "The peer pings this host: if it gets no answer, this host looks dead.",
    mend: "accept icmp echo-request from the peer",
  },
  "firewall.arp": {
    group: "firewall",
    why: "Whoever cannot ask for the VIP by ARP cannot reach it.",
    mend: "remove the rule that is named",
  },
  "firewall.ssh": {
    group: "firewall",
    why: "The peer's copies come in through ssh.",
    mend: "accept tcp dport 22 from the peer",
  },
  "firewall.sip": {
    group: "firewall",
    why: "A host that stands by must let phones in the moment it holds the VIP.",
    mend: "accept the SIP port from the phones",
  },
  "database.rights": {
    group: "database",
    why: "A copy is restored into a new database that is then renamed.",
    mend:
      "os_user must be a PostgreSQL superuser with peer authentication (local all postgres peer)",
  },
  "database.peer": {
    group: "database",
    why: "The standby database is made on the other host, with that host's rights.",
    mend: "run relais doctor on the other host",
  },
  "database.return": {
    group: "database",
    why:
      'return = "all" needs a log that can be decoded, and a bound on what a slot may hold of it.',
    mend:
      "on the slave: wal_level = logical and max_slot_wal_keep_size = 2GB in postgresql.conf, then restart PostgreSQL",
  },
  "database.tools": {
    group: "database",
    why: "pg_dump must be of the server's own major version.",
    mend: "apt install postgresql-client-MAJOR",
  },
  "telephony.systemname": {
    group: "telephony",
    why:
      "With different names Asterisk keeps contacts whose TCP, TLS or WebSocket connection died " +
      "with the other host.",
    mend: "the same systemname in [options] of /etc/asterisk/asterisk.conf on both hosts",
  },
  "disk.state": {
    group: "disk",
    why: "Where the state cannot be written, neither the epoch nor a received copy is kept.",
    mend: "make room on the file system that is named",
  },
  "disk.database": {
    group: "disk",
    why: "The new copy of the database stands beside the old one until it is proven.",
    mend: "make room where PostgreSQL keeps its data",
  },
  "disk.files": {
    group: "disk",
    why: "rsync needs room for each file before it replaces the old one.",
    mend: "make room on the file system that is named",
  },
  "disk.peer": {
    group: "disk",
    why: "A full disk on the other host ends the copies.",
    mend: "make room on the other host",
  },
  "services.installed": {
    group: "services",
    why: "A service that is not installed or is masked cannot be started in a takeover.",
    mend: "install it, systemctl unmask it, or correct units in relais.toml",
  },
  "services.gate": {
    group: "services",
    why:
      "Without its gate a service starts at boot or at an upgrade on the host that does not serve.",
    mend: "systemctl restart relais (it puts the gates in place)",
  },
  "services.boot": {
    group: "services",
    why: "A service that systemd starts at boot behind our back answers phones on the wrong host.",
    mend: "systemctl disable UNIT",
  },
  "rivals.software": {
    group: "rivals",
    why: "Two programs that move one VIP fight for it.",
    mend: "systemctl disable --now UNIT",
  },
  "rivals.xivo": {
    group: "rivals",
    why: "XiVO's own HA starts, stops and overwrites what relais looks after.",
    mend: '"node_type": "disabled" in ha.conf, on both hosts; remove its cron jobs',
  },
  "arbiter.endpoints": {
    group: "arbiter",
    why: "Without its etcd nobody can take over, and the one that serves needs its peer's consent.",
    mend: "start etcd there and let port 2379 in; relais arbiter status",
  },
  "arbiter.timing": {
    group: "arbiter",
    why: "A lease much longer than the detection is how long telephones wait after a sudden death.",
    mend: "a shorter ttl in [arbiter], where the way to etcd allows it",
  },
} as const satisfies Readonly<Record<string, Entry>>;

/** Id of a check. */
export type CheckId = keyof typeof CATALOGUE;
