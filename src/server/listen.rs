//! The listening socket, and the options of accepted sockets.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use socket2::{SockRef, TcpKeepalive};

use super::StartError;

/// How long a peer may be silent before its connection counts as dead.
const PEER_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes that the kernel keeps for a client beside those that are on their way to it.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 64 << 10;

/// The socket that the service manager opened for this process (socket activation), else one of its own.
pub(super) fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    let passed = listenfd::ListenFd::from_env().take_tcp_listener(0);
    let passed = passed.map_err(|source| {
        let problem = format!("{source}, which was passed");
        StartError::Listen { address, problem, source }
    })?;
    prepared(passed, address).map_err(|error| not_listening(address, error))
}

/// A socket for the other nodes of the fleet.
pub(super) fn listen_for_fleet(address: SocketAddr) -> Result<TcpListener, StartError> {
    prepared(None, address).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            let problem = "the port is in use; choose another one with fleet.listen".to_owned();
            StartError::Listen { address, problem, source: error }
        }
        _ => not_listening(address, error),
    })
}

pub(super) fn not_listening(address: SocketAddr, source: io::Error) -> StartError {
    let problem = match source.kind() {
        io::ErrorKind::AddrInUse => {
            "the port is in use; stop the other program or choose another port with --listen".to_owned()
        }
        io::ErrorKind::PermissionDenied => "ports below 1024 need permission; choose a higher one".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address; 0.0.0.0 takes all it has".to_owned(),
        _ => source.to_string(),
    };
    StartError::Listen { address, problem, source }
}

fn prepared(passed: Option<TcpListener>, address: SocketAddr) -> io::Result<TcpListener> {
    let listener = passed.map_or_else(|| TcpListener::bind(address), Ok)?;
    listener.set_nonblocking(true)?;
    detect_dead_peers(&listener)?;
    hold_little(&listener)?;
    Ok(listener)
}

/// A phone that loses its network sends no FIN, and an app that hangs reads nothing. Without these options, the kernel
/// would keep unsent data for a quarter of an hour, or forever while the peer answers probes. Accepted sockets inherit
/// the options, also under TLS.
fn detect_dead_peers(listener: &TcpListener) -> io::Result<()> {
    let socket = SockRef::from(listener);
    let probes = TcpKeepalive::new().with_time(PEER_TIMEOUT / 2).with_interval(PEER_TIMEOUT / 6).with_retries(3);
    socket.set_tcp_keepalive(&probes)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(PEER_TIMEOUT))?;
    Ok(())
}

/// By default the kernel takes megabytes for a client that does not read. Accepted sockets inherit the option.
#[cfg_attr(not(target_os = "linux"), expect(clippy::unnecessary_wraps, reason = "there is no such option"))]
fn hold_little(listener: &TcpListener) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    SockRef::from(listener).set_tcp_notsent_lowat(UNSENT)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_kernel_takes_little_for_a_client_that_does_not_read() {
        use std::io::Write;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        hold_little(&listener).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        SockRef::from(&client).set_recv_buffer_size(4_096).unwrap();
        let (mut accepted, _) = listener.accept().unwrap();
        accepted.set_nonblocking(true).unwrap();
        let mut taken = 0;
        while let Ok(written) = accepted.write(&[0; 4_096]) {
            taken += written;
        }
        assert!(taken < 1 << 20, "{taken} bytes");
    }

    #[test]
    fn a_peer_that_acknowledges_nothing_for_half_a_minute_is_dead() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        detect_dead_peers(&listener).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let socket = SockRef::from(&accepted);
        assert!(socket.keepalive().unwrap());
        #[cfg(target_os = "linux")]
        {
            assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(15));
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(PEER_TIMEOUT));
        }
    }
}
