//! The socket that the node listens on, and what it demands of those who connect.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use socket2::{SockRef, TcpKeepalive};

use super::StartError;

/// How long a connection may go without a sign that its other end still takes what is sent.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    bind(address).map_err(|error| not_listening(address, &error))
}

pub(super) fn not_listening(address: SocketAddr, error: &io::Error) -> StartError {
    let problem = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "the port is in use; stop the other program or choose another port with --listen".to_owned()
        }
        io::ErrorKind::PermissionDenied => "ports below 1024 need permission; choose a higher one".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address; 0.0.0.0 takes all it has".to_owned(),
        _ => error.to_string(),
    };
    StartError::Listen { address, problem }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    give_up_on_the_dead(&listener)?;
    Ok(listener)
}

/// A phone that loses its network says no goodbye, and an app that hangs reads nothing: the kernel would hold what waits for
/// them for a quarter of an hour or, as long as their end answers its probes, for ever. The sockets that the listener accepts
/// take these options over, under TLS as well.
fn give_up_on_the_dead(listener: &TcpListener) -> io::Result<()> {
    let socket = SockRef::from(listener);
    let probes = TcpKeepalive::new().with_time(PATIENCE / 2).with_interval(PATIENCE / 6).with_retries(3);
    socket.set_tcp_keepalive(&probes)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(PATIENCE))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn whoever_connects_is_given_up_when_nothing_is_taken_for_half_a_minute() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        give_up_on_the_dead(&listener).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let socket = SockRef::from(&accepted);
        assert!(socket.keepalive().unwrap());
        #[cfg(target_os = "linux")]
        {
            assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(15));
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(PATIENCE));
        }
    }
}
