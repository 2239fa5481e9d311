//! Stored answers go when they have been kept long enough, no matter whose they are, and no younger one does.

use bytes::Bytes;
use tandem_actors::{
    CommandReply, IdempotencyKey,
    domain::{Command, time::Timestamp},
    idempotency::StoredAnswer,
    keys,
    ports::Clock,
};

use crate::world::{Options, World, caller, eventually, id, run};

const HOUR: i64 = 3_600_000;

fn key(number: u8) -> IdempotencyKey {
    IdempotencyKey { digest: [number; 32], request: [0; 32] }
}

fn stored(number: u8, at: Timestamp) -> (StoredAnswer, IdempotencyKey) {
    let reply = CommandReply { created: false, data: Bytes::from_static(b"{}"), replayed: false };
    (StoredAnswer::without_session(&key(number), &reply, at), key(number))
}

#[test]
fn stored_answers_are_deleted_after_a_day_also_those_of_earlier_versions() {
    run(async {
        let world = World::new(Options::default());
        let now = world.clock.now();
        let ago = |hours: i64| Timestamp::from_millis(now.as_millis() - hours * HOUR);
        let ann = id("ann");
        let mut changes = Vec::new();
        for (number, hours) in [(1, 30), (2, 2), (3, 25)] {
            let (answer, key) = stored(number, ago(hours));
            changes.push(answer.change(&ann, &key));
            // The first two were stored before answers could be found by time.
            if number == 3 {
                changes.push(answer.change_by_time(&ann, &key));
            }
        }
        // A key that was used again: what says that it is old is about the earlier use.
        let (earlier, again) = stored(4, ago(40));
        changes.extend([earlier.change_by_time(&ann, &again), stored(4, ago(1)).0.change(&ann, &again)]);
        world.journal.write(changes).await.expect("written");
        let session = world.active_session().await;
        world.coordinator.execute(&session, caller("ann"), Command::SignCompact, Some(key(5))).await.expect("signed");

        let house = actix::spawn(world.coordinator.clone().run_maintenance());
        let left = || {
            let rows = world.store.rows_under(&keys::idempotent_answers());
            rows.iter().filter_map(|(key, _)| key.as_bytes().last().copied()).collect::<Vec<_>>()
        };
        eventually("what is old goes", || left() == [2, 4, 5]).await;
        eventually("and what found it", || world.store.rows_under(&keys::answers_by_time()).len() == 3).await;
        house.abort();

        world.coordinator.erase(caller("ann")).await.expect("erased");
        assert_eq!(left(), [0_u8; 0], "with the account");
        assert!(world.store.rows_under(&keys::answers_by_time()).is_empty(), "and nothing that names the user");
    });
}
