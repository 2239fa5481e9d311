//! The envelope around every answer. `data` arrives as bytes and is not parsed: an answer costs one allocation and two
//! copies.

use actix_web::{
    HttpResponse,
    http::{StatusCode, header::ContentType},
};
use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;
use utoipa::ToSchema;

const OPENING: &[u8] = b"{\"success\":true,\"data\":";

/// The body of every successful answer.
#[derive(Serialize, ToSchema)]
pub struct Success<T> {
    /// Always `true`.
    #[schema(default = true)]
    pub success: bool,
    pub data: T,
}

/// `data` is a JSON object.
pub fn success(status: StatusCode, data: &[u8]) -> HttpResponse {
    let mut body = BytesMut::with_capacity(OPENING.len() + data.len() + 1);
    body.put_slice(OPENING);
    body.put_slice(data);
    body.put_u8(b'}');
    json(status, body.freeze())
}

/// An answer that this layer makes itself.
pub fn success_of<T: Serialize>(data: T) -> HttpResponse {
    HttpResponse::Ok().json(Success { success: true, data })
}

pub fn json(status: StatusCode, body: Bytes) -> HttpResponse {
    HttpResponse::build(status).content_type(ContentType::json()).body(body)
}
