//! Any node can be asked.

use reqwest::Method;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;
use crate::harness::{Console, Realtime, http_from, run, text};
use tandem_testing::postgres::PASSWORD;

#[tokio::test]
async fn commands_sent_to_any_node_change_the_same_sessions() {
    let Some(shared) = Postgres::shared() else { return };
    let fleet = Fleet::start(&shared.database(), "").await;
    let both = Conversation::joined(fleet.node(2)).await;
    both.anna.back_at(fleet.node(0)).sign().await.done();
    both.ben.back_at(fleet.node(1)).sign().await.done();
    let mut seen = Vec::new();
    for node in 0..3 {
        let there = both.back_at(fleet.node(node));
        seen.push((there.anna.events().await, there.ben.read("/state").await.ok()));
    }
    assert!(seen.iter().all(|view| *view == seen[0]), "{seen:?}");

    let owner = fleet.owner().await;
    for node in 0..3 {
        let server = fleet.node(node);
        assert_eq!(fleet.status(server, "/health").await.as_deref(), Some("ok"));
        let ready = fleet.ask(server, "/ready").await.expect("it answers").json();
        let owns = format!("tandem_fleet_owner {}", u8::from(node == owner));
        let metrics = fleet.ask(server, "/metrics").await.expect("it answers").body;
        assert!(metrics.lines().any(|line| line == owns), "{owns}: {metrics}");
        if node == owner {
            assert_eq!(ready["data"]["status"], "ready");
        } else {
            assert_eq!(ready["data"]["status"], "standby");
            assert_eq!(ready["data"]["owner"], NAMES[owner]);
        }
    }
    drop(fleet);
}

/// Also after one of them was killed.
#[tokio::test]
async fn the_nodes_of_a_fleet_are_listed_with_their_owner() {
    let Some(shared) = Postgres::shared() else { return };
    let address = shared.database();
    let environment = [
        ("TANDEM__STORE__ENGINE", "postgres"),
        ("TANDEM__STORE__URL", &*address),
        ("TANDEM__STORE__PASSWORD", PASSWORD),
    ];
    let alone = on(&address).start().await;
    let refused = run(&["fleet"], &environment).await;
    let line = refused.refused_with_one_line();
    assert!(line.contains("no fleet has used it") && line.contains("fleet.enabled"), "{line}");
    alone.stop().await;
    let refused = run(&["fleet"], &[]).await;
    assert!(refused.refused_with_one_line().contains("store.engine must be \"postgres\""), "{refused:?}");

    let mut fleet = Fleet::start(&address, "").await;
    let killed = fleet.owner().await;
    drop(fleet.take(killed).kill());
    let owner = fleet.owner().await;
    let console = Console::sign_in(fleet.node(owner)).await;
    let listed = run(&["fleet"], &environment).await;
    let page = console.get("/console").await.body;
    for node in (0..3).filter(|node| *node != killed) {
        let role = if node == owner { "owner" } else { "stands by" };
        let line = listed.stdout.lines().find(|line| line.starts_with(NAMES[node])).unwrap_or_default();
        assert!(line.contains(role) && line.contains("127.0.0.1:"), "{listed:?}");
        assert!(page.contains(NAMES[node]), "{page}");
    }
    assert!(page.contains("owns the database") && page.contains("stands by"), "{page}");
}

#[tokio::test]
async fn partners_at_different_nodes_hear_each_other() {
    let Some(shared) = Postgres::shared() else { return };
    let fleet = Fleet::start(&shared.database(), "").await;
    let owner = fleet.owner().await;
    let (first, second) = ((owner + 1) % 3, (owner + 2) % 3);
    let both = Conversation::at_stage(fleet.node(owner), 1).await;
    let (anna, ben) = (both.anna.back_at(fleet.node(first)), both.ben.back_at(fleet.node(second)));
    let mut socket = Realtime::connect(&anna).await;
    socket.attach(&both.session).await;
    socket.enter(&both.session).await;
    let token = text(&Realtime::token(&ben).await["token"]);
    let path = format!("/sse?v=1.2&channels=meetwithoutfear:session:{}&accessToken={token}", both.session);
    let mut listening = Request::new(Method::GET, &ben.origin, &path).send_raw().await;
    assert_eq!(listening.status(), 200);
    ben.feel_heard().await.done();
    anna.feel_heard().await.done();
    socket.message(&both.session, "partner.stage_completed").await;
    let mut heard = String::new();
    let hears = async {
        while !heard.contains("partner.stage_completed") {
            let piece = listening.chunk().await.expect("the stream goes on").expect("the stream goes on");
            heard.push_str(&String::from_utf8_lossy(&piece));
        }
    };
    in_time("the stream brings the event", hears).await;
}

