//! What only a real connection shows.

use actix_web::HttpServer;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;

/// Sends the bytes as they are and reads until the server has said enough.
async fn exchange(address: std::net::SocketAddr, bytes: &[u8], until: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may stop reading before everything is sent.
    drop(stream.write_all(bytes).await);
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer).await {
            Ok(size) if size > 0 => answer.extend_from_slice(&buffer[..size]),
            _ => break,
        }
        if String::from_utf8_lossy(&answer).contains(until) {
            break;
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[actix_web::test]
async fn clients_that_send_too_much_receive_the_error() {
    let node = Server::start();
    let session = node.session().await;
    let mounted = node.state.clone();
    let server = HttpServer::new(move || {
        let state = mounted.clone();
        App::new().configure(|app| configure(app, state))
    });
    let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
    let address = server.addrs()[0];
    let running = server.run();
    let handle = running.handle();
    actix_web::rt::spawn(running);

    let token = token("user_anna");
    let head = |authorization: &str| {
        format!(
            "POST /api/v1/sessions/{session}/pause HTTP/1.1\r\nhost: t\r\n{authorization}transfer-encoding: chunked\r\n\r\n"
        )
    };
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(4096));
    let authorized = format!("authorization: Bearer {token}\r\n");
    let endless = head(&authorized) + &chunk.repeat(40);
    let answer = exchange(address, endless.as_bytes(), "}}").await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("VALIDATION_ERROR"), "{answer}");

    let stranger = head("") + &chunk.repeat(4);
    let answer = exchange(address, stranger.as_bytes(), "}}").await;
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("no_token"), "{answer}");

    let body = r#"{"reason":"dinner"}"#;
    let (first, second) = body.split_at(7);
    let pieces =
        format!("{}{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n", head(&authorized), first.len(), second.len());
    let answer = exchange(address, pieces.as_bytes(), "}}").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    let twice = format!("GET /api/v1/sessions HTTP/1.1\r\nhost: t\r\n{authorized}\r\n").repeat(2);
    let answer = exchange(address, twice.as_bytes(), "}}HTTP/1.1 200 OK").await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 2, "{answer}");

    let looked = format!("HEAD /api/v1/sessions HTTP/1.1\r\nhost: t\r\nconnection: close\r\n{authorized}\r\n");
    let answer = exchange(address, looked.as_bytes(), "never").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\n"), "{answer}");
    handle.stop(false).await;
}
