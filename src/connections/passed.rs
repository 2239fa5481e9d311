//! Connections that one node of a fleet passes on to another. Each begins with a header of the PROXY protocol, version
//! 2, with the client's address. A field of the header proves that a member of the fleet wrote it, because only members
//! know the receiver's key. The receiver answers with one byte when it takes the connection. Without that byte, no
//! request was executed, and the connection may be passed to another node.
//!
//! The format: <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>, section 2.2.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use actix_web::rt::net::TcpStream;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2, a proxied connection.
const PROXIED: u8 = 0x21;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;
/// The type of the field with the proof, from the range for custom fields.
const PROOF: u8 = 0xe0;
const PROOF_BYTES: u8 = 32;
const PROOF_LENGTH: usize = PROOF_BYTES as usize;
const FIXED: usize = 16;
/// Other fields are refused, so a header has one of two lengths.
const LONGEST: usize = 36 + 3 + PROOF_LENGTH;

const TAKEN: u8 = b'+';

/// How long a header may take. The sender writes it at once.
const HEADER_WITHIN: Duration = Duration::from_secs(5);
const CONNECTED_WITHIN: Duration = Duration::from_secs(1);
const TAKEN_WITHIN: Duration = Duration::from_secs(2);

/// Takes connections from the other nodes of the fleet.
#[derive(Clone)]
pub struct PassedConnections {
    /// The key that they must know.
    pub key: Arc<str>,
    /// Whether this node takes connections now.
    pub is_open: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl PassedConnections {
    /// Reads the header, and returns the client's address.
    pub(super) async fn read(&self, stream: &mut TcpStream) -> io::Result<SocketAddr> {
        let client = timeout(HEADER_WITHIN, read(stream, &self.key)).await??;
        if (self.is_open)() { Ok(client) } else { Err(io::ErrorKind::ConnectionRefused.into()) }
    }

    /// Tells the sender that its connection is taken.
    pub(super) async fn take(stream: &mut TcpStream) -> io::Result<()> {
        stream.write_all(&[TAKEN]).await
    }
}

/// Connects to the node at `address`, for `client`. The node has taken the connection.
///
/// # Errors
/// Nothing was executed there.
pub async fn pass_to(address: &str, key: &str, client: SocketAddr, here: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = timeout(CONNECTED_WITHIN, TcpStream::connect(address)).await??;
    stream.set_nodelay(true)?;
    stream.write_all(&header(key, client, here)).await?;
    let answered = timeout(TAKEN_WITHIN, stream.read_u8()).await??;
    if answered == TAKEN { Ok(stream) } else { Err(invalid("the node at this address is no member of the fleet")) }
}

fn header(key: &str, client: SocketAddr, here: SocketAddr) -> Vec<u8> {
    let (family, addresses) = match (client.ip().to_canonical(), here.ip().to_canonical()) {
        (IpAddr::V4(client), IpAddr::V4(here)) => (TCP_OVER_IPV4, [client.octets(), here.octets()].concat()),
        (client, here) => (TCP_OVER_IPV6, [as_v6(client).octets(), as_v6(here).octets()].concat()),
    };
    let length = addresses.len() + 4 + 3 + PROOF_LENGTH;
    let mut header = SIGNATURE.to_vec();
    header.extend([PROXIED, family]);
    header.extend((length as u16).to_be_bytes());
    header.extend(addresses);
    header.extend(client.port().to_be_bytes());
    header.extend(here.port().to_be_bytes());
    let proof = proof(key, &header).finalize().into_bytes();
    header.extend([PROOF, 0, PROOF_BYTES]);
    header.extend(proof);
    header
}

fn as_v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

fn proof(key: &str, proven: &[u8]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("a key may have any length").chain_update(proven)
}

async fn read(stream: &mut (impl tokio::io::AsyncRead + Unpin), key: &str) -> io::Result<SocketAddr> {
    let mut header = vec![0; FIXED];
    stream.read_exact(&mut header).await?;
    let addresses = match (&header[..12] == SIGNATURE.as_slice(), header[12], header[13]) {
        (true, PROXIED, TCP_OVER_IPV4) => 8,
        (true, PROXIED, TCP_OVER_IPV6) => 32,
        _ => return Err(invalid("this port is for the other nodes of the fleet")),
    };
    let length = usize::from(u16::from_be_bytes([header[14], header[15]]));
    if length > LONGEST || length != addresses + 4 + 3 + PROOF_LENGTH {
        return Err(invalid("a header of another fleet"));
    }
    header.resize(FIXED + length, 0);
    stream.read_exact(&mut header[FIXED..]).await?;
    let (proven, proven_by) = header.split_at(FIXED + addresses + 4);
    let [PROOF, 0, PROOF_BYTES, sent @ ..] = proven_by else { return Err(invalid("a header without a proof")) };
    proof(key, proven).verify_slice(sent).map_err(|_| invalid("a header of another fleet, or of another owner"))?;
    let address = &proven[FIXED..];
    let ip = match <[u8; 4]>::try_from(&address[..addresses / 2]) {
        Ok(v4) => IpAddr::V4(Ipv4Addr::from(v4)),
        Err(_) => {
            let v6 = <[u8; 16]>::try_from(&address[..16]).map_err(|_| invalid("a header that is cut off"))?;
            IpAddr::V6(Ipv6Addr::from(v6))
        }
    };
    Ok(SocketAddr::new(ip, u16::from_be_bytes([address[addresses], address[addresses + 1]])))
}

fn invalid(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "10.0.0.2:8080";

    async fn read_back(header: &[u8], key: &str) -> io::Result<SocketAddr> {
        let mut bytes = header;
        read(&mut bytes, key).await
    }

    #[actix_web::test]
    async fn a_header_says_whose_connection_it_is() {
        for client in ["192.0.2.7:4711", "[2001:db8::7]:4711"] {
            let client: SocketAddr = client.parse().unwrap();
            let header = header("the key", client, HERE.parse().unwrap());
            assert_eq!(read_back(&header, "the key").await.unwrap(), client);
        }
    }

    #[actix_web::test]
    async fn a_header_without_the_key_or_with_any_other_byte_is_refused() {
        let header = header("the key", "192.0.2.7:4711".parse().unwrap(), HERE.parse().unwrap());
        assert!(read_back(&header, "another key").await.is_err());
        for place in 0..header.len() {
            let mut changed = header.clone();
            changed[place] ^= 1;
            assert!(read_back(&changed, "the key").await.is_err(), "byte {place}");
            assert!(read_back(&header[..place], "the key").await.is_err(), "cut off at {place}");
        }
        assert!(read_back(b"GET / HTTP/1.1\r\nhost: tandem\r\n\r\n", "the key").await.is_err());
    }
}
