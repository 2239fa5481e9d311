//! One user who sends realtime frames of every kind without end.

use std::{
    cell::Cell,
    io,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::task::spawn_local;

use super::{
    load::{self, block_on},
    socket,
    world::Session,
};

/// Sends over this many sockets at once. A socket that the node closes is opened again. Returns the number of frames.
pub fn flood(address: SocketAddr, hostile: &Session, token: &str, sockets: usize, during: Duration) -> u64 {
    let (until, sent) = (Instant::now() + during, Rc::new(Cell::new(0)));
    block_on(async {
        let floods = (0..sockets).map(|_| {
            let (token, session, sent) = (token.to_owned(), hostile.id.clone(), sent.clone());
            spawn_local(async move {
                while Instant::now() < until {
                    if send_until_closed(address, &token, &session, until, &sent).await.is_err() {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                }
            })
        });
        futures_util::future::join_all(floods.collect::<Vec<_>>()).await;
    });
    sent.get()
}

async fn send_until_closed(
    address: SocketAddr,
    token: &str,
    session: &str,
    until: Instant,
    sent: &Cell<u64>,
) -> io::Result<()> {
    let (sender, mut receiver) = socket::open(address, &format!("/?v=5&format=json&access_token={token}")).await?;
    receiver.until("connectionId").await?;
    let reading = spawn_local(async move { while receiver.next().await.is_ok() {} });
    let channel = format!("meetwithoutfear:session:{session}");
    let members = format!("{channel}:presence");
    let mut serial = 0;
    while Instant::now() < until && !reading.is_finished() {
        let frames = [
            json!({"action": 10, "channel": channel}),
            json!({"action": 10, "channel": members}),
            json!({"action": 15, "channel": channel, "msgSerial": serial, "messages": [{"name": "typing", "data": "x"}]}),
            json!({"action": 14, "channel": members, "msgSerial": serial + 1, "presence": [{"action": 2, "data": "x"}]}),
            json!({"action": 16, "channel": members}),
            json!({"action": 0, "id": "x"}),
            json!({"action": 14, "channel": members, "msgSerial": serial + 2, "presence": [{"action": 3}]}),
            json!({"action": 12, "channel": channel}),
        ];
        serial += 3;
        for frame in frames {
            // A socket that the node reads no further takes no more. The node may still end it.
            let frame = socket::frame(&frame.to_string());
            let sending = tokio::time::timeout_at(until.into(), sender.send(&frame));
            sending.await.unwrap_or(Ok(()))?;
            sent.set(sent.get() + 1);
        }
        tokio::task::yield_now().await;
    }
    reading.abort();
    Ok(())
}

/// The token that the app gets for its realtime connection.
pub fn realtime_token(address: SocketAddr, login: &str) -> String {
    let call = |request| load::all(address, 1, vec![request]).pop().expect("one request has one answer").json();
    let asked: Value = call(load::request("GET", "/api/v1/auth/ably-token", Some(login), None));
    let request = &asked["data"]["tokenRequest"];
    let key = request["keyName"].as_str().unwrap_or_else(|| panic!("no token request: {asked}"));
    let path = format!("/keys/{key}/requestToken");
    let granted = call(load::request("POST", &path, None, Some(&request.to_string())));
    granted["token"].as_str().unwrap_or_else(|| panic!("no token: {granted}")).to_owned()
}
