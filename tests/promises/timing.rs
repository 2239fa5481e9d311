//! How long a stranger waits for 404: for a session of others as long as for one that does not exist. A figure for
//! the handbook, by hand; the machine's load decides how exact it is. `TANDEM_TIMING_ROUNDS` makes it longer.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use crate::harness::{Conversation, server};

/// A connection of the stranger.
struct Stranger {
    socket: TcpStream,
    token: String,
}

impl Stranger {
    /// The time until the whole answer, which has to be 404.
    fn ask(&mut self, session: &str) -> Duration {
        let Self { socket, token } = self;
        let request = format!(
            "GET /api/v1/sessions/{session}/state HTTP/1.1\r\nhost: tandem\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        let begun = Instant::now();
        socket.write_all(request.as_bytes()).expect("the server listens");
        let (mut answer, mut part) = (Vec::new(), [0; 4096]);
        loop {
            let read = socket.read(&mut part).expect("the server answers");
            answer.extend_from_slice(&part[..read]);
            // The body is JSON, and ends with its brace.
            if answer.ends_with(b"}") {
                break;
            }
        }
        let took = begun.elapsed();
        assert!(answer.starts_with(b"HTTP/1.1 404"), "{}", String::from_utf8_lossy(&answer));
        took
    }
}

/// How often a time of `those` is longer than one of `these`: 0.5 if they cannot be told apart.
fn share_of_longer(these: &[Duration], those: &[Duration]) -> f64 {
    let mut sorted = these.to_vec();
    sorted.sort_unstable();
    let below: usize = those.iter().map(|time| sorted.partition_point(|one| one < time)).sum();
    let upto: usize = those.iter().map(|time| sorted.partition_point(|one| one <= time)).sum();
    (below + upto) as f64 / 2.0 / (these.len() as f64 * those.len() as f64)
}

#[tokio::test]
#[ignore = "a figure, by hand"]
async fn a_session_of_others_takes_as_long_as_one_that_does_not_exist() {
    let rounds: usize = std::env::var("TANDEM_TIMING_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(20_000);
    let server = server().start().await;
    let both = Conversation::joined(&server).await;
    let there_is = both.session.clone();
    let token = server.partner("Eve").token;
    let address = server.host().to_owned();
    let measured = tokio::task::spawn_blocking(move || {
        let socket = TcpStream::connect(address).expect("the server accepts");
        socket.set_nodelay(true).expect("a socket");
        let mut stranger = Stranger { socket, token };
        let (mut there, mut nowhere) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            // Each id that does not exist is a new one, in turns who is first.
            let missing = format!("c{round:024}");
            if round % 2 == 0 {
                there.push(stranger.ask(&there_is));
                nowhere.push(stranger.ask(&missing));
            } else {
                nowhere.push(stranger.ask(&missing));
                there.push(stranger.ask(&there_is));
            }
        }
        (there, nowhere)
    });
    let (there, nowhere) = measured.await.expect("no panic");
    let median = |times: &[Duration]| {
        let mut sorted = times.to_vec();
        sorted.sort_unstable();
        sorted[sorted.len() / 2]
    };
    let (longer, noise) = (share_of_longer(&nowhere, &there), share_of_longer(&halves(&there).0, &halves(&there).1));
    let said = format!(
        "{rounds} rounds: of others {:?}, missing {:?}; {longer:.4} of the pairs longer, {noise:.4} within one kind\n",
        median(&there),
        median(&nowhere)
    );
    std::io::stderr().write_all(said.as_bytes()).expect("written");
    assert!((longer - 0.5).abs() < 0.05, "{said}");
}

/// Two halves, each with as many that came first in their round as second.
fn halves(times: &[Duration]) -> (Vec<Duration>, Vec<Duration>) {
    let (even, odd): (Vec<_>, Vec<_>) = times.iter().enumerate().partition(|(index, _)| index % 4 < 2);
    let plain = |part: Vec<(usize, &Duration)>| part.into_iter().map(|(_, time)| *time).collect();
    (plain(even), plain(odd))
}
