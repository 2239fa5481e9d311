use std::{cell::RefCell, rc::Rc};

use futures_util::FutureExt;

use super::*;

fn admission(requests: usize, per_user: usize, requests_waiting: usize) -> Arc<Admission> {
    Admission::new(&LimitSettings {
        requests,
        requests_waiting,
        requests_per_user: per_user,
        requests_per_user_waiting: 6,
        request_patience: Duration::from_millis(200),
        ..LimitSettings::default()
    })
}

#[actix_web::test]
async fn a_user_with_many_requests_delays_only_themselves() {
    let admission = admission(3, 2, 10);
    let first = [admission.enter("flood").await.unwrap(), admission.enter("flood").await.unwrap()];
    let order = Rc::new(RefCell::new(Vec::new()));
    let ask = |user: &'static str| {
        let (admission, order) = (admission.clone(), order.clone());
        actix_web::rt::spawn(async move {
            let slot = admission.enter(user).await.unwrap();
            order.borrow_mut().push(user);
            tokio::task::yield_now().await;
            drop(slot);
        })
    };
    let floods: Vec<_> = (0..6).map(|_| ask("flood")).collect();
    tokio::task::yield_now().await;
    for other in [ask("one"), ask("two"), ask("three")] {
        other.await.unwrap();
    }
    assert_eq!(*order.borrow(), ["one", "two", "three"], "the share of the first is used up");
    drop(first);
    for flood in floods {
        flood.await.unwrap();
    }
    assert_eq!((order.borrow().len(), admission.load()), (9, (0, 0)));
    assert!(admission.queue.lock().is_empty());
}

#[actix_web::test]
async fn one_of_many_users_runs_few_requests_at_a_time() {
    let admission = Admission::new(&LimitSettings::default());
    let mut flood = Vec::new();
    for _ in 0..32 {
        flood.push(admission.enter("flood").await.unwrap());
    }
    assert_eq!(admission.load(), (32, 0), "nobody else is there");
    drop(flood);
    let mut others = Vec::new();
    for other in ["one", "two", "three", "four"] {
        others.push(admission.enter(other).await.unwrap());
    }
    let flood: Vec<_> = (0..32).map(|_| ask(&admission, "flood")).collect();
    tokio::task::yield_now().await;
    assert_eq!(admission.load(), (8, 28));
    assert!(!admission.queue.lock().concurrency.was_reached(), "the node could run more");
    drop(others);
    for request in flood {
        request.await.unwrap().map(drop).unwrap();
    }
    assert!(admission.queue.lock().is_empty());
}

/// Requests are so slow that as few run as possible.
fn make_busy(admission: &Admission) {
    let mut now = Instant::now();
    while admission.limit() > 16 {
        now += Duration::from_millis(100);
        let concurrency = &mut admission.queue.lock().concurrency;
        concurrency.reached();
        (0..16).for_each(|_| concurrency.record(Duration::from_millis(400), now));
    }
}

#[actix_web::test]
async fn users_who_came_a_moment_ago_count_as_well() {
    let admission = Admission::new(&LimitSettings::default());
    for other in ["one", "two", "three", "four"] {
        drop(admission.enter(other).await.unwrap());
    }
    let flood: Vec<_> = (0..32).map(|_| ask(&admission, "flood")).collect();
    tokio::task::yield_now().await;
    assert_eq!(admission.load(), (4, 28));
    for request in flood {
        request.await.unwrap().map(drop).unwrap();
    }
}

#[actix_web::test]
async fn one_of_many_users_runs_one_request_at_a_time_while_the_machine_is_busy() {
    let admission = Admission::new(&LimitSettings::default());
    make_busy(&admission);
    let mut others = Vec::new();
    for other in ["one", "two", "three"] {
        others.push(admission.enter(other).await.unwrap());
    }
    let flood: Vec<_> = (0..8).map(|_| ask(&admission, "flood")).collect();
    tokio::task::yield_now().await;
    assert_eq!(admission.load(), (7, 4), "four users are few");
    others.push(admission.enter("four").await.unwrap());
    let mut flood = flood.into_iter();
    for running in flood.by_ref().take(4) {
        running.await.unwrap().map(drop).unwrap();
    }
    tokio::task::yield_now().await;
    assert_eq!(admission.load(), (5, 3));
    for request in flood {
        request.await.unwrap().map(drop).unwrap();
    }
}

#[actix_web::test]
async fn users_take_turns() {
    let admission = admission(1, 1, 10);
    let running = admission.enter("first").await.unwrap();
    let order = Rc::new(RefCell::new(Vec::new()));
    let mut asking = Vec::new();
    for user in ["a", "a", "a", "b", "c"] {
        let (admission, order) = (admission.clone(), order.clone());
        asking.push(actix_web::rt::spawn(async move {
            let _slot = admission.enter(user).await.unwrap();
            order.borrow_mut().push(user);
        }));
        tokio::task::yield_now().await;
    }
    // The only slot is taken, so all five requests wait.
    drop(running);
    for asked in asking {
        asked.await.unwrap();
    }
    assert_eq!(*order.borrow(), ["a", "b", "c", "a", "a"]);
}

