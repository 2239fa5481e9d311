//! Section `fleet` of the configuration.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use serde::Deserialize;

/// Whether this node shares its database with other nodes, and where they reach it.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FleetSettings {
    /// Whether this node and others stand by for each other.
    pub enabled: bool,
    /// The name of this node in lists of nodes. Empty: the machine's name.
    pub name: String,
    /// The address at which this node takes the connections that other nodes pass on. Port 0 takes a free port.
    pub listen: SocketAddr,
    /// The same address as other nodes reach it, as `HOST:PORT`. Empty: the same as `listen`.
    pub address: String,
    /// Another node may take over if the owner has not renewed its lease for this long.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
}

impl Default for FleetSettings {
    fn default() -> Self {
        Self {
            enabled: false,
            name: String::new(),
            listen: SocketAddr::from(([127, 0, 0, 1], 8_081)),
            address: String::new(),
            lease: Duration::from_secs(3),
        }
    }
}

impl FleetSettings {
    /// Why other nodes cannot reach this node at its address. `None` if they can.
    pub fn problem_with_address(&self) -> Option<String> {
        let right = "but must be an address at which the other nodes reach this one, as \"10.0.0.7:8081\"";
        if self.address.is_empty() {
            let nobody_reaches = self.listen.ip().is_unspecified();
            return nobody_reaches
                .then(|| format!("must be set, as \"10.0.0.7:8081\": fleet.listen is {}", self.listen));
        }
        let is_right = self.address.rsplit_once(':').is_some_and(|(host, port)| {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let reaches_nobody = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified());
            let named = !host.is_empty() && !host.contains(['/', '@', ' ']);
            named && !reaches_nobody && port.parse::<u16>().is_ok_and(|port| port > 0)
        });
        (!is_right).then(|| format!("is {:?}, {right}", self.address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_no_other_node_can_reach_is_refused() {
        let with = |listen: &str, address: &str| FleetSettings {
            listen: listen.parse().unwrap(),
            address: address.to_owned(),
            ..FleetSettings::default()
        };
        for (listen, address, right) in [
            ("127.0.0.1:0", "", true),
            ("0.0.0.0:8081", "", false),
            ("[::]:8081", "", false),
            ("0.0.0.0:8081", "one:8081", true),
            ("0.0.0.0:8081", "[2001:db8::7]:8081", true),
            ("0.0.0.0:8081", "0.0.0.0:8081", false),
            ("0.0.0.0:8081", "[::]:8081", false),
            ("0.0.0.0:8081", "one", false),
            ("0.0.0.0:8081", "one:0", false),
            ("0.0.0.0:8081", ":8081", false),
            ("0.0.0.0:8081", "http://one:8081", false),
        ] {
            let problem = with(listen, address).problem_with_address();
            assert_eq!(problem.is_none(), right, "{listen} {address}: {problem:?}");
        }
    }
}
