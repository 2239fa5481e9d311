//! Tandem on PostgreSQL, beside the transaction with a row lock that many would write instead; and what it costs to
//! pass commands on within a fleet. The server is started privately with its defaults, which sync each transaction.

use tandem_testing::postgres::Postgres;

use super::{
    args::Args,
    driver::Driver,
    node::{Node, SECRET, data_directory},
    peers::{Figures, Peer, in_turns},
    rooms::NodeServer,
    targets::Targets,
    world,
};

const CONNECTIONS: usize = 64;

/// Compares durable commands over HTTP on the same PostgreSQL server.
pub fn on_postgres(args: &Args, targets: &mut Targets) {
    let Some(server) = Postgres::start() else { return };
    let sessions = args.pick(1_000, 100);
    println!(
        "\nSaving a draft on PostgreSQL: {sessions} sessions, {CONNECTIONS} connections, {} rounds\n",
        args.rounds()
    );
    let arguments = [server.database(), SECRET.to_owned(), sessions.to_string()];
    let Some(locking) = NodeServer::start("postgres.mjs", &arguments) else {
        println!("skipped: node and npm are not installed, or `npm ci` in benches/node fails");
        return;
    };
    let (_directory, data) = data_directory("postgres");
    let url = server.database();
    let alone = Node::start(&data, "postgres", &[("STORE__URL", &url)]);
    let world_alone = world::sessions_in_stage_two(alone.address, sessions);
    let fleet = Fleet::start(&server.database());
    let world_fleet = world::sessions_in_stage_two(fleet.owner.address, sessions);

    // The server's own CPU time is left out: its processes come and go.
    let peers = [
        Peer::saving("node + postgres", locking.address, locking.pid(), sessions),
        Peer::tandem("tandem", &alone, &world_alone),
        Peer::tandem("tandem, a fleet's owner", &fleet.owner, &world_fleet),
        Peer::passing("tandem, passed on by another node", &fleet.owner, &fleet.other, &world_fleet),
    ];
    let figures = in_turns(&peers, Driver::find(), CONNECTIONS, args);
    let mut table = Figures::table(&["x postgres"]);
    for (peer, one) in peers.iter().zip(&figures) {
        table.row(one.cells(CONNECTIONS, peer, [figures.first()]));
    }
    table.print();

    let [locking, alone, owner, passing] = figures[..] else { return };
    targets.at_least("times node + postgres", alone.rate / locking.rate, 5.0, "");
    targets.at_most("transactions a command on PostgreSQL", alone.flushes.unwrap_or(f64::NAN), 0.05, "");
    // With three nodes, a load balancer sends two of three commands to nodes that pass them on.
    let average = (owner.cpu + 2 * passing.cpu).as_secs_f64() / 3.0;
    targets.at_most("CPU a command in a fleet of three, in one node's", average / alone.cpu.as_secs_f64(), 1.5, "");
}

/// Two nodes on one database.
struct Fleet {
    owner: Node,
    other: Node,
    _directory: tempfile::TempDir,
}

impl Fleet {
    fn start(database: &str) -> Self {
        let (directory, data) = data_directory("fleet");
        let start = |name: &str| {
            Node::start(
                &data.with_file_name(name),
                "postgres",
                &[
                    ("STORE__URL", database),
                    ("FLEET__ENABLED", "true"),
                    ("FLEET__NAME", name),
                    ("FLEET__LISTEN", "127.0.0.1:0"),
                    ("REALTIME__EMBEDDED__KEYS", r#"[{name="bench.key",secret="a secret for benches only"}]"#),
                ],
            )
        };
        // The first one owns the database.
        Self { owner: start("owner"), other: start("other"), _directory: directory }
    }
}
