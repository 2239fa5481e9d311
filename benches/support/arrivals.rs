//! Load that arrives at a fixed rate. Each user has a connection and taps at random moments (a Poisson process). The
//! latency of an answer counts from the moment when the tap was due, so a slow server cannot hide its delays.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::load::{Connection, block_on};

/// What one user taps: two requests in turn, the second when the first was admitted.
pub struct Tap {
    requests: [Vec<u8>; 2],
    next: Cell<usize>,
}

impl Tap {
    pub fn new(requests: [Vec<u8>; 2]) -> Self {
        Self { requests, next: Cell::new(0) }
    }
}

#[derive(Default)]
pub struct Outcome {
    during: Duration,
    /// Sorted latencies of admitted requests.
    latencies: Vec<Duration>,
    /// Admitted requests of each user.
    of_user: Vec<u64>,
    /// Answers 503 and 429.
    pub refused: u64,
    /// Other answers than these, and connections that broke.
    pub failed: u64,
    /// Taps that were due while their user still waited.
    pub held_back: u64,
}

impl Outcome {
    pub fn admitted(&self) -> u64 {
        self.latencies.len() as u64
    }

    pub fn sent(&self) -> u64 {
        self.admitted() + self.refused + self.failed
    }

    pub fn rate(&self, requests: u64) -> f64 {
        requests as f64 / self.during.as_secs_f64()
    }

    pub fn quantile(&self, q: f64) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get((last as f64 * q).round() as usize).copied().unwrap_or_default()
    }

    /// How far the admitted requests of tenths of the users are from the mean, at most, as a part of it. Single users
    /// have too few requests for chance not to matter.
    pub fn unevenness(&self) -> f64 {
        let tenth = self.of_user.len().div_ceil(10);
        let mean = self.admitted() as f64 / self.of_user.len() as f64;
        let share = |users: &[u64]| users.iter().sum::<u64>() as f64 / users.len() as f64;
        self.of_user.chunks(tenth).map(|users| (share(users) / mean - 1.0).abs()).fold(0.0, f64::max)
    }
}

#[derive(Clone, Copy)]
pub enum Rate {
    /// Taps a second of all users together.
    Fixed(f64),
    /// Each user taps as soon as the last answer is there.
    OnAnswer,
}

pub fn drive(address: SocketAddr, taps: &[Tap], rate: Rate, during: Duration) -> Outcome {
    let outcome = RefCell::new(Outcome { during, of_user: vec![0; taps.len()], ..Outcome::default() });
    block_on(async {
        let mut open = Vec::new();
        for _ in taps {
            open.push(Connection::open(address).await.expect("the node accepts connections"));
        }
        let begin = Instant::now();
        let end = begin + during;
        let users_count = taps.len() as f64;
        let users = open.into_iter().zip(taps).enumerate().map(|(user, (connection, tap))| {
            let outcome = &outcome;
            async move {
                let mut random = StdRng::seed_from_u64(user as u64);
                let mut connection = Some(connection);
                let mut due = begin;
                loop {
                    match rate {
                        Rate::OnAnswer => due = Instant::now(),
                        Rate::Fixed(rate) => {
                            let chance: f64 = random.random_range(f64::MIN_POSITIVE..1.0);
                            let answered = Instant::now();
                            due += Duration::from_secs_f64(-chance.ln() * users_count / rate);
                            if due < answered && due < end {
                                outcome.borrow_mut().held_back += 1;
                                continue;
                            }
                        }
                    }
                    if due >= end {
                        break;
                    }
                    tokio::time::sleep_until(due.into()).await;
                    tap_once(address, &mut connection, tap, user, due, outcome).await;
                }
            }
        });
        futures_util::future::join_all(users).await;
    });
    let mut outcome = outcome.into_inner();
    outcome.latencies.sort_unstable();
    outcome
}

/// Taps once, and returns the time until the answer, if the tap was admitted.
pub fn tap_now(address: SocketAddr, tap: &Tap) -> Option<Duration> {
    let outcome = RefCell::new(Outcome { of_user: vec![0], ..Outcome::default() });
    block_on(tap_once(address, &mut None, tap, 0, Instant::now(), &outcome));
    outcome.into_inner().latencies.pop()
}

async fn tap_once(
    address: SocketAddr,
    connection: &mut Option<Connection>,
    tap: &Tap,
    user: usize,
    due: Instant,
    outcome: &RefCell<Outcome>,
) {
    let request = &tap.requests[tap.next.get()];
    // The node closes connections that are idle for long, with a 408 if there was no request yet. Clients then open
    // another one.
    let on_open = match connection {
        Some(open) => open.status(request).await.ok().filter(|status| *status != 408),
        None => None,
    };
    let status = match on_open {
        Some(status) => Ok(status),
        None => match Connection::open(address).await {
            Ok(open) => connection.insert(open).status(request).await,
            Err(error) => Err(error),
        },
    };
    let outcome = &mut *outcome.borrow_mut();
    match status {
        Ok(200..300) => {
            tap.next.set(1 - tap.next.get());
            outcome.latencies.push(due.elapsed());
            outcome.of_user[user] += 1;
        }
        Ok(429 | 503) => outcome.refused += 1,
        Ok(_) => outcome.failed += 1,
        Err(_) => {
            outcome.failed += 1;
            *connection = None;
        }
    }
}
