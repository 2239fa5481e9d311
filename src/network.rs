//! Network addresses as the settings name them, and as limits count them.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;

/// An address or a network, as `10.0.0.7` or `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Network(IpNet);

impl Network {
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }
}

impl TryFrom<String> for Network {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let host = || text.parse::<IpAddr>().map(IpNet::from).ok();
        text.parse()
            .ok()
            .or_else(host)
            .map(Self)
            .ok_or_else(|| format!("{text:?} must be an address or a network, as 10.0.0.7 or 10.0.0.0/8"))
    }
}

/// The address that stands for a subscriber: of IPv6, one subscriber has a whole /64.
pub fn subscriber(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
        IpAddr::V4(_) => address,
    }
}
