//! Lets a handler cut its own connection.

use std::{
    any::Any,
    net::{Shutdown, TcpStream},
    os::fd::AsFd,
};

use actix_web::{HttpRequest, dev::Extensions, rt};

/// A second handle to a request's socket.
pub struct Connection(TcpStream);

impl Connection {
    pub fn remember(connection: &dyn Any, extensions: &mut Extensions) {
        let socket = connection.downcast_ref::<rt::net::TcpStream>();
        if let Some(twin) = socket.and_then(|socket| socket.as_fd().try_clone_to_owned().ok()) {
            extensions.insert(Connection(TcpStream::from(twin)));
        }
    }

    /// The client sees its connection break, and no answer.
    pub fn cut(request: &HttpRequest) {
        if let Some(Connection(socket)) = request.conn_data::<Connection>() {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}
