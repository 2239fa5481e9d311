//! What a node of a fleet refuses to start with.

use super::*;
use crate::harness::server;

#[tokio::test]
async fn settings_of_a_fleet_that_cannot_work_are_refused_with_one_line() {
    let nowhere = "postgres://tandem@127.0.0.1:9/tandem";
    for (setup, told) in [
        (server().set("fleet.enabled", true), "fleet.enabled needs store.engine = \"postgres\""),
        (member(nowhere, "one").set("fleet.listen", "0.0.0.0:8081"), "fleet.address must be set, as \"10.0.0.7:8081\""),
        (
            member(nowhere, "one").set("fleet.address", "0.0.0.0:8081"),
            "but must be an address at which the other nodes reach this one",
        ),
        (member(nowhere, "one").set("fleet.address", "one"), "but must be an address at which the other nodes"),
        (member(nowhere, "one").set("fleet.lease", "1s"), "fleet.lease is \"1s\", but must be 2s to 1m"),
        (member(nowhere, "one").set("fleet.lease", "2m"), "fleet.lease is \"2m\", but must be 2s to 1m"),
        (member(nowhere, "one").unset("auth.hs256_secret"), "needs auth.hs256_secret or auth.jwks_url"),
        (member(nowhere, "one").unset("realtime.embedded.keys"), "needs realtime.embedded.keys"),
        (member(nowhere, "one"), "cannot be reached"),
    ] {
        let refused = setup.refused().await;
        let line = refused.refused_with_one_line();
        assert!(line.contains(told), "{told}: {line}");
    }
}

#[tokio::test]
async fn a_node_that_does_not_belong_to_the_fleet_of_a_database_is_refused() {
    let Some(shared) = Postgres::shared() else { return };
    let address = shared.database();
    let alone = on(&address).start().await;
    let refused = member(&address, "two").refused().await;
    let line = refused.refused_with_one_line();
    assert!(line.contains("which has no [fleet]") && line.contains("stop that node"), "{line}");
    alone.stop().await;

    let first = member(&address, "one").start().await;
    super::super::ready(&first).await;
    let refused = on(&address).refused().await;
    assert!(refused.stderr.contains("in use by a node on one that started at"), "{}", refused.stderr);
    let other_keys = KEYS.replace("the same for all nodes", "another secret");
    for (setting, other) in
        [("auth.hs256_secret", "another secret that is long enough for HS256"), ("realtime.embedded.keys", &other_keys)]
    {
        let refused = member(&address, "two").set(setting, other).refused().await;
        let line = refused.refused_with_one_line();
        assert!(line.contains("has other secrets") && !line.contains("another secret"), "{setting}: {line}");
    }
    let both = Conversation::joined(&first).await;
    both.anna.press("/nudge").await.done();
}
