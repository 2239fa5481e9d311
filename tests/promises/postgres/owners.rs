//! Two nodes and one database: one owns it, and nothing of the other one's counts.

use std::process::Command;

use super::*;
use crate::harness::in_time;

fn signal(name: &str, server: &Server) {
    let sent = Command::new("kill").args([&format!("-{name}"), &server.pid().to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()));
}

/// A node that stood still while another one took over. Returns what the checker finds, and how the first node ended,
/// if it did.
async fn stale_owner(address: &str, debug: &str) -> (Vec<String>, Option<i32>) {
    let mut stale = on(address).environment("TANDEM_DEBUG_POSTGRES", debug).start().await;
    let all = conversations(&stale, 2).await;
    let history = History::default();
    let mut lanes = history.send(&all, "stale", false);
    let some = |least: usize| {
        let history = history.clone();
        move || {
            let count = history.count();
            async move { (count >= least).then_some(()) }
        }
    };
    eventually("the first node answers", some(8)).await;
    signal("STOP", &stale);
    let before = history.count();
    let owner = on(address).start().await;
    let elsewhere: Vec<_> = all.iter().map(|both| both.back_at(&owner)).collect();
    lanes.extend(history.send(&elsewhere, "owner", true));
    eventually("the second node answers", some(before + 8)).await;
    signal("CONT", &stale);
    let ended = match debug {
        "" => Some(in_time("the stale node ends", stale.ended()).await.code().expect("not by a signal")),
        _ => {
            eventually("the second node has answered all", some(before + 80)).await;
            None
        }
    };
    if ended.is_some() {
        let logs = stale.logs();
        let last = last_words(&logs);
        assert!(last.contains("another node has taken the database over"), "{logs}");
        assert!(last.contains("find out who started it") && !last.contains("check the disk"), "{logs}");
    }
    for lane in lanes {
        in_time("a lane ends", lane).await.expect("a lane does not panic");
    }
    drop(stale);
    // From the database, not from memory.
    let owner = owner.kill_and_start().await;
    (history.faults(&owner, &all).await, ended)
}

#[tokio::test]
async fn a_node_that_stood_still_while_another_took_over_is_fenced_and_ends() {
    let Some(shared) = Postgres::shared() else { return };
    let (faults, ended) = stale_owner(&shared.database(), "").await;
    assert_eq!(faults, [""; 0]);
    assert_eq!(ended, Some(70));
}

/// The same without the fence: the checker must notice.
#[tokio::test]
async fn the_checker_notices_a_node_without_a_fence() {
    let Some(shared) = Postgres::shared() else { return };
    let (faults, _) = stale_owner(&shared.database(), "unfenced").await;
    assert!(!faults.is_empty());
}

/// The owner that has waited for another one's lease is as safe from later nodes as one that began alone.
#[tokio::test]
async fn a_node_that_took_over_is_not_displaced_while_it_lives() {
    let Some(shared) = Postgres::shared() else { return };
    let address = shared.database();
    let mut stale = on(&address).start().await;
    signal("STOP", &stale);
    let owner = on(&address).start().await;
    let both = Conversation::joined(&owner).await;
    signal("CONT", &stale);
    assert_eq!(in_time("the stale node ends", stale.ended()).await.code(), Some(70));
    let refused = on(&address).refused().await;
    assert!(refused.code == Some(1) && refused.stderr.contains("in use by a node on "), "{refused:?}");
    both.anna.press("/nudge").await.done();
    owner.stop().await;
}

#[tokio::test]
async fn a_second_node_is_refused_while_the_first_one_runs() {
    let Some(shared) = Postgres::shared() else { return };
    let address = shared.database();
    let first = on(&address).start().await;
    let refused = on(&address).refused().await;
    let line = refused.refused_with_one_line();
    assert!(line.contains("in use by a node on ") && line.contains("one node at a time"), "{line}");
    let both = Conversation::joined(&first).await;
    first.stop().await;
    // Released: no lease to wait for.
    let second = on(&address).start().await;
    both.back_at(&second).anna.press("/nudge").await.done();
}
