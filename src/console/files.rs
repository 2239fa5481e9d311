//! The style sheet, the script and the icon. They are the same for everybody and contain no data of the node.

use actix_web::{HttpResponse, http::header};

pub async fn style() -> HttpResponse {
    file("text/css; charset=utf-8", include_str!("style.css"))
}

pub async fn script() -> HttpResponse {
    file("text/javascript; charset=utf-8", include_str!("script.js"))
}

pub async fn icon() -> HttpResponse {
    file("image/svg+xml", crate::http::ICON)
}

fn file(content_type: &'static str, text: &'static str) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CONTENT_TYPE, content_type)).body(text)
}