#[actix_web::test]
async fn a_request_that_waits_too_long_is_refused() {
    let admission = admission(1, 1, 1);
    let _running = admission.enter("one").await.unwrap();
    let waiting = {
        let admission = admission.clone();
        actix_web::rt::spawn(async move { admission.enter("two").await.err() })
    };
    tokio::task::yield_now().await;
    assert_eq!(admission.enter("three").await.err(), Some(Overload::Node), "as many wait as may");
    assert_eq!(admission.enter("one").await.err(), Some(Overload::User));
    assert_eq!(waiting.await.unwrap(), Some(Overload::Node), "after its patience");
}

fn ask(admission: &Arc<Admission>, user: &'static str) -> actix_web::rt::task::JoinHandle<Result<Slot, Overload>> {
    let admission = admission.clone();
    actix_web::rt::spawn(async move { admission.enter(user).await })
}

#[actix_web::test]
async fn a_full_queue_refuses_the_user_with_the_most_requests() {
    let admission = admission(1, 1, 4);
    let running = admission.enter("first").await.unwrap();
    let mut flood: Vec<_> = (0..4).map(|_| ask(&admission, "flood")).collect();
    tokio::task::yield_now().await;
    let other = ask(&admission, "other");
    tokio::task::yield_now().await;
    assert_eq!(flood.pop().unwrap().await.unwrap().err(), Some(Overload::Node), "its newest makes room");
    assert_eq!(admission.load(), (1, 4));
    drop(running);
    other.await.unwrap().map(drop).unwrap();
    for request in flood {
        request.await.unwrap().map(drop).unwrap();
    }
    assert!(admission.queue.lock().is_empty());
}

#[actix_web::test]
async fn a_cancelled_request_frees_its_place() {
    let admission = admission(1, 1, 4);
    let running = admission.enter("first").await.unwrap();
    let waiting = ask(&admission, "second");
    tokio::task::yield_now().await;
    assert_eq!(admission.load(), (1, 1));
    waiting.abort();
    let _ = waiting.await;
    assert_eq!(admission.load(), (1, 0), "while it waits");
    let told = ask(&admission, "third");
    tokio::task::yield_now().await;
    drop(running);
    assert_eq!(admission.load(), (1, 0), "the third has been told");
    told.abort();
    let _ = told.await;
    assert_eq!(admission.load(), (0, 0), "and never took it up");
    assert!(admission.queue.lock().is_empty());
}

#[actix_web::test]
async fn while_more_arrive_than_can_be_served_the_newest_are_served_first() {
    let admission = Admission::new(&LimitSettings {
        requests: 1,
        requests_per_user: 1,
        requests_waiting: 3,
        ..LimitSettings::default()
    });
    let running = admission.enter("first").await.unwrap();
    let order = Rc::new(RefCell::new(Vec::new()));
    let mut asking = Vec::new();
    for user in ["a", "b", "c", "d", "d", "e"] {
        let (admission, order) = (admission.clone(), order.clone());
        asking.push(actix_web::rt::spawn(async move {
            match admission.enter(user).await {
                Ok(_slot) => order.borrow_mut().push(user),
                Err(_) => order.borrow_mut().push("refused"),
            }
        }));
        tokio::task::yield_now().await;
    }
    drop(running);
    for asked in asking {
        asked.await.unwrap();
    }
    assert_eq!(*order.borrow(), ["refused", "refused", "refused", "e", "d", "c"]);
}

#[actix_web::test]
async fn an_early_retry_is_delayed_and_refused_while_the_queue_is_full() {
    let bounds = LimitSettings { requests: 1, requests_waiting: 1, ..LimitSettings::default() };
    let admission = Admission::new(&bounds);
    let is_held = |user| admission.refuse_early_retry(user).now_or_never().is_none();
    let running = admission.enter("first").await.unwrap();
    let second = ask(&admission, "second");
    tokio::task::yield_now().await;
    assert!(!is_held("second"));
    let third = ask(&admission, "third");
    assert_eq!(second.await.unwrap().err(), Some(Overload::Node), "it has waited for longest");
    assert!(is_held("second") && !is_held("fourth"), "others are not concerned");
    assert_eq!(admission.refuse_early_retry("second").await, Err(Overload::Node), "after the delay");
    assert_eq!(admission.refuse_early_retry("second").await, Ok(()), "this one is in time");
    let second = ask(&admission, "second");
    assert_eq!(third.await.unwrap().err(), Some(Overload::Node));
    drop(running);
    second.await.unwrap().map(drop).unwrap();
    assert!(!is_held("third"), "there is room again");
}

#[actix_web::test]
async fn others_run_in_the_place_of_a_stuck_request() {
    let admission = Admission::new(&LimitSettings::default());
    let users: Vec<String> = (0..16).map(|user| format!("user {user}")).collect();
    make_busy(&admission);
    let mut stuck = Vec::new();
    for user in &users {
        stuck.push(admission.enter(user).await.unwrap());
    }
    let waiting = ask(&admission, "other");
    tokio::task::yield_now().await;
    assert_eq!(admission.load(), (16, 1));
    let slot = waiting.await.unwrap().expect("it runs before its patience ends");
    assert_eq!(admission.load(), (17, 0));
    drop((slot, stuck));
    assert_eq!(admission.load(), (0, 0));
    assert!(admission.queue.lock().is_empty());
}
