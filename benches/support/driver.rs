//! The load generator: `wrk` where it is installed, else the closed loop of [`super::load`].

use std::{io::Write, net::SocketAddr, path::Path, process::Command, time::Duration};

use super::load;

/// The figures of one run.
#[derive(Clone, Copy)]
pub struct Run {
    /// Requests that were answered in time. All answers were 2xx.
    pub answered: u64,
    pub rate: f64,
    pub p50: Duration,
    pub p99: Duration,
}

#[derive(Clone, Copy)]
pub enum Driver {
    Wrk,
    BuiltIn,
}

impl Driver {
    /// Chooses the load generator, and prints a note if `wrk` is missing.
    pub fn find() -> Self {
        // `wrk --version` ends with exit status 1, so the status is ignored.
        if Command::new("wrk").arg("--version").output().is_ok() {
            return Self::Wrk;
        }
        println!("\nwrk is not installed (Debian: apt install wrk): the built-in driver takes its place");
        Self::BuiltIn
    }

    /// Runs a closed loop on each connection: the next request follows the answer to the last.
    pub fn run(self, address: SocketAddr, connections: usize, requests: &[Vec<u8>], seconds: Duration) -> Run {
        match self {
            Self::Wrk => wrk(address, connections, requests, seconds),
            Self::BuiltIn => built_in(address, connections, requests, seconds),
        }
    }
}

fn built_in(address: SocketAddr, connections: usize, requests: &[Vec<u8>], seconds: Duration) -> Run {
    let next = |connection: usize, n: usize| {
        let scattered = (connection + n * connections).wrapping_mul(7919);
        &*requests[scattered % requests.len()]
    };
    let measured = load::drive(address, connections, Duration::ZERO, seconds, next);
    assert_eq!(measured.refused, 0, "every request must succeed");
    let (p50, p99) = (measured.quantile(0.5), measured.quantile(0.99));
    Run { answered: measured.answered, rate: measured.rate(), p50, p99 }
}

fn wrk(address: SocketAddr, connections: usize, requests: &[Vec<u8>], seconds: Duration) -> Run {
    let mut file = tempfile::NamedTempFile::new().expect("a file for the requests");
    file.write_all(&requests.join(&0)).expect("the requests are written");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/support/wrk.lua");
    let output = Command::new("wrk")
        .args(["-t1", "-c", &connections.to_string()])
        .args(["-d", &format!("{}s", seconds.as_secs().max(1)), "--timeout", "10s", "-s"])
        .arg(script)
        .args([&format!("http://{address}"), "--"])
        .arg(file.path())
        .output()
        .expect("wrk runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("measured "));
    let numbers: Vec<u64> =
        line.map(|line| line.split(' ').map(|n| n.parse().expect("a number")).collect()).unwrap_or_default();
    let [answered, micros, failed, p50, p99] = numbers[..] else { panic!("wrk said:\n{text}") };
    assert_eq!(failed, 0, "every request must succeed");
    let rate = answered as f64 / (micros as f64 / 1e6);
    Run { answered, rate, p50: Duration::from_micros(p50), p99: Duration::from_micros(p99) }
}
