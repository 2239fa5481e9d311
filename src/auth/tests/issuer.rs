//! An issuer in the test's own process: it signs, publishes its keys, and can fail, hang, answer rubbish and rotate.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::Semaphore,
};

pub struct Key {
    pub kid: &'static str,
    pub algorithm: Algorithm,
    pub private: EncodingKey,
}

pub fn rsa(kid: &'static str) -> Key {
    let pem: &[u8] =
        if kid.ends_with('2') { include_bytes!("keys/rsa-two.pem") } else { include_bytes!("keys/rsa-one.pem") };
    Key { kid, algorithm: Algorithm::RS256, private: EncodingKey::from_rsa_pem(pem).unwrap() }
}

pub fn ec(kid: &'static str) -> Key {
    let pem: &[u8] =
        if kid.ends_with('2') { include_bytes!("keys/ec-two.pem") } else { include_bytes!("keys/ec-one.pem") };
    Key { kid, algorithm: Algorithm::ES256, private: EncodingKey::from_ec_pem(pem).unwrap() }
}

impl Key {
    pub fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.kid.into()), ..Header::new(self.algorithm) };
        jsonwebtoken::encode(&header, claims, &self.private).unwrap()
    }

    pub fn public(&self) -> Value {
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&self.private, self.algorithm).unwrap()).unwrap();
        jwk["kid"] = json!(self.kid);
        jwk["use"] = json!("sig");
        jwk
    }
}

pub fn key_set(keys: &[&Key]) -> String {
    json!({ "keys": keys.iter().map(|key| key.public()).collect::<Vec<_>>() }).to_string()
}

struct Behaviour {
    status: u16,
    body: String,
    requests: u64,
}

#[derive(Clone)]
pub struct Issuer {
    pub url: String,
    behaviour: Arc<Mutex<Behaviour>>,
    /// An answer takes a permit: with none, requests hang.
    gate: Arc<Semaphore>,
}

impl Issuer {
    pub async fn start(body: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = Issuer {
            url: format!("http://{}/jwks.json", listener.local_addr().unwrap()),
            behaviour: Arc::new(Mutex::new(Behaviour { status: 200, body, requests: 0 })),
            gate: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
        };
        let this = issuer.clone();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let this = this.clone();
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    drop(socket.read(&mut request).await);
                    this.behaviour.lock().requests += 1;
                    this.gate.acquire().await.unwrap().forget();
                    let answer = {
                        let behaviour = this.behaviour.lock();
                        format!(
                            "HTTP/1.1 {} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{}",
                            behaviour.status,
                            behaviour.body.len(),
                            behaviour.body
                        )
                    };
                    drop(socket.write_all(answer.as_bytes()).await);
                });
            }
        });
        issuer
    }

    pub fn requests(&self) -> u64 {
        self.behaviour.lock().requests
    }

    pub fn publish(&self, body: String) {
        let mut behaviour = self.behaviour.lock();
        behaviour.status = 200;
        behaviour.body = body;
    }

    pub fn fail(&self, status: u16) {
        self.behaviour.lock().status = status;
    }

    pub fn hang(&self) {
        self.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub fn go_on(&self, answers: usize) {
        self.gate.add_permits(answers);
    }
}
