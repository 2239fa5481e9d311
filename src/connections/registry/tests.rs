use super::*;

pub fn limits(most: usize, most_from_one: usize) -> ConnectionLimits {
    ConnectionLimits {
        most,
        most_from_one,
        uncounted: vec![Network::try_from("10.0.0.0/8".to_owned()).unwrap()],
        head: Duration::from_secs(10),
        idle: Duration::from_secs(60),
        least_rate: 1_000,
        heads: 1 << 20,
        unread: 1 << 20,
    }
}

fn from(address: &str) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), 1_234)
}

#[test]
fn one_address_has_a_limit_of_connections() {
    let registry = Registry::new(limits(100, 2));
    let admit = |address| registry.admit(from(address)).map(|admitted| admitted.guard(()));
    let first = admit("192.0.2.1").unwrap();
    let _second = admit("192.0.2.1").unwrap();
    assert_eq!(admit("192.0.2.1").err(), Some(ConnectionRefusal::TooManyFromOneAddress));
    assert_eq!(admit("::ffff:192.0.2.1").err(), Some(ConnectionRefusal::TooManyFromOneAddress));
    assert!(admit("192.0.2.2").is_ok());
    drop(first);
    assert!(admit("192.0.2.1").is_ok());
    let _phone = [admit("2001:db8::1").unwrap(), admit("2001:db8::2").unwrap()];
    assert_eq!(admit("2001:db8::3").err(), Some(ConnectionRefusal::TooManyFromOneAddress), "one subscriber has a /64");
    assert!((0..10).map(|_| admit("10.1.2.3")).collect::<Result<Vec<_>, _>>().is_ok(), "a proxy is not counted");
    let forwarded = |address: &str| registry.admit_forwarded(address.parse().unwrap());
    let _forwarded = [forwarded("192.0.2.2").unwrap(), forwarded("192.0.2.2").unwrap()];
    assert_eq!(
        forwarded("192.0.2.2").err(),
        Some(ConnectionRefusal::TooManyFromOneAddress),
        "but the clients behind it are"
    );
}

#[test]
fn a_full_node_ends_connections_that_keep_it_waiting() {
    let registry = Registry::new(limits(3, 100));
    let admit = || registry.admit(from("192.0.2.1")).map(|admitted| admitted.guard(()));
    let (busy, served, fresh) = (admit().unwrap(), admit().unwrap(), admit().unwrap());
    let _under_way = busy.handle().begin();
    drop(served.handle().begin());
    let _newcomer = admit().unwrap();
    assert!(fresh.handle().is_ended(), "it never had an answer");
    assert!(!served.handle().is_ended() && !busy.handle().is_ended());
}

#[test]
fn a_node_with_only_busy_connections_refuses_new_ones() {
    let registry = Registry::new(limits(2, 100));
    let admit = || registry.admit(from("192.0.2.1")).map(|admitted| admitted.guard(()));
    let (one, two) = (admit().unwrap(), admit().unwrap());
    let _under_way = [one.handle().begin(), two.handle().begin()];
    assert_eq!(admit().err(), Some(ConnectionRefusal::Full));
}

#[test]
fn a_stopping_node_waits_only_for_requests_under_way() {
    let registry = Registry::new(limits(10, 100));
    let admit = || registry.admit(from("192.0.2.1")).map(|admitted| admitted.guard(()));
    let (busy, idle, body) = (admit().unwrap(), admit().unwrap(), admit().unwrap());
    let _under_way = [busy.handle().begin(), body.handle().begin()];
    let _waiting = body.handle().waits_for_body();
    registry.stop();
    assert!(!busy.handle().is_ended() && idle.handle().is_ended() && !body.handle().is_ended());
    registry.end_bodies();
    assert!(!busy.handle().is_ended() && body.handle().is_ended());
    assert_eq!(admit().err(), Some(ConnectionRefusal::Stopping));
}

#[test]
fn websockets_leave_some_connections_for_requests() {
    let registry = Registry::new(limits(32, 100));
    let mut sockets: Vec<_> = std::iter::from_fn(|| registry.admit_socket()).take(99).collect();
    assert_eq!(sockets.len(), 30);
    sockets.pop();
    assert!(registry.admit_socket().is_some(), "a place is free again");
}

#[test]
fn the_last_to_be_awaited_are_requests_under_way() {
    let registry = Registry::new(limits(10, 100));
    let admit = || registry.admit(from("192.0.2.1")).unwrap().guard(());
    let (busy, socket) = (admit(), admit());
    let under_way = busy.handle().begin();
    let _open = socket.handle().begin();
    socket.handle().enter(Phase::Socket);
    assert_eq!(registry.end_all_but_busy(), 1);
    assert!(!busy.handle().is_ended() && socket.handle().is_ended());
    drop(under_way);
    assert_eq!(registry.end_all_but_busy(), 0);
    assert!(busy.handle().is_ended());
}