/// The owner counts a client by its own address, whichever node it is connected to.
#[tokio::test]
async fn limits_by_address_count_the_client_and_not_the_node_that_passes_it_on() {
    let Some(shared) = Postgres::shared() else { return };
    let fleet = Fleet::start(&shared.database(), "").await;
    let both = Conversation::invited(fleet.node(0)).await;
    let other = fleet.node(fleet.other().await);
    let path = format!("/api/v1/invitations/{}", both.invitation);
    let (eve, honest) = (http_from(), http_from());
    let look = |client: &reqwest::Client| Request::with(client, Method::GET, &other.origin, &path).send();
    for _ in 0..10 {
        look(&eve).await.ok();
    }
    look(&eve).await.refused(429, "RATE_LIMITED");
    look(&honest).await.ok();
}

/// The port for the other nodes takes nothing else, so that nobody can claim to be somebody else's address.
#[tokio::test]
async fn the_port_for_other_nodes_serves_nobody_else() {
    let Some(shared) = Postgres::shared() else { return };
    let fleet = Fleet::start(&shared.database(), "").await;
    let forged: &[u8] =
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x01\x02\x03\x04\x7f\0\0\x01\x10\0\x20\0GET /health HTTP/1.1\r\n\r\n";
    for node in 0..3 {
        let server = fleet.node(node);
        let line = server.logged(&["this node is one of a fleet", "address="]).await;
        let address = line.split("address=").nth(1).unwrap().split(' ').next().unwrap().trim_matches('"').to_owned();
        for sent in [&b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"[..], forged] {
            let mut stream = TcpStream::connect(&address).await.unwrap();
            let asked = async {
                let _sent = stream.write_all(sent).await;
                let mut answer = Vec::new();
                let _ended = stream.read_to_end(&mut answer).await;
                answer
            };
            assert_eq!(in_time("the node hangs up", asked).await, b"", "node {node}");
        }
    }
}

/// Each node shows its own certificate, and reads it again.
#[tokio::test]
async fn nodes_that_stand_by_speak_tls_themselves() {
    let Some(shared) = Postgres::shared() else { return };
    let address = shared.database();
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    let install = |name: &str| {
        let from = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/promises/harness/tls");
        std::fs::copy(from.join(format!("{name}.pem")), path("chain.pem")).unwrap();
        std::fs::copy(from.join(format!("{name}.key.pem")), path("key.pem")).unwrap();
    };
    install("one");
    let encrypted = |name: &str| {
        let setup = member(&address, name).set("server.tls.certificate", path("chain.pem").display());
        setup.set("server.tls.key", path("key.pem").display())
    };
    let client_of = || {
        let client = tandem::tls::http_client().no_proxy().pool_max_idle_per_host(0).tls_info(true);
        client.tls_danger_accept_invalid_certs(true).build().unwrap()
    };
    let probe = client_of();
    let says = |server: &Server| Request::with(&probe, Method::GET, &server.origin, "/ready").send();
    let first = encrypted("one").start().await;
    eventually("the first node owns the database", || async {
        says(&first).await.body.contains("\"ready\"").then_some(())
    })
    .await;
    let second = encrypted("two").start().await;
    let answer = says(&second).await;
    assert!(second.origin.starts_with("https://") && answer.body.contains("\"standby\""), "{}", answer.body);
    let anna = second.partner("Anna");
    let sessions = || Request::with(&probe, Method::GET, &second.origin, "/api/v1/sessions").bearer(&anna.token);
    sessions().send().await.ok();

    let shown = async || {
        // A client that comes back would not ask for the certificate again.
        let answer = client_of().get(format!("{}/health", second.origin)).send().await.unwrap();
        answer.extensions().get::<reqwest::tls::TlsInfo>().unwrap().peer_certificate().unwrap().to_vec()
    };
    let before = shown().await;
    install("two");
    second.hang_up();
    eventually("the renewed certificate is shown", || async { (shown().await != before).then_some(()) }).await;
}
